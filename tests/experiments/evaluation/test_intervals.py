"""Central intervals of draws, and intervals over few cases: how often they hold what they should."""

import numpy as np
import pytest

from experiments.evaluation.intervals import central, over_cases


@pytest.mark.parametrize("distribution", ["standard_normal", "standard_exponential", "standard_cauchy"])
@pytest.mark.parametrize("draws", [39, 50, 200])
def test_one_more_draw_lies_between_the_ends_95_times_in_100_whatever_the_distribution(distribution, draws):
    many = getattr(np.random.default_rng(0), distribution)((draws + 1, 8000))
    low, high = central(many[1:])
    # Four standard errors of a share of 95% over 8000.
    assert np.mean((low <= many[0]) & (many[0] <= high)) == pytest.approx(0.95, abs=0.01)


def test_few_draws_give_their_whole_range():
    assert central(np.array([3.0, 1.0, 2.0])).tolist() == [1.0, 3.0]


@pytest.mark.parametrize("cases", [8, 24, 200])
def test_an_interval_over_few_cases_holds_the_mean_as_often_as_over_many(cases):
    rng, held = np.random.default_rng(1), []
    for _ in range(1500):
        values = rng.standard_normal(cases)
        copies = values[rng.integers(cases, size=(200, cases))].mean(axis=1)
        low, high = over_cases(copies, float(values.mean()), cases)
        held.append(low <= 0 <= high)
    assert np.mean(held) == pytest.approx(0.95, abs=0.025)


def test_an_interval_ends_at_the_smallest_possible_value():
    low, high = over_cases(np.array([0.0, 0.1, 0.2]), 0.05, 3, least=0.0)
    assert low == 0.0 and high > 0.05
