"""docs/performance.md from what the benchmarks of training steps have left: tables above, notes below.

    python benchmarks/performance_page.py

The scripts that measure call it themselves. What stands below "What was found" is kept.
"""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

from experiments.files import write_text

ROOT = Path(__file__).resolve().parents[1]
RESULTS, PAGE = ROOT / "benchmarks" / "results", ROOT / "docs" / "performance.md"
NOTES = "\n## What was found\n"
WIDTH = 125
NOT_YET = "Not measured on a quiet machine yet."


def read(name: str) -> dict[str, Any] | None:
    """Return a benchmark's results, ``None`` where there are none."""
    path = RESULTS / name
    return json.loads(path.read_text()) if path.exists() else None


def where(found: dict[str, Any]) -> str:
    """Return machine and versions in words."""
    machine = found["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    return f"{machine['cores']} cores, load {machine['load']:.1f} at the end; {versions}."


def spread(row: dict[str, Any]) -> str:
    """Return median and quartiles in milliseconds."""
    return "{:.0f} ({:.0f}-{:.0f})".format(*(1e3 * row[key] for key in ("median", "q25", "q75")))


def step_lines(found: dict[str, Any]) -> list[str]:
    """Return the table of the training step beside PyTorch's."""
    lines = [
        where(found),
        "",
        "| program | ms a step | processor ms | our time over its time | memory, MB | with loading, MB | difference of "
        "gradients |",
    ]
    lines.append("|---" * 7 + "|")
    for name, row in found["sides"].items():
        lines.append(
            f"| {name} | {spread(row)} | {1e3 * row['processor seconds']:.0f} | {row['ours over theirs']:.2f} | "
            f"{row['bytes'] / 1e6:.0f} | {row['bytes with the program'] / 1e6:.0f} | {row['difference']:.1e} |"
        )
    return lines


def demo_lines(found: dict[str, Any]) -> list[str]:
    """Return the table of the demo's step on cores and devices."""
    rows = [f"| {name} | {', '.join(f'{1e3 * s:.0f}' for s in row)} |" for name, row in found["demo"].items()]
    return [where(found), "", "| arrangement | ms a step, every process |", "|---|---|", *rows]


def peer_lines(found: dict[str, Any]) -> list[str]:
    """Return the table of competitive steps beside their peers'."""
    lines = ["| networks | program | ms a step | our time over its time | difference of the first step |"]
    lines = [where(found), "", *lines, "|---" * 5 + "|"]
    for case, rows in found["cases"].items():
        for name, row in rows["sides"].items():
            ratio, apart = row["ours over theirs"], row["difference of the first step"]
            lines.append(f"| {case} | {name} | {spread(row)} | {ratio:.2f} | {apart:.1e} |")
    return lines


def wrapped(text: str) -> str:
    """Return a paragraph in lines of the page's width."""
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def write_page() -> None:
    """Write the page."""
    step, peers = read("training_step.json"), read("competitive_against_peers.json")
    sections = {
        "One R3GAN-recipe step beside PyTorch": (
            "The same training step here and in PyTorch: the recipe of R3GAN (Huang et al. 2024), 32 x 32 points, "
            "width 64, batch 32, both gradient penalties at every step. Times are medians, with quartiles in brackets. "
            "Differences are relative. Written by `python benchmarks/training_step.py`.",
            step_lines(step) if step else [NOT_YET],
        ),
        "The convolutional Kuramoto-Sivashinsky step on cores and devices": (
            '"Devices" are host devices that XLA is told to split the CPU into. They run under `pmap`, each with its '
            "share of the batch. Written by the same script.",
            demo_lines(step) if step and step["demo"] else [NOT_YET],
        ),
        "Competitive steps beside CGDs and jax-cgd": (
            "One update of adaptive competitive gradient descent, with a relative tolerance of 1e-4 in every program. "
            "Times are medians, with quartiles in brackets. Differences are relative. Written by "
            "`python benchmarks/competitive_against_peers.py`.",
            peer_lines(peers) if peers else [NOT_YET],
        ),
    }
    lines = [
        "# How fast a training step is",
        "",
        wrapped(
            "This page compares the time and memory of a training step with other programs, and records what was found "
            "while making it faster. It is for readers who want to know what a training costs, or who work on the "
            "training loop."
        ),
        "",
    ]
    for title, (what, table) in sections.items():
        lines += [f"## {title}", "", wrapped(what), "", *table, ""]
    text = PAGE.read_text() if PAGE.exists() else ""
    notes = text.partition(NOTES)
    write_text(PAGE, "\n".join(lines).rstrip("\n") + "\n" + notes[1] + notes[2])


if __name__ == "__main__":
    write_page()
