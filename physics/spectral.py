"""Fourier transforms and derivatives of real fields on periodic grids.

Physical fields are real with channels last, ``(*grid.shape, C)``; their spectra are complex with channels
first, ``(C, *grid.spectral_shape)``, so that every transform runs over contiguous memory. Coefficients are
those of ``jnp.fft.rfftn`` without normalisation: u(x) = 1/N sum_n u_n exp(2 pi i n x / L).

Odd derivatives drop the Nyquist wave of even grids, see `Grid.odd_wavenumbers`.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from physics.grid import Grid


def to_spectral(u: Float[Array | np.ndarray, "*shape c"], grid: Grid) -> Complex[Array, "c *spectrum"]:
    """The spectrum of one field: ``(*grid.shape, C)`` to ``(C, *grid.spectral_shape)``."""
    return jnp.fft.rfftn(jnp.moveaxis(jnp.asarray(u), -1, 0), axes=tuple(range(1, grid.ndim + 1)))


def to_physical(u_hat: Complex[Array, "c *spectrum"], grid: Grid) -> Float[Array, "*shape c"]:
    """The field of one spectrum, the inverse of `to_spectral`."""
    return jnp.moveaxis(inverse_transform(u_hat, grid), 0, -1)


def transform(u: Float[Array, "c *shape"], grid: Grid) -> Complex[Array, "c *spectrum"]:
    """`to_spectral` for fields with channels first, as nonlinear terms use it between two transforms."""
    return jnp.fft.rfftn(u, axes=tuple(range(-grid.ndim, 0)))


def inverse_transform(u_hat: Complex[Array, "c *spectrum"], grid: Grid) -> Float[Array, "c *shape"]:
    """`to_physical` for fields with channels first."""
    return jnp.fft.irfftn(u_hat, s=grid.shape, axes=tuple(range(-grid.ndim, 0)))


def inverse_transform_pair(
    a_hat: Complex[Array, "*waves"], b_hat: Complex[Array, "*waves"], grid: Grid
) -> tuple[Float[Array, "*shape"], Float[Array, "*shape"]]:
    """Two real fields of two spectra by one complex transform of a + i b, cheaper than two real ones in 2D.

    The waves that the spectra leave out are conj(a) + i conj(b) at minus the wavenumber. The spectra must be those of
    real fields; of their last axis they may hold only the first few waves, the others are zero.
    """
    size, held = grid.shape[-1], a_hat.shape[-1]
    mirrored = (jnp.conj(a_hat) + 1j * jnp.conj(b_hat))[..., min(held - 1, (size - 1) // 2) : 0 : -1]
    for axis in range(-grid.ndim, -1):
        mirrored = jnp.roll(jnp.flip(mirrored, axis), 1, axis)
    zeros = jnp.zeros((*a_hat.shape[:-1], size - held - mirrored.shape[-1]), a_hat.dtype)
    both = jnp.fft.ifftn(jnp.concatenate([a_hat + 1j * b_hat, zeros, mirrored], -1), axes=tuple(range(-grid.ndim, 0)))
    return both.real, both.imag


def apply_symbol(symbol: Any, u_hat: Array) -> Array:
    """A function of a linear operator, given on waves, applied to a spectrum ``(C, *waves)``.

    ``symbol`` is one number per channel and wave, ``(C, *waves)`` or what broadcasts to it, or one axis more: a
    matrix between channels per wave, ``(C, C, *waves)``.
    """
    # Matrices of a few channels: a sum of products fuses with its neighbours and keeps full precision everywhere.
    return (symbol * u_hat).sum(1) if jnp.ndim(symbol) > u_hat.ndim else symbol * u_hat


def derivative(
    u: Float[Array | np.ndarray, "*shape c"], grid: Grid, axis: int = 0, order: int = 1
) -> Float[Array, "*shape c"]:
    """The ``order``-th derivative of every channel along one spatial axis, exact for resolved waves."""
    if not 0 <= axis < grid.ndim:
        raise ValueError(f"axis {axis} is not one of this grid's {grid.ndim} spatial axes, counted from 0.")
    if order < 0:
        raise ValueError(f"order {order} of a derivative must be 0 or more.")
    k = grid.odd_wavenumbers[axis] if order % 2 else grid.wavenumbers[axis]
    u_hat = to_spectral(u, grid)
    return to_physical(u_hat * jnp.asarray((1j * k) ** order, u_hat.dtype), grid)


def gradient(u: Float[Array | np.ndarray, "*shape c"], grid: Grid) -> Float[Array, "*shape c d"]:
    """First derivatives along all axes, stacked last: ``(*grid.shape, C, ndim)``."""
    return jnp.stack([derivative(u, grid, axis) for axis in range(grid.ndim)], axis=-1)


def laplacian(u: Float[Array | np.ndarray, "*shape c"], grid: Grid) -> Float[Array, "*shape c"]:
    """Sum of the second derivatives of every channel."""
    u_hat = to_spectral(u, grid)
    return to_physical(u_hat * jnp.asarray(-grid.wavenumber_squared, u_hat.real.dtype), grid)


def inverse_laplacian(u: Float[Array | np.ndarray, "*shape c"], grid: Grid) -> Float[Array, "*shape c"]:
    """The zero-mean solution f of laplacian(f) = u - mean(u)."""
    u_hat = to_spectral(u, grid)
    k2 = grid.wavenumber_squared
    inverse = np.divide(-1.0, k2, out=np.zeros(k2.shape), where=k2 > 0)
    return to_physical(u_hat * jnp.asarray(inverse, u_hat.real.dtype), grid)


def dealias(u: Float[Array | np.ndarray, "*shape c"], grid: Grid) -> Float[Array, "*shape c"]:
    """The part of a field that the 2/3 rule keeps."""
    u_hat = to_spectral(u, grid)
    return to_physical(u_hat * jnp.asarray(grid.dealias_mask, u_hat.real.dtype), grid)


def derivative_of_square(u_hat: Complex[Array, "c n"], grid: Grid, factor: float) -> Complex[Array, "c n"]:
    """The dealiased spectrum of ``factor * (u^2)_x`` on a line, for the spectrum of u: advection in flux form."""
    mask = jnp.asarray(grid.dealias_mask, u_hat.real.dtype)
    (k,) = grid.odd_wavenumbers
    u = inverse_transform(mask * u_hat, grid)
    return jnp.asarray(factor * 1j * k * grid.dealias_mask, u_hat.dtype) * transform(u * u, grid)


def resample(u: Float[Array | np.ndarray, "*shape c"], grid: Grid, onto: Grid) -> Float[Array, "*shape2 c"]:
    """The same trigonometric polynomial on another grid of the same box, finer or coarser.

    Waves that both grids resolve strictly (below either Nyquist) are copied, the others are zero.
    """
    if grid.extent != onto.extent:
        raise ValueError(f"resample needs one box, but the extents are {grid.extent} and {onto.extent}.")
    u_hat = to_spectral(u, grid)
    out = jnp.zeros((u_hat.shape[0], *onto.spectral_shape), u_hat.dtype)
    source, target = [np.arange(u_hat.shape[0])], [np.arange(u_hat.shape[0])]
    for axis in range(grid.ndim):
        size = min(grid.shape[axis], onto.shape[axis])
        n = np.arange((size + 1) // 2)
        if axis < grid.ndim - 1:
            n = np.concatenate([n, -n[:0:-1]])
        source.append(n % grid.shape[axis])
        target.append(n % onto.shape[axis])
    picked = u_hat[np.ix_(*source)]
    out = out.at[np.ix_(*target)].set(picked)
    return to_physical(out * (onto.size / grid.size), onto)
