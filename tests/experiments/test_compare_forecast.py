"""Forecast ensembles against exact posteriors: a linear Gaussian problem where everything is known."""

import numpy as np
import pytest

from experiments.comparison.forecast import _apart, compare_forecast
from gan.metrics import crps, energy_score

CASES, MEMBERS, TIMES, POINTS = 40, 20, 2, 12


def ensembles(rng, members, *, spread=1.0, shift=0.0, smooth=True):
    """Posterior draws about case means; the truth is one more draw of the same law."""
    means = np.random.default_rng(99).standard_normal((CASES, 1, TIMES, POINTS, 1))

    def noise(count):
        white = rng.standard_normal((CASES, count, TIMES, POINTS, 1))
        return (white + np.roll(white, 1, axis=3)) / np.sqrt(2) if smooth else white

    return (means + shift + spread * noise(members)).astype(np.float32)


def compared(seed=0, **kind):
    rng = np.random.default_rng(seed)
    generator = ensembles(rng, MEMBERS, **kind)
    reference, truths = ensembles(rng, 3 * MEMBERS), ensembles(rng, 1)[:, 0]
    comparison, figures = compare_forecast(
        generator,
        reference,
        truths,
        times=(0.5, 1.0),
        channels=("u",),
        extent=(1.0,),
        draws=100,
        resamples=50,
        residuals={"defect": (np.ones((CASES, MEMBERS)), np.full((CASES, 3), 1e-3))},
        observations=(np.array([0.1, 0.6]), np.zeros((CASES, 2))),
        case_labels=[f"case {i}" for i in range(CASES)],
    )
    return comparison, figures, generator, truths, reference


@pytest.fixture(scope="module")
def exact():
    return compared()


def test_the_exact_posterior_cannot_be_told_from_itself(exact):
    comparison = exact[0]
    assert all(entry["inside"] for entry in comparison["distances"].values())
    for name, entry in comparison["distances"].items():
        assert entry["ratio"] == pytest.approx(1.0, abs=0.35), name
        assert entry["ratio_ci"][0] <= entry["ratio"] <= entry["ratio_ci"][1]
    for name in ("crps", "energy_score", "spread_skill", "rank_flatness", "coverage_90"):
        score = comparison["scores"][name]
        width = score["null"][1] - score["null"][0]
        assert score["null"][0] - width < score["value"] < score["null"][1] + width, name
    assert comparison["scores"]["coverage_90"]["value"] == pytest.approx(0.9, abs=0.04)
    assert "cannot be told from the solver" in comparison["verdict"]


def test_an_over_confident_ensemble_is_found_by_spread_coverage_ranks_and_distances(exact):
    comparison = compared(spread=0.5)[0]
    scores = comparison["scores"]
    assert scores["spread_skill"]["value"] == pytest.approx(0.5, abs=0.1)
    assert scores["coverage_90"]["value"] < 0.7
    assert scores["rank_flatness"]["value"] > 3 * scores["rank_flatness"]["null"][1]
    assert scores["crps"]["value"] > scores["crps"]["target"]
    assert not any(entry["inside"] for entry in comparison["distances"].values())


def test_a_biased_ensemble_costs_crps_and_a_rough_one_only_the_spectrum():
    biased = compared(shift=0.5)[0]["distances"]
    assert not biased["crps_divergence"]["inside"]
    rough = compared(smooth=False)[0]["distances"]
    assert rough["crps_divergence"]["ratio"] < 1.3
    assert not rough["spectrum"]["inside"]


def test_scores_from_the_distance_matrices_equal_the_ensemble_formulas(exact):
    comparison, _, generator, truths, reference = exact
    scale = reference.std(axis=(0, 1, 3), keepdims=True)[0]
    x = np.moveaxis(generator / scale, 1, 0)
    y = truths / scale[0]
    assert comparison["scores"]["crps"]["value"] == pytest.approx(float(crps(x, y).mean()), rel=1e-4)
    joint = energy_score(x.reshape(MEMBERS, CASES, -1), y.reshape(CASES, -1)).mean()
    per_value = float(joint) / np.sqrt(TIMES * POINTS)
    assert comparison["scores"]["energy_score"]["value"] == pytest.approx(per_value, rel=1e-4)


def test_pairwise_distances_are_those_of_the_rows():
    x = np.random.default_rng(3).standard_normal((5, 7)).astype(np.float32)
    absolute, euclid = _apart(x)
    np.testing.assert_allclose(absolute, np.abs(x[:, None] - x[None]).mean(-1), rtol=1e-5)
    np.testing.assert_allclose(euclid, np.sqrt(((x[:, None] - x[None]) ** 2).mean(-1)), rtol=1e-5)


def test_a_defect_far_above_the_solvers_own_is_reported_with_the_solvers_level(exact):
    score = exact[0]["scores"]["defect"]
    assert score["value"] == 1.0 and score["target"] == pytest.approx(1e-3)
    assert "Defect is 1" in exact[0]["verdict"]


def test_figures_hold_the_cases_with_both_ensembles_and_the_rank_counts(exact):
    _, figures, *_ = exact
    assert figures["forecast/generator_mean"].shape == (4, TIMES, POINTS, 1)
    assert figures["forecast/case_labels"].tolist() == ["case 0", "case 1", "case 2", "case 3"]
    for who in ("generator", "reference"):
        assert figures[f"rank/{who}"].shape == (MEMBERS + 1,)
        assert figures[f"rank/{who}"].sum() == CASES * TIMES * POINTS


def test_ensembles_that_cannot_be_compared_are_refused():
    rng = np.random.default_rng(4)
    generator, truths = ensembles(rng, 6), ensembles(rng, 1)[:, 0]
    common = {"times": (0.5, 1.0), "channels": ("u",), "extent": (1.0,)}
    with pytest.raises(ValueError, match="at least 12 reference members"):
        compare_forecast(generator, ensembles(rng, 11), truths, **common)
    with pytest.raises(ValueError, match="draws=20"):
        compare_forecast(generator, ensembles(rng, 12), truths, draws=20, **common)
    generator[0, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="generator hold values that are not finite"):
        compare_forecast(generator, ensembles(rng, 12), truths, **common)
