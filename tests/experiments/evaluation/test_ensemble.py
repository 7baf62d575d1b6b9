"""Ensemble scores: closed forms, agreement with scoringrules, and what reliable and unreliable ensembles
get."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.evaluation.scores import (
    coverage,
    crps,
    energy_score,
    rank_flatness,
    rank_histogram,
    spread_skill_ratio,
)


def normal_crps(mean, std, y):
    """Gneiting et al. 2005, eq. 5: CRPS of a normal distribution."""
    from scipy.stats import norm

    z = (y - mean) / std
    return std * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - 1 / np.sqrt(np.pi))


@pytest.mark.float64
def test_crps_of_many_normal_members_is_the_closed_form():
    rng = np.random.default_rng(0)
    truth = np.array([-1.0, 0.2, 2.5])
    members = 0.5 + 1.5 * rng.standard_normal((20000, 3))
    np.testing.assert_allclose(crps(members, truth), normal_crps(0.5, 1.5, truth), rtol=0.02)


@pytest.mark.float64
def test_fair_crps_of_few_members_has_the_closed_form_as_its_mean_and_the_standard_one_exceeds_it():
    rng = np.random.default_rng(1)
    members, truth = rng.standard_normal((4, 40000)), np.full(40000, 0.3)
    exact = normal_crps(0.0, 1.0, 0.3)
    assert float(crps(members, truth).mean()) == pytest.approx(exact, rel=0.02)
    # The standard estimator's excess is E|X - X'| / (2 M) = 1 / (M sqrt(pi)).
    excess = float(crps(members, truth, fair=False).mean()) - exact
    assert excess == pytest.approx(1 / (4 * np.sqrt(np.pi)), rel=0.05)


@pytest.mark.float64
def test_crps_and_energy_score_agree_with_scoringrules():
    rules = pytest.importorskip("scoringrules")
    rng = np.random.default_rng(2)
    members, truth = rng.standard_normal((7, 5, 3)), rng.standard_normal((5, 3))
    for fair, name in ((True, "fair"), (False, "nrg")):
        theirs = rules.crps_ensemble(truth, np.moveaxis(members, 0, -1), estimator=name, backend="numpy")
        np.testing.assert_allclose(crps(members, truth, fair=fair), theirs, rtol=1e-10)
        theirs = rules.es_ensemble(
            truth, np.moveaxis(members, 0, -2), estimator="fair" if fair else "nrg", backend="numpy"
        )
        np.testing.assert_allclose(energy_score(members, truth, fair=fair), theirs, rtol=1e-10)


def test_energy_score_in_one_dimension_is_the_crps():
    rng = np.random.default_rng(3)
    members, truth = rng.standard_normal((6, 9, 1)), rng.standard_normal((9, 1))
    np.testing.assert_allclose(energy_score(members, truth), crps(members, truth)[..., 0], rtol=1e-5, atol=1e-6)


def test_energy_score_of_coinciding_members_has_a_finite_gradient():
    members, truth = jnp.ones((3, 2)), jnp.zeros(2)
    gradient = jax.grad(lambda m: energy_score(m, truth))(members)
    # Each member moves its own distance to the truth; repulsion between coinciding members counts as zero.
    np.testing.assert_allclose(gradient, np.full((3, 2), 1 / (3 * np.sqrt(2))), rtol=1e-5)


@pytest.mark.float64
def test_gradient_of_crps_equals_finite_differences():
    rng = np.random.default_rng(4)
    members, truth, way = rng.standard_normal((5, 4)), rng.standard_normal(4), rng.standard_normal((5, 4))
    slope = jnp.vdot(jax.grad(lambda m: crps(m, truth).sum())(members), way)
    step = 1e-6
    both = [float(crps(members + s * step * way, truth).sum()) for s in (1, -1)]
    assert float(slope) == pytest.approx((both[0] - both[1]) / (2 * step), rel=1e-6)


@pytest.mark.parametrize("members", [3, 30])
def test_a_reliable_ensemble_of_any_size_has_spread_skill_one(members):
    rng = np.random.default_rng(5)
    centre = rng.standard_normal(20000)
    ensemble = centre + rng.standard_normal((members, 20000))
    truth = centre + rng.standard_normal(20000)
    assert float(spread_skill_ratio(ensemble, truth)) == pytest.approx(1.0, abs=0.02)
    halved = centre + 0.5 * rng.standard_normal((members, 20000))
    assert float(spread_skill_ratio(halved, truth)) < 0.6


@pytest.mark.parametrize(("members", "level"), [(19, 0.9), (25, 0.9), (50, 0.8)])
def test_a_reliable_ensemble_covers_at_its_level(members, level):
    rng = np.random.default_rng(6)
    ensemble, truth = rng.standard_normal((members, 20000)), rng.standard_normal(20000)
    assert float(coverage(ensemble, truth, level)) == pytest.approx(level, abs=0.01)
    assert float(coverage(0.5 * ensemble, truth, level)) < level - 0.2


def test_coverage_refuses_an_ensemble_without_such_an_interval():
    with pytest.raises(ValueError, match="at least 19 members, not 18"):
        coverage(np.zeros((18, 4)), np.zeros(4), 0.9)


def test_rank_histogram_of_a_reliable_ensemble_is_flat_and_of_a_narrow_one_is_not(key):
    rng = np.random.default_rng(7)
    ensemble, truth = rng.standard_normal((9, 5000)), rng.standard_normal(5000)
    counts = rank_histogram(ensemble, truth, key)
    assert counts.shape == (10,) and int(counts.sum()) == 5000
    ratio, p_value = rank_flatness(counts)
    assert 0.1 < float(ratio) < 2.4 and float(p_value) > 0.01
    narrow, p_narrow = rank_flatness(rank_histogram(0.6 * ensemble, truth, key))
    assert float(narrow) > 20 and float(p_narrow) < 1e-6


def test_flatness_p_value_is_chi_square_of_scipy():
    from scipy.stats import chisquare

    counts = np.array([12.0, 20.0, 9.0, 15.0])
    ratio, p_value = rank_flatness(counts)
    theirs = chisquare(counts)
    assert float(ratio) * 3 == pytest.approx(theirs.statistic, rel=1e-5)
    assert float(p_value) == pytest.approx(theirs.pvalue, rel=1e-4)


def test_ranks_of_ties_are_spread_at_random(key):
    counts = np.asarray(rank_histogram(np.zeros((4, 5000)), np.zeros(5000), key))
    assert counts.min() > 850


def test_a_single_member_has_no_fair_score():
    with pytest.raises(ValueError, match="at least 2"):
        crps(np.zeros((1, 3)), np.zeros(3))
