"""The normaliser: per-channel mean and standard deviation of the training data.

It belongs to the players: networks see ``(field - mean) / std``, everything else (solver layer, penalties, metrics,
users) sees physical units. A normalised field no longer solves the equation, which is why the boundary is
drawn here.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class Normalizer(NamedTuple):
    """Mean and standard deviation of each channel, in physical units.

    Where points of the grid are held (see :func:`fit`), both have the shape (*grid, C), and ``std`` is 0 there: a
    normalised field is 0 at these points, and a physical one has their value whatever a network says.

    Attributes:
        mean: shape (C,).
        std: shape (C,), positive; 1 for a channel that never varies.
    """

    mean: Any
    std: Any

    @classmethod
    def identity(cls, channels: int) -> Normalizer:
        """Return the normaliser of this many channels that changes nothing."""
        return cls(np.zeros(channels, np.float32), np.ones(channels, np.float32))

    def normalize(self, field: Any) -> Any:
        """Return a field (..., C) in units of standard deviations from the mean; numpy stays numpy."""
        if np.min(self.std) > 0:
            return (field - self.mean) / self.std
        free = np.asarray(self.std) > 0
        return (field - self.mean) * (free / np.where(free, self.std, 1)).astype(np.float32)

    def denormalize(self, field: Any) -> Any:
        """Return a normalised field (..., C) in physical units; numpy stays numpy."""
        return field * self.std + self.mean


def fit(fields: np.ndarray, chunk: int = 1024, held: np.ndarray | None = None) -> Normalizer:
    """Fit a normaliser to fields (N, ..., C), read in chunks: a memory map is never loaded whole.

    Moments are accumulated in float64 after shifting by the first sample's mean, so that a large mean does
    not eat the variance (Chan, Golub and LeVeque, 1983). A channel without variation gets the standard
    deviation 1. Points that are held (``held``, (*grid, C) of bool) keep the value that the first field has there.

    Raises:
        ValueError: no fields, fields that are not finite, or a held point that varies.
    """
    if len(fields) == 0:
        raise ValueError("The normaliser needs at least one training field, got none.")
    axes = tuple(range(np.ndim(fields) - 1))
    shift = np.asarray(fields[:1], dtype=np.float64).mean(axis=axes)
    # Points that are held have no part in the moments of the others.
    free = None if held is None else ~held
    count, total, squares = np.zeros_like(shift), np.zeros_like(shift), np.zeros_like(shift)
    for start in range(0, len(fields), chunk):
        part = np.asarray(fields[start : start + chunk], dtype=np.float64) - shift
        if free is None:
            count += part[..., 0].size
        else:
            part, count = part * free, count + len(part) * free.sum(axis=tuple(range(free.ndim - 1)))
        total += part.sum(axis=axes)
        squares += np.square(part).sum(axis=axes)
    mean = total / np.maximum(count, 1)
    variance = np.maximum(squares / np.maximum(count, 1) - mean**2, 0.0)
    if not (np.all(np.isfinite(mean)) and np.all(np.isfinite(variance))):
        raise ValueError("The training fields hold values that are not finite; clean the data before training.")
    std = np.sqrt(variance)
    std = np.where(std > 1e-12 * np.maximum(1.0, np.abs(mean + shift)), std, 1.0)
    found = Normalizer((mean + shift).astype(np.float32), std.astype(np.float32))
    if held is None:
        return found
    first = np.asarray(fields[0], np.float32)
    for start in range(0, len(fields), chunk):
        if np.any(np.asarray(fields[start : start + chunk])[:, held] != first[held]):
            raise ValueError("A point that is held has different values in the training fields; hold fewer points.")
    return Normalizer(np.where(held, first, found.mean), np.where(held, np.float32(0), found.std))
