"""Equations that hold the time: advanced, solved and compared from the time that a field is of."""

from typing import Any, ClassVar

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physics import (
    ETDRK2,
    DatasetSpec,
    FixedSystem,
    Grid,
    Limits,
    NoisePath,
    SemilinearSystem,
    StochasticSystem,
    System,
    advance,
    defect,
    generate,
    group_members,
    integral_residual,
    normalized,
    residual,
    solve,
    solve_batch,
)


class Forced(System):
    """x' = cos t, so that x = x(0) + sin t."""

    grid: Grid = eqx.field(static=True, default=Grid((), ()))
    name: ClassVar[str] = "forced"
    channels: ClassVar[tuple[str, ...]] = ("x",)
    recommended_dt: ClassVar[float] = 0.05

    def vector_field(self, t, u, args=None):
        return jnp.cos(t) * jnp.ones_like(u)

    def sample_initial(self, key):
        return jax.random.normal(key, (1,))


class Fluctuating(Forced, StochasticSystem):
    """dx = drift cos t dt + (1 + t) dW."""

    drift: Any = 0.0

    def vector_field(self, t, u, args=None):
        return self.drift * jnp.cos(t) * jnp.ones_like(u)

    def diffusion(self, t, u, args=None):
        return (1 + t) * jnp.ones_like(u)


class Relaxing(SemilinearSystem):
    """u_t = u_xx - u + cos t; the mean m of u is (cos t + sin t) / 2 + (m(0) - 1/2) exp(-t)."""

    grid: Grid = eqx.field(static=True, default=Grid((8,), (2 * np.pi,)))
    name: ClassVar[str] = "relaxing"
    channels: ClassVar[tuple[str, ...]] = ("u",)
    recommended_dt: ClassVar[float] = 0.05

    def linear_symbol(self):
        return -(1 + self.grid.wavenumbers[0] ** 2)[None]

    def nonlinear(self, t, u_hat, args=None):
        return jnp.zeros_like(u_hat).at[:, 0].set(self.grid.size * jnp.cos(t))

    def sample_initial(self, key):
        return jax.random.normal(key, self.field_shape)


class RelaxingFromSnapshots(Relaxing):
    """`Relaxing`, certified as chaotic systems are: from the first snapshot on."""

    chaotic: ClassVar[bool] = True


class Stirred(Relaxing, StochasticSystem):
    """`Relaxing` with white noise of strength 1 + t in every point."""

    def diffusion(self, t, u, args=None):
        return (1 + t) * jnp.ones_like(u)


class Shaken(Forced):
    """x' = cos(rate t), whose adaptive steps are the shorter the higher the rate."""

    rate: Any = 1.0

    def vector_field(self, t, u, args=None):
        return jnp.cos(self.rate * t) * jnp.ones_like(u)


START, STEP = 2.0, 0.05


@pytest.mark.float64
@pytest.mark.parametrize(
    "options",
    [
        {"dt": STEP},
        {"dt": STEP, "dense": True},
        {"tolerance": 1e-9},
        {"dt": STEP, "solver": diffrax.Kvaerno5(root_finder=diffrax.VeryChord(1e-9, 1e-9))},
    ],
    ids=["fixed", "dense", "adaptive", "implicit"],
)
def test_a_solve_starts_at_the_time_of_its_field(options):
    times = START + np.array([0.0, 0.1, 0.75])
    found = solve(Forced(), np.ones(1), times, t0=START, **options)
    assert np.allclose(found[:, 0], 1 + np.sin(times) - np.sin(START), atol=1e-7)


@pytest.mark.float64
@pytest.mark.parametrize(
    "options",
    [{"dt": STEP}, pytest.param({"dt": STEP, "dense": True}, marks=pytest.mark.slow), {"tolerance": 1e-9}],
)
def test_exponential_solvers_start_at_the_time_of_their_field(options):
    def mean(t):
        return (np.cos(t) + np.sin(t)) / 2 + np.exp(-t)

    times = START + np.array([0.1, 0.75])
    found = solve(Relaxing(), mean(START) * np.ones((8, 1)), times, t0=START, **options)
    assert np.allclose(found[:, :, 0], mean(times)[:, None], atol=1e-7)


