"""Diagonal step sizes of competitive gradient descent: constant over the parameters, or adaptive.

    constant   A = eta
    adaptive   A = sqrt(1 - beta^t) eta / (sqrt(v) + eps),   v <- beta v + (1 - beta) gradient^2

(Schaefer, Zheng and Anandkumar 2020, algorithm 1: RMSprop's sizes, which then also measure the cost of moving).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int, PyTree

from gan.config import OptimizerConfig
from gan.optimizers.transforms import second_moment_memory, step_size

# The authors' own; it caps a step size at eta / eps where gradients vanish.
EPSILON = 1e-5


class SquaredGradients(NamedTuple):
    """Updates made and, if adaptive, the memory of squared gradients (else empty)."""

    updates: Int[Array, ""]
    squares: PyTree


class DiagonalSteps(NamedTuple):
    """Step sizes of one player.

    Attributes:
        init: parameters -> memory.
        measure: (gradient, memory) -> (scheduled step size, step size of every parameter, new memory).
    """

    init: Callable[[PyTree], SquaredGradients]
    measure: Callable[[PyTree, SquaredGradients], tuple[Array, PyTree, SquaredGradients]]


def constant_steps(rate: optax.Schedule) -> DiagonalSteps:
    """Return the same scheduled step size for every parameter."""

    def init(params: PyTree) -> SquaredGradients:
        return SquaredGradients(jnp.zeros((), jnp.int32), ())

    def measure(gradient: PyTree, memory: SquaredGradients) -> tuple[Array, Any, SquaredGradients]:
        size = jnp.asarray(rate(memory.updates))
        return size, optax.tree.full_like(gradient, size), SquaredGradients(memory.updates + 1, ())

    return DiagonalSteps(init, measure)


def adaptive_steps(rate: optax.Schedule, beta: optax.Schedule) -> DiagonalSteps:
    """Return step sizes divided by the root mean square of each parameter's past gradients."""

    def init(params: PyTree) -> SquaredGradients:
        return SquaredGradients(jnp.zeros((), jnp.int32), optax.tree.zeros_like(params))

    def measure(gradient: PyTree, memory: SquaredGradients) -> tuple[Array, Any, SquaredGradients]:
        size, share = jnp.asarray(rate(memory.updates)), beta(memory.updates)
        squares = optax.tree.update_moment_per_elem_norm(gradient, memory.squares, share, 2)
        top = size * jnp.sqrt(1.0 - share ** (memory.updates + 1))
        sizes = jax.tree.map(lambda v: (top / (jnp.sqrt(v) + EPSILON)).astype(v.dtype), squares)
        return size, sizes, SquaredGradients(memory.updates + 1, squares)

    return DiagonalSteps(init, measure)


def diagonal_steps(config: OptimizerConfig, first: float, steps: int) -> DiagonalSteps:
    """Return the step sizes of a player that makes ``steps`` updates from the step size ``first``."""
    rate = step_size(config, first, steps)
    if config.transform == "sgd":
        return constant_steps(rate)
    return adaptive_steps(rate, second_moment_memory(config, steps))
