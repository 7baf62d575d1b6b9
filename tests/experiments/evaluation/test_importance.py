"""Importance weights: a Gaussian proposal of a Gaussian target, the effective size, and draws without a density."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.evaluation.importance import effective_share, normalized_weights, resampled


def test_weighted_draws_of_a_wide_gaussian_are_those_of_a_narrow_one():
    """For N(0, s^2) weighted to N(0, 1) the expected share is sqrt(2 s^2 - 1) / s^2."""
    rng, spread = np.random.default_rng(0), 1.5
    draws = spread * rng.standard_normal((3, 20_000))
    weights = normalized_weights(-0.5 * draws**2, -0.5 * (draws / spread) ** 2)
    assert weights.sum(axis=1) == pytest.approx(1)
    assert effective_share(weights) == pytest.approx(np.sqrt(2 * spread**2 - 1) / spread**2, abs=0.02)
    kept = resampled(draws[..., None], weights, 4096, seed=1)
    assert kept.shape == (3, 4096, 1)
    assert kept.std(axis=1).ravel() == pytest.approx(1, abs=0.04)


@given(st.integers(1, 50), st.integers(0, 2**31 - 1))
def test_the_effective_share_lies_between_one_draw_and_all(count, seed):
    log_target = np.random.default_rng(seed).normal(scale=3.0, size=(2, count))
    found = effective_share(normalized_weights(log_target, np.zeros((2, count))))
    assert np.all(found >= 1 / count - 1e-12)
    assert np.all(found <= 1 + 1e-12)


def test_every_draw_is_taken_as_often_as_its_weight_asks_for_to_less_than_one():
    weights = np.array([[0.5, 0.3, 0.2, 0.0]])
    kept = resampled(np.arange(4.0).reshape(1, 4, 1), weights, 10, seed=3)
    assert np.bincount(kept.ravel().astype(int), minlength=4).tolist() == [5, 3, 2, 0]


def test_draws_without_a_density_have_no_weight():
    weights = normalized_weights(np.zeros((1, 3)), np.array([[0.0, np.nan, 0.0]]))
    assert weights.tolist() == [[0.5, 0.0, 0.5]]


def test_a_case_without_any_known_density_has_the_share_zero_and_its_draws_are_taken_alike():
    weights = normalized_weights(np.zeros((2, 4)), np.array([[np.nan] * 4, [0.0, np.inf, 0.0, 0.0]]))
    assert weights[0].tolist() == [0.0] * 4 and weights[1].sum() == pytest.approx(1)
    assert effective_share(weights).tolist() == pytest.approx([0.0, 0.75])
    kept = resampled(np.tile(np.arange(4.0)[:, None], (2, 1, 1)), weights, 8, seed=2)
    assert np.bincount(kept[0].ravel().astype(int), minlength=4).tolist() == [2, 2, 2, 2]
