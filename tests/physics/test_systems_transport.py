"""Advection and heat against closed forms."""

import jax.numpy as jnp
import numpy as np
import pytest

from physics import Advection, Grid, Heat, advance

pytestmark = pytest.mark.float64


def test_a_field_is_advected_unchanged_along_any_direction():
    grid = Grid((16, 12), (2.0, 3.0))
    velocity = (0.7, -0.4)

    def exact(t):
        x, y = (z - c * t for z, c in zip(grid.mesh(), velocity))
        return (np.cos(2 * np.pi * x) * np.sin(4 * np.pi * y / 3) + np.exp(np.cos(np.pi * x)))[..., None]

    end = advance(Advection(grid, velocity), exact(0.0), 0.65, 2)
    assert np.abs(end - exact(1.3)).max() < 1e-6, "the exponential of a cosine has a spectrum of 1e-7 at Nyquist"
    assert np.abs(end - exact(0.0)).max() > 1
    assert np.allclose(advance(Advection(grid, jnp.asarray(velocity)), exact(0.0), 0.65, 2), end, atol=1e-12)
    one = advance(Advection(grid, 0.5), exact(0.0), 0.65, 2)
    assert np.allclose(one, advance(Advection(grid, (0.5, 0.5)), exact(0.0), 0.65, 2), atol=1e-12)


def test_waves_of_heat_decay_at_the_square_of_their_wavenumber():
    grid, kappa = Grid((8, 9, 10), (2 * np.pi,) * 3), 0.3
    x, y, z = grid.mesh()
    first, second = np.cos(x - 2 * y + 3 * z), np.sin(2 * z)
    end = advance(Heat(grid, kappa), (1.0 + first + second)[..., None], 0.5, 3)
    expected = 1.0 + np.exp(-kappa * 14 * 1.5) * first + np.exp(-kappa * 4 * 1.5) * second
    assert np.allclose(end[..., 0], expected, atol=1e-13)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Advection(Grid((8, 8), (1.0, 1.0)), (1.0, 2.0, 3.0)), "does not fit 2 axes"),
        (lambda: Advection(Grid((8,), (1.0,)), float("inf")), "velocity must be finite"),
        (lambda: Heat(Grid((8,), (1.0,)), -1.0), "diffusivity must not be negative"),
        (lambda: Heat(Grid((), ())), "needs a grid with 1, 2 or 3 axes"),
    ],
)
def test_impossible_systems_are_refused_in_one_sentence(make, message):
    with pytest.raises(ValueError, match=message):
        make()
