"""Penalties of the discriminator: closed form for simple critics, parameter gradients against finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan import regularizers
from gan.config import NetworkConfig
from gan.networks.blueprint import Blueprint
from gan.networks.resnet import ResidualDiscriminator
from gan.normalizer import Normalizer

ONE = Normalizer(np.zeros(1, np.float32), np.ones(1, np.float32))


def test_penalties_of_a_linear_critic_have_their_closed_form(key):
    slope = jax.random.normal(key, (8, 2))
    samples = jax.random.normal(key, (5, 8, 2))
    logits, gradient = regularizers.logits_and_gradient(lambda x: jnp.sum(slope * x, axis=(1, 2)), samples)
    square = float(jnp.sum(slope**2))
    np.testing.assert_allclose(logits, jnp.einsum("bij,ij->b", samples, slope), rtol=1e-5)
    np.testing.assert_allclose(regularizers.squared_norm(gradient), square, rtol=1e-5)
    half = regularizers.zero_centred(gradient, 3.0, jnp.asarray([1.0, 0, 1, 0, 0]))
    np.testing.assert_allclose(half, 1.5 * square * 2 / 5, rtol=1e-5)
    np.testing.assert_allclose(regularizers.one_centred(gradient, jnp.ones(5)), (np.sqrt(square) - 1) ** 2, rtol=1e-5)


def test_the_weight_rule_keeps_the_penalty_of_a_refined_field(key):
    """D(u) = mean of f(u) over points: twice the points, same functional, same gamma |grad|^2."""
    coarse = jnp.sin(jnp.arange(16) * 2 * jnp.pi / 16)[None, :, None]
    fine = jnp.repeat(coarse, 2, axis=1)
    sizes = []
    for field in (coarse, fine):
        _, gradient = regularizers.logits_and_gradient(lambda x: jnp.mean(jnp.tanh(x), axis=(1, 2)), field)
        gamma = regularizers.gamma_of(0.1, field.shape[1:])
        sizes.append(regularizers.zero_centred(gradient, gamma, jnp.ones(1)))
    np.testing.assert_allclose(sizes[0], sizes[1], rtol=1e-5)


@pytest.mark.float64
def test_parameter_gradients_of_penalties_agree_with_finite_differences():
    from flax import nnx

    rng = np.random.default_rng(0)
    config = NetworkConfig(width=4, levels=2)
    critic = ResidualDiscriminator(Blueprint(config, (8,), ("circular",), 1, rng))
    graph, params, network_state = nnx.split(critic, nnx.Param, ...)
    # Away from the fix-up start, where half of the gradients vanish.
    params = jax.tree.map(
        lambda p: jnp.asarray(p, jnp.float64) + 0.3 * rng.standard_normal(p.shape), nnx.to_pure_dict(params)
    )
    samples, weight = jnp.asarray(rng.standard_normal((3, 8, 1))), jnp.ones(3)

    @jax.jit
    def penalties(params):
        _, gradient = regularizers.logits_and_gradient(
            lambda x: nnx.merge(graph, params, network_state)(x, None, None), samples
        )
        return regularizers.zero_centred(gradient, 2.0, weight) + regularizers.one_centred(gradient, weight)

    direction = jax.tree.map(lambda p: jnp.asarray(rng.standard_normal(p.shape)), params)
    slope = sum(jnp.sum(a * b) for a, b in zip(*map(jax.tree.leaves, (jax.grad(penalties)(params), direction))))
    # The leaky ReLU's second derivative is zero, so the penalty is smooth but for kinks that this step avoids.
    moved = [jax.tree.map(lambda p, d, s=s: p + s * d, params, direction) for s in (1e-6, -1e-6)]
    difference = (penalties(moved[0]) - penalties(moved[1])) / 2e-6
    np.testing.assert_allclose(slope, difference, rtol=1e-6)


def test_the_points_between_data_and_samples_are_on_the_line():
    real, fake = jnp.ones((2, 4, 1)), jnp.zeros((2, 4, 1))
    points = regularizers.between(real, fake, jnp.asarray([0.25, 1.0]))
    np.testing.assert_allclose(points[:, 0, 0], [0.25, 1.0])
