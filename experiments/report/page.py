"""What a section of the report may draw on beside its own record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from experiments.evaluation.results import Comparison
from experiments.files import JsonObject
from experiments.plots.style import Arrays
from experiments.runs import RunFolder


@dataclass(frozen=True)
class Page:
    """A run as the report's sections see it.

    Attributes:
        folder: of the run.
        comparison: whose section is shown.
        figures: arrays of ``figures.npz``.
        metrics: rows of ``metrics.jsonl``.
    """

    folder: RunFolder
    comparison: Comparison
    figures: Arrays
    metrics: Sequence[JsonObject]
