"""Stochastic solves: distributions, one path at two steps, orders, gradients, defects, devices, bad input."""

from typing import Any, ClassVar

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, PartitionSpec
from scipy import stats

from physics import (
    ETDRK4,
    Burgers,
    DoubleWell,
    Grid,
    Lorenz63,
    NoisePath,
    OrnsteinUhlenbeck,
    StochasticSystem,
    advance,
    defect,
    solve,
)


class GeometricBrownianMotion(StochasticSystem):
    """dx = growth x dt + noise x dW: x(t) = x(0) exp((growth - noise^2 / 2) t + noise W(t)) in the sense of Ito."""

    growth: Any = 0.5
    noise: Any = 0.8
    grid: Grid = eqx.field(static=True, default=Grid((), ()))
    name: ClassVar[str] = "geometric_brownian_motion"
    channels: ClassVar[tuple[str, ...]] = ("x",)
    additive: ClassVar[bool] = False

    def vector_field(self, t, u, args=None):
        return self.growth * u

    def diffusion(self, t, u, args=None):
        return self.noise * u

    def sample_initial(self, key):
        return jnp.ones(1)

    @property
    def recommended_dt(self):
        return 0.01


class NoisyBurgers(Burgers, StochasticSystem):
    """Burgers' equation with one Brownian motion per point, smoothed in space by a nearest-neighbour mean."""

    def diffusion(self, t, u, args=None):
        return 0.1 * jnp.ones_like(u)

    def noise_field(self, w):
        return 0.5 * w + 0.25 * jnp.roll(w, 1, 0) + 0.25 * jnp.roll(w, -1, 0)


BURGERS = NoisyBurgers(Grid((16,), (2 * np.pi,)), 0.1)


def _gather(path, count, dt, dtype=np.float32):
    made = jax.vmap(lambda i: path.increments(i, dt, (), dtype))(jnp.arange(count))
    return np.asarray(made.W), np.asarray(made.H)


@pytest.mark.float64
def test_the_halves_of_a_step_add_up_to_the_step_with_its_levy_area(key):
    for path in (NoisePath(key), NoisePath(key).after(5), NoisePath(key).halved()):
        w, h = _gather(path, 8, 0.5, np.float64)
        half_w, half_h = _gather(path.halved(), 16, 0.25, np.float64)
        first, second = half_w[::2], half_w[1::2]
        assert np.allclose(first + second, w, atol=1e-14)
        # int W ds - h W / 2 over both halves, written with those of either half.
        assert np.allclose((half_h[::2] + half_h[1::2]) / 2 + (first - second) / 4, h, atol=1e-14)


@pytest.mark.float64
@pytest.mark.parametrize("halvings", [0, 1, 3])
def test_increments_and_levy_areas_are_independent_normal_numbers(halvings, key):
    path = NoisePath(key)
    for _ in range(halvings):
        path = path.halved()
    w, h = _gather(path, 8192, 0.3, np.float64)
    w, h = w / np.sqrt(0.3), h / np.sqrt(0.3 / 12)
    # Eight tests a case at 1e-4 each: fewer than three in a thousand false alarms over all cases.
    for sample in (w, h):
        assert stats.kstest(sample, "norm").pvalue > 1e-4
    for one, other in (
        (w, h),
        (w[1:], w[:-1]),
        (h[1:], h[:-1]),
        (w[::2], w[1::2]),
        (h[::2], h[1::2]),
        (w[::2], h[1::2]),
    ):
        assert stats.pearsonr(one, other).pvalue > 1e-4


def test_a_path_goes_on_where_it_was_left(key):
    system, path = OrnsteinUhlenbeck(), NoisePath(key)
    whole = solve(system, np.ones(1), np.arange(1, 11) * 0.1, dt=0.1, noise=path)
    assert np.allclose(advance(system, whole[3], 0.1, 6, noise=path.after(4)), whole[9], atol=1e-6)
    assert not np.allclose(advance(system, whole[3], 0.1, 6, noise=path), whole[9], atol=1e-2)


def _order(differences):
    rms = np.sqrt(np.mean(np.asarray(differences) ** 2, axis=tuple(range(1, differences.ndim))))
    return np.polyfit(-np.arange(len(rms)) * np.log(2), np.log(rms), 1)[0]


def _ends(system, u0, keys, dt, steps, levels, solver):
    """Where the same paths end with dt, dt/2, ..."""

    def one(k):
        path, found = NoisePath(k), []
        for level in range(levels):
            found.append(advance(system, u0, dt / 2**level, steps * 2**level, solver=solver, noise=path))
            path = path.halved()
        return jnp.stack(found)

    return jnp.moveaxis(jax.jit(jax.vmap(one))(keys), 0, 1)


@pytest.mark.float64
@pytest.mark.parametrize(
    ("solver", "order"), [(diffrax.Euler(), 0.5), pytest.param(diffrax.ItoMilstein(), 1.0, marks=pytest.mark.slow)]
)
def test_multiplicative_noise_converges_to_the_ito_solution_path_by_path(solver, order, key):
    system, keys = GeometricBrownianMotion(), jax.random.split(key, 2000)

    def exact(k):
        brownian = jax.vmap(lambda i: NoisePath(k).increments(i, 0.0625, (1,), np.float64).W)(jnp.arange(8)).sum(0)
        return jnp.exp((system.growth - system.noise**2 / 2) / 2 + system.noise * brownian)

    found = _ends(system, jnp.ones(1), keys, 0.0625, 8, 3, solver)
    assert _order(found - jax.vmap(exact)(keys)) == pytest.approx(order, abs=0.12)


