"""Phase portraits of the Dirac game: one row per kind of step, one column per update scheme."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes

from experiments.evaluation.results import Orbits
from experiments.plots.style import BAND, GENERATOR, SOLVER, Arrays, Picture, panels, style
from experiments.wording import capital, words

_ROWS = (("sgd", "plain"), ("sgd", "r1"), ("adam", "plain"), ("adam", "r1"))
_LABELS = {"sgd": "plain steps", "adam": "Adam", "plain": "no penalty", "r1": "R1"}
_COLUMNS = 4
_OUTCOMES = {"converges": "#009e73", "circles": "#0072b2", "leaves": GENERATOR}


def portraits(figures: Arrays, orbits: Orbits) -> list[Picture]:
    """One picture per kind of step: the orbit of every update scheme in the plane of generator and discriminator."""
    pictures = []
    for transform, penalty in _ROWS:
        rows = [
            (one, figures[name])
            for one in orbits.rows
            if one.transform == transform
            and ("r1" if one.gamma else "plain") == penalty
            and (name := f"dirac/{one.scheme}/{transform}/{penalty}") in figures
        ]
        if not rows:
            continue
        with style():
            lines = -(-len(rows) // _COLUMNS)
            figure, grid = panels((7.4, 2.25 * lines + 0.2), lines, _COLUMNS)
            for axes in grid.flat:
                axes.set_axis_off()
            for axes, (row, points) in zip(grid.flat, rows):
                axes.set_axis_on()
                _portrait(axes, points, row.outcome or "", orbits.objective, row.gamma)
                axes.set_title(f"{words(row.scheme)}:\n{row.outcome or 'unknown'}", fontsize=8)
            figure.supxlabel("generator", fontsize=9)
            figure.supylabel("discriminator", fontsize=9)
        caption = (
            f"{_LABELS[transform]}, {_LABELS[penalty]}: orbits from the ring to the dot, equilibrium at the cross."
        )
        pictures.append(Picture(figure, capital(caption), raster=True))
    return pictures


def field(objective: str, gamma: float, theta: np.ndarray, psi: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Return (theta', psi') of gradient updates with R1 of weight ``gamma``; ``None`` unless the objective is zero-sum.

    Both players share the slope s(theta psi) of the loss: theta' = s psi, psi' = -s theta - gamma psi (Mescheder,
    Geiger and Nowozin 2018, section 2).
    """
    if objective not in _SLOPES:
        return None
    slope = _SLOPES[objective](theta * psi)
    return slope * psi, -slope * theta - gamma * psi


def _sigmoid(logit: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(0.5 * logit))


_SLOPES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "minimax": _sigmoid,
    "relativistic_minimax": _sigmoid,
    "wasserstein": lambda logit: np.ones_like(logit),
}
"""Slope of the shared loss in the logit of the generated point, by zero-sum objective."""


def _portrait(axes: Axes, points: np.ndarray, outcome: str, objective: str, gamma: float) -> None:
    size = 1.15 * min(max(np.abs(points[np.isfinite(points).all(axis=1)]).max(), 1.0), 4.0)
    theta, psi = np.meshgrid(np.linspace(-size, size, 11), np.linspace(-size, size, 11))
    if (arrows := field(objective, gamma, theta, psi)) is not None:
        axes.quiver(theta, psi, *arrows, color=BAND, width=0.006)
    axes.plot(*points.T, color=_OUTCOMES.get(outcome, SOLVER), linewidth=0.7)
    axes.plot(*points[0], "o", color=SOLVER, markerfacecolor="none", markersize=5)
    axes.plot(*points[-1], "o", color=SOLVER, markersize=4)
    axes.plot(0, 0, "+", color=SOLVER)
    axes.set(xlim=(-size, size), ylim=(-size, size), aspect="equal")
    axes.tick_params(labelsize=7)
