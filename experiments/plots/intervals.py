"""Rows of values with their intervals and null bands: the members of a joint test, and the distances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from experiments.evaluation.entries import Interval
from experiments.evaluation.results import Distances, Tests
from experiments.plots.style import BAND, GENERATOR, SOLVER, Picture, panels, ratio_ticks, style
from experiments.wording import capital, is_finite, words


class _Row(NamedTuple):
    name: str
    value: float
    interval: Interval | None
    null: Interval
    distinguished: bool
    missed: float | None = None


def tests(section: Tests) -> list[Picture]:
    """Every member of the joint test with its null band and its own p at the right.

    Members that have an interval are drawn in their own unit. The others count different things: they are drawn as
    multiples of the half-width of their null band about its middle.
    """
    groups: dict[str, list[tuple[_Row, float]]] = {}
    for name, one in section.entries.items():
        if is_finite(one.statistic) and all(map(is_finite, one.null)):
            row = _Row(name, one.statistic, one.interval, one.null, one.p_value <= section.level, one.missed)
            if one.interval is None:
                groups.setdefault(_STANDARDISED, []).append((_standardised(row), one.p_value))
            else:
                groups.setdefault(one.unit, []).append((row, one.p_value))
    if not groups:
        return []
    groups = {unit: groups[unit] for unit in sorted(groups, key=lambda unit: unit == _STANDARDISED)}
    counts = [len(rows) for rows in groups.values()]
    with style():
        figure, grid = panels((6.4, 0.75 + 0.62 * len(counts) + 0.32 * sum(counts)), len(counts), height_ratios=counts)
        for axes, (unit, rows) in zip(grid[:, 0], groups.items()):
            _draw_rows(axes, [row for row, _ in rows])
            for place, (_, p_value) in enumerate(reversed(rows)):
                axes.annotate(
                    f"p = {p_value:.2g}", (1.01, place), xycoords=("axes fraction", "data"), va="center", fontsize=9
                )
            axes.set_xlabel(capital(unit) or "Statistic")
            if unit == _STANDARDISED:
                # The strongest tests lie far beyond their bands, where only the order of magnitude counts.
                axes.set_xscale("symlog", linthresh=2, linscale=2)
                reach = max(abs(end) for row, _ in rows for end in (row.value, row.missed or 0.0, 1.0))
                ticks = [one for one in (1, 2, 5, 10, 20, 50, 100, 1000, 10_000, 100_000) if one <= reach]
                axes.set_xlim(-1.15 * max(1.15, *(-row.value for row, _ in rows)), 1.7 * max(1.15, reach))
                axes.xaxis.set_major_locator(FixedLocator([*(-one for one in ticks), 0, *ticks]))
                axes.xaxis.set_minor_locator(NullLocator())
                axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        handles = [*_handles("distinguished by this test alone", "not distinguished"), _band("null band, 95%")]
        if any(is_finite(row.missed) for rows in groups.values() for row, _ in rows):
            handles.append(
                Line2D([], [], marker="|", color=SOLVER, linestyle="", markersize=11, label="missed at 80% power")
            )
        figure.legend(handles=handles, loc="outside lower center", ncols=2)
    caption = (
        "Each test with the 95% interval of its statistic, where it has one, and its own p-value. Grey: where 95% of "
        "relabelled sets lie. "
        "Black bar: the largest value that the joint test would have missed with a power of 80%."
    )
    return [Picture(figure, caption)]


_STANDARDISED = "statistic, in half-widths of its null band"


def _standardised(row: _Row) -> _Row:
    """Shift and scale a row so that its null band is -1 to 1; a band without width is taken as one unit wide."""
    middle, half = (row.null[0] + row.null[1]) / 2, (row.null[1] - row.null[0]) / 2 or 1.0
    missed = (row.missed - middle) / half if is_finite(row.missed) else None
    return row._replace(value=(row.value - middle) / half, null=(-1.0, 1.0), missed=missed)


def forest(section: Distances) -> list[Picture]:
    """Every distance as a ratio to its floor with its interval, against its own null band."""
    rows = [
        _Row(name, one.ratio, one.ratio_interval, (0.01, one.null95 / one.floor), not one.inside)
        for name, one in section.entries.items()
        if is_finite(one.ratio) and one.ratio > 0 and is_finite(one.null95)
    ]
    if not rows:
        return []
    lows = [0.8 * (row.interval[0] if row.interval and is_finite(row.interval[0]) else row.value) for row in rows]
    highs = [end for row in rows for end in (row.value, row.null[1], *(row.interval or ())) if is_finite(end)]
    low, high = max(min(0.5, *lows, 0.5), 0.05), 1.2 * max(1.0, *highs)
    with style():
        figure, grid = panels((6.4, 1.15 + 0.34 * len(rows)))
        axes = grid[0, 0]
        _draw_rows(axes, rows)
        axes.axvline(1, color=SOLVER, linewidth=1)
        axes.set(xscale="log", xlim=(low, high), xlabel="ratio to the floor (1: a second set of the reference)")
        ratio_ticks(axes.xaxis, low, high)
        figure.legend(
            handles=[*_handles("outside", "inside"), _band("null band, 95%")], loc="outside lower center", ncols=3
        )
    caption = (
        "Each distance divided by its floor, with the 95% interval. Grey: where 95% of the reference's own sets lie. "
        "Open circle: inside, corrected over all distances; filled triangle: outside."
    )
    return [Picture(figure, caption)]


def _draw_rows(axes: Axes, rows: Sequence[_Row]) -> None:
    """Draw the first row on top: band, interval, value, and what would have been missed."""
    for place, row in enumerate(reversed(rows)):
        low, high = row.null
        axes.barh(place, high - low, left=low, height=0.72, color=BAND)
        if row.interval is not None:
            axes.plot(row.interval, [place, place], color=GENERATOR, linewidth=2.2, solid_capstyle="butt")
        marker, size, face = ("^", 8, GENERATOR) if row.distinguished else ("o", 7, "white")
        axes.plot(row.value, place, marker, color=GENERATOR, markersize=size, markerfacecolor=face, markeredgewidth=1.6)
        if is_finite(row.missed):
            axes.plot(row.missed, place, "|", color=SOLVER, markersize=13, markeredgewidth=1.6)
    # A bar would otherwise end where the axis does.
    axes.use_sticky_edges = False
    axes.margins(x=0.06)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_yticks(range(len(rows)), [words(row.name) for row in reversed(rows)])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _handles(distinguished: str, not_distinguished: str) -> list[Line2D]:
    return [
        Line2D([], [], color=GENERATOR, marker="^", markersize=8, linewidth=2.2, label=distinguished),
        Line2D(
            [], [], color=GENERATOR, marker="o", markersize=7, markerfacecolor="white", markeredgewidth=1.6,
            linewidth=2.2, label=not_distinguished,
        ),
    ]  # fmt: skip


def _band(label: str) -> Patch:
    return Patch(color=BAND, label=label)
