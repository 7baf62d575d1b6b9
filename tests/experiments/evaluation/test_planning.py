"""The power of a planned study, by its formula and by simulation; and what generated fields are shown to add to it."""

import numpy as np
import pytest
from scipy import stats

from experiments.evaluation.planning import planning, quantities
from experiments.evaluation.verdict import planning_sentences


def test_the_smallest_difference_is_found_as_often_as_the_power_says():
    rng = np.random.default_rng(0)
    held = {"q": rng.normal(0, 2, 100_000)}
    plan = planning({"q": rng.normal(0, 2, 100_000)}, held, 200, 80).plans["q"]
    first, second = rng.normal(0, 2, (4000, 200)), rng.normal(plan.real, 2, (4000, 80))
    assert np.mean(stats.ttest_ind(first, second, axis=1).pvalue < 0.05) == pytest.approx(0.8, abs=0.03)
    assert plan.bound < plan.generated < plan.real


def test_generated_fields_add_nothing_that_few_held_out_fields_could_not_show():
    """Even a perfect generator is shown to be worth no more than about a quarter of the held-out fields."""
    rng = np.random.default_rng(1)
    found = planning({"q": rng.standard_normal(50_000)}, {"q": rng.standard_normal(200)}, 700, 100)
    plan = found.plans["q"]
    assert plan.worth < 200 / 1.96**2 and plan.generated == plan.real and not found.helped
    assert "not shown" in planning_sentences(found)[0]
    few = planning({"q": rng.standard_normal(50_000)}, {"q": rng.standard_normal(20_000)}, 30, 100)
    assert few.helped == ("q",) and few.plans["q"].generated < few.plans["q"].real


def test_a_biased_generator_is_worth_few_fields():
    rng = np.random.default_rng(2)
    plan = planning({"q": 0.5 + rng.standard_normal(10_000)}, {"q": rng.standard_normal(10_000)}, 50, 50).plans["q"]
    assert plan.bias_interval[0] < 0.5 < plan.bias_interval[1]
    assert plan.worth == pytest.approx(1 / 0.5**2, rel=0.2)


def test_quantities_leave_out_what_was_never_measured():
    fields = np.arange(24.0).reshape(2, 3, 4, 1)
    seen = np.zeros((3, 4, 1), bool)
    seen[0] = True
    found = quantities(fields, ("u",), seen)
    np.testing.assert_allclose(found["mean of u"], [1.5, 13.5])
    np.testing.assert_allclose(found["largest u"], [3.0, 15.0])
    assert set(quantities(np.zeros((5, 2)), ("a", "b"))) == {"mean of a", "mean of b"}
