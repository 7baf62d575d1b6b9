"""The arrays behind the report's pictures of a snapshot comparison, each with the band of solver sets of the
same size.

Bands run from 2.5% to 97.5%. Spectrum and correlation of several channels are averaged after dividing each
channel by its variance, so that units do not mix; densities are given per channel, increments along the first
axis.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from experiments.evaluation.distances import FieldFeatures, ReferenceSet

MERGED = 8
"""Bins of the distance's histogram that make one bar of the picture."""


def snapshot_figures(
    reference_set: ReferenceSet,
    features: FieldFeatures,
    samples: np.ndarray,
    solver_pool: np.ndarray,
    channels: Sequence[str],
    *,
    shown: int = 8,
) -> dict[str, np.ndarray]:
    """Fields side by side, histograms of values; of homogeneous fields, spectrum, increments and correlation."""
    frame = reference_set.frame
    figures: dict[str, np.ndarray] = {
        f"coordinates/{axis}": np.arange(n) * length / n
        for axis, (n, length) in enumerate(zip(frame.shape, frame.extent))
    }
    figures["samples/generator"], figures["samples/solver"] = samples[:shown], np.asarray(solver_pool[:shown])

    def draw(prefix: str, curve: Callable[[np.ndarray], np.ndarray]) -> None:
        middle, low, high = reference_set.band(curve)
        figures[f"{prefix}/generator"] = curve(features.rows.mean(axis=0)[None])[0]
        figures[f"{prefix}/solver"] = middle
        figures[f"{prefix}/low"] = low if middle.min() < 0 else np.maximum(low, 0)
        figures[f"{prefix}/high"] = high

    if frame.homogeneous:
        scale = np.ones((1, 1)) if frame.channels == 1 else (1 / frame.std**2)[:, None]
        figures["spectrum/wavenumber"] = frame.wavenumbers[1:]
        figures["spectrum/resolved"] = frame.wavenumbers[[1, max(1, int(frame.resolved.max()))]]
        draw("spectrum", lambda rows: (frame.part(rows, "energy") * scale).mean(axis=-2)[..., 1:])
        figures["correlation/distance"] = np.arange(frame.shape[0] // 2 + 1) * frame.extent[0] / frame.shape[0]
        draw("correlation", lambda rows: _correlation(frame.part(rows, "covariance_0")))
    for name in frame.histograms:
        for c, channel in enumerate(channels):
            prefix = _prefix(name, channel, len(channels), frame.extent[0] / frame.shape[0] if frame.shape else 1.0)
            merged = MERGED if frame.bins % MERGED == 0 else 1
            width = frame.width(name)[c] * merged
            bars = frame.bins // merged

            def density(rows: np.ndarray, name: str = name, c: int = c, merged: int = merged) -> np.ndarray:
                shares = frame.part(rows, name)[..., c, :-2]
                summed = shares.reshape(*shares.shape[:-1], -1, merged).sum(-1)
                return summed / (frame.width(name)[c] * merged)

            draw(prefix, density)
            occupied = np.flatnonzero((figures[f"{prefix}/generator"] > 0) | (figures[f"{prefix}/high"] > 0))
            keep = slice(max(occupied[0] - 1, 0), min(occupied[-1] + 2, bars))
            for curve in ("generator", "solver", "low", "high"):
                figures[f"{prefix}/{curve}"] = figures[f"{prefix}/{curve}"][keep]
            figures[f"{prefix}/centers"] = (frame.low(name)[c] + width * (np.arange(bars) + 0.5))[keep]
    return figures


def _correlation(covariance: np.ndarray) -> np.ndarray:
    """Covariances over the variance, averaged over the channels."""
    return (covariance / covariance[..., :1]).mean(axis=-2)


def _prefix(name: str, channel: str, channels: int, spacing: float) -> str:
    if name == "marginals":
        return f"histogram/{channel}"
    separation = f"{int(name.rsplit('_', 1)[1]) * spacing:.3g}"
    return f"increments/{separation}" + ("" if channels == 1 else f"/{channel}")
