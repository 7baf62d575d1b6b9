"""Transforms and derivatives of real fields: Fourier series on periodic axes, sine and cosine series on the others.

Physical fields are real with channels last, ``(*grid.shape, C)``; their spectra have channels first,
``(C, *grid.spectral_shape)``, so that every transform runs over contiguous memory, and are complex where an axis is
periodic. Coefficients of periodic axes are those of ``jnp.fft.rfftn`` without normalisation:
u(x) = 1/N sum_n u_n exp(2 pi i n x / L). On Dirichlet and Neumann axes they are the sine and cosine coefficients of
the discrete transforms of type II, scaled so that N sum_j u_j^2 = sum_n u_n^2: such a spectrum stands for a field that
vanishes, or whose slope vanishes, on both boundaries.

Odd derivatives drop the Nyquist wave of even grids, see `Grid.odd_wavenumbers`.
"""

from collections.abc import Callable
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec
from jaxtyping import Array, Complex, Float, Inexact

from physics.grid import Grid
from physics.sharded_grid import ShardedGrid

# Up to this size a product with the matrix of a sine or cosine transform beats the fast transform.
_LARGEST_MATRIX = 256


def to_spectral(u: Float[Array | np.ndarray, "*shape c"], grid: Grid) -> Inexact[Array, " c *spectrum"]:
    """The spectrum of one field: ``(*grid.shape, C)`` to ``(C, *grid.spectral_shape)``."""
    return transform(jnp.moveaxis(jnp.asarray(u), -1, 0), grid)


def to_physical(u_hat: Inexact[Array, " c *spectrum"], grid: Grid) -> Float[Array, "*shape c"]:
    """The field of one spectrum, the inverse of `to_spectral`."""
    return jnp.moveaxis(inverse_transform(u_hat, grid), 0, -1)


def transform(u: Float[Array, " c *shape"], grid: Grid) -> Inexact[Array, " c *spectrum"]:
    """`to_spectral` for fields with channels first, as nonlinear terms use it between two transforms."""
    if isinstance(grid, ShardedGrid):
        return _transform_on_mesh(u, grid)
    for axis, kind in enumerate(grid.boundary):
        if kind != "periodic":
            u = _series(u, axis - grid.ndim, kind)
    return jnp.fft.rfftn(u, axes=_periodic(grid)) if grid.periodic_axes else u


def inverse_transform(u_hat: Inexact[Array, " c *spectrum"], grid: Grid) -> Float[Array, " c *shape"]:
    """`to_physical` for fields with channels first."""
    if isinstance(grid, ShardedGrid):
        return _inverse_transform_on_mesh(u_hat, grid)
    if grid.periodic_axes:
        sizes = [grid.shape[axis] for axis in grid.periodic_axes]
        u_hat = jnp.fft.irfftn(u_hat, s=sizes, axes=_periodic(grid))
    for axis, kind in enumerate(grid.boundary):
        if kind != "periodic":
            u_hat = _inverse_series(u_hat, axis - grid.ndim, kind)
    return u_hat


def _transform_on_mesh(u: Array, grid: ShardedGrid) -> Array:
    """All axes but the first where they lie, then the first one, between the two by an exchange of the cut axis."""
    across = _across(grid)
    missing = grid.spectral_shape[1] - across.spectral_shape[0]

    def on_device(u: Array) -> Array:
        slabs = transform(u.reshape(-1, *across.shape), across)
        slabs = slabs.reshape(*u.shape[:2], *across.spectral_shape)
        slabs = jnp.pad(slabs, [(0, missing if axis == 2 else 0) for axis in range(slabs.ndim)])
        lines = jax.lax.all_to_all(slabs, grid.over, 2, 1, tiled=True)
        return jnp.fft.fft(lines, axis=1) if across.periodic_axes else jnp.fft.rfft(lines, axis=1)

    return _on_every_device(on_device, grid, into="waves")(u)


