"""The demo at several seeds, all shown: does the recipe hold, or was one run lucky?

    python benchmarks/demo_seeds.py [--experiment kuramoto_sivashinsky] [--preset demo] [--seeds 3] [--runs-dir runs]
    python benchmarks/demo_seeds.py --label tau1 --carry.tau 1 --carry.steps 5    # the same with other settings

Runs the command line for every seed, one after another, and writes benchmarks/results/EXPERIMENT-PRESET-seeds.json
(with a label: EXPERIMENT-PRESET-LABEL-seeds.json). Options that are not its own go to the command line.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np

from experiments.files import write_json

RESULTS = Path(__file__).resolve().parent / "results"


def main() -> None:
    """Run every seed and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiment", default="kuramoto_sivashinsky")
    parser.add_argument("--preset", default="demo")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--runs-dir", default="runs")
    parser.add_argument("--label", default="", help="part of the result file's name when settings are given")
    asked, settings = parser.parse_known_args()
    if bool(settings) != bool(asked.label):
        parser.error("settings and --label go together, so that one result file holds one recipe.")
    target = RESULTS / f"{'-'.join(filter(None, (asked.experiment, asked.preset, asked.label)))}-seeds.json"
    about = {
        "settings": settings,
        "machine": {"cores": len(os.sched_getaffinity(0)), "platform": f"{platform.system()} {platform.machine()}"},
        "versions": {"python": platform.python_version(), "jax": jax.__version__},
    }
    rows = []
    for seed in range(asked.seeds):
        command = [sys.executable, "-m", "experiments", "run", asked.experiment, "--preset", asked.preset]
        subprocess.run([*command, "--seed", str(seed), "--runs-dir", asked.runs_dir, *settings], check=True)
        newest = max(Path(asked.runs_dir, asked.experiment).glob("*/comparison.json"), key=lambda p: p.stat().st_mtime)
        comparison = json.loads(newest.read_text())
        ratios = {name: entry["ratio"] for name, entry in comparison["distances"].items()}
        rows.append(
            {
                "seed": seed,
                "ratios": ratios,
                "median": float(np.median(list(ratios.values()))),
                "worst": max(ratios.values()),
                "inside": sum(entry["inside"] for entry in comparison["distances"].values()),
                "scores": {name: entry["value"] for name, entry in comparison["scores"].items()},
                "score_bands": {name: entry.get("null") for name, entry in comparison["scores"].items()},
                "enters": {start: curve["enters_all"] for start, curve in comparison.get("refinement", {}).items()},
                "training_seconds": comparison["cost"]["training_seconds"],
                "data_seconds": comparison["cost"]["data_seconds"],
                "seconds_per_sample": comparison["cost"].get("generator_seconds_per_sample"),
                "cheapest_solver": comparison["cost"].get("cheapest"),
            }
        )
        RESULTS.mkdir(exist_ok=True)
        write_json(target, {"n": comparison["n"], **about, "runs": rows})
    names = list(rows[0]["ratios"])
    print("seed  median  worst  inside  train s  " + "  ".join(names))
    for row in rows:
        single = "  ".join(f"{row['ratios'][name]:{len(name)}.2f}" for name in names)
        print(
            f"{row['seed']:4d}  {row['median']:6.2f}  {row['worst']:5.2f}  {row['inside']:3d}/{len(names)}  "
            f"{row['training_seconds']:7.0f}  {single}"
        )


if __name__ == "__main__":
    main()
