"""Strong and integral residuals: orders, gradients, devices, noise; what a reading says; other units."""

import dataclasses

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from physics import (
    Burgers,
    DoubleWell,
    Grid,
    KuramotoSivashinsky,
    LotkaVolterra,
    NoisePath,
    OrnsteinUhlenbeck,
    ResidualReading,
    StochasticNavierStokes2D,
    advance,
    defect,
    integral_residual,
    normalized,
    read_residual,
    residual,
    solve,
)

ORBIT = LotkaVolterra()
BURGERS = Burgers(Grid((16,), (2 * np.pi,)), 0.1)
WAVE = 0.3 + np.sin(BURGERS.grid.coordinates()[0])[:, None]


def _orbit(interval, count=9, steps=4):
    return solve(ORBIT, np.array([8.0, 2.0]), interval * np.arange(count), dt=interval / steps)


@pytest.mark.float64
@pytest.mark.parametrize(
    ("kind", "order"),
    [
        (residual, 2),
        (residual, 4),
        (residual, 6),
        (residual, 8),
        (integral_residual, 2),
        (integral_residual, 4),
        (integral_residual, 6),
    ],
    ids=lambda v: v.__name__ if callable(v) else str(v),
)
def test_the_level_on_solver_data_falls_with_the_order_asked_for(kind, order):
    levels = []
    for interval in (0.1, 0.05):
        times = 2.0 + interval * np.arange(-4, 5)
        trajectory = solve(ORBIT, np.array([8.0, 2.0]), times, dt=0.0125, solver=diffrax.Dopri8())
        found = kind(ORBIT, trajectory, interval, order=order)
        assert found.shape == (9 - (order if kind is residual else {2: 1, 4: 2, 6: 4}[order]), 2)
        levels.append(np.abs(found[len(found) // 2]).max())
    assert np.log2(levels[0] / levels[1]) == pytest.approx(order, abs=0.3)


_CASES = {
    "lotka_volterra": (LotkaVolterra, 1.2, np.array([8.0, 2.0])),
    "burgers": (lambda nu: Burgers(BURGERS.grid, nu), 0.15, WAVE),
}
"""What makes a system of one parameter, that parameter, and a field to start from."""


def _defects(system, trajectory, dt):
    """Of every field and the one before it."""
    return jax.vmap(lambda before, after: defect(system, before, after, dt))(trajectory[:-1], trajectory[1:])


@pytest.mark.float64
@pytest.mark.parametrize(
    ("kind", "case"),
    [
        (residual, "lotka_volterra"),
        (integral_residual, "burgers"),
        (_defects, "lotka_volterra"),
        pytest.param(residual, "burgers", marks=pytest.mark.slow),
        pytest.param(integral_residual, "lotka_volterra", marks=pytest.mark.slow),
        pytest.param(_defects, "burgers", marks=pytest.mark.slow),
    ],
    ids=lambda v: v.__name__ if callable(v) else v,
)
def test_gradients_in_fields_and_parameters_match_finite_differences_and_hold_on_two_devices(kind, case):
    make, parameter, start = _CASES[case]
    # Made with another parameter, so that nothing vanishes.
    trajectory = solve(make(0.8 * parameter), start, 0.1 * np.arange(5), dt=0.025)
    batch = jnp.stack([trajectory * (1 + 0.01 * i) for i in range(4)])

    def loss(fields, parameter, dt):
        return (kind(make(parameter), fields, dt) ** 2).sum()

    arguments, value = (1.05 * trajectory, jnp.asarray(parameter), jnp.asarray(0.1)), jax.jit(loss)
    gradients = jax.jit(jax.grad(loss, (0, 1, 2)))(*arguments)
    for argument, at in enumerate(arguments):
        way = np.cos(np.arange(at.size)).reshape(at.shape)
        ends = [value(*arguments[:argument], at + step * way, *arguments[argument + 1 :]) for step in (1e-6, -1e-6)]
        slope = (ends[0] - ends[1]) / 2e-6
        assert np.isclose((gradients[argument] * way).sum(), slope, rtol=1e-6) and abs(slope) > 1e-3, argument
    batched = jax.vmap(jax.value_and_grad(loss, (0, 1)), (0, None, None))
    alone = jax.jit(batched)(batch, parameter, 0.1)
    parts = batch.reshape(2, 2, *trajectory.shape)
    apart = jax.pmap(batched, in_axes=(0, None, None), devices=jax.devices()[:2])(parts, parameter, 0.1)
    assert len(apart[0].sharding.device_set) == 2
    for got, expected in zip(jax.tree.leaves(apart), jax.tree.leaves(alone), strict=True):
        assert np.allclose(got.reshape(expected.shape), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.float64
def test_noise_in_the_data_costs_the_strong_residual_more_than_the_integral_one(key):
    interval = 0.01
    noisy = _orbit(interval, 60, 1) + 1e-4 * jax.random.normal(key, (60, 2))
    strong, integral = (float(jnp.std(kind(ORBIT, noisy, interval, order=6))) for kind in (residual, integral_residual))
    # White noise of deviation s: s / dt sqrt(2 sum c^2) by differences, s / (4 dt) sqrt(2) over four intervals.
    weights = np.array([3 / 4, -3 / 20, 1 / 60])
    assert strong == pytest.approx(1e-2 * np.sqrt(2 * np.sum(weights**2)), rel=0.25)
    assert integral == pytest.approx(1e-2 * np.sqrt(2) / 4, rel=0.25)


@pytest.mark.slow
@pytest.mark.float64
def test_the_integral_residual_of_a_stochastic_system_takes_the_path_that_made_the_data(key):
    system, levels = DoubleWell(), []
    for interval, steps in ((0.08, 8), (0.02, 2)):
        keys = jax.random.split(key, 200)

        def own_and_other(k, dt=interval, steps=steps):
            made = solve(system, jnp.ones(1), dt * np.arange(9), dt=0.01, noise=NoisePath(k))
            paths = (NoisePath(k), NoisePath(k).after(1))
            return [integral_residual(system, made, dt, order=2, noise=p, steps=steps) for p in paths]

        own, other = jax.jit(jax.vmap(own_and_other))(keys)
        levels.append(float(jnp.sqrt(jnp.mean(own**2))))
        assert levels[-1] < 0.2 * float(jnp.sqrt(jnp.mean(other**2)))
    assert np.log(levels[0] / levels[1]) / np.log(4) == pytest.approx(0.5, abs=0.15)


def test_a_reading_sets_the_figure_beside_solver_data_the_zero_field_and_shrunk_data():
    trajectories = jnp.stack(
        [
            solve(BURGERS, a * BURGERS.sample_initial(jax.random.key(i)), 0.05 * np.arange(5), dt=0.01)
            for i, a in enumerate((1.0, 2.0))
        ]
    )

    @jax.jit
    def of_one(trajectory):
        return residual(BURGERS, trajectory, 0.05)

    reading = read_residual(of_one, 0.5 * trajectories, trajectories)
    rms = [float(jnp.sqrt(jnp.mean(jax.vmap(of_one)(f * trajectories) ** 2))) for f in (0.5, 1.0, 0.0, 0.9)]
    assert np.allclose(reading[:4], rms, rtol=1e-5) and np.isclose(reading.amplitude, 0.5)
    # Nothing at all solves Burgers' equation.
    assert reading.zero == 0 and "says nothing of the amplitude" in str(reading)
    assert str(reading).startswith(
        f"residual {rms[0]:.2e} (solver data {rms[1]:.2e}, solver data shrunk by 10% {rms[3]:.2e}"
    )


def test_a_reading_scales_only_what_it_is_told_to():
    # k u = 1: the zero field has the residual 1, shrinking u by 10% costs 0.1.
    k = jnp.asarray([1.0, 2.0, 4.0])[:, None]
    reading = read_residual(
        lambda s: s[0] * s[1] - 1, (k, 1.02 / k), (k, 1 / k), scale=lambda s, factor: (s[0], factor * s[1])
    )
    assert np.allclose(reading, [0.02, 0.0, 1.0, 0.1, 1.02], atol=1e-6)
    assert reading.verdict == "better than solver data shrunk by 10%"


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        ((0.05, 0.01, 1.0, 0.2, 1.0), "5.0 times the level of solver data; better than solver data shrunk by 10%"),
        ((0.30, 0.01, 1.0, 0.2, 1.0), "no better than solver data shrunk by 10%"),
        ((0.30, 0.01, 0.1, 0.2, 1.0), "the zero field does as well or better"),
        ((0.05, 0.01, 1.0, 0.012, 1.0), "hardly distinguishes solver data from the same shrunk by 10%"),
        ((np.nan, 0.01, 1.0, 0.2, 1.0), "not finite"),
    ],
)
def test_the_verdict_follows_from_the_figures(figures, said):
    assert said in ResidualReading(*map(np.asarray, figures)).verdict


_NUMBERS = st.floats(-3, 3), st.floats(0.1, 10), st.floats(-3, 3), st.floats(0.1, 10)
FLOW = StochasticNavierStokes2D(Grid((12, 12), (2 * np.pi, 2 * np.pi)), 0.1, forcing_mode=1, noise_mode=2)


def _in_units(system, mean, deviation):
    """``system`` normalised by numbers that may be traced, so that one compilation serves every example."""
    whole = normalized(system, np.zeros(len(system.channels)), np.ones(len(system.channels)))
    return dataclasses.replace(whole, mean=mean, deviation=deviation)


@jax.jit
def _orbit_in_both_units(mean, deviation, physical):
    """Fields, residuals and defects of `ORBIT`: in units of ``deviation`` and back, and in physical units."""
    system = _in_units(ORBIT, mean, deviation)
    own = system.normalize(physical)
    kinds = (residual, integral_residual)
    there = [kind(system, own, 0.1) * deviation for kind in kinds]
    there.append(defect(system, own[0], own[1], 0.1) * deviation)
    here = [kind(ORBIT, physical, 0.1) for kind in kinds]
    here.append(defect(ORBIT, physical[0], physical[1], 0.1))
    return system.denormalize(own), there, here


@pytest.mark.float64
@given(*_NUMBERS, st.integers(0, 2**31))
def test_normalisation_commutes_with_residuals_defects_and_solutions(shift, scale, other_shift, other_scale, seed):
    physical = 1 + jax.random.uniform(jax.random.key(seed), (5, 2))
    back, there, here = _orbit_in_both_units(np.array([shift, other_shift]), np.array([scale, other_scale]), physical)
    assert np.allclose(back, physical, atol=1e-12)
    for found, expected in zip(there, here, strict=True):
        assert np.allclose(found, expected, atol=1e-10)


@jax.jit
def _fields_and_noise_in_both_units(mean, deviation, key):
    """Of a field, of a stochastic process and of a stirred flow: by the normalised system, and by the system."""
    path, line, plane = NoisePath(key), jax.random.normal(key, (3, 16, 1)), jax.random.normal(key, (3, 12, 12, 1))
    process = OrnsteinUhlenbeck()
    fields, own, flow = (_in_units(system, mean, deviation) for system in (BURGERS, process, FLOW))
    there = (
        residual(fields, fields.normalize(line), 0.1) * deviation,
        own.denormalize(advance(own, own.normalize(np.ones(1)), 0.1, 3, noise=path)),
        # Its own solver is exponential and does not commute, but the integral residual takes no solver.
        integral_residual(flow, flow.normalize(plane), 0.1, noise=path, steps=2) * deviation,
    )
    here = (
        residual(BURGERS, line, 0.1),
        advance(process, np.ones(1), 0.1, 3, noise=path),
        integral_residual(FLOW, plane, 0.1, noise=path, steps=2),
    )
    return there, here


@pytest.mark.float64
@given(_NUMBERS[0], _NUMBERS[1], st.integers(0, 2**31))
def test_normalisation_commutes_for_fields_and_for_noise(shift, scale, seed):
    found = _fields_and_noise_in_both_units(np.array([shift]), np.array([scale]), jax.random.key(seed))
    for one, other, atol in zip(*found, (1e-9, 1e-10, 1e-9), strict=True):
        assert np.allclose(one, other, atol=atol)


def test_bad_input_is_refused_in_one_sentence(key):
    with pytest.raises(ValueError, match="order 3 of the integral is not offered"):
        integral_residual(ORBIT, np.ones((5, 2)), 0.1, order=3)
    with pytest.raises(ValueError, match="at least 5 times for order 6"):
        integral_residual(ORBIT, np.ones((4, 2)), 0.1, order=6)
    with pytest.raises(ValueError, match="OrnsteinUhlenbeck is stochastic and its paths have no derivative"):
        residual(OrnsteinUhlenbeck(), np.ones((5, 1)), 0.1)
    with pytest.raises(ValueError, match="noise is missing"):
        integral_residual(OrnsteinUhlenbeck(), np.ones((5, 1)), 0.1)
    with pytest.raises(ValueError, match="give one number for each of the channels"):
        normalized(ORBIT, np.zeros(3), np.ones(3))
    with pytest.raises(ValueError, match="deviation positive"):
        normalized(ORBIT, np.zeros(2), np.array([1.0, 0.0]))
    with pytest.raises(ValueError, match="exponential and does not commute"):
        advance(
            normalized(KuramotoSivashinsky(Grid((16,), (22.0,))), np.zeros(1), np.ones(1)), np.zeros((16, 1)), 0.1, 1
        )
    with pytest.raises(ValueError, match="give samples of one kind"):
        read_residual(lambda u: u, jnp.ones((2, 3)), jnp.ones((2, 4)))
    assert isinstance(normalized(ORBIT, np.zeros(2), np.ones(2)).default_solver, diffrax.Tsit5)
