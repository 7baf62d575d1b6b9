"""Grids: points, waves, and which waves survive a product."""

import jax
import numpy as np
import pytest

from physics import Grid


def test_points_start_at_zero_and_leave_out_the_periodic_image():
    grid = Grid((4, 8), (2.0, 4.0))
    x, y = grid.coordinates()
    assert np.array_equal(x, [0.0, 0.5, 1.0, 1.5]) and y[-1] == 3.5
    assert grid.spacing == (0.5, 0.5) and grid.size == 32 and grid.volume == 8.0 and grid.ndim == 2
    assert grid.spectral_shape == (4, 5)


@pytest.mark.parametrize("size", [8, 9])
def test_wavenumbers_are_those_of_the_real_transform(size):
    grid = Grid((size, size), (2 * np.pi, np.pi))
    kx, ky = grid.wavenumbers
    assert np.allclose(kx[:, 0], np.fft.fftfreq(size, 1 / size))
    assert np.allclose(ky[0], 2 * np.fft.rfftfreq(size, 1 / size))


def test_nyquist_is_left_out_of_odd_derivatives_on_even_axes_only():
    even, odd = Grid((8,), (1.0,)), Grid((9,), (1.0,))
    assert even.odd_wavenumbers[0][-1] == 0 and even.wavenumbers[0][-1] != 0
    assert np.array_equal(odd.odd_wavenumbers[0], odd.wavenumbers[0])


@pytest.mark.parametrize("size", [12, 15, 16])
def test_products_of_kept_waves_fold_back_onto_no_kept_wave(size):
    grid = Grid((size,), (1.0,))
    kept = grid.mode_numbers[0][grid.dealias_mask]
    both_signs = np.unique(np.concatenate([kept, -kept]))
    sums = np.add.outer(both_signs, both_signs).ravel()
    folded = (sums + size // 2) % size - size // 2
    aliased = folded[folded != sums]
    assert not set(np.abs(aliased)) & set(kept)
    assert kept.max() + 1 >= size / 3


@pytest.mark.parametrize("size", [8, 9])
def test_parseval_weights_make_the_mean_square(size):
    grid = Grid((6, size), (1.0, 1.0))
    field = np.random.default_rng(0).normal(size=grid.shape)
    energy = (grid.parseval_weights * np.abs(np.fft.rfftn(field)) ** 2).sum() / grid.size**2
    assert np.isclose(energy, np.mean(field**2))


def test_equal_grids_are_one_static_argument():
    assert Grid((8,), (1.0,)) == Grid((8,), (1.0,)) and len({Grid((8,), (1.0,)), Grid((8,), (1.0,))}) == 1
    assert Grid((8,), (1.0,)) != Grid((8,), (2.0,))
    assert Grid((8,), (1.0,)).refined(2) == Grid((16,), (1.0,))


@pytest.mark.parametrize(
    ("shape", "extent", "message"),
    [
        ((3,), (1.0,), r"\(3,\) is too small"),
        ((8,), (-1.0,), "must be positive"),
        ((8,), (float("nan"),), "must be positive"),
        ((8, 8), (1.0,), "one length per axis"),
    ],
)
def test_impossible_grids_are_refused_in_one_sentence(shape, extent, message):
    with pytest.raises(ValueError, match=message):
        Grid(shape, extent)


def test_one_grid_serves_single_and_double_precision_in_one_process():
    grid = Grid((8, 8), (1.0, 1.0))

    @jax.jit
    def compiled(a):
        return a * grid.wavenumber_squared * grid.wavenumbers[0]

    single = compiled(0.5)
    with jax.enable_x64(True):
        double = jax.jit(lambda a: a * grid.wavenumber_squared * grid.wavenumbers[0])(0.5)
    assert single.dtype == np.float32 and double.dtype == np.float64
    assert np.array_equal(double, 0.5 * grid.wavenumber_squared * grid.wavenumbers[0])
