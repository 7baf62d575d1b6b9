"""Pictures of distributions with known modes: samples beside exact ones, weights, the course over training, its
samples."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.evaluation.results import Scores
from experiments.files import JsonObject
from experiments.plots.style import BAND, GENERATOR, SOLVER, Arrays, Picture, panels, style
from experiments.wording import capital, is_finite, words

FRAMES = 8
"""Frames of a strip of samples."""
MEASURES = (
    ("modes_found", "modes found"),
    ("high_quality", "share of high quality"),
    ("total_variation", "TV of weights"),
)
"""What is drawn over the training, with its words."""


@dataclass(frozen=True)
class SampleHistory:
    """An animated picture, as a GIF that loops."""

    frames: Sequence[np.ndarray]
    steps: Sequence[int]
    limits: tuple[np.ndarray, np.ndarray]
    caption: str

    @property
    def caption_shown(self) -> str:
        """The caption."""
        return self.caption

    def data_uri(self) -> str:
        """Draw every frame and return the animation as a data URI."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from PIL import Image

        images = []
        with style():
            for samples, step in zip(self.frames, self.steps):
                figure = Figure(figsize=(3.6, 0.2 + height_of(samples)), layout="constrained", dpi=100)
                canvas = FigureCanvasAgg(figure)
                draw_samples(figure.subplots(), samples, GENERATOR, self.limits)
                figure.axes[0].set_title(f"update {step}")
                canvas.draw()
                images.append(Image.fromarray(np.asarray(canvas.buffer_rgba())).quantize(32))
        buffer = io.BytesIO()
        times = [250] * (len(images) - 1) + [1500]
        images[0].save(buffer, "GIF", save_all=True, append_images=images[1:], duration=times, loop=0)
        return f"data:image/gif;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def draw_samples(axes: Axes, samples: np.ndarray, colour: str, limits: tuple[np.ndarray, np.ndarray]) -> None:
    """Draw points (n, 2) as a scatter, pictures (n, y, x, C) as a sheet; limits are the data's."""
    low, high = limits
    if samples.ndim == 2:
        axes.plot(samples[:, 0], samples[:, 1], ".", color=colour, markersize=1.2, alpha=0.5, rasterized=True)
        axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal")
        return
    axes.imshow(sheet(samples), cmap="gray_r", vmin=float(low.min()), vmax=float(high.max()), interpolation="nearest")
    axes.set_axis_off()


def height_of(samples: np.ndarray) -> float:
    """Height, in inches, of a drawing of samples that is 3.6 inches wide."""
    if samples.ndim == 2:
        return 3.6
    high, wide = sheet(samples).shape
    return 3.6 * high / wide


PICTURES = 36
"""Pictures at most on one sheet."""


def sheet(samples: np.ndarray, most: int = PICTURES) -> np.ndarray:
    """Lay out pictures (n, y, x, C) in a square, the channels of each side by side."""
    side = int(np.sqrt(min(len(samples), most)))
    wide = np.concatenate(np.moveaxis(samples[: side * side], -1, 0), axis=2)
    padded = np.pad(wide, ((0, 0), (1, 1), (1, 1)), constant_values=np.nan)
    rows = padded.reshape(side, side, *padded.shape[1:])
    return np.concatenate(np.concatenate(rows.swapaxes(0, 1), axis=2), axis=0)


