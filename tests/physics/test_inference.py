"""Samplers of posteriors: linear problems with known answers, two modes with known weights, and what is counted."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physics import (
    InverseProblem,
    Lorenz96,
    crank_nicolson,
    ensemble_smoother,
    laplace_mixture,
    laplace_modes,
    nuts,
    solve,
    tempered_posterior,
)
from physics.inference.inverse_problem import IMPOSSIBLE

NOISE = 0.3
ROWS = np.array([[1.0, 0.5, 0.0], [0.0, 1.0, -1.0]], np.float32)
OBSERVED = np.array([[0.7, -0.4], [-1.2, 0.3]], np.float32)


def linear() -> InverseProblem:
    return InverseProblem(3, lambda theta: theta, lambda theta: jnp.asarray(ROWS) @ theta, NOISE)


def exact(observed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviations of the Gaussian posterior of the linear problem."""
    covariance = np.linalg.inv(np.eye(3) + ROWS.T @ ROWS / NOISE**2)
    return covariance @ ROWS.T @ observed / NOISE**2, np.sqrt(np.diag(covariance))


@pytest.mark.parametrize(
    ("draw", "calls"),
    [
        (lambda p, y, k: tempered_posterior(p, y, 1024, k, moves=20), None),
        (lambda p, y, k: crank_nicolson(p, y, 1024, k, steps=150), 151.0),
        (lambda p, y, k: ensemble_smoother(p, y, 4096, k, iterations=4), 4.0),
        pytest.param(lambda p, y, k: nuts(p, y, 1024, k, warmup=200, thin=2), None, marks=pytest.mark.slow),
        (lambda p, y, k: laplace_mixture(p, y, 4096, k, starts=4, iterations=4), 4 * 21 / 4096),
    ],
    ids=["tempered", "crank_nicolson", "ensemble_smoother", "nuts", "laplace_mixture"],
)
def test_a_linear_problem_has_its_gaussian_posterior(draw, calls):
    made = draw(linear(), OBSERVED, jax.random.key(0))
    for ensemble, observed in zip(np.asarray(made.unknowns), OBSERVED):
        mean, std = exact(observed)
        assert np.abs(ensemble.mean(axis=0) - mean).max() < 0.12
        np.testing.assert_allclose(ensemble.std(axis=0), std, rtol=0.12)
    assert calls is None or made.solver_calls == calls


@pytest.mark.slow
def test_magnitudes_leave_two_modes_of_known_weight_and_the_smoother_misses_them():
    """From |theta| both signs are as likely; the prior's mean shifted by a second observation weighs them."""
    problem = InverseProblem(1, lambda theta: theta, lambda u: jnp.stack([jnp.abs(u[0]), 0.05 * u[0]]), 0.1)
    observed = np.array([[1.0, 0.05]], np.float32)
    made = np.asarray(tempered_posterior(problem, observed, 2048, jax.random.key(1), moves=30).unknowns)[0, :, 0]
    grid = np.linspace(-3, 3, 6001)
    density = np.exp(-0.5 * grid**2 - 0.5 * ((1 - np.abs(grid)) ** 2 + (0.05 - 0.05 * grid) ** 2) / 0.1**2)
    positive = density[grid > 0].sum() / density.sum()
    assert np.mean(made > 0) == pytest.approx(positive, abs=0.05)
    assert np.mean(np.abs(np.abs(made) - 1) < 0.35) > 0.97
    mixed = np.asarray(laplace_mixture(problem, observed, 2048, jax.random.key(3), starts=8, iterations=8).unknowns)
    assert np.mean(mixed > 0) == pytest.approx(positive, abs=0.02)
    assert np.mean(np.abs(np.abs(mixed) - 1) < 0.35) > 0.97
    smoothed = np.asarray(ensemble_smoother(problem, observed, 2048, jax.random.key(2), iterations=4).unknowns)[0, :, 0]
    assert np.mean(np.abs(np.abs(smoothed) - 1) < 0.35) < 0.6


