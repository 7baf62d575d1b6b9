"""Gaussian fields with the second moments of given ones: the closest distribution that knows nothing else."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from experiments.evaluation.varying import joined, nearest, parted

COMBINED = 4096
"""Fields whose deviations are combined into Gaussian ones."""
NEAR = 128
"""The same where parameters vary: as many fields with the nearest parameters."""


def gaussian_fields(
    fields: Float[np.ndarray, "n *grid c"],
    count: int,
    *,
    seed: int,
    homogeneous: bool = True,
    asked: Float[np.ndarray, "m k"] | None = None,
) -> Float[np.ndarray, "m *grid c"]:
    """Gaussian fields ``(count, *grid, channels)`` with the mean and the covariance of the given ones.

    The closest start that knows the second moments and nothing else. Where the distribution is the same everywhere on a
    periodic grid, white noise is coloured by the Cholesky factor of the cross-spectral matrix ``<u_c^ u_d^*>`` of each
    wavenumber; elsewhere a sample is the mean plus a random combination of the fields' deviations from it. Where
    parameters vary, mean and deviations are those of the fields whose parameters are nearest to the ones asked for.

    Args:
        fields: of which the moments are taken.
        count: of the new fields.
        seed: of the noise.
        homogeneous: whether the distribution is the same everywhere on a periodic grid.
        asked: logarithms of the parameters of every new field, where ``fields`` are joined with theirs
            (`experiments.evaluation.varying`); the new fields are joined with those asked for.
    """
    fields, rng = np.asarray(fields, np.float32), np.random.default_rng((seed, 6))
    if asked is not None and asked.shape[1]:
        own, logarithms = parted(fields, asked.shape[1])
        made = np.empty((count, *own.shape[1:]), np.float32)
        for i, near in enumerate(nearest(logarithms, asked[:count], NEAR)):
            middle = own[near].mean(axis=0)
            weights = rng.standard_normal(len(near), dtype=np.float32) / np.float32(np.sqrt(len(near)))
            made[i] = middle + np.tensordot(weights, own[near] - middle, axes=1)
        return joined(made, asked[:count])
    if not (homogeneous and fields.ndim > 2):
        some = fields[:COMBINED]
        weights = rng.standard_normal((count, len(some)), dtype=np.float32) / np.float32(np.sqrt(len(some)))
        middle = some.mean(axis=0)
        return middle + np.tensordot(weights, some - middle, axes=1)
    axes = tuple(range(1, fields.ndim - 1))
    shape, channels = fields.shape[1:-1], fields.shape[-1]
    mean = fields.mean(axis=(0, *axes), dtype=np.float64).astype(np.float32)
    cross: np.ndarray | float = 0.0
    for start in range(0, len(fields), 1024):
        hat = np.fft.rfftn(fields[start : start + 1024] - mean, axes=axes)
        cross = cross + np.einsum("n...c,n...d->...cd", hat, np.conj(hat), dtype=np.complex128)
    cross = np.asarray(cross) / len(fields) / np.prod(shape)
    scale = np.trace(cross, axis1=-2, axis2=-1).real[..., None, None]
    factor = np.linalg.cholesky(cross + (1e-12 * scale + 1e-30) * np.eye(channels))
    noise = rng.standard_normal((count, *shape, channels), dtype=np.float32)
    coloured = np.einsum("...cd,n...d->n...c", factor, np.fft.rfftn(noise, axes=axes))
    return (np.fft.irfftn(coloured, s=shape, axes=axes) + mean).astype(np.float32)
