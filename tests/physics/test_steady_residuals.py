"""Residual and re-solve error of steady fields, and what the systems refuse."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physics import Darcy, Grid, Helmholtz, KarhunenLoeveField, Poisson, corner_wells, resolve_error, solve_steady
from physics import steady_residual as residual_of

GRID = Grid((32, 32), (1.0, 1.0), "neumann")


@pytest.mark.float64
def test_residuals_lie_about_small_fields_and_the_resolve_error_does_not(key):
    # Log-permeability with 64 terms and correlation length 0.1, wells in two corners, no flux.
    keys, grid = jax.random.split(key, 3), GRID.refined(2)
    rock = KarhunenLoeveField(grid, nodes=GRID)
    system, other = (Darcy(grid, jnp.exp(rock.sample(k)), corner_wells(grid)) for k in keys[:2])
    p = solve_steady(system)
    noise = 1e-3 * jnp.sqrt(jnp.mean(p**2)) * jax.random.normal(keys[2], p.shape)
    fields = {"solution": p, "shrunk": 0.9 * p, "zero": 0 * p, "noisy": p + noise, "other": solve_steady(other)}
    residual = {name: float(jnp.mean(jnp.abs(residual_of(system, u)))) for name, u in fields.items()}
    error = {name: float(resolve_error(system, u)) for name, u in fields.items()}
    # By its residual the zero field beats noise of a thousandth, a shrunk one more so: by their distance from the
    # solution they lose.
    assert residual["solution"] < 1e-8 and error["solution"] < 1e-8
    assert residual["shrunk"] < residual["zero"] < min(residual["noisy"], residual["other"])
    assert np.isclose(residual["zero"], np.mean(np.abs(corner_wells(grid))))
    assert np.isclose(residual["shrunk"], 0.1 * residual["zero"], rtol=1e-6)
    assert error["noisy"] < 2e-3 and np.isclose(error["shrunk"], 0.1) and np.isclose(error["zero"], 1.0)
    assert error["other"] > 0.1


@pytest.mark.slow
@pytest.mark.float64
@pytest.mark.parametrize("measure", [lambda s, u: jnp.sum(residual_of(s, u) ** 2), resolve_error])
def test_residual_and_resolve_error_differentiate_in_field_and_permeability(measure, key):
    grid = Grid((6, 5), (1.0, 1.0), "dirichlet")
    a, u, along = jax.random.uniform(key, (3, 6, 5, 1), minval=0.5, maxval=1.5)

    def value(a, u):
        return measure(Darcy(grid, a, 1.0), u)

    by_a, by_u = jax.grad(value, (0, 1))(a, u)
    h = 1e-6
    assert np.isclose(jnp.sum(by_a * along), (value(a + h * along, u) - value(a - h * along, u)) / (2 * h), rtol=1e-6)
    assert np.isclose(jnp.sum(by_u * along), (value(a, u + h * along) - value(a, u - h * along)) / (2 * h), rtol=1e-6)
    batch = jax.vmap(value)(jnp.stack([a, 2 * a]), jnp.stack([u, u]))
    assert np.isclose(batch[1], value(2 * a, u))


def test_the_resolve_error_of_a_solution_has_a_finite_gradient():
    system = Poisson(Grid((8,), (1.0,), "dirichlet"), 1.0)
    u = solve_steady(system)
    assert np.all(np.isfinite(jax.grad(lambda u: resolve_error(system, u))(u)))


def _ones(*shape):
    return np.ones((*shape, 1))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Darcy(GRID, 0 * _ones(32, 32), 0.0), "permeability must be positive everywhere, but is 0 somewhere"),
        (lambda: Darcy(GRID, np.nan * _ones(32, 32), 0.0), "permeability holds NaN"),
        (lambda: Darcy(GRID, _ones(31, 32), 0.0), r"permeability has shape \(31, 32, 1\): give a field \(32, 32, 1\)"),
        (lambda: Darcy(GRID, _ones(32, 32), 0.0, preconditioner="lu"), "preconditioner 'lu' is unknown"),
        (lambda: Darcy(GRID, _ones(32, 32), 1.0), "add up to 1 where no axis is dirichlet: no steady field exists"),
        (lambda: Poisson(GRID, 0.0, ((0.0, 0.5), None)), "source and inflow at the boundary add up to 0.5"),
        (lambda: Poisson(GRID, np.ones((32, 32))), r"source has shape \(32, 32\): give a number or a field"),
        (lambda: Poisson(GRID, 0.0, (None,)), "boundary_values has 1 entries for 2 axes"),
        (lambda: Poisson(GRID, 0.0, (1.0, None)), "boundary_values of axis 0 is 1.0: give a pair"),
        (lambda: Poisson(GRID, 0.0, ((np.zeros(5), 0.0), None)), r"axis 0 has shape \(5,\): give a number or a field"),
        (lambda: Poisson(Grid((8,), (1.0,)), 0.0, ((0.0, 1.0),)), "must be None: that axis is periodic"),
        (lambda: Poisson(Grid((), ()), 0.0), "Poisson needs a grid with 1, 2 or 3 axes"),
        (
            lambda: Helmholtz(Grid((32, 32), (1.0, 1.0), "dirichlet"), 1.0, 4.5),
            "wavenumber 4.5 is not below the first resonance 4.441",
        ),
        (lambda: Helmholtz(GRID, 1.0, 0.5), "a box with no dirichlet axis resonates at 0"),
        (lambda: residual_of(Poisson(GRID, 0.0), np.zeros((32, 32))), r"u has shape \(32, 32\)"),
        (lambda: resolve_error(Poisson(GRID, 0.0), np.full((32, 32, 1), np.inf)), "u holds NaN or infinite values"),
        (lambda: solve_steady(Poisson(GRID, 0.0), tolerance=-1.0), "tolerance must lie between 0 and 1"),
        (
            lambda: solve_steady(
                Darcy(GRID, 1 + np.arange(1024.0).reshape(32, 32, 1), corner_wells(GRID)), max_iterations=2
            ),
            "was not solved within max_iterations = 2",
        ),
        (lambda: corner_wells(GRID, width=0.6), "wells of width 0.6 do not fit"),
    ],
)
def test_what_has_no_steady_field_is_refused_in_one_sentence(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_traced_solve_that_does_not_converge_is_nan():
    rough = jnp.exp(jax.random.normal(jax.random.key(0), (32, 32, 1)))
    solve = jax.jit(lambda a: solve_steady(Darcy(GRID, a, corner_wells(GRID)), max_iterations=2))
    assert np.all(np.isnan(solve(rough)))


def test_sources_that_cancel_what_flows_in_are_accepted():
    # u = x^2 / 2 has the slope 1 at x = 1 and the source -1.
    u = solve_steady(Poisson(GRID, -1.0, ((0.0, 1.0), None)))[..., 0]
    x = GRID.mesh()[0]
    assert np.allclose(u, x**2 / 2 - np.mean(x**2 / 2), atol=1e-5)
