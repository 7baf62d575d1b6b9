"""Spectral normalisation: every kernel divided by an estimate of its largest singular value.

Miyato et al. 2018 (arXiv:1802.05957), eq. 8 and algorithm 1. The matrix of a convolution is its kernel reshaped
to (taps and inputs, outputs), as there: its largest singular value bounds the operator's norm up to a factor of
the root of the count of taps, and is not that norm itself.

The normalised kernel is ``W / (u' W v)`` with the power-iteration vectors u and v of the step before, which are
carried with the player and are constants of the differentiated function. That function is therefore the same
one at every order of differentiation, and gradient penalties and mixed Hessian-vector products through it are
exact. One iteration on the current kernel makes the vectors of the next step, once for each update.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

KERNEL = "kernel"
TINY = 1e-12

Vectors = dict[str, dict[str, Any]]


def _kernels(params: Any) -> dict[str, Any]:
    leaves, _ = jax.tree_util.tree_flatten_with_path(params)
    return {_name(path): leaf for path, leaf in leaves if _name(path[-1:]) == KERNEL}


def _name(path: Any) -> str:
    """Place of an array in the tree, as in ``"blocks.0.kernel"``; checkpoints hold the vectors by these names."""
    return jax.tree_util.keystr(path, simple=True, separator=".")


def matrix(kernel: Float[Array, "*taps inputs outputs"]) -> Float[Array, "rows outputs"]:
    """Return the matrix whose largest singular value normalises a kernel."""
    return kernel.reshape((-1, kernel.shape[-1]))


def first_vectors(params: PyTree) -> Vectors:
    """Return the left and right singular vectors of every kernel's largest singular value, by numpy's SVD."""
    vectors: Vectors = {}
    for name, kernel in _kernels(params).items():
        rows = np.asarray(matrix(kernel), np.float64)
        left, _, right = np.linalg.svd(rows, full_matrices=False)
        vectors[name] = {
            "left": jnp.asarray(left[:, 0], kernel.dtype),
            "right": jnp.asarray(right[0], kernel.dtype),
        }
    return vectors


def without_zeros(params: PyTree, rng: np.random.Generator) -> PyTree:
    """Redraw kernels that are zero (the fix-up start): they have no direction that could be normalised."""

    def redraw(kernel: Any) -> Any:
        if kernel.ndim < 2 or np.any(np.asarray(kernel)):
            return kernel
        rows = kernel.size // kernel.shape[-1]
        return jnp.asarray(rng.standard_normal(kernel.shape) / np.sqrt(rows), kernel.dtype)

    return jax.tree.map(redraw, params)


def normalized(params: PyTree, vectors: Vectors) -> PyTree:
    """Return the parameters with every kernel divided by ``u' W v``."""

    def divide(path: Any, leaf: Any) -> Any:
        name = _name(path)
        if name not in vectors:
            return leaf
        leaf = jnp.asarray(leaf)
        left, right = (jax.lax.stop_gradient(vectors[name][side]) for side in ("left", "right"))
        return leaf / (left @ matrix(leaf) @ right)

    return jax.tree_util.tree_map_with_path(divide, params)


def advanced(params: PyTree, vectors: Vectors) -> Vectors:
    """Return the vectors after one power iteration on the kernels as they are."""
    moved: Vectors = {}
    for name, kernel in _kernels(params).items():
        rows = matrix(jax.lax.stop_gradient(kernel))
        right = vectors[name]["left"] @ rows
        right = right / (jnp.linalg.norm(right) + TINY)
        left = rows @ right
        moved[name] = {"left": left / (jnp.linalg.norm(left) + TINY), "right": right}
    return moved