def _inverse_transform_on_mesh(u_hat: Array, grid: ShardedGrid) -> Array:
    across = _across(grid)

    def on_device(lines: Array) -> Array:
        halved = not across.periodic_axes
        lines = jnp.fft.irfft(lines, grid.shape[0], axis=1) if halved else jnp.fft.ifft(lines, axis=1)
        slabs = jax.lax.all_to_all(lines, grid.over, 1, 2, tiled=True)[:, :, : across.spectral_shape[0]]
        u = inverse_transform(slabs.reshape(-1, *across.spectral_shape), across)
        return u.reshape(*slabs.shape[:2], *across.shape)

    return _on_every_device(on_device, grid, into="points")(u_hat)


def _across(grid: Grid) -> Grid:
    """The axes that a device holds whole."""
    return Grid(grid.shape[1:], grid.extent[1:], grid.boundary[1:])


def _on_every_device(function: Callable[[Array], Array], grid: ShardedGrid, into: str) -> Callable[[Array], Array]:
    points, waves = PartitionSpec(None, grid.over), PartitionSpec(None, None, grid.over)
    before, after = (points, waves) if into == "waves" else (waves, points)
    return jax.shard_map(function, mesh=grid.device_mesh, in_specs=before, out_specs=after)


def _periodic(grid: Grid) -> tuple[int, ...]:
    """The periodic axes, counted from the last."""
    return tuple(axis - grid.ndim for axis in grid.periodic_axes)


def _series(u: Array, axis: int, kind: str) -> Array:
    """Cosine ("neumann") or sine ("dirichlet") coefficients along one axis.

    sin(pi n (j + 1/2) / N) = (-1)^j cos(pi (N - n) (j + 1/2) / N) makes the one transform of the other.
    """
    size = u.shape[axis]
    if size <= _LARGEST_MATRIX:
        return _along(_series_matrix(size, kind), u, axis)
    if kind == "dirichlet":
        return jnp.flip(_series(u * _alternating(u, axis), axis, "neumann"), axis)
    return jax.scipy.fft.dct(u, axis=axis, norm="ortho") * np.sqrt(size)


def _inverse_series(coefficients: Array, axis: int, kind: str) -> Array:
    size = coefficients.shape[axis]
    if size <= _LARGEST_MATRIX:
        return _along(_series_matrix(size, kind).T / size, coefficients, axis)
    if kind == "dirichlet":
        u = _inverse_series(jnp.flip(coefficients, axis), axis, "neumann")
        return u * _alternating(u, axis)
    return jax.scipy.fft.idct(coefficients, axis=axis, norm="ortho") / np.sqrt(size)


@cache
def _series_matrix(size: int, kind: str) -> np.ndarray:
    """Rows are the waves of one axis, each of norm sqrt(size)^2 = size over its points."""
    (n,), (x,) = Grid((size,), (np.pi,), kind).mode_numbers, Grid((size,), (np.pi,), kind).coordinates()
    waves = (np.sin if kind == "dirichlet" else np.cos)(np.outer(n, x)) * np.sqrt(2.0)
    waves[(n == 0) | (n == size)] /= np.sqrt(2.0)
    return waves


def _along(matrix: np.ndarray, u: Array, axis: int) -> Array:
    """The matrix applied along one axis, in full precision on every device."""
    product = jnp.tensordot(u, jnp.asarray(matrix, u.dtype), axes=[[axis], [1]], precision="highest")
    return jnp.moveaxis(product, -1, axis)


def _alternating(u: Array, axis: int) -> np.ndarray:
    """(-1)^j along one axis."""
    sign = (1 - 2 * (np.arange(u.shape[axis]) % 2)).astype(u.dtype)
    return sign.reshape([-1 if other == axis % u.ndim else 1 for other in range(u.ndim)])


