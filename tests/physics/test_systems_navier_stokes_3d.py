"""Three-dimensional flow against exact and manufactured solutions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physics import Grid, NavierStokes3D, advance
from physics.spectral import derivative, gradient, laplacian, to_spectral

pytestmark = pytest.mark.float64
TAU = 2 * np.pi
GRID = Grid((12, 12, 12), (TAU, TAU, TAU))


def _abc(x, y, z):
    """The flow of Arnold, Beltrami and Childress with A, B, C = 1, 0.7, 0.4: its own vorticity."""
    u = jnp.sin(z) + 0.4 * jnp.cos(y)
    v = 0.7 * jnp.sin(x) + jnp.cos(z)
    return jnp.stack([u, v, 0.4 * jnp.sin(y) + 0.7 * jnp.cos(x)], -1)


def test_a_beltrami_flow_carried_by_a_mean_flow_is_followed_exactly():
    # u = U + exp(-nu t) ABC(x - U t) solves the equations (Arnold, 1965; Childress, 1970; Galilean invariance): the
    # nonlinear term is U . grad ABC.
    system, mean, time = NavierStokes3D(GRID, 0.05), np.array([0.9, -0.5, 0.7]), 1.0
    x, y, z = GRID.mesh()
    u0 = _abc(x, y, z) + mean
    exact = mean + np.exp(-0.05 * time) * _abc(*(axis - speed * time for axis, speed in zip((x, y, z), mean)))
    assert np.abs(exact - u0).max() > 0.5
    errors = [np.abs(advance(system, u0, time / n, n) - exact).max() for n in (10, 20)]
    assert errors[1] < 1e-5 and abs(np.log2(errors[0] / errors[1]) - 4) < 0.3
    assert np.allclose(system.vorticity(_abc(x, y, z)), _abc(x, y, z), atol=1e-12)


class _Driven(NavierStokes3D):
    """With the source that makes u = cos(t) W exact, W the sum of Taylor-Green and Beltrami vortices."""

    def source(self, t):
        w = self.taylor_green() + _abc(*self.grid.mesh())
        nonlinear, _ = _advection_and_pressure_gradient(w)
        return -jnp.sin(t) * w + jnp.cos(t) ** 2 * nonlinear - self.viscosity * jnp.cos(t) * laplacian(w, self.grid)

    def nonlinear(self, t, u_hat, args=None):
        return super().nonlinear(t, u_hat, args) + to_spectral(self.source(t), self.grid)


def _advection_and_pressure_gradient(w):
    """(w . grad) w + grad p with lap p = -div of the first, and the gradient alone."""
    advection = jnp.einsum("...ij,...j->...i", gradient(w, GRID), w)
    k = np.stack(np.meshgrid(*(np.fft.fftfreq(12, 1 / 12),) * 3, indexing="ij"))
    k2 = np.where((k**2).sum(0) > 0, (k**2).sum(0), 1)
    spectrum = jnp.fft.fftn(jnp.moveaxis(advection, -1, 0), axes=(1, 2, 3))
    pressure = -jnp.fft.ifftn(k * (k * spectrum).sum(0) / k2, axes=(1, 2, 3)).real
    return advection + jnp.moveaxis(pressure, 0, -1), jnp.moveaxis(pressure, 0, -1)


@pytest.mark.slow
def test_a_manufactured_flow_whose_advection_is_no_gradient_is_reproduced_at_fourth_order():
    system = _Driven(GRID, 0.05)
    w = system.taylor_green() + _abc(*GRID.mesh())
    nonlinear, pressure = jax.jit(_advection_and_pressure_gradient)(w)
    assert np.abs(nonlinear).max() > 0.3 and np.abs(pressure).max() > 0.3, "neither part may vanish"
    errors = [np.abs(advance(system, w, 1.0 / n, n) - np.cos(1.0) * w).max() for n in (10, 20)]
    assert errors[1] < 1e-4 and abs(np.log2(errors[0] / errors[1]) - 4) < 0.3


def test_the_products_form_is_the_projected_rotational_form_and_stays_divergence_free(key):
    grid = Grid((12, 10, 9), (TAU, 5.0, 4.0))
    system = NavierStokes3D(grid, 0.0)

    @jax.jit
    def forms(u):
        mask = jnp.asarray(grid.dealias_mask, u.dtype)
        kept = jnp.moveaxis(jnp.fft.irfftn(mask * to_spectral(u, grid), s=grid.shape, axes=(1, 2, 3)), 0, -1)
        crossed = to_spectral(jnp.cross(kept, system.vorticity(kept)), grid) * mask
        rotational = system.project(jnp.moveaxis(jnp.fft.irfftn(crossed, s=grid.shape, axes=(1, 2, 3)), 0, -1))
        rate = system.vector_field(0.0, u)
        return rotational, rate, sum(derivative(rate[..., i : i + 1], grid, i) for i in range(3))

    rotational, rate, divergence = forms(system.sample_initial(key))
    assert np.abs(rate).max() > 0.1
    assert np.allclose(rate, rotational, atol=1e-12) and np.allclose(divergence, 0, atol=1e-12)
