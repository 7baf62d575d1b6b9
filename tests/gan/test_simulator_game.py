"""The game of a simulator against a discriminator, on models whose best estimate is known."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan.config import GameConfig, NetworkConfig, OptimizerConfig
from gan.game import Batch, Player, Players
from gan.networks.players import SampleSpec, build
from gan.normalizer import Normalizer
from gan.optimizers.gradients import vector_field
from gan.simulator_game import Inference, Whitening, bounded, simulator_game, with_products


def normal(z, key, count):
    """Two correlated normal numbers; z shifts them."""
    draws = jax.random.normal(key, (count, 2))
    return z + draws @ jnp.array([[1.0, 0.6], [0.0, 0.8]])


INFERENCE = Inference(
    normal,
    2,
    None,
    GameConfig(objective="minimax", r1=0.1, r2=0.1),
    OptimizerConfig(
        scheme="simultaneous", transform="sgd", generator_rate=0.3, discriminator_rate=0.5, clip=0.2, final_rate=0.2
    ),
    updates=400,
    batch=64,
)
NETWORK = NetworkConfig(kind="mlp", width=8, blocks=1, latent=1)


def test_whitened_data_have_mean_0_and_covariance_1(key):
    data = normal(jnp.array([3.0, -1.0]), key, 500) * jnp.array([1.0, 3.0])
    found = Whitening.of(data)(data)
    np.testing.assert_allclose(np.mean(found, axis=0), 0.0, atol=1e-4)
    np.testing.assert_allclose(np.cov(found, rowvar=False), np.eye(2), atol=0.02)


def test_the_games_come_to_the_means_which_are_the_most_likely_parameters(key):
    truths = np.array([[0.0, 0.0], [0.5, -0.7], [-0.9, 0.3]])
    data = jnp.stack([normal(z, k, 200) for z, k in zip(truths, jax.random.split(key, 3))])
    played = INFERENCE.estimates(data, jax.random.key(1))
    best = np.mean(data, axis=1)
    # Errors of the best estimate itself are 0.07: the game adds little to them.
    assert np.abs(played.estimate - best).max() < 0.04
    assert np.abs(best - truths).max() > 0.03
    np.testing.assert_allclose(played.course[:, 0], 0.0, atol=0.1)
    np.testing.assert_allclose(played.accuracy, 0.5, atol=0.06)
    # Unit variances: the error of a mean of 200, and that of the samples that the estimate has seen.
    np.testing.assert_allclose(played.spread, (1 / 200 + 1 / (200 * 64)) ** 0.5, rtol=0.15)


def scaled(z, key, count):
    """Normal numbers of mean 0; z is the logarithm of their standard deviation, which no mean shows."""
    return jnp.exp(z) * jax.random.normal(key, (count, 1))


@pytest.mark.parametrize("sees", ["products", "a network"])
def test_what_no_mean_shows_is_found_by_products_or_by_a_network(sees, key):
    chosen = {"statistics": with_products} if sees == "products" else {"network": NETWORK}
    data = scaled(jnp.array([0.5]), key, 1000)[None]
    played = replace(INFERENCE, simulate=scaled, parameters=1, **chosen).estimates(data, jax.random.key(2))
    best = 0.5 * np.log(np.mean(np.square(data)))
    assert float(played.estimate[0, 0]) == pytest.approx(best, abs=0.08 if sees == "a network" else 0.03)
    if sees == "products":
        assert float(played.spread[0, 0]) == pytest.approx((1 / 2000) ** 0.5, rel=0.3)
    blind = replace(INFERENCE, simulate=scaled, parameters=1).estimates(data, jax.random.key(2))
    assert abs(float(blind.estimate[0, 0]) - best) > 0.15


def test_products_are_those_of_all_pairs():
    found = with_products(jnp.array([[2.0, 3.0, 5.0]]))
    np.testing.assert_array_equal(found, [[2, 3, 5, 4, 6, 10, 9, 15, 25]])


@pytest.mark.slow
def test_intervals_hold_the_truth_as_often_as_they_say(key):
    truths = jax.random.uniform(key, (200, 2), minval=-1.0, maxval=1.0)
    data = jax.vmap(lambda z, k: normal(z, k, 128))(truths, jax.random.split(jax.random.key(3), 200))
    played = INFERENCE.estimates(data, jax.random.key(4), together=200)
    held = np.mean(np.abs(played.estimate - truths) < 1.645 * played.spread)
    assert 0.86 < held < 0.95


def test_games_side_by_side_are_the_games_alone(key):
    data = jnp.stack([normal(jnp.full(2, 0.3), key, 100), normal(jnp.full(2, -0.3), key, 100)])
    short = replace(INFERENCE, updates=30)
    both = short.estimates(data, jax.random.key(1))
    one = short.estimates(data, jax.random.key(1), together=1)
    three = short.estimates(jnp.concatenate([data, data[:1]]), jax.random.key(1), together=2)
    assert three.estimate.shape == (3, 2) and three.course.shape == (3, 60, 2)
    np.testing.assert_allclose(both.estimate, one.estimate, atol=1e-4)


@pytest.mark.float64
def test_both_players_gradients_are_those_of_finite_differences(key):
    networks, first = build(NETWORK, SampleSpec((2,)), Normalizer.identity(2))
    data = normal(jnp.array([0.4, 0.1]), key, 40).astype(float)
    game = simulator_game(normal, Whitening.of(data), networks, replace(INFERENCE.game, r1=0.0, r2=0.0))
    network = jax.tree.map(lambda leaf: jnp.asarray(leaf, float), first.discriminator.params)
    weights = {"linear": jnp.array([0.3, -0.2]), "network": network}
    batch = Batch(data, {}, jnp.arange(40), jnp.zeros(()))

    def players(z, linear):
        return Players(Player(z, {}), Player(weights | {"linear": linear}, {}))

    at = jnp.array([0.2, -0.1])
    field = vector_field(game, players(at, weights["linear"]), batch, key, None).gradients
    draw_key, judge_key = jax.random.split(key)

    def losses(z, linear):
        both = players(z, linear)
        seen, _ = game.draw(both.generator.params, {}, batch, draw_key)
        own = game.discriminator_loss(both.discriminator.params, {}, seen, judge_key)
        return game.generator_loss(both.discriminator.params, {}, seen, judge_key), own.adversarial + own.own

    for i, step in enumerate(1e-6 * np.eye(2)):
        ahead, behind = losses(at + step, weights["linear"]), losses(at - step, weights["linear"])
        assert float(field.generator[i]) == pytest.approx(float(ahead[0] - behind[0]) / 2e-6, rel=1e-5)
        ahead, behind = losses(at, weights["linear"] + step), losses(at, weights["linear"] - step)
        found = float(field.discriminator["linear"][i])
        assert found == pytest.approx(float(ahead[1] - behind[1]) / 2e-6, rel=1e-5)


def test_parameters_stay_within_twice_their_range():
    np.testing.assert_allclose(bounded(jnp.array([-50.0, 0.0, 0.01, 50.0])), [-2.0, 0.0, 0.01, 2.0], atol=1e-5)
