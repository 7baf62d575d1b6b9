"""The study of the joint law: its generators keep the symmetries of the equation, its page states its figures."""

import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
POINTS, COUNT = 32, 4


@pytest.fixture
def generators(monkeypatch):
    """The module ``benchmarks/wave_generators.py``."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import wave_generators

    return wave_generators


@pytest.fixture
def fields():
    """Fields of zero mean with four waves."""
    rng = np.random.default_rng(0)
    hat = np.zeros((64, POINTS // 2 + 1), complex)
    hat[:, 1 : COUNT + 1] = rng.standard_normal((64, COUNT)) + 1j * rng.standard_normal((64, COUNT))
    return (np.fft.irfft(hat, POINTS, axis=1)[..., None] * POINTS).astype(np.float32)


@pytest.fixture
def waves(generators, fields):
    return generators.Waves.of(fields, COUNT)


def test_amplitudes_have_unit_parts_and_lead_back_to_the_fields(waves, fields):
    a = waves.amplitudes(fields)
    np.testing.assert_allclose(np.sqrt((np.abs(a) ** 2).mean(axis=0) / 2), 1, rtol=1e-5)
    np.testing.assert_allclose(waves.fields(a), fields, atol=1e-5)


def test_turned_amplitudes_are_those_of_shifted_fields(generators, waves, fields):
    a = jnp.asarray(waves.amplitudes(fields))
    turned = generators.turned(a, jnp.full((len(a), 1), -2 * np.pi * 3 / POINTS))
    np.testing.assert_allclose(turned, waves.amplitudes(np.roll(fields, 3, axis=1)), atol=1e-5)


def test_random_moves_are_shifts_and_mirror_images(generators, waves, fields):
    a = jnp.asarray(np.repeat(waves.amplitudes(fields[:1]), 200, axis=0))
    moved = generators.moved(a, jax.random.key(0))
    # Shifting a field so that its first wave is real leaves the field, or the one that is its mirror image.
    standard = generators.turned(moved, -jnp.angle(moved[:, :1]))
    mirrored = np.roll(-fields[:1, ::-1], 1, axis=1)
    possible = [jnp.asarray(waves.amplitudes(one)) for one in (fields[:1], mirrored)]
    possible = [generators.turned(one, -jnp.angle(one[:, :1])) for one in possible]
    apart = np.stack([np.abs(standard - one).max(axis=1) for one in possible])
    assert apart.min(axis=0).max() < 1e-4
    assert np.all(np.bincount(apart.argmin(axis=0)) > 50)


def test_the_square_has_the_waves_of_the_squared_field(generators, waves, fields):
    hat = np.fft.rfft(fields[..., 0] ** 2, axis=1)[:, 1 : COUNT + 1] / POINTS / waves.square_scale
    found = waves.square(generators.real(jnp.asarray(waves.amplitudes(fields))))
    np.testing.assert_allclose(found, np.concatenate([hat.real, hat.imag], axis=1), atol=1e-4)


def test_the_velocity_turns_with_the_field(generators, waves, fields):
    a = jnp.asarray(waves.amplitudes(fields))
    # Wave 2 has a real and positive place twice in the box; a small shift leads to another one only near the cut.
    a = a[jnp.abs(jnp.angle(a[:, generators.FRAME - 1])) < 2.5]
    params = generators.dense(jax.random.key(1), 4 * COUNT + 9, 2 * COUNT)
    t, angle = jnp.full(len(a), 0.3), jnp.full((len(a), 1), 0.2)
    velocity = jax.jit(lambda amplitudes: generators.velocity(waves, params, amplitudes, t))
    direct = velocity(generators.turned(a, angle))
    after = generators.turned(velocity(a), angle)
    np.testing.assert_allclose(direct, after, atol=1e-4)
    assert float(jnp.abs(direct).max()) > 0.01


def test_samples_of_the_flow_follow_its_velocity(generators, waves, monkeypatch):
    # x' = 3 t^2 c leads from x to x + c, and the midpoint rule in many steps integrates it.
    monkeypatch.setattr(generators, "velocity", lambda waves, params, a, t: 3 * t[:, None] ** 2 * params)
    shift = jnp.asarray([1.0, 2.0j, -1.0, 0.5])
    key = jax.random.key(2)
    start = generators.amplitudes(jax.random.normal(key, (8, 2 * COUNT)))
    found = generators.flow_samples(waves, shift, 40)(key, 8)
    np.testing.assert_allclose(found, start + shift, atol=2e-3)


def test_training_lowers_a_loss_for_a_given_time(generators):
    def loss(params, key):
        return jnp.sum((params - 1.5) ** 2) + 0.01 * jnp.sum(params * jax.random.normal(key, params.shape))

    found = generators.minimised(loss, jnp.zeros(3), 1.0, 0)
    np.testing.assert_allclose(found, 1.5, atol=0.05)


def test_the_page_states_the_figures_of_the_study():
    command = [sys.executable, str(ROOT / "benchmarks" / "joint_law.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_the_page_states_the_figures_of_the_study_in_the_plane():
    command = [sys.executable, str(ROOT / "benchmarks" / "plane_waves.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
