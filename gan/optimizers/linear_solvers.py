"""Matrix-free linear solvers with a budget: conjugate gradients and GMRES.

An iteration costs one product with the matrix, everything else is cheap. On a CPU, XLA runs convolutions inside a
compiled loop or branch many times slower than outside (measured: three times in a branch, five in a loop, on products
through a 32 x 32 convolutional pair). So there the budget is unrolled, what comes after convergence is computed and
dropped, and the budget alone sets the time; elsewhere a ``while_loop`` stops at the tolerance. Convolutions written as
patches times a matrix, which a loop would not slow down, take 1.7 to 2 times as long to begin with.

The residual is the one that the recurrence carries, relative to the right-hand side.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int, PyTree

Map = Callable[[Any], Any]


class Solution(NamedTuple):
    """What a solver found: a pytree like the right-hand side, iterations made, relative residual reached."""

    value: PyTree
    iterations: Int[Array, ""]
    residual: Float[Array, ""]


def repeat(body: Map, state: PyTree, going: Map, budget: int, unrolled: bool) -> PyTree:
    """Apply ``body`` while ``going(state)``, at most ``budget`` times, which ``going`` must see to in a loop."""
    if not unrolled:
        return jax.lax.while_loop(going, body, state)
    for _ in range(budget):
        go = going(state)
        state = jax.tree.map(lambda new, old, go=go: jnp.where(go, new, old), body(state), state)
    return state


def conjugate_gradients(
    product: Map, transposed: Map, right: PyTree, guess: PyTree, budget: int, tolerance: float, unrolled: bool = False
) -> tuple[Solution, PyTree]:
    """Solve ``(I + B B^T) x = right`` by conjugate gradients (Hestenes and Stiefel 1952).

    Args:
        product: B, a linear map of pytrees.
        transposed: B^T.
        right: right-hand side.
        guess: first guess, ``None`` for zero; costs a product each way, and is dropped if zero is better.
        budget: most iterations.
        tolerance: relative residual at which to stop.
        unrolled: whether the budget is unrolled; see the module.

    Returns:
        the solution, and B^T of it, which the iterations know without a further product.
    """
    size = optax.tree.vdot(right, right)
    x = optax.tree.zeros_like(right)
    image = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(transposed, x))
    r = right
    if guess is not None:
        seen = transposed(guess)
        residual = optax.tree.sub(right, optax.tree.add(guess, product(seen)))
        better = optax.tree.vdot(residual, residual) < size
        x, image, r = (optax.tree.where(better, *pair) for pair in ((guess, x), (seen, image), (residual, right)))

    def going(state: tuple[Any, ...]) -> Array:
        *_, squared, count = state
        return (squared > tolerance**2 * size) & (count < budget)

    def body(state: tuple[Any, ...]) -> tuple[Any, ...]:
        x, image, r, p, squared, count = state
        seen = transposed(p)
        length = squared / (optax.tree.vdot(p, p) + optax.tree.vdot(seen, seen))
        x, image = optax.tree.add_scale(x, length, p), optax.tree.add_scale(image, length, seen)
        r = optax.tree.add_scale(r, -length, optax.tree.add(p, product(seen)))
        new = optax.tree.vdot(r, r)
        return x, image, r, optax.tree.add_scale(r, new / squared, p), new, count + 1

    first = (x, image, r, r, optax.tree.vdot(r, r), jnp.zeros((), jnp.int32))
    x, image, _, _, squared, count = repeat(body, first, going, budget, unrolled)
    return Solution(x, count, _relative(squared, size)), image


def gmres(matrix: Map, right: PyTree, guess: PyTree, budget: int, tolerance: float, unrolled: bool = False) -> Solution:
    """Solve ``matrix(x) = right`` by GMRES without restarts (Saad and Schultz 1986, algorithm 3).

    ``matrix`` is a regular linear map; other arguments as in :func:`conjugate_gradients`. Memory: ``budget + 1``
    vectors. Orthogonalised twice by classical Gram-Schmidt; Givens rotations, multiplied up, keep the residual known
    at every iteration.
    """
    start, residual = optax.tree.zeros_like(right), right
    if guess is not None:
        residual = optax.tree.sub(right, matrix(guess))
        better = optax.tree.vdot(residual, residual) < optax.tree.vdot(right, right)
        start, residual = (optax.tree.where(better, *pair) for pair in ((guess, start), (residual, right)))
    flat, unravel = ravel_pytree(residual)
    length, size = jnp.linalg.norm(flat), optax.tree.norm(right)
    tiny = jnp.finfo(flat.dtype).tiny
    rows = jnp.arange(budget + 1)

    def going(state: tuple[Any, ...]) -> Array:
        _, _, turned, count = state
        return (jnp.abs(turned[count, 0]) * length > tolerance * size) & (count < budget)

    def body(state: tuple[Any, ...]) -> tuple[Any, ...]:
        basis, triangle, turned, count = state
        vector = ravel_pytree(matrix(unravel(basis[count])))[0]
        first = basis @ vector
        vector = vector - first @ basis
        second = basis @ vector
        vector = vector - second @ basis
        beyond = jnp.linalg.norm(vector)
        column = turned @ jnp.where(rows == count + 1, beyond, first + second)
        radius = jnp.maximum(jnp.hypot(column[count], beyond), tiny)
        cosine, sine = column[count] / radius, beyond / radius
        here, below = turned[count], turned[count + 1]
        turned = turned.at[count].set(cosine * here + sine * below)
        turned = turned.at[count + 1].set(cosine * below - sine * here)
        column = jnp.where(rows == count, radius, jnp.where(rows > count, 0.0, column))
        basis = basis.at[count + 1].set(vector / jnp.maximum(beyond, tiny))
        return basis, triangle.at[:, count].set(column[:budget]), turned, count + 1

    state = (
        jnp.zeros((budget + 1, flat.size), flat.dtype).at[0].set(flat / jnp.maximum(length, tiny)),
        jnp.eye(budget, dtype=flat.dtype),
        jnp.eye(budget + 1, dtype=flat.dtype),
        jnp.zeros((), jnp.int32),
    )
    basis, triangle, turned, count = repeat(body, state, going, budget, unrolled)
    projected = turned[:, 0] * length
    # Columns that were not reached are those of the identity, and their right-hand side is zero.
    known = jnp.where(rows < count, projected, 0.0)[:budget]
    weights = jax.scipy.linalg.solve_triangular(triangle, known)
    value = optax.tree.add(start, unravel(weights @ basis[:budget]))
    return Solution(value, count, _relative(projected[count] ** 2, size**2))


def _relative(squared: Array, size: Array) -> Float[Array, ""]:
    return jnp.sqrt(squared / jnp.where(size > 0, size, 1.0))
