"""How far a distance swings during training, for every update scheme, with and without what is said to hold it still.

Every run is watched at evenly spaced checkpoints: the validation metric (`gan.training.validation`) of samples and
held-out data, over its median between two sets of data of the same size. Each is measured for the generator as it
stands and for its exponential average, which one training gives both of. Arms are all update schemes, each with
constant and decayed step sizes, each with and without transport cost; the competitive scheme gets the zero-sum form of
the objective. On the Gaussians transport needs latents that are points of the plane, where the recipe's have twelve
numbers and their
signs: "plane" is the recipe with such latents and no cost, what transport must be held against. What counts is the last
quarter of the training: its median, its largest value, and the last checkpoint.

    python benchmarks/swing.py [--steps 4000] [--seeds 5] [--arms ...]
    python benchmarks/swing.py --experiment kuramoto_sivashinsky --preset convolutional \
        --steps 2000 --seeds 3 --through 0 4

The second line takes the three arms whose averaged generator has the smallest largest value on the Gaussians (median
over the seeds), with each solver-layer time; update schemes whose step needs second derivatives of the game are left
out there, as one run of the competitive scheme would take hours. Results go into benchmarks/results/swing.json after
every run, so that a stopped study goes on where it was, and several files of parts of it (--results, one for each core)
go together with
--merge; docs/images/swing.png and the marked part of docs/stability.md are written at the end, or at once from what is
there by --draw.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from experiments import environment

environment.prepare()

import jax
import matplotlib
import numpy as np
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from experiments import catalog
from experiments.config import ExperimentConfig
from experiments.files import write_json, write_text
from experiments.options import to_mapping
from gan import normalizer
from gan.config import COMPETITIVE, SCHEMES
from gan.optimizers.adjusted import ADJUSTMENTS
from gan.training.checkpoint import METRIC
from gan.training.divergence import Diverged
from gan.training.loop import Trainer
from gan.training.validation import normalized_distance

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "swing.json"
PAGE = ROOT / "docs" / "stability.md"
MARKS = ("<!-- swing: written by benchmarks/swing.py -->", "<!-- end of swing -->")
CHECKPOINTS, TRANSPORT, DRAWS, FINALISTS = 40, 0.5, 50, 3
DISTANCE = "mean Wasserstein distance"
"""The validation metric of this version. A study keeps the name of the one that it was made with."""
# Samples that are compared, at most: more would take longer to compare than to train.
SAMPLES = 4096
STEPS = {"gaussians": 4000, "kuramoto_sivashinsky": 2000}
LOOKAHEAD = 5
# Lookahead goes around the default scheme; latents are the recipe's, points of the plane, or such with the cost.
ARM_SCHEMES = (SCHEMES[0], "lookahead", *SCHEMES[1:])
LATENTS = ("", ", plane", ", transport")
NAMES = {"gaussians": "25 Gaussians", "kuramoto_sivashinsky": "Kuramoto-Sivashinsky"}
SIDES = {"current": "as it stands", "averaged": "averaged"}


def arm_names() -> list[str]:
    """Name every arm: update scheme, step sizes, and the latents or cost where they are not the recipe's."""
    every = itertools.product(ARM_SCHEMES, ("decayed", "constant"), LATENTS)
    return [f"{scheme}, {steps}{latents}" for scheme, steps, latents in every]


def recipe(base: ExperimentConfig, arm: str, tau: float, steps: int, seed: int) -> ExperimentConfig:
    """Return the experiment's recipe with what the arm's name says."""
    scheme, sizes, *latents = arm.split(", ")
    game, network, optimizer = base.game, base.network, base.optimizer
    if scheme == "competitive":
        game = replace(game, objective="relativistic_minimax")
    if latents:
        # The cost compares a sample with a latent of its shape.
        network = replace(network, latent=0, latent_signs=False)
    if latents == ["transport"]:
        game = replace(game, transport=TRANSPORT)
    if scheme == "lookahead":
        optimizer = replace(optimizer, lookahead_steps=LOOKAHEAD)
    else:
        optimizer = replace(optimizer, scheme=scheme)
    schedule = "constant" if sizes == "constant" else base.optimizer.schedule
    every = steps // CHECKPOINTS
    together = base.training.steps_per_call
    training = replace(
        base.training,
        steps=steps,
        seed=seed,
        sample_history=0,
        checkpoint_every=every,
        log_every=together,
        keep=1,
        cpu_devices=1,
    )
    return replace(
        base,
        game=game,
        network=network,
        optimizer=replace(optimizer, schedule=schedule),
        solver_layer=replace(base.solver_layer, tau=tau),
        training=training,
    )


