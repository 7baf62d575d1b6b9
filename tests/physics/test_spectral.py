"""Transforms and derivatives against closed forms."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.signal import convolve

from physics import Grid
from physics.spectral import (
    dealias,
    derivative,
    gradient,
    inverse_laplacian,
    inverse_transform_pair,
    laplacian,
    polynomial,
    resample,
    to_physical,
    to_spectral,
)

pytestmark = pytest.mark.float64


def _two_waves(grid):
    x, y = grid.mesh()
    kx, ky = (2 * np.pi / length for length in grid.extent)
    fields = np.stack([np.sin(2 * kx * x) * np.cos(ky * y), np.cos(kx * x + 3 * ky * y)], -1)
    slopes_x = np.stack([2 * kx * np.cos(2 * kx * x) * np.cos(ky * y), -kx * np.sin(kx * x + 3 * ky * y)], -1)
    slopes_y = np.stack([-ky * np.sin(2 * kx * x) * np.sin(ky * y), -3 * ky * np.sin(kx * x + 3 * ky * y)], -1)
    minus_k2 = -np.array([4 * kx**2 + ky**2, kx**2 + 9 * ky**2])
    return fields, slopes_x, slopes_y, minus_k2


@pytest.mark.parametrize("shape", [(8, 12), (9, 11)])
def test_derivatives_of_resolved_waves_are_exact(shape):
    grid = Grid(shape, (2.0, 3.0))
    u, u_x, u_y, minus_k2 = _two_waves(grid)
    assert np.allclose(derivative(u, grid, 0), u_x, atol=1e-12)
    assert np.allclose(gradient(u, grid), np.stack([u_x, u_y], -1), atol=1e-12)
    assert np.allclose(laplacian(u, grid), minus_k2 * u, atol=1e-11)
    assert np.allclose(inverse_laplacian(laplacian(u, grid), grid), u, atol=1e-12)
    assert np.allclose(to_physical(to_spectral(u, grid), grid), u, atol=1e-14)


@pytest.mark.parametrize("shape", [(8,), (9,), (8, 12), (9, 11), (4, 5, 6)])
def test_one_complex_transform_returns_two_real_fields(shape):
    a, b = np.random.default_rng(0).normal(size=(2, *shape))
    grid = Grid(shape, (1.0,) * len(shape))
    pair = inverse_transform_pair(jnp.fft.rfftn(a), jnp.fft.rfftn(b), grid)
    assert np.allclose(pair[0], a, atol=1e-14) and np.allclose(pair[1], b, atol=1e-14)
    low = np.where(grid.mode_numbers[-1] < 2, 1, 0) * np.fft.rfftn(b)
    assert np.allclose(
        inverse_transform_pair(jnp.asarray(low[..., :2]), jnp.asarray(0 * low[..., :2]), grid)[0],
        np.fft.irfftn(low, s=shape, axes=range(len(shape))),
        atol=1e-14,
    )


def test_three_dimensional_derivatives_are_exact():
    grid = Grid((4, 6, 8), (1.0, 2.0, 3.0))
    z = grid.mesh()[2]
    u = np.sin(2 * np.pi * z / 3.0)[..., None]
    assert np.allclose(derivative(u, grid, 2, order=3), -((2 * np.pi / 3) ** 3) * np.cos(2 * np.pi * z / 3)[..., None])


def test_first_derivative_of_the_nyquist_wave_vanishes_and_its_second_does_not():
    grid = Grid((8,), (2 * np.pi,))
    zigzag = np.cos(4 * grid.coordinates()[0])[:, None]
    assert np.allclose(derivative(zigzag, grid), 0, atol=1e-12)
    assert np.allclose(derivative(zigzag, grid, order=2), -16 * zigzag)


@pytest.mark.parametrize("sizes", [(8, 12), (8, 9), (9, 16), (12, 8)])
def test_resampling_evaluates_the_same_trigonometric_polynomial(sizes):
    coarse, fine = Grid((sizes[0], 8), (1.0, 2.0)), Grid((sizes[1], 16), (1.0, 2.0))

    def polynomial(grid):
        x, y = grid.mesh()
        return (1 + np.cos(2 * np.pi * (3 * x + y) + 0.3) + np.sin(np.pi * y))[..., None]

    assert np.allclose(resample(polynomial(coarse), coarse, fine), polynomial(fine), atol=1e-12)


def test_dealiasing_keeps_waves_below_a_third_and_removes_the_others():
    grid = Grid((12,), (2 * np.pi,))
    (x,) = grid.coordinates()
    low, high = np.cos(3 * x)[:, None], np.cos(4 * x)[:, None]
    assert np.allclose(dealias(jnp.asarray(low + high), grid), low, atol=1e-13)


@pytest.mark.parametrize("degree", [2, 3])
@pytest.mark.parametrize("shape", [(16,), (15,), (9, 8)])
def test_products_are_exact_on_the_waves_that_are_kept(degree, shape):
    # The spectrum of a product is the convolution of spectra, which never folds back. All waves are excited.
    grid = Grid(shape, (2.0,) * len(shape))
    noise = np.random.default_rng(degree).normal(size=(*shape, 2))
    spectra = np.fft.fftn(noise, axes=range(len(shape))) / grid.size
    kept = [np.arange(-((size - 1) // (degree + 1)), (size - 1) // (degree + 1) + 1) for size in shape]
    a, b = (spectra[np.ix_(*kept, [channel])][..., 0] for channel in (0, 1))
    exact = a if degree == 2 else convolve(a, b)
    exact = convolve(exact, b)
    got = polynomial(lambda w: w[:1] * w[1:] ** (degree - 1), to_spectral(noise, grid), grid, degree)
    middle = tuple(slice((n - len(k)) // 2, (n + len(k)) // 2) for n, k in zip(exact.shape, kept))
    full = np.fft.fftn(to_physical(got, grid)[..., 0]) / grid.size
    assert np.allclose(full[np.ix_(*kept)], exact[middle], atol=1e-13) and np.abs(exact[middle]).max() > 0.01
    full[np.ix_(*kept)] = 0
    assert np.abs(full).max() < 1e-14


@pytest.mark.parametrize("size", [12, 16])
def test_cubes_need_the_half_rule_where_the_two_thirds_rule_folds_them_back(size):
    grid = Grid((size,), (2 * np.pi,))
    highest = np.flatnonzero(grid.dealias_mask).max()
    # cos^3 = (3 cos + cos 3) / 4, and the third harmonic folds back onto a wave that the 2/3 rule keeps.
    u = np.cos(highest * grid.coordinates()[0])[:, None]
    assert np.abs(dealias(u**3, grid) - 0.75 * u).max() > 0.2
    low = np.cos((size // 4 - 1) * grid.coordinates()[0])[:, None]
    cube = to_physical(polynomial(lambda v: v**3, to_spectral(low, grid), grid, 3), grid)
    assert np.allclose(cube, 0.75 * low, atol=1e-13)


def test_an_axis_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="axis 1 is not one of"):
        derivative(np.zeros((8, 1)), Grid((8,), (1.0,)), axis=1)
