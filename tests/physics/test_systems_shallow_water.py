"""Rotating shallow water: its waves, its balance, a steepening wave, potential vorticity, a manufactured flow."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physics import Grid, ShallowWater, advance
from physics.spectral import derivative, gradient, laplacian, to_spectral

pytestmark = pytest.mark.float64
TAU = 2 * np.pi
GRID = Grid((16, 16), (TAU, TAU))


@pytest.mark.parametrize("coriolis", [pytest.param(0.0, marks=pytest.mark.slow), 3.0])
def test_small_waves_keep_their_shape_at_the_frequency_of_poincare(coriolis):
    # eta = a cos(phase), phase = k x + l y - omega t, omega^2 = f^2 + g H K^2; u = (g / (omega^2 - f^2)) (omega k eta
    # - f l a sin(phase), omega l eta + f k a sin(phase)) (Vallis, 2017, chapter 3).
    # Products of the wave with itself are a^2 small.
    k, l, g, depth, a, time = 2, 1, 2.0, 0.5, 1e-9, 1.5  # noqa: E741
    omega = np.sqrt(coriolis**2 + g * depth * (k**2 + l**2))
    x, y = GRID.mesh()

    def wave(t):
        phase = k * x + l * y - omega * t
        eta, quarter, scale = a * np.cos(phase), a * np.sin(phase), g / (omega**2 - coriolis**2)
        u = scale * (omega * k * eta - coriolis * l * quarter)
        v = scale * (omega * l * eta + coriolis * k * quarter)
        return np.stack([u, v, eta], -1)

    end = advance(ShallowWater(GRID, coriolis, g, depth, 0.0), wave(0.0), 0.1, 15)
    assert np.abs(wave(time) - wave(0.0)).max() > 0.5 * a
    assert np.abs(end - wave(time)).max() < 1e-7 * a


def test_a_zonal_jet_in_balance_stays_and_the_same_jet_out_of_balance_does_not():
    system, (_, y) = ShallowWater(GRID, 3.0, 1.0, 1.0, 0.0), GRID.mesh()
    jet = system.geostrophic(0.2 * np.cos(y)[..., None] + 0.1 * np.sin(2 * y)[..., None])
    assert np.abs(jet[..., 0]).max() > 0.05
    assert np.allclose(advance(system, jet, 0.1, 20), jet, atol=1e-13)
    still = jet.at[..., 0].set(0.0)
    assert np.abs(advance(system, still, 0.1, 20) - still).max() > 0.03


def test_a_wave_without_rotation_steepens_along_its_characteristics():
    # Simple wave (Stoker, 1957, Water Waves, chapter 10): u = U(x - (c_0 + 3 u / 2) t), sqrt(g h) = c_0 + u / 2,
    # until it breaks at t = 1 / (1.5 max |U'|) = 4.4.
    grid, g, depth, time = Grid((64, 4), (TAU, TAU)), 1.5, 1.0, 2.0
    x, c0 = grid.coordinates()[0], np.sqrt(1.5)

    def wave(t):
        u = 0.15 * np.sin(x)
        for _ in range(200):
            u = 0.15 * np.sin(x - (c0 + 1.5 * u) * t)
        height = (c0 + u / 2) ** 2 / g - depth
        return np.stack([u, 0 * u, height], -1)[:, None].repeat(4, 1)

    system = ShallowWater(grid, 0.0, g, depth, 0.0)
    errors = [np.abs(advance(system, wave(0.0), time / n, n) - wave(time)).max() for n in (20, 40)]
    assert errors[1] < 1e-6 and abs(np.log2(errors[0] / errors[1]) - 4) < 0.4


def test_potential_vorticity_goes_with_the_water_and_the_frictionless_energy_stays():
    system, (x, y) = ShallowWater(GRID, 2.0, 1.0, 1.0, 0.0), GRID.mesh()
    u = jnp.asarray(np.stack([0.3 * np.sin(y) + 0.1, 0.2 * np.cos(x), 0.05 * np.cos(x + y)], -1))

    @jax.jit
    def rates(u):
        rate = system.vector_field(0.0, u)
        q, change = jax.jvp(system.potential_vorticity, (u,), (rate,))
        return change, jnp.einsum("xycd,xyd->xyc", gradient(q[..., None], GRID), u[..., :2])[..., 0]

    change, advected = rates(u)
    assert np.abs(advected).max() > 0.03
    assert np.allclose(change, -advected, atol=1e-10)
    later = advance(system, u, 0.01, 50)
    for name, budget in system.budgets(u).items():
        assert np.isclose(system.budgets(later)[name]["value"], budget["value"], rtol=2e-8), name
        assert np.abs(budget["dissipation"]) == 0


class _Driven(ShallowWater):
    """With the source that makes `exact` a solution: its rate less the equations, taken in physical space."""

    def exact(self, t):
        x, y = self.grid.mesh()
        u = jnp.cos(t) * jnp.sin(y) + 0.3 * jnp.cos(x + t)
        v = 0.5 * jnp.sin(x - t) + 0.2 * jnp.sin(2 * y)
        return jnp.stack([u, v, 0.2 * jnp.cos(x + y - 2 * t)], -1)

    def advection(self, u):
        slope = gradient(u, self.grid)
        carried = jnp.einsum("xycd,xyd->xyc", slope, u[..., :2])
        stretching = u[..., 2] * (slope[..., 0, 0] + slope[..., 1, 1])
        return carried.at[..., 2].add(stretching)

    def source(self, t):
        u, rate = jax.jvp(self.exact, (t,), (jnp.ones_like(t),))
        eta = u[..., 2:]
        slope_x, slope_y = derivative(eta, self.grid, 0), derivative(eta, self.grid, 1)
        divergence = derivative(u[..., :1], self.grid, 0) + derivative(u[..., 1:2], self.grid, 1)
        linear = jnp.concatenate(
            [
                self.coriolis * u[..., 1:2] - self.gravity * slope_x,
                -self.coriolis * u[..., :1] - self.gravity * slope_y,
                -self.depth * divergence,
            ],
            -1,
        )
        return rate + self.advection(u) - linear - self.viscosity * laplacian(u, self.grid)

    def nonlinear(self, t, u_hat, args=None):
        return super().nonlinear(t, u_hat, args) + to_spectral(self.source(t), self.grid)


@pytest.mark.slow
def test_a_manufactured_flow_with_advection_is_reproduced_at_fourth_order():
    system = _Driven(GRID, 2.0, 1.5, 1.0, 0.02)
    u0, end = system.exact(0.0), system.exact(1.0)
    assert all(np.abs(system.advection(u0)[..., i]).max() > 0.1 for i in range(3)), "no nonlinear term may vanish"
    errors = [np.abs(advance(system, u0, 1.0 / n, n) - end).max() for n in (20, 40)]
    assert errors[1] < 1e-5 and abs(np.log2(errors[0] / errors[1]) - 4) < 0.3
