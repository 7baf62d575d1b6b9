"""Parameters of systems: which may be 0, what is refused, and the recommended steps that follow from them."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import physics
from physics import (
    AllenCahn,
    CahnHilliard,
    DoubleWell,
    EnergyBalance,
    FisherKPP,
    Grid,
    Landscape,
    Lorenz96TwoScale,
    LotkaVolterra,
    OrnsteinUhlenbeck,
    Pendulum,
    ReplicatorMutator,
    SeismicWave,
    ShallowWater,
    StochasticSystem,
    System,
    solve,
)

LINE, PLANE = Grid((16,), (6.0,)), Grid((12, 16), (5.0, 6.0))
RANGE = Grid((8, 10), (1.0, 1.2), ("periodic", "dirichlet"))
GRIDS = {1: LINE, 2: PLANE, 3: Grid((8, 9, 12), (5.0, 6.0, 7.0))}


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (Pendulum, "length"),
        (OrnsteinUhlenbeck, "rate"),
        (DoubleWell, "noise"),
        (EnergyBalance, "heat_capacity"),
        (EnergyBalance, "ice_width"),
        (lambda **changed: Landscape(RANGE, **changed), "critical_slope"),
        (Lorenz96TwoScale, "amplitude_ratio"),
        (lambda **changed: CahnHilliard(LINE, **changed), "interface_width"),
        (lambda **changed: ShallowWater(PLANE, **changed), "depth"),
        (LotkaVolterra, "growth"),
        (LotkaVolterra, "predation"),
        (LotkaVolterra, "conversion"),
        (LotkaVolterra, "death"),
        (physics.SIR, "contact"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("value", [0.0, -1.0, jnp.zeros(3), jnp.zeros(())], ids=["zero", "negative", "batch", "array"])
def test_what_an_equation_divides_by_is_positive(make, name, value):
    with pytest.raises(ValueError, match=f"{name} must be positive, but is .*: use a value above 0"):
        make(**{name: value})
    assert jax.jit(lambda traced: getattr(make(**{name: traced}), name))(value) is not None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AllenCahn(LINE, -0.1), "interface_width must not be negative, but is -0.1: use a value of 0 or more"),
        (lambda: FisherKPP(LINE, growth=np.inf), "growth must be finite, not inf"),
        (lambda: ReplicatorMutator(mutation=2), "mutation is the share of offspring .* but is 2.0: use 0 to 1"),
        (lambda: ReplicatorMutator(mutation=-0.1), "mutation must not be negative"),
    ],
)
def test_other_parameters_are_refused_in_one_sentence(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def _small(kind):
    """The example of a class on a small grid."""
    example = kind.example()
    if kind is Landscape or not example.refinable or example.grid.boundary != ("periodic",) * example.grid.ndim:
        return Landscape(RANGE) if kind is Landscape else example
    modes = {name: 2 for name in ("forcing_mode", "noise_mode") if hasattr(example, name)}
    return example if example.grid.ndim == 0 else dataclasses.replace(example, grid=GRIDS[example.grid.ndim], **modes)


def _of_numbers():
    """Every parameter of every system that is one number; those of systems in space take a minute in all."""
    kinds = [getattr(physics, name) for name in physics.__all__]
    for kind in kinds:
        if isinstance(kind, type) and issubclass(kind, System) and kind.__module__.startswith("physics.systems."):
            marks = [pytest.mark.slow] if kind.example().grid.ndim else []
            for field in dataclasses.fields(kind):
                if isinstance(getattr(kind.example(), field.name), float):
                    yield pytest.param(kind, field.name, id=f"{kind.name}-{field.name}", marks=marks)


@pytest.mark.parametrize(("kind", "name"), _of_numbers())
def test_a_parameter_that_may_be_zero_leaves_everything_finite(kind, name):
    try:
        system = dataclasses.replace(_small(kind), **{name: 0.0})
    except ValueError as refusal:
        assert f"{name} must be positive" in str(refusal)
        return

    @jax.jit
    def everything(key):
        u = system.sample_initial(key)
        noise = system.diffusion(0.0, u) if isinstance(system, StochasticSystem) else 0.0
        return u, system.vector_field(0.0, u), noise, system.invariants(u), system.budgets(u)

    for values in jax.tree.leaves(everything(jax.random.key(0))):
        assert np.all(np.isfinite(values))
    assert 0 < system.recommended_dt < np.inf


_SPEEDS = 1.0 + np.arange(16.0) / 16


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x: Landscape(RANGE, erodibility=x), "step of Landscape follows from its erodibility, which is traced"),
        (
            lambda x: Landscape(RANGE, diffusivity=x, area_exponent=x),
            "follows from its diffusivity and area_exponent, which are traced here: give dt",
        ),
        (lambda x: EnergyBalance(heat_capacity=x), "step of EnergyBalance follows from its heat_capacity, which is"),
        (lambda x: SeismicWave(LINE, x * _SPEEDS), "step of SeismicWave follows from its speed, which is traced"),
    ],
    ids=["one", "two", "EnergyBalance", "SeismicWave"],
)
def test_a_recommended_step_that_follows_from_traced_parameters_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        jax.jit(lambda x: make(x).recommended_dt)(1.0)
    # Parameters that the program closes over are known.
    known = make(jnp.asarray(1.0))
    assert np.isclose(jax.jit(lambda x: x + known.recommended_dt)(0.0), known.recommended_dt)


def test_a_stiffer_landscape_takes_shorter_steps_and_a_traced_one_a_step_that_is_given():
    assert Landscape(RANGE, 1000.0).recommended_dt == Landscape(RANGE).recommended_dt
    assert Landscape(RANGE, erodibility=1000.0).recommended_dt < 0.2 * Landscape(RANGE).recommended_dt
    u0 = jax.jit(Landscape(RANGE).sample_initial)(jax.random.key(0))

    def end(erodibility, dt=None):
        return jnp.sum(solve(Landscape(RANGE, erodibility=erodibility), u0, [1e-3], dt=dt))

    with pytest.raises(ValueError, match="traced here: give dt"):
        jax.grad(end)(100.0)
    assert jax.jit(jax.grad(lambda k: end(k, 1e-4)))(100.0) < 0
