"""Penalties of the discriminator: closed form for simple critics, parameter gradients against finite differences."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan import regularizers
from gan.adversarial import adversarial_game
from gan.augmentation import Reflection, Symmetries, reflect
from gan.config import CarryConfig, GameConfig, NetworkConfig, Recipe
from gan.game import Draw
from gan.networks.blueprint import Blueprint
from gan.networks.players import SampleSpec, build
from gan.networks.resnet import ResidualDiscriminator
from gan.normalizer import Normalizer
from gan.training.checks import check_recipe

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
    graph, params, rest = nnx.split(critic, nnx.Param, ...)
    # Away from the fix-up start, where half of the gradients vanish.
    params = jax.tree.map(
        lambda p: jnp.asarray(p, jnp.float64) + 0.3 * rng.standard_normal(p.shape), nnx.to_pure_dict(params)
    )
    samples, weight = jnp.asarray(rng.standard_normal((3, 8, 1))), jnp.ones(3)

    @jax.jit
    def penalties(params):
        _, gradient = regularizers.logits_and_gradient(lambda x: nnx.merge(graph, params, rest)(x, None, None), samples)
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


def test_consistency_is_the_mean_squared_difference_over_the_moved_and_zero_for_an_invariant_critic():
    """A mirror image is taken or not, each with probability 1/2: the term is a sum over some of the samples."""
    networks, players = build(NetworkConfig(kind="mlp", width=8, latent=4), SampleSpec((8, 1)), ONE)
    mirror = Symmetries((), (Reflection(0, (-1.0,)),))
    made = adversarial_game(networks, GameConfig(consistency=3.0), CarryConfig(), symmetries=mirror)
    fields = jax.random.normal(jax.random.key(1), (2, 4, 8, 1))
    valid = jnp.asarray([[True, True, False, True]])
    draw = Draw(fields[1:], fields[0], {}, valid, jnp.arange(4), jnp.float32(0.0))
    params, rest = players.discriminator
    judged = made.judge(params, rest, draw, jax.random.key(2))

    stacked = fields.reshape(8, 8, 1)
    logits, mirrored = (networks.judge(params, rest, x) for x in (stacked, reflect(stacked, 1, (-1.0,))))
    terms = 3.0 * np.square(logits - mirrored) * np.concatenate([np.ones(4), valid[0]]) / 4
    choices = np.array(list(itertools.product((0.0, 1.0), repeat=8)))
    values = choices @ terms
    assert 0.0 < judged.metrics["consistency"] < values.max()
    assert np.min(np.abs(values - judged.metrics["consistency"])) < 1e-6 * values.max()
    without = adversarial_game(networks, GameConfig(), CarryConfig(), symmetries=mirror)
    rest_of_loss = without.judge(params, rest, draw, jax.random.key(2)).own
    np.testing.assert_allclose(judged.own, rest_of_loss + judged.metrics["consistency"], rtol=1e-6)

    constant = jax.tree.map(jnp.zeros_like, params)
    assert made.judge(constant, rest, draw, jax.random.key(2)).metrics["consistency"] == 0.0


def test_consistency_without_a_symmetry_is_refused():
    networks, _ = build(NetworkConfig(kind="mlp", width=8, latent=4), SampleSpec((8, 1)), ONE)
    for symmetries in (None, Symmetries()):
        with pytest.raises(ValueError, match=r"game.consistency = 3.0 .* Problem.symmetries"):
            adversarial_game(networks, GameConfig(consistency=3.0), CarryConfig(), symmetries=symmetries)
    # Before there are data a grid may have symmetries; points, and fields of a condition, cannot.
    recipe = Recipe(NetworkConfig(kind="mlp", width=8, latent=4), GameConfig(consistency=3.0))
    check_recipe(recipe, SampleSpec((8, 1)))
    for spec in (SampleSpec((2,)), SampleSpec((8, 1), conditions={"vector": (3,)})):
        with pytest.raises(ValueError, match=r"game.consistency = 3.0 .* Problem.symmetries"):
            check_recipe(recipe, spec)
