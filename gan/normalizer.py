"""The normaliser: per-channel mean and standard deviation of the training data.

It belongs to the players: networks see ``(field - mean) / std``, everything else (solver layer, penalties, metrics,
users) sees physical units. A normalised field no longer solves the equation, which is why the boundary is
drawn here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gan.config import NetworkConfig


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

    def normalized_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of a normalised sample, that of the sample."""
        return shape

    def normalize(self, field: Any) -> Any:
        """Return a field (..., C) in units of standard deviations from the mean; numpy stays numpy."""
        if np.min(self.std) > 0:
            return (field - self.mean) / self.std
        free = np.asarray(self.std) > 0
        return (field - self.mean) * (free / np.where(free, self.std, 1)).astype(np.float32)

    def denormalize(self, field: Any) -> Any:
        """Return a normalised field (..., C) in physical units; numpy stays numpy."""
        return field * self.std + self.mean


def wave_vectors(waves: int, axes: int, above: int = 0) -> np.ndarray:
    """Return the wave vectors k of a periodic grid with ``above`` < |k| <= ``waves``, one of k and -k, (K, axes).

    Integers: whole waves along each axis. The longest come first; on a line they are 1 to ``waves``.
    """
    sides = [np.arange(-waves, waves + 1)] * (axes - 1) + [np.arange(waves + 1)]
    k = np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1).reshape(-1, axes)
    # Of k and -k the one whose last component other than 0 is positive: the half that a real transform keeps.
    last = np.zeros(len(k), int)
    for column in k.T:
        last = np.where(column != 0, column, last)
    squares = (k**2).sum(axis=1)
    kept = k[(last > 0) & (squares > above**2) & (squares <= waves**2)]
    return kept[np.argsort((kept**2).sum(axis=1), kind="stable")]


