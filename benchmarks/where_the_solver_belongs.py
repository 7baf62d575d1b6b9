"""Does the solver belong into the training, or after it? Kuramoto-Sivashinsky, equal updates, several seeds, all shown.

Arms: plain adversarial training; training through the solver over 1, 2 and 4 time units. Samples of every arm are
advanced by the solver to the same total solver times, those of the training counted, so that every point of every arm
has had as much of the solver. All are held against one sealed data set, of a seed that no training and no choice of
recipe has seen: area under the ROC curve of the classifier on physical features, and p-value of the joint test.

    python benchmarks/where_the_solver_belongs.py --sealed SEED --runs-dir DIR            # links ARM-SEED -> run folder
    python benchmarks/where_the_solver_belongs.py --sealed SEED --runs-dir DIR --train    # train what is missing
    python benchmarks/where_the_solver_belongs.py --draw                                  # page and picture again

ARM is one of plain, tau1, tau2, tau4. Writes benchmarks/results/where_the_solver_belongs.json after every run (a
stopped study goes on where it was), docs/where_the_solver_belongs.md and docs/images/where_the_solver_belongs.png.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from experiments import environment

environment.prepare()

import jax
import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from publish import PUBLISHED, SOLVER_STUDY, solver_study_page, solver_study_title

from experiments import catalog, pipeline, runs
from experiments.config import ExperimentConfig
from experiments.errors import UserError
from experiments.evaluation.snapshot import finite_fields
from experiments.evaluation.two_sample.battery import Battery
from experiments.evaluation.two_sample.classifiers import auc, auc_interval
from experiments.files import write_json, write_text
from experiments.tasks.advance import refiner
from experiments.tasks.equation import comparison_sizes, equation

ROOT = Path(__file__).resolve().parents[1]
RESULTS = PUBLISHED / SOLVER_STUDY
PAGE = ROOT / "docs" / "where_the_solver_belongs.md"
PICTURE = ROOT / "docs" / "images" / "where_the_solver_belongs.png"
EXPERIMENT = "kuramoto_sivashinsky"
ARMS = {"plain": 0.0, "tau1": 1.0, "tau2": 2.0, "tau4": 4.0}
STEP = 0.2
"""Solver time of one step of the layer."""
TIMES = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
STORED, BANK = 16384, 8192
"""Training fields that the tests know, and of which samples must not be too near to these."""
SPARE = 8
"""One more sample is drawn for every so many, in place of those that the solver refuses."""


def recipe(base: ExperimentConfig, arm: str, seed: int) -> ExperimentConfig:
    """Return the recipe of an arm: the preset's, with another solver-layer time and seed."""
    tau = ARMS[arm]
    solver_layer = replace(base.solver_layer, tau=tau, steps=max(1, round(tau / STEP)))
    return replace(base, solver_layer=solver_layer, training=replace(base.training, seed=seed))


def check_recipe(folder: runs.RunFolder, wanted: ExperimentConfig) -> None:
    """Refuse a run that was not trained by the recipe of its arm.

    Raises:
        UserError: data, networks, game, optimizer, solver-layer time, seed, batch or number of updates are others.
    """
    have, want = folder.config, wanted
    parts = {name: (getattr(have, name), getattr(want, name)) for name in ("data", "network", "game", "optimizer")}
    parts["solver_layer.tau"] = have.solver_layer.tau, want.solver_layer.tau
    if want.solver_layer.tau > 0:
        parts["solver_layer"] = have.solver_layer, want.solver_layer
    for name in ("seed", "batch", "steps"):
        parts[f"training.{name}"] = getattr(have.training, name), getattr(want.training, name)
    if other := [name for name, (is_, should) in parts.items() if is_ != should]:
        raise UserError(f"{folder.path} was trained with another {', '.join(other)} than its arm has.")


