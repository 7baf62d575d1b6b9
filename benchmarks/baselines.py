"""What models without a game make of the same data: every experiment's demo with --baselines, one seed.

The baselines take the generator's own network, count of updates and batches. Runs the command line once for each
experiment and writes the figures of merit of generator and baselines (tests, distances over their floors, modes
counted) into benchmarks/results/baselines.json after each, and the tables into docs/metrics.md:

    python benchmarks/baselines.py [--experiments gaussians digits kuramoto_sivashinsky] [--runs-dir runs]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments import runs
from experiments.evaluation.entries import BaselineRow
from experiments.evaluation.results import Baselines, Comparison, Distances
from experiments.files import write_json, write_text
from experiments.wording import words

ROOT = Path(__file__).resolve().parents[1]
RESULTS, PAGE = ROOT / "benchmarks" / "results" / "baselines.json", ROOT / "docs" / "metrics.md"
ABOUT = (
    "Development runs of the demo presets, seed 0; published recipes are later. Ratios are distances over the floor:"
)
MARKS = ("<!-- baselines: written by benchmarks/baselines.py -->", "<!-- baselines: end -->")
FORMAT = 2
"""Of the result file; 1 was written from untyped comparisons."""
FIGURES = ("auc", "joint_p", "median_ratio", "largest_ratio", "crps", "modes_found", "high_quality", "total_variation")
"""Figures of merit in the order of the table's columns; a model has those that its experiment measures."""


def merit(row: BaselineRow, distances: Distances | None) -> dict[str, float]:
    """Return a row's figures of merit; where it names single distances, their median and largest ratio."""
    found = {name: row.values[name] for name in FIGURES if name in row.values}
    ratios = [row.values[name] for name in (distances.entries if distances else ()) if name in row.values]
    if ratios and "median_ratio" not in found:
        found |= {"median_ratio": float(np.median(ratios)), "largest_ratio": max(ratios)}
    return found


def measured(comparison: Comparison) -> dict[str, dict[str, Any]]:
    """Return figures and cost of the generator and of every baseline."""
    baselines, distances = comparison.need(Baselines), comparison.get(Distances)
    return {
        name: {
            "figures": merit(row, distances),
            "evaluations": row.evaluations,
            "seconds_per_sample": None if row.timing is None else row.timing.seconds,
            "training_seconds": row.training_seconds,
            "failed": row.failed,
        }
        for name, row in {"generator": baselines.generator, **baselines.rows}.items()
    }


def table(study: dict[str, Any]) -> list[str]:
    """Return one table for each experiment, with a column for every figure that it measures."""
    lines = []
    for experiment, rows in study["experiments"].items():
        names = [name for name in FIGURES if any(name in row["figures"] for row in rows.values())]
        lines += ["", f"| {experiment} | {' | '.join(map(words, names))} |", "|---" * (1 + len(names)) + "|"]
        for model, row in rows.items():
            cells = [f"{row['figures'][name]:.3g}" if name in row["figures"] else "" for name in names]
            failed = " (failed)" if row["failed"] else ""
            lines.append(f"| {words(model)}{failed} | {' | '.join(cells)} |")
    return lines


def main() -> None:
    """Run, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiments", nargs="+", default=["gaussians", "digits", "kuramoto_sivashinsky"])
    parser.add_argument("--runs-dir", default="runs")
    arguments = parser.parse_args()
    study = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if study.get("format") != FORMAT:
        study = {"format": FORMAT, "experiments": {}}
    study |= {
        "machine": {"cores": len(os.sched_getaffinity(0)), "platform": f"{platform.system()} {platform.machine()}"},
        "versions": {"python": platform.python_version(), "jax": jax.__version__},
    }
    for name in arguments.experiments:
        command = [sys.executable, "-m", "experiments", "run", name, "--preset", "demo", "--baselines"]
        subprocess.run([*command, "--runs-dir", arguments.runs_dir], check=True, stdout=subprocess.DEVNULL)
        newest = max(Path(arguments.runs_dir, name).glob("*/config.yaml"), key=lambda path: path.stat().st_mtime)
        study["experiments"][name] = measured(runs.open_folder(newest.parent).comparison())
        write_json(RESULTS, study)
        before, _, rest = PAGE.read_text().partition(MARKS[0])
        lines = [
            ABOUT,
            *table(study),
            "",
        ]
        write_text(PAGE, before + "\n".join([MARKS[0], *lines, MARKS[1]]) + rest.partition(MARKS[1])[2])
    print("\n".join(table(study)))


if __name__ == "__main__":
    main()
