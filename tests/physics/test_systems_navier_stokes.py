"""Two-dimensional flow against exact and manufactured solutions, budgets and symmetries."""

import dataclasses

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physics import ETDRK4, Grid, Move, NavierStokes2D, ShallowWater, StochasticNavierStokes2D, advance
from physics.spectral import dealias, derivative, to_spectral

pytestmark = pytest.mark.float64
GRID = Grid((24, 32), (2 * np.pi, 4 * np.pi))


def _field(grid):
    x, y = grid.mesh()
    return jnp.asarray(np.cos(2 * x + 0.5 * y) + 0.7 * np.sin(x) * np.cos(1.5 * y) + 0.4 * np.sin(y))[..., None]


def test_taylor_green_vortices_decay_and_nothing_else():
    grid = Grid((16, 16), (2 * np.pi, 2 * np.pi))
    x, y = grid.mesh()
    w0 = (2 * np.cos(x) * np.cos(y))[..., None]
    end = advance(NavierStokes2D(grid, 0.1), w0, 0.05, 20)
    assert np.allclose(end, np.exp(-2 * 0.1 * 1.0) * w0, atol=1e-12)


class _Driven(NavierStokes2D):
    """With the source that makes w = cos(t) W(x, y) exact: dw/dt + u.grad w - nu lap w, taken in physical space."""

    def source(self, t):
        w = _field(self.grid)
        u, v = jnp.split(self.velocity(w), 2, axis=-1)
        advection = u * derivative(w, self.grid, 0) + v * derivative(w, self.grid, 1)
        lap = derivative(w, self.grid, 0, 2) + derivative(w, self.grid, 1, 2)
        return -jnp.sin(t) * w + jnp.cos(t) ** 2 * advection - self.viscosity * jnp.cos(t) * lap

    def nonlinear(self, t, u_hat, args=None):
        return super().nonlinear(t, u_hat, args) + to_spectral(self.source(t), self.grid)


def test_a_manufactured_flow_with_advection_is_reproduced_at_fourth_order():
    system, w = _Driven(GRID, 0.05), _field(GRID)
    u, v = jnp.split(system.velocity(w), 2, axis=-1)
    advection = u * derivative(w, GRID, 0) + v * derivative(w, GRID, 1)
    assert np.abs(advection).max() > 0.3, "the nonlinear term must not vanish"
    assert np.allclose(dealias(advection, GRID), advection, atol=1e-12)
    errors = [np.abs(advance(system, w, 1.0 / n, n) - np.cos(1.0) * w).max() for n in (10, 20)]
    assert errors[1] < 1e-5 and abs(np.log2(errors[0] / errors[1]) - 4) < 0.3


def test_the_four_transform_form_is_the_advection_of_vorticity():
    system, w = NavierStokes2D(GRID, 0.0, forcing=0.3, forcing_mode=2), _field(GRID)
    u, v = jnp.split(system.velocity(w), 2, axis=-1)
    assert np.allclose(derivative(u, GRID, 0) + derivative(v, GRID, 1), 0, atol=1e-12)
    assert np.allclose(derivative(v, GRID, 0) - derivative(u, GRID, 1), w, atol=1e-12)
    y = GRID.mesh()[1][..., None]
    # curl of (0.3 sin(q y), 0) with q = 2 pi 2 / (4 pi) = 1.
    direct = -(u * derivative(w, GRID, 0) + v * derivative(w, GRID, 1)) - 0.3 * np.cos(y)
    assert np.allclose(system.vector_field(0.0, w), direct, atol=1e-12)


def test_energy_and_enstrophy_change_at_the_rate_of_their_budgets():
    system, w = NavierStokes2D(GRID, 0.05, drag=0.1, forcing=0.3, forcing_mode=2), _field(GRID)
    rate = system.vector_field(0.0, w)
    for name, budget in system.budgets(w).items():
        assert set(budget) == {"value", "dissipation", "drag", "forcing"}
        slope = jax.jvp(lambda v, n=name: system.budgets(v)[n]["value"], (w,), (rate,))[1]
        assert np.isclose(slope, sum(budget.values()) - budget["value"], rtol=1e-10), name
    u = system.velocity(w)
    assert np.isclose(system.budgets(w)["energy"]["value"], 0.5 * np.mean(np.sum(u**2, -1)))
    assert np.isclose(system.budgets(w)["enstrophy"]["value"], 0.5 * np.mean(w**2))