@pytest.mark.float64
@pytest.mark.parametrize(
    ("system", "solver", "order"),
    [
        (DoubleWell(), diffrax.ShARK(), 1.5),
        pytest.param(DoubleWell(), diffrax.Euler(), 1.0, marks=pytest.mark.slow),
        pytest.param(BURGERS, ETDRK4(), 1.0, marks=pytest.mark.slow),
    ],
    ids=["ShARK", "Euler", "ETDRK4"],
)
def test_additive_noise_converges_path_by_path_at_the_order_of_the_solver(system, solver, order, key):
    u0 = 0.5 * jnp.ones(system.field_shape)
    found = _ends(system, u0, jax.random.split(key, 500), 0.05, 5, 4, solver)
    assert _order(found[1:] - found[:-1]) == pytest.approx(order, abs=0.15)


@pytest.mark.parametrize("system", [DoubleWell(), BURGERS], ids=lambda s: s.name)
def test_the_defect_is_round_off_on_the_path_that_made_the_data_and_on_no_other(system, key):
    path, dt = NoisePath(key), 0.05
    trajectory = solve(system, 1.0 + system.sample_initial(key), dt * np.array([0, 4, 9]), dt=dt, noise=path)
    round_off = 30 * np.finfo(np.float32).eps * float(jnp.abs(trajectory).max()) / (5 * dt)
    own = defect(system, trajectory[1], trajectory[2], dt, steps=5, noise=path.after(4))
    other = defect(system, trajectory[1], trajectory[2], dt, steps=5, noise=path)
    assert np.abs(own).max() < round_off < 1e-2 * np.abs(other).max()


@pytest.mark.float64
def test_gradients_along_a_path_match_finite_differences_in_field_and_parameters(key):
    path = NoisePath(key)

    def end(x, growth, noise, dt):
        return advance(GeometricBrownianMotion(growth, noise), x, dt, 20, noise=path)[0]

    at, every, value = (jnp.ones(1), 0.5, 0.8, 0.05), (0, 1, 2, 3), jax.jit(end)
    backwards, forwards = (jax.jit(mode(end, every))(*at) for mode in (jax.grad, jax.jacfwd))
    for argument in every:
        shifted = [tuple(a + s * 1e-6 * (i == argument) for i, a in enumerate(at)) for s in (1, -1)]
        slope = (value(*shifted[0]) - value(*shifted[1])) / 2e-6
        assert np.isclose(np.sum(backwards[argument]), slope, rtol=1e-7)
        assert np.isclose(np.sum(forwards[argument]), slope, rtol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("system", [GeometricBrownianMotion(), BURGERS], ids=lambda s: s.name)
def test_independent_keys_give_the_same_paths_and_gradients_on_any_number_of_devices(system, key):
    keys = jax.random.split(key, 4)
    batch = jax.vmap(system.sample_initial)(keys)

    def loss(u, one):
        return (advance(system, u, 0.05, 5, noise=NoisePath(one)) ** 2).sum()

    batched = jax.vmap(jax.value_and_grad(loss))
    alone = jax.jit(batched)(batch, keys)
    assert len(np.unique(np.round(alone[0], 5))) == 4
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:2])
    split = PartitionSpec("data")
    pmapped = jax.pmap(batched, devices=jax.devices()[:2])(batch.reshape(2, 2, *batch.shape[1:]), keys.reshape(2, 2))
    sharded = jax.jit(jax.shard_map(batched, mesh=mesh, in_specs=split, out_specs=split))(batch, keys)
    for found in (jax.tree.map(lambda a: a.reshape(4, *a.shape[2:]), pmapped), sharded):
        for got, expected in zip(found, alone, strict=True):
            assert np.allclose(got, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda k: advance(OrnsteinUhlenbeck(), np.ones(1), 0.1, 1), "noise is missing, but OrnsteinUhlenbeck is"),
        (lambda k: advance(Lorenz63(), np.ones(3), 0.1, 1, noise=NoisePath(k)), "Lorenz63 is deterministic"),
        (
            lambda k: advance(OrnsteinUhlenbeck(), np.ones(1), 0.1, 1, noise=NoisePath(k), solver=diffrax.Tsit5()),
            r"Tsit5 knows no noise.*use diffrax.ShARK",
        ),
        (
            lambda k: advance(
                GeometricBrownianMotion(), np.ones(1), 0.1, 1, noise=NoisePath(k), solver=diffrax.ShARK()
            ),
            "ShARK does not converge to the Ito solution",
        ),
        (
            lambda k: solve(
                OrnsteinUhlenbeck(),
                np.ones(1),
                [1.0],
                noise=NoisePath(k),
                stepsize_controller=diffrax.PIDController(1, 1),
            ),
            "adaptive and dense steps do not go with noise",
        ),
        (lambda k: advance(BURGERS, np.ones((16, 1)), 0.1, 1, solver=ETDRK4()), "noise is missing"),
        (lambda k: OrnsteinUhlenbeck(rate=-1.0), "rate must be positive"),
    ],
)
def test_noise_that_does_not_fit_is_refused_in_one_sentence(call, message, key):
    with pytest.raises(ValueError, match=message):
        call(key)