def limits_of(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest and the highest value of every channel, widened for points."""
    axes = tuple(range(samples.ndim - 1))
    low, high = samples.min(axis=axes), samples.max(axis=axes)
    margin = 0.08 * (high - low) if samples.ndim == 2 else 0.0
    return low - margin, high + margin


def _exact(figures: Arrays) -> tuple[str, np.ndarray] | None:
    for kind in ("points", "pictures"):
        if f"modes/{kind}_exact" in figures:
            return kind, figures[f"modes/{kind}_exact"]
    return None


def beside(figures: Arrays) -> list[Picture]:
    """The generator's samples beside exact ones."""
    found = _exact(figures)
    if found is None:
        return []
    kind, exact = found
    limits = limits_of(exact)
    with style():
        figure, grid = panels((7.4, 0.3 + height_of(exact)), 1, 2)
        own = figures[f"modes/{kind}_generator"]
        for axes, samples, colour, title in zip(
            grid[0], (exact, own), (SOLVER, GENERATOR), ("exact samples", "generator")
        ):
            draw_samples(axes, samples, colour, limits)
            axes.set_title(title)
    shown = len(own) if own.ndim == 2 else min(len(own), PICTURES)
    return [Picture(figure, f"Exact samples beside the generator's, {shown} of each at most.", raster=True)]


def shares(figures: Arrays) -> list[Picture]:
    """Share of every mode among the samples against its true weight, with two standard errors of exact sets."""
    if "modes/weights" not in figures:
        return []
    weights, own, spread = (figures[f"modes/{name}"] for name in ("weights", "shares", "spread"))
    order = np.argsort(weights, kind="stable")
    place = np.arange(len(weights))
    with style():
        figure, grid = panels((7.4, 2.7))
        axes = grid[0, 0]
        low, high = weights[order] - spread[order], weights[order] + spread[order]
        axes.fill_between(place, np.maximum(low, 0), high, color=BAND, lw=0, step="mid", label="exact sets")
        axes.step(place, weights[order], color=SOLVER, where="mid", linewidth=1.0, label="true weight")
        axes.plot(place, own[order], ".", color=GENERATOR, label="generator", markersize=3)
        axes.set(xlabel="mode, by weight", ylabel="share of samples", ylim=(0, None))
        axes.margins(x=0.01)
        axes.legend(loc="best")
    return [Picture(figure, "Share of every mode; grey: two standard errors of exact sets of the same size.")]


def course(metrics: Sequence[JsonObject], scores: Scores | None) -> list[Picture]:
    """Modes found, quality and weights over the training, with the band of exact sets where it is known."""
    pictures = []
    for name, label in MEASURES:
        rows = [row for row in metrics if is_finite(row.get(name))]
        if len(rows) < 2:
            continue
        with style():
            figure, grid = panels()
            axes = grid[0, 0]
            if scores is not None and name in scores.entries:
                low, high = scores.entries[name].null
                axes.axhspan(low, high, color=BAND, lw=0)
                axes.axhline((low + high) / 2, color=SOLVER, linewidth=0.8, label="exact samples")
            steps, values = [row["step"] for row in rows], [row[name] for row in rows]
            axes.plot(steps, values, "o-", color=GENERATOR, markersize=3, label="generator")
            axes.set(xlabel="generator updates", ylabel=label, title=capital(words(name)))
            axes.legend(loc="best")
        pictures.append(Picture(figure, f"{label} over the training.", title=name))
    return pictures


def strip(frames: Sequence[np.ndarray], steps: Sequence[int], figures: Arrays) -> list[Picture]:
    """Samples from the same latents along the training, in one row."""
    found = _exact(figures)
    if found is None or len(frames) < 2:
        return []
    chosen = np.unique(np.linspace(0, len(frames) - 1, min(FRAMES, len(frames))).round().astype(int))
    limits = limits_of(found[1])
    with style():
        columns = -(-len(chosen) // 2)
        figure, grid = panels((7.4, 4.2), 2, columns)
        for axes in grid.flat:
            axes.set_axis_off()
        for axes, index in zip(grid.flat, chosen):
            draw_samples(axes, frames[index], GENERATOR, limits)
            axes.set_title(f"update {steps[index]}")
    return [Picture(figure, "Samples from the same latents along the training.", raster=True)]


def sample_history(frames: Sequence[np.ndarray], steps: Sequence[int], figures: Arrays) -> list[SampleHistory]:
    """The same as an animation."""
    found = _exact(figures)
    if found is None or len(frames) < 2:
        return []
    return [
        SampleHistory(
            frames, steps, limits_of(found[1]), "The training over the training: samples from the same latents."
        )
    ]
