"""Gaussian mixtures at several seeds, all shown: modes, quality and weights beside what exact samples come to.

    taskset -c 0,1 python benchmarks/gaussians_seeds.py [--preset demo] [--seeds 5] [--runs-dir runs]
    taskset -c 0,1 python benchmarks/gaussians_seeds.py --preset unbalanced     # 100 modes, weights 1, 2, ..., 100
    python benchmarks/gaussians_seeds.py --label few --training.steps 8000      # the same with other settings

Runs the command line for every seed, one after another, on as many cores as it is given, and writes
benchmarks/results/gaussians-PRESET-seeds.json (with a label: gaussians-PRESET-LABEL-seeds.json) after each. Options
that are not its own go to the command line. Training seconds mean something on a machine that does nothing else: the
load before each run is recorded.
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

from experiments.files import write_json

RESULTS = Path(__file__).resolve().parent / "results"
NAMES = ("modes_found", "high_quality", "total_variation", "kl")


def main() -> None:
    """Run every seed and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="demo")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--runs-dir", default="runs")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--label", default="", help="part of the result file's name when settings are given")
    asked, settings = parser.parse_known_args()
    if bool(settings) != bool(asked.label):
        parser.error("settings and --label go together, so that one result file holds one recipe.")
    target = asked.results / f"{'-'.join(filter(None, ('gaussians', asked.preset, asked.label)))}-seeds.json"
    about = {
        "settings": settings,
        "machine": {"cores": len(os.sched_getaffinity(0)), "platform": f"{platform.system()} {platform.machine()}"},
        "versions": {"python": platform.python_version(), "jax": jax.__version__},
    }
    rows = []
    print("seed  load  training s  " + "  ".join(f"{name:>17}" for name in NAMES) + "  (in brackets: exact samples)")
    for seed in range(asked.seeds):
        load = os.getloadavg()[0]
        command = [sys.executable, "-m", "experiments", "run", "gaussians", "--preset", asked.preset]
        command += ["--seed", str(seed), "--runs-dir", asked.runs_dir, *settings]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        found = Path(asked.runs_dir, "gaussians").glob("*/comparison.json")
        comparison = json.loads(max(found, key=lambda path: path.stat().st_mtime).read_text())
        scores = comparison["scores"]
        row = {
            "seed": seed,
            "law": comparison["law"],
            "modes": comparison["modes"],
            "counted": comparison["counted"],
            "load_before": load,
            "training_seconds": comparison["cost"]["training_seconds"],
            "scores": {name: {key: scores[name][key] for key in ("value", "target", "null")} for name in NAMES},
            "ratios": {name: one["ratio"] for name, one in comparison["distances"].items()},
        }
        rows.append(row)
        asked.results.mkdir(exist_ok=True)
        write_json(target, {**about, "runs": rows})
        shown = "  ".join(f"{scores[name]['value']:8.3f} ({scores[name]['target']:6.3f})" for name in NAMES)
        print(f"{seed:4d}  {load:4.1f}  {row['training_seconds']:10.0f}  {shown}", flush=True)


if __name__ == "__main__":
    main()