@pytest.mark.parametrize("forcing", [0.0, 0.5])
def test_declared_symmetries_commute_with_the_flow(forcing):
    system, w = NavierStokes2D(GRID, 0.02, forcing=forcing), _field(GRID) ** 2
    end = advance(system, w, 0.02, 5)
    symmetries = system.symmetries
    assert symmetries.shift_axes == ((0, 1) if forcing == 0 else (0,))
    for axis in symmetries.shift_axes:
        assert np.allclose(advance(system, jnp.roll(w, 5, axis), 0.02, 5), jnp.roll(end, 5, axis), atol=1e-12)
    for mirror in symmetries.reflections:
        flipped = advance(system, jnp.flip(w, mirror.axis) * mirror.signs[0], 0.02, 5)
        assert np.allclose(flipped, jnp.flip(end, mirror.axis) * mirror.signs[0], atol=1e-12)


@pytest.mark.parametrize(
    ("make", "parameter"),
    [(NavierStokes2D, "forcing"), (StochasticNavierStokes2D, "forcing"), (ShallowWater, "coriolis")],
    ids=lambda value: getattr(value, "name", value),
)
def test_declared_symmetries_are_those_of_the_value_at_hand_and_the_fewer_where_it_is_traced(make, parameter):
    def declared_when_traced(system):
        seen = []
        jax.jit(lambda traced: seen.append(traced.symmetries))(system)
        return seen[0]

    without, with_it = (make(GRID, **{parameter: value}) for value in (0.0, 0.5))
    assert without.symmetries != with_it.symmetries
    for system in (without, with_it):
        assert system.symmetries == jax.tree.map(jnp.asarray, system).symmetries
        assert declared_when_traced(system) == with_it.symmetries
    for end, start in ((without, with_it), (with_it, without)):
        changed = eqx.tree_at(lambda s: getattr(s, parameter), start, getattr(end, parameter))
        assert changed.symmetries == end.symmetries
        assert dataclasses.replace(start, **{parameter: getattr(end, parameter)}).symmetries == end.symmetries


def test_the_force_keeps_the_half_turn_and_a_mirror_with_half_a_wave_where_the_grid_has_its_shift():
    half_turn = Move(signs=(1.0,), mirrored=(0, 1))
    shifted = Move(signs=(-1.0,), mirrored=(0,), shifted=1, order=4)
    for points, moves in ((12, (half_turn, shifted)), (14, (half_turn,))):
        system = NavierStokes2D(Grid((12, points), (6.0, 6.0)), 0.05, forcing=0.5, forcing_mode=2)
        assert system.symmetries.moves == moves


def test_a_flow_that_decays_can_be_told_how_a_force_would_change_it():
    # The forced wave gains -(q / 2) N of its transform per unit of time and force.
    def rate(forcing):
        system = NavierStokes2D(GRID, 0.05, forcing=forcing, forcing_mode=3)
        return system.nonlinear(0.0, jnp.zeros((1, *GRID.spectral_shape), complex))[0]

    slope = jax.jacfwd(rate)(0.0)
    expected = np.zeros(GRID.spectral_shape)
    expected[0, 3] = -0.5 * 1.5 * GRID.size
    assert np.allclose(slope, expected, atol=1e-12) and np.all(rate(0.0) == 0)


def test_an_ordinary_solver_agrees_with_exponential_steps():
    system, w = NavierStokes2D(GRID, 0.02, forcing=0.5), _field(GRID)
    ordinary = advance(system, w, 0.005, 20, solver=diffrax.Dopri8())
    assert np.allclose(ordinary, advance(system, w, 0.005, 20, solver=ETDRK4()), atol=1e-8)


def test_a_laminar_kolmogorov_flow_stays_at_its_balance():
    # nu q^2 w = curl F: w = -(forcing / (nu q)) cos(q y).
    grid = Grid((8, 16), (2 * np.pi, 2 * np.pi))
    system = NavierStokes2D(grid, 0.5, forcing=0.5, forcing_mode=2)
    w = jnp.asarray(-0.5 / (0.5 * 2) * np.cos(2 * grid.mesh()[1]))[..., None]
    assert np.allclose(advance(system, w, 0.05, 20), w, atol=1e-12)
    assert eqx.tree_equal(system, NavierStokes2D(grid, 0.5, forcing=0.5, forcing_mode=2))
