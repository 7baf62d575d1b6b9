"""Pictures of fields: the solver's beside the generator's, on one colour scale."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, Normalize
from matplotlib.image import AxesImage

from experiments.evaluation.results import Comparison
from experiments.plots.style import (
    BAND,
    GENERATOR,
    GIVEN,
    SOLVER,
    Arrays,
    Picture,
    channel_names,
    coordinates_of,
    labelled,
    panels,
    scale_of,
    style,
)

Side = tuple[str, np.ndarray, str]
"""Title, fields and colour."""


def pixel_edges(first: np.ndarray, second: np.ndarray) -> tuple[float, float, float, float]:
    """Edges of pixels whose centres are the coordinates."""

    def edges(values: np.ndarray) -> tuple[float, float]:
        half = (values[-1] - values[0]) / max(1, len(values) - 1) / 2 or 0.5
        return float(values[0] - half), float(values[-1] + half)

    return (*edges(first), *edges(second))


def space_time(
    axes: Axes, times: np.ndarray, x: np.ndarray, field: np.ndarray, cmap: Colormap, norm: Normalize
) -> AxesImage:
    """Draw a one-dimensional field over time into ``axes``: time to the right, space upwards."""
    axes.spines[:].set_visible(True)
    return axes.imshow(
        field.T,
        origin="lower",
        aspect="auto",
        extent=pixel_edges(times, x),
        cmap=cmap,
        norm=norm,
        interpolation="nearest",
    )


def evolution(figures: Arrays, comparison: Comparison) -> list[Picture]:
    """One solver trajectory beside one sample advanced by the solver, in space and time, on one colour
    scale."""
    if not {"evolution/times", "evolution/generator", "evolution/solver", "coordinates/0"} <= figures.keys():
        return []
    times, coordinates = figures["evolution/times"], coordinates_of(figures)
    sides = [
        ("solver", figures["evolution/solver"]),
        ("generator, advanced by the solver", figures["evolution/generator"]),
    ]
    pictures = []
    for index, channel in enumerate(channel_names(comparison, sides[0][1].shape[-1])):
        cmap, norm = scale_of(sides[0][1][..., index])
        label = labelled(comparison, channel)
        with style():
            if len(coordinates) == 1:
                figure, grid = panels((6.4, 4.6), 2, sharex=True, sharey=True)
                for axes, (title, fields) in zip(grid[:, 0], sides):
                    image = space_time(axes, times, coordinates[0], fields[..., index], cmap, norm)
                    axes.set(title=title, ylabel=labelled(comparison, "x"))
                grid[-1, 0].set_xlabel(labelled(comparison, "time"))
            else:
                chosen = np.linspace(0, len(times) - 1, min(4, len(times))).round().astype(int)
                figure, grid = panels((6.4, 3.8), 2, len(chosen), sharex=True, sharey=True)
                for row, (title, fields) in zip(grid, sides):
                    for axes, step in zip(row, chosen):
                        image = _plane(axes, coordinates, fields[step, ..., index], cmap, norm)
                        axes.set_xlabel(f"time {times[step]:.3g}" if fields is sides[1][1] else "")
                    row[0].set_ylabel(title.partition(",")[0])
            figure.colorbar(image, ax=grid, shrink=0.85, aspect=30, pad=0.02).ax.set_title(label, loc="center")
        caption = (
            f"{label} in space and time: above, the solver; below, one sample of the "
            "generator advanced by the same "
            "solver. One colour scale."
        )
        pictures.append(Picture(figure, caption, raster=True))
    return pictures


def _plane(
    axes: Axes, coordinates: Sequence[np.ndarray], field: np.ndarray, cmap: Colormap, norm: Normalize
) -> AxesImage:
    """A two-dimensional field; of a three-dimensional one the middle plane."""
    while field.ndim > 2:
        field = field[..., field.shape[-1] // 2]
    axes.spines[:].set_visible(True)
    axes.set(xticks=[], yticks=[])
    return axes.imshow(field.T, origin="lower", cmap=cmap, norm=norm, interpolation="nearest")


def samples(figures: Arrays, comparison: Comparison) -> list[Picture]:
    """A few generated fields beside solver fields, and what they were given: curves in 1D, images in 2D, space-time
    images of trajectories."""
    if not {"samples/generator", "samples/solver"} <= figures.keys():
        return []
    coordinates = coordinates_of(figures)
    sides = [
        (comparison.reference, figures["samples/solver"], SOLVER),
        ("generator", figures["samples/generator"], GENERATOR),
    ]
    if "samples/given" in figures:
        sides.append(("given", figures["samples/given"], GIVEN))
    spatial = len(coordinates)
    if not spatial:
        return []
    in_time = sides[0][1].ndim == spatial + 3
    pictures = []
    for index, channel in enumerate(channel_names(comparison, sides[0][1].shape[-1])):
        label = labelled(comparison, channel)
        with style():
            if spatial == 1 and not in_time:
                picture = _curves(sides, index, coordinates[0], label, comparison)
            else:
                picture = _images(sides, index, coordinates, label, in_time)
        pictures.append(picture)
    return pictures


def _curves(sides: Sequence[Side], index: int, x: np.ndarray, label: str, comparison: Comparison) -> Picture:
    rows = min(4, *(len(fields) for _, fields, _ in sides))
    figure, grid = panels((6.4, 4.4), rows, len(sides), sharex=True, sharey=True)
    for column, (title, fields, colour) in enumerate(sides):
        for axes, field in zip(grid[:, column], fields):
            axes.axhline(0, color=BAND, linewidth=0.8)
            axes.plot(x, field[..., index], color=colour, linewidth=1.4)
            axes.margins(x=0)
        grid[0, column].set_title(title, color=colour)
        grid[-1, column].set_xlabel(labelled(comparison, "x"))
    figure.supylabel(label, fontsize=10)
    return Picture(figure, f"{rows} fields each, not chosen: {label}; from left to right {_in_order(sides)}.")


def _images(sides: Sequence[Side], index: int, coordinates: Sequence[np.ndarray], label: str, in_time: bool) -> Picture:
    columns = min(4, *(len(fields) for _, fields, _ in sides))
    figure, grid = panels((6.4, 0.6 + 1.55 * len(sides)), len(sides), columns, sharex=True, sharey=True)
    cmap, norm = scale_of(sides[0][1][..., index])
    for row, (title, fields, colour) in zip(grid, sides):
        for axes, field in zip(row, fields):
            if in_time and len(coordinates) == 1:
                axes.spines[:].set_visible(True)
                axes.set(xticks=[], yticks=[])
                image = axes.imshow(field[..., index].T, origin="lower", aspect="auto", cmap=cmap, norm=norm)
            else:
                last = field[-1] if in_time else field
                image = _plane(axes, coordinates, last[..., index], cmap, norm)
        row[0].set_ylabel(title, color=colour)
    figure.colorbar(image, ax=grid, shrink=0.85, aspect=30, pad=0.02, label=label)
    what = "time runs to the right, space upwards" if in_time and len(coordinates) == 1 else "one colour scale"
    caption = f"{columns} fields each, not chosen: {label}; from above {_in_order(sides)}; {what}."
    return Picture(figure, caption, raster=True)


def _in_order(sides: Sequence[Side]) -> str:
    """Say whose fields the rows or columns hold."""
    says = {"generator": "the generator's", "given": "what was given"}
    *most, last = [says.get(title, f"the {title}'s") for title, _, _ in sides]
    return f"{', '.join(most)} and {last}"