class WaveNormalizer(NamedTuple):
    """Fields on a periodic grid as the amplitudes of their longest waves, each in units of its own spread.

    A normalised field is a vector of 2 K numbers, the real parts of the amplitudes of `wave_vectors` and then the
    imaginary parts, all of unit root mean square over the data. Shorter waves and the spatial mean have no part in it:
    a field that comes back has the mean of the data and no shorter waves.

    Attributes:
        mean: of the fields, (1,), physical units.
        std: root mean square (K,) of the real, and of the imaginary, part of every wave's amplitude.
        square_std: the same of the squared fields, after their mean is taken off.
        points: of the grid along each axis.
        waves: longest waves that are kept: those of at most so many waves per box.
        offset: mean (2 K,) of the amplitudes, in units of the spread; 0 for every wave that a shift changes.
        shift_axes: axes along which the distribution of the fields does not change with a shift.
        above: waves of at most so many per box have no part in it either.
        short: fit of the waves that follow those of this normaliser (`gan.short_waves`), or None.
    """

    mean: Any
    std: Any
    square_std: Any
    points: tuple[int, ...]
    waves: int
    offset: Any
    shift_axes: tuple[int, ...]
    above: int = 0
    short: ShortWaves | None = None

    @property
    def vectors(self) -> np.ndarray:
        """Wave vectors (K, axes)."""
        return wave_vectors(self.waves, len(self.points), self.above)

    def normalized_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of a normalised sample."""
        return (2 * len(self.std),)

    def normalize(self, field: Any) -> Any:
        """Return fields (..., *points, 1) as amplitudes (..., 2 K); numpy stays numpy."""
        lead = field.shape[: -1 - len(self.points)]
        values = (field[..., 0] - self.mean).reshape(*lead, math.prod(self.points))
        return values @ self._matrix(forward=True) - self.offset

    def denormalize(self, field: Any) -> Any:
        """Return amplitudes (..., 2 K) as fields (..., *points, 1); numpy stays numpy."""
        values = (field + self.offset) @ self._matrix(forward=False) + self.mean
        return values.reshape(*field.shape[:-1], *self.points, 1)

    def _matrix(self, forward: bool) -> np.ndarray:
        """Return the matrix of the scaled transform, (points, 2 K), or of its inverse, (2 K, points)."""
        angle, size = wave_angles(self.vectors, self.points), math.prod(self.points)
        parts, spread = np.concatenate([np.cos(angle), -np.sin(angle)]), np.tile(np.asarray(self.std), 2)[:, None]
        return (parts / (size * spread)).T.astype(np.float32) if forward else (2 * parts * spread).astype("f4")


class ShortWaves(NamedTuple):
    """Waves that follow the longest ones, as a linear function of products of these.

    Attributes:
        normalizer: of the short waves.
        matrix: (features, numbers), from what `gan.short_waves.features` makes of the amplitudes of the longest waves
            to those of the short ones, both in the frame of the strongest waves.
    """

    normalizer: WaveNormalizer
    matrix: Any


def wave_angles(vectors: np.ndarray, points: tuple[int, ...]) -> np.ndarray:
    """Return 2 pi k x of wave vectors (K, axes) at the points of a box of length 1, shape (K, points)."""
    places = np.stack(np.meshgrid(*map(np.arange, points), indexing="ij"), axis=-1).reshape(-1, len(points))
    turns = sum(np.outer(vectors[:, axis], places[:, axis]) / points[axis] for axis in range(1, len(points)))
    return 2 * np.pi * np.outer(vectors[:, 0], places[:, 0]) / points[0] + 2 * np.pi * turns


SampleNormalizer = Normalizer | WaveNormalizer
"""What normalises samples; conditions have a `Normalizer`."""


def _points_of_grid(shape: tuple[int, ...], waves: int, name: str = "network.waves") -> tuple[int, ...]:
    if len(shape) < 2 or shape[-1] != 1:
        raise ValueError(
            f"network.kind = 'waves' needs single fields of one channel on a grid, and samples have the shape {shape}: "
            "choose another kind."
        )
    if waves >= min(shape[:-1]) / 2:
        raise ValueError(f"{name} = {waves} are more than {min(shape[:-1])} points along an axis can hold: take fewer.")
    return tuple(shape[:-1])


def unit_samples(network: NetworkConfig, shape: tuple[int, ...]) -> SampleNormalizer:
    """Return the normaliser of that kind with unit scales, for checks before there are data; raises as the fits do."""
    if network.kind != "waves":
        return Normalizer.identity(shape[-1])
    points = _points_of_grid(shape, network.waves)
    _points_of_grid(shape, network.short_waves, "network.short_waves")
    ones = np.ones(len(wave_vectors(network.waves, len(points))), np.float32)
    zeros = np.zeros(2 * len(ones), np.float32)
    return WaveNormalizer(np.zeros(1, np.float32), ones, ones, points, network.waves, zeros, tuple(range(len(points))))


def fit_waves(
    fields: np.ndarray, waves: int, most: int = 2**23, shift_axes: Sequence[int] | None = None, above: int = 0
) -> WaveNormalizer:
    """Fit a normaliser to the longest waves of fields (N, *points, 1) on a periodic grid.

    Args:
        fields: of which some, evenly spaced, are read.
        waves: longest waves that are kept, as waves per box.
        most: numbers that are read.
        shift_axes: axes along which the distribution does not change with a shift; all of them where left out. Waves
            that no such shift changes may have a mean, which is taken off.
        above: waves of at most so many per box are left out.

    Raises:
        ValueError: fields of another shape, more waves than the grid can hold, or a wave without energy.
    """
    points = _points_of_grid(np.shape(fields)[1:], waves)
    axes, vectors = tuple(range(1, 1 + len(points))), wave_vectors(waves, len(points), above)
    shifted = tuple(range(len(points))) if shift_axes is None else tuple(shift_axes)
    count = max(1, min(len(fields), most // math.prod(points)))
    known = np.asarray(fields[np.unique(np.linspace(0, len(fields) - 1, count).astype(int))], np.float64)[..., 0]
    mean = known.mean()
    fixed = (vectors[:, list(shifted)] == 0).all(axis=1)

    def amplitudes(values: np.ndarray) -> np.ndarray:
        return np.fft.rfftn(values, axes=axes)[:, *vectors.T] / math.prod(points)

    def spread(values: np.ndarray) -> np.ndarray:
        return np.sqrt((np.abs(values) ** 2).mean(axis=0) / 2)

    found = amplitudes(known - mean)
    middle = np.where(fixed, found.mean(axis=0), 0)
    std, square_std = spread(found - middle), spread(amplitudes((known - mean) ** 2))
    if not (np.isfinite(std).all() and (std > 0).all()):
        raise ValueError(f"network.waves = {waves}: a wave has no energy in the training fields; take fewer waves.")
    return WaveNormalizer(
        np.array([mean], np.float32),
        std.astype(np.float32),
        np.where(square_std > 0, square_std, 1.0).astype(np.float32),
        points,
        waves,
        np.concatenate([middle.real / std, middle.imag / std]).astype(np.float32),
        shifted,
        above,
    )


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
