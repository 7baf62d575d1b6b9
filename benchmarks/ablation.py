"""What each part of the Kuramoto-Sivashinsky recipe brings: equal training time, several seeds, all shown.

Arms: plain adversarial training; the same carried on by the solver afterwards (no training of its own); training
through the solver at three carry times; and the middle one with constant step sizes. Every arm trains for the same
wall time: its steps are what a calibration on this machine says fit in. Ratios are distances over the
solver-against-solver floor at equal n, from the last checkpoint.

    python benchmarks/ablation.py [--seconds 120] [--seeds 3] [--preset demo]

Writes benchmarks/results/ablation.json after every run (a stopped study goes on where it was), docs/ablation.md and
docs/images/ablation.png.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from experiments import environment

environment.prepare()

import jax
import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from experiments import catalog
from experiments.compare import RefinementInputs, Sizes, compare_snapshot
from experiments.config import ExperimentConfig
from experiments.options import to_mapping
from experiments.runs import write_json
from experiments.tasks.snapshot import refiner
from gan import train

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "ablation.json"
PAGE = ROOT / "docs" / "ablation.md"
PICTURE = ROOT / "docs" / "images" / "ablation.png"
STEP = 0.2
REFINED = 4.0


def arms(config: ExperimentConfig) -> dict[str, ExperimentConfig]:
    """Return the recipe of each arm; only what its name says differs."""

    def through(tau: float) -> ExperimentConfig:
        carry = dataclasses.replace(config.carry, tau=tau, steps=max(1, round(tau / STEP)))
        return dataclasses.replace(config, carry=carry)

    constant = dataclasses.replace(config.optimizer, schedule="constant")
    return {
        "plain": through(0.0),
        "through the solver, tau 1": through(1.0),
        "through the solver, tau 4": through(4.0),
        "through the solver, tau 8": through(8.0),
        "tau 4, constant step sizes": dataclasses.replace(through(4.0), optimizer=constant),
    }


def trained(config: ExperimentConfig, problem: Any, steps: int, seed: int) -> tuple[Any, float]:
    """Train for ``steps`` and return the generator and the seconds of the training loop, compilation included."""
    training = dataclasses.replace(
        config.training, steps=steps, seed=seed, log_every=10, checkpoint_every=10 * max(1, steps // 10)
    )
    folder = Path(tempfile.mkdtemp())
    try:
        outcome = train(problem, dataclasses.replace(config, training=training), folder)
        seconds = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])["seconds"]
    finally:
        shutil.rmtree(folder)
    return outcome, float(seconds)


def seconds_per_step(config: ExperimentConfig, problem: Any) -> float:
    """Time 60 steps, compilation left out."""
    training = dataclasses.replace(config.training, steps=90, log_every=30, checkpoint_every=90)
    folder = Path(tempfile.mkdtemp())
    try:
        train(problem, dataclasses.replace(config, training=training), folder)
        rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    finally:
        shutil.rmtree(folder)
    # The last interval holds the validation and the checkpoint.
    return (rows[1]["seconds"] - rows[0]["seconds"]) / 30


def main() -> None:
    """Run what is missing, then write table and picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120.0, help="training time of every run")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--preset", default="demo")
    asked = parser.parse_args()
    experiment = catalog.load("kuramoto_sivashinsky")
    config = experiment.presets[asked.preset]
    task = experiment.task
    dataset = task.data(config, lambda done, total, what: None)
    system = task.system(config)
    refine = refiner(system, dataset.dt)
    pool, fields = np.asarray(dataset.test[:, 0]), dataset.train.reshape(-1, *system.field_shape)
    sizes = Sizes(n=config.compare.fields, draws=config.compare.draws, resamples=config.compare.resamples)
    yardstick = sizes.yardstick(pool, system.grid.extent)
    recipes = arms(config)
    study: dict[str, Any] = {"runs": [], "calibration": {}}
    if RESULTS.exists():
        study = json.loads(RESULTS.read_text())
    # Runs of another budget or recipe are another study: one table must not mix them.
    asked_for = {
        "seconds": asked.seconds,
        "preset": asked.preset,
        "recipes": {name: to_mapping(recipe) for name, recipe in recipes.items()},
    }
    kept = {name: study.get(name) for name in asked_for}
    if study["runs"] and kept != json.loads(json.dumps(asked_for)):
        raise SystemExit(f"{RESULTS} holds runs of another budget, preset or recipe: move it away and start again.")
    study |= {
        "machine": {"cores": os.cpu_count(), "platform": platform.platform()},
        "versions": {"jax": jax.__version__, "python": platform.python_version()},
        **asked_for,
        "n": sizes.n,
    }
    for name, recipe in recipes.items():
        if name not in study["calibration"]:
            study["calibration"][name] = seconds_per_step(recipe, task.problem(recipe, dataset))
            print(f"{name}: {1e3 * study['calibration'][name]:.1f} ms a step", flush=True)
    done = {(run["arm"], run["seed"]) for run in study["runs"]}
    for seed in range(asked.seeds):
        for name, recipe in recipes.items():
            if (name, seed) in done:
                continue
            steps = 10 * round(asked.seconds / study["calibration"][name] / 10)
            began = time.monotonic()
            generator, seconds = trained(recipe, task.problem(recipe, dataset), steps, seed)
            drawn, valid = generator.draw(jax.random.key(seed), sizes.n + sizes.n // 8)
            comparison, _ = compare_snapshot(
                np.where(valid[:, None, None], drawn, np.nan),
                pool,
                fields,
                channels=system.channels,
                extent=system.grid.extent,
                symmetries=system.symmetries,
                carry_time=recipe.carry.tau,
                sizes=sizes,
                yardstick=yardstick,
                refinement=RefinementInputs(refine, (recipe.carry.tau, recipe.carry.tau + REFINED)),
            )
            ratios = {key: entry["ratio"] for key, entry in comparison["distances"].items()}
            curve = comparison["refinement"]["generator"]
            later = {key: curve[key][-1] for key in ratios}
            run = {"arm": name, "seed": seed, "steps": steps, "seconds": seconds, "ratios": ratios, "refined": later}
            study["runs"].append(run)
            RESULTS.parent.mkdir(parents=True, exist_ok=True)
            write_json(RESULTS, study)
            near, far = list(ratios.values()), list(later.values())
            print(
                f"{name}, seed {seed}: {steps} steps in {seconds:.0f} s, median ratio {np.median(near):.2f}, "
                f"worst {max(near):.2f}; refined by {REFINED:g}: {np.median(far):.2f} "
                f"({time.monotonic() - began:.0f} s in all)",
                flush=True,
            )
    write(study, list(recipes))


def rows_of(study: dict[str, Any], names: list[str]) -> list[tuple[str, list[dict[str, float]], list[int]]]:
    """Return (label, ratios of every seed, steps of every seed) for each line of the table."""
    rows = []
    for name in names:
        runs = [run for run in study["runs"] if run["arm"] == name]
        steps = [run["steps"] for run in runs]
        rows.append((name, [run["ratios"] for run in runs], steps))
        rows.append((f"{name}, refined by {REFINED:g}", [run["refined"] for run in runs], steps))
    return rows


def write(study: dict[str, Any], names: list[str]) -> None:
    """Write the page and the picture."""
    rows = [row for row in rows_of(study, names) if row[1]]
    distances = list(rows[0][1][0])
    lines = [
        "# What each part of the recipe brings",
        "",
        f"Kuramoto-Sivashinsky, preset `{study['preset']}`, {study['seconds']:g} s of training for every run on the "
        f"same machine ({study['machine']['cores']} cores, jax {study['versions']['jax']}), n = {study['n']} fields on "
        "each side, last checkpoint. Every entry is a distance over the solver-against-solver floor (1 is as close as "
        "two sets of solver fields come); medians and largest values over the distances are given for every seed, the "
        "columns of single distances are "
        "medians over seeds. Written by `python benchmarks/ablation.py`.",
        "",
        "![Median ratio of every arm and seed](images/ablation.png)",
        "",
        "| arm | steps | median ratio, every seed | worst ratio, every seed | " + " | ".join(distances) + " |",
        "|---" * (4 + len(distances)) + "|",
    ]
    for label, ratios, steps in rows:
        medians = ", ".join(f"{np.median(list(one.values())):.2f}" for one in ratios)
        worst = ", ".join(f"{max(one.values()):.2f}" for one in ratios)
        single = " | ".join(f"{np.median([one[key] for one in ratios]):.2f}" for key in distances)
        lines.append(f"| {label} | {int(np.median(steps))} | {medians} | {worst} | {single} |")
    notes = PAGE.read_text().partition("\n## What it says\n") if PAGE.exists() else ("", "", "")
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text("\n".join(lines) + "\n" + notes[1] + notes[2])
    figure, axes = plt.subplots(figsize=(7.5, 0.42 * len(rows) + 1.1), layout="constrained")
    for place, (label, ratios, _) in enumerate(rows):
        colour = "C1" if "refined" in label else "C0"
        values = [np.median(list(one.values())) for one in ratios]
        axes.plot(values, [-place] * len(values), "o", color=colour, alpha=0.85)
    axes.axvline(1.0, color="0.3", lw=1)
    axes.set_yticks([-place for place in range(len(rows))], [label for label, _, _ in rows])
    axes.set_xscale("log")
    axes.set_xlabel("median distance / solver-against-solver floor (one point per seed)")
    axes.grid(axis="x", which="both", alpha=0.3)
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PICTURE, dpi=160)


if __name__ == "__main__":
    main()
