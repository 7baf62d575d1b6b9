"""What waves, reactions and one-dimensional systems state of themselves: budgets, invariants, symmetries, gradients.

Flows have their own page, test_flows.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physics import (
    Advection,
    AllenCahn,
    Burgers,
    Burgers2D,
    CahnHilliard,
    FisherKPP,
    GrayScott,
    Grid,
    Heat,
    KortewegDeVries,
    KuramotoSivashinsky,
    NonlinearSchroedinger,
    SeismicWave,
    SwiftHohenberg,
    Wave,
    advance,
    solve,
)
from physics.spectral import to_physical, to_spectral

LINE, PLANE, BOX = Grid((16,), (6.0,)), Grid((12, 16), (5.0, 6.0)), Grid((8, 9, 12), (5.0, 6.0, 7.0))
# One small example per system; those in `FAST` stand for their family in the fast tier.
EXAMPLES = [
    Advection(LINE, 0.7),
    Heat(LINE, 0.3),
    AllenCahn(LINE, 0.6),
    CahnHilliard(LINE, 0.6),
    FisherKPP(LINE, 0.4, 1.2),
    GrayScott(LINE, 0.3, 0.2, 0.2, 0.1),
    SwiftHohenberg(LINE, 0.3, 0.5),
    Burgers(LINE, 0.1),
    KortewegDeVries(LINE),
    KuramotoSivashinsky(LINE),
    Wave(LINE, 1.3),
    NonlinearSchroedinger(LINE, 0.7),
    SeismicWave(PLANE, 1.0 + 0.5 * np.cos(2 * np.pi * np.arange(12.0) / 12)[:, None] ** 2 * np.ones(16)),
    Burgers2D(PLANE, 0.1),
]
FAST = ("heat", "fisher_kpp", "nonlinear_schroedinger")
WALLS = [
    Heat(Grid((10, 12), (5.0, 6.0), ("dirichlet", "neumann")), 0.3),
    AllenCahn(Grid((10, 12), (5.0, 6.0), ("periodic", "dirichlet")), 0.6),
    CahnHilliard(Grid((12,), (6.0,), "neumann"), 0.6),
    FisherKPP(Grid((12,), (6.0,), "neumann"), 0.4, 1.2),
    GrayScott(Grid((10, 12), (5.0, 6.0), ("neumann", "periodic")), 0.3, 0.2, 0.2, 0.1),
    SwiftHohenberg(Grid((12,), (6.0,), "neumann"), 0.3, 0.5),
    Wave(Grid((10, 12), (5.0, 6.0), ("dirichlet", "neumann")), 1.3),
    NonlinearSchroedinger(Grid((10, 12), (5.0, 6.0), ("dirichlet", "periodic")), 0.7),
]
ISOTROPIC = [Advection, Heat, AllenCahn, CahnHilliard, FisherKPP, GrayScott, SwiftHohenberg, Wave]
ISOTROPIC.append(NonlinearSchroedinger)


def _named(system):
    return "-".join([system.name, str(system.grid.ndim), *sorted({*system.grid.boundary} - {"periodic"})])


def _field(system):
    """Noise of order 1 in every channel: all waves but Nyquist's, so some beyond those that enter a product."""
    noise = np.random.default_rng(3).normal(size=system.field_shape)
    return 0.5 + 0.3 * to_physical(to_spectral(noise, system.grid) * system.grid.kept_waves(1), system.grid)


def _quick(system):
    """Lines and walls; of the planes one per kind of linear part."""
    return (
        system.grid.ndim == 1 or not system.grid.periodic or system.name in ("gray_scott", "seismic_wave", "burgers_2d")
    )


def _tiers(systems, fast):
    return [pytest.param(s, marks=[] if fast(s) else pytest.mark.slow, id=_named(s)) for s in systems]


