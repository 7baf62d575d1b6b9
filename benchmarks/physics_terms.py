"""What physics terms do to forecasts at equal seconds of training, on three systems, every seed shown.

*Task.* Trajectories of four later fields on 32 points, given 8 noisy fixed sensors of the initial field and the value
of a parameter (the task ``forecast``), by small dense players with the fair ensemble score. The systems are Burgers'
equation (fronts, energy decays), advection (everything conserved) and the Allen-Cahn equation (two phases, fronts).

*Arms.* No term; every term of `experiments.tasks.physics_terms` with a weight balanced against the adversarial
gradient; two of them with a fixed weight, and also at parameters outside the range, where there are no data; and, in
place of any term, the initial field alone is generated and the solver makes the trajectory. Every arm gets the number
of updates that fits into the same time: milliseconds of processor time per update are measured first, all arms in turn
in one process, and the time is that of ``--updates`` updates without any term.

*Measures*, on 128 test cases with 32 members: the CRPS over that of the exact posterior ensemble, inside the range of
the parameter and at two values outside; spread over error; and the root mean square of the defect.

    python benchmarks/physics_terms.py [--seeds 5] [--updates 4000] [--systems burgers advection allen_cahn]
    python benchmarks/physics_terms.py --page

Writes benchmarks/results/physics_terms.json after every run; a stopped study goes on where it was. ``--page`` writes
the marked part of docs/physics_terms.md from that file.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from experiments import environment

environment.prepare()

import jax
import numpy as np

import physics
from experiments.config import DataConfig, ExperimentConfig
from experiments.evaluation.scores.ensemble import crps, spread_skill_ratio
from experiments.files import write_json, write_text
from experiments.tasks.forecast import INITIAL, Forecast, ForecastConfig
from experiments.tasks.observations import observe
from experiments.tasks.physics_terms import TERMS
from gan.config import GameConfig, NetworkConfig, OptimizerConfig, TrainingConfig
from gan.training.divergence import Diverged
from gan.training.loop import Trainer

ROOT = Path(__file__).resolve().parents[1]
RESULTS, PAGE = ROOT / "benchmarks" / "results" / "physics_terms.json", ROOT / "docs" / "physics_terms.md"
MARKS = ("<!-- figures: physics terms -->", "<!-- end -->")
CASES, MEMBERS, FIXED, SHARE = 128, 32, 0.2, 0.3
NONE = "no term"
ELSEWHERE = ("defect", "resolve")
"""Terms that are also tried with a fixed weight, and at parameters outside the range."""
MISSING = "Not measured on a quiet machine yet."
MEASURES = ("crps", "outside", "spread", "defect")
TITLES = {"burgers": "Burgers' equation", "advection": "Advection", "allen_cahn": "Allen-Cahn equation"}


def factory(kind: type, name: str) -> Any:
    """Return ``(config, parameter, points) -> system``."""

    def system(config: ExperimentConfig, parameter: Any, points: int | None = None) -> physics.System:
        shape = config.data.points if points is None else (points,)
        return kind(physics.Grid(shape, config.data.extent), **{name: parameter})

    return system


def forecast(kind: type, name: str, low: float, high: float, outside: tuple[float, float], dt: float, interval: float):
    """Return task and settings of one system."""
    config = ExperimentConfig(
        data=DataConfig(
            points=(32,),
            extent=(2 * np.pi,),
            dt=dt,
            trajectories=(32768, 256, CASES),
            snapshots=4,
            spin_up=interval,
            stride=interval,
        ),
        system=ForecastConfig(parameter=(low, high), outside=outside, terms=(), sensors=True),
        network=NetworkConfig(kind="residual_mlp", width=64, blocks=2, latent=32),
        game=GameConfig(r1=0.1, r2=0.1, gamma_rule="fixed", ensemble_weight=1.0),
        optimizer=OptimizerConfig(generator_rate=1e-3, discriminator_rate=1e-3),
        training=TrainingConfig(batch=64, devices=1, log_every=50, checkpoint_every=10**6, keep=1),
    )
    return Forecast(factory(kind, name), name, defect_steps=round(interval / dt)), config


SYSTEMS = {
    "burgers": lambda: forecast(physics.Burgers, "viscosity", 0.2, 0.5, (0.15, 0.8), 0.025, 0.25),
    "advection": lambda: forecast(physics.Advection, "velocity", 0.5, 2.0, (0.25, 3.0), 0.05, 0.25),
    "allen_cahn": lambda: forecast(physics.AllenCahn, "interface_width", 0.4, 0.8, (0.35, 1.0), 0.05, 0.5),
}


def arms(config: ExperimentConfig) -> dict[str, ExperimentConfig]:
    """Return the settings of every arm; they differ in the section ``system`` alone."""

    def changed(**values: Any) -> ExperimentConfig:
        return replace(config, system=replace(config.system, **values))

    found = {NONE: config}
    for term in ELSEWHERE:
        found[f"{term}, weight {FIXED:g}"] = changed(terms=(term,), weights=(FIXED,))
    for term in TERMS:
        found[f"{term}, balanced {SHARE:g}"] = changed(terms=(term,), weights=(SHARE,), balanced=True)
    for term in ELSEWHERE:
        changes = {"terms": (term,), "weights": (SHARE,), "balanced": True, "elsewhere": True}
        found[f"{term}, balanced {SHARE:g}, also outside the range"] = changed(**changes)
    found["initial field, then the solver"] = changed(generates=INITIAL)
    return found


def problem_of(task: Forecast, config: ExperimentConfig, dataset: Any) -> Any:
    """Return the training problem without held-out samples: nothing is chosen by them here."""
    return replace(task.problem(config, dataset), validation=None, validation_condition=None)


def milliseconds(
    task: Forecast, settings: dict[str, ExperimentConfig], dataset: Any, rounds: int = 12
) -> dict[str, float]:
    """Return the median milliseconds of processor time of an update of every arm, all arms in turn."""
    takers = {}
    for name, config in settings.items():
        trainer = Trainer(problem_of(task, config, dataset), config, tempfile.mkdtemp())
        takers[name] = [trainer, trainer.spread.replicate(trainer.state), (0, 0)]
    taken: dict[str, list[float]] = {name: [] for name in settings}
    for turn in range(rounds + 1):
        for name, (trainer, state, cursor) in takers.items():
            began = time.process_time()
            for _ in range(5):
                batch = trainer.spread.place(trainer.next_batch(cursor))
                state, metrics = trainer.step(state, *batch)
            jax.block_until_ready(metrics)
            takers[name][1] = state
            if turn:
                taken[name].append((time.process_time() - began) / 5 * 1e3)
    return {name: float(np.median(times)) for name, times in taken.items()}


def scores(task: Forecast, config: ExperimentConfig, dataset: Any, trained: Any) -> dict[str, float]:
    """Return the measures of a generator."""
    own = task.own_settings(config)
    posterior, key = task.exact_posterior(config, dataset), jax.random.key(7)

    def measured(seen: Any, truth: np.ndarray) -> tuple[float, float, float]:
        given = {name: np.repeat(value, MEMBERS, axis=0) for name, value in task.condition(config, seen).items()}
        fields = trained.sample(key, CASES * MEMBERS, given).reshape(CASES, MEMBERS, *task.spec(config).shape)
        made = posterior.solve(fields, seen.parameter) if own.generates == INITIAL else fields
        exact = posterior.solve(posterior.draw(seen, MEMBERS, jax.random.key(8)), seen.parameter)
        ours, best = (float(np.mean(crps(np.moveaxis(one, 1, 0), truth, fair=True))) for one in (made, exact))
        spread = float(spread_skill_ratio(np.moveaxis(made, 1, 0), truth))
        defects = posterior.defects(made, seen.parameter)
        return ours / best, spread, float(np.sqrt(np.mean(np.square(defects))))

    tests = task.observe(config, dataset, "test").first(CASES)
    inside, spread, defect = measured(tests, np.asarray(dataset.test[:CASES]))
    outside = []
    for number, value in enumerate(own.outside):
        initial = posterior.prior_fields(CASES, 1, jax.random.key(20 + number))
        parameter = np.full(CASES, value)
        rng = np.random.default_rng(number)
        seen = observe(initial[:, 0], parameter, own.observations, own.noise, rng, sensors=own.sensors)
        outside.append(measured(seen, posterior.solve(initial, parameter)[:, 0])[0])
    return {"crps": inside, "outside": float(np.mean(outside)), "spread": spread, "defect": defect}


def trained_scores(task: Forecast, config: ExperimentConfig, dataset: Any, seed: int, steps: int) -> dict[str, Any]:
    """Train one arm at one seed and return its measures."""
    training = replace(config.training, seed=seed, steps=steps, log_every=min(50, steps))
    config = replace(config, training=training)
    folder = Path(tempfile.mkdtemp())
    try:
        trainer = Trainer(problem_of(task, config, dataset), config, folder)
        return scores(task, config, dataset, trainer.run(False, None))
    except Diverged as error:
        return {"lost": str(error)}
    finally:
        shutil.rmtree(folder)


def table(found: dict[str, Any], name: str) -> str:
    """Return the table of one system: medians over seeds, with the lowest and the highest."""
    kept = found["systems"][name]
    lines = [
        "| arm | updates | CRPS / exact, every seed | outside the range | spread / error | defect |",
        "|---|---|---|---|---|---|",
    ]
    for arm, runs in kept["arms"].items():
        good = [run for run in runs.values() if "lost" not in run]
        every = ", ".join(f"{run['crps']:.2f}" if "lost" not in run else "diverged" for run in runs.values())
        rest = "| | | |"
        if good:
            outside, spread, defect = (float(np.median([run[key] for run in good])) for key in MEASURES[1:])
            rest = f"| {outside:.2f} | {spread:.2f} | {defect:.2g} |"
        updates = updates_of(found, name, arm)
        lines.append(
            f"| {arm} | {updates:,} | **{np.median([run['crps'] for run in good]):.2f}** ({every}) {rest}"
            if good
            else f"| {arm} | {updates:,} | {every} {rest}"
        )
    return "\n".join(lines)


def updates_of(found: dict[str, Any], name: str, arm: str) -> int:
    """Return the updates that fit into the time of those without any term."""
    taken = found["systems"][name]["milliseconds"]
    return round(found["updates"] * taken[NONE] / taken[arm])


def known() -> dict[str, Any] | None:
    """Return the study as far as it has been run; None before."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else None


