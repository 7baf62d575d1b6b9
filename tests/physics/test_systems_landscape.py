"""Landscapes: steady profiles under uplift, the divergence of creep, and where the water goes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import dawsn

from physics import Grid, Landscape, advance

pytestmark = pytest.mark.float64


def _strip(points):
    return Grid((4, points), (4 / points, 1.0), ("periodic", "dirichlet"))


def _steady(system, h):
    """The steady state by Newton's method."""
    newton = jax.jit(lambda h: (system.vector_field(0.0, h), jax.jacfwd(lambda v: system.vector_field(0.0, v))(h)))
    for _ in range(12):
        rate, slope = newton(h)
        h = h - jnp.linalg.solve(slope.reshape(h.size, h.size), rate.reshape(-1)).reshape(h.shape)
    assert np.abs(rate).max() < 1e-8
    return h


def _profile(slope, y):
    """Height of a ridge in the middle of 0 to 1 whose sides have this slope at a distance from the divide."""
    fine = np.linspace(0.0, 0.5, 20001)
    fallen = np.concatenate([[0.0], np.cumsum((slope(fine[1:]) + slope(fine[:-1])) / 2) * (fine[1] - fine[0])])
    return np.interp(np.abs(y - 0.5), fine, fallen[-1] - fallen)


@pytest.mark.slow
def test_a_ridge_under_creep_alone_takes_the_analytic_steady_profile_at_second_order():
    # Roering, Kirchner and Dietrich, 2001, J. Geophys. Res. 106: the soil flux at a distance x from the divide is U x,
    # so that D s / (1 - (s/S)^2) = U x.
    uplift, diffusivity, critical, errors = 2.0, 1.0, 0.8, []

    def slope(x):
        linear = diffusivity * critical**2
        return 2 * uplift * x * critical**2 / (linear + np.sqrt(linear**2 + (2 * uplift * x * critical) ** 2))

    assert 0.6 < slope(0.5) / critical < 0.8, "creep must be far from linear"
    for points in (16, 32):
        system = Landscape(_strip(points), uplift, 0.0, 0.5, diffusivity, critical)
        exact = _profile(slope, system.grid.mesh()[1])
        errors.append(np.abs(_steady(system, jnp.asarray(0.9 * exact)[..., None])[..., 0] - exact).max())
    assert errors[1] < 1e-3 and abs(np.log2(errors[0] / errors[1]) - 2) < 0.2


@pytest.mark.slow
def test_a_ridge_with_streams_takes_the_analytic_steady_profile_at_first_order():
    # The model of Bonetti et al., 2020, with m = 1 and a = x: D s' + K x s = U, whose solution is Dawson's integral.
    uplift, erodibility, errors = 1.0, 60.0, []

    def slope(x):
        return uplift * np.sqrt(2 / erodibility) * dawsn(x * np.sqrt(erodibility / 2))

    for points in (32, 64):
        system = Landscape(_strip(points), uplift, erodibility, 1.0, 1.0, 1e6)
        exact = _profile(slope, system.grid.mesh()[1])
        h = _steady(system, jnp.asarray(exact)[..., None])
        errors.append(np.abs(h[..., 0] - exact).max() / exact.max())
        x = np.abs(system.grid.mesh()[1] - 0.5) + 0.5 / points
        assert np.allclose(system.drainage_area(h), x, rtol=1e-10), "the drainage area is the distance from the divide"
    assert errors[1] < 0.05 and abs(np.log2(errors[0] / errors[1]) - 1) < 0.3


@pytest.mark.slow
def test_creep_converges_to_the_divergence_of_its_flux_in_two_dimensions():
    def height(x, y):
        return 0.2 * jnp.sin(np.pi * y) * (1 + 0.3 * jnp.cos(2 * np.pi * x))

    def flux(p):
        slope = jax.grad(lambda p: height(*p))(p)
        return slope / (1 - slope @ slope / 0.9**2)

    errors = []
    for points in (16, 32):
        grid = Grid((points, points), (1.0, 1.0), ("periodic", "dirichlet"))
        system = Landscape(grid, 0.0, 0.0, 0.5, 1.0, 0.9)
        places = jnp.stack([jnp.asarray(a) for a in grid.mesh()], -1).reshape(-1, 2)
        exact = jax.jit(jax.vmap(lambda p: jnp.trace(jax.jacfwd(flux)(p))))(places).reshape(grid.shape)
        found = system.vector_field(0.0, height(*grid.mesh())[..., None])[..., 0]
        # A quarter of the range on either side: the cells at walls are of lower order by themselves.
        inside = slice(points // 4, -points // 4)
        errors.append(np.abs(found - exact)[:, inside].max() / np.abs(exact).max())
    assert errors[1] < 0.02 and abs(np.log2(errors[0] / errors[1]) - 2) < 0.3


def test_all_water_reaches_the_walls_and_none_flows_uphill(key):
    system = Landscape(Grid((12, 16), (0.75, 1.0), ("periodic", "dirichlet")))
    x, y = system.grid.mesh()
    h = jnp.asarray(y * (1 - y) * (1 + 0.3 * np.cos(2 * np.pi * x / 0.75) * np.cos(np.pi * y)))
    area = system.drainage_area(h[..., None])
    # Through the wall goes what leaves a cell beside it over that face; all faces are equally wide.
    down = [jnp.maximum(drop, 0) for drop in system._drops(h)]
    through = system.grid.spacing[0] * area
    at_walls = [through[:, edge] * down[side][:, edge] / sum(down)[:, edge] for side, edge in ((2, 0), (3, -1))]
    assert np.isclose(sum(float(part.sum()) for part in at_walls), 0.75, rtol=1e-12)
    summit = np.unravel_index(np.argmax(np.asarray(h)), h.shape)
    assert np.isclose(area[summit], area.min())


@pytest.mark.slow
def test_valleys_cut_into_a_range_that_erodes_fast_and_not_into_one_that_creeps(key):
    # Bonetti et al., 2020: the unchannelised ridge is unstable above K L^(3/2) / D near 40.
    relief = []
    for erodibility in (10.0, 100.0):
        system = Landscape(Grid((24, 24), (1.0, 1.0), ("periodic", "dirichlet")), erodibility=erodibility)
        h = advance(system, system.sample_initial(key), system.recommended_dt, 1000)
        relief.append(float(h[:, 12, 0].std() / h[:, 12, 0].mean()))
    assert relief[0] < 0.002 and relief[1] > 0.02