@pytest.mark.float64
def test_members_are_grouped_and_solved_from_the_time_of_their_fields():
    rates = jnp.array([1.0, 40.0, 1.1])
    systems, times = jax.vmap(lambda rate: Shaken(rate=rate))(rates), START + np.array([0.5, 2.0])
    how = {"tolerance": 1e-8, "t0": START}
    groups = group_members(systems, jnp.ones((3, 1)), times, spread=3.0, **how)
    assert [sorted(group) for group in groups.groups] == [[0, 2], [1]]
    found = solve_batch(systems, jnp.ones((3, 1)), times, groups=groups, **how)[..., 0]
    exact = 1 + (np.sin(rates[:, None] * times) - np.sin(rates[:, None] * START)) / rates[:, None]
    assert np.allclose(found, exact, atol=1e-6)


@pytest.mark.float64
@pytest.mark.parametrize("system", [Forced(), Relaxing(), Fluctuating(drift=1.0), Stirred()], ids=lambda s: s.name)
@pytest.mark.parametrize("solver", [None, pytest.param("lower order", marks=pytest.mark.slow)])
def test_the_rest_of_a_solve_is_the_solve_from_its_middle_and_its_defect_is_round_off(system, solver, key):
    path = NoisePath(key) if isinstance(system, StochasticSystem) else None
    later = None if path is None else path.after(4)
    if solver:
        solver = ETDRK2() if isinstance(system, SemilinearSystem) else diffrax.Euler()
    options = {"dt": STEP, "solver": solver}
    middle, end = solve(system, system.sample_initial(key), [4 * STEP, 10 * STEP], noise=path, **options)
    mismatch = jax.jit(lambda t0: defect(system, middle, end, steps=6, noise=later, t0=t0, **options))
    assert np.allclose(mismatch(4 * STEP), 0, atol=1e-12)
    assert np.abs(mismatch(0.0)).max() > 1e-2
    assert np.allclose(advance(system, middle, STEP, 6, solver=solver, noise=later, t0=4 * STEP), end, atol=1e-12)


@pytest.mark.float64
@pytest.mark.parametrize("system", [Forced(), normalized(Forced(), np.ones(1), np.full(1, 2.0))], ids=lambda s: s.name)
@pytest.mark.parametrize("kind", [residual, integral_residual], ids=lambda kind: kind.__name__)
def test_residuals_of_solver_data_are_small_from_the_time_of_the_data_on(system, kind):
    trajectory = solve(system, np.zeros(1), START + STEP * np.arange(8), dt=STEP, t0=START)
    assert np.abs(jax.jit(lambda t0: kind(system, trajectory, STEP, order=6, t0=t0))(START)).max() < 1e-8
    assert np.abs(kind(system, trajectory, STEP, order=6)).max() > 0.1


@pytest.mark.float64
def test_the_integral_residual_weighs_every_kick_at_its_own_time(key):
    # Euler's steps are the kicks themselves.
    system, noise = Fluctuating(), NoisePath(key)
    made = solve(
        system, np.zeros(1), START + 4 * STEP * np.arange(6), dt=STEP, solver=diffrax.Euler(), noise=noise, t0=START
    )
    found = integral_residual(system, made, 4 * STEP, noise=noise, steps=4, t0=START)
    assert np.allclose(found, 0, atol=1e-12)
    assert np.abs(integral_residual(system, made, 4 * STEP, noise=noise, steps=4)).max() > 0.1


@pytest.mark.float64
@pytest.mark.parametrize(
    "system",
    [pytest.param(Relaxing(), marks=pytest.mark.slow), RelaxingFromSnapshots()],
    ids=lambda s: type(s).__name__,
)
def test_a_certificate_starts_from_snapshots_at_their_own_times(system, tmp_path):
    spec = DatasetSpec(
        "forced",
        (4, 0, 0),
        snapshots=2,
        spin_up=1.0,
        stride=0.5,
        dt=STEP,
        dtype="float64",
        limits=Limits(trajectories=4, steady_share=1.0),
    )
    certificate = generate(FixedSystem(system), spec, cache_dir=tmp_path, devices=jax.local_devices()[:1]).certificate
    assert certificate["defect"] < 1e-12


def test_times_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="t0 must be one finite time, that of the first field, not nan"):
        residual(Forced(), np.zeros((3, 1)), STEP, t0=np.nan)
    with pytest.raises(ValueError, match="start at 2 or later, but they start at 1"):
        solve(Forced(), np.zeros(1), [1.0], t0=2.0)
    with pytest.raises(ValueError, match=r"time 2.07 is not a multiple of the step dt = 0.05 from t0 = 2 on"):
        solve(Forced(), np.zeros(1), [2.07], dt=STEP, t0=2.0)
