"""Pictures against solver time: how long each start is advanced until it is no longer distinguished from
the solver."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import FigureBase
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from experiments.evaluation.entries import Curve
from experiments.evaluation.results import Comparison, Refinement
from experiments.plots.style import (
    BAND,
    OTHER_STARTS,
    SOLVER,
    STARTS,
    LineStyle,
    Picture,
    labelled,
    panels,
    ratio_ticks,
    style,
)
from experiments.wording import capital, is_finite, words


class Look(NamedTuple):
    """How a start is drawn: its label, colour, line style and marker."""

    label: str
    colour: str
    line: LineStyle
    marker: str


def looks(section: Refinement) -> dict[str, Look]:
    """Return the look of every start, in the order of the section."""
    others = iter(OTHER_STARTS * (1 + len(section.curves) // len(OTHER_STARTS)))
    return {
        name: Look(curve.label, *(STARTS[name] if name in STARTS else next(others)))
        for name, curve in section.curves.items()
    }


def refined_tests(section: Refinement, comparison: Comparison) -> list[Picture]:
    """Two panels against solver time: the classifier's area with its interval, and the p-value of the joint test.

    A panel without values is left out; so is the picture without panels. A ring marks the time from which a start is
    no longer distinguished.
    """
    draws = [
        draw
        for draw, has in (
            (draw_auc, any(curve.auc for curve in section.curves.values())),
            (draw_p_values, any(curve.p_value for curve in section.curves.values())),
        )
        if has
    ]
    if not draws:
        return []
    with style():
        figure, grid = panels((7.4 if len(draws) > 1 else 4.6, 3.7), 1, len(draws))
        for axes, draw in zip(grid[0], draws):
            draw(axes, section, comparison)
        draw_legend(figure, section, grid[0], columns=2 if len(draws) > 1 else 1)
    caption = (
        "Fields of every start against the solver time after which they were taken, the solver layer of "
        "generated samples "
        "counted. "
        + " ".join(_SAYS[draw] for draw in draws)
        + " A ring marks from when on the joint test no longer distinguishes a start from the solver."
    )
    return [Picture(figure, caption)]


def draw_legend(figure: FigureBase, section: Refinement, drawn: Iterable[Axes], columns: int) -> None:
    """Put one legend of all that was drawn below the figure, the starts first and in their order."""
    found = {label: handle for axes in drawn for handle, label in zip(*axes.get_legend_handles_labels())}
    starts = [look.label for look in looks(section).values() if look.label in found]
    order = [*starts, *(label for label in found if label not in starts)]
    figure.legend([found[label] for label in order], order, loc="outside lower center", ncols=columns, fontsize=9)


def draw_auc(axes: Axes, section: Refinement, comparison: Comparison) -> None:
    """Draw the area under the classifier's ROC curve of every start against solver time."""
    if section.auc_null is not None and all(map(is_finite, section.auc_null)):
        axes.axhspan(*section.auc_null, color=BAND, lw=0, label="solver against solver, 95%")
    axes.axhline(0.5, color=SOLVER, linewidth=0.8)
    lowest, shown = 0.5, set[float]()
    for curve, look in _curves(section):
        times, areas = _points(curve.time, curve.auc)
        if not times.size:
            continue
        if len(curve.auc_interval) == len(curve.time):
            low, high = np.array(curve.auc_interval, float).T
            axes.fill_between(curve.time, low, high, color=look.colour, alpha=0.18, lw=0)
            lowest = min(lowest, *low[np.isfinite(low)], 0.5)
        _line(axes, times, areas, look)
        _ring(axes, curve, times, areas, look)
        lowest, shown = min(lowest, areas.min()), shown | set(times)
    axes.set(ylim=(lowest - 0.03, 1.02), ylabel="area under the ROC curve", title="Classifier on physical features")
    _time_axis(axes, shown, comparison)


def draw_p_values(axes: Axes, section: Refinement, comparison: Comparison) -> None:
    """Draw the p-value of the joint test of every start against solver time."""
    axes.axhline(section.level, color=SOLVER, linewidth=0.9, linestyle=(0, (6, 2)), label=f"level {section.level:g}")
    lowest, shown = section.level, set[float]()
    for curve, look in _curves(section):
        times, values = _points(curve.time, curve.p_value, positive=True)
        if not times.size:
            continue
        _line(axes, times, values, look)
        _ring(axes, curve, times, values, look)
        lowest, shown = min(lowest, values.min()), shown | set(times)
    axes.set(yscale="log", ylabel="p-value of the joint test", title="Joint test, at each time alone")
    axes.set_ylim((lowest if lowest > 0 else 1e-3) / 1.6, 1.6)
    _time_axis(axes, shown, comparison)


