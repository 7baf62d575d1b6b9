"""Cosmological structure: Zel'dovich's plane wave before its particles meet, and the growth of small waves."""

import jax.numpy as jnp
import numpy as np
import pytest

from physics import CosmicWeb, Grid, advance

pytestmark = pytest.mark.float64


@pytest.mark.slow
@pytest.mark.parametrize(("k", "l"), [(1, 0), (1, 1)])
def test_a_plane_wave_follows_zeldovich_until_its_particles_meet(k, l):  # noqa: E741
    # Zel'dovich, 1970: d = d_0 exp(t) exactly in one dimension (Shandarin and Zeldovich, 1989, Rev. Mod. Phys. 61),
    # with 1 + delta = 1 / (1 - 0.15 exp(t) cos(k . q)) on the particles, which meet at exp(t) = 1 / 0.15.
    errors, peaks = [], []
    for points in (16, 32):
        system = CosmicWeb(Grid((points, points), (1.0, 1.0)))
        x, y = system.grid.mesh()
        start = system.growing(0.15 * np.cos(2 * np.pi * (k * x + l * y))[..., None])
        end = advance(system, start, np.log(4.0) / 10, 10)
        errors.append(np.abs(end - 4 * start).max() / np.abs(4 * start).max())
        delta = system.density(end)
        peaks.append(1 + delta.max())
        assert np.isclose(delta.mean(), 0, atol=1e-13)
    assert errors[1] < 0.007 and errors[0] / errors[1] > 1.8
    # The mesh smooths the peak of 1 / (1 - 0.6) over a few cells.
    assert peaks[0] < peaks[1] < 2.5 and peaks[1] > 2.2


def test_small_waves_grow_at_the_rate_that_the_clustering_share_gives():
    # Bond, Efstathiou and Silk, 1980: g (g + 1/2) = 3 f / 2.
    system = CosmicWeb(Grid((24, 24), (1.0, 1.0)), clustering=0.6)
    assert np.isclose(system.growth_rate * (system.growth_rate + 0.5), 0.9)
    x, y = system.grid.mesh()
    for (k, l), bound in (((1, 0), 1e-4), ((2, 1), 1e-3), ((4, 3), 1e-2)):  # noqa: E741
        wave = system.growing(1e-3 * np.cos(2 * np.pi * (k * x + l * y) + 0.3)[..., None])
        end = advance(system, wave, 0.1, 20)
        assert np.isclose(np.log((end * wave).sum() / (wave**2).sum()) / 2, system.growth_rate, rtol=bound)


@pytest.mark.slow
def test_streams_that_cross_keep_the_cosmic_energy_equation(key):
    system = CosmicWeb(Grid((16, 16), (1.0, 1.0)), contrast=0.5)
    u = advance(system, system.sample_initial(key), 0.1, 25)
    order = jnp.argsort(u[:, 0, 0] + system.grid.coordinates()[0])
    assert not np.array_equal(order, np.arange(16)), "no particles have passed each other"
    # Three-point rates of kinetic plus potential energy against minus the kinetic energy (Layzer, 1963; Irvine, 1961).
    h = 0.01
    values = [system.budgets(advance(system, u, h / 4, 4 * n))["energy"] for n in range(3)]
    rate = (values[2]["value"] - values[0]["value"]) / (2 * h)
    assert np.isclose(rate, values[1]["expansion"], rtol=1e-3)
    assert jnp.isfinite(u).all()
