"""What is watched in a training: rotation, layers, variety of samples, and alarms in words."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan.game import Batch, DiscriminatorLoss, Game, GeneratedBatch, Player, Players
from gan.training.alarms import Alarms
from gan.training.diagnostics import diagnosis, layer_norms, rotation
from gan.training.loop import train
from gan.training.validation import effective_rank, neighbourhood_coverage


def linear_game(matrix: np.ndarray) -> Game:
    """F(w) = M w with w = (x, y): the losses are (M_11 x / 2 + M_12 y) x and (M_22 y / 2 + M_21 x) y."""
    m = jnp.asarray(matrix)

    def draw(x, network_state, batch, key):
        return GeneratedBatch(x, batch.real, {}, jnp.ones((1, 1), bool), batch.place, batch.progress), network_state

    def discriminator_loss(y, network_state, seen, key):
        loss = (0.5 * m[1, 1] * y + m[1, 0] * seen.samples) * y
        return DiscriminatorLoss(loss, jnp.zeros(()), {}, network_state)

    def generator_loss(y, network_state, seen, key):
        return (0.5 * m[0, 0] * seen.samples + m[0, 1] * y) * seen.samples

    return Game(draw, discriminator_loss, generator_loss)


@pytest.mark.float64
@pytest.mark.parametrize(
    ("matrix", "share"),
    [
        ([[0.0, 1.0], [-1.0, 0.0]], 1.0),
        ([[2.0, 0.0], [0.0, 2.0]], 0.0),
        ([[1.0, 1.0], [-1.0, 1.0]], np.sqrt(0.5)),
    ],
)
def test_the_rotation_of_a_linear_game_is_the_share_of_its_antisymmetric_part(matrix, share):
    before, after = ((jnp.float64(x), jnp.float64(y)) for x, y in ((0.3, -0.2), (0.37, 0.1)))
    players = [Players(Player(x, {}), Player(y, {})) for x, y in (before, after)]
    batch = Batch(jnp.zeros((1, 1)), {}, jnp.arange(1), jnp.zeros(()))
    found = diagnosis(linear_game(np.array(matrix)), "highest")(*players, batch, jax.random.key(0))
    np.testing.assert_allclose(found["rotation"], share, atol=1e-12)
    field = np.array(matrix) @ np.array([0.37, 0.1])
    np.testing.assert_allclose([found["layer/generator/"], found["layer/discriminator/"]], np.abs(field), atol=1e-12)


def test_the_rotation_of_a_matrix_is_the_sine_of_the_angle_it_turns_the_update_by():
    update, turned = jnp.asarray([1.0, 0.0]), 3.0 * jnp.asarray([np.cos(0.3), np.sin(0.3)])
    np.testing.assert_allclose(rotation(update, turned), np.sin(0.3), rtol=1e-5)


def test_layers_are_named_by_their_path():
    gradient = {"root": {"kernel": jnp.full((2, 2), 3.0)}, "stages": {0: {"kernel": jnp.ones(3), "bias": jnp.zeros(3)}}}
    assert {name: float(value) for name, value in layer_norms(gradient, "generator").items()} == {
        "layer/generator/root/kernel": 3.0,
        "layer/generator/stages/0/kernel": 1.0,
        "layer/generator/stages/0/bias": 0.0,
        "layers_smallest_generator": 1.0,
        "layers_largest_generator": 3.0,
    }


@pytest.mark.parametrize("numbers", [6, 4000])
def test_the_effective_rank_counts_equally_strong_directions(numbers):
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.standard_normal((numbers, 3)))[0].T
    rows = 5.0 + 40.0 * np.sqrt(3) * np.linalg.qr(rng.standard_normal((200, 4)))[0][:, :3] @ axes
    rows = rows - rows.mean(axis=0)
    assert effective_rank(rows) == pytest.approx(3.0, abs=0.05)
    assert effective_rank(rows[:, :1] * np.ones(numbers)) == pytest.approx(1.0, abs=1e-6)
    assert effective_rank(np.ones((4, 3))) == 0.0


def test_coverage_is_one_for_a_second_set_and_counts_the_modes_that_a_collapsed_one_meets():
    rng = np.random.default_rng(0)
    modes = np.repeat(10.0 * np.eye(4), 50, axis=0)

    def cloud():
        return modes + 0.1 * rng.standard_normal(modes.shape)

    fields = cloud()
    assert neighbourhood_coverage(cloud(), fields) > 0.9
    assert neighbourhood_coverage(cloud()[:100], fields) == pytest.approx(0.5, abs=0.06)
    assert neighbourhood_coverage(fields + 100.0, fields) == 0.0


def line(step: int, **values) -> dict:
    usual = {
        "discriminator_accuracy": 0.7,
        "gradient_adversarial": 1.0,
        "gradient_generator": 1.0,
        "gradient_discriminator": 1.0,
        "invalid": 0.0,
    }
    return {"step": step, **usual, **values}


def test_a_discriminator_that_has_won_is_said_once_and_again_only_after_it_had_lost():
    alarms = Alarms(2000)
    raised = {}
    for step in range(100, 7100, 100):
        won = step <= 3000 or step > 4000
        for text in alarms.see(line(step, discriminator_accuracy=0.99 if won else 0.6)):
            raised[step] = text
    assert list(raised) == [2000, 6000]
    assert raised[2000].startswith("the discriminator has won: accuracy 0.99 for 2000 steps; try a larger game.r1")


@pytest.mark.parametrize(
    ("values", "after", "words"),
    [
        ({"gradient_adversarial": 1e-4}, 400, "gradient has vanished: 1.0e-04 for 400 steps"),
        ({"gradient_generator": 200.0}, 100, "100 times its usual size"),
        ({"invalid": 0.5}, 400, "the solver refuses 50% of the samples"),
        ({"discriminator_accuracy": 0.01}, 400, "rates samples above data"),
        ({"coverage": 0.02, "effective_rank": 3.0, "effective_rank_held_out": 4.0}, 200, "they cover 2% of"),
        ({"validation": 4.0}, 100, "quality swings: validation 4"),
        ({"layers_smallest_generator": 1e-9, "layers_largest_generator": 1.0}, 100, "do not learn"),
    ],
)
def test_every_alarm_says_what_is_wrong_as_soon_as_it_has_lasted(values, after, words):
    alarms = Alarms(400)
    healthy = {"coverage": 0.8, "effective_rank": 4.0, "effective_rank_held_out": 4.0, "validation": 1.0}
    for step in range(100, 1600, 100):
        assert alarms.see(line(step, **healthy)) == []
    raised = {}
    for step in range(1600, 2600, 100):
        for text in alarms.see(line(step, **values)):
            raised[step] = text
    assert list(raised) == [1500 + after]
    assert words in raised[1500 + after] and "try" in raised[1500 + after]


@pytest.mark.slow
def test_a_diagnosed_training_is_the_same_training_with_more_in_its_record(toy, tmp_path):
    def recipe(**training):
        return toy.recipe(training={"steps": 20, "log_every": 10, "checkpoint_every": 20, **training})

    plain = train(toy.problem(), recipe(), tmp_path / "plain")
    watched = train(toy.problem(), recipe(diagnose_every=10, alarm_after=10), tmp_path / "watched")
    for ours, theirs in zip(*(jax.tree.leaves(one.params) for one in (plain, watched))):
        np.testing.assert_array_equal(ours, theirs)
    lines = [json.loads(text) for text in (tmp_path / "watched" / "metrics.jsonl").read_text().splitlines()]
    assert all(0.0 <= one["rotation"] <= 1.0 and one["layer/generator/chain/layers/0/kernel"] > 0 for one in lines)
    assert 0.0 <= lines[-1]["coverage"] <= 1.0 and lines[-1]["effective_rank_held_out"] > 1.5
    assert "rotation" not in json.loads((tmp_path / "plain" / "metrics.jsonl").read_text().splitlines()[-1])
