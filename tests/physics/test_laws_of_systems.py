"""What every system of the suite states of itself: budgets, invariants, symmetries, steps, gradients, refusals."""

import dataclasses
import inspect
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import physics
from physics import (
    Advection,
    AllenCahn,
    BarotropicVorticity,
    Burgers,
    Burgers2D,
    CahnHilliard,
    CosmicWeb,
    DoubleWell,
    EnergyBalance,
    FisherKPP,
    GrayScott,
    Grid,
    Heat,
    KortewegDeVries,
    KuramotoSivashinsky,
    Landscape,
    NavierStokes2D,
    NavierStokes3D,
    NoisePath,
    NonlinearSchroedinger,
    OrnsteinUhlenbeck,
    Reflection,
    SeismicWave,
    ShallowWater,
    SmokePlume,
    StochasticNavierStokes2D,
    StochasticSystem,
    SwiftHohenberg,
    System,
    Wave,
    advance,
    solve,
)
from physics.spectral import to_physical, to_spectral

TAU = 2 * np.pi
LINE, PLANE, BOX = Grid((16,), (6.0,)), Grid((12, 16), (5.0, 6.0)), Grid((8, 9, 12), (5.0, 6.0, 7.0))
SQUARE, RANGE = Grid((16, 12), (TAU, TAU)), Grid((8, 10), (1.0, 1.2), ("periodic", "dirichlet"))
# One small example per system.
WAVES_AND_REACTIONS = [
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
FLOWS = [
    BarotropicVorticity(SQUARE, 3.0, 0.05, 0.1),
    NavierStokes2D(SQUARE, 0.05, 0.1, 0.7, 2),
    NavierStokes3D(Grid((12, 8, 10), (TAU, 5.0, TAU)), 0.05),
    ShallowWater(SQUARE, 2.0, 1.5, 0.8, 0.05),
    SmokePlume(SQUARE, 0.05, 0.04, 1.5, 0.7, 3.0, 5.0, 2.0),
    CosmicWeb(Grid((8, 12), (1.0, 1.5)), 0.8),
    Landscape(RANGE, 1.0, 20.0, 0.5, 0.7, 0.15),
]
STOCHASTIC = [
    OrnsteinUhlenbeck(1.5, 0.5, 0.8),
    DoubleWell(0.4, 0.6),
    EnergyBalance(grid=Grid((8,), (2.0,), "neumann")),
    StochasticNavierStokes2D(SQUARE, 0.05, 0.1, 0.7, 2, injection=0.3, noise_mode=2),
]
# Their gradients stand for their families in the fast tier.
FAST = ("heat", "nonlinear_schroedinger")
# In test_systems_point and test_systems_lorenz96.
GRADIENTS_ELSEWHERE = {"LotkaVolterra", "Pendulum", "ReplicatorMutator", "Robertson", "SIR"}
GRADIENTS_ELSEWHERE |= {"Lorenz63", "Lorenz96", "Lorenz96TwoScale"}
EXAMPLES = [*WAVES_AND_REACTIONS, *FLOWS]
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


# Noise is no state of theirs: vorticity in a periodic box has no mean, displacements stay below a cell, terrain drains,
# and products that the 2/3 rule cuts off would open the budgets of shallow water; ice has its edge in a climate alone.
SMOOTH = ("barotropic_vorticity", "navier_stokes_2d", "navier_stokes_3d", "shallow_water", "cosmic_web", "landscape")
SMOOTH += tuple(system.name for system in STOCHASTIC)


def _named(system):
    return "-".join([system.name, str(system.grid.ndim), *sorted({*system.grid.boundary} - {"periodic"})])


def _drawn(system, *keys):
    draw = jax.jit(lambda key: system.sample_initial(key))
    return [draw(key) for key in keys]


def _field(system, seed=3):
    """Noise of order 1 in every channel: all waves but Nyquist's, so some beyond those that enter a product.

    Of `SMOOTH` systems an initial field, of shallow water only the waves whose squares the 2/3 rule keeps.
    """
    grid = system.grid
    if system.name in SMOOTH:
        (u,) = _drawn(system, jax.random.key(seed))
        if system.name != "shallow_water":
            return u
        keep = np.ones(grid.spectral_shape, bool)
        for size, n in zip(grid.shape, grid.mode_numbers):
            keep = keep & (6 * np.abs(n) < size)
        return to_physical(to_spectral(u, grid) * keep, grid)
    noise = np.random.default_rng(seed).normal(size=system.field_shape)
    return 0.5 + 0.3 * to_physical(to_spectral(noise, grid) * grid.kept_waves(1), grid)


def _images(system):
    """What a declared symmetry makes of a field: shifts, and mirrors that carry points of the grid to such points."""

    def mirrored(u, mirror):
        # u at -x on periodic axes, at L - x on others.
        shift = 1 if system.grid.boundary[mirror.axis] == "periodic" else 0
        return np.roll(np.flip(u, mirror.axis), shift, mirror.axis) * np.asarray(mirror.signs)

    def moved(u, move):
        for axis in move.mirrored:
            u = mirrored(u, Reflection(axis, (1.0,) * len(move.signs)))
        u = u * np.asarray(move.signs)
        return u if move.shifted is None else np.roll(u, u.shape[move.shifted] // move.order, move.shifted)

    shifts = [lambda u, axis=axis: np.roll(u, 5, axis) for axis in system.symmetries.shift_axes]
    moves = [lambda u, move=move: moved(u, move) for move in system.symmetries.moves]
    return shifts + [lambda u, mirror=mirror: mirrored(u, mirror) for mirror in system.symmetries.reflections] + moves


def _small_step(system):
    return min(system.recommended_dt, 0.02)


def _quick(system):
    """Lines, walls and flows; of the other planes one per kind of linear part."""
    planes = ("gray_scott", "seismic_wave", "burgers_2d")
    return system.grid.ndim == 1 or not system.grid.periodic or system in FLOWS or system.name in planes


def _tiers(systems, fast):
    return [pytest.param(s, marks=[] if fast(s) else pytest.mark.slow, id=_named(s)) for s in systems]


def _only(*names):
    return lambda system: system.name in names


@pytest.mark.float64
@pytest.mark.parametrize(
    "system",
    _tiers([*EXAMPLES, *WALLS, *(kind(grid) for kind in ISOTROPIC for grid in (PLANE, BOX))], _quick),
)
def test_budgets_close_invariants_rest_and_symmetries_commute_on_any_field(system):
    u = np.asarray(_field(system))

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
        largest = max(abs(term) for term in terms.values())
        assert np.isclose(slopes[name], sum(terms.values()), rtol=1e-9, atol=1e-10 * largest), name
    tolerance = 1e-11 * max(1.0, np.abs(rate).max())
    for name, drift in drifts.items():
        assert abs(drift) < tolerance, name
    for image in _images(system):
        assert np.allclose(laws(image(u))[0], image(rate), rtol=0, atol=tolerance)


@pytest.mark.float64
@pytest.mark.parametrize("system", _tiers(FLOWS, _only("shallow_water", "cosmic_web")))
def test_steps_of_the_solver_keep_invariants_and_commute_with_the_symmetries(system):
    carried = jax.jit(lambda u: advance(system, u, _small_step(system), 4))
    u = np.asarray(_field(system))
    later = np.asarray(carried(u))
    size = np.abs(later).max()
    assert np.abs(later - u).max() > 1e-3 * size
    before, after = system.invariants(u), system.invariants(later)
    for name in before:
        assert np.isclose(after[name], before[name], rtol=1e-10, atol=1e-10), name
    for image in _images(system):
        assert np.allclose(carried(image(u)), image(later), rtol=0, atol=1e-10 * size)


@pytest.mark.parametrize("system", FLOWS, ids=_named)
def test_a_second_draw_differs_from_the_first_and_single_precision_stays_single(system, key):
    # A grid of its own: jax takes the arrays of one that met float64 for what they were there.
    grid = system.grid
    system = dataclasses.replace(system, grid=Grid(grid.shape, grid.extent, grid.boundary))
    first, second = _drawn(system, *jax.random.split(key))
    assert first.shape == system.field_shape and first.dtype == jnp.float32
    assert np.abs(first - second).max() > 1e-3 * np.abs(first).max()
    dt = system.recommended_dt
    assert 0 < dt < 1
    assert jax.eval_shape(lambda u: advance(system, u, dt, 4), first).dtype == jnp.float32


@pytest.mark.parametrize("system", _tiers(WAVES_AND_REACTIONS, _only("gray_scott")))
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


def test_gradients_are_held_to_finite_differences_in_every_system_that_moves():
    public = (getattr(physics, name) for name in physics.__all__)
    moving = {kind for kind in public if isinstance(kind, type) and issubclass(kind, System)}
    here = {type(system).__name__ for system in (*EXAMPLES, *STOCHASTIC)}
    assert not here & GRADIENTS_ELSEWHERE
    assert {kind.__name__ for kind in moving if not inspect.isabstract(kind)} == here | GRADIENTS_ELSEWHERE


@pytest.mark.float64
@pytest.mark.parametrize("system", _tiers([*EXAMPLES, *STOCHASTIC], _only(*FAST)))
def test_gradients_in_the_initial_field_and_every_parameter_match_finite_differences(system):
    u0 = _field(system)
    weights = np.random.default_rng(5).normal(size=system.field_shape)
    direction = np.asarray(_field(system, 5))
    parameters, structure = jax.tree.flatten(jax.tree.map(jnp.asarray, system))
    dt = _small_step(system)
    noise = NoisePath(jax.random.key(7)) if isinstance(system, StochasticSystem) else None

    @jax.jit
    @jax.value_and_grad
    def observed(arguments):
        parameters, u = arguments
        changed = jax.tree.unflatten(structure, parameters)
        return (weights * solve(changed, u, [2 * dt, 4 * dt], dt=dt, noise=noise) ** 2).sum()

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
        assert np.isclose(total, expected, rtol=1e-5, atol=1e-9) and abs(total) > 1e-9, i


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: BarotropicVorticity(LINE), "BarotropicVorticity needs 2 axes, not 1"),
        (lambda: ShallowWater(LINE), "ShallowWater needs 2 axes, not 1"),
        (lambda: ShallowWater(SQUARE, depth=-1.0), "depth must be positive, but is -1.0"),
        (lambda: ShallowWater(SQUARE, coriolis=np.nan), "coriolis must be finite"),
        (lambda: SmokePlume(LINE), "SmokePlume needs 2 axes, not 1"),
        (lambda: SmokePlume(SQUARE, source=-1.0), "source must not be negative"),
        (lambda: SmokePlume(SQUARE, stratification=np.inf), "stratification must be finite"),
        (lambda: CosmicWeb(LINE), "CosmicWeb needs 2 axes, not 1"),
        (lambda: CosmicWeb(SQUARE, clustering=-0.5), "clustering must not be negative"),
        (lambda: Landscape(SQUARE), "Landscape needs 2 axes with a base level along one"),
        (lambda: Landscape(RANGE, uplift=-1.0), "uplift must not be negative"),
        (lambda: BarotropicVorticity(RANGE), "BarotropicVorticity has no form for the dirichlet boundary of axis 1"),
        (lambda: NavierStokes3D(SQUARE), "NavierStokes3D needs 3 axes, not 2"),
        (lambda: NavierStokes3D(Grid((8, 8, 8), (1.0, 1.0, 1.0)), -0.1), "viscosity must not be negative"),
        (lambda: BarotropicVorticity(SQUARE, viscosity=-1.0), "viscosity must not be negative, but is -1.0"),
        (lambda: BarotropicVorticity(SQUARE, beta=np.inf), "beta must be finite, not inf"),
        (lambda: BarotropicVorticity(SQUARE, drag=-0.1), "drag must not be negative"),
    ],
)
def test_what_a_flow_cannot_be_is_refused_in_one_sentence(make, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        make()
