"""Phase portraits of the Dirac game: one row per kind of step, one column per play."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from experiments.plots.style import BAND, GENERATOR, SOLVER, Arrays, Picture, panels, style, words

_ROWS = (("sgd", "plain"), ("sgd", "r1"), ("adam", "plain"), ("adam", "r1"))
_LABELS = {"sgd": "plain steps", "adam": "Adam", "plain": "no penalty", "r1": "R1"}
_COLUMNS = 4
_OUTCOMES = {"converges": "#009e73", "circles": "#0072b2", "leaves": GENERATOR}


def portraits(figures: Arrays, comparison: Mapping[str, Any]) -> list[Picture]:
    """One picture per kind of step: the orbit of every play in the plane of generator and discriminator."""
    pictures = []
    for transform, penalty in _ROWS:
        rows = [
            one
            for one in comparison.get("orbits") or []
            if one["transform"] == transform and ("r1" if one["gamma"] else "plain") == penalty and "outcome" in one
        ]
        if not rows:
            continue
        with style():
            lines = -(-len(rows) // _COLUMNS)
            figure, grid = panels((7.4, 2.25 * lines + 0.2), lines, _COLUMNS)
            for axes in grid.flat:
                axes.set_axis_off()
            for axes, row in zip(grid.flat, rows):
                axes.set_axis_on()
                points = figures[f"dirac/{row['play']}/{transform}/{penalty}"]
                _portrait(axes, points, row["outcome"])
                axes.set_title(f"{words(row['play'])}:\n{row['outcome']}", fontsize=8)
            figure.supxlabel("generator", fontsize=9)
            figure.supylabel("discriminator", fontsize=9)
        caption = (
            f"{_LABELS[transform]}, {_LABELS[penalty]}: orbits from the ring to the dot, equilibrium at the cross."
        )
        pictures.append(Picture(figure, f"{caption[:1].upper()}{caption[1:]}", raster=True))
    return pictures


def _portrait(axes: Any, points: np.ndarray, outcome: str) -> None:
    size = 1.15 * min(max(np.abs(points[np.isfinite(points).all(axis=1)]).max(), 1.0), 4.0)
    theta, psi = np.meshgrid(np.linspace(-size, size, 11), np.linspace(-size, size, 11))
    # Gradient play of the zero-sum loss: theta rises with psi, psi falls with theta, both by the same sigmoid.
    slope = 1 / (1 + np.exp(-theta * psi))
    axes.quiver(theta, psi, slope * psi, -slope * theta, color=BAND, width=0.006)
    axes.plot(*points.T, color=_OUTCOMES[outcome], linewidth=0.7)
    axes.plot(*points[0], "o", color=SOLVER, markerfacecolor="none", markersize=5)
    axes.plot(*points[-1], "o", color=SOLVER, markersize=4)
    axes.plot(0, 0, "+", color=SOLVER)
    axes.set(xlim=(-size, size), ylim=(-size, size), aspect="equal")
    axes.tick_params(labelsize=7)
