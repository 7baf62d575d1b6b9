"""Gaussian mixtures at several seeds, all shown: modes, quality and weights beside what exact samples come to.

    python benchmarks/gaussians_seeds.py [--layouts grid_25 grid_100] [--seeds 5] [--preset demo] [--runs-dir runs]

Runs the command line for every layout and seed, one after another, and writes
benchmarks/results/gaussians-PRESET-seeds.json.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

RESULTS = Path(__file__).resolve().parent / "results"
NAMES = ("modes_found", "high_quality", "total_variation", "kl")


def main() -> None:
    """Run every layout and seed and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layouts", nargs="+", default=["grid_25", "grid_100"])
    parser.add_argument("--preset", default="demo")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--runs-dir", default="runs")
    parser.add_argument("--results", type=Path, default=RESULTS)
    asked, more = parser.parse_known_args()
    rows = []
    print("layout    seed  training s  " + "  ".join(f"{name:>15}" for name in NAMES))
    for layout in asked.layouts:
        for seed in range(asked.seeds):
            command = [sys.executable, "-m", "experiments", "run", "gaussians", "--preset", asked.preset]
            command += ["--system.layout", layout, "--seed", str(seed), "--runs-dir", asked.runs_dir, *more]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            folders = Path(asked.runs_dir, "gaussians").glob("*/comparison.json")
            comparison = json.loads(max(folders, key=lambda path: path.stat().st_mtime).read_text())
            scores = comparison["scores"]
            row = {
                "layout": layout,
                "seed": seed,
                "counted": comparison["counted"],
                "training_seconds": comparison["cost"]["training_seconds"],
                "scores": {name: scores[name]["value"] for name in NAMES},
                "exact": {name: scores[name]["target"] for name in NAMES},
                "ratios": {name: one["ratio"] for name, one in comparison["distances"].items()},
            }
            rows.append(row)
            asked.results.mkdir(exist_ok=True)
            target = asked.results / f"gaussians-{asked.preset}-seeds.json"
            machine = {"cores": os.cpu_count(), "load": os.getloadavg()[0], "options": more}
            target.write_text(json.dumps({"machine": machine, "runs": rows}, indent=1) + "\n")
            shown = "  ".join(f"{row['scores'][name]:6.3f} ({row['exact'][name]:6.3f})" for name in NAMES)
            print(f"{layout:9} {seed:4d}  {row['training_seconds']:10.0f}  {shown}", flush=True)


if __name__ == "__main__":
    main()
