"""The table of systems and tasks in docs/own_experiment.md, from the code that decides which pairs there are.

    python benchmarks/system_tasks.py [--check]

A pair is *studied* where an experiment of the package trains it; *runs* means that `new` writes a file for it, whose
smoke preset a slow test runs from data to report.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from experiments import catalog, new_experiment
from experiments.files import write_text
from experiments.tasks.forecast import Forecast
from experiments.tasks.posterior import Posterior
from experiments.tasks.snapshot import Snapshot
from experiments.tasks.super_resolution import SuperResolution

PAGE = Path(__file__).resolve().parents[1] / "docs" / "own_experiment.md"
BEGIN, END = "<!-- pairs: written by benchmarks/system_tasks.py -->\n", "<!-- end of pairs -->"


def studied() -> dict[tuple[str, str], str]:
    """Return the pairs that experiments of the package train: (system, task) -> the experiment's name."""
    found = {}
    for name in catalog.names():
        experiment = catalog.load(name)
        config = next(iter(experiment.presets.values()))
        if isinstance(experiment.task, Forecast):
            low, _ = config.system.parameter
            system = experiment.task.system(config, low)
        elif isinstance(experiment.task, Posterior):
            system = experiment.task.system_of(config)
        elif isinstance(experiment.task, Snapshot | SuperResolution):
            system = experiment.task.system(config)
        else:
            continue
        found[type(system).__name__, experiment.kind] = name
    return found


def table() -> str:
    """Return the table in Markdown: a row for each system, a column for each task."""
    known, there_are = studied(), set(new_experiment.pairs())
    tasks = " | ".join(task.replace("_", "-") for task in new_experiment.TASKS)
    rule = "|---" * (2 + len(new_experiment.TASKS)) + "|"
    lines = [f"| system | {tasks} | parameter of forecast and posterior |", rule]
    for system in sorted(new_experiment.systems()):
        cells = []
        for task in new_experiment.TASKS:
            pair = (system, task)
            cells.append(f"**studied** (`{known[pair]}`)" if pair in known else "runs" if pair in there_are else "–")
        parameter = new_experiment.FORECASTS.get(system)
        lines.append(f"| `{system}` | {' | '.join(cells)} | {f'`{parameter}`' if parameter else '–'} |")
    return "\n".join(lines) + "\n"


def filled(page: str) -> str:
    """Return the page with the table as it should be."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{PAGE.name} lacks the lines {BEGIN.strip()} and {END}.")
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def main() -> None:
    """Write the table, or say whether the page holds it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 where the page differs")
    asked = parser.parse_args()
    page = PAGE.read_text()
    if asked.check:
        sys.exit(0 if filled(page) == page else f"{PAGE.name} differs; run python benchmarks/system_tasks.py")
    write_text(PAGE, filled(page))


if __name__ == "__main__":
    main()
