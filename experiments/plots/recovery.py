"""Estimates against known truths, one panel per parameter, one row per method."""

from __future__ import annotations

import numpy as np

from experiments.evaluation.results import Recoveries
from experiments.plots.style import BAND, GENERATOR, SOLVER, Arrays, Picture, panels, style
from experiments.wording import words


def recoveries(figures: Arrays, found: Recoveries) -> list[Picture]:
    """Each method's estimates with their intervals against the truths; intervals that miss are drawn darker."""
    methods = [name for name in found.rows if name != "prior" and f"recovery/{name}/value" in figures]
    if not methods or "recovery/truth" not in figures:
        return []
    truth = figures["recovery/truth"]
    parameters = list(found.ranges)
    with style():
        figure, grid = panels((2.5 * len(parameters), 2.1 * len(methods) + 0.2), len(methods), len(parameters))
        for row, method in enumerate(methods):
            value, low, high = (figures[f"recovery/{method}/{part}"] for part in ("value", "low", "high"))
            for column, parameter in enumerate(parameters):
                axes, at = grid[row, column], truth[:, column]
                ends = (low[:, column], high[:, column])
                missed = (ends[0] > at) | (ends[1] < at)
                axes.plot(found.ranges[parameter], found.ranges[parameter], color=BAND, zorder=0)
                for chosen, strength in ((~missed, 0.35), (missed, 1.0)):
                    axes.vlines(
                        at[chosen], ends[0][chosen], ends[1][chosen], color=SOLVER, alpha=strength, linewidth=0.9
                    )
                axes.plot(at, value[:, column], "o", color=GENERATOR if method == "game" else SOLVER, markersize=2.5)
                axes.set_title(f"{words(method)}: {parameter}" if column == 0 else parameter, fontsize=9)
                if np.isfinite(at).all():
                    axes.margins(0.05)
        figure.supxlabel("truth", fontsize=9)
        figure.supylabel("estimate", fontsize=9)
    level = f"{found.level:.0%}"
    caption = f"Estimates with {level} intervals against the truths; dark intervals miss. The grey line is the truth."
    return [Picture(figure, caption)]