@dataclass
class Judge:
    """Holds samples against one sealed data set at given total solver times.

    Attributes:
        task, config, dataset: of the experiment.
        sealed: held-out fields, one per trajectory, physical units.
        tested: samples that are tested, beside as many that train the classifier.
        relabellings: of the tests.
    """

    task: Any
    config: ExperimentConfig
    dataset: Any
    sealed: np.ndarray
    tested: int
    relabellings: int

    def __post_init__(self) -> None:
        system = self.task.system(self.config)
        self.refine = refiner(system, self.dataset.dt)
        self.equation = equation(system, self.refine)
        training, rng = self.dataset.train.reshape(-1, *system.field_shape), np.random.default_rng((0, 8))
        self.stored = np.asarray(training[np.sort(rng.permutation(len(training))[:STORED])])
        self.stored = self.stored[rng.permutation(len(self.stored))]
        self._banks: dict[float, Any] = {}

    @cached_property
    def battery(self) -> Battery:
        """The tests, without the convolutional classifier."""
        sizes = replace(comparison_sizes(self.config.compare), relabellings=self.relabellings, seed=0)
        features = self.equation.features(self.stored[:4096])
        return sizes.battery(self.stored, self.sealed, self.equation, self.tested, features)

    def bank(self, times: set[float]) -> list[Any]:
        """Training fields advanced for each of these times; 0 are those that are stored."""
        for time in times - self._banks.keys():
            known = self.stored[:BANK]
            self._banks[time] = self.battery.prepare_bank([self.refine(known, time) if time > 0 else known])
        return [self._banks[time] for time in sorted(times)]

    def points(self, trained: Any, start: float, times: tuple[float, ...]) -> Iterator[dict[str, Any]]:
        """Area and p-value of a generator's samples at every total solver time that it reaches.

        Args:
            trained: a ``gan.Trained``.
            start: solver time that a sample contains.
            times: total solver times, rising.
        """
        count = 2 * self.tested
        fields, valid = trained.draw(jax.random.key(self.config.compare.seed), count + count // SPARE)
        fields, invalid = finite_fields(np.where(np.asarray(valid)[:, None, None], fields, np.nan), count)
        now = start
        for time in (time for time in times if time >= start):
            fields = self.refine(fields, time - now) if time > now else fields
            now = time
            # Copies would be stored fields, advanced by what finishes the samples, or by all of it.
            outcome = self.battery.outcome(fields, bank=self.bank({0.0, time - start, time}))
            scores = outcome.ratings["classifier_features"]
            yield {
                "time": time,
                "auc": auc(scores),
                "interval": list(auc_interval(scores)),
                "p_value": outcome.p_value,
                "invalid": invalid,
            }


def trained_run(place: Path, config: ExperimentConfig, preset: str) -> None:
    """Train what ``place`` is to link to, or go on with it."""
    from gan import train

    experiment = catalog.load(EXPERIMENT)
    resume = place.exists()
    if resume:
        folder = runs.open_folder(place)
    else:
        folder = runs.create(place.parent, EXPERIMENT, preset, config, ("benchmarks/where_the_solver_belongs.py",))
        place.symlink_to(folder.path.resolve())
    with folder.claimed():
        dataset = pipeline.make_data(experiment, folder.config, folder, pipeline.Progress(silent=True))
        train(experiment.learnt().problem(folder.config, dataset), folder.config, folder.path, resume=resume)


def finished(place: Path, steps: int) -> bool:
    """Whether a run folder holds the last checkpoint of its training."""
    return (place / "checkpoints" / str(steps)).exists()


def main() -> None:
    """Measure what is missing, then write page and picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sealed", type=int, help="seed of the sealed data, which nothing else has used")
    parser.add_argument("--runs-dir", type=Path, help="holds links ARM-SEED to run folders")
    parser.add_argument("--train", action="store_true", help="train the runs that are missing")
    parser.add_argument("--seeds", type=int, nargs="+", default=[11, 12, 13, 14, 15])
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
    parser.add_argument("--preset", default="convolutional")
    parser.add_argument("--times", type=float, nargs="+", default=list(TIMES), help="total solver times")
    parser.add_argument("--tested", type=int, default=4096, help="samples tested, and as many to train the classifier")
    parser.add_argument("--references", type=int, default=8192, help="sealed fields, one per trajectory")
    parser.add_argument("--relabellings", type=int, default=5000)
    parser.add_argument("--results", type=Path, default=RESULTS, help="another file is for trials: no page is written")
    parser.add_argument("--draw", action="store_true", help="only write page and picture from the result file")
    arguments = parser.parse_args()
    if not arguments.draw:
        if arguments.sealed is None or arguments.runs_dir is None:
            parser.error("--sealed and --runs-dir are needed.")
        try:
            measure(arguments)
        except UserError as error:
            raise SystemExit(str(error)) from None
    if not arguments.results.exists():
        raise SystemExit(f"{arguments.results} does not exist yet: there is nothing to draw.")
    study = json.loads(arguments.results.read_text())
    if arguments.results == RESULTS:
        write_text(PAGE, solver_study_page(study))
        draw(study, PICTURE)
    else:
        print(solver_study_page(study))
        draw(study, arguments.results.with_suffix(".png"))


def measure(arguments: argparse.Namespace) -> None:
    """Hold every run that is there and not yet measured against the sealed data, and save after each."""
    experiment = catalog.load(EXPERIMENT)
    base, task = experiment.presets[arguments.preset], experiment.learnt()
    if arguments.sealed == base.data.seed:
        raise SystemExit(
            f"--sealed {arguments.sealed} is the seed of the training data: give one that nothing has used."
        )
    about = {
        "sealed": arguments.sealed,
        "preset": arguments.preset,
        "steps": base.training.steps,
        "times": sorted({*arguments.times, *ARMS.values()}),
        "tested": arguments.tested,
        "references": arguments.references,
        "relabellings": arguments.relabellings,
        "level": base.compare.level,
    }
    study = json.loads(arguments.results.read_text()) if arguments.results.exists() else {"runs": []}
    if study["runs"] and any(study.get(name) != value for name, value in about.items()):
        raise SystemExit(f"{arguments.results} holds runs measured in another way: move it away and start again.")
    study |= {
        **about,
        "machine": {"cores": len(os.sched_getaffinity(0)), "platform": f"{platform.system()} {platform.machine()}"},
        "versions": {"python": platform.python_version(), "jax": jax.__version__},
    }
    done = {(run["arm"], run["seed"]) for run in study["runs"]}
    judge: Judge | None = None
    for seed in arguments.seeds:
        for arm in arguments.arms:
            if (arm, seed) in done:
                continue
            place, config = arguments.runs_dir / f"{arm}-{seed}", recipe(base, arm, seed)
            if arguments.train and not finished(place, config.training.steps):
                trained_run(place, config, arguments.preset)
            if not finished(place, config.training.steps):
                print(f"{arm}, seed {seed}: skipped, {place} is no finished run (--train would train it)", flush=True)
                continue
            folder = runs.open_folder(place)
            check_recipe(folder, config)
            if judge is None:
                judge = judge_of(task, base, arguments)
            trained = pipeline.load_trained(experiment, folder, judge.dataset)
            points = []
            for point in judge.points(trained, ARMS[arm], tuple(about["times"])):
                points.append(point)
                low, high = point["interval"]
                print(
                    f"{arm}, seed {seed}, total solver time {point['time']:g}: AUC {point['auc']:.4f} "
                    f"[{low:.4f}, {high:.4f}], joint p = {point['p_value']:.2g}",
                    flush=True,
                )
            study["runs"].append(
                {
                    "arm": arm,
                    "tau": ARMS[arm],
                    "seed": seed,
                    "updates": trained.step,
                    "training_seconds": folder.training_seconds(),
                    "invalid": points[0]["invalid"],
                    "points": [{k: v for k, v in one.items() if k != "invalid"} for one in points],
                }
            )
            arguments.results.parent.mkdir(parents=True, exist_ok=True)
            write_json(arguments.results, study)


def judge_of(task: Any, base: ExperimentConfig, arguments: argparse.Namespace) -> Judge:
    """Make or find training and sealed data."""

    def silent(done: int, total: int, what: Any) -> None:
        """Report nothing."""

    dataset = task.data(base, silent)
    *others, _ = base.data.trajectories
    sized = replace(base, data=replace(base.data, trajectories=(*others, arguments.references)))
    _, fresh = task.with_fresh_test(sized, dataset, arguments.sealed, silent)
    return Judge(task, base, dataset, np.asarray(fresh.test[:, 0]), arguments.tested, arguments.relabellings)


def draw(study: dict[str, Any], target: Path) -> None:
    """Draw the area against the total solver time: the median of each arm as a line, every seed as a point."""
    figure, axes = plt.subplots(figsize=(7.5, 4.2), layout="constrained")
    times = study["times"]
    # What the solver has not touched is distinguished at once: on its scale all else would lie on one line.
    touched = [point["auc"] for run in study["runs"] for point in run["points"] if point["time"] > 0] or [1.0]
    bottom, top = min(0.49, min(touched) - 0.01), 0.5 + 1.15 * max(0.02, max(touched) - 0.5)
    for number, (arm, tau) in enumerate(ARMS.items()):
        found = [run for run in study["runs"] if run["arm"] == arm]
        if not found:
            continue
        at = {time: [p["auc"] for run in found for p in run["points"] if p["time"] == time] for time in times}
        places = {time: times.index(time) + 0.05 * (number - 1.5) for time in times if at[time]}
        axes.plot(
            list(places.values()),
            [np.median(at[time]) for time in places],
            color=f"C{number}",
            label=solver_study_title(tau),
        )
        for time, place in places.items():
            axes.plot([place] * len(at[time]), at[time], "o", color=f"C{number}", ms=4, alpha=0.7)
            if min(at[time]) > top:
                note = f"{np.median(at[time]):.2f}\n(off the scale)"
                axes.annotate(note, (place, top), (0, -4), textcoords="offset points", ha="center", va="top", size=8)
    axes.axhline(0.5, color="0.4", lw=0.9)
    axes.set_xlim(-0.6, len(times) - 0.6)
    axes.set_ylim(bottom, top)
    axes.set_xticks(range(len(times)), [f"{time:g}" for time in times])
    axes.set_xlabel("total solver time of a sample, that of the training counted")
    axes.set_ylabel("AUC of the classifier (0.5: by chance)")
    axes.grid(axis="y", alpha=0.3)
    axes.legend(frameon=False)
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, dpi=140)
    plt.close(figure)


if __name__ == "__main__":
    main()
