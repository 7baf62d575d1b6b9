"""The smoke plume: internal waves and elevator modes, its drag, a manufactured flow, and that smoke rises."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physics import Grid, SmokePlume, advance
from physics.spectral import dealias, derivative, gradient, laplacian, to_spectral

GRID = Grid((24, 16), (2 * np.pi, 2 * np.pi))
EMPTY = {"source": 0.0, "resistance": 0.0, "absorption": 0.0}


@pytest.mark.float64
def test_internal_waves_travel_and_elevator_modes_grow_at_their_analytic_rates():
    # One plane wave solves the nonlinear equations: with kappa = nu, phase f = k x + l y, K^2 = k^2 + l^2 and N^2 = B
    # Gamma, stable air oscillates with omega = N k / K (Vallis, 2017, chapter 7), unstable air grows with sigma =
    # sqrt(-N^2) k / K (Batchelor and Nitsche, 1991, J. Fluid Mech. 227).
    x, y = GRID.mesh()
    (k, size), nu, lift, time = (2, 13), 0.02, 1.5, 1.0
    phase, rate = k * x + 3 * y, np.sqrt(1.5 * 2.0) * 2 / np.sqrt(13)
    damping = np.exp(-nu * size * time)

    def wave(t):
        return np.stack([-lift * k / rate * np.cos(phase - rate * t), np.cos(phase - rate * t)], -1)

    stable = SmokePlume(GRID, nu, nu, lift, 2.0, **EMPTY)
    assert np.allclose(advance(stable, wave(0.0), 0.1, 10), damping * wave(time), atol=1e-11)
    mode = np.stack([-lift * k / rate * np.sin(phase), np.cos(phase)], -1)
    unstable = SmokePlume(GRID, nu, nu, lift, -2.0, **EMPTY)
    assert np.allclose(advance(unstable, mode, 0.1, 10), damping * np.exp(rate * time) * mode, atol=1e-11)
    assert damping * np.exp(rate * time) > 1.5


class _Driven(SmokePlume):
    """With the source that makes `exact` a solution: its rate less the equations, taken in physical space."""

    def exact(self, t):
        x, y = self.grid.mesh()
        w = jnp.cos(t) * jnp.cos(2 * x + y) + 0.7 * jnp.sin(x - t) * jnp.cos(y)
        return jnp.stack([w, 0.5 + jnp.sin(x + t) * jnp.sin(y) + 0.3 * jnp.cos(2 * y - t)], -1)

    def advection(self, u):
        return jnp.einsum("xycd,xyd->xyc", gradient(u, self.grid), self.velocity(u))

    def equations(self, u):
        layer, shaft, mouth = self._shapes(u.dtype)
        v = self.velocity(u)
        force = (self.absorption * layer + self.resistance * shaft)[..., None] * v
        drag = derivative(force[..., 1:], self.grid, 0) - derivative(force[..., :1], self.grid, 1)
        spread = laplacian(u, self.grid) * jnp.stack([self.viscosity, self.diffusivity])
        lift = self.buoyancy * derivative(u[..., 1:], self.grid, 0) - drag
        gain = self.source * mouth[..., None] - self.absorption * layer[..., None] * u[..., 1:]
        rise = -self.stratification * v[..., 1:]
        return spread - self.advection(u) + jnp.concatenate([lift, gain + rise], -1)

    def nonlinear(self, t, u_hat, args=None):
        u, rate = jax.jvp(self.exact, (t,), (jnp.ones_like(t),))
        # The chimney's outline has waves that the 2/3 rule cuts off on either side.
        source = dealias(rate - self.equations(u), self.grid)
        return super().nonlinear(t, u_hat, args) + to_spectral(source, self.grid)


@pytest.mark.slow
@pytest.mark.float64
def test_a_manufactured_plume_with_advection_drag_and_source_is_reproduced_at_fourth_order():
    system = _Driven(GRID, 0.05, 0.03, 1.5, 0.8, 1.0, 4.0, 2.0)
    u0, end = system.exact(0.0), system.exact(1.0)
    advection = system.advection(u0)
    assert all(np.abs(advection[..., i]).max() > 0.2 for i in range(2)), "neither nonlinear term may vanish"
    assert np.allclose(dealias(advection, GRID), advection, atol=1e-12)
    errors = [np.abs(advance(system, u0, 1.0 / n, n) - end).max() for n in (20, 40)]
    assert errors[1] < 1e-5 and abs(np.log2(errors[0] / errors[1]) - 4) < 0.3


@pytest.mark.float64
def test_chimney_and_absorbing_layer_take_energy_where_they_stand_and_nowhere_else(key):
    system = SmokePlume(GRID, resistance=20.0, absorption=3.0)
    u = dealias(jax.jit(system.sample_initial)(key), GRID)
    layer, shaft, _ = system._shapes(float)
    taken = np.mean((3.0 * layer + 20.0 * shaft) * np.sum(system.velocity(u) ** 2, -1))
    assert np.isclose(jax.jit(system.budgets)(u)["energy"]["drag"], -taken, rtol=1e-12) and taken > 1e-4
    assert shaft[12, 1] > 0.9 and shaft[12, 8] < 1e-6 and shaft[4, 1] < 1e-6


@pytest.mark.slow
def test_smoke_rises_from_the_chimney_and_is_taken_away_at_the_top(key):
    system = SmokePlume(Grid((32, 48), (4.0, 6.0)), 0.01, 0.01)
    early, late = (advance(system, system.sample_initial(key), 0.02, steps) for steps in (100, 600))
    _, y = system.grid.mesh()
    heights = [np.sum(u[..., 1] * y) / np.sum(u[..., 1]) for u in (early, late)]
    assert 1.2 < heights[0] < 2.5 and heights[1] > heights[0] + 1
    assert np.abs(late[:, 0, 1]).max() < 0.2 * late[..., 1].max()
    assert np.isfinite(late).all()
