"""Helpers that adapt: gamma's rule and schedule, transport cost, adaptive augmentation, and trainings that use them."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan.adaptive_augmentation import HIGHEST, adapted, augmentation, with_probability
from gan.adversarial import adversarial_game
from gan.config import GameConfig, NetworkConfig, SolverLayerConfig
from gan.game import Batch
from gan.networks.players import SampleSpec, build
from gan.normalizer import Normalizer
from gan.penalties import Penalty, transport_cost
from gan.regularizers import SCALE_SAMPLES, gamma_of, neighbour_scale
from gan.training.loop import train
from gan.training.trained import load

ONE = Normalizer(np.zeros(1, np.float32), np.ones(1, np.float32))
MLP = NetworkConfig(kind="mlp", width=8, latent=0)


def test_both_rules_of_gamma_are_half_a_mean_squared_distance():
    fields = np.random.default_rng(0).standard_normal((4000, 6, 1))
    pairs = 0.5 * np.mean(np.sum((fields[:2000] - fields[2000:]) ** 2, axis=(1, 2)))
    np.testing.assert_allclose(gamma_of(1.0, (6, 1)), pairs, rtol=0.05)
    clumps = np.repeat(fields[:8], 100, axis=0)
    tight = clumps + 1e-3 * np.random.default_rng(1).standard_normal(clumps.shape)
    looked = tight[:SCALE_SAMPLES].reshape(-1, 6)
    brute = [np.min(np.delete(np.sum((looked - row) ** 2, axis=1), i)) for i, row in enumerate(looked)]
    np.testing.assert_allclose(neighbour_scale(tight, ONE), 0.5 * np.mean(brute), rtol=1e-5)
    assert neighbour_scale(tight, ONE) < 1e-5 * gamma_of(1.0, (6, 1))
    with pytest.raises(ValueError, match="training fields that differ"):
        neighbour_scale(np.ones((5, 2, 1)), ONE)


def played(game: GameConfig, progress: float, **options):
    networks, players = build(MLP, SampleSpec((8, 1)), ONE)
    made = adversarial_game(networks, game, SolverLayerConfig(), **options)
    players = with_probability(players, game)
    real = jnp.asarray(np.random.default_rng(0).standard_normal((4, 8, 1)), jnp.float32)
    batch = Batch(real, {}, jnp.arange(4), jnp.float32(progress))
    draw, _ = made.draw(*players.generator, batch, jax.random.key(0))
    return made, players, draw


def test_the_penalty_at_data_follows_the_scale_of_the_data():
    values = []
    for scale in (None, 4.0):
        made, players, draw = played(GameConfig(), 0.0, gamma_scale=scale)
        values.append(made.discriminator_loss(*players.discriminator, draw, jax.random.key(1)).metrics["r1"])
    np.testing.assert_allclose(values[1] / values[0], 4.0 / 8.0, rtol=1e-5)


def test_the_transport_cost_is_the_mean_squared_way_from_latent_to_sample():
    z, x = jnp.zeros((2, 3, 1)), jnp.asarray([[[1.0], [2.0], [0.0]], [[3.0], [0.0], [0.0]]])
    np.testing.assert_allclose(transport_cost(x, z, jnp.ones(2)), (5 / 3 + 3) / 2)
    np.testing.assert_allclose(transport_cost(x, z, jnp.asarray([1.0, 0.0])), 5 / 6)


def test_the_transport_term_starts_at_its_share_and_fades_to_nothing():
    for progress, share in ((0.0, 0.5), (0.4, 0.25), (0.8, 0.0), (1.0, 0.0)):
        made, _, draw = played(GameConfig(transport=0.5), progress)
        cost = transport_cost(draw.samples[0], draw.latent[0], jnp.ones(4))
        np.testing.assert_allclose(made.generator_terms["transport"](draw), share * cost, atol=1e-6)
        gradients = {"adversarial": {"w": jnp.asarray([3.0, 4.0])}, "transport": {"w": jnp.asarray([0.0, 0.1])}}
        total = made.combine(gradients, jnp.float32(progress))["w"]
        np.testing.assert_allclose(total, [3.0, 4.0 + 5.0 * share], rtol=1e-6)


def test_a_transport_cost_needs_a_latent_like_a_sample():
    networks, _ = build(NetworkConfig(kind="mlp", width=8, latent=4), SampleSpec((8, 1)), ONE)
    with pytest.raises(ValueError, match=r"game.transport = 0.5.*network.latent to 0"):
        adversarial_game(networks, GameConfig(transport=0.5), SolverLayerConfig())


def test_nothing_is_augmented_at_probability_zero_and_each_sample_follows_its_key():
    move = jax.jit(augmentation(SampleSpec((8, 2))))
    x = jnp.asarray(np.random.default_rng(0).standard_normal((4, 8, 2)), jnp.float32)
    keys = jax.random.split(jax.random.key(0), 4)
    np.testing.assert_array_equal(move(x, keys, jnp.float32(0.0)), x)
    moved = move(x, keys, jnp.float32(0.8))
    assert not np.allclose(moved, x)
    np.testing.assert_allclose(move(x[::-1], keys[::-1], jnp.float32(0.8))[::-1], moved, rtol=1e-6)


def test_shifts_are_left_out_where_the_grid_is_not_periodic_or_a_condition_field_would_have_to_move():
    x = jnp.zeros((200, 8, 1)).at[:, 3].set(1.0)
    keys = jax.random.split(jax.random.key(0), 200)
    for spec, moves in (
        (SampleSpec((8, 1)), True),
        (SampleSpec((8, 1), padding="zero"), False),
        (SampleSpec((8, 1), False, {"f": (4, 1)}), False),
    ):
        peaks = np.argmax(augmentation(spec)(x, keys, jnp.float32(0.8))[..., 0], axis=1)
        assert (np.mean(peaks != 3) > 0.3) == moves


def test_the_probability_rises_while_the_discriminator_is_too_sure_and_counts_samples_of_all_devices():
    game = GameConfig(augment_target=0.6, augment_speed=1000.0)
    start = jnp.float32(0.4)
    np.testing.assert_allclose(adapted(start, jnp.float32(0.9), 10, game, None), 0.41, rtol=1e-6)
    np.testing.assert_allclose(adapted(start, jnp.float32(0.7), 10, game, None), 0.39, rtol=1e-6)
    np.testing.assert_allclose(adapted(jnp.float32(HIGHEST), jnp.float32(1.0), 10, game, None), HIGHEST, rtol=1e-6)
    # Two devices, one sure and one not: the mean accuracy of 0.75 is below (1 + 0.6) / 2.
    both = jax.vmap(lambda a: adapted(start, a, 10, game, "data"), axis_name="data")(jnp.asarray([1.0, 0.5]))
    np.testing.assert_allclose(both, [0.38, 0.38], rtol=1e-6)


@pytest.mark.slow
def test_a_training_with_all_helpers_runs_records_them_and_is_loaded(toy, tmp_path):
    recipe = toy.recipe(
        network={"latent": 0},
        game={
            "gamma_rule": "neighbours",
            "transport": 0.5,
            "conflict": "config",
            "augment_target": 0.1,
            "augment_speed": 1000.0,
            "symmetrize": True,
        },
        optimizer={"clip": 10.0},
        training={"steps": 40, "log_every": 8, "checkpoint_every": 40},
    )
    power = Penalty(lambda samples, condition: jnp.mean(samples**2), 0.01)
    trained = train(toy.problem(penalties={"power": power}), recipe, tmp_path)
    first, *_, last = [json.loads(text) for text in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert last["discriminator_augment"] > first["discriminator_augment"] > 0
    # The last line holds updates 33 to 40 alone, past the 0.8 of the training at which the share is nothing.
    assert first["generator_transport"] > last["generator_transport"] == 0.0
    assert first["gradient_power"] > 0
    again = load(tmp_path, solver_layer=toy.decay, symmetries=toy.SYMMETRIES)
    np.testing.assert_array_equal(again.sample(jax.random.key(0), 4), trained.sample(jax.random.key(0), 4))
