"""Scaling studies of the published configurations, and the tables of docs/scaling.md.

Every study is that of `python -m experiments scale`, with its own data and settings. Its record is kept as
benchmarks/results/scaling-EXPERIMENT-PRESET.json, and the blocks of the page are filled from these records. Some
twenty minutes on two quiet cores, data that are not in the cache apart:

    python benchmarks/scaling.py [--devices 1,2,4] [--only kuramoto_sivashinsky-demo] [--runs-dir runs]
    python benchmarks/scaling.py --page        # fill the page alone
    python benchmarks/scaling.py --check       # fail where the page says something else than the records
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from experiments import environment
from experiments.files import write_text
from experiments.scaling import records
from experiments.scaling.fit import fitted, left_out
from experiments.scaling.goodput import HOURS_BETWEEN_FAILURES, goodput
from experiments.scaling.machines import MACHINES, SHARE, predictions
from experiments.scaling.records import PHASES, Study
from experiments.wording import duration

ROOT = Path(__file__).resolve().parents[1]
RESULTS, PAGE = ROOT / "benchmarks" / "results", ROOT / "docs" / "scaling.md"
STUDIES = (("kuramoto_sivashinsky", "demo"), ("kuramoto_sivashinsky", "convolutional"), ("gaussians", "demo"))
BLOCK = re.compile(r"(<!-- figures: (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
NOT_YET = "Not measured on a quiet machine yet."


def record(name: str, preset: str, folder: Path = RESULTS) -> Path:
    """Where a study's record is kept."""
    return folder / f"scaling-{name}-{preset}.json"


def studies(folder: Path = RESULTS) -> list[Study]:
    """Read the records that there are."""
    return [records.read(path) for name, preset in STUDIES if (path := record(name, preset, folder)).exists()]


def title(study: Study) -> str:
    """Name a study in a table."""
    return f"`{study.experiment}`" + ("" if study.preset == "demo" else f", preset `{study.preset}`")


def measured_lines(found: list[Study]) -> list[str]:
    """The points of every study."""
    lines = [
        "| experiment | devices | processes | batch | an update | samples per second | of the matrix rate | compile | "
        "goodput |",
        "|---" * 9 + "|",
    ]
    for study in found:
        for one in study.points:
            share = goodput(one, study.updates, study.saving_every, HOURS_BETWEEN_FAILURES).share
            cells = [title(study), one.devices, one.processes, one.batch, duration(one.seconds)]
            cells += [f"{one.samples_per_second:,.0f}", f"{100 * one.utilisation:.2g}%"]
            cells += [duration(one.compile_seconds), f"{100 * share:.0f}%"]
            lines.append("| " + " | ".join(map(str, cells)) + " |")
    return [*_where(found), "", *lines]


def _where(found: list[Study]) -> list[str]:
    said = {
        f"{study.device}, {study.cores} cores, load {study.load:.1f} before; "
        + ", ".join(f"{name} {number}" for name, number in study.versions.items())
        for study in found
    }
    return sorted(said)


def phase_lines(found: list[Study]) -> list[str]:
    """The phases of every point."""
    lines = [
        "| experiment | devices | processes | batch | " + " | ".join(PHASES) + " |",
        "|---" * (4 + len(PHASES)) + "|",
    ]
    for study in found:
        for one in study.points:
            phases = [
                ("−" if one.phases[name].seconds < 0 else "") + duration(abs(one.phases[name].seconds))
                if name in one.phases
                else "–"
                for name in PHASES
            ]
            lines.append(
                "| " + " | ".join([title(study), f"{one.devices}", f"{one.processes}", f"{one.batch}", *phases]) + " |"
            )
    return lines


def model_lines(found: list[Study]) -> list[str]:
    """The fitted model of every study, and how well the one of the smaller counts predicts the largest."""
    lines = [
        "| experiment | a sample | an update, fixed | a message | traffic | left out | measured | predicted | error |",
        "|---" * 9 + "|",
    ]
    for study in found:
        model = fitted(study)
        if model is None:
            continue
        message = "–" if model.message_seconds is None else duration(model.message_seconds)
        traffic = "–" if not model.byte_seconds else f"{1e-9 / model.byte_seconds:.2g} GB/s"
        own = [title(study), duration(model.sample_seconds), duration(model.fixed_seconds), message, traffic]
        for one in left_out(study):
            error = "–" if one.error is None else f"{100 * one.error:+.0f}%"
            guess = "–" if one.predicted is None else duration(one.predicted)
            cells = [*own, f"{one.devices} devices, batch {one.batch}", duration(one.measured), guess, error]
            lines.append("| " + " | ".join(cells) + " |")
    return lines


def machine_lines(found: list[Study]) -> list[str]:
    """What the model says of other machines."""
    lines = [
        "| experiment | machine | batch | an update | samples per second | computing | fixed | communication | "
        "efficiency |",
        "|---" * 9 + "|",
    ]
    for study in found:
        for one in predictions(study):
            shares = [f"{100 * part / one.seconds:.0f}%" for part in (one.compute, one.fixed, one.communication)]
            cells = [title(study), one.machine.name, f"{one.batch:,}", duration(one.seconds)]
            cells += [f"{one.samples_per_second:,.0f}", *shares, f"{100 * one.efficiency:.0f}%"]
            lines.append("| " + " | ".join(cells) + " |")
    return lines


def assumption_lines(found: list[Study]) -> list[str]:
    """What is assumed of the machines."""
    said = f"Of each device's rate, {100 * SHARE:g}% is assumed to be reached."
    return [said, "", *(f"- **{one.name}**: {one.because}." for one in MACHINES)]


BLOCKS: dict[str, Callable[[list[Study]], list[str]]] = {
    "measured": measured_lines,
    "phases": phase_lines,
    "model": model_lines,
    "machines": machine_lines,
    "assumptions": assumption_lines,
}


def filled(text: str, folder: Path = RESULTS) -> str:
    """Return the page with its blocks as the records have them."""
    found = studies(folder)

    def block(match: re.Match[str]) -> str:
        name = match[2]
        lines = BLOCKS[name](found) if found or name == "assumptions" else [NOT_YET]
        return f"{match[1]}\n" + "\n".join(lines) + f"\n\n{match[4]}"

    return BLOCK.sub(block, text)


def measure(name: str, preset: str, devices: str, runs_dir: str) -> None:
    """Make one study, and keep its record."""
    from experiments.cli import main as command

    code = command(["scale", name, "--preset", preset, "--devices", devices, "--runs-dir", runs_dir])
    if code:
        raise SystemExit(code)
    newest = max((Path(runs_dir) / name).glob(f"scale-{preset}-*/scaling.json"), key=lambda one: one.stat().st_mtime)
    shutil.copy(newest, record(name, preset))


def main() -> int:
    """Measure what is asked for, and fill the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--devices", default="1,2,4", help="counts of devices")
    parser.add_argument("--only", help="one study, EXPERIMENT-PRESET")
    parser.add_argument("--runs-dir", default="runs", help="where the studies' folders go")
    parser.add_argument("--page", action="store_true", help="fill the page alone")
    parser.add_argument("--check", action="store_true", help="compare the page with the records")
    options = parser.parse_args()
    if options.check:
        if filled(PAGE.read_text()) != PAGE.read_text():
            sys.stderr.write("docs/scaling.md says something else than the records; run benchmarks/scaling.py --page\n")
            return 1
        return 0
    if not options.page:
        environment.prepare()
        for name, preset in STUDIES:
            if options.only in (None, f"{name}-{preset}"):
                measure(name, preset, options.devices, options.runs_dir)
    write_text(PAGE, filled(PAGE.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
