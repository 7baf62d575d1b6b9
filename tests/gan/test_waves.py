"""Players on the longest waves of a periodic grid: transform, symmetries that networks keep, training, refusals."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gan
from gan import ArraySymmetries, GameConfig, NetworkConfig, OptimizerConfig, Problem, Recipe, SampleSpec, TrainingConfig
from gan.config import SolverLayerConfig
from gan.networks.players import build
from gan.networks.waves import WaveFeatures, turned
from gan.normalizer import Normalizer, WaveNormalizer, fit_waves, wave_vectors
from gan.short_waves import fields_of, fit_samples
from gan.training.trained import describe, rebuild

POINTS, WAVES = 32, 4
NETWORK = NetworkConfig(kind="waves", waves=WAVES, width=16, blocks=1, latent=2 * WAVES)


def lines(count: int, seed: int = 0) -> np.ndarray:
    """Fields of five waves of falling size about a mean of 2."""
    rng = np.random.default_rng(seed)
    x = 2 * np.pi * np.arange(POINTS) / POINTS
    fields = 2.0 + np.zeros((count, POINTS))
    for k in range(1, 6):
        a, b = rng.standard_normal((2, count, 1)) / k
        fields += a * np.cos(k * x) + b * np.sin(k * x)
    return fields[..., None].astype(np.float32)


PLANE = (16, 12)


def planes(count: int, seed: int = 0) -> np.ndarray:
    """Random fields on a plane, smooth, with a mean wave along the second axis alone."""
    rng = np.random.default_rng(seed)
    kx, ky = np.fft.fftfreq(PLANE[0], 1 / PLANE[0])[:, None], np.arange(PLANE[1] // 2 + 1)
    hat = np.fft.rfftn(rng.standard_normal((count, *PLANE)), axes=(1, 2)) / (1 + kx**2 + ky**2)
    y = 2 * np.pi * np.arange(PLANE[1]) / PLANE[1]
    return (np.fft.irfftn(hat, PLANE, axes=(1, 2)) + 0.5 + 3 * np.cos(2 * y))[..., None].astype(np.float32)


@pytest.fixture(scope="module")
def normalizer() -> WaveNormalizer:
    return fit_waves(lines(4096), WAVES)


def test_amplitudes_have_unit_spread_and_come_back_as_the_longest_waves(normalizer):
    fields = lines(512, seed=1)
    amplitudes = normalizer.normalize(fields)
    assert amplitudes.shape == (512, 2 * WAVES)
    np.testing.assert_allclose(np.sqrt((normalizer.normalize(lines(4096)) ** 2).mean(axis=0)), 1.0, rtol=0.05)
    kept = np.fft.rfft(fields[..., 0] - normalizer.mean, axis=1)
    kept[:, 0] = kept[:, WAVES + 1 :] = 0
    expected = np.fft.irfft(kept, POINTS, axis=1) + normalizer.mean
    np.testing.assert_allclose(normalizer.denormalize(amplitudes)[..., 0], expected, atol=1e-5)


@given(shift=st.integers(0, POINTS - 1), seed=st.integers(0, 99))
def test_what_a_network_sees_does_not_change_with_a_shift_that_keeps_the_frame(shift, seed):
    """The frame of wave k is known up to shifts by L / k, so fields of the strongest wave 1 have one frame."""
    normalizer = fit_waves(lines(4096), WAVES)
    features = WaveFeatures(normalizer)
    assert features.frame == [0]
    field = lines(1, seed)
    moved = np.roll(field, shift, axis=1)
    one, two = (features(jnp.asarray(normalizer.normalize(f)))[0] for f in (field, moved))
    np.testing.assert_allclose(one, two, atol=2e-4)


def test_a_shift_turns_amplitudes(normalizer):
    field = lines(3)
    shifted = normalizer.normalize(np.roll(field, 5, axis=1))
    phase = jnp.full((3, 1), -2 * np.pi * 5 / POINTS) * jnp.arange(1, WAVES + 1)
    np.testing.assert_allclose(turned(jnp.asarray(normalizer.normalize(field)), phase), shifted, atol=1e-5)


def test_features_hold_the_waves_of_the_squared_field(normalizer):
    fields = normalizer.denormalize(normalizer.normalize(lines(64)))
    features = WaveFeatures(normalizer)
    x = jnp.asarray(normalizer.normalize(fields))
    seen, phase = features(x)
    square = np.fft.rfft((fields[..., 0] - normalizer.mean) ** 2, axis=1)[:, 1 : WAVES + 1] / POINTS
    expected = jnp.concatenate([jnp.asarray(square.real), jnp.asarray(square.imag)], axis=1)
    expected = turned(expected, phase) / np.tile(normalizer.square_std, 2)
    np.testing.assert_allclose(seen[:, 2 * WAVES :], expected, atol=2e-4)


def test_a_velocity_turns_with_the_field(normalizer):
    networks, players = build(NETWORK, SampleSpec((POINTS, 1)), normalizer, evaluations=2)
    time, phase = jnp.full(3, 0.4), jnp.asarray([[0.3], [0.7], [-0.5]]) * jnp.arange(1, WAVES + 1)
    x = jnp.asarray(normalizer.normalize(lines(3)))

    def velocity(x):
        return networks.velocity(players.generator.params, {}, x, time, None)

    np.testing.assert_allclose(velocity(turned(x, phase)), turned(velocity(x), phase), atol=1e-5)


@given(
    axes=st.integers(1, 3),
    waves=st.integers(1, 4),
    more=st.lists(st.integers(1, 5), min_size=3, max_size=3),
    seed=st.integers(0, 99),
)
def test_amplitudes_come_back_from_fields_on_any_grid(axes, waves, more, seed):
    points = tuple(2 * waves + one for one in more[:axes])
    fields = np.random.default_rng(seed).standard_normal((64, *points, 1)).astype(np.float32)
    normalizer = fit_waves(fields, waves, shift_axes=tuple(range(1, axes)))
    amplitudes = normalizer.normalize(fields)
    assert amplitudes.shape == (64, 2 * len(wave_vectors(waves, axes)))
    np.testing.assert_allclose(normalizer.normalize(normalizer.denormalize(amplitudes)), amplitudes, atol=2e-4)


@pytest.mark.parametrize(("waves", "axes"), [(5, 1), (4, 2), (3, 3)])
def test_of_every_wave_and_its_opposite_one_is_kept(waves, axes):
    vectors = wave_vectors(waves, axes)
    every = np.stack(np.meshgrid(*[np.arange(-waves, waves + 1)] * axes), axis=-1).reshape(-1, axes)
    inside = {tuple(k) for k in every if 0 < (k**2).sum() <= waves**2}
    kept = {tuple(k) for k in vectors}
    assert len(kept) == len(vectors)
    assert kept | {tuple(-k) for k in vectors} == inside and len(inside) == 2 * len(kept)
    assert (np.diff((vectors**2).sum(axis=1)) >= 0).all()


def test_a_plane_comes_back_as_its_longest_waves():
    fields, waves = planes(2048), 3
    normalizer = fit_waves(fields, waves, shift_axes=(0,))
    amplitudes = normalizer.normalize(fields)
    # The mean of the waves that no shift changes is taken off, and both parts of a wave share one spread.
    half = amplitudes.shape[1] // 2
    both = ((amplitudes**2).mean(axis=0)[:half] + (amplitudes**2).mean(axis=0)[half:]) / 2
    np.testing.assert_allclose(both, 1.0, rtol=1e-3)
    standing = np.flatnonzero(normalizer.vectors[:, 0] == 0)
    assert {int(i) % half for i in np.flatnonzero(normalizer.offset)} == set(standing)
    np.testing.assert_allclose(amplitudes.mean(axis=0)[standing], 0, atol=1e-3)
    kx, ky = np.fft.fftfreq(PLANE[0], 1 / PLANE[0])[:, None], np.arange(PLANE[1] // 2 + 1)
    hat = np.fft.rfftn(fields[..., 0] - normalizer.mean, axes=(1, 2))
    hat[:, (kx**2 + ky**2 > waves**2) | (kx**2 + ky**2 == 0)] = 0
    expected = np.fft.irfftn(hat, PLANE, axes=(1, 2)) + normalizer.mean
    np.testing.assert_allclose(normalizer.denormalize(amplitudes)[..., 0], expected, atol=1e-5)


@pytest.mark.parametrize("shift_axes", [(), (0,), (1,), (0, 1)])
def test_players_in_the_plane_keep_the_shifts_that_are_symmetries(shift_axes):
    fields = planes(2048)
    if 1 in shift_axes:
        fields = fields - fields.mean(axis=0)
    normalizer = fit_waves(fields, 3, shift_axes=shift_axes)
    assert len(WaveFeatures(normalizer).frame) == len(shift_axes)
    config = NetworkConfig(kind="waves", waves=3, width=16, blocks=1)
    flow, flow_players = build(config, SampleSpec((*PLANE, 1)), normalizer, evaluations=2)
    game, game_players = build(config, SampleSpec((*PLANE, 1)), normalizer)
    time = jnp.full(8, 0.4)

    def velocity(x):
        amplitudes = flow.velocity(flow_players.generator.params, {}, jnp.asarray(normalizer.normalize(x)), time, None)
        return normalizer.denormalize(np.asarray(amplitudes) - normalizer.offset)

    def logits(x):
        return game.classify(game_players.discriminator.params, {}, jnp.asarray(normalizer.normalize(x)))

    for axis in (0, 1):
        moved = np.roll(fields[:8], 3, axis=1 + axis)
        kept = np.allclose(velocity(moved), np.roll(velocity(fields[:8]), 3, axis=1 + axis), atol=2e-4)
        kept_by_both = kept and np.allclose(logits(moved), logits(fields[:8]), atol=2e-4)
        assert kept_by_both == kept == (axis in shift_axes)


def test_gradients_of_the_discriminator_and_of_its_penalty_are_finite_in_the_plane():
    fields = planes(512)
    normalizer = fit_waves(fields, 3, shift_axes=(0,))
    networks, players = build(
        NetworkConfig(kind="waves", waves=3, width=16, blocks=1), SampleSpec((*PLANE, 1)), normalizer
    )
    x = jnp.asarray(normalizer.normalize(fields[:16]))

    def penalty(params):
        return (jax.grad(lambda x: networks.classify(params, {}, x).sum())(x) ** 2).sum()

    value, gradient = jax.value_and_grad(penalty)(players.discriminator.params)
    assert value > 0
    assert all(jnp.isfinite(one).all() for one in jax.tree.leaves(gradient))


def test_descriptions_are_read_again_also_those_that_were_written_for_lines_alone(normalizer):
    recipe = Recipe(NETWORK, GameConfig(), OptimizerConfig(), SolverLayerConfig(tau=0.0), TrainingConfig())
    networks, _ = build(NETWORK, SampleSpec((POINTS, 1)), normalizer)
    now = json.loads(json.dumps(describe(recipe, networks)))
    old = {**now, "normalizer": {k: now["normalizer"][k] for k in ("mean", "std", "square_std")} | {"points": POINTS}}
    for description in (now, old):
        again = rebuild(description)[1].normalizer
        for name, value in normalizer._asdict().items():
            np.testing.assert_array_equal(getattr(again, name), value)


@pytest.mark.parametrize("objective", ["relativistic", pytest.param("flow_matching", marks=pytest.mark.slow)])
def test_a_training_makes_fields_that_the_solver_finishes(objective, tmp_path):
    """The solver layer doubles what it gets; it is no part of the training, and of every sample."""

    def double(samples, condition, tau):
        return 2.0 * samples, jnp.ones(len(samples), bool)

    recipe = Recipe(
        NETWORK,
        GameConfig(objective=objective, r1=0.1, r2=0.1, gamma_rule="fixed", evaluations=4, symmetrize=True),
        OptimizerConfig(),
        SolverLayerConfig(tau=1.0, in_training=False),
        TrainingConfig(steps=20, batch=32, log_every=10, checkpoint_every=20, diagnose_every=20, cpu_devices=1),
    )
    problem = Problem(
        lines(256), validation=lines(64, seed=2), solver_layer=double, symmetries=ArraySymmetries((0,), ())
    )
    trained = gan.train(problem, recipe, tmp_path)
    samples = trained.sample(jax.random.key(0), 64)
    plain = trained.draw_without_solver(jax.random.key(0), 64).fields
    np.testing.assert_allclose(samples, 2.0 * plain, rtol=1e-6)
    # Only the waves that the players see, about the mean of the data.
    hat = np.fft.rfft(plain[..., 0], axis=1) / POINTS
    assert np.abs(hat[:, WAVES + 1 :]).max() < 1e-5
    assert hat[:, 0].real == pytest.approx(2.0, abs=0.05)
    again = gan.load(tmp_path, solver_layer=double, symmetries=problem.symmetries)
    np.testing.assert_array_equal(again.sample(jax.random.key(0), 64), samples)


def test_baselines_learn_the_amplitudes_and_make_fields():
    recipe = Recipe(
        NETWORK, GameConfig(), OptimizerConfig(), SolverLayerConfig(tau=0.0), TrainingConfig(steps=5, batch=8)
    )
    for baseline in gan.fit_baselines(Problem(lines(64)), recipe).values():
        assert baseline.sample(jax.random.key(0), 3).shape == (3, POINTS, 1)


@pytest.mark.parametrize(
    ("fields", "waves", "words"),
    [
        (np.zeros((8, POINTS, 2), np.float32), 3, "one channel on a grid"),
        (np.zeros((8, 1), np.float32), 3, "one channel on a grid"),
        (np.zeros((8, 32, 8, 1), np.float32), 4, "than 8 points along an axis"),
        (lines(8), POINTS // 2, "take fewer"),
        (np.ones((8, POINTS, 1), np.float32), 2, "no energy"),
    ],
)
def test_fields_without_such_waves_are_refused(fields, waves, words):
    with pytest.raises(ValueError, match=words):
        fit_waves(fields, waves)


def test_networks_on_waves_and_their_normaliser_need_each_other(normalizer):
    with pytest.raises(ValueError, match="need each other"):
        build(NETWORK, SampleSpec((POINTS, 1)), Normalizer.identity(1))
    with pytest.raises(ValueError, match="needs a periodic grid"):
        build(NETWORK, SampleSpec((POINTS, 1), padding="zero"), normalizer)


def slaved(count: int, seed: int = 0) -> np.ndarray:
    """Fields on a line of two long waves, and shorter ones that are products of these."""
    rng = np.random.default_rng(seed)
    x = 2 * np.pi * np.arange(POINTS) / POINTS
    a, b = rng.standard_normal((2, count, 2, 1))
    long = a[:, 0] * np.cos(x) + b[:, 0] * np.sin(x) + 0.5 * (a[:, 1] * np.cos(2 * x) + b[:, 1] * np.sin(2 * x))
    hat = np.fft.rfft(long**2, axis=1)
    hat[:, :3] = 0
    return (long + 0.3 * np.fft.irfft(hat, POINTS, axis=1))[..., None].astype(np.float32)


def test_short_waves_that_are_products_of_long_ones_come_back_exactly_in_any_place():
    network = NetworkConfig(kind="waves", waves=2, short_waves=4)
    normalizer = fit_samples(network, slaved(2048), symmetries=ArraySymmetries((0,), ()))
    fields = np.roll(slaved(256, seed=1), 5, axis=1)
    amplitudes = normalizer.normalize(fields)
    assert amplitudes.shape == (256, 4)
    whole = np.asarray(fields_of(normalizer, jnp.asarray(amplitudes)))
    cut = normalizer.denormalize(amplitudes)
    # The ridge keeps the coefficients a little too small.
    assert np.abs(whole - fields).max() < 0.15 * np.abs(cut - fields).max()
    np.testing.assert_allclose(normalizer.normalize(whole), amplitudes, atol=1e-4)


def test_without_short_waves_fields_come_back_as_the_longest_waves(normalizer):
    amplitudes = jnp.asarray(normalizer.normalize(lines(4)))
    np.testing.assert_array_equal(fields_of(normalizer, amplitudes), normalizer.denormalize(amplitudes))


@pytest.mark.slow
def test_a_trained_generator_of_short_waves_is_loaded_again(tmp_path):
    network = NetworkConfig(kind="waves", waves=2, short_waves=4, width=16, blocks=1, latent=4)
    training = TrainingConfig(steps=4, batch=16, log_every=4, checkpoint_every=4, diagnose_every=4, cpu_devices=1)
    recipe = Recipe(network, GameConfig(), OptimizerConfig(), SolverLayerConfig(tau=0.0), training)
    problem = Problem(slaved(64), symmetries=ArraySymmetries((0,), ()))
    trained = gan.train(problem, recipe, tmp_path)
    samples = trained.sample(jax.random.key(0), 8)
    assert (np.abs(np.fft.rfft(samples[..., 0], axis=1))[:, 3:5].mean(axis=0) > 0.1).all()
    again = gan.load(tmp_path, symmetries=problem.symmetries)
    np.testing.assert_array_equal(again.sample(jax.random.key(0), 8), samples)


def test_more_products_than_a_fit_can_take_are_refused():
    network = NetworkConfig(kind="waves", waves=6, short_waves=7)
    fields = np.random.default_rng(0).standard_normal((8, 16, 16, 1)).astype(np.float32)
    with pytest.raises(ValueError, match="products of long waves"):
        fit_samples(network, fields)
