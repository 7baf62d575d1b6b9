"""Lorenz's equations: symmetry, budget, and the exponent of its chaos."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physics import Lorenz63, advance
from physics.lyapunov import leading_lyapunov_exponent


@pytest.mark.float64
def test_fixed_points_stay_and_the_half_turn_commutes_with_the_flow():
    system = Lorenz63()
    wing = np.sqrt(8 / 3 * 27)
    assert np.allclose(advance(system, np.array([wing, wing, 27.0]), 0.01, 10), [wing, wing, 27.0])
    u, turn = jnp.asarray([1.0, 2.0, 20.0]), jnp.asarray([-1.0, -1.0, 1.0])
    assert np.allclose(advance(system, u * turn, 0.01, 50), advance(system, u, 0.01, 50) * turn)


@pytest.mark.float64
def test_energy_changes_at_the_rate_of_its_budget(key):
    system = Lorenz63()
    u = system.sample_initial(key)
    budget = system.budgets(u)["energy"]
    slope = jax.jvp(lambda v: system.budgets(v)["energy"]["value"], (u,), (system.vector_field(0.0, u),))[1]
    assert np.isclose(slope, budget["friction"] + budget["input"])


@pytest.mark.float64
def test_lorenz_63_has_the_published_lyapunov_exponent(key):
    # 0.9056 (Sprott, Chaos and Time-Series Analysis, 2003). 64 trajectories of 50 time units after 10 of spin-up.
    system = Lorenz63()
    u0 = jax.vmap(system.sample_initial)(jax.random.split(key, 64))
    u0 = jax.vmap(lambda u: advance(system, u, 0.01, 1000))(u0)
    estimate = leading_lyapunov_exponent(system, u0, key, dt=0.01, stretch=50, stretches=100, discard=10)
    assert estimate.high - estimate.low < 0.06
    assert estimate.low - 0.01 < 0.906 < estimate.high + 0.01


def test_a_grid_with_axes_is_refused():
    from physics import Grid

    with pytest.raises(ValueError, match="single point, not on a grid with 1 axes"):
        Lorenz63(grid=Grid((8,), (1.0,)))
