"""How the gradients of the generator's terms become one: by their sum, balanced, or free of conflict.

An adversarial gradient and that of a physics penalty can point against each other; their sum then follows the longer
one and undoes the other. ConFIG (Liu, Chu and Thuerey 2024, arXiv:2408.11104, eq. 2) takes the direction whose
product with every normalised gradient is the same and positive,

    g = (sum_i g_i . v) v,    v = U(pinv([U(g_1), ..., U(g_m)]^T) 1),    U(x) = x / |x|.

The solution of least norm lies in the span of the gradients, so their Gram matrix is all that is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

Gradients = Mapping[str, Any]
TINY = 1e-20


def summed(gradients: Gradients) -> PyTree:
    """Return the sum of the terms' gradients."""
    return jax.tree.map(lambda *parts: sum(parts), *gradients.values())


def product(first: PyTree, second: PyTree) -> Float[Array, ""]:
    """Return the inner product of two pytrees of one structure."""
    return sum((jnp.vdot(a, b) for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second))), jnp.zeros(()))


def norm(tree: PyTree) -> Float[Array, ""]:
    """Return the Euclidean norm of a pytree; its derivative at zero is zero, for update schemes that differentiate the
    field."""
    square = product(tree, tree)
    return jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1.0)), 0.0)


def balanced(gradients: Gradients, shares: Mapping[str, Any], reference: str = "adversarial") -> dict[str, Any]:
    """Scale the gradients of the named terms to a share of the reference's norm; the others stay as they are.

    Args:
        gradients: by term.
        shares: term -> its norm as a share of the reference's.
        reference: term whose norm counts.
    """
    whole = norm(gradients[reference])

    def scaled(name: str, gradient: PyTree) -> Any:
        if name not in shares:
            return gradient
        # A denominator of TINY would have a derivative beyond float32 where the term is off.
        length = norm(gradient)
        factor = jnp.where(length > TINY, shares[name] * whole / jnp.where(length > TINY, length, 1.0), 0.0)
        return jax.tree.map(lambda leaf: factor * leaf, gradient)

    return {name: scaled(name, gradient) for name, gradient in gradients.items()}


def conflict_free(gradients: Gradients) -> PyTree:
    """Return ConFIG's update direction; a term without a gradient has no say, and one term alone keeps its own."""
    terms = list(gradients.values())
    norms = jnp.stack([norm(term) for term in terms])
    active = (norms > TINY).astype(norms.dtype)
    scale = active / jnp.where(norms > TINY, norms, 1.0)
    gram = jnp.stack([jnp.stack([product(a, b) for b in terms]) for a in terms])
    units = gram * scale[:, None] * scale[None, :]
    weights = jnp.linalg.pinv(units, rtol=1e-6, hermitian=True) @ active * scale
    length = jnp.sqrt(jnp.maximum(weights @ gram @ weights, TINY))
    # g_i . v summed over the terms, and the weights of v itself.
    along = jnp.sum(gram @ weights) / length
    factors = weights * along / length
    return jax.tree.map(lambda *parts: sum(f * part for f, part in zip(factors, parts)), *terms)


RULES = {"sum": summed, "config": conflict_free}
