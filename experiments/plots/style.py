"""The one look of all pictures, and the words, scales and axes that they share.

The solver is black, the generator vermilion, the Gaussian start blue, the system's own initial condition
green (distinct to colour-blind eyes, and by line style in grey print); the null band, in which the solver's
own sets lie, is shaded. Fields share one colour scale, fixed by the solver's, and a diverging map of even
lightness steps.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axis import Axis
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator, ScalarFormatter

from experiments.evaluation.results import Comparison

SOLVER, GENERATOR, GAUSSIAN, INITIAL, BAND = "#1a1a1a", "#d55e00", "#0072b2", "#009e73", "#c9ced6"
GIVEN = "#0072b2"
"""What a sample is conditioned on."""

_STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "lines.linewidth": 1.7,
    "lines.markersize": 4.5,
    "figure.facecolor": "white",
    "svg.hashsalt": "solvergan",
    "axes.formatter.limits": (-3, 4),
}

BANK = "#aa4499"

Arrays = Mapping[str, np.ndarray]
LineStyle = str | tuple[int, tuple[int, ...]]
"""As matplotlib takes it: by a sign, or an offset with the lengths of dashes and gaps."""

STARTS: dict[str, tuple[str, LineStyle, str]] = {
    "generator": (GENERATOR, "-", "o"),
    "gaussian": (GAUSSIAN, "--", "s"),
    "initial": (INITIAL, ":", "^"),
    "bank": (BANK, "-.", "D"),
}
"""Colour, line style and marker of each start of a refinement."""
OTHER_STARTS: tuple[tuple[str, LineStyle, str], ...] = (
    ("#777777", (0, (5, 1, 1, 1, 1, 1)), "v"),
    ("#117733", (0, (1, 1)), "P"),
    ("#882255", (0, (3, 1)), "X"),
)
"""The same for starts that have no look of their own, in turn."""

CARD = (3.5, 2.7)


@dataclass(frozen=True)
class Picture:
    """A figure with what it shows in words, for readers and for those who cannot see it."""

    figure: Figure
    caption: str
    raster: bool = False
    title: str = ""

    @property
    def caption_shown(self) -> str:
        """The caption, unless the picture's own title says as much."""
        return "" if self.title else self.caption

    def data_uri(self) -> str:
        """Return the figure as a data URI: SVG for curves, PNG where fields fill it."""
        kind = "png" if self.raster else "svg"
        buffer = io.BytesIO()
        metadata = {"Software": None} if self.raster else {"Date": None}
        with style():
            self.figure.savefig(buffer, format=kind, dpi=200, metadata=metadata)
        mime = "image/png" if self.raster else "image/svg+xml"
        return f"data:{mime};base64,{base64.b64encode(buffer.getvalue()).decode()}"


@contextmanager
def style() -> Iterator[None]:
    """Draw with this module's look, whatever the caller's own settings are."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def unit_of(comparison: Comparison, name: str) -> str:
    """Return the unit of a channel or coordinate, or "" where it is non-dimensional."""
    unit = comparison.units.get(name, "")
    return "" if unit == "1" else unit


def labelled(comparison: Comparison, symbol: str, name: str | None = None) -> str:
    """Return an axis label, ``x (m)``, or ``x`` where it is non-dimensional."""
    unit = unit_of(comparison, name or symbol)
    return f"{symbol} ({unit})" if unit else symbol


def _diverging() -> Colormap:
    """Blue to near-white to red along straight lines in Oklab (Ottosson, 2020): even steps of lightness
    either way.

    The two ends have equal lightness, so that a grey print loses the sign but keeps the size.
    """
    ends = [
        (0.36, -0.02, -0.13),
        (0.6675, -0.035, -0.10),
        (0.975, 0.0, 0.004),
        (0.6675, 0.12, 0.06),
        (0.36, 0.13, 0.05),
    ]
    lab = np.stack([np.interp(np.linspace(0, 1, 257), np.linspace(0, 1, 5), axis) for axis in zip(*ends)], axis=-1)
    to_lms = np.array(
        [
            [1, 0.3963377774, 0.2158037573],
            [1, -0.1055613458, -0.0638541728],
            [1, -0.0894841775, -1.2914855480],
        ]
    )
    to_rgb = np.array(
        [
            [4.0767416621, -3.3077115913, 0.2309699292],
            [-1.2684380046, 2.6097574011, -0.3413193965],
            [-0.0041960863, -0.7034186147, 1.7076147010],
        ]
    )
    linear = np.clip(((lab @ to_lms.T) ** 3) @ to_rgb.T, 0, 1)
    rgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return LinearSegmentedColormap.from_list("solvergan_diverging", rgb, N=257)


DIVERGING = _diverging()


def scale_of(solver: np.ndarray) -> tuple[Colormap, Normalize]:
    """Return colour map and scale fixed by solver fields: symmetric and diverging where they change sign."""
    finite = solver[np.isfinite(solver)]
    low, high = np.quantile(finite, [0.001, 0.999]) if finite.size else (0.0, 1.0)
    if low < 0 < high and min(-low, high) > 0.1 * max(-low, high):
        size = max(-low, high)
        return DIVERGING, Normalize(-size, size)
    return matplotlib.colormaps["cividis"], Normalize(low, high if high > low else low + 1)


def panels(
    size: tuple[float, float] = CARD,
    rows: int = 1,
    columns: int = 1,
    *,
    sharex: bool = False,
    sharey: bool = False,
    height_ratios: Sequence[float | int] | None = None,
) -> tuple[Figure, np.ndarray]:
    """Make a figure with a grid (rows, columns) of axes, laid out so that nothing overlaps."""
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharex=sharex, sharey=sharey, height_ratios=height_ratios)
    for axes in grid.flat:
        axes.xaxis.set_major_formatter(_Plain(useOffset=False))
        axes.yaxis.set_major_formatter(_Plain(useOffset=False))
    return figure, grid


class _Plain(ScalarFormatter):
    """Tick labels as plain text with a power of ten in superscript digits: a quarter of a report's time went into
    typesetting numbers as formulas."""

    _SUPERSCRIPT = str.maketrans("+-0123456789", "⁺⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

    def get_offset(self) -> str:
        """Return the factor of all labels, such as ×10⁻³."""
        exponent = super().get_offset().replace("\u2212", "-").removeprefix("1e")
        return f"×10{exponent.translate(self._SUPERSCRIPT)}" if exponent else ""


def coordinates_of(figures: Arrays) -> list[np.ndarray]:
    """Return the grid coordinates, one array for each axis."""
    found: list[np.ndarray] = []
    while f"coordinates/{len(found)}" in figures:
        found.append(np.asarray(figures[f"coordinates/{len(found)}"]))
    return found


def channel_names(comparison: Comparison, count: int) -> list[str]:
    """Return the names of the channels, numbered where the comparison does not name them."""
    given = list(comparison.channels)
    return given if len(given) == count else [f"channel {index}" for index in range(count)]


def ratio_ticks(axis: Axis, low: float, high: float) -> None:
    """Put plain numbers on a logarithmic axis of ratios."""
    steps = (1, 2, 5) if high / low < 200 else (1,)
    ticks = [m * 10.0**e for e in range(-3, 7) for m in steps if low <= m * 10.0**e <= high]
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
