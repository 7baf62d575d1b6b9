"""Batch statistics of both players in a training: the same on one device and on four, kept, averaged and resumed."""

import signal

import jax
import numpy as np
import pytest

from gan.adversarial import adversarial_game
from gan.config import GameConfig, NetworkConfig, SolverLayerConfig
from gan.networks.players import SampleSpec, build
from gan.normalizer import Normalizer
from gan.training.loop import Trainer, train
from gan.training.trained import load


def recipe(toy, **training):
    return toy.recipe(
        network={"kind": "dcgan", "width": 4, "levels": 2, "batch_norm": "both", "dropout": 0.2},
        game={"objective": "relativistic_average", "r1": 0.0, "r2": 0.0},
        optimizer={"transform": "sgd", "average_half_life": 20.0},
        training={"steps": 4, "log_every": 2, "checkpoint_every": 2, **training},
    )


@pytest.fixture(scope="module")
def uninterrupted(toy, tmp_path_factory):
    """A training of four steps, with its last state."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    with jax.enable_x64(False):
        return train(toy.problem(), recipe(toy), folder), folder


@pytest.mark.slow
def test_statistics_dropout_and_batch_means_do_not_depend_on_the_count_of_devices(toy):
    states = []
    for devices in (1, 4):
        made = Trainer(toy.problem(), recipe(toy, devices=devices), "unused")
        state = made.state
        for step in range(2):
            state, _ = made.step(state, *made.next_batch((0, 8 * step)))
        states.append(jax.device_get(state))
    assert states[0].players.discriminator.state["variables"] and states[0].players.generator.state["variables"]
    for one, four in zip(*(jax.tree.leaves((state.players, state.average)) for state in states)):
        np.testing.assert_allclose(one, four, rtol=1e-4, atol=1e-5)


def test_the_statistics_are_averaged_saved_loaded_and_resumed_bit_for_bit(toy, uninterrupted, tmp_path):
    trained, folder = uninterrupted
    again = load(folder, solver_layer=toy.decay, symmetries=toy.SYMMETRIES)
    jax.tree.map(np.testing.assert_array_equal, again.generator, trained.generator)
    # They have moved from the mean of zero that they began with.
    assert np.max(np.abs(np.asarray(trained.generator.state["variables"]["norms"][0]["mean"]))) > 1e-4

    def interrupt(step, total, metrics):
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(toy.problem(), recipe(toy), tmp_path, progress=interrupt)
    resumed = train(toy.problem(), recipe(toy), tmp_path, resume=True)
    jax.tree.map(np.testing.assert_array_equal, resumed.generator, trained.generator)


def test_gradient_penalties_of_a_discriminator_that_judges_whole_batches_are_refused():
    unit = Normalizer(np.zeros(1, np.float32), np.ones(1, np.float32))
    config = NetworkConfig(kind="dcgan", width=4, levels=2, latent=3, batch_norm="both")
    networks, _ = build(config, SampleSpec((8, 1)), unit)
    with pytest.raises(ValueError, match=r"network.batch_norm = 'both'.*set these to 0"):
        adversarial_game(networks, GameConfig(), SolverLayerConfig())
