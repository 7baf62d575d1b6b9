"""What every flow of the suite keeps: closed budgets, invariants, declared symmetries, gradients, clear refusals."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physics import (
    BarotropicVorticity,
    CosmicWeb,
    Grid,
    Landscape,
    NavierStokes3D,
    ShallowWater,
    SmokePlume,
    advance,
)
from physics.spectral import to_physical, to_spectral

TAU = 2 * np.pi
PLANE = Grid((16, 12), (TAU, TAU))
RANGE = Grid((8, 10), (1.0, 1.2), ("periodic", "dirichlet"))
FLOWS = [
    pytest.param(lambda: BarotropicVorticity(PLANE, 3.0, 0.05, 0.1), id="barotropic_vorticity"),
    pytest.param(lambda: NavierStokes3D(Grid((12, 8, 10), (TAU, 5.0, TAU)), 0.05), id="navier_stokes_3d"),
    pytest.param(lambda: ShallowWater(PLANE, 2.0, 1.5, 0.8, 0.05), id="shallow_water"),
    pytest.param(lambda: SmokePlume(PLANE, 0.05, 0.04, 1.5, 0.7, 3.0, 5.0, 2.0), id="smoke_plume"),
    pytest.param(lambda: CosmicWeb(Grid((8, 12), (1.0, 1.5)), 0.8), id="cosmic_web"),
    pytest.param(lambda: Landscape(RANGE, 1.0, 20.0, 0.5, 0.7, 0.15), id="landscape"),
]
EVERY_FLOW = pytest.mark.parametrize("make", FLOWS)
STEPS = 4
# Budgets that hold only up to what the 2/3 rule cuts off are tested on fields of which it cuts nothing off.
CUT_OFF = {"shallow_water"}


def _long_waves(u, grid):
    """The waves whose squares are kept by the 2/3 rule."""
    keep = np.ones(grid.spectral_shape, bool)
    for size, n in zip(grid.shape, grid.mode_numbers):
        keep = keep & (6 * np.abs(n) < size)
    return to_physical(to_spectral(u, grid) * keep, grid)


def _initial(system, *keys):
    draw = jax.jit(lambda key: system.sample_initial(key))
    return [draw(key) for key in keys]


def _carried(system, u):
    return advance(system, u, min(0.02, system.recommended_dt), STEPS)


def _mirrored(u, mirror, grid):
    """u at -x on periodic axes, at L - x on others: what carries points of the grid to points of the grid."""
    shift = 1 if grid.boundary[mirror.axis] == "periodic" else 0
    return jnp.roll(jnp.flip(u, mirror.axis), shift, mirror.axis) * jnp.asarray(mirror.signs)


@pytest.mark.float64
@EVERY_FLOW
def test_budgets_give_the_rate_of_change_along_the_vector_field(make, key):
    system = make()
    (u,) = _initial(system, key)
    u = _long_waves(u, system.grid) if system.name in CUT_OFF else u

    @jax.jit
    def values_and_slopes(u):
        def values(u):
            return {name: budget["value"] for name, budget in system.budgets(u).items()}

        return jax.jvp(values, (u,), (system.vector_field(0.0, u),))[1], system.budgets(u)

    slopes, budgets = values_and_slopes(u)
    assert budgets
    for name, budget in budgets.items():
        terms = [float(term) for part, term in budget.items() if part != "value"]
        assert max(map(abs, terms)) > 1e-4, f"{name} does not change, so its budget says nothing"
        assert np.isclose(slopes[name], sum(terms), rtol=1e-9, atol=1e-10 * max(map(abs, terms))), name


@pytest.mark.float64
@EVERY_FLOW
def test_invariants_stay_while_the_field_moves(make, key):
    system = make()
    (u,) = _initial(system, key)
    later = _carried(system, u)
    assert np.abs(later - u).max() > 1e-3 * np.abs(u).max()
    invariants = jax.jit(lambda u: system.invariants(u))
    before, after = invariants(u), invariants(later)
    for name in before:
        assert np.isclose(after[name], before[name], rtol=1e-10, atol=1e-10), name


@pytest.mark.float64
@EVERY_FLOW
def test_declared_symmetries_commute_with_the_flow(make, key):
    system = make()
    (u,) = _initial(system, key)
    end = _carried(system, u)
    size = np.abs(end).max()
    for axis in system.symmetries.shift_axes:
        assert np.allclose(_carried(system, jnp.roll(u, 5, axis)), jnp.roll(end, 5, axis), atol=1e-10 * size)
    for mirror in system.symmetries.reflections:
        got = _carried(system, _mirrored(u, mirror, system.grid))
        assert np.allclose(got, _mirrored(end, mirror, system.grid), atol=1e-10 * size)


def _check_gradients(system, key):
    names = [f.name for f in dataclasses.fields(system) if not f.metadata.get("static", False)]
    values = {name: jnp.asarray(getattr(system, name)) for name in names}
    u, direction = _initial(system, *jax.random.split(key))
    size = jnp.abs(u).max()

    @jax.jit
    @jax.value_and_grad
    def loss(arguments):
        u, values = arguments
        return ((_carried(dataclasses.replace(system, **values), u) / size) ** 3).mean()

    _, (in_field, in_values) = loss((u, values))
    h = 1e-5

    def slope(along):
        return (along(h) - along(-h)) / (2 * h)

    wanted = slope(lambda e: loss((u + e * direction, values))[0])
    assert np.isclose((in_field * direction).sum(), wanted, rtol=1e-6, atol=1e-9)
    for name in names:
        wanted = slope(lambda e, name=name: loss((u, values | {name: values[name] + e}))[0])
        assert np.abs(wanted) > 1e-9, f"{name} does not matter here, so its gradient says nothing"
        assert np.isclose(in_values[name], wanted, rtol=1e-5, atol=1e-9), name


@pytest.mark.float64
def test_gradients_of_a_flow_match_finite_differences_in_field_and_every_parameter(key):
    _check_gradients(BarotropicVorticity(Grid((8, 12), (TAU, TAU)), 3.0, 0.05, 0.1), key)


@pytest.mark.slow
@pytest.mark.float64
@EVERY_FLOW
def test_gradients_of_every_flow_match_finite_differences_in_field_and_every_parameter(make, key):
    _check_gradients(make(), key)


@EVERY_FLOW
def test_a_second_draw_differs_from_the_first_and_single_precision_stays_single(make, key):
    system = make()
    first, second = _initial(system, *jax.random.split(key))
    assert first.shape == system.field_shape and first.dtype == jnp.float32
    assert np.abs(first - second).max() > 1e-3 * np.abs(first).max()
    assert _carried(system, first).dtype == jnp.float32 and 0 < system.recommended_dt < 1


LINE = Grid((16,), (TAU,))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: BarotropicVorticity(LINE), "BarotropicVorticity needs 2 axes, not 1"),
        (lambda: ShallowWater(LINE), "ShallowWater needs 2 axes, not 1"),
        (lambda: ShallowWater(PLANE, depth=-1.0), "depth must not be negative"),
        (lambda: ShallowWater(PLANE, coriolis=np.nan), "coriolis must be finite"),
        (lambda: SmokePlume(LINE), "SmokePlume needs 2 axes, not 1"),
        (lambda: SmokePlume(PLANE, source=-1.0), "source must not be negative"),
        (lambda: SmokePlume(PLANE, stratification=np.inf), "stratification must be finite"),
        (lambda: CosmicWeb(LINE), "CosmicWeb needs 2 axes, not 1"),
        (lambda: CosmicWeb(PLANE, clustering=-0.5), "clustering must not be negative"),
        (lambda: Landscape(PLANE), "Landscape needs 2 axes with a base level along one"),
        (lambda: Landscape(RANGE, uplift=-1.0), "uplift must not be negative"),
        (lambda: BarotropicVorticity(RANGE), "BarotropicVorticity has no form for the dirichlet boundary of axis 1"),
        (lambda: NavierStokes3D(PLANE), "NavierStokes3D needs 3 axes, not 2"),
        (lambda: NavierStokes3D(Grid((8, 8, 8), (1.0, 1.0, 1.0)), -0.1), "viscosity must not be negative"),
        (lambda: BarotropicVorticity(PLANE, viscosity=-1.0), "viscosity must not be negative, but is -1.0"),
        (lambda: BarotropicVorticity(PLANE, beta=np.inf), "beta must be finite, not inf"),
        (lambda: BarotropicVorticity(PLANE, drag=-0.1), "drag must not be negative"),
    ],
)
def test_what_a_flow_cannot_be_is_refused_in_one_sentence(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()
