"""Finite volumes on grids of any boundary: fluxes through the faces of cells, second order and conservative.

The flux between neighbouring cells is a_face (u_right - u_left) / h with the harmonic mean of the two cells'
coefficients, exact in one dimension for coefficients that are constant on every cell (Patankar, 1980, section
4.2-3). A ghost cell beyond a boundary mirrors the field: with the other sign on Dirichlet faces, where the value
at the face then is zero, and with its own sign on Neumann faces. What is given at a boundary, not zero, enters as
a source of the cells at it, so that the operator stays linear.

With a = 1 the operator is diagonal in the series of `physics.spectral`, whatever the boundaries: its eigenvalues
are those of `laplacian_symbol`.
"""

from typing import Any, TypeAlias

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from physics.arguments import is_concrete, parameter
from physics.grid import Grid
from physics.spectral import inverse_transform, transform

BoundaryValues: TypeAlias = tuple[tuple[float | int | Array | np.ndarray, float | int | Array | np.ndarray] | None, ...]


def face_means(a: Float[Array, "*shape"], grid: Grid) -> tuple[Array, ...]:
    """Harmonic means 2 a b / (a + b) on the faces, per axis N + 1 of them; at a boundary the coefficient of its cell.

    **Arguments:**

    - ``a``: positive cell values ``(*grid.shape)``.
    """
    means = []
    for axis, kind in enumerate(grid.boundary):
        padded = _with_ghosts(a, axis, "periodic" if kind == "periodic" else "neumann")
        left, right = _without_last(padded, axis), _without_first(padded, axis)
        means.append(2 * left * right / (left + right))
    return tuple(means)


def minus_divergence(
    u: Float[Array, "*shape"], faces: tuple[float | int | Array | np.ndarray, ...], grid: Grid
) -> Float[Array, "*shape"]:
    """-div(a grad u) with zero boundary values and slopes: symmetric, and positive on all but constants.

    **Arguments:**

    - ``u``: cell values ``(*grid.shape)``.
    - ``faces``: the coefficients on the faces of every axis, as `face_means` makes them, or numbers.
    """
    total = jnp.zeros_like(u)
    for axis, (kind, step) in enumerate(zip(grid.boundary, grid.spacing)):
        padded = _with_ghosts(u, axis, kind)
        flux = jnp.asarray(faces[axis] * (_without_first(padded, axis) - _without_last(padded, axis)))
        total = total - (_without_first(flux, axis) - _without_last(flux, axis)) / step**2
    return total


def boundary_source(values: BoundaryValues, a: float | int | Array | np.ndarray, grid: Grid) -> Array | float:
    """What values and fluxes given at the boundaries add to the source of -div(a grad u) = f.

    **Arguments:**

    - ``values``: per axis None (zero) or the pair at its lower and upper face: u on Dirichlet axes, a du/dn
      with the outward normal n on Neumann axes; numbers, or fields over the face.
    - ``a``: cell values ``(*grid.shape)`` or a number.

    **Returns:** a field ``(*grid.shape)``, or 0 where nothing is given.
    """
    total: Any = 0.0
    for axis, (pair, kind, step) in enumerate(zip(values, grid.boundary, grid.spacing)):
        for place, value in zip((0, -1), pair or ()):
            at_face = (slice(None),) * axis + (place,)
            strength = 1 / step if kind == "neumann" else 2 / step**2 * jnp.broadcast_to(a, grid.shape)[at_face]
            total = total + jnp.zeros(grid.shape).at[at_face].set(strength * value)
    return total


def laplacian_symbol(grid: Grid) -> np.ndarray:
    """The eigenvalues of -laplacian by finite volumes, sum over axes of (2 sin(k h / 2) / h)^2."""
    squares = [(2 / h * np.sin(k * h / 2)) ** 2 for k, h in zip(grid.wavenumbers, grid.spacing)]
    return np.broadcast_to(sum(squares), grid.spectral_shape)


def divide_by_symbol(r: Float[Array, "*shape"], symbol: Array | np.ndarray, grid: Grid) -> Float[Array, "*shape"]:
    """The field whose waves are those of ``r`` divided by ``symbol``; waves whose symbol is zero are left out."""
    symbol = jnp.asarray(symbol, r.dtype)
    inverse = jnp.where(symbol == 0, 0.0, 1 / jnp.where(symbol == 0, 1.0, symbol))
    return inverse_transform(transform(r[None], grid) * inverse, grid)[0]


def check_boundary_values(given: Any, grid: Grid) -> BoundaryValues:
    """``given`` with plain numbers as exact floats, checked against the grid.

    Raises ``ValueError`` where it does not hold one entry per axis, a pair at every axis that has any, nothing on
    periodic axes, finite numbers or fields over the face.
    """
    if given is None:
        return (None,) * grid.ndim
    if len(given) != grid.ndim:
        raise ValueError(
            f"boundary_values has {len(given)} entries for {grid.ndim} axes: give None or a pair (low, high) per axis."
        )
    checked: list[tuple[Any, Any] | None] = []
    for axis, pair in enumerate(given):
        if pair is None:
            checked.append(None)
            continue
        if grid.boundary[axis] == "periodic":
            raise ValueError(f"boundary_values of axis {axis} must be None: that axis is periodic, it has no boundary.")
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise ValueError(f"boundary_values of axis {axis} is {pair}: give a pair (low, high) or None.")
        face = grid.shape[:axis] + grid.shape[axis + 1 :]
        for value in pair:
            if np.shape(value) not in ((), face):
                raise ValueError(
                    f"boundary_values of axis {axis} has shape {np.shape(value)}: give a number or a field {face} "
                    "over the face."
                )
            if is_concrete(value) and not np.all(np.isfinite(np.asarray(value))):
                raise ValueError(f"boundary_values of axis {axis} must be finite, not {value}.")
        low, high = (parameter(value) if np.ndim(value) == 0 else value for value in pair)
        checked.append((low, high))
    return tuple(checked)


def net_source(source: ArrayLike, values: BoundaryValues, grid: Grid) -> tuple[float, float]:
    """The integral of the source and of the inflow through Neumann faces, and the integral of their magnitudes."""
    volumes = [np.asarray(source, np.float64).ravel() * grid.volume / grid.size]
    for axis, pair in enumerate(values):
        cells = grid.size // grid.shape[axis]
        area = grid.volume / grid.extent[axis] / cells
        for value in pair or ():
            volumes.append(np.broadcast_to(np.asarray(value, np.float64).ravel(), (cells,)) * area)
    everything = np.concatenate(volumes)
    return float(everything.sum()), float(np.abs(everything).sum())


def _with_ghosts(u: Array, axis: int, kind: str) -> Array:
    first = lax.slice_in_dim(u, 0, 1, axis=axis)
    last = lax.slice_in_dim(u, u.shape[axis] - 1, u.shape[axis], axis=axis)
    low, high = {"periodic": (last, first), "dirichlet": (-first, -last), "neumann": (first, last)}[kind]
    return jnp.concatenate([low, u, high], axis=axis)


def _without_first(u: Array, axis: int) -> Array:
    return lax.slice_in_dim(u, 1, u.shape[axis], axis=axis)


def _without_last(u: Array, axis: int) -> Array:
    return lax.slice_in_dim(u, 0, u.shape[axis] - 1, axis=axis)
