"""Linear hard constraints as output layers, and the smooth bound before the solver.

A constraint that is linear in the field holds exactly by construction: zero spatial mean by subtracting it, a
divergence-free velocity in two dimensions as the curl of a stream function, ``(u, v) = (d psi/dy, -d
psi/dx)``, differentiated with the same spectral derivative that a spectral solver uses, so that the solver
finds no divergence either.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def smooth_bound(x: Float[Array, "*shape"], bound: float) -> Float[Array, "*shape"]:
    """Return ``x / sqrt(1 + (x / bound)^2)``: the identity for small values, never larger than ``bound``.

    Its slope falls as a power, not exponentially as that of a tanh: what has gone too far finds its way back.
    """
    return x * jax.lax.rsqrt(1.0 + (x / bound) ** 2)


def without_mean(field: Float[Array, "*lead c"], ndim: int) -> Float[Array, "*lead c"]:
    """Subtract the spatial mean over the ``ndim`` grid axes before the channel axis."""
    axes = tuple(range(field.ndim - 1 - ndim, field.ndim - 1))
    return field - jnp.mean(field, axis=axes, keepdims=True)


def curl(stream: Float[Array, "*lead x y 1"], extent: tuple[float, ...]) -> Float[Array, "*lead x y 2"]:
    """Return the velocity ``(d psi/dy, -d psi/dx)`` of a stream function on a periodic box of this extent.

    Modes at the highest wavenumber of an even axis are dropped: their derivative has no real value on the grid,
    and solvers differ in what they take it to be.
    """
    psi = stream[..., 0]
    nx, ny = psi.shape[-2:]
    kx = np.fft.fftfreq(nx, d=extent[0] / nx) * 2 * math.pi
    ky = np.fft.rfftfreq(ny, d=extent[1] / ny) * 2 * math.pi
    kept = np.ones((nx, ny // 2 + 1))
    if nx % 2 == 0:
        kept[nx // 2] = 0.0
    if ny % 2 == 0:
        kept[:, -1] = 0.0
    spectrum = jnp.fft.rfftn(psi, axes=(-2, -1)) * kept
    modes = jnp.stack([1j * ky[None, :] * spectrum, -1j * kx[:, None] * spectrum], axis=-1)
    return jnp.fft.irfftn(modes, s=(nx, ny), axes=(-3, -2)).astype(stream.dtype)