@pytest.mark.float64
@pytest.mark.parametrize(
    "system",
    _tiers([*EXAMPLES, *WALLS, *(kind(grid) for kind in ISOTROPIC for grid in (PLANE, BOX))], _quick),
)
def test_budgets_close_invariants_rest_and_symmetries_commute_on_any_field(system):
    u = _field(system)

    @jax.jit
    def laws(u):
        rate = system.vector_field(0.0, u)
        budgets = system.budgets(u)
        values = {name: budget.pop("value") for name, budget in budgets.items()}
        slopes = jax.jvp(lambda v: {name: system.budgets(v)[name]["value"] for name in values}, (u,), (rate,))[1]
        return rate, budgets, slopes, jax.jvp(system.invariants, (u,), (rate,))[1]

    rate, budgets, slopes, drifts = jax.tree.map(np.asarray, laws(u))
    assert budgets or drifts
    for name, terms in budgets.items():
        assert all(abs(term) > 1e-6 for term in terms.values()), name
        assert np.isclose(slopes[name], sum(terms.values()), rtol=1e-9), name
    tolerance = 1e-11 * max(1.0, np.abs(rate).max())
    for name, drift in drifts.items():
        assert abs(drift) < tolerance, name
    for axis in system.symmetries.shift_axes:
        assert np.allclose(laws(jnp.roll(u, 5, axis))[0], np.roll(rate, 5, axis), atol=tolerance)
    for mirror in system.symmetries.reflections:
        mirrored = laws(jnp.flip(u, mirror.axis) * np.asarray(mirror.signs))[0]
        assert np.allclose(mirrored, np.flip(rate, mirror.axis) * mirror.signs, atol=tolerance)


@pytest.mark.parametrize("system", _tiers(EXAMPLES, lambda s: s.name == "gray_scott"))
def test_the_recommended_step_is_accurate_on_initial_fields(system, key):
    points = (64,) if system.grid.ndim == 1 else (32,) * system.grid.ndim
    grid = Grid(points, system.grid.extent)
    finer = {"speed": 1.5 + np.cos(2 * np.pi * grid.mesh()[0] / 5) / 2} if system.name == "seismic_wave" else {}
    system = dataclasses.replace(system, grid=grid, **finer)
    u0 = system.sample_initial(key)
    assert u0.dtype == jnp.float32 and u0.shape == system.field_shape
    dt = system.recommended_dt
    end = advance(system, u0, dt, 16)
    assert end.dtype == jnp.float32 and np.abs(end - u0).max() > 1e-4
    assert np.abs(end - advance(system, u0, dt / 2, 32)).max() < 1e-3 * np.abs(end).max()


@pytest.mark.float64
@pytest.mark.parametrize("system", _tiers(EXAMPLES, lambda s: s.name in FAST))
def test_gradients_in_the_initial_field_and_every_parameter_match_finite_differences(system):
    u0 = _field(system)
    weights, direction = np.random.default_rng(5).normal(size=(2, *system.field_shape))
    parameters, structure = jax.tree.flatten(jax.tree.map(jnp.asarray, system))
    dt = min(system.recommended_dt, 0.02)

    @jax.jit
    @jax.value_and_grad
    def observed(arguments):
        parameters, u = arguments
        changed = jax.tree.unflatten(structure, parameters)
        return (weights * solve(changed, u, [2 * dt, 4 * dt], dt=dt) ** 2).sum()

    def slope(change):
        return (observed(change(1.0))[0] - observed(change(-1.0))[0]) / 2

    _, (of_parameters, of_field) = observed((parameters, u0))
    expected = slope(lambda sign: (parameters, u0 + 1e-5 * sign * direction)) / 1e-5
    assert np.isclose((of_field * direction).sum(), expected, rtol=1e-6)
    for i, (value, of_one) in enumerate(zip(parameters, of_parameters)):
        # One number, or a field of them in a direction of its own.
        way = np.cos(np.arange(value.size)).reshape(value.shape)
        step = 1e-4 * max(np.abs(value).max(), 1e-3)
        changed = [[*parameters[:i], value + sign * step * way, *parameters[i + 1 :]] for sign in (1.0, -1.0)]
        expected = slope(lambda sign, changed=changed: (changed[0 if sign > 0 else 1], u0)) / step
        total = (of_one * way).sum()
        assert np.isclose(total, expected, rtol=1e-5, atol=1e-9) and total != 0, i
