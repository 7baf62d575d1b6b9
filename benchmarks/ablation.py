"""What each part of the Kuramoto-Sivashinsky recipe brings: equal training time, several seeds, all shown.

Arms: plain adversarial training; the same advanced by the solver afterwards (no training of its own); training
through the solver at three solver-layer times; the middle one with constant step sizes; and the middle one with one
part of the recipe taken away at a time. Every arm trains for the same time: its steps are what a calibration, run first
and to be run on a quiet machine, says fit in, so that the outcome does not depend on what runs beside the study. Ratios
are distances over the solver-against-solver floor at equal n (no two-sample test takes part; those are in
where_the_solver_belongs.py), from the last checkpoint. A run that diverges, or whose
samples the solver refuses, is listed as lost.

    python benchmarks/ablation.py [--seconds 120] [--seeds 0,1,2] [--preset demo] [--arms plain ...]

Writes benchmarks/results/ablation.json, docs/ablation.md and docs/images/ablation.png after every run: a stopped study
goes on where it was, and several processes may share it, each with seeds of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import fcntl
import itertools
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator
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
from experiments.evaluation.distances import ReferenceSet
from experiments.evaluation.snapshot import finite_fields
from experiments.evaluation.snapshot_inputs import SnapshotSizes
from experiments.files import write_json, write_text
from experiments.options import to_mapping
from experiments.tasks.advance import refiner
from gan import train
from gan.training.divergence import Diverged

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "ablation.json"
PAGE = ROOT / "docs" / "ablation.md"
PICTURE = ROOT / "docs" / "images" / "ablation.png"
STEP = 0.2
REFINED = 4.0
ROUNDS = 5


def arms(config: ExperimentConfig) -> dict[str, ExperimentConfig]:
    """Return the recipe of each arm; only what its name says differs."""

    def through(tau: float) -> ExperimentConfig:
        solver_layer = dataclasses.replace(config.solver_layer, tau=tau, steps=max(1, round(tau / STEP)))
        return dataclasses.replace(config, solver_layer=solver_layer)

    middle = through(4.0)

    def optimizer(**changes: Any) -> ExperimentConfig:
        return dataclasses.replace(middle, optimizer=dataclasses.replace(middle.optimizer, **changes))

    fixed = dataclasses.replace(middle, game=dataclasses.replace(middle.game, symmetrize=False))
    sudden = dataclasses.replace(middle, solver_layer=dataclasses.replace(middle.solver_layer, start=1.0))
    return {
        "plain": through(0.0),
        "through the solver, tau 1": through(1.0),
        "through the solver, tau 4": middle,
        "through the solver, tau 8": through(8.0),
        "tau 4, constant step sizes": optimizer(schedule="constant"),
        "tau 4, no update limit": optimizer(update_limit=0.0),
        "tau 4, samples not symmetrised": fixed,
        "tau 4, no curriculum": sudden,
        "tau 4, beta2 0.99 throughout": optimizer(beta2=0.99),
    }


def trained(config: ExperimentConfig, problem: Any, steps: int, seed: int) -> Any:
    """Train for ``steps`` and return the generator."""
    training = dataclasses.replace(
        config.training,
        steps=steps,
        seed=seed,
        log_every=10,
        checkpoint_every=10 * max(1, steps // 10),
        diagnose_every=0,
    )
    folder = Path(tempfile.mkdtemp())
    try:
        return train(problem, dataclasses.replace(config, training=training), folder)
    finally:
        shutil.rmtree(folder)


def seconds_per_step(config: ExperimentConfig, problem: Any) -> float:
    """Time 60 steps, compilation left out."""
    training = dataclasses.replace(config.training, steps=90, log_every=30, checkpoint_every=90, diagnose_every=0)
    folder = Path(tempfile.mkdtemp())
    try:
        train(problem, dataclasses.replace(config, training=training), folder)
        rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    finally:
        shutil.rmtree(folder)
    # The last interval holds the validation and the checkpoint.
    return (rows[1]["seconds"] - rows[0]["seconds"]) / 30


def calibrate(recipes: dict[str, ExperimentConfig], problem: Callable[[ExperimentConfig], Any]) -> dict[str, float]:
    """Return the seconds of a step of every arm: the median of interleaved rounds, one figure per solver-layer time."""
    costly = {recipe.solver_layer.tau: recipe for recipe in recipes.values()}
    rounds = [{tau: seconds_per_step(one, problem(one)) for tau, one in costly.items()} for _ in range(ROUNDS)]
    cost = {tau: float(np.median([one[tau] for one in rounds])) for tau in costly}
    for tau, seconds in cost.items():
        print(f"solver-layer time {tau:g}: {1e3 * seconds:.1f} ms a step", flush=True)
    return {name: cost[recipe.solver_layer.tau] for name, recipe in recipes.items()}


def ratios(reference_set: ReferenceSet, samples: np.ndarray) -> dict[str, float]:
    """Every distance of samples over its floor."""
    return {name: value / reference_set.floor[name] for name, value in reference_set.distances(samples).items()}


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Keep other processes of the study from reading and writing its results."""
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    folder = os.open(RESULTS.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def main() -> None:
    """Run what is missing, then write table and picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120.0, help="training time of every run")
    parser.add_argument("--seeds", default="0,1,2", help="seeds, separated by commas")
    parser.add_argument("--arms", nargs="*", help="names of the arms to run (default: all)")
    parser.add_argument("--preset", default="convolutional")
    arguments = parser.parse_args()
    experiment = catalog.load("kuramoto_sivashinsky")
    config = experiment.presets[arguments.preset]
    task = experiment.task
    dataset = task.data(config, lambda done, total, what: None)
    system = task.system(config)
    refine = refiner(system, dataset.dt)
    pool = np.asarray(dataset.test[:, 0])
    sizes = SnapshotSizes(fields=config.compare.fields, draws=config.compare.draws)
    reference_set = sizes.reference_set(pool, system.grid.extent)
    recipes = arms(config)
    study: dict[str, Any] = {"runs": [], "calibration": {}}
    if RESULTS.exists():
        study = json.loads(RESULTS.read_text())
    # Runs of another budget or recipe are another study: one table must not mix them.
    asked_for = {
        "seconds": arguments.seconds,
        "preset": arguments.preset,
        "recipes": {name: to_mapping(recipe) for name, recipe in recipes.items()},
    }
    kept = {name: study.get(name) for name in asked_for}
    if study["runs"] and kept != json.loads(json.dumps(asked_for)):
        raise SystemExit(f"{RESULTS} holds runs of another budget, preset or recipe: move it away and start again.")
    study |= {
        "machine": {"cores": os.cpu_count(), "platform": f"{platform.system()} {platform.machine()}"},
        "versions": {"jax": jax.__version__, "python": platform.python_version()},
        **asked_for,
        "n": sizes.fields,
    }
    if not study["calibration"]:
        study["calibration"] = calibrate(recipes, lambda recipe: task.problem(recipe, dataset))
    if arguments.arms and not set(arguments.arms) <= set(recipes):
        parser.error(f"--arms must be among {', '.join(map(repr, recipes))}.")
    with alone():
        if RESULTS.exists():
            study["runs"] = json.loads(RESULTS.read_text())["runs"]
        write_json(RESULTS, study)
    done = {(run["arm"], run["seed"]) for run in study["runs"]}
    # The question of the study first, then the parts of the recipe, so that a stopped study has answered something.
    for group in (list(recipes)[:5], list(recipes)[5:]):
        for seed, name in itertools.product(map(int, arguments.seeds.split(",")), group):
            recipe = recipes[name]
            if (name, seed) in done or (arguments.arms and name not in arguments.arms):
                continue
            steps = 10 * round(arguments.seconds / study["calibration"][name] / 10)
            run: dict[str, Any] = {"arm": name, "seed": seed, "steps": steps}
            try:
                generator = trained(recipe, task.problem(recipe, dataset), steps, seed)
                drawn, valid = generator.draw(jax.random.key(seed), sizes.fields + sizes.fields // 8)
                samples, _ = finite_fields(np.where(valid[:, None, None], drawn, np.nan), sizes.fields)
                run["ratios"] = ratios(reference_set, samples)
                run["refined"] = ratios(reference_set, finite_fields(refine(samples, REFINED), sizes.fields)[0])
            except (Diverged, ValueError) as problem:
                run["lost"] = str(problem)
                print(f"{name}, seed {seed}: lost: {problem}", flush=True)
            else:
                near, far = list(run["ratios"].values()), list(run["refined"].values())
                print(
                    f"{name}, seed {seed}: {steps} steps, median ratio {np.median(near):.2f}, "
                    f"worst {max(near):.2f}; refined by {REFINED:g}: {np.median(far):.2f}",
                    flush=True,
                )
            with alone():
                study["runs"] = [*json.loads(RESULTS.read_text())["runs"], run]
                write_json(RESULTS, study)
                write(study, list(recipes))


def rows_of(study: dict[str, Any], names: list[str]) -> list[tuple[str, list[dict[str, float] | None], int]]:
    """Return (label, ratios of every seed or None where the run is lost, steps) for each line of the table."""
    rows: list[tuple[str, list[dict[str, float] | None], int]] = []
    for name in names:
        runs = sorted((run for run in study["runs"] if run["arm"] == name), key=lambda run: run["seed"])
        if runs:
            rows.append((name, [run.get("ratios") for run in runs], runs[0]["steps"]))
            rows.append((f"{name}, refined by {REFINED:g}", [run.get("refined") for run in runs], runs[0]["steps"]))
    return rows


def write(study: dict[str, Any], names: list[str]) -> None:
    """Write the page and the picture."""
    rows = rows_of(study, names)
    distances = next((list(run["ratios"]) for run in study["runs"] if "ratios" in run), [])
    lines = [
        "# What each part of the recipe brings",
        "",
        "This page shows how close the samples of several variants (arms) of the Kuramoto-Sivashinsky recipe come to "
        "the solver after equal training time. It is for readers who want to know which parts of the recipe matter.",
        "",
        "**Only distances were measured.** No two-sample test took part, and tests detect more differences than "
        "distances do. [where_the_solver_belongs.md](where_the_solver_belongs.md) answers with tests, sealed data and "
        "the demo's full length whether the solver belongs in the training.",
        "",
        "## Distances of every arm",
        "",
        f"- **Training.** Kuramoto-Sivashinsky, preset `{study['preset']}`. Each arm makes as many steps as fit into "
        f"{study['seconds']:g} s on a quiet machine ({study['machine']['cores']} cores, jax "
        f"{study['versions']['jax']}). The samples are those of the last checkpoint.",
        f"- **Entries.** Every entry is a distance between n = {study['n']} samples and as many solver fields, divided "
        "by its floor. The floor is the distance between two sets of solver fields, so that 1 is as close as the "
        "solver comes to itself.",
        "- **Columns.** The median and the largest value over all distances are given for every seed. The columns of "
        "single distances are medians over the seeds that were not lost. A seed is lost if its training diverged, or "
        "if the solver refused its samples.",
        f"- **Arms.** *Plain* is training without the solver. *Through the solver, tau 4* has a solver layer of 4 time "
        f"units. *Refined by {REFINED:g}* means that the solver advanced the samples by {REFINED:g} time units after "
        "the training.",
        "",
        "Written by `python benchmarks/ablation.py`.",
        "",
        "![Median ratio of every arm and seed](images/ablation.png)",
        "",
        "| arm | steps | median ratio, every seed | largest ratio, every seed | " + " | ".join(distances) + " |",
        "|---" * (4 + len(distances)) + "|",
    ]
    for label, ratios, steps in rows:
        medians = ", ".join("lost" if one is None else f"{np.median(list(one.values())):.2f}" for one in ratios)
        worst = ", ".join("lost" if one is None else f"{max(one.values()):.2f}" for one in ratios)
        kept = [one for one in ratios if one is not None]
        single = " | ".join(f"{np.median([one[key] for one in kept]):.2f}" if kept else "" for key in distances)
        lines.append(f"| {label} | {steps} | {medians} | {worst} | {single} |")
    notes = PAGE.read_text().partition("\n## What it says\n") if PAGE.exists() else ("", "", "")
    PAGE.parent.mkdir(exist_ok=True)
    write_text(PAGE, "\n".join(lines) + "\n" + notes[1] + notes[2])
    figure, both = plt.subplots(1, 2, figsize=(9.5, 0.36 * len(rows) + 1.1), sharey=True, layout="constrained")
    for axes, summary, what in zip(both, (np.median, max), ("median", "largest")):
        for place, (label, ratios, _) in enumerate(rows):
            colour = "C1" if "refined" in label else "C0"
            values = [summary(list(one.values())) for one in ratios if one is not None]
            axes.plot(values, [-place] * len(values), "o", color=colour, alpha=0.85)
        axes.axvline(1.0, color="0.3", lw=1)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(FormatStrFormatter("%g"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel(f"{what} of the distances / floor")
        axes.grid(axis="x", alpha=0.3)
    both[0].set_yticks([-place for place in range(len(rows))], [label for label, _, _ in rows])
    figure.suptitle("One point per seed; 1 is as close as two sets of solver fields come", fontsize=10)
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PICTURE, dpi=160)


if __name__ == "__main__":
    main()