def inverse_transform_pair(
    a_hat: Complex[Array, "*waves"], b_hat: Complex[Array, "*waves"], grid: Grid
) -> tuple[Float[Array, "*shape"], Float[Array, "*shape"]]:
    """Two real fields of two spectra by one complex transform of a + i b, cheaper than two real ones in 2D.

    The waves that the spectra leave out are conj(a) + i conj(b) at minus the wavenumber. The spectra must be those of
    real fields; of their last axis they may hold only the first few waves, the others are zero.
    """
    if isinstance(grid, ShardedGrid):
        # The mirrored waves lie on other devices.
        a, b = inverse_transform(jnp.stack([a_hat, b_hat]), grid)
        return a, b
    size, known = grid.shape[-1], a_hat.shape[-1]
    mirrored = (jnp.conj(a_hat) + 1j * jnp.conj(b_hat))[..., min(known - 1, (size - 1) // 2) : 0 : -1]
    for axis in range(-grid.ndim, -1):
        mirrored = jnp.roll(jnp.flip(mirrored, axis), 1, axis)
    zeros = jnp.zeros((*a_hat.shape[:-1], size - known - mirrored.shape[-1]), a_hat.dtype)
    both = jnp.fft.ifftn(jnp.concatenate([a_hat + 1j * b_hat, zeros, mirrored], -1), axes=tuple(range(-grid.ndim, 0)))
    return both.real, both.imag


def apply_symbol(symbol: float | int | Array | np.ndarray, u_hat: Array) -> Array:
    """A function of a linear operator, given on waves, applied to a spectrum ``(C, *waves)``.

    ``symbol`` is one number per channel and wave, ``(C, *waves)`` or what broadcasts to it, or one axis more: a
    matrix between channels per wave, ``(C, C, *waves)``.
    """
    # Matrices of a few channels: a sum of products fuses with its neighbours and keeps full precision everywhere.
    product = times(symbol, u_hat)
    return product.sum(1) if jnp.ndim(symbol) > u_hat.ndim else product


def times(a: float | int | Array | np.ndarray, z: Array) -> Array:
    """a z, without the products with zero that a real ``a`` would bring along as a complex number.

    The compiler takes a real constant out of a loop of steps as a complex one, which is twice the memory to read.
    """
    if jnp.iscomplexobj(z) and not jnp.iscomplexobj(a):
        return _complex(jnp.asarray(a * z.real), jnp.asarray(a * z.imag))
    return jnp.asarray(a * z)


def times_i(a: Array | np.ndarray, z: Complex[Array, "..."]) -> Complex[Array, "..."]:
    """i a z for real ``a``: a wavenumber for a derivative, on periodic axes, whose spectra are complex."""
    return _complex(jnp.asarray(-a * z.imag), jnp.asarray(a * z.real))


def _complex(real: Array, imaginary: Array) -> Array:
    return jax.lax.complex(*jnp.broadcast_arrays(real, imaginary))


def derivative(
    u: Float[Array | np.ndarray, "*shape c"], grid: Grid, axis: int = 0, order: int = 1
) -> Float[Array, "*shape c"]:
    """The ``order``-th derivative of every channel along one spatial axis, exact for resolved waves.

    Raises ``ValueError`` for an axis that is not there, a negative order, and odd orders along an axis that is not
    periodic: the derivative of a sine series is a cosine series.
    """
    if not 0 <= axis < grid.ndim:
        raise ValueError(f"axis {axis} is not one of this grid's {grid.ndim} spatial axes, counted from 0.")
    if order < 0:
        raise ValueError(f"order {order} of a derivative must be 0 or more.")
    if order % 2 and grid.boundary[axis] != "periodic":
        raise ValueError(
            f"order {order} of a derivative along axis {axis} is odd, but that axis is {grid.boundary[axis]}: "
            "only even orders keep its sine or cosine series."
        )
    k = grid.odd_wavenumbers[axis] if order % 2 else grid.wavenumbers[axis]
    u_hat = to_spectral(u, grid)
    multiplier = (1j * k) ** order if order % 2 else (-1.0) ** (order // 2) * k**order
    return to_physical(u_hat * jnp.asarray(multiplier, u_hat.dtype), grid)


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
    mean = k2 == 0
    inverse = (mean - 1.0) / (k2 + mean)
    return to_physical(u_hat * jnp.asarray(inverse, u_hat.real.dtype), grid)


def dealias(u: Float[Array | np.ndarray, "*shape c"], grid: Grid, degree: int = 2) -> Float[Array, "*shape c"]:
    """The part of a field that enters products of ``degree`` factors: the 2/3 rule for 2, the 1/2 rule for 3."""
    u_hat = to_spectral(u, grid)
    return to_physical(u_hat * jnp.asarray(grid.kept_waves(degree), u_hat.real.dtype), grid)


def polynomial(
    function: Callable[[Float[Array, " c *shape"]], Float[Array, " d *shape"]],
    u_hat: Inexact[Array, " c *spectrum"],
    grid: Grid,
    degree: int,
) -> Inexact[Array, " d *spectrum"]:
    """The dealiased spectrum of a polynomial of the fields whose spectrum is ``u_hat``.

    ``function`` takes the fields, channels first, and multiplies at most ``degree`` of them at a point. Of both the
    fields and the result only the waves of `Grid.kept_waves` count, and on those the product is exact.
    """
    mask = jnp.asarray(grid.kept_waves(degree), u_hat.real.dtype)
    return times(mask, transform(function(inverse_transform(times(mask, u_hat), grid)), grid))


def derivative_of_square(u_hat: Complex[Array, "c n"], grid: Grid, factor: float) -> Complex[Array, "c n"]:
    """The dealiased spectrum of ``factor * (u^2)_x`` on a line, for the spectrum of u: advection in flux form."""
    mask = jnp.asarray(grid.dealias_mask, u_hat.real.dtype)
    (k,) = grid.odd_wavenumbers
    u = inverse_transform(times(mask, u_hat), grid)
    return times_i(jnp.asarray(factor * k * grid.dealias_mask, mask.dtype), transform(u * u, grid))


def resample(u: Float[Array | np.ndarray, "*shape c"], grid: Grid, onto: Grid) -> Float[Array, "*shape2 c"]:
    """The same trigonometric polynomial on another grid of the same box, finer or coarser.

    Waves that both grids resolve strictly (below either Nyquist) are copied, the others are zero.

    Raises ``ValueError`` for grids of two boxes or with two kinds of boundaries.
    """
    if (grid.extent, grid.boundary) != (onto.extent, onto.boundary):
        raise ValueError(
            f"resample needs one box, but the extents are {grid.extent} and {onto.extent}, the boundaries "
            f"{grid.boundary} and {onto.boundary}."
        )
    u_hat = to_spectral(u, grid)
    out = jnp.zeros((u_hat.shape[0], *onto.spectral_shape), u_hat.dtype)
    source, target = [np.arange(u_hat.shape[0])], [np.arange(u_hat.shape[0])]
    for axis in range(grid.ndim):
        size = min(grid.shape[axis], onto.shape[axis])
        if grid.boundary[axis] != "periodic":
            # A sine series ends with the wave n = size, which is a zigzag on the coarser points.
            kept = np.arange(size - (grid.boundary[axis] == "dirichlet"))
            source.append(kept)
            target.append(kept)
            continue
        n = np.arange((size + 1) // 2)
        if axis != grid.periodic_axes[-1]:
            n = np.concatenate([n, -n[:0:-1]])
        source.append(n % grid.shape[axis])
        target.append(n % onto.shape[axis])
    picked = u_hat[np.ix_(*source)]
    out = out.at[np.ix_(*target)].set(picked)
    return to_physical(out * (onto.size / grid.size), onto)
