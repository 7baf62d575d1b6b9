"""Pictures of cost: the search for the cheapest solver, and the solver fields that a generator is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator

from experiments.evaluation.entries import SolverRow, Timing
from experiments.evaluation.results import Cost, Worth
from experiments.plots.style import GAUSSIAN, GENERATOR, SOLVER, Picture, panels, ratio_ticks, style
from experiments.wording import capital, is_finite, words


def search(cost: Cost, generator: Mapping[str, float] | None = None) -> list[Picture]:
    """The first figure of merit against the time per sample, for every setting that has both.

    Args:
        cost: the section.
        generator: the generator's own figures of merit by name, where they are known.
    """
    timed = [(row, row.timing) for row in cost.search if row.timing is not None and row.timing.seconds > 0]
    names = list(dict.fromkeys(name for row, _ in timed for name in row.values))
    if not names or not is_finite(cost.generator.seconds) or cost.generator.seconds <= 0:
        return []
    name = names[0]
    rows = [(row, timing) for row, timing in timed if is_finite(row.values.get(name))]
    if not rows:
        return []
    own = (generator or {}).get(name)
    with style():
        figure, grid = panels((4.6, 3.4))
        axes = grid[0, 0]
        axes.axvspan(*_milliseconds(cost.generator), color=GENERATOR, alpha=0.18, lw=0)
        axes.axvline(1e3 * cost.generator.seconds, color=GENERATOR, linewidth=1.2, label="generator")
        if is_finite(own):
            axes.plot(1e3 * cost.generator.seconds, own, "^", color=GENERATOR, markersize=9)
        for reaches, face, label in ((False, "white", "solver"), (True, SOLVER, "solver, as good as the generator")):
            chosen = [pair for pair in rows if bool(pair[0].reaches) is reaches]
            if chosen:
                _settings(axes, chosen, name, face, label)
        best = cost.cheapest
        if best.timing is not None and is_finite(best.values.get(name)):
            axes.plot(
                1e3 * best.timing.seconds, best.values[name], "o", color="none", markeredgecolor=GAUSSIAN,
                markeredgewidth=1.6, markersize=12, label="cheapest of these",
            )  # fmt: skip
        axes.set(xlabel="milliseconds per sample", ylabel=words(name), xscale="log")
        axes.set_title("Search for the cheapest solver")
        values = [row.values[name] for row, _ in rows]
        if min(values) > 0 and max(values) > 5 * min(values):
            axes.set_yscale("log")
            ratio_ticks(axes.yaxis, *axes.get_ylim())
        axes.margins(0.12, 0.15)
        ratio_ticks(axes.xaxis, *axes.get_xlim())
        figure.legend(loc="outside lower center", ncols=2)
    caption = (
        f"{capital(words(name))} and time of every solver setting that was judged, with the range over repeats; "
        "the line is the generator's time."
    )
    return [Picture(figure, caption)]


def _settings(axes: Axes, rows: Sequence[tuple[SolverRow, Timing]], name: str, face: str, label: str) -> None:
    middle = np.array([1e3 * timing.seconds for _, timing in rows])
    low, high = np.array([_milliseconds(timing) for _, timing in rows]).T
    axes.errorbar(
        middle, [row.values[name] for row, _ in rows], xerr=[middle - low, high - middle], fmt="o", color=SOLVER,
        markerfacecolor=face, elinewidth=1, label=label,
    )  # fmt: skip


def _milliseconds(timing: Timing) -> tuple[float, float]:
    """Return the ends of a timing in milliseconds; the middle for an end that is not known."""
    low, high = (one if is_finite(one) else timing.seconds for one in (timing.low, timing.high))
    return 1e3 * min(low, timing.seconds), 1e3 * max(high, timing.seconds)


def worth(section: Worth) -> list[Picture]:
    """The distance of fresh solver fields from the distribution by their number, with the generator's as a level."""
    points = [(n, value) for n, value in zip(section.count, section.value) if n > 0 and is_finite(value) and value > 0]
    if not points:
        return []
    with style():
        figure, grid = panels((4.6, 3.4))
        axes = grid[0, 0]
        axes.plot(*zip(*points), "o-", color=SOLVER, label=f"fresh {section.fields}")
        if is_finite(section.generator) and section.generator > 0:
            label = f"{section.generated:,} generated fields"
            axes.axhline(section.generator, color=GENERATOR, linestyle="--", label=label)
            if is_finite(section.equals) and section.equals > 0:
                axes.plot(section.equals, section.generator, "^", color=GENERATOR, markersize=9)
                text = f"worth {section.equals:,.0f} fields"
                axes.annotate(
                    text, (section.equals, section.generator), xytext=(-7, -7), textcoords="offset points",
                    color=GENERATOR, fontsize=9, ha="right", va="top",
                )  # fmt: skip
        if section.trained_on > 0:
            axes.axvline(
                section.trained_on, color=GAUSSIAN, linestyle=":", label=f"{section.trained_on:,} training fields"
            )
        unit = f" ({section.unit})" if section.unit else ""
        axes.set(xscale="log", yscale="log", xlabel=f"number of {section.fields}")
        axes.set_ylabel(f"distance from the distribution{unit}")
        axes.margins(0.08, 0.15)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.xaxis.set_minor_locator(NullLocator())
        ratio_ticks(axes.yaxis, *axes.get_ylim())
        axes.set_title(f"{capital(section.fields)} that the generator is worth")
        figure.legend(loc="outside lower center", ncols=2)
    caption = (
        f"Distance from the distribution of {section.fields} by their number, and of as many generated fields "
        f"as bring it no "
        f"further down. Where the lines cross left of the dotted one, fewer {section.fields} than the generator was "
        "trained on come as close."
    )
    return [Picture(figure, caption)]
