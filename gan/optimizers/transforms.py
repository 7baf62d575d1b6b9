"""Optax transforms of the two players: Adam or plain gradient steps with decayed step sizes.

Constant step sizes let a game swing for ever; the cosine decay of both step sizes is what settles it, so it
is the default. Adam runs without momentum (beta1 = 0) and with beta2 rising from 0.9 to 0.99, after R3GAN.

One gradient far larger than those before it makes Adam move by up to 1/sqrt(1 - beta2) step sizes, ten at 0.99, in
every parameter at once: enough to lose a generator for good, and gradients through a chaotic solver do spike. The
root mean square of each array's update is therefore limited to one step size (Shazeer and Stern 2018, update clipping).
The optimistic scheme limits each update and then takes twice the present one minus the one before, so that a step can
reach three step sizes where the two point against each other.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PyTree

from gan.config import OptimizerConfig


def step_size(config: OptimizerConfig, first: float, steps: int) -> optax.Schedule:
    """Return the schedule of a step size over ``steps`` updates of the player."""
    last = first * config.final_rate
    warmup = round(config.warmup * steps)
    if config.schedule == "constant":
        main = optax.constant_schedule(first)
    else:
        main = optax.cosine_decay_schedule(first, max(steps - warmup, 1), alpha=last / first)
    if not warmup:
        return main
    return optax.join_schedules([optax.linear_schedule(0.0, first, warmup), main], [warmup])


def second_moment_memory(config: OptimizerConfig, steps: int) -> optax.Schedule:
    """Return the schedule of beta2: linear from its first value to its last."""
    length = max(config.beta2_until * steps, 1.0)

    def schedule(count: Array) -> Float[Array, ""]:
        share = jnp.clip(count / length, 0.0, 1.0)
        return config.beta2 + (config.beta2_final - config.beta2) * share

    return schedule


def player_transform(config: OptimizerConfig, first: float, steps: int) -> optax.GradientTransformation:
    """Return the optax transform of a player that makes ``steps`` updates from the step size ``first``.

    In optimistic updates it goes along twice the present direction minus the one before (Daskalakis et al. 2018).
    """
    rate = step_size(config, first, steps)
    optimistic = config.scheme == "optimistic"
    if config.transform == "sgd":
        plain = optax.optimistic_gradient_descent if optimistic else optax.sgd
        main = optax.inject_hyperparams(plain)(learning_rate=rate)
    else:
        main = optax.inject_hyperparams(_limited_adam, static_args=("limit", "optimistic"))(
            learning_rate=rate,
            b1=config.beta1,
            b2=second_moment_memory(config, steps),
            limit=config.update_limit,
            optimistic=optimistic,
        )
    if config.clip > 0:
        return optax.chain(optax.clip_by_global_norm(config.clip), main)
    return main


def clipped_weights(transform: optax.GradientTransformation, limit: float) -> optax.GradientTransformation:
    """Keep parameters within ``[-limit, limit]`` (Wasserstein: Arjovsky et al. 2017, algorithm 1); 0: anywhere."""
    if limit <= 0:
        return transform

    def clip(updates: Any, state: PyTree, params: PyTree = None) -> tuple[Any, Any]:
        return jax.tree.map(lambda p, u: jnp.clip(p + u, -limit, limit) - p, params, updates), state

    return optax.chain(transform, optax.GradientTransformation(lambda params: optax.EmptyState(), clip))


def _limited_adam(learning_rate: Any, b1: Any, b2: Any, limit: float, optimistic: bool) -> optax.GradientTransformation:
    """Adam whose direction in every array has a root mean square of at most ``limit`` (0: any).

    An optimistic step joins two directions, each limited, hence is at most ``3 * limit``.
    """
    return optax.chain(
        optax.scale_by_adam(b1=b1, b2=b2, eps=1e-8),
        optax.clip_by_block_rms(limit) if limit > 0 else optax.identity(),
        optax.scale_by_optimistic_gradient() if optimistic else optax.identity(),
        optax.scale_by_learning_rate(learning_rate),
    )
