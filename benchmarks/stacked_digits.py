"""Do stacked digits separate the losses? Classic games and the recipe of the demo, several seeds, all shown.

    python benchmarks/stacked_digits.py [--stacked 4] [--seeds 3] [--preset demo] [--section.key value]
    python benchmarks/stacked_digits.py --recipes demo minimax --seeds 1        # the cheapest form that can tell

The same networks, batches and updates for every recipe; modes found, recognised samples and KL stand beside what stacks
of held-out digits come to. Writes benchmarks/results/stacked-digits.json after every run and goes on from it; a
training that diverged is a row too. One training takes about 4 minutes of one core.
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

from experiments import runs
from experiments.evaluation.results import ModeShares, Scores
from experiments.files import write_json

RESULTS = Path(__file__).resolve().parent / "results"
NAMES = ("modes_found", "high_quality", "total_variation", "kl")
PLAIN = ["--game.r1", "0", "--game.r2", "0"]
CONTINUOUS = ["--network.latent_signs", "false"]
RECIPES: dict[str, list[str]] = {
    "demo": [],
    "minimax": ["--game.objective", "minimax", *PLAIN],
    "non_saturating": ["--game.objective", "non_saturating", *PLAIN],
    "least_squares": ["--game.objective", "least_squares", *PLAIN],
    "relativistic, no penalty": PLAIN,
    "demo, continuous generator": CONTINUOUS,
    "minimax, continuous generator": ["--game.objective", "minimax", *PLAIN, *CONTINUOUS],
}


def main() -> None:
    """Run every recipe and seed and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stacked", default="4")
    parser.add_argument("--recipes", nargs="+", choices=list(RECIPES), default=list(RECIPES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--preset", default="demo")
    parser.add_argument("--runs-dir", default="runs")
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments, more = parser.parse_known_args()
    about = {
        "stacked": arguments.stacked,
        "preset": arguments.preset,
        "settings": more,
        "machine": {"cores": len(os.sched_getaffinity(0)), "platform": f"{platform.system()} {platform.machine()}"},
        "versions": {"python": platform.python_version(), "jax": jax.__version__},
    }
    target = arguments.results / "stacked-digits.json"
    rows = kept(target, about)
    done_before = {(row["recipe"], row["seed"]) for row in rows}
    for seed in range(arguments.seeds):
        for recipe in arguments.recipes:
            if (recipe, seed) in done_before:
                continue
            options = RECIPES[recipe]
            command = [sys.executable, "-m", "experiments", "run", "digits", "--preset", arguments.preset]
            command += ["--system.stacked", arguments.stacked, "--seed", str(seed), "--runs-dir", arguments.runs_dir]
            load = os.getloadavg()[0]
            done = subprocess.run([*command, *options, *more], capture_output=True, text=True)
            row: dict[str, object] = {"recipe": recipe, "seed": seed, "load_before": load}
            if done.returncode:
                row["failed"] = done.stderr.strip().splitlines()[-1]
                shown = str(row["failed"])
            else:
                configs = Path(arguments.runs_dir, "digits").glob("*/config.yaml")
                newest = runs.open_folder(max(configs, key=lambda path: path.stat().st_mtime).parent)
                comparison = newest.comparison()
                modes, scores = comparison.need(ModeShares), comparison.need(Scores).entries
                row |= {"modes": modes.modes, "counted": modes.counted}
                row |= {name: {"value": scores[name].value, "target": scores[name].target} for name in NAMES}
                row["training_seconds"] = newest.training_seconds()
                shown = "  ".join(f"{n} {scores[n].value:.4g} ({scores[n].target:.4g})" for n in NAMES)
            rows.append(row)
            arguments.results.mkdir(exist_ok=True)
            write_json(target, {**about, "runs": rows})
            print(f"{recipe:26} seed {seed}  {shown}", flush=True)


def kept(target: Path, about: dict[str, object]) -> list[dict[str, object]]:
    """Return the runs that an earlier call measured, if it measured the same thing in the same way."""
    if not target.is_file():
        return []
    before = json.loads(target.read_text())
    if any(before.get(name) != value for name, value in about.items()):
        raise SystemExit(f"{target} holds runs of other settings, machine or versions: move it away first.")
    return list(before["runs"])


if __name__ == "__main__":
    main()
