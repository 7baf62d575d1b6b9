"""The beta plane: Rossby waves and a manufactured flow with advection."""

import jax.numpy as jnp
import numpy as np
import pytest

from physics import BarotropicVorticity, Grid, advance
from physics.spectral import derivative, to_spectral

pytestmark = pytest.mark.float64
GRID = Grid((24, 24), (2 * np.pi, 2 * np.pi))


@pytest.mark.parametrize(("k", "l"), [(1, 0), (2, 3), (3, -4)])
def test_a_rossby_wave_of_any_size_travels_west_at_its_dispersion_relation(k, l):  # noqa: E741
    # Rossby, 1939; a single plane wave is an exact solution of the nonlinear equation.
    system = BarotropicVorticity(GRID, beta=3.0, viscosity=0.01, drag=0.05)
    x, y = GRID.mesh()
    time, omega = 2.0, -3.0 * k / (k**2 + l**2)
    assert np.isclose(system.rossby_frequency(k, l), omega)
    damped = np.exp(-(0.01 * (k**2 + l**2) + 0.05) * time)
    exact = 2.0 * damped * np.cos(k * x + l * y - omega * time)[..., None]
    assert np.allclose(advance(system, 2.0 * np.cos(k * x + l * y)[..., None], 0.1, 20), exact, atol=1e-12)


def test_rossby_waves_of_one_wavelength_pass_through_each_other():
    # Waves of equal |k| share w = |k|^2 psi, so that they do not advect each other's vorticity.
    system = BarotropicVorticity(GRID, beta=2.0, viscosity=0.0)
    x, y = GRID.mesh()

    def waves(t):
        first, second = 2.0 * 3 / 25, 2.0 * 4 / 25
        return (np.cos(3 * x + 4 * y + first * t) + 0.5 * np.sin(4 * x - 3 * y + second * t))[..., None]

    assert np.allclose(advance(system, waves(0.0), 0.1, 30), waves(3.0), atol=1e-12)


class _Driven(BarotropicVorticity):
    """With the source that makes two waves of unequal length exact, each at its own frequency."""

    def exact(self, t):
        x, y = self.grid.mesh()
        return (jnp.cos(x + 2 * y - t) + 0.8 * jnp.sin(2 * x - y + 2 * t) + 0.5 * jnp.cos(3 * y + t))[..., None]

    def advection(self, t):
        # psi by hand: |k|^2 is 5, 5 and 9.
        x, y = self.grid.mesh()
        psi = jnp.cos(x + 2 * y - t) / 5 + 0.8 * jnp.sin(2 * x - y + 2 * t) / 5 + 0.5 * jnp.cos(3 * y + t) / 9
        psi, w = psi[..., None], self.exact(t)
        u, v = derivative(psi, self.grid, 1), -derivative(psi, self.grid, 0)
        return u * derivative(w, self.grid, 0) + v * derivative(w, self.grid, 1), v

    def nonlinear(self, t, u_hat, args=None):
        x, y = self.grid.mesh()
        rate = jnp.sin(x + 2 * y - t) + 1.6 * jnp.cos(2 * x - y + 2 * t) - 0.5 * jnp.sin(3 * y + t)
        advected, v = self.advection(t)
        damping = sum(-self.viscosity * derivative(self.exact(t), self.grid, axis, 2) for axis in (0, 1))
        source = rate[..., None] + advected + self.beta * v + damping + self.drag * self.exact(t)
        return super().nonlinear(t, u_hat, args) + to_spectral(source, self.grid)


@pytest.mark.slow
def test_a_manufactured_flow_with_advection_is_reproduced_at_fourth_order():
    system = _Driven(GRID, 3.0, 0.05, 0.1)
    assert np.abs(system.advection(0.0)[0]).max() > 0.3, "the nonlinear term must not vanish"
    errors = [np.abs(advance(system, system.exact(0.0), 1.0 / n, n) - system.exact(1.0)).max() for n in (10, 20)]
    assert errors[1] < 1e-5 and abs(np.log2(errors[0] / errors[1]) - 4) < 0.3
