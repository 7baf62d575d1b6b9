r"""Poisson numbers with a derivative by their mean: exact draws, and a stated approximation of the derivative.

A whole number has no derivative along a path. For a function f of a Poisson number X of mean m,

    d/dm E f(X) = E[f(X + 1) - f(X)],      E[X g(X)] = m E[g(X + 1)]

(the second is Chen's identity, Ann. Probab. 3, 1975). The trapezoidal rule for f(X + 1) - f(X) and the identity
together give E[(1 + X / m) f'(X) / 2], which is the derivative that `poisson_counts` hands back: exact for f up to
the second degree, with an error of f''' / 12 beyond. Where f bends within one count, that is not small: for a
hyperbolic tangent whose argument a single count of a rare class changes by 2.6, the derivative is a quarter too large.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

TAIL = 4e-6


def poisson_counts(key: PRNGKeyArray, mean: Float[Array, "*shape"], most: int = 64) -> Float[Array, "*shape"]:
    """Return Poisson numbers, as floats, by inversion of the distribution function.

    Args:
        key: of the draw.
        mean: of each number, positive.
        most: largest number that can be drawn; twice the mean and more is enough from means of 30 on. Of the tail, a
            share of 4e-6 is left out, where the sums of 32-bit numbers end.

    Example:
        >>> jax.grad(lambda m: jnp.mean(poisson_counts(key, jnp.full(10_000, m)) ** 2))(3.0)  # about 2 * 3 + 1
    """
    uniform = (1.0 - TAIL) * jax.random.uniform(key, mean.shape, mean.dtype)
    fixed = jax.lax.stop_gradient(mean)

    def above(carry: tuple[Array, Array, Array, Array]) -> Array:
        k, _, below, _ = carry
        return (k < most) & jnp.any(uniform >= below)

    def step(carry: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        k, chance, below, count = carry
        count = count + (uniform >= below)
        chance = chance * fixed / (k + 1)
        return k + 1, chance, below + chance, count

    first = jnp.exp(-fixed)
    *_, count = jax.lax.while_loop(above, step, (jnp.zeros((), int), first, first, jnp.zeros_like(fixed)))
    share = 0.5 * (1.0 + count / fixed)
    return jax.lax.stop_gradient(count) + jax.lax.stop_gradient(share) * (mean - fixed)
