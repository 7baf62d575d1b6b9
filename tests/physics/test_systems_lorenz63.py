"""Lorenz's equations: symmetry, budget and refusal; the exponent of their chaos is in test_lyapunov."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physics import Grid, Lorenz63, advance


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


def test_a_grid_with_axes_is_refused():
    with pytest.raises(ValueError, match="single point, not on a grid with 1 axes"):
        Lorenz63(grid=Grid((8,), (1.0,)))
