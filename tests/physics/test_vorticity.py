"""Plane vorticity: advection by four transforms against the textbook form, and the transforms of a whole solve."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physics import BarotropicVorticity, GaussianField, Grid, NavierStokes2D, advance
from physics.spectral import dealias, derivative, to_physical, to_spectral
from physics.vorticity import advection, velocity


@pytest.mark.float64
@pytest.mark.parametrize("shape", [(16, 12), (15, 21)])
def test_advection_of_products_is_the_textbook_form_to_round_off_on_even_and_odd_grids(shape, key):
    grid = Grid(shape, (2 * np.pi, 4.0))
    w = GaussianField(grid, lambda k: np.exp(-((k / 4) ** 2)) * (k > 0), std=1.0).sample(key)

    @jax.jit
    def both(w):
        kept = dealias(w, grid)
        u, v = jnp.split(velocity(kept, grid), 2, axis=-1)
        textbook = dealias(-u * derivative(kept, grid, 0) - v * derivative(kept, grid, 1), grid)
        return textbook, to_physical(advection(to_spectral(w, grid)[0], grid)[None], grid)

    textbook, of_products = both(w)
    assert np.abs(textbook).max() > 0.1
    assert np.allclose(of_products, textbook, atol=1e-13)


@pytest.mark.parametrize("make", [NavierStokes2D, BarotropicVorticity], ids=lambda make: make.name)
def test_a_fourth_order_step_takes_sixteen_real_transforms_and_the_solve_one_pair_more(make):
    # Per stage one complex inverse transform (two real ones) and one forward transform of two real fields. Transforms
    # of whole solves are counted in what the compiler leaves: work done twice would be there twice.
    grid = Grid((16, 32), (2 * np.pi, 2 * np.pi))
    system = make(grid)
    text = jax.jit(lambda w: advance(system, w, 0.01, 10)).lower(jnp.zeros((16, 32, 1))).compile().as_text()
    found = re.findall(r"= (\w+)\[([\d,]+)\]\S* fft\(.*fft_type=(\w+)", text)
    size = {"FFT": 16 * 32, "IFFT": 16 * 32, "RFFT": 16 * 17, "IRFFT": 16 * 32}
    real = {"FFT": 2, "IFFT": 2, "RFFT": 1, "IRFFT": 1}
    counts = dict.fromkeys(size, 0)
    for _, dimensions, kind in found:
        counts[kind] += real[kind] * np.prod([int(n) for n in dimensions.split(",")]) // size[kind]
    assert counts == {"FFT": 0, "IFFT": 4 * 2, "RFFT": 4 * 2 + 1, "IRFFT": 1}
