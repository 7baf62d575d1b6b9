"""Gaussian fields against dense linear algebra."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physics import BandLimitedField, GaussianField, Grid, RandomBumps

GRID = Grid((12, 8), (2.0, 1.0))


def _spectrum(k):
    return np.exp(-((k / 8.0) ** 2)) + 0.01


def _dense_covariance(field):
    """C = F^-1 diag(S) F as a matrix, column by column."""
    grid = field.grid
    columns = np.fft.irfftn(
        field.spectrum * np.fft.rfftn(np.eye(grid.size).reshape(grid.size, *grid.shape), axes=(1, 2)),
        s=grid.shape,
        axes=(1, 2),
    )
    return columns.reshape(grid.size, grid.size)


def test_draws_have_the_prescribed_covariance(key):
    field = GaussianField(GRID, _spectrum, std=1.5)
    covariance = _dense_covariance(field)
    assert np.allclose(np.diag(covariance), 1.5**2) and np.isclose(field.variance, 1.5**2)
    draws = jax.vmap(field.sample)(jax.random.split(key, 20000)).reshape(20000, -1)
    measured = np.asarray(draws.T @ draws) / 20000
    # An entry's standard error is at most sqrt(2) var / sqrt(n) = 0.0225; 9216 entries stay below 5 of them.
    assert np.abs(measured - covariance).max() < 5 * np.sqrt(2 / 20000) * 1.5**2


def test_channels_are_independent(key):
    field = GaussianField(GRID, _spectrum, std=1.0, channels=2)
    draws = np.asarray(jax.vmap(field.sample)(jax.random.split(key, 4000))).reshape(-1, 2)
    assert draws.shape == (4000 * 96, 2)
    assert abs(np.mean(draws[:, 0] * draws[:, 1])) < 0.02


@pytest.mark.float64
def test_posterior_mean_and_draws_match_dense_linear_algebra(key):
    field = GaussianField(GRID, _spectrum, std=1.5)
    covariance = _dense_covariance(field)
    at = np.array([3, 40, 41, 77])
    x, y = (axis.ravel()[at] for axis in GRID.mesh())
    values, noise = np.array([[1.0], [-0.5], [0.2], [2.0]]), 0.3
    posterior = field.condition(np.stack([x, y], -1), values, noise)

    gain = covariance[:, at] @ np.linalg.inv(covariance[np.ix_(at, at)] + noise**2 * np.eye(4))
    mean = gain @ values
    assert np.allclose(posterior.mean().reshape(-1, 1), mean, atol=1e-10)

    draws = np.asarray(jax.jit(jax.vmap(posterior.sample))(jax.random.split(key, 20000))).reshape(20000, -1)
    posterior_covariance = covariance - gain @ covariance[at]
    spread = np.sqrt(np.diag(posterior_covariance))
    assert np.all(np.abs(draws.mean(0) - mean[:, 0]) < 5 * spread / np.sqrt(20000))
    measured = np.cov(draws.T)
    bound = 5 * np.sqrt(2 / 20000) * np.outer(spread, spread)
    assert np.all(np.abs(measured - posterior_covariance) < bound)


@pytest.mark.float64
@pytest.mark.parametrize("grid", [Grid((12, 8), (2.0, 1.0)), Grid((9, 7), (2.0, 1.0))])
def test_observations_between_grid_points_read_the_trigonometric_interpolant(grid):
    def wave(x, y):
        return 0.5 + np.cos(2 * np.pi * (x + 2 * y) + 0.4) + np.sin(3 * np.pi * x)

    points = np.array([[0.123, 0.456], [1.9, 0.01], [1.0, 0.5]])
    posterior = GaussianField(grid, _spectrum).condition(points, np.zeros((3, 1)), 0.1)
    observed = posterior.observe(jnp.asarray(wave(*grid.mesh())[..., None]))
    assert np.allclose(observed[:, 0], wave(*points.T), atol=1e-12)


def test_conditioning_batches_over_traced_points(key):
    field = GaussianField(Grid((16,), (1.0,)), lambda k: np.exp(-((k / 20) ** 2)), std=1.0)
    points = jax.random.uniform(key, (5, 3, 1))
    values = jnp.ones((5, 3, 1))
    together = jax.jit(jax.vmap(lambda p, v: field.condition(p, v, 0.1).mean()))(points, values)
    alone = field.condition(points[2], values[2], 0.1).mean()
    assert np.allclose(together[2], alone, atol=1e-5)


def test_band_limited_fields_hold_no_other_waves(key):
    grid = Grid((32,), (7.0,))
    u = BandLimitedField(grid, 4, std=2.0).sample(key)
    share = np.abs(np.fft.rfft(u[:, 0])) ** 2
    assert share[0] + share[5:].sum() < 1e-10 * share.sum()
    many = jax.vmap(BandLimitedField(grid, 4, std=2.0).sample)(jax.random.split(key, 2000))
    assert np.isclose(many.std(), 2.0, rtol=0.03)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"points": np.zeros((2, 1))}, r"points has shape \(2, 1\)"),
        ({"values": np.zeros((3, 1))}, r"values has shape \(3, 1\)"),
        ({"values": np.full((2, 1), np.nan)}, "must be finite"),
        ({"noise": 0.0}, "noise must be a positive"),
    ],
)
def test_observations_that_make_no_sense_are_refused(change, message):
    given = {"points": np.zeros((2, 2)), "values": np.zeros((2, 1)), "noise": 0.1} | change
    with pytest.raises(ValueError, match=message):
        GaussianField(GRID, _spectrum).condition(**given)


def test_spectra_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="finite and not negative"):
        GaussianField(GRID, lambda k: -k)
    with pytest.raises(ValueError, match="spectrum has shape"):
        GaussianField(GRID, np.ones(3))
    with pytest.raises(ValueError, match="highest_mode 4 is not resolved"):
        BandLimitedField(GRID, 4)


def test_random_bumps_are_periodic_gaussians_of_height_one(key):
    grid = Grid((48, 40), (3.0, 2.0))
    one = np.asarray(RandomBumps(grid, 1, width=0.15).sample(key))[..., 0]
    assert one.min() >= 0 and 0.95 < one.max() <= 1
    # A Gaussian of standard deviation w in two dimensions integrates to 2 pi w^2, up to w^2 / L^2.
    assert np.isclose(one.mean() * 6.0, 2 * np.pi * 0.15**2, rtol=0.06)
    draws = jax.jit(jax.vmap(RandomBumps(grid, 4).sample))(jax.random.split(key, 200))
    assert draws.shape == (200, 48, 40, 1) and draws.max() <= 1
    # Places are uniform: means over draws differ between points by their standard error alone.
    assert np.std(draws.mean(0)) < 1.5 * np.mean(np.std(draws, axis=0)) / np.sqrt(200)
    walled = Grid((256,), (3.0,), "neumann"), Grid((256,), (3.0,), "dirichlet")
    flat, empty = (np.asarray(RandomBumps(wall, 20, width=0.3).sample(key)) for wall in walled)
    assert np.isclose(flat[0], flat[1], rtol=1e-3) and np.isclose(3 * empty[0], empty[1], rtol=0.1)
    with pytest.raises(ValueError, match="is not resolved by a spacing"):
        RandomBumps(grid, 1, width=0.01)
