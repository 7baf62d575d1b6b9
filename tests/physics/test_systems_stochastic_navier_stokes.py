"""Noise that stirs plane flow: the energy it gives, the statistics of weak flow, and the path that repeats it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from physics import Grid, NavierStokes2D, NoisePath, StochasticNavierStokes2D, advance, defect
from physics.spectral import to_spectral

GRID = Grid((16, 18), (2 * np.pi, 2 * np.pi))
SYSTEM = StochasticNavierStokes2D(GRID, 0.02, drag=0.5, injection=0.3, noise_mode=3)


def test_noise_gives_energy_and_enstrophy_at_the_stated_rates(key):
    # One increment of length 1 from rest: energy is a sum of independent squares with the stated mean. 4 standard
    # errors on two means: a false alarm in 8000 keys.
    fields = jax.jit(jax.vmap(lambda w: np.sqrt(0.3) * SYSTEM.noise_field(w)))(jax.random.normal(key, (512, 16, 18, 1)))
    budgets = jax.jit(jax.vmap(SYSTEM.budgets))(fields)
    for name in ("energy", "enstrophy"):
        values = np.asarray(budgets[name]["value"])
        stated = float(budgets[name]["injection"][0])
        assert abs(values.mean() - stated) < 4 * values.std() / np.sqrt(512), name
        assert values.std() / np.sqrt(512) < 0.02 * stated
    assert np.isclose(SYSTEM.budgets(fields[0])["energy"]["injection"], 0.3)
    # 8 < 3.5^2: the ring of mode 3 holds 3^2, 10 and 8, equally strong, so that enstrophy over energy lies between.
    ratio = budgets["enstrophy"]["injection"][0] / budgets["energy"]["injection"][0]
    assert 8 < ratio < 10


def test_twice_the_points_are_stirred_along_the_same_path(key):
    finer = SYSTEM.refined(2)
    w = jax.random.normal(key, SYSTEM.noise_shape)
    assert finer.noise_shape == SYSTEM.noise_shape == (16, 18, 1) and finer.refined(2).noise_shape == (16, 18, 1)
    assert np.allclose(finer.noise_field(w)[::2, ::2], SYSTEM.noise_field(w), atol=1e-5)
    rates = [
        jax.jit(lambda w, f=flow: f.budgets(f.noise_field(w)))(w)["energy"]["injection"] for flow in (SYSTEM, finer)
    ]
    assert np.allclose(rates, 0.3)


@pytest.mark.slow
def test_weak_flow_is_an_ornstein_uhlenbeck_process_in_every_stirred_wave(key):
    # Variance of one wave with damping c = nu k^2 + drag: strength^2 (1 - exp(-2 c t)) / (2 c) (Uhlenbeck and Ornstein,
    # 1930). So weak that advection is 1e-4 of the noise. The test of fit fails one key in 10^4.
    system = StochasticNavierStokes2D(GRID, 0.02, drag=0.5, injection=1e-8, noise_mode=3)
    keys = jax.random.split(key, 256)
    run = jax.jit(jax.vmap(lambda k: advance(system, jnp.zeros((16, 18, 1)), 0.05, 40, noise=NoisePath(k))))
    found = jax.vmap(lambda u: to_spectral(u, GRID)[0])(run(keys))
    strength = 1e-4 * SYSTEM._ring()[3, 0] * np.sqrt(GRID.size)
    damping = 0.02 * 9 + 0.5
    deviation = strength * np.sqrt((1 - np.exp(-2 * damping * 2.0)) / (2 * damping))
    # Real and imaginary part of the wave (3, 0) and of (0, 3): each half of the variance.
    waves = np.concatenate([np.asarray(found[:, 3, 0]), np.asarray(found[:, 0, 3])])
    parts = np.concatenate([waves.real, waves.imag])
    assert stats.kstest(parts / (deviation / np.sqrt(2)), "norm").pvalue > 1e-4


@pytest.mark.float64
def test_a_path_stirs_the_same_flow_again_and_its_defect_is_round_off(key):
    u0 = SYSTEM.sample_initial(key)
    one = advance(SYSTEM, u0, 0.02, 10, noise=NoisePath(key))
    assert np.array_equal(one, advance(SYSTEM, u0, 0.02, 10, noise=NoisePath(key)))
    still = advance(NavierStokes2D(GRID, 0.02, drag=0.5), u0, 0.02, 10)
    assert np.abs(one - still).max() > 0.1
    assert np.abs(defect(SYSTEM, u0, one, 0.02, steps=10, noise=NoisePath(key))).max() < 1e-12
    off = StochasticNavierStokes2D(GRID, 0.02, drag=0.5, injection=0.0, noise_mode=3)
    assert np.allclose(advance(off, u0, 0.02, 10, noise=NoisePath(key)), still, atol=1e-13)


@pytest.mark.slow
@pytest.mark.float64
def test_gradients_along_a_path_match_finite_differences(key):
    u0, direction = SYSTEM.sample_initial(key), SYSTEM.sample_initial(jax.random.fold_in(key, 1))

    @jax.jit
    def loss(u, viscosity, drag, injection):
        system = StochasticNavierStokes2D(GRID, viscosity, drag=drag, injection=injection, noise_mode=3)
        return (advance(system, u, 0.02, 5, noise=NoisePath(key)) ** 3).mean()

    values, h = (u0, 0.02, 0.5, 0.3), 1e-5
    found = jax.jit(jax.grad(loss, (0, 1, 2, 3)))(*values)
    for i, along in enumerate((direction, 1.0, 1.0, 1.0)):
        ends = [loss(*(v + sign * h * along if j == i else v for j, v in enumerate(values))) for sign in (1, -1)]
        expected = (ends[0] - ends[1]) / (2 * h)
        assert np.isclose(jnp.sum(found[i] * along), expected, rtol=1e-6) and abs(expected) > 1e-6


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"injection": -0.1}, "injection must not be negative"),
        ({"noise_mode": 6}, r"noise_mode 6 is not resolved by \(16, 18\) points: use 1 to 5"),
        ({"viscosity": -1.0}, "viscosity must not be negative"),
    ],
)
def test_what_the_noise_cannot_be_is_refused_in_one_sentence(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        StochasticNavierStokes2D(GRID, **({"noise_mode": 3} | arguments))