def with_figures(page: str, found: dict[str, Any] | None) -> str:
    """Return the page with the tables of all systems between its marks."""
    before, _, rest = page.partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    parts = [f"### {TITLES[name]}\n\n{table(found, name)}" for name in found["systems"]] if found else [MISSING]
    return f"{before}{MARKS[0]}\n\n" + "\n\n".join(parts) + f"\n\n{MARKS[1]}{after}"


def main() -> None:
    """Run the study, or write the page from its file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--updates", type=int, default=4000, help="of the arm without a term, whose time all get")
    parser.add_argument("--systems", nargs="+", choices=list(SYSTEMS), default=list(SYSTEMS))
    parser.add_argument("--page", action="store_true", help="write the page and train nothing")
    given = parser.parse_args()
    if given.page:
        write_text(PAGE, with_figures(PAGE.read_text(), known()))
        return
    found: dict[str, Any] = known() or {}
    found.setdefault("machine", {"processor": platform.processor(), "cores": os.cpu_count(), "jax": jax.__version__})
    found.setdefault("updates", given.updates)
    tasks = {name: SYSTEMS[name]() for name in given.systems}
    data = {name: task.data(config, lambda *said: None) for name, (task, config) in tasks.items()}
    for name, (task, config) in tasks.items():
        kept = found.setdefault("systems", {}).setdefault(name, {"milliseconds": {}, "arms": {}})
        if not kept["milliseconds"]:
            kept["milliseconds"] = milliseconds(task, arms(config), data[name])
            write_json(RESULTS, found)
    for seed, name in itertools.product(range(1, given.seeds + 1), tasks):
        task, config = tasks[name]
        kept = found["systems"][name]
        for arm, settings in arms(config).items():
            runs = kept["arms"].setdefault(arm, {})
            if str(seed) in runs:
                continue
            steps = updates_of(found, name, arm)
            runs[str(seed)] = trained_scores(task, settings, data[name], seed, steps)
            print(name, seed, arm, steps, runs[str(seed)], flush=True)
            write_json(RESULTS, found)


if __name__ == "__main__":
    main()
