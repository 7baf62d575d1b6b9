"""What models without a game make of the same data: every experiment's demo with --baselines, one seed.

The baselines take the generator's own network, count of updates and batches. Runs the command line once for each
experiment and writes the distances, as ratios to the floor, or the counted modes of generator and baselines into
benchmarks/results/baselines.json after each, and the table into docs/metrics.md:

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

from experiments.files import write_json, write_text

ROOT = Path(__file__).resolve().parents[1]
RESULTS, PAGE = ROOT / "benchmarks" / "results" / "baselines.json", ROOT / "docs" / "metrics.md"
MARKS = ("<!-- baselines: written by benchmarks/baselines.py -->", "<!-- baselines: end -->")
MODES = ("modes_found", "high_quality", "total_variation", "kl")
COST = ("evaluations", "seconds_per_sample", "training_seconds")


def row(ratios: dict[str, float], found: dict[str, float], cost: dict[str, float]) -> dict[str, Any]:
    """Distances over their floors, what was counted of modes, and cost."""
    return {"ratios": ratios, "modes": {name: found[name] for name in MODES if name in found}, **cost}


def measured(comparison: dict[str, Any]) -> dict[str, Any]:
    """Generator and baselines of a comparison, in one form."""
    scores = {name: one["value"] for name, one in comparison["scores"].items()}
    ratios = {name: one["ratio"] for name, one in comparison["distances"].items()}
    rows = {"generator": row(ratios, scores, {"training_seconds": comparison["cost"]["training_seconds"]})}
    for name, one in comparison["baselines"].items():
        theirs = {key: one[key] for key in ratios if key in one}
        rows[name] = row(theirs, one, {key: one[key] for key in COST if key in one})
    return rows


def table(study: dict[str, Any]) -> list[str]:
    """One row for every model of every experiment."""
    lines = ["| experiment | model | median ratio | largest | modes found | high quality | weights' total variation |"]
    lines += ["|---" * 7 + "|"]
    for experiment, rows in study["experiments"].items():
        for name, one in rows.items():
            values, modes = list(one["ratios"].values()), one["modes"]
            cells = [f"{np.median(values):.2f}", f"{max(values):.3g}"]
            cells += [f"{modes[key]:.{digits}f}" if key in modes else "" for key, digits in zip(MODES, (0, 3, 3))]
            lines.append(f"| {experiment} | {name.replace('_', ' ')} | {' | '.join(cells)} |")
    return lines


def main() -> None:
    """Run, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiments", nargs="+", default=["gaussians", "digits", "kuramoto_sivashinsky"])
    parser.add_argument("--runs-dir", default="runs")
    asked = parser.parse_args()
    study = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"experiments": {}}
    study |= {
        "machine": {"cores": len(os.sched_getaffinity(0)), "platform": f"{platform.system()} {platform.machine()}"},
        "versions": {"python": platform.python_version(), "jax": jax.__version__},
    }
    for name in asked.experiments:
        command = [sys.executable, "-m", "experiments", "run", name, "--preset", "demo", "--baselines"]
        subprocess.run([*command, "--runs-dir", asked.runs_dir], check=True, stdout=subprocess.DEVNULL)
        found = Path(asked.runs_dir, name).glob("*/comparison.json")
        newest = max(found, key=lambda path: path.stat().st_mtime)
        study["experiments"][name] = measured(json.loads(newest.read_text()))
        write_json(RESULTS, study)
        before, _, rest = PAGE.read_text().partition(MARKS[0])
        lines = ["Demo presets, seed 0, distances over the floor of two sets of data:", "", *table(study)]
        write_text(PAGE, before + "\n".join([MARKS[0], *lines, MARKS[1]]) + rest.partition(MARKS[1])[2])
    print("\n".join(table(study)))


if __name__ == "__main__":
    main()
