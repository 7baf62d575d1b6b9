"""Karhunen-Loeve expansions: eigenfunctions of the covariance, the same ones on every grid."""

import jax
import numpy as np
import pytest

from physics import Grid, KarhunenLoeveField

pytestmark = pytest.mark.float64


def _covariance(grid, length):
    points = np.stack([x.ravel() for x in grid.mesh()], -1)
    return np.exp(-np.linalg.norm(points[:, None] - points[None], axis=-1) / length)


@pytest.mark.parametrize("shape", [(6, 6), (7, 5), (9,)])
def test_all_modes_together_are_the_covariance(shape):
    grid = Grid(shape, (1.0, 1.2)[: len(shape)], "neumann")
    modes = KarhunenLoeveField(grid, grid.size, 0.3, std=2.0).modes.reshape(grid.size, -1)
    assert np.allclose(modes.T @ modes, 4.0 * _covariance(grid, 0.3))
    assert np.isclose(KarhunenLoeveField(grid, grid.size, 0.3).captured, 1.0)


def test_the_first_modes_are_those_of_largest_variance_and_even_or_odd():
    grid = Grid((8, 8), (1.0, 1.0), "neumann")
    field = KarhunenLoeveField(grid, 10, 0.3)
    modes = field.modes.reshape(10, -1)
    spread = np.sum(modes**2, axis=1)
    assert np.allclose(spread, np.linalg.eigvalsh(_covariance(grid, 0.3))[::-1][:10])
    assert np.allclose(modes @ modes.T, np.diag(spread), atol=1e-12)
    for mode in field.modes:
        for axis in (0, 1):
            assert np.isclose(abs(np.sum(mode * np.flip(mode, axis))), np.sum(mode**2))


def test_one_key_draws_one_function_on_every_grid(key):
    grid = Grid((8, 8), (1.0, 1.0), "neumann")
    field = KarhunenLoeveField(grid, 12, 0.3)
    odd = Grid((24, 24), (1.0, 1.0), "neumann")
    # The centres of 8 cells are every third centre of 24.
    assert np.allclose(field.on(odd).sample(key)[1::3, 1::3], field.sample(key), atol=1e-12)
    assert field.on(grid).sample(key).shape == (8, 8, 1)


@pytest.mark.parametrize("size", [8, 12])
def test_coefficients_are_those_that_fields_were_expanded_from(size):
    nodes = Grid((8, 8), (1.0, 1.0), "neumann")
    field = KarhunenLoeveField(nodes, 12, 0.3, std=2.0).on(Grid((size, size), (1.0, 1.0), "neumann"))
    drawn = np.random.default_rng(0).normal(size=(5, 12)).astype(np.float32)
    fields = np.asarray(jax.vmap(field.expand)(drawn))
    np.testing.assert_allclose(field.coefficients(fields), drawn, atol=1e-5)
    with pytest.raises(ValueError, match=r"give \(n, "):
        field.coefficients(fields[:, 1:])


def test_draws_have_the_variance_of_the_terms():
    field = KarhunenLoeveField(Grid((6,), (1.0,), "neumann"), 3, 0.3)
    draws = jax.vmap(field.sample)(jax.random.split(jax.random.key(1), 4000))[..., 0]
    # Means of 4000 squares of normal numbers: relative standard deviation sqrt(2 / 4000).
    assert np.allclose(np.mean(draws**2, 0), np.sum(field.modes**2, 0), rtol=4.5 * np.sqrt(2 / 4000))
    assert np.isclose(np.mean(np.sum(field.modes**2, 0)), field.captured)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"terms": 65}, "terms must lie between 1 and the 64 nodes, not 65"),
        ({"correlation_length": 0.0}, "correlation_length must be positive"),
        ({"nodes": Grid((8, 8), (2.0, 1.0))}, "give the same box"),
        ({"nodes": Grid((128, 128), (1.0, 1.0))}, "nodes has 16384 points"),
    ],
)
def test_impossible_expansions_are_refused_in_one_sentence(settings, message):
    with pytest.raises(ValueError, match=message):
        KarhunenLoeveField(Grid((8, 8), (1.0, 1.0)), **settings)
