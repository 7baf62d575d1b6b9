"""Baselines on distributions whose answer is known: a Gaussian, and a linear regression."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan.baselines import Fit
from gan.baselines.autoencoders import autoencoder, fit_mixture, variational_autoencoder
from gan.baselines.ensemble_score import ensemble_score
from gan.baselines.flow_matching import flow_matching
from gan.baselines.regression import regression
from gan.training.problem import Problem

MEAN = np.array([3.0, -1.0])
COVARIANCE = np.array([[2.0, 1.2], [1.2, 1.0]])


def gaussian(count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.multivariate_normal(MEAN, COVARIANCE, count).astype(np.float32)


def fit(toy, problem: Problem, steps: int = 1500, **network) -> Fit:
    return Fit(
        problem,
        toy.recipe(
            network={"kind": "mlp", "width": 32, "blocks": 2, "latent": 2, **network},
            optimizer={"average_half_life": 5000.0},
            solver_layer={"tau": 0.0},
            training={"steps": steps, "batch": 128, "steps_per_call": 50, "log_every": 50, "sample_chunk": 2000},
        ),
    )


@pytest.fixture(scope="module")
def flow(toy):
    with jax.enable_x64(False):
        return flow_matching(fit(toy, Problem(gaussian(20_000))))


def moments_agree(samples: np.ndarray, mean: float, covariance: float) -> None:
    np.testing.assert_allclose(samples.mean(axis=0), MEAN, atol=mean)
    np.testing.assert_allclose(np.cov(samples, rowvar=False), COVARIANCE, atol=covariance)


@pytest.mark.parametrize("make", [autoencoder, variational_autoencoder])
def test_autoencoders_learn_mean_and_covariance_of_a_gaussian(toy, make):
    made = make(fit(toy, Problem(gaussian(20_000))))
    assert made.evaluations == 1 and made.training_seconds > 0
    moments_agree(made.sample(jax.random.key(0), 4000), mean=0.12, covariance=0.25)


def euler_covariance(steps: int) -> np.ndarray:
    """Covariance of Euler's method for the exact velocity field of a Gaussian.

    Where the normalised data have the variance l, v(x, t) = x (t l - (1 - t)) / ((1 - t)^2 + t^2 l).
    """
    std = np.sqrt(np.diag(COVARIANCE))
    variances, axes = np.linalg.eigh(COVARIANCE / np.outer(std, std))
    factor = np.ones(2)
    for t in np.arange(steps) / steps:
        factor *= 1 + (t * variances - (1 - t)) / ((1 - t) ** 2 + t**2 * variances) / steps
    return np.outer(std, std) * (axes @ np.diag(factor**2) @ axes.T)


@pytest.mark.parametrize("steps", [1, 4, 20])
def test_flow_matching_samples_have_the_covariance_of_eulers_method_for_the_exact_field(flow, steps):
    """With one step every sample is the mean; with more the covariance grows towards the data's."""
    samples = flow[f"flow_matching_{steps}"].sample(jax.random.key(0), 4000)
    np.testing.assert_allclose(samples.mean(axis=0), MEAN, atol=0.12)
    np.testing.assert_allclose(np.cov(samples, rowvar=False), euler_covariance(steps), atol=0.2)


def test_eulers_method_converges_to_the_gaussian_at_its_order():
    errors = [np.abs(euler_covariance(steps) - COVARIANCE).max() for steps in (20, 200, 2000)]
    assert errors[1] == pytest.approx(errors[0] / 10, rel=0.2)
    assert errors[2] == pytest.approx(errors[1] / 10, rel=0.05)


def test_regression_is_the_conditional_mean(toy):
    rng = np.random.default_rng(0)
    condition = rng.standard_normal((10_000, 1)).astype(np.float32)
    fields = (1.0 + 2.0 * condition + rng.standard_normal((10_000, 1))).astype(np.float32)
    made = regression(fit(toy, Problem(fields, condition={"c": condition})))
    asked = np.linspace(-1.5, 1.5, 7, dtype=np.float32)[:, None]
    told = made.sample(jax.random.key(0), 7, {"c": asked})
    np.testing.assert_allclose(told, 1.0 + 2.0 * asked, atol=0.3)
    np.testing.assert_array_equal(told, made.sample(jax.random.key(1), 7, {"c": asked}))
    with pytest.raises(ValueError, match="needs a condition"):
        regression(fit(toy, Problem(fields)))


def test_the_ensemble_score_teaches_the_distribution_of_every_number_given_the_condition(toy):
    rng = np.random.default_rng(0)
    condition = rng.standard_normal((10_000, 1)).astype(np.float32)
    noise = rng.standard_normal((10_000, 1)) * np.where(condition > 0, 1.5, 0.5)
    fields = (1.0 + 2.0 * condition + noise).astype(np.float32)
    made = ensemble_score(fit(toy, Problem(fields, condition={"c": condition})))
    for asked, spread in ((-1.0, 0.5), (1.0, 1.5)):
        samples = made.sample(jax.random.key(0), 2000, {"c": np.full((2000, 1), asked, np.float32)})
        assert samples.mean() == pytest.approx(1.0 + 2.0 * asked, abs=0.3)
        assert samples.std() == pytest.approx(spread, rel=0.3)


def test_the_energy_score_teaches_the_joint_distribution_where_there_is_no_condition(toy):
    made = ensemble_score(fit(toy, Problem(gaussian(20_000))))
    moments_agree(made.sample(jax.random.key(0), 4000), mean=0.12, covariance=0.25)


def test_a_mixture_is_fitted_by_expectation_maximisation():
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.normal(-4.0, 0.5, (3000, 2)), rng.normal(4.0, 1.0, (1000, 2))])
    weights, means, factors = fit_mixture(points, 2, seed=1)
    order = np.argsort(means[:, 0])
    np.testing.assert_allclose(weights[order], [0.75, 0.25], atol=0.01)
    np.testing.assert_allclose(means[order], [[-4, -4], [4, 4]], atol=0.1)
    deviations = np.sqrt(np.diagonal(factors @ factors.transpose(0, 2, 1), axis1=1, axis2=2))
    np.testing.assert_allclose(deviations[order], [[0.5, 0.5], [1.0, 1.0]], atol=0.05)


def test_a_sample_depends_on_its_place_and_key_alone(flow):
    made = flow["flow_matching_4"]
    few, many = made.sample(jax.random.key(3), 3), made.sample(jax.random.key(3), 2500)
    np.testing.assert_allclose(few, many[:3], atol=1e-5)
    assert np.abs(few - made.sample(jax.random.key(4), 3)).min() > 0


@pytest.mark.slow
def test_fields_and_trajectories_with_conditions_have_their_shapes(toy):
    rng = np.random.default_rng(0)
    fields = rng.standard_normal((64, 3, 8, 1)).astype(np.float32)
    given = {"seen": rng.standard_normal((64, 8, 2)).astype(np.float32), "size": np.ones((64, 1), np.float32)}
    problem = Problem(fields, condition=given, trajectory=True)
    made = fit(toy, problem, steps=50, kind="residual", levels=2, width=4, blocks=1)
    asked = {name: value[:5] for name, value in given.items()}
    fitted = {**flow_matching(made), "variational": variational_autoencoder(made), "score": ensemble_score(made)}
    for one in fitted.values():
        samples = one.sample(jax.random.key(0), 5, asked)
        assert samples.shape == (5, 3, 8, 1) and jnp.isfinite(samples).all()