def test_a_simulation_that_fails_is_impossible():
    problem = InverseProblem(1, lambda theta: jnp.where(theta > 0, jnp.inf, theta), lambda u: u, 0.1)
    assert float(problem.log_likelihood(jnp.ones(1), jnp.zeros(1))) == pytest.approx(IMPOSSIBLE)
    observed = np.array([[-0.5]], np.float32)
    made = tempered_posterior(problem, observed, 64, jax.random.key(0), moves=5)
    assert np.all(np.asarray(made.unknowns) <= 0)
    assert np.isfinite(np.asarray(ensemble_smoother(problem, observed, 64, jax.random.key(0), iterations=2)[0])).all()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda p: tempered_posterior(p, OBSERVED, 9, jax.random.key(0), moves=1), "even number"),
        (lambda p: crank_nicolson(p, OBSERVED, 8, jax.random.key(0), steps=0), "steps must be at least 1"),
        (lambda p: ensemble_smoother(p, OBSERVED, 8, jax.random.key(0), iterations=0), "iterations must be at least 1"),
        (lambda p: InverseProblem(0, p.simulate, p.observe, 0.1), "dimension must be at least 1"),
        (lambda p: InverseProblem(1, p.simulate, p.observe, 0.0), "noise must be a positive"),
    ],
)
def test_what_makes_no_sense_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call(linear())


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"warmup": 0, "thin": 1}, "at least 1"),
        ({"warmup": 1, "thin": 0}, "at least 1"),
        ({"warmup": 1, "thin": 1, "chains": 3}, "multiple of the 3 chains"),
    ],
)
def test_chains_without_steps_or_that_do_not_divide_the_members_are_refused(asked, words):
    with pytest.raises(ValueError, match=words):
        nuts(linear(), OBSERVED, 64, jax.random.key(0), **asked)


def test_a_minimum_that_several_starts_find_is_counted_once():
    problem = InverseProblem(1, lambda theta: theta, jnp.abs, 0.1)
    starts = np.array([[[0.5], [0.7], [1.4], [-0.6]]], np.float32)
    modes = laplace_modes(problem, np.ones((1, 1), np.float32), starts, iterations=8)
    weights = np.exp(np.asarray(modes.log_weight)[0])
    assert (weights > 0).sum() == 2 and weights[3] > 0
    np.testing.assert_allclose(weights[3] / weights.sum(), 0.5, rtol=1e-3)
    np.testing.assert_allclose(np.abs(modes.minima[0, :, 0]), 1 / 1.01, rtol=1e-3)


def test_a_start_whose_simulation_fails_has_no_weight():
    problem = InverseProblem(1, lambda theta: jnp.where(theta > 0, jnp.nan, theta), lambda u: u, 0.1)
    modes = laplace_modes(problem, -np.ones((1, 1), np.float32), np.array([[[0.5], [-0.5]]]), iterations=4)
    assert np.isneginf(modes.log_weight[0, 0]) and np.isfinite(modes.log_weight[0, 1])
    assert np.isfinite(modes.draw(16, jax.random.key(0))).all()


def test_growing_parts_reach_the_minimum_of_a_long_chaotic_window():
    """From the mean of the prior, over 1.2 units of Lorenz-96, more than twice the time in which errors double."""
    system, times = Lorenz96(), 0.2 * np.arange(1, 7)
    problem = InverseProblem(
        40, lambda theta: solve(system, 2.3 + 3.6 * theta[:, None], times, dt=0.05), lambda u: u[..., 0].ravel(), 1.0
    )
    truths = jax.random.normal(jax.random.key(4), (3, 40))
    seen = jax.vmap(problem.predict)(truths)
    observed = np.asarray(seen + jax.random.normal(jax.random.key(5), seen.shape))
    true_cost = 0.5 * ((observed - np.asarray(seen)) ** 2).sum(axis=1) + 0.5 * (np.asarray(truths) ** 2).sum(axis=1)
    start = np.zeros((3, 1, 40), np.float32)
    at_once = laplace_modes(problem, observed, start, iterations=18)
    growing = laplace_modes(problem, observed, start, iterations=3, parts=tuple((1 + np.arange(6)) / 6))
    assert (np.asarray(growing.cost)[:, 0] < true_cost).all()
    assert (np.asarray(at_once.cost)[:, 0] > 2 * true_cost).any()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"starts": 0}, "starts must"),
        ({"iterations": 0}, "iterations must"),
        ({"parts": ()}, "grow to 1"),
        ({"parts": (0.5,)}, "grow to 1"),
        ({"parts": (0.5, 0.5, 1.0)}, "grow to 1"),
    ],
)
def test_settings_of_the_mixture_that_cannot_be_used_are_refused(given, words):
    settings = {"starts": 2, "iterations": 2, **given}
    with pytest.raises(ValueError, match=words):
        laplace_mixture(linear(), OBSERVED, 8, jax.random.key(0), **settings)
