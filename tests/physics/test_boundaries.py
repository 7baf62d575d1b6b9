"""Dirichlet and Neumann axes: where the points lie, sine and cosine series, and what only periodic boxes have."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physics import Burgers, Grid, KortewegDeVries, KuramotoSivashinsky, NavierStokes2D, spectral
from physics.random_fields import BandLimitedField, GaussianField
from physics.spectral import derivative, laplacian, resample, to_physical, to_spectral
from physics.statistics import energy_spectrum


def test_points_off_periodic_axes_are_cell_centres_and_boundaries_are_cell_faces():
    grid = Grid((4, 4, 4), (2.0, 2.0, 2.0), ("periodic", "dirichlet", "neumann"))
    x, y, z = grid.coordinates()
    assert np.array_equal(x, [0.0, 0.5, 1.0, 1.5]) and np.array_equal(y, [0.25, 0.75, 1.25, 1.75])
    assert np.array_equal(y, z) and grid.spacing == (0.5, 0.5, 0.5)
    assert grid.spectral_shape == (3, 4, 4) and grid.periodic_axes == (0,) and not grid.periodic


def test_a_grid_is_periodic_unless_it_says_otherwise():
    plain = Grid((8, 8), (1.0, 2.0))
    assert plain == Grid((8, 8), (1.0, 2.0), "periodic") and plain.boundary == ("periodic", "periodic")
    assert plain.periodic and Grid((), ()).periodic
    walls = Grid((8, 8), (1.0, 2.0), "neumann")
    assert walls != plain and hash(walls) == hash(Grid((8, 8), (1.0, 2.0), ("neumann", "neumann")))
    assert walls.refined(2) == Grid((16, 16), (1.0, 2.0), "neumann")


@pytest.mark.parametrize("boundary", ["reflecting", ("periodic",), ("periodic", "open")])
def test_unknown_boundaries_are_refused_in_one_sentence(boundary):
    with pytest.raises(ValueError, match="does not fit the 2 axes: give one of 'periodic', 'dirichlet', 'neumann'"):
        Grid((8, 8), (1.0, 1.0), boundary)


@pytest.mark.float64
@pytest.mark.parametrize("largest_matrix", [256, 0], ids=["by a matrix", "by a fast transform"])
@pytest.mark.parametrize("size", [8, 9])
@pytest.mark.parametrize("kind", ["dirichlet", "neumann"])
def test_each_wave_of_a_series_has_one_coefficient_up_to_the_last(monkeypatch, largest_matrix, size, kind):
    monkeypatch.setattr(spectral, "_LARGEST_MATRIX", largest_matrix)
    grid = Grid((size,), (3.0,), kind)
    (x,) = grid.coordinates()
    function = np.sin if kind == "dirichlet" else np.cos
    for place, n in enumerate(grid.mode_numbers[0]):
        u = function(np.pi * n * x / 3.0)[:, None]
        u_hat = np.asarray(to_spectral(u, grid))[0]
        others = np.delete(u_hat, place)
        assert np.allclose(others, 0, atol=1e-12) and u_hat[place] > 1
        assert np.isclose(u_hat[place] ** 2, size * np.sum(u**2))
        assert np.allclose(to_physical(jnp.asarray(u_hat)[None], grid), u, atol=1e-13)
        assert np.allclose(laplacian(u, grid), -((np.pi * n / 3.0) ** 2) * u, atol=1e-10)
        assert np.allclose(derivative(u, grid, order=4), (np.pi * n / 3.0) ** 4 * u, atol=1e-8)


@pytest.mark.float64
@pytest.mark.parametrize("shape", [(8, 6), (9, 7)])
@pytest.mark.parametrize(
    "boundary", [("periodic", "dirichlet"), ("neumann", "periodic"), ("dirichlet", "neumann"), ("periodic", "periodic")]
)
def test_transforms_on_mixed_boundaries_keep_fields_and_their_energy(shape, boundary, key):
    grid = Grid(shape, (2.0, 3.0), boundary)
    u = jax.random.normal(key, (*shape, 2))
    u_hat = to_spectral(u, grid)
    assert u_hat.shape == (2, *grid.spectral_shape)
    assert np.allclose(to_physical(u_hat, grid), u, atol=1e-13)
    energy = (grid.parseval_weights * np.abs(u_hat) ** 2).sum() / grid.size**2
    assert np.isclose(energy, np.sum(u**2) / grid.size)


@pytest.mark.float64
def test_derivatives_along_the_periodic_axis_of_a_channel_are_exact():
    grid = Grid((8, 7), (2.0, 3.0), ("periodic", "neumann"))
    x, y = grid.mesh()
    u = (np.sin(2 * np.pi * x) * np.cos(2 * np.pi * y / 3))[..., None]
    slope = (2 * np.pi * np.cos(2 * np.pi * x) * np.cos(2 * np.pi * y / 3))[..., None]
    assert np.allclose(derivative(u, grid, 0), slope, atol=1e-12)
    with pytest.raises(ValueError, match="order 1 of a derivative along axis 1 is odd, but that axis is neumann"):
        derivative(u, grid, 1)


@pytest.mark.float64
@pytest.mark.parametrize("kind", ["dirichlet", "neumann"])
@pytest.mark.parametrize("sizes", [(8, 16), (9, 8), (16, 9)])
def test_resampling_evaluates_the_same_series(kind, sizes):
    grid, onto = (Grid((size, 4), (2.0, 1.0), (kind, "periodic")) for size in sizes)
    function = np.sin if kind == "dirichlet" else np.cos

    def field(grid):
        x, y = grid.mesh()
        return (function(np.pi * x) + function(2.5 * np.pi * x) * np.cos(2 * np.pi * y))[..., None]

    assert np.allclose(resample(field(grid), grid, onto), field(onto), atol=1e-12)
    with pytest.raises(ValueError, match="resample needs one box"):
        resample(field(grid), grid, Grid(onto.shape, onto.extent))


@pytest.mark.float64
def test_products_of_kept_cosines_fold_back_onto_no_kept_cosine():
    grid = Grid((12,), (np.pi,), "neumann")
    (x,) = grid.coordinates()
    kept = grid.mode_numbers[0][grid.dealias_mask]
    assert kept.max() == 7
    square = to_spectral((np.cos(7 * x) ** 2)[:, None], grid)[0] * grid.dealias_mask
    assert np.isclose(square[0], 6) and np.allclose(square[1:], 0, atol=1e-12)


@pytest.mark.float64
@pytest.mark.parametrize("kind", ["dirichlet", "neumann"])
def test_random_fields_off_periodic_grids_have_the_stated_mean_variance(kind, key):
    grid = Grid((16,), (1.0,), kind)
    field = GaussianField(grid, lambda k: np.exp(-((k / 10) ** 2)), std=2.0)
    # The exact covariance of a linear map of white noise, W diag(S) W^T.
    waves = np.asarray(jax.vmap(lambda e: spectral.inverse_transform(e[None], grid)[0])(jnp.eye(16))).T
    covariance = waves @ np.diag(np.asarray(field.spectrum) * 16) @ waves.T
    assert np.isclose(np.trace(covariance) / 16, 4.0) and np.isclose(field.variance, 4.0)
    draws = jax.vmap(BandLimitedField(grid, 4, std=2.0).sample)(jax.random.split(key, 2000))[..., 0]
    # The mean square of 2000 draws of 4 waves each: relative standard deviation sqrt(2 / 8000).
    assert abs(np.mean(draws**2) / 4.0 - 1) < 4 * np.sqrt(2 / 8000)


def test_gradients_and_batches_pass_through_a_sine_series(key):
    grid = Grid((8,), (1.0,), "dirichlet")
    u = jax.random.normal(key, (3, 8, 1))
    batch = jax.vmap(lambda v: to_spectral(v, grid))(u)
    assert np.allclose(batch[1], to_spectral(u[1], grid), atol=1e-6)
    gradient = jax.grad(lambda v: jnp.sum(to_spectral(v, grid) ** 2))(u[0])
    assert np.allclose(gradient, 2 * 8 * u[0], atol=1e-5)


@pytest.mark.parametrize("system", [Burgers, KortewegDeVries, KuramotoSivashinsky, NavierStokes2D])
def test_systems_of_periodic_boxes_refuse_walls_in_one_sentence(system):
    shape = (16, 16) if system is NavierStokes2D else (16,)
    with pytest.raises(ValueError, match=f"{system.__name__} has no form for the neumann boundary of axis 0"):
        system(Grid(shape, (1.0,) * len(shape), "neumann"))


def test_shells_of_waves_and_point_observations_are_for_periodic_grids():
    grid = Grid((8,), (1.0,), "neumann")
    with pytest.raises(ValueError, match="energy_spectrum needs a periodic grid"):
        energy_spectrum(np.zeros((8, 1)), grid)
    with pytest.raises(ValueError, match="condition needs a periodic grid"):
        BandLimitedField(grid, 2).field.condition(np.zeros((1, 1)), np.zeros((1, 1)), 0.1)
