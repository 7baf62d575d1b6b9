"""Fields between grids: trigonometric interpolation, and averages over cells."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jax import Array

    from physics.grid import Grid


def averaged(fields: np.ndarray, factor: int) -> np.ndarray:
    """Return the means of periodic fields (n, *grid, c) over cells of ``factor`` points along each axis.

    The cells are centred on every ``factor``-th point, and the means are those of the trigonometric interpolant.

    Example:
        >>> x = 2 * np.pi * np.arange(8) / 8
        >>> np.allclose(averaged(np.cos(x).reshape(1, 8, 1), 4).ravel(), np.sinc(0.25) * np.array([1, -1]))
        True
    """
    for axis in range(1, fields.ndim - 1):
        points = fields.shape[axis]
        waves = np.arange(points // 2 + 1)
        shape = [-1 if one == axis else 1 for one in range(fields.ndim)]
        # The mean of a wave over a cell centred on a point is its value there times the sinc of its width.
        factors = np.sinc(waves * factor / points).reshape(shape)
        fields = np.fft.irfft(np.fft.rfft(fields, axis=axis) * factors, points, axis=axis)
        fields = np.take(fields, np.arange(0, points, factor), axis=axis)
    return np.asarray(fields, np.float32)


def resampled(fields: np.ndarray, grid: Grid, onto: Grid) -> np.ndarray:
    """Return the same trigonometric polynomials on another grid."""
    return in_chunks(_resampler(grid, onto), fields)


def in_chunks(program: Callable[[np.ndarray], Array], fields: np.ndarray, chunk: int = 256) -> np.ndarray:
    """Apply a compiled program to many fields (n, *grid, c) at once, in chunks of one size."""
    parts = []
    for start in range(0, len(fields), chunk):
        index = np.minimum(np.arange(start, start + chunk), len(fields) - 1)
        parts.append(np.asarray(program(np.asarray(fields[index], np.float32)))[: len(fields) - start])
    return np.concatenate(parts)


@lru_cache(maxsize=8)
def _resampler(grid: Grid, onto: Grid) -> Callable[[np.ndarray], Array]:
    """Keep the compiled program between calls, which are timed."""
    import jax

    from physics import resample

    return jax.jit(jax.vmap(partial(resample, grid=grid, onto=onto)))
