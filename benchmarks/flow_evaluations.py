"""How many evaluations of the velocity a sample of flow matching needs: forecasts of Burgers' equation from sensors.

The number of evaluations has no part in the training of flow matching, so that one generator is compared at all of
them: the CRPS of 32 members over that of the exact posterior, and spread over error, on the 512 test cases of the runs'
own data (development data), and the microseconds of a sample without the solver, all numbers in turn.

    python benchmarks/flow_evaluations.py RUN RUN ...       # runs of `burgers --preset sensors`
    python benchmarks/flow_evaluations.py --page            # the marked part of docs/training.md

Writes benchmarks/results/flow_evaluations.json.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

from experiments import environment

environment.prepare()

import jax
import numpy as np

from experiments import pipeline, runs
from experiments.evaluation.scores.ensemble import crps, spread_skill_ratio
from experiments.files import write_json, write_text
from experiments.tasks.forecast import Forecast
from gan.training.checkpoint import read_description
from gan.training.trained import Trained, rebuild

ROOT = Path(__file__).resolve().parents[1]
RESULTS, PAGE = ROOT / "benchmarks" / "results" / "flow_evaluations.json", ROOT / "docs" / "training.md"
MARKS = ("<!-- evaluations: written by benchmarks/flow_evaluations.py -->", "<!-- end of evaluations -->")
NUMBERS = (2, 4, 6, 8, 12, 16, 24)
MEMBERS, ROUNDS = 32, 5


def with_evaluations(trained: Trained, description: dict[str, Any], number: int) -> Trained:
    """Return the same generator with another number of evaluations for a sample."""
    described = json.loads(json.dumps(description))
    described["recipe"]["game"]["evaluations"] = number
    recipe, networks, _ = rebuild(described)
    return Trained(recipe, networks, trained.generator, step=trained.step)


def measured(path: Path) -> dict[str, Any]:
    """Return quality and time of a run's generator for every number of evaluations."""
    folder = runs.open_folder(path)
    config, task = folder.config, folder.definition().learnt()
    assert isinstance(task, Forecast)
    (dataset, trained), description = pipeline.open_trained(folder), read_description(folder.path)
    posterior, cases = task.exact_posterior(config, dataset), config.compare.cases
    seen = task.observe(config, dataset, "test").first(cases)
    truth = np.asarray(dataset.test[:cases])
    given = {name: np.repeat(value, MEMBERS, axis=0) for name, value in task.condition(config, seen).items()}
    exact = posterior.solve(posterior.draw(seen, MEMBERS, jax.random.key(8)), seen.parameter)
    best = float(np.mean(crps(np.moveaxis(exact, 1, 0), truth, fair=True)))
    found: dict[str, Any] = {}
    generators = {number: with_evaluations(trained, description, number) for number in NUMBERS}
    for number, generator in generators.items():
        fields = generator.sample(jax.random.key(7), cases * MEMBERS, given).reshape(cases, MEMBERS, *truth.shape[2:])
        made = np.moveaxis(posterior.solve(fields, seen.parameter), 1, 0)
        found[str(number)] = {
            "crps": float(np.mean(crps(made, truth, fair=True))) / best,
            "spread": float(spread_skill_ratio(made, truth)),
            "microseconds": [],
        }
    for _ in range(ROUNDS):
        for number, generator in generators.items():
            began = time.perf_counter()
            generator.sample(jax.random.key(9), cases * MEMBERS, given)
            found[str(number)]["microseconds"].append((time.perf_counter() - began) / (cases * MEMBERS) * 1e6)
    for row in found.values():
        row["microseconds"] = statistics.median(row["microseconds"])
    return {"seed": config.training.seed, "numbers": found}


def span(values: list[float], form: str) -> str:
    """One value, or the smallest and the largest."""
    low, high = (format(one, form) for one in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


def table(study: dict[str, Any]) -> str:
    """Return the table: the smallest and the largest value over the seeds."""
    lines = [
        "| evaluations | CRPS over that of the exact posterior | spread over error | µs of a sample |",
        "|---|---|---|---|",
    ]
    for number in map(str, NUMBERS):
        rows = [run["numbers"][number] for run in study["runs"]]
        cells = [
            span([row[key] for row in rows], form)
            for key, form in (("crps", ".3f"), ("spread", ".2f"), ("microseconds", ".0f"))
        ]
        lines.append(f"| {number} | {' | '.join(cells)} |")
    return "\n".join(lines)


def with_table(page: str, study: dict[str, Any]) -> str:
    """Return the page with the table between its marks."""
    before, _, rest = page.partition(MARKS[0])
    return f"{before}{MARKS[0]}\n\n{table(study)}\n\n{MARKS[1]}{rest.partition(MARKS[1])[2]}"


def main() -> None:
    """Measure, or write the page from the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="*", metavar="RUN")
    parser.add_argument("--page", action="store_true", help="write the page from the result file")
    given = parser.parse_args()
    if given.runs:
        found = sorted((measured(path) for path in given.runs), key=lambda one: one["seed"])
        write_json(RESULTS, {"cores": os.cpu_count(), "jax": jax.__version__, "members": MEMBERS, "runs": found})
    if given.page:
        write_text(PAGE, with_table(PAGE.read_text(), json.loads(RESULTS.read_text())))


if __name__ == "__main__":
    main()
