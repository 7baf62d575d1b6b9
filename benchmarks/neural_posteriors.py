"""Posterior generators beside neural posterior estimation by sbi, at equal seconds of training on one core.

Two experiments of the task ``posterior``: unknowns of Burgers' equation, and of a Kuramoto-Sivashinsky window, from
noisy magnitudes. All arms learn from the same training data for the same processor seconds; compiling, importing and
validation are not counted. Their samples for the same cases of the development data are held against long tempered
runs and the truth.

    python benchmarks/neural_posteriors.py                              # without sbi; it says so
    python benchmarks/neural_posteriors.py --sbi sbi-venv/bin/python    # see sbi_posteriors.py
    python benchmarks/neural_posteriors.py --sbi sbi-venv/bin/python --finish --draw

The settings of sbi's estimators are chosen by the loss of the validation data after a short pilot on the first
experiment. ``--finish`` measures the time of a sample, all arms in turn, and the classifier two-sample test of the
first seed. Give the process one core and one thread (OMP_NUM_THREADS=1). Trained estimators of sbi and samples are kept
in ``--models``. Writes benchmarks/results/neural_posteriors.json after every row, so that a stopped study goes on, and,
with ``--draw``, the tables of docs/neural_posteriors.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments import environment

environment.prepare()

import jax
import numpy as np
from neural_posterior_arms import FAIR, FLOW, GAME, Ensembles, Sample, Study, fair, own_arm, played, study_of
from neural_posteriors_tables import PAGE, filled

from experiments.files import write_json

RESULTS = Path(__file__).parent / "results" / "neural_posteriors.json"
MODELS = Path(__file__).parents[1] / "runs" / "neural_posteriors"
EXPERIMENTS = ("burgers_inverse", "kuramoto_sivashinsky_window")
PILOT_SECONDS, PACE_SECONDS = 20.0, 4.0
TESTED = 16
"""Cases of the classifier two-sample test, which takes most of a second for each."""
ROUNDS = 3
"""In which samples of all arms are timed, in turn."""
REFERENCE = "long tempered runs, other members"
ARMS = {
    FLOW: "the preset demo's recipe: 6 evaluations of the velocity for a sample",
    FAIR: "the same network without a discriminator, trained by the fair score of 4 draws for each condition",
    GAME: "the preset adversarial of burgers_inverse: relativistic game and fair score of 4 draws",
    "sbi NPE": "sbi: neural posterior estimation with a neural spline flow",
    "sbi FMPE": "sbi: flow matching, sampled by the adaptive solver that is its default",
    "sbi NPSE": "sbi: score matching, sampled by the 500 stochastic steps that are its default",
}
KINDS = {"sbi NPE": "npe", "sbi FMPE": "fmpe", "sbi NPSE": "npse"}
DEFAULT = {"batch": 200, "rate": 5e-4, "schedule": "constant"}
FALLING = {"rate": 1e-3, "schedule": "cosine"}
TRIED: dict[str, list[dict[str, Any]]] = {
    "sbi NPE": [
        {"model": "nsf", **DEFAULT},
        {"model": "nsf", "batch": 256, **FALLING},
        {"model": "nsf", "batch": 512, "hidden_features": 128, **FALLING},
        {"model": "nsf", "batch": 512, "hidden_features": 128, "num_transforms": 3, **FALLING},
    ],
    "sbi FMPE": [
        {"model": "mlp", **DEFAULT},
        {"model": "mlp", "batch": 256, **FALLING},
        {"model": "mlp", "batch": 512, "hidden_features": 256, **FALLING},
        {"model": "ada_mlp", "batch": 256, **FALLING},
    ],
    "sbi NPSE": [{"model": "mlp", **DEFAULT}, {"model": "mlp", "batch": 256, **FALLING}],
}


def with_sbi(python: str, plan: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Run `sbi_posteriors.py` in its own environment; return what it made, texts read as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "given.npz", Path(folder) / "made.npz"
        stored: dict[str, Any] = {"plan": json.dumps(dict(plan)), **arrays}
        np.savez(given, **stored)
        command = [python, str(Path(__file__).with_name("sbi_posteriors.py")), str(given), str(made)]
        ended = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": ""})
        if ended.returncode:
            raise SystemExit(f"sbi's script failed:\n{ended.stderr[-2000:]}")
        with np.load(made, allow_pickle=False) as found:
            return {name: json.loads(str(one)) if one.dtype.kind == "U" else one for name, one in found.items()}


def sbi_training(
    study: Study, python: str, arm: str, settings: Mapping[str, Any], seconds: float, seed: int, model: Path | None
) -> dict[str, Any]:
    """Train an estimator of sbi; without a file for it, for its validation loss alone."""
    plan = {
        "do": "train",
        "kind": KINDS[arm],
        "settings": dict(settings),
        "seconds": seconds,
        "seed": seed,
        "cases": study.cases,
        "members": study.members if model else 0,
        "model": str(model),
    }
    return with_sbi(python, plan, {**study.sbi_data, "observed": study.observed, "true": study.true})


def measured_sampling(study: Study, python: str, models: Mapping[str, Path]) -> dict[str, float]:
    """Return the median microseconds of processor time for a sample of every arm, all arms in turn.

    Networks of ours need no training for that, because their work does not depend on the parameters.
    """
    several, condition = study.config.training.steps_per_call, {"observed": study.repeated}
    samplers: dict[str, Sample] = {
        FLOW: played(study, FLOW, 0, several)[0].sample,
        FAIR: fair(study, 0, several)[0],
        GAME: played(study, GAME, 0, several)[0].sample,
    }
    taken: dict[str, list[float]] = {}
    for turn in range(ROUNDS + 1):
        for name, sample in samplers.items():
            began = time.process_time()
            sample(jax.random.key(turn), len(study.repeated), condition)
            if turn:
                taken.setdefault(name, []).append((time.process_time() - began) / len(study.repeated))
        if turn:
            plan = {"do": "time", "members": study.members, "models": {name: str(one) for name, one in models.items()}}
            for name, seconds in with_sbi(python, plan, {"observed": study.observed[: study.cases]})["seconds"].items():
                taken.setdefault(name, []).append(seconds)
    return {name: 1e6 * float(np.median(all_of)) for name, all_of in taken.items()}


def held() -> dict[str, Any]:
    """Return what was measured already."""
    found: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"experiments": {}}
    return found


def known(*path: str) -> Any:
    """Return what the result file holds under some keys, one within the other; None where it holds nothing."""
    found: Any = held()
    for name in path:
        found = found.get(name, {})
    return found or None


def keep(value: Any, *path: str, **versions: str) -> None:
    """Write a value into the result file under some keys, one within the other."""
    study = held()
    study["arms"] = ARMS | {REFERENCE: "as many members of the long runs that the distances are not taken to"}
    study["machine"] = {"cores": 1, "machine": platform.machine(), "python": platform.python_version()}
    study["versions"] = study.get("versions", {}) | {"jax": jax.__version__, **versions}
    inner = study
    for name in path[:-1]:
        inner = inner.setdefault(name, {})
    inner[path[-1]] = value
    RESULTS.parent.mkdir(exist_ok=True)
    write_json(RESULTS, study)


def pilot(python: str, arm: str) -> dict[str, Any]:
    """Return the setting of an estimator of sbi that the pilot chose, and make the pilot where it is missing."""
    tried: list[dict[str, Any]] = known("pilot", arm) or []
    for settings in TRIED[arm][len(tried) :]:
        made = sbi_training(study_of(EXPERIMENTS[0]), python, arm, settings, PILOT_SECONDS, 0, None)
        tried = [*tried, {"settings": settings, "seconds": PILOT_SECONDS, **made["about"]}]
        print(f"pilot: {arm} {tried[-1]}", flush=True)
        keep(tried, "pilot", arm, **made["versions"])
    # Losses of different estimators of one kind are the same quantity.
    best: dict[str, Any] = min(tried, key=lambda one: one["validation_loss"])["settings"]
    return best


def pace_of(study: Study, arm: str) -> float:
    """Return the processor seconds for an update of one of our arms."""
    found = known("experiments", study.name, "pace", arm)
    if found is None:
        several = study.config.training.steps_per_call
        steps, spent, updates = 3 * several, 0.0, 1
        while spent < PACE_SECONDS:
            one = fair(study, 0, steps) if arm == FAIR else played(study, arm, 0, steps)
            spent, updates = one[1:]
            steps = several * (2 + round(1.2 * PACE_SECONDS * updates / spent / several))
        found = spent / updates
        keep(found, "experiments", study.name, "pace", arm)
    return float(found)


def kept_in(models: Path, name: str, seconds: float, arm: str, seed: int) -> Path:
    """Return the place of samples (.npz) or of an estimator (.pt), without its suffix."""
    folder = models / name / f"{seconds:g}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{arm.replace(' ', '_')}-{seed}"


def measure(arguments: argparse.Namespace) -> None:
    """Train and judge what the result file does not hold yet."""
    for seed in arguments.seeds:
        for study in map(study_of, arguments.experiments):
            for arm in arguments.arms:
                row = ("experiments", study.name, "rows", f"{arguments.seconds:g}", arm, str(seed))
                if known(*row):
                    continue
                if arm in KINDS and not arguments.sbi:
                    print(f"{arm}: left out without --sbi; sbi_posteriors.py says how to install it.")
                    continue
                file, versions = kept_in(arguments.models, study.name, arguments.seconds, arm, seed), {}
                if arm in KINDS:
                    settings = pilot(arguments.sbi, arm)
                    model = file.with_suffix(".pt")
                    made = sbi_training(study, arguments.sbi, arm, settings, arguments.seconds, seed, model)
                    drawn = Ensembles(
                        made["samples"], made.get("log_density"), made.get("log_density_true"), made["about"]
                    )
                    versions = made["versions"]
                else:
                    drawn = own_arm(study, arm, seed, arguments.seconds, pace_of(study, arm))
                np.savez(file.with_suffix(".npz"), unknowns=drawn.unknowns)
                found = study.judged(drawn)
                keep(found, *row, **versions)
                print(study.name, arguments.seconds, arm, seed, json.dumps(found), flush=True)


def finish(study: Study, arguments: argparse.Namespace) -> None:
    """Judge the reference's other members; time samples in turn; test the first seed by sbi's classifier."""
    seconds, seed = arguments.seconds, arguments.seeds[0]
    place = ("experiments", study.name)
    if not known(*place, "reference"):
        keep(study.judged(Ensembles(study.long_runs[1], None, None, {})), *place, "reference")
    if not arguments.sbi:
        return
    files = {arm: kept_in(arguments.models, study.name, seconds, arm, seed) for arm in ARMS}
    files = {arm: one for arm, one in files.items() if one.with_suffix(".npz").exists()}
    if not known(*place, "microseconds"):
        models = {arm: one.with_suffix(".pt") for arm, one in files.items() if arm in KINDS}
        taken = measured_sampling(study, arguments.sbi, models)
        keep(taken, *place, "microseconds")
        print(study.name, taken, flush=True)
    drawn = {arm: np.load(one.with_suffix(".npz"))["unknowns"] for arm, one in files.items()}
    reference, others = study.long_runs
    missing = {
        arm: unknowns[:TESTED]
        for arm, unknowns in {REFERENCE: others, **drawn}.items()
        if not known(*place, "c2st", arm)
    }
    if missing:
        # Of the reference as many members as an arm has, of both runs alike.
        picked = reference[:TESTED, :: reference.shape[1] // study.members]
        made = with_sbi(arguments.sbi, {"do": "c2st"}, {"reference": picked, **missing})
        for arm in missing:
            keep(float(np.median(made[arm])), *place, "c2st", arm)
            print(study.name, "c2st", arm, np.median(made[arm]), flush=True)


def main() -> None:
    """Read the command line, measure, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sbi", help="Python of an environment with sbi")
    parser.add_argument("--seconds", type=float, default=60.0, help="processor seconds of a training")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--experiments", nargs="+", choices=EXPERIMENTS, default=list(EXPERIMENTS))
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=[one for one in ARMS if one != "sbi NPSE"])
    parser.add_argument("--models", type=Path, default=MODELS, help="folder of estimators and samples")
    parser.add_argument("--finish", action="store_true", help="also times of samples and classifier tests")
    parser.add_argument("--draw", action="store_true", help="write the tables of the page")
    arguments = parser.parse_args()
    measure(arguments)
    if arguments.finish:
        for study in map(study_of, arguments.experiments):
            finish(study, arguments)
    if arguments.draw:
        PAGE.write_text(filled(PAGE.read_text(), held()))


if __name__ == "__main__":
    main()
