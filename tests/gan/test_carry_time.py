"""The carry time of an update: its curriculum and its spread."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan.adversarial import adversarial_game, carry_time
from gan.config import CarryConfig, GameConfig, NetworkConfig
from gan.game import Batch
from gan.networks.players import SampleSpec, build
from gan.normalizer import Normalizer


def clock(samples, condition, tau):
    """A solver whose fields are the time that it was told to run."""
    return jnp.full_like(samples, tau), jnp.ones(samples.shape[0], bool)


def carried_times(config: CarryConfig, progress: float, updates: int) -> np.ndarray:
    """The carry time that each of several updates sees, (updates, batch)."""
    unit = Normalizer(np.zeros(1, np.float32), np.ones(1, np.float32))
    networks, players = build(NetworkConfig(kind="mlp", width=8, levels=2, latent=4), SampleSpec((8, 1)), unit)
    game = adversarial_game(networks, GameConfig(), config, carry=clock)
    batch = Batch(jnp.zeros((3, 8, 1)), {}, jnp.arange(3), jnp.float32(progress))

    @jax.jit
    @jax.vmap
    def times(key):
        return game.draw(players.generator.params, players.generator.rest, batch, key)[0].samples[0, :, 0, 0]

    return np.asarray(times(jax.random.split(jax.random.key(0), updates)))


def test_without_spread_every_update_runs_for_the_curriculums_time():
    config = CarryConfig(tau=2.0, start=0.5, ramp=0.5)
    np.testing.assert_allclose(carried_times(config, 0.25, 5), 1.5, rtol=1e-6)


def test_with_spread_updates_differ_and_samples_of_one_update_do_not():
    config = CarryConfig(tau=2.0, start=0.5, ramp=0.5, spread=1.0)
    times = carried_times(config, 1.0, 400)
    assert np.ptp(times, axis=1).max() == 0.0
    assert 2.0 <= times.min() < 2.1 and 3.9 < times.max() < 4.0
    # Uniform: the mean of 400 draws has a standard error of 2 / sqrt(12 * 400).
    assert abs(times[:, 0].mean() - 3.0) < 4 * 2 / np.sqrt(12 * 400)


def test_samples_are_drawn_at_tau_whatever_the_spread():
    assert float(carry_time(CarryConfig(tau=2.0, spread=1.0))(jnp.float32(1.0))) == 2.0


def test_a_negative_spread_is_refused():
    with pytest.raises(ValueError, match=r"carry\.spread"):
        CarryConfig(spread=-0.1)