class Watched(Trainer):
    """A training that looks at the generator as it stands, too."""

    def examine(self, state: Any, sample_history: Path | None = None) -> dict[str, float]:
        """Return the distance of both generators."""
        current = super().examine(state._replace(average=state.players.generator))
        return {METRIC: super().examine(state)[METRIC], "current": current[METRIC]}


def watched(problem: Any, config: ExperimentConfig) -> dict[str, Any]:
    """Train and return the course of both distances, or what it was lost to."""
    began, lost = time.monotonic(), None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            Watched(problem, config, folder).run(False, None)
        except Diverged as error:
            lost = str(error)
        lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    # A hundred trainings' programs would take gigabytes.
    jax.clear_caches()
    seen = [line for line in lines if METRIC in line]
    return {
        "lost": lost,
        "seconds": time.monotonic() - began,
        "step": [line["step"] for line in seen],
        "averaged": [line[METRIC] for line in seen],
        "current": [line["current"] for line in seen],
    }


def floor(pool: np.ndarray, train: np.ndarray, count: int) -> float:
    """Return the median distance of two disjoint sets of data, normalised as in the training."""
    rng, unit = np.random.default_rng(0), normalizer.fit(train)
    found = []
    for _ in range(DRAWS):
        order = rng.permutation(len(pool))
        found.append(normalized_distance(pool[order[:count]], pool[order[count : 2 * count]], unit))
    return float(np.median(found))


