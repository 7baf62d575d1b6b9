"""docs/performance.md from what the benchmarks of training steps have left: tables above, notes below.

    python benchmarks/performance_page.py

The scripts that measure call it themselves. What stands below "What was found" is kept.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from experiments.files import write_text

ROOT = Path(__file__).resolve().parents[1]
RESULTS, PAGE = ROOT / "benchmarks" / "results", ROOT / "docs" / "performance.md"
NOTES = "\n## What was found\n"
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
        "| side | ms a step | processor ms | ours over it | memory, MB | with loading, MB | gradients apart |",
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
    lines = [where(found), "", "| networks | side | ms a step | ours over it | first step apart |", "|---" * 5 + "|"]
    for case, rows in found["cases"].items():
        for name, row in rows["sides"].items():
            ratio, apart = row["ours over theirs"], row["difference of the first step"]
            lines.append(f"| {case} | {name} | {spread(row)} | {ratio:.2f} | {apart:.1e} |")
    return lines


def write_page() -> None:
    """Write the page."""
    step, peers = read("training_step.json"), read("competitive_against_peers.json")
    sections = {
        "One R3GAN-recipe step beside PyTorch": (
            "32 x 32 points, width 64, batch 32, both penalties at every step; median and quartiles. "
            "`python benchmarks/training_step.py`",
            step_lines(step) if step else [NOT_YET],
        ),
        "The Kuramoto-Sivashinsky demo's step on cores and devices": (
            "Several devices are several forced host devices under `pmap`, each with its share of the batch. The same "
            "script.",
            demo_lines(step) if step and step["demo"] else [NOT_YET],
        ),
        "Competitive steps beside CGDs and jax-cgd": (
            "Adaptive competitive gradient descent, relative tolerance 1e-4 on every side; median and quartiles. "
            "`python benchmarks/competitive_against_peers.py`",
            peer_lines(peers) if peers else [NOT_YET],
        ),
    }
    lines = ["# How fast a training step is", ""]
    for title, (what, table) in sections.items():
        lines += [f"## {title}", "", what, "", *table, ""]
    text = PAGE.read_text() if PAGE.exists() else ""
    notes = text.partition(NOTES)
    write_text(PAGE, "\n".join(lines).rstrip("\n") + "\n" + notes[1] + notes[2])


if __name__ == "__main__":
    write_page()
