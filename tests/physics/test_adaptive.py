"""Adaptive exponential steps: tolerance, vmap, gradients, the work of a step; fields between the steps."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physics import (
    ERK43,
    ETD53,
    ETDRK2,
    ETDRK3,
    ETDRK4,
    IFRK4,
    Burgers,
    Grid,
    KortewegDeVries,
    KuramotoSivashinsky,
    Lorenz63,
    SemilinearTerm,
    advance,
    solve,
)
from physics.integrators.exponential import AbstractExponentialSolver
from physics.solving.adaptive import controller_of

KDV = KortewegDeVries(Grid((32,), (12.0,)))
KS = KuramotoSivashinsky(Grid((32,), (16.0,)))


def _start(system):
    (x,), (length,) = system.grid.coordinates(), system.grid.extent
    phase = 2 * np.pi * x / length
    return jnp.asarray(np.cos(phase) + 0.5 * np.sin(2 * phase + 1))[:, None]


@pytest.mark.float64
@pytest.mark.parametrize("solver", [None, pytest.param(ERK43(), marks=pytest.mark.slow)], ids=["ETD53", "ERK43"])
def test_error_follows_the_tolerance(solver):
    u0 = _start(KS)
    exact = advance(KS, u0, 0.005, 800)
    size = float(jnp.sqrt(jnp.mean(exact**2)))

    @jax.jit
    def end(tolerance):
        controller = diffrax.PIDController(rtol=tolerance, atol=tolerance * size)
        return solve(KS, u0, [4.0], stepsize_controller=controller, solver=solver, max_steps=1024)[-1]

    errors = [float(jnp.sqrt(jnp.mean((end(t) - exact) ** 2))) / size for t in (1e-3, 1e-5, 1e-7)]
    assert all(error < 10 * tolerance for error, tolerance in zip(errors, (1e-3, 1e-5, 1e-7), strict=True)), errors
    assert errors[1] < errors[0] / 20 and errors[2] < errors[1] / 20, errors


def test_one_number_for_the_tolerance_is_relative_to_the_size_of_the_field():
    controller = controller_of(1e-4, jnp.array([[3.0], [-3.0]]))
    assert np.isclose(controller.rtol, 1e-4) and np.isclose(controller.atol, 3e-4)
    assert np.isclose(controller_of(1e-4, jnp.zeros((4, 1))).atol, 1e-4)


@pytest.mark.slow
@pytest.mark.float64
def test_lanes_of_different_stiffness_are_solved_as_if_alone_and_their_gradients_match_finite_differences():
    grid = Grid((16,), (2 * np.pi,))
    u0, amplitudes = _start(KS)[::2], jnp.array([0.1, 1.0, 4.0])

    def end(amplitude, nu):
        return (solve(Burgers(grid, nu), amplitude * u0, [0.5], tolerance=1e-9, max_steps=512)[-1] ** 3).sum()

    def fine(amplitude, nu):
        return (advance(Burgers(grid, nu), amplitude * u0, 0.0025, 200) ** 3).sum()

    values, slopes = jax.jit(jax.vmap(jax.value_and_grad(end, (0, 1)), (0, None)))(amplitudes, 0.2)
    assert np.isclose(values[0], jax.jit(end)(0.1, 0.2), rtol=1e-10)
    by_amplitude = [fine(a + 1e-5, 0.2) - fine(a - 1e-5, 0.2) for a in amplitudes]
    by_viscosity = [fine(a, 0.2 + 1e-5) - fine(a, 0.2 - 1e-5) for a in amplitudes]
    assert np.allclose(slopes, np.array([by_amplitude, by_viscosity]) / 2e-5, rtol=1e-5)


@pytest.mark.parametrize(("solver", "evaluations"), [(ETD53(), 6), (ERK43(), 5), (ETDRK4(), 4), (ETDRK2(), 2)])
def test_a_step_repeats_no_work_alone_and_in_a_batch(solver, evaluations):
    term = SemilinearTerm(KS)
    u0 = _start(KS)

    def step(h, u):
        state = jax.eval_shape(lambda: solver.init(term, 0.0, 0.1, u, None))
        state = jax.tree.map(lambda leaf: jnp.ones(leaf.shape, leaf.dtype), state)
        y, error, _, state, _ = solver.step(term, jnp.zeros(()), h, u, None, state, False)
        return y, error, state

    batched = jax.make_jaxpr(jax.vmap(step))(jnp.full(3, 0.1), jnp.stack([u0] * 3))
    for jaxpr in (jax.make_jaxpr(step)(0.1, u0), batched):
        # Two transforms for every evaluation of N, and one each for the new field and its error.
        assert _count(jaxpr.jaxpr, "fft") == 2 * evaluations + 2
        # In a batch too, coefficients are recomputed inside of a branch, which is left out while steps stay the same.
        assert _count(jaxpr.jaxpr, "cond") == 1
        assert _count(jaxpr.jaxpr, "exp", into_branches=False) == 0


def _count(jaxpr, name, into_branches=True):
    total = 0
    for equation in jaxpr.eqns:
        total += equation.primitive.name == name
        if into_branches or equation.primitive.name != "cond":
            for sub in jax.core.jaxprs_in_params(equation.params):
                total += _count(sub, name, into_branches)
    return total


@pytest.mark.float64
@pytest.mark.parametrize(
    ("solver", "order", "system", "time"),
    [
        (ETDRK4(), 4, KDV, 1.0),
        pytest.param(ERK43(), 4, KDV, 1.0, marks=pytest.mark.slow),
        pytest.param(ETDRK3(), 3, KDV, 1.0, marks=pytest.mark.slow),
        pytest.param(IFRK4(), 4, KDV, 1.0, marks=pytest.mark.slow),
        pytest.param(ETDRK2(), 2, KS, 2.0, marks=pytest.mark.slow),
        pytest.param(ETD53(), 4, KDV, 1.0, marks=pytest.mark.slow),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, AbstractExponentialSolver) else "",
)
def test_fields_between_the_steps_are_right_to_the_order_of_the_method_at_most_four(solver, order, system, time):
    u0, errors = _start(system), []
    for steps in (200, 400):
        # After few steps, so that the sum of their errors does not hide the interpolation's, and at the same fractions
        # of a step whatever its length, since its error depends on them.
        numbers = np.append(steps // 50 + np.array([0.25, 0.5, 0.75]), steps // 25)
        times, dt = numbers * time / steps, time / steps
        exact = solve(system, u0, times, dt=time / 6400)
        fields = solve(system, u0, times, dt=dt, solver=solver, dense=True)
        assert np.allclose(fields[-1], advance(system, u0, dt, steps // 25, solver=solver), atol=1e-11)
        errors.append(np.abs(fields - exact)[:-1].max(axis=(1, 2)))
    assert np.all(np.abs(np.log2(errors[0] / errors[1]) - order) < 0.3), errors


@pytest.mark.float64
def test_adaptive_steps_that_go_their_own_way_meet_the_tolerance_between_them():
    u0, times = _start(KS), np.linspace(0.0, 4.0, 41)
    exact = solve(KS, u0, times, dt=0.005)
    size = float(jnp.sqrt(jnp.mean(exact**2)))
    assert np.abs(solve(KS, u0, times, tolerance=1e-6, dense=True) - exact).max() < 1e-5 * size


@pytest.mark.float64
def test_ordinary_solvers_interpolate_as_diffrax_does():
    u0, times = jnp.asarray([1.0, 2.0, 20.0]), [0.0, 0.123, 0.3]
    exact = solve(Lorenz63(), u0, times, dt=0.001)
    assert np.abs(solve(Lorenz63(), u0, times, dt=0.01, dense=True) - exact).max() < 1e-4


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda u: solve(KS, u, [1.0], tolerance=0.0), "tolerance must be one positive number"),
        (
            lambda u: solve(KS, u, [1.0], tolerance=1e-3, stepsize_controller=diffrax.PIDController(1e-3, 1e-3)),
            "two ways to say one thing",
        ),
        (lambda u: solve(KS, u, [1.0], dt=-0.1, dense=True), "positive, finite step"),
        (lambda u: solve(KS, u, [1.0], dense=True, adjoint="sqrt"), "give a number of checkpoints"),
        (
            lambda u: solve(Lorenz63(), np.ones(3), [1.0], tolerance=1e-3, solver=ETD53()),
            "solver ETD53 needs a semilinear",
        ),
        (
            lambda u: advance(Lorenz63(), np.ones(3), 0.1, 1, solver=IFRK4()),
            "solver IFRK4 needs .* but Lorenz63 is none",
        ),
        (
            lambda u: solve(KS, u, [1.0, 50.0], tolerance=1e-6, max_steps=20),
            "^max_steps is 20, too few adaptive steps to reach time 50: give more of them or a larger tolerance, or an "
            "earlier time if the equation itself blows up.$",
        ),
        (
            lambda u: jax.vmap(lambda v: solve(KS, v, [50.0], tolerance=1e-6, max_steps=20))(u[None]),
            "^max_steps is 20, too few",
        ),
    ],
)
def test_bad_input_is_refused_in_one_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call(_start(KS))
