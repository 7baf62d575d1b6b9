"""The demo at several seeds, all shown: does the recipe hold, or was one run lucky?

    python benchmarks/demo_seeds.py [--experiment kuramoto_sivashinsky] [--preset demo] [--seeds 3] [--runs-dir runs]

Runs the command line for every seed, one after another, and writes benchmarks/results/EXPERIMENT-PRESET-seeds.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np

RESULTS = Path(__file__).resolve().parent / "results"


def main() -> None:
    """Run every seed and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiment", default="kuramoto_sivashinsky")
    parser.add_argument("--preset", default="demo")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--runs-dir", default="runs")
    asked = parser.parse_args()
    rows = []
    for seed in range(asked.seeds):
        command = [sys.executable, "-m", "experiments", "run", asked.experiment, "--preset", asked.preset]
        subprocess.run([*command, "--seed", str(seed), "--runs-dir", asked.runs_dir], check=True)
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
                "enters": {start: curve["enters_all"] for start, curve in comparison.get("refinement", {}).items()},
                "training_seconds": comparison["cost"]["training_seconds"],
                "data_seconds": comparison["cost"]["data_seconds"],
            }
        )
        RESULTS.mkdir(exist_ok=True)
        target = RESULTS / f"{asked.experiment}-{asked.preset}-seeds.json"
        target.write_text(json.dumps({"n": comparison["n"], "runs": rows}, indent=1) + "\n")
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