_SAYS = {
    draw_auc: "Left, or alone: the area under the ROC curve of a classifier on physical features, 95% interval shaded; "
    "0.5 is chance.",
    draw_p_values: "The p-value is that of the joint test at each time alone.",
}


def names_of_distances(section: Refinement) -> list[str]:
    """Names of the distances that the section follows."""
    return list(dict.fromkeys(name for curve in section.curves.values() for name in curve.ratios))


def refined_distances(section: Refinement, comparison: Comparison) -> list[Picture]:
    """Each distance of all starts against solver time, as a ratio to its floor."""
    pictures = []
    for name in names_of_distances(section):
        with style():
            figure, grid = panels()
            draw_distance(grid[0, 0], section, comparison, name)
            grid[0, 0].set_title(capital(words(name)))
        caption = f"{words(name)}: ratio to the floor against solver time; grey: the null band."
        pictures.append(Picture(figure, caption, title=name))
    return pictures


def draw_distance(axes: Axes, section: Refinement, comparison: Comparison, name: str) -> None:
    """Draw one distance of all starts against solver time into ``axes``."""
    if is_finite(limit := section.null.get(name)):
        axes.axhspan(1e-9, limit, color=BAND, lw=0, label="null band")
    low, high, shown = 1.0, 1.0, set[float]()
    for curve, look in _curves(section):
        times, ratios = _points(curve.time, curve.ratios.get(name, ()), positive=True)
        if times.size:
            _line(axes, times, ratios, look)
            low, high, shown = min(low, ratios.min()), max(high, ratios.max()), shown | set(times)
    ends = max(0.3, 0.8 * low), 1.3 * high
    axes.set(yscale="log", ylim=ends, ylabel="ratio to the floor")
    ratio_ticks(axes.yaxis, *ends)
    _time_axis(axes, shown, comparison)


def _curves(section: Refinement) -> Iterator[tuple[Curve, Look]]:
    """Yield every curve with its look, the generator last so that it lies on top."""
    found = looks(section)
    for name in sorted(found, key=lambda name: name == "generator"):
        yield section.curves[name], found[name]


def _points(time: Sequence[float], values: Sequence[float], positive: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Return times and values where both are finite, and positive where a logarithm is taken."""
    kept = [(t, v) for t, v in zip(time, values) if is_finite(t) and is_finite(v) and (v > 0 or not positive)]
    times, found = np.array(kept, float).reshape(-1, 2).T
    return times, found


def _line(axes: Axes, times: np.ndarray, values: np.ndarray, look: Look) -> None:
    axes.plot(times, values, color=look.colour, linestyle=look.line, marker=look.marker, label=look.label)


def _ring(axes: Axes, curve: Curve, times: np.ndarray, values: np.ndarray, look: Look) -> None:
    if is_finite(curve.enters):
        axes.plot(
            curve.enters, np.interp(curve.enters, times, values), marker="o", markersize=13, color="none",
            markeredgecolor=look.colour, markeredgewidth=1.5, clip_on=False,
        )  # fmt: skip


def _time_axis(axes: Axes, shown: set[float], comparison: Comparison) -> None:
    """Scale the axis of solver time: logarithmic, and linear below the first positive time, so that 0 has a place."""
    positive = sorted(time for time in shown if time > 0)
    first, last = (positive[0], positive[-1]) if positive else (1.0, 1.0)
    axes.set_xscale("symlog", linthresh=first, linscale=0.6)
    ticks = _time_ticks(first, last)
    axes.xaxis.set_major_locator(FixedLocator([0.0, *ticks] if 0 in shown else ticks))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(-0.15 * first if 0 in shown else 0.85 * first, 1.25 * last)
    axes.set_xlabel(labelled(comparison, "solver time", "time"))


def _time_ticks(smallest: float, largest: float) -> list[float]:
    first, last = np.ceil(np.log2(smallest) - 1e-9), np.floor(np.log2(largest) + 1e-9)
    ticks = [float(2.0**e) for e in np.arange(first, last + 1)]
    return ticks if len(ticks) <= 6 else ticks[:: -(-len(ticks) // 6)]
