r"""Gaussian random fields by their Karhunen-Loeve expansion: the few functions that hold most of the variance.

A field with covariance k(x, y) is sum_i sqrt(lambda_i) phi_i(x) z_i with z_i independent and normal, phi_i the
orthonormal eigenfunctions of k on the box, and lambda_i their eigenvalues (Ghanem and Spanos, 1991, section 2.3); cut
off after the largest ones. Here k is exponential, std^2 exp(-|x - y| / l), whose log-normal fields are the
permeabilities of the common Darcy benchmark (Zhu and Zabaras, 2018, J. Comput. Phys. 366).
"""

from dataclasses import dataclass
from functools import cache, reduce
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
from jaxtyping import Array, Float, PRNGKeyArray

from physics.grid import Grid

_MOST_NODES = 2**13
_ROWS = 2**10


@dataclass(frozen=True)
class KarhunenLoeveField:
    """A zero-mean Gaussian field with exponential covariance, cut off after ``terms`` functions.

    **Arguments:**

    - ``grid``: where it is drawn.
    - ``terms``: how many functions are kept.
    - ``correlation_length``: l, in the units of the grid.
    - ``std``: standard deviation before the cut; what is left of the variance is ``captured``.
    - ``nodes``: the grid of the same box on which the functions are computed, ``grid`` itself if None. Between its
      points they are continued by the eigenvalue equation (Nystroem), so that one key draws one function on any grid.

    Raises ``ValueError`` for lengths or deviations that are not positive, more terms than nodes, another box, or more
    nodes than a dense eigenproblem can hold.
    """

    grid: Grid
    terms: int = 64
    correlation_length: float = 0.1
    std: float = 1.0
    nodes: Grid | None = None

    def __post_init__(self):
        for name in ("correlation_length", "std"):
            if not 0 < getattr(self, name) < np.inf:
                raise ValueError(f"{name} must be positive and finite, not {getattr(self, name)}.")
        if self._nodes.extent != self.grid.extent:
            raise ValueError(f"nodes span {self._nodes.extent}, but the grid {self.grid.extent}: give the same box.")
        if self._nodes.size > _MOST_NODES:
            raise ValueError(
                f"nodes has {self._nodes.size} points, but the eigenproblem holds {_MOST_NODES}: give coarser nodes."
            )
        if not 1 <= self.terms <= self._nodes.size:
            raise ValueError(f"terms must lie between 1 and the {self._nodes.size} nodes, not {self.terms}.")

    @property
    def _nodes(self) -> Grid:
        return self.grid if self.nodes is None else self.nodes

    def on(self, grid: Grid) -> "KarhunenLoeveField":
        """The same field, with the same functions, drawn on another grid of the box."""
        return KarhunenLoeveField(grid, self.terms, self.correlation_length, self.std, self._nodes)

    @property
    def modes(self) -> Float[np.ndarray, " terms *shape"]:
        """sqrt(lambda_i) phi_i on the grid, largest first."""
        return self.std * _modes(self.grid, self._nodes, self.terms, self.correlation_length)

    @property
    def captured(self) -> float:
        """The share of the variance that the terms hold, mean over the nodes."""
        return float(_eigenpairs(self._nodes, self.terms, self.correlation_length)[0].sum() / self._nodes.size)

    def sample(self, key: PRNGKeyArray) -> Float[Array, "*shape 1"]:
        """One draw, ``(*grid.shape, 1)``."""
        return self.expand(jax.random.normal(key, (self.terms,)))

    def expand(self, coefficients: Float[Array | np.ndarray, " terms"]) -> Float[Array, "*shape 1"]:
        """The field of given coefficients z_i."""
        z = jnp.asarray(coefficients)
        return jnp.tensordot(z, jnp.asarray(self.modes, z.dtype), 1, precision="highest")[..., None]

    def coefficients(self, fields: Float[np.ndarray, "n *shape 1"]) -> Float[np.ndarray, "n terms"]:
        """The coefficients z_i of fields of this expansion, and of others those of the nearest one (least squares).

        The inverse of `expand`.

        Raises ``ValueError`` for fields of another shape.
        """
        if np.ndim(fields) < 1 or np.shape(fields)[1:] != (*self.grid.shape, 1):
            raise ValueError(
                f"fields have shape {np.shape(fields)}: give (n, {', '.join(map(str, self.grid.shape))}, 1)."
            )
        flat = np.asarray(fields, np.float64).reshape(len(fields), -1)
        return flat @ np.linalg.pinv(self.modes.reshape(self.terms, -1))


@cache
def _modes(grid: Grid, nodes: Grid, terms: int, length: float) -> np.ndarray:
    values, vectors = _eigenpairs(nodes, terms, length)
    if grid != nodes:
        to, at = _points(grid), _points(nodes)
        rows = [_covariance(to[i : i + _ROWS], at, length) @ vectors for i in range(0, grid.size, _ROWS)]
        vectors = np.concatenate(rows) / values
    return (vectors * np.sqrt(values)).T.reshape(terms, *grid.shape)


@cache
def _eigenpairs(nodes: Grid, terms: int, length: float) -> tuple[np.ndarray, np.ndarray]:
    """The largest eigenvalues and their vectors ``(nodes, terms)``, found separately among the fields that are even
    or odd in every axis: mirror images are degenerate, and would come out in arbitrary mixtures."""
    ndim = nodes.ndim
    points = _points(nodes)
    matrix = _covariance(points, points, length).reshape(*nodes.shape, *nodes.shape)
    values, vectors = [], []
    for parities in product((False, True), repeat=ndim):
        bases = [_mirrored(size, odd) for size, odd in zip(nodes.shape, parities)]
        block = reduce(lambda m, axis: _apply(bases[axis % ndim].T, m, axis), range(2 * ndim), matrix)
        size = int(np.prod(block.shape[:ndim]))
        largest = (max(0, size - terms), size - 1)
        found, q = scipy.linalg.eigh(block.reshape(size, size), subset_by_index=largest)
        q = q * np.where(np.random.default_rng(0).normal(size=size) @ q < 0, -1, 1)
        full = reduce(lambda m, axis: _apply(bases[axis], m, axis), range(ndim), q.reshape(*block.shape[:ndim], -1))
        values.append(found)
        vectors.append(full.reshape(nodes.size, -1))
    all_values, all_vectors = np.concatenate(values), np.concatenate(vectors, axis=1)
    # Degenerate ones keep the order of their parities whatever the rounding.
    order = np.argsort(-np.round(all_values / all_values.max(), 9), kind="stable")[:terms]
    return all_values[order], all_vectors[:, order]


def _points(grid: Grid) -> np.ndarray:
    return np.stack([x.ravel() for x in grid.mesh()], axis=-1)


def _covariance(one: np.ndarray, other: np.ndarray, length: float) -> np.ndarray:
    square = sum((x[:, None] - y[None]) ** 2 for x, y in zip(one.T, other.T))
    return np.exp(-np.sqrt(square) / length)


def _mirrored(size: int, odd: bool) -> np.ndarray:
    """An orthonormal basis of the vectors that are even or odd about the middle, ``(size, basis)``."""
    half = np.eye(size)[:, : size // 2] / np.sqrt(2)
    basis = half + (-1 if odd else 1) * half[::-1]
    middle = np.eye(size)[:, size // 2 : size // 2 + size % 2]
    return basis if odd else np.concatenate([basis, middle], axis=1)


def _apply(matrix: np.ndarray, field: np.ndarray, axis: int) -> np.ndarray:
    return np.moveaxis(np.tensordot(matrix, field, axes=(1, axis)), 0, axis)