def summary(runs: list[dict[str, Any]], side: str, level: float) -> dict[str, list[float]]:
    """Return median, largest and last ratio of the last quarter, one for each seed; infinite where the run is lost."""
    tails = [np.array(run[side][-(CHECKPOINTS // 4) :]) / level if not run["lost"] else [np.inf] for run in runs]
    return {
        "median": [float(np.median(tail)) for tail in tails],
        "largest": [float(np.max(tail)) for tail in tails],
        "last": [float(tail[-1]) for tail in tails],
    }


def finalists(study: dict[str, Any]) -> list[str]:
    """Return the arms that win on the Gaussians, of update schemes without second derivatives."""
    if not study.get("runs"):
        raise SystemExit("The finalists come from the Gaussians: run those first, or name --arms.")
    largest = {
        arm: np.median(summary([r for r in study["runs"] if r["arm"] == arm], "averaged", study["floor"])["largest"])
        for arm in dict.fromkeys(run["arm"] for run in study["runs"])
        if arm.split(", ")[0] not in (*COMPETITIVE, *ADJUSTMENTS)
    }
    return sorted(largest, key=lambda arm: largest[arm])[:FINALISTS]


def merge(studies: dict[str, Any], path: Path) -> None:
    """Add the runs of another file that are not there yet."""
    for name, part in json.loads(path.read_text()).items():
        study = studies.setdefault(name, part | {"runs": []})
        if any(study[what] != part[what] for what in ("settings", "n", "floor", "distance")):
            raise SystemExit(f"{path} holds runs of another length, recipe or data than the others.")
        done = {(run["arm"], run["tau"], run["seed"]) for run in study["runs"]}
        study["runs"] += [run for run in part["runs"] if (run["arm"], run["tau"], run["seed"]) not in done]


def main() -> None:
    """Run what is missing, then write table and picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiment", choices=list(STEPS), default="gaussians")
    parser.add_argument("--steps", type=int, default=0, help="updates of every run (0: 4000, or 2000 with the solver)")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument(
        "--arms", nargs="+", choices=arm_names(), metavar="ARM", help="arms to run (all, or the finalists)"
    )
    parser.add_argument("--through", nargs="+", type=float, default=[0.0], help="times of the solver layer")
    parser.add_argument("--preset", default="demo")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--merge", nargs="+", type=Path, default=[], help="add the runs of these files, then draw")
    parser.add_argument("--draw", action="store_true", help="write page and picture from what is there")
    arguments = parser.parse_args()
    studies = json.loads(arguments.results.read_text()) if arguments.results.exists() else {}
    for path in arguments.merge:
        merge(studies, path)
    if arguments.merge:
        write_json(arguments.results, studies)
    if arguments.draw or arguments.merge:
        write(studies)
        return
    arms = arguments.arms or (
        arm_names() if arguments.experiment == "gaussians" else finalists(studies.get("gaussians", {}))
    )
    experiment = catalog.load(arguments.experiment)
    base, steps = experiment.presets[arguments.preset], arguments.steps or STEPS[arguments.experiment]
    unit = CHECKPOINTS * base.training.steps_per_call
    if steps % unit:
        raise SystemExit(f"--steps {steps} must be a multiple of {unit}, {CHECKPOINTS} checkpoints apart.")
    dataset = experiment.task.data(base, lambda done, total, what: None)
    pool = dataset.test if arguments.experiment == "gaussians" else dataset.test[:, 0]
    first = experiment.task.problem(base, dataset)
    count = min(SAMPLES, base.training.validation_samples, len(first.validation), len(pool) // 2)
    base = replace(base, training=replace(base.training, validation_samples=count, diagnose_every=0))
    study = studies.setdefault(arguments.experiment, {"runs": []})
    settings = json.loads(json.dumps({"steps": steps, "recipe": to_mapping(base)}))
    if study["runs"] and (study["settings"], study["distance"]) != (settings, DISTANCE):
        raise SystemExit(
            f"{arguments.results} holds runs of another length, recipe or distance: move it away and start again."
        )
    study |= {
        "settings": settings,
        "distance": DISTANCE,
        "n": count,
        "floor": floor(np.asarray(pool), first.train, count),
        "machine": {"cores": len(os.sched_getaffinity(0)), "platform": f"{platform.system()} {platform.machine()}"},
        "versions": {"python": platform.python_version(), "jax": jax.__version__},
    }
    done = {(run["arm"], run["tau"], run["seed"]) for run in study["runs"]}
    # Seed by seed, so that a stopped study has every arm as often.
    for seed, tau, arm in itertools.product(range(arguments.seeds), arguments.through, arms):
        if (arm, tau, seed) in done:
            continue
        config = recipe(base, arm, tau, steps, seed)
        run = {"arm": arm, "tau": tau, "seed": seed, **watched(experiment.task.problem(config, dataset), config)}
        study["runs"].append(run)
        arguments.results.parent.mkdir(exist_ok=True)
        write_json(arguments.results, studies)
        shown = {side: summary([run], side, study["floor"]) for side in SIDES}
        shown = "; ".join(
            f"{SIDES[side]}: median {one['median'][0]:.2f}, largest {one['largest'][0]:.2f}, last {one['last'][0]:.2f}"
            for side, one in shown.items()
        )
        print(f"{arm}, tau {tau:g}, seed {seed}: {run['lost'] or shown} ({run['seconds']:.0f} s)", flush=True)
    if arguments.results == RESULTS:
        write(studies)


def groups(study: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the runs by label, in the order of the arms."""
    found: dict[str, list[dict[str, Any]]] = {}
    for arm, tau in itertools.product(arm_names(), sorted({run["tau"] for run in study["runs"]})):
        runs = [run for run in study["runs"] if (run["arm"], run["tau"]) == (arm, tau)]
        if runs:
            found[f"{arm}, through the solver for {tau:g}" if tau else arm] = runs
    return found


def table(study: dict[str, Any]) -> list[str]:
    """Return the rows of one study: the median over the seeds and, in brackets, the worst of them."""
    head = [f"{SIDES[side]}: {what}" for side in SIDES for what in ("median", "largest", "last")]
    lines = ["| arm | seeds | " + " | ".join(head) + " |", "|---" * (2 + len(head)) + "|"]
    for label, runs in groups(study).items():
        cells = []
        for side in SIDES:
            cells += [f"{np.median(v):.2f} ({max(v):.2f})" for v in summary(runs, side, study["floor"]).values()]
        lines.append(f"| {label} | {len(runs)} | " + " | ".join(cells) + " |")
    return lines


def draw(studies: dict[str, Any], target: Path) -> None:
    """Draw the course of every arm, all seeds, one block of panels for each experiment."""
    columns = 4
    rows = [-(-len(groups(study)) // columns) for study in studies.values()]
    figure = plt.figure(figsize=(2.7 * columns, 1.8 * sum(rows) + 0.6), layout="constrained")
    blocks = np.atleast_1d(figure.subfigures(len(studies), 1, height_ratios=rows))
    for block, count, (name, study) in zip(blocks, rows, studies.items()):
        boxes = block.subplots(count, columns, sharex=True, sharey=True, squeeze=False)
        found = groups(study)
        for axes, (label, runs) in zip(boxes.flat, found.items()):
            for run, (side, colour) in itertools.product(runs, zip(SIDES, ("C1", "C0"))):
                axes.plot(run["step"], np.array(run[side]) / study["floor"], color=colour, lw=0.8, alpha=0.8)
            axes.axhline(1.0, color="0.4", lw=0.8)
            axes.set_yscale("log")
            axes.set_title(label, fontsize=7)
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 3), numticks=12))
            axes.yaxis.set_major_formatter(FormatStrFormatter("%g"))
            axes.yaxis.set_minor_formatter(NullFormatter())
            axes.tick_params(labelsize=7)
        for axes in list(boxes.flat)[len(found) :]:
            axes.set_visible(False)
        block.supxlabel("updates", fontsize=8)
        block.suptitle(
            f"{NAMES[name]}: distance over that of two sets of data; orange as it stands, blue averaged", fontsize=9
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, dpi=110)


def write(studies: dict[str, Any]) -> None:
    """Write the picture and the marked part of the page."""
    draw(studies, ROOT / "docs" / "images" / "swing.png")
    lines = [MARKS[0], "", "## How much the distances fluctuate during training", ""]
    lines += ["![The course of every arm, all seeds](images/swing.png)", ""]
    lines += [
        "- An arm is an update scheme with decayed or constant step sizes.",
        "- *Plane*: the latents are points of the plane.",
        "- *Transport*: the latents are points of the plane, and the transport cost is on.",
        "- *As it stands* is the generator without averaging, *averaged* its exponential average.",
        "",
    ]
    for name, study in studies.items():
        machine, versions = study["machine"], study["versions"]
        lines += [
            f"{NAMES[name]}, {study['settings']['steps']} updates, {CHECKPOINTS} checkpoints. The distance is the "
            f"{study['distance']} of {study['n']} samples, divided by its median between two sets of data. Columns: "
            "median, largest and last distance in the last quarter of the training. Each entry is the median over the "
            "seeds and, in brackets, the worst seed (inf: diverged). Each run had "
            f"{machine['cores']} core{'s' if machine['cores'] > 1 else ''} (jax {versions['jax']}).",
            "",
            *table(study),
            "",
        ]
    text = PAGE.read_text()
    if MARKS[0] in text:
        before, _, rest = text.partition(MARKS[0])
        after = rest.partition(MARKS[1])[2].lstrip("\n")
    else:
        before, after = text.rstrip("\n") + "\n\n", ""
    write_text(PAGE, before + "\n".join([*lines, MARKS[1], ""]) + ("\n" + after if after else ""))


if __name__ == "__main__":
    main()
