"""Pictures of statistics: spectra, densities, correlations and distances, each with the solver's own null
band."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from experiments.evaluation.results import Comparison
from experiments.plots.style import (
    BAND,
    GENERATOR,
    SOLVER,
    Arrays,
    Picture,
    labelled,
    panels,
    ratio_ticks,
    style,
)
from experiments.wording import words


def spectrum(figures: Arrays, comparison: Comparison) -> list[Picture]:
    """Energy spectrum with the solver's null band, and below it the ratio to the solver's median."""
    if not {"spectrum/wavenumber", "spectrum/generator", "spectrum/solver"} <= figures.keys():
        return []
    with style():
        figure, grid = panels((3.5, 3.7), 2, sharex=True, height_ratios=(2.2, 1))
        draw_spectrum(grid[0, 0], figures, comparison.reference)
        above, below = grid[:, 0]
        k, solver = figures["spectrum/wavenumber"], figures["spectrum/solver"]
        with np.errstate(divide="ignore", invalid="ignore"):
            if "spectrum/low" in figures:
                below.fill_between(
                    k, figures["spectrum/low"] / solver, figures["spectrum/high"] / solver, color=BAND, lw=0
                )
            ratio = figures["spectrum/generator"] / solver
        below.axhline(1, color=SOLVER, linewidth=1)
        below.plot(k, ratio, color=GENERATOR, marker="o", markersize=3)
        shown = ratio[_resolved(figures) & np.isfinite(ratio) & (ratio > 0)]
        reach = float(max(1.25, *(np.exp(1.15 * np.abs(np.log(shown))) if shown.size else [1.25])))
        below.set(yscale="log", ylim=(1 / reach, reach), xlabel=labelled(comparison, "wavenumber"), ylabel="ratio")
        plain_ratio(below, reach)
        above.set(ylabel="energy", title="Energy spectrum")
    caption = (
        f"Energy by wavenumber; below, divided by the {comparison.reference}'s median. Grey: where 95% of sets of the "
        f"{comparison.reference} of the same size lie. The dotted line ends the resolved band, which alone is compared."
    )
    return [Picture(figure, caption)]


def _resolved(figures: Arrays) -> np.ndarray:
    k = figures["spectrum/wavenumber"]
    low, high = figures.get("spectrum/resolved", (k.min(), k.max()))
    return (k >= low) & (k <= high)


def draw_spectrum(axes: Axes, figures: Arrays, reference: str = "solver") -> None:
    """Draw the spectra of solver and generator with the null band into ``axes``."""
    k, solver, generator = (figures[f"spectrum/{name}"] for name in ("wavenumber", "solver", "generator"))
    positive = k > 0
    if "spectrum/low" in figures:
        axes.fill_between(
            k[positive], figures["spectrum/low"][positive], figures["spectrum/high"][positive],
            color=BAND, lw=0, label="null band",
        )  # fmt: skip
    axes.plot(k[positive], solver[positive], color=SOLVER, label=reference)
    axes.plot(
        k[positive],
        generator[positive],
        color=GENERATOR,
        marker="o",
        markersize=3,
        linestyle="--",
        label="generator",
    )
    if "spectrum/resolved" in figures:
        axes.axvline(figures["spectrum/resolved"][1], color="#777777", linestyle=":", linewidth=1)
    axes.set(xscale="log", yscale="log")
    # Beyond the resolved band float32 leaves only round-off; it must not stretch the axis.
    shown = solver[_resolved(figures) & positive & (solver > 0)]
    if shown.size:
        axes.set_ylim(shown.min() / 30, shown.max() * 3)
        axes.set_xlim(k[positive].min() * 0.9, min(k.max(), 1.5 * k[_resolved(figures)].max()))
    ratio_ticks(axes.xaxis, *axes.get_xlim())
    axes.legend(loc="lower left")


def plain_ratio(axes: Axes, reach: float) -> None:
    """Ticks of a ratio axis as plain numbers."""
    if reach < 8:
        ticks = [one for one in (0.2, 0.25, 0.5, 0.8, 0.9, 1, 1.1, 1.25, 2, 4, 5) if 1 / reach <= one <= reach]
        ticks = [
            one
            for one in ticks
            if one in ((0.9, 1, 1.1) if reach < 1.25 else (0.8, 1, 1.25) if reach < 2 else (0.25, 0.5, 1, 2, 4))
        ]
        axes.yaxis.set_major_locator(FixedLocator(ticks))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def histograms(figures: Arrays, comparison: Comparison) -> list[Picture]:
    """Densities of the values and of the increments, logarithmic, with the null band."""
    pictures = []
    for prefix in sorted({key.rsplit("/", 1)[0] for key in figures if key.endswith("/centers")}, key=_natural):
        kind, _, name = prefix.partition("/")
        separation, _, channel = name.rpartition("/")
        if kind == "increments":
            # A key without a channel, increments/SEPARATION/..., has the separation in its last part.
            separation, channel = (separation, channel) if separation else (channel, "")
            title = f"Increments{f' of {channel}' if channel else ''}, separation {words(separation)}"
            symbol = labelled(comparison, "increment", channel)
        else:
            title, symbol = f"Values of {words(channel)}", labelled(comparison, channel)
        with style():
            figure, grid = panels()
            axes = grid[0, 0]
            _banded(axes, figures, prefix, figures[f"{prefix}/centers"], comparison.reference)
            top = np.nanmax(figures[f"{prefix}/solver"])
            axes.set(title=title, xlabel=symbol, ylabel="density", yscale="log", ylim=(top * 3e-5, top * 2))
            axes.legend(loc="lower center")
        caption = f"{title}: density, with the band in which 95% of sets of the {comparison.reference} lie."
        pictures.append(Picture(figure, caption, title=title))
    return pictures


def correlation(figures: Arrays, comparison: Comparison) -> list[Picture]:
    """Spatial correlation against distance, with the null band."""
    if not {"correlation/distance", "correlation/generator", "correlation/solver"} <= figures.keys():
        return []
    with style():
        figure, grid = panels()
        axes = grid[0, 0]
        axes.axhline(0, color=BAND, linewidth=0.8)
        _banded(axes, figures, "correlation", figures["correlation/distance"], comparison.reference)
        axes.set(title="Spatial correlation", xlabel=labelled(comparison, "distance", "x"), ylabel="correlation")
        axes.margins(x=0)
        axes.legend(loc="upper right")
    return [
        Picture(
            figure,
            "Correlation of two points against their distance, with the band of the "
            f"{comparison.reference}'s own sets.",
        )
    ]


def _natural(key: str) -> tuple[Any, ...]:
    parts = key.split("/")
    return (
        parts[0] != "histogram",
        *((0, float(p), "") if p.replace(".", "").isdigit() else (1, 0.0, p) for p in parts[1:]),
    )


def _banded(axes: Axes, figures: Arrays, prefix: str, x: np.ndarray, reference: str) -> None:
    if f"{prefix}/low" in figures:
        axes.fill_between(x, figures[f"{prefix}/low"], figures[f"{prefix}/high"], color=BAND, lw=0, label="null band")
    axes.plot(x, figures[f"{prefix}/solver"], color=SOLVER, label=reference)
    axes.plot(x, figures[f"{prefix}/generator"], color=GENERATOR, linestyle="--", label="generator")
