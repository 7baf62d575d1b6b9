"""Pictures of ensembles of fields in the plane: the truth beside mean and spread of both ensembles."""

from __future__ import annotations

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, Normalize
from matplotlib.image import AxesImage

from experiments.evaluation.results import Comparison
from experiments.plots.fields import pixel_edges
from experiments.plots.style import (
    GENERATOR,
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
from experiments.wording import words

_COLUMNS = (
    ("truth", "truth", SOLVER),
    ("posterior's mean", "reference_mean", SOLVER),
    ("generator's mean", "generator_mean", GENERATOR),
    ("posterior's std", "reference_std", SOLVER),
    ("generator's std", "generator_std", GENERATOR),
)
"""Title, array and colour of every column; the first three share a colour scale, and so do the last two."""
_MEANS = 3


def planes(figures: Arrays, comparison: Comparison, cases: int = 4) -> list[Picture]:
    """Truth, mean and standard deviation of both ensembles at the last time, one row for each channel."""
    needed = {f"forecast/{name}" for _, name, _ in _COLUMNS}
    if not needed <= figures.keys() or len(coordinates_of(figures)) != 2:
        return []
    labels = [str(one) for one in figures.get("forecast/case_labels", [])]
    count = min(cases, len(figures["forecast/truth"]))
    return [
        _case(figures, comparison, case, labels[case] if case < len(labels) else f"case {case + 1}")
        for case in range(count)
    ]


def _case(figures: Arrays, comparison: Comparison, case: int, name: str) -> Picture:
    first, second = coordinates_of(figures)
    edges = pixel_edges(first, second)
    shown = [np.asarray(figures[f"forecast/{one}"][case, -1]) for _, one, _ in _COLUMNS]
    channels = channel_names(comparison, shown[0].shape[-1])
    points = np.asarray(figures.get("forecast/points", np.empty((0, 0))))
    with style():
        figure, grid = panels((8.2, 0.5 + 1.6 * len(channels)), len(channels), len(_COLUMNS), sharex=True, sharey=True)
        for index, channel in enumerate(channels):
            row, fields = grid[index], [one[..., index] for one in shown]
            spread = Normalize(0.0, float(max(one.max() for one in fields[_MEANS:])) or 1.0)
            scales = [scale_of(np.stack(fields[:_MEANS]))] * _MEANS + [(matplotlib.colormaps["cividis"], spread)] * 2
            images = [_draw(axes, field, edges, *scale) for axes, field, scale in zip(row, fields, scales)]
            for image, part in ((images[0], row[:_MEANS]), (images[-1], row[_MEANS:])):
                figure.colorbar(image, ax=part, shrink=0.9, aspect=14, pad=0.02)
            row[0].set_ylabel(labelled(comparison, words(channel), channel))
            if points.ndim == 3:
                row[0].plot(*points[case].T, "o", color="black", markerfacecolor="white", markersize=3.5)
        for axes, (title, _, colour) in zip(grid[0], _COLUMNS):
            axes.set_title(title, color=colour, fontsize=9)
        figure.suptitle(words(name), x=0.02, ha="left", fontsize=10.5)
    caption = f"{words(name)}: the truth, and mean and standard deviation of both ensembles"
    where = ", with the places of the observations" if points.ndim == 3 else ""
    return Picture(
        figure,
        f"{caption}{where}. The first three columns share one colour scale, and so do the last two.",
        raster=True,
    )


def _draw(
    axes: Axes, field: np.ndarray, edges: tuple[float, float, float, float], cmap: Colormap, norm: Normalize
) -> AxesImage:
    axes.spines[:].set_visible(True)
    axes.set(xticks=[], yticks=[])
    return axes.imshow(field.T, origin="lower", extent=edges, cmap=cmap, norm=norm, interpolation="nearest")
