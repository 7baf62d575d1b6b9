"""Known truths of `evolution`, estimated by the game and its rivals, on seeds that no choice of a recipe has used.

    python benchmarks/evolution.py run demo 101 102 103      # truths of these seeds, beside those already there
    python benchmarks/evolution.py page                      # fill the tables of docs/evolution.md
    python benchmarks/evolution.py page --check              # fail where the page says something else

Every seed is that of its truths and of its games at once. Results: benchmarks/results/evolution-PRESET-sealed.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

from experiments.evaluation.recovery import proportion
from experiments.evaluation.results import Comparison, Recoveries
from experiments.evaluation.results_file import from_plain, to_plain
from experiments.files import write_json, write_text
from experiments.wording import duration, words

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "evolution.md"
PRESETS = ("demo",)
BLOCK = re.compile(r"(<!-- evolution: (\w+) (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def result_file(preset: str) -> Path:
    """Where the results of a preset are."""
    return ROOT / "benchmarks" / "results" / f"evolution-{preset}-sealed.json"


def known(preset: str) -> dict[str, Any]:
    """The results so far."""
    path = result_file(preset)
    return json.loads(path.read_text()) if path.exists() else {"runs": []}


def measure(preset: str, seed: int) -> dict[str, Any]:
    """One run of the study."""
    from experiments import catalog

    experiment = catalog.load("evolution")
    config = experiment.presets[preset].with_overrides({"data.seed": str(seed), "training.seed": str(seed)})
    assert experiment.study is not None
    began = perf_counter()
    comparison, _ = experiment.study.run(
        config, lambda done, total, what: print(f"{preset} {seed}: {what}", flush=True)
    )
    return {
        "seed": seed,
        "training_seconds": perf_counter() - began,
        "comparison": to_plain(replace(comparison, data_seed=seed, sealed=True)),
    }


def recoveries(preset: str) -> dict[int, Recoveries]:
    """What every seed found."""
    return {
        run["seed"]: from_plain(run["comparison"], str(result_file(preset)), "run it again").need(Recoveries)
        for run in sorted(known(preset)["runs"], key=lambda run: run["seed"])
    }


def pooled_coverage(found: dict[int, Recoveries], method: str) -> tuple[int, int]:
    """Intervals that hold the truth, and all intervals, over seeds and parameters."""
    held = sum(
        round(one.coverage * section.truths)
        for section in found.values()
        for one in section.rows[method].parameters.values()
    )
    return held, sum(section.truths * len(section.ranges) for section in found.values())


def every(values: list[float], form: str) -> str:
    """The values of every seed in order."""
    return ", ".join(f"{one:{form}}" for one in values)


def summary(preset: str) -> list[str]:
    """One line for each method and parameter: every seed."""
    found = recoveries(preset)
    if not found:
        return ["Not measured."]
    first = next(iter(found.values()))
    lines = ["| parameter | method | bias | RMSE | coverage of 90% |", "|---|---|---|---|---|"]
    for parameter in first.ranges:
        for method in first.rows:
            each = [section.rows[method].parameters[parameter] for section in found.values()]
            cells = [
                parameter,
                words(method),
                every([one.bias for one in each], "+.3f"),
                every([one.rmse for one in each], ".3f"),
                every([one.coverage for one in each], ".0%"),
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def overall(preset: str) -> list[str]:
    """One line for each method: errors over those of the game, coverage of all intervals, and time."""
    found = recoveries(preset)
    if not found:
        return ["Not measured."]
    first = next(iter(found.values()))
    lines = [
        "| method | RMSE over the game's, median of parameters and seeds | intervals that hold the truth "
        "| per observation | once for all |",
        "|---|---|---|---|---|",
    ]
    for method in first.rows:
        ratios = [
            section.rows[method].parameters[name].rmse / section.rows["game"].parameters[name].rmse
            for section in found.values()
            for name in section.ranges
        ]
        held, count = pooled_coverage(found, method)
        low, high = proportion(held, count)
        seconds = statistics.median(section.rows[method].seconds for section in found.values())
        shared = statistics.median(section.rows[method].shared_seconds for section in found.values())
        cells = [
            words(method),
            f"{statistics.median(ratios):.2f}",
            f"{held} of {count}: {held / count:.1%} ({low:.1%} to {high:.1%})",
            duration(seconds),
            duration(shared) if shared else "–",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def provenance(preset: str) -> list[str]:
    """Seeds and machine."""
    content = known(preset)
    if not content["runs"]:
        return ["Not measured."]
    section: Recoveries = next(iter(recoveries(preset).values()))
    spent = [run["training_seconds"] for run in content["runs"]]
    cores = content["machine"]["cores"]
    return [
        f"{section.truths} truths of each of the seeds {content['sealed']}, {section.regions} "
        f"regions each; a seed took {duration(min(spent))} to "
        f"{duration(max(spent))} on {cores} core{'s' if cores > 1 else ''} (jax {content['versions']['jax']}). "
        f"[Result file](../benchmarks/results/{result_file(preset).name})."
    ]


TABLES = {"summary": summary, "overall": overall, "provenance": provenance}


def filled(page: str) -> str:
    """Return the page with its blocks made anew."""
    return BLOCK.sub(lambda block: block[1] + "\n".join(["", *TABLES[block[2]](block[3]), "", ""]) + block[5], page)


def main() -> None:
    """Run seeds of a preset, or fill the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run")
    running.add_argument("preset", choices=PRESETS)
    running.add_argument("seeds", type=int, nargs="+")
    commands.add_parser("page").add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    if arguments.command == "page":
        text = filled(PAGE.read_text())
        if arguments.check and text != PAGE.read_text():
            raise SystemExit(f"{PAGE.name} differs from its result files; run python benchmarks/evolution.py page.")
        write_text(PAGE, text)
        return
    for seed in arguments.seeds:
        run = measure(arguments.preset, seed)
        content = known(arguments.preset)
        runs = {one["seed"]: one for one in content["runs"]} | {seed: run}
        write_json(
            result_file(arguments.preset),
            {
                "sealed": ", ".join(map(str, sorted(runs))),
                "machine": {"cores": len(os.sched_getaffinity(0)), "platform": platform.system()},
                "versions": {name: version(name) for name in ("jax", "flax", "optax", "scipy")},
                "runs": [runs[one] for one in sorted(runs)],
            },
        )
        comparison: Comparison = from_plain(run["comparison"], "this run", "")
        print(comparison.verdict, flush=True)


if __name__ == "__main__":
    main()
