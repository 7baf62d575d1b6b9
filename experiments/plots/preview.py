"""The one picture that tells a run at a glance, for a README: fields, spectrum or ranks, and refinement."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase

from experiments.evaluation.results import Comparison, Refinement
from experiments.files import replacing
from experiments.plots.fields import space_time
from experiments.plots.forecast import draw_forecast, draw_ranks
from experiments.plots.solver_time import draw_auc, draw_distance, draw_legend, names_of_distances
from experiments.plots.statistics import draw_spectrum
from experiments.plots.style import Arrays, channel_names, coordinates_of, labelled, scale_of, style
from experiments.wording import words

Draw = Callable[[Axes], None]


def preview(figures: Arrays, comparison: Comparison, path: Path, dpi: int = 160) -> Path | None:
    """Write ``preview.png``: solver beside generator in space and time, spectrum, refinement; None if there
    is too little.

    A forecast shows one case and the rank histogram in place of the evolution and the refinement.
    """
    with style():
        figure = Figure(figsize=(10.0, 5.6), layout="constrained")
        if {"evolution/solver", "evolution/generator"} <= figures.keys() and len(coordinates_of(figures)) == 1:
            above, below = figure.subfigures(2, 1, height_ratios=(1, 1.12), hspace=0.04, squeeze=False)[:, 0]
            _evolution(above, figures, comparison)
            _row(below, figures, comparison)
        elif "forecast/truth" in figures and len(coordinates_of(figures)) == 1:
            above, below = figure.subfigures(2, 1, height_ratios=(1, 1), hspace=0.04, squeeze=False)[:, 0]
            _forecast(above, figures, comparison)
            _row(below, figures, comparison)
        else:
            return None
        with replacing(path) as temporary:
            figure.savefig(temporary, format="png", dpi=dpi, metadata={"Software": None})
    return path


def _evolution(figure: FigureBase, figures: Arrays, comparison: Comparison) -> None:
    grid = figure.subplots(1, 2, sharey=True)
    solver, generator = figures["evolution/solver"][..., 0], figures["evolution/generator"][..., 0]
    cmap, norm = scale_of(solver)
    titles = ("Solver", "Generator, advanced by the solver")
    for axes, fields, title in zip(grid, (solver, generator), titles):
        image = space_time(axes, figures["evolution/times"], coordinates_of(figures)[0], fields, cmap, norm)
        axes.set(title=title, xlabel=labelled(comparison, "time"))
    grid[0].set_ylabel(labelled(comparison, "x"))
    channel = channel_names(comparison, figures["evolution/solver"].shape[-1])[0]
    bar = figure.colorbar(image, ax=grid, aspect=22, pad=0.015)
    bar.ax.set_title(labelled(comparison, channel), loc="center")


def _forecast(figure: FigureBase, figures: Arrays, comparison: Comparison) -> None:
    times = figures["forecast/times"]
    steps = sorted({0, (len(times) - 1) // 2, len(times) - 1})
    grid = figure.subplots(1, len(steps), sharey=True, squeeze=False)[0]
    for axes, step in zip(grid, steps):
        draw_forecast(axes, figures, 0, step)
        axes.set(title=f"Field at time {times[step]:.3g}", xlabel=labelled(comparison, "x"))
    grid[0].set_ylabel(labelled(comparison, channel_names(comparison, figures["forecast/truth"].shape[-1])[0]))
    grid[0].legend(fontsize=8)


def _row(figure: FigureBase, figures: Arrays, comparison: Comparison) -> None:
    """Spectrum first, then the ranks of a forecast, then the refinement: the classifier, and distances for the rest."""
    drawings: list[Draw] = []
    if "spectrum/solver" in figures:
        drawings.append(lambda axes: _spectrum(axes, figures, comparison))
    if "rank/generator" in figures:
        drawings.append(lambda axes: _ranks(axes, figures))
    refinement, others = comparison.get(Refinement), len(drawings)
    if refinement is not None:
        drawings += _refinements(refinement, comparison)[: 3 - others]
    if not drawings:
        return
    grid = figure.subplots(1, len(drawings), squeeze=False)[0]
    for axes, draw in zip(grid, drawings):
        draw(axes)
    if refinement is not None and len(drawings) > others:
        draw_legend(figure, refinement, grid[others:], columns=3)


def _spectrum(axes: Axes, figures: Arrays, comparison: Comparison) -> None:
    draw_spectrum(axes, figures)
    axes.set(title="Energy spectrum", xlabel=labelled(comparison, "wavenumber"), ylabel="energy")


def _ranks(axes: Axes, figures: Arrays) -> None:
    draw_ranks(axes, figures)
    axes.set(
        title="Rank of the truth",
        xlabel="rank within the ensemble, as a share",
        ylabel="frequency, flat is 1",
    )


def _refinements(refinement: Refinement, comparison: Comparison) -> list[Draw]:
    """Return what can be drawn of a refinement, the most telling first."""
    drawings: list[Draw] = []
    if any(curve.auc for curve in refinement.curves.values()):
        drawings.append(lambda axes: draw_auc(axes, refinement, comparison))
    names = names_of_distances(refinement)
    preferred = [name for word in ("spectrum", "value", "wasserstein") for name in names if word in name]

    def distance(axes: Axes, name: str) -> None:
        draw_distance(axes, refinement, comparison, name)
        axes.set_title(f"Refinement: {words(name)}")

    return drawings + [partial(distance, name=name) for name in dict.fromkeys([*preferred, *names])]
