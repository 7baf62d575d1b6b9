"""Step sizes of the players: their decay, and the limit on what one gradient can do."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan.config import OptimizerConfig
from gan.optimizers.transforms import clipped_weights, player_transform, step_size


def last_update(config, gradients, rate=0.1):
    transform = player_transform(config, rate, 10_000)
    params = {"w": jnp.zeros(gradients.shape[1:])}
    state = transform.init(params)
    update = jax.jit(transform.update)
    for gradient in gradients:
        updates, state = update({"w": gradient}, state, params)
    return updates["w"]


def spiking(size):
    gradients = jax.random.normal(jax.random.key(0), (300, 16))
    return gradients.at[-1].multiply(size)


@pytest.mark.parametrize("limit", [1.0, 2.0])
def test_a_gradient_spike_moves_no_array_further_than_the_limit(limit):
    constant = {"schedule": "constant", "beta2": 0.99}
    moved = last_update(OptimizerConfig(update_limit=limit, **constant), spiking(1e4))
    np.testing.assert_allclose(jnp.sqrt(jnp.mean(moved**2)), limit * 0.1, rtol=1e-4)
    # Without it the same spike moves by nearly 1 / sqrt(1 - beta2) = 10 step sizes.
    free = last_update(OptimizerConfig(update_limit=0.0, **constant), spiking(1e4))
    assert float(jnp.sqrt(jnp.mean(free**2))) > 0.9


def test_below_the_limit_the_update_is_adams():
    gradients = spiking(0.3)
    config = OptimizerConfig(schedule="constant", beta2=0.99, beta2_final=0.99, update_limit=1.0)
    adam = optax.adam(0.1, b1=0.0, b2=0.99)
    params = {"w": jnp.zeros(16)}
    state = adam.init(params)
    for gradient in gradients:
        updates, state = adam.update({"w": gradient}, state, params)
    np.testing.assert_allclose(last_update(config, gradients), updates["w"], rtol=1e-5)


def test_the_step_size_falls_from_first_to_last_by_a_cosine():
    schedule = step_size(OptimizerConfig(final_rate=0.02), 1.5e-3, 1000)
    np.testing.assert_allclose([schedule(0), schedule(500), schedule(1000)], [1.5e-3, 0.765e-3, 3e-5], rtol=1e-5)


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_the_step_size_rises_linearly_from_zero_before_it_decays(schedule):
    rate = step_size(OptimizerConfig(schedule=schedule, warmup=0.1, final_rate=0.02), 1.5e-3, 1000)
    np.testing.assert_allclose([rate(0), rate(25), rate(50), rate(100)], [0.0, 0.375e-3, 0.75e-3, 1.5e-3], rtol=1e-5)
    # Halfway through what is left, and at its end.
    decayed = [0.765e-3, 3e-5] if schedule == "cosine" else [1.5e-3, 1.5e-3]
    np.testing.assert_allclose([rate(550), rate(1000)], decayed, rtol=1e-5)


def test_an_optimistic_step_joins_two_limited_updates():
    """A spike at the last update but one, and one against it at the last: 2 * 1 + 1 step sizes."""
    gradients = jnp.ones((300, 16)).at[-2].set(1e4).at[-1].set(-1e6)
    config = OptimizerConfig(scheme="optimistic", schedule="constant", beta2=0.99, beta2_final=0.99)
    np.testing.assert_allclose(last_update(config, gradients), 3 * 0.1, rtol=1e-4)


def test_clipped_weights_never_leave_their_box_and_move_freely_within():
    transform = clipped_weights(optax.sgd(1.0), 0.5)
    params = {"w": jnp.asarray([2.0, 0.1, -0.4])}
    updates, _ = transform.update({"w": jnp.asarray([0.0, 0.2, 0.3])}, transform.init(params), params)
    np.testing.assert_allclose(optax.apply_updates(params, updates)["w"], [0.5, -0.1, -0.5], rtol=1e-6)
    free = clipped_weights(optax.sgd(1.0), 0.0)
    updates, _ = free.update({"w": jnp.ones(3)}, free.init(params), params)
    np.testing.assert_allclose(updates["w"], -1.0)
