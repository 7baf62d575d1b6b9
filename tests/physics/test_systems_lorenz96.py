"""Lorenz's weather toys: first instability, energy, the exponent of their chaos, and what couples their scales."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physics import Grid, Lorenz96, Lorenz96TwoScale, advance, leading_lyapunov_exponent


@pytest.mark.float64
def test_waves_around_the_uniform_state_grow_at_the_published_rates():
    # Lorenz and Emanuel (1998): exp(i k j) grows like -1 + F (exp(i k) - exp(-2 i k)), first at F = 8/9.
    k = 2 * np.pi * np.arange(40) / 40
    for forcing in (8 / 9, 3.0):
        system = Lorenz96(forcing)
        uniform = jnp.full((40, 1), forcing)
        jacobian = jax.jacfwd(lambda u, s=system: s.vector_field(0.0, u))(uniform).reshape(40, 40)
        exact = -1 + forcing * (np.exp(1j * k) - np.exp(-2j * k))
        found = np.linalg.eigvals(jacobian)
        assert all(np.abs(found - rate).min() < 1e-10 for rate in exact)
    assert np.max(np.cos(2 * np.pi * np.arange(6000) / 6000) - np.cos(4 * np.pi * np.arange(6000) / 6000)) == (
        pytest.approx(9 / 8)
    )


@pytest.mark.float64
@pytest.mark.parametrize("system", [Lorenz96(), Lorenz96TwoScale()], ids=lambda s: s.name)
def test_energy_changes_at_the_rate_of_its_budget(system, key):
    u = system.sample_initial(key)

    @jax.jit
    def budget_and_slope(u):
        slope = jax.jvp(lambda v: system.budgets(v)["energy"]["value"], (u,), (system.vector_field(0.0, u),))[1]
        return system.budgets(u)["energy"], slope

    budget, slope = budget_and_slope(u)
    assert np.isclose(slope, sum(term for name, term in budget.items() if name != "value"))


@pytest.mark.slow
def test_lorenz_96_has_the_published_lyapunov_exponent(key):
    # 1.67 per time unit for 40 sites and forcing 8 (errors double in 2.1 days: Lorenz and Emanuel, 1998).
    # 95% interval of 4160 time units; the published figure is rounded to 0.005.
    system = Lorenz96()
    u0 = jax.vmap(system.sample_initial)(jax.random.split(key, 32))
    u0 = jax.vmap(lambda u: advance(system, u, 0.05, 400))(u0)
    found = leading_lyapunov_exponent(system, u0, key, dt=0.05, stretch=10, stretches=280, discard=20)
    assert found.low - 0.005 < 1.67 < found.high + 0.005
    assert found.high - found.low < 0.05


@pytest.mark.float64
def test_without_coupling_the_scales_are_the_one_scale_system_forwards_and_backwards(key):
    both = Lorenz96TwoScale(coupling=0.0, fast_sites=2, grid=Grid((8,), (8.0,)))
    u = both.sample_initial(key)
    slow, fast = Lorenz96(10.0, Grid((8,), (8.0,))), Lorenz96(0.0, Grid((16,), (16.0,)))
    rates = both.vector_field(0.0, u)
    assert np.allclose(rates[:, :1], slow.vector_field(0.0, u[:, :1]))
    # With time in units of 1/c and y in units of 1/b the fast ring is the slow one, turned round.
    backwards = 10.0 * u[:, 1:].ravel()[::-1, None]
    assert np.allclose(rates[:, 1:].ravel(), fast.vector_field(0.0, backwards)[::-1, 0] * 10.0 / 10.0)


@pytest.mark.slow
@pytest.mark.float64
@pytest.mark.parametrize(
    "system",
    [Lorenz96(grid=Grid((8,), (8.0,))), Lorenz96TwoScale(fast_sites=2, grid=Grid((4,), (4.0,)))],
    ids=lambda s: s.name,
)
def test_gradients_in_field_and_every_parameter_match_finite_differences(system, key):
    u0 = system.sample_initial(key)
    leaves, structure = jax.tree.flatten(system)

    def loss(u, leaves):
        return jnp.sum(advance(jax.tree.unflatten(structure, leaves), u, system.recommended_dt, 10) ** 2)

    arguments = (u0, [jnp.asarray(leaf, float) for leaf in leaves])
    flat, unravel = jax.flatten_util.ravel_pytree(arguments)
    slopes = jax.flatten_util.ravel_pytree(jax.grad(loss, (0, 1))(*arguments))[0]
    for i in range(flat.size):
        ends = [loss(*unravel(flat.at[i].add(step))) for step in (1e-5, -1e-5)]
        assert np.isclose(slopes[i], (ends[0] - ends[1]) / 2e-5, rtol=1e-5, atol=1e-6), i


def test_sites_that_form_no_ring_are_refused():
    with pytest.raises(ValueError, match="Lorenz96 needs a grid with 1 axis, not 0"):
        Lorenz96(grid=Grid((), ()))
    with pytest.raises(ValueError, match="no form for the neumann boundary"):
        Lorenz96(grid=Grid((8,), (8.0,), "neumann"))
    with pytest.raises(ValueError, match="fast_sites must be a whole number"):
        Lorenz96TwoScale(fast_sites=0)
