"""Pictures of a forecast: truth, ensemble of the generator, ensemble of the reference, observations; rank
histograms."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from experiments.evaluation.results import Comparison
from experiments.plots.style import (
    BAND,
    GENERATOR,
    SOLVER,
    Arrays,
    Picture,
    channel_names,
    coordinates_of,
    labelled,
    panels,
    style,
)
from experiments.wording import words

TRUTH = "#0072b2"


def forecasts(figures: Arrays, comparison: Comparison, cases: int = 4) -> list[Picture]:
    """Mean and spread (two standard deviations) of both ensembles at the first, middle and last time, for
    each case."""
    needed = {f"forecast/{one}" for one in ("times", "coordinates", "truth", "generator_mean", "reference_mean")}
    if not needed <= figures.keys() or len(coordinates_of(figures)) != 1:
        return []
    truth, times = figures["forecast/truth"], figures["forecast/times"]
    labels = [str(one) for one in figures.get("forecast/case_labels", [])]
    steps = sorted({0, (len(times) - 1) // 2, len(times) - 1})
    pictures = []
    for case in range(min(cases, len(truth))):
        name = labels[case] if case < len(labels) else f"case {case + 1}"
        if "forecast/generator_members" in figures:
            pictures.append(_members(figures, comparison, case, name, steps))
            continue
        with style():
            figure, grid = panels((3.5, 1.1 + 1.35 * len(steps)), len(steps), sharex=True)
            for axes, step in zip(grid[:, 0], steps):
                draw_forecast(axes, figures, case, step)
                axes.set_title(f"time {times[step]:.3g}", fontsize=9)
                axes.set_ylabel(labelled(comparison, channel_names(comparison, truth.shape[-1])[0]))
            grid[-1, 0].set_xlabel(labelled(comparison, "x"))
            figure.suptitle(words(name), x=0.02, ha="left", fontsize=10.5)
            handles, texts = grid[0, 0].get_legend_handles_labels()
            figure.legend(handles, texts, loc="outside lower center", ncols=2)
        caption = (
            f"{words(name)}: mean of each ensemble and two standard deviations about it, with the truth that "
            "was observed."
        )
        pictures.append(Picture(figure, caption))
    return pictures


def _members(figures: Arrays, comparison: Comparison, case: int, name: str, steps: list[int]) -> Picture:
    """Single members of both ensembles side by side: mean and spread would hide that there are several modes."""
    truth, times = figures["forecast/truth"], figures["forecast/times"]
    with style():
        figure, grid = panels((6.4, 1.1 + 1.35 * len(steps)), len(steps), 2, sharex=True)
        for row, step in zip(grid, steps):
            row[1].sharey(row[0])
            for axes, who, colour, label in zip(
                row, ("reference", "generator"), (SOLVER, GENERATOR), ("solver's posterior", "generator")
            ):
                draw_members(axes, figures, case, step, who, colour)
                axes.set_title(f"{label}, time {times[step]:.3g}", fontsize=9)
            row[0].set_ylabel(labelled(comparison, channel_names(comparison, truth.shape[-1])[0]))
        for axes in grid[-1]:
            axes.set_xlabel(labelled(comparison, "x"))
        figure.suptitle(words(name), x=0.02, ha="left", fontsize=10.5)
        handles, texts = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, texts, loc="outside lower center")
    count = figures["forecast/generator_members"].shape[1]
    return Picture(figure, f"{words(name)}: {count} members of each ensemble, with the truth.")


def draw_members(axes: Axes, figures: Arrays, case: int, step: int, who: str, colour: str) -> None:
    """Draw the members of one ensemble of one case at one time, and the truth, into ``axes``."""
    x = figures["forecast/coordinates"]
    members = figures[f"forecast/{who}_members"][case, :, step, ..., 0]
    axes.plot(x, members.T, color=colour, linewidth=0.7, alpha=0.45)
    axes.plot(
        x, figures["forecast/truth"][case, step, ..., 0], color=TRUTH, linewidth=1.4, linestyle=":", label="truth"
    )
    axes.margins(x=0)


def draw_forecast(axes: Axes, figures: Arrays, case: int, step: int) -> None:
    """Draw one case at one time into ``axes``."""
    x = figures["forecast/coordinates"]
    for who, colour, fill, line, label in (
        ("reference", SOLVER, BAND, "-", "solver's posterior"),
        ("generator", GENERATOR, GENERATOR, "--", "generator"),
    ):
        mean = figures[f"forecast/{who}_mean"][case, step, ..., 0]
        if f"forecast/{who}_std" in figures:
            spread = 2 * figures[f"forecast/{who}_std"][case, step, ..., 0]
            alpha = 0.9 if who == "reference" else 0.22
            axes.fill_between(x, mean - spread, mean + spread, color=fill, alpha=alpha, lw=0)
        axes.plot(x, mean, color=colour, linestyle=line, linewidth=1.5, label=label)
    axes.plot(
        x,
        figures["forecast/truth"][case, step, ..., 0],
        color=TRUTH,
        linewidth=1,
        linestyle=":",
        label="truth",
    )
    points = _observations(figures, case)
    if points is not None and step == 0:
        axes.plot(*points, "x", color=TRUTH, markersize=6, markeredgewidth=1.6, label="observations (time 0)")
    axes.margins(x=0)


def _observations(figures: Arrays, case: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Where and what was observed in this case: ``(points, values)``, whether points are shared by cases or
    not."""
    if not {"forecast/points", "forecast/observations"} <= figures.keys():
        return None
    values = np.ravel(figures["forecast/observations"][case])
    points = figures["forecast/points"]
    points = np.ravel(points[case]) if np.size(points) != values.size else np.ravel(points)
    return (points, values) if points.size == values.size else None


def rank_histogram(figures: Arrays) -> list[Picture]:
    """How often the truth takes each rank within the ensemble: flat where the ensemble is reliable, a cup
    where narrow."""
    if "rank/generator" not in figures:
        return []
    with style():
        figure, grid = panels()
        draw_ranks(grid[0, 0], figures)
        grid[0, 0].set(
            title="Rank of the truth",
            xlabel="rank within the ensemble, as a share",
            ylabel="frequency, flat is 1",
        )
        grid[0, 0].legend(loc="lower center", ncols=2)
    caption = (
        "Rank of the truth within the ensemble: flat where the ensemble is reliable, high at both ends "
        "where it is too narrow, high in the middle where it is too wide."
    )
    return [Picture(figure, caption)]


def draw_ranks(axes: Axes, figures: Arrays) -> None:
    """Draw both rank histograms into ``axes`` as frequencies relative to flat."""
    axes.axhline(1, color=BAND, linewidth=1)
    top = 2.0
    for who, colour, line, label in (
        ("reference", SOLVER, "-", "solver's posterior"),
        ("generator", GENERATOR, "--", "generator"),
    ):
        counts = np.asarray(figures.get(f"rank/{who}", []), float)
        if counts.sum() > 0:
            heights = counts / counts.mean()
            top = max(top, 1.1 * heights.max())
            axes.stairs(
                heights,
                np.linspace(0, 1, len(counts) + 1),
                color=colour,
                linestyle=line,
                linewidth=1.7,
                label=label,
            )
    axes.set(xlim=(0, 1), ylim=(0, top))
    axes.yaxis.set_major_locator(MaxNLocator(5))
