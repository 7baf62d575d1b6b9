"""Forecast ensembles against exact posteriors: a linear Gaussian problem where everything is known."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from experiments.evaluation import results, results_file
from experiments.evaluation.cost import Candidate
from experiments.evaluation.ensemble_statistics import pairwise_distances
from experiments.evaluation.forecast import Cases, Rival, Spent, compare_forecast, worse_in
from experiments.evaluation.posterior_reference import DISTANCES, PosteriorReference, PosteriorSizes
from experiments.evaluation.scores import coverage, crps, energy_score, rank_flatness, spread_skill_ratio

CASES, MEMBERS, TIMES, POINTS = 40, 20, 2, 12
SIZES = PosteriorSizes(draws=100, resamples=50)


def ensembles(rng, members, *, spread=1.0, shift=0.0, smooth=True, cases=CASES, means=99):
    """Posterior draws about case means; the truth is one more draw of the same distribution."""
    means = np.random.default_rng(means).standard_normal((cases, 1, TIMES, POINTS, 1))
    white = rng.standard_normal((cases, members, TIMES, POINTS, 1))
    noise = (white + np.roll(white, 1, axis=3)) / np.sqrt(2) if smooth else white
    return (means + shift + spread * noise).astype(np.float32)


@pytest.fixture(scope="module")
def problem():
    """A reference set with its reference and truths."""
    rng = np.random.default_rng(10)
    reference, truths = ensembles(rng, 3 * MEMBERS), ensembles(rng, 1)[:, 0]
    reference_set = PosteriorReference(reference, truths, members=MEMBERS, extent=(1.0,), sizes=SIZES)
    return SimpleNamespace(reference=reference, truths=truths, reference_set=reference_set)


@pytest.fixture(scope="module")
def exact(problem):
    """Fresh draws of the very posterior, and what the reference set says of them."""
    own = ensembles(np.random.default_rng(1), MEMBERS)
    distances, scores, ranks = problem.reference_set.compare(own)
    return SimpleNamespace(own=own, distances=distances.entries, scores=scores.entries, ranks=ranks)


def measured(problem, **kind):
    distances, scores, _ = problem.reference_set.compare(ensembles(np.random.default_rng(2), MEMBERS, **kind))
    return distances.entries, scores.entries


def test_the_exact_posterior_cannot_be_distinguished_from_itself(exact):
    assert set(exact.distances) == set(DISTANCES)
    for name, entry in exact.distances.items():
        assert entry.inside, name
        assert entry.ratio == pytest.approx(1.0, abs=0.35), name
        assert entry.interval[0] <= entry.value <= entry.interval[1], name
        assert entry.n == MEMBERS and entry.definition
    for name in ("crps", "energy_score", "spread_skill", "coverage_90"):
        assert exact.scores[name].inside, name
        assert exact.scores[name].interval[0] < exact.scores[name].value < exact.scores[name].interval[1]
    assert exact.scores["coverage_90"].value == pytest.approx(0.9, abs=0.04)


def test_an_over_confident_ensemble_is_found_by_spread_coverage_ranks_and_distances(problem):
    distances, scores = measured(problem, spread=0.5)
    assert scores["spread_skill"].value == pytest.approx(0.5, abs=0.1)
    assert scores["coverage_90"].value < 0.7
    assert scores["rank_flatness"].value > 3 * scores["rank_flatness"].null[1]
    assert scores["crps"].value > scores["crps"].target
    assert not any(entry.inside for entry in distances.values())


def test_a_biased_ensemble_costs_crps_and_a_rough_one_only_the_spectrum(problem):
    assert not measured(problem, shift=0.5)[0]["crps_divergence"].inside
    rough = measured(problem, smooth=False)[0]
    assert rough["crps_divergence"].ratio < 1.3
    assert not rough["spectrum"].inside


def test_scores_equal_the_formulas_of_ensembles(problem, exact):
    scale = problem.reference.std(axis=(0, 1, 3), keepdims=True)[0]
    x, y = np.moveaxis(exact.own / scale, 1, 0), problem.truths / scale[0]
    joint = energy_score(x.reshape(MEMBERS, CASES, -1), y.reshape(CASES, -1)).mean()
    expected = {
        "crps": float(crps(x, y).mean()),
        "energy_score": float(joint) / np.sqrt(TIMES * POINTS),
        "spread_skill": float(spread_skill_ratio(x, y)),
        "coverage_90": float(coverage(x, y, 0.9)),
        "rank_flatness": float(rank_flatness(exact.ranks["rank/generator"])[0]),
    }
    merit = problem.reference_set.figures_of_merit(exact.own)
    for name, value in expected.items():
        assert exact.scores[name].value == pytest.approx(value, rel=1e-4), name
        assert name == "rank_flatness" or merit[name] == pytest.approx(value, rel=1e-4)
    for name, entry in exact.distances.items():
        assert merit[name] == pytest.approx(entry.ratio)
    assert exact.ranks["rank/generator"].sum() == exact.ranks["rank/reference"].sum() == CASES * TIMES * POINTS


def test_pairwise_distances_are_those_of_the_rows():
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((2, 5, 7)).astype(np.float32), rng.standard_normal((2, 4, 7)).astype(np.float32)
    absolute, euclid = pairwise_distances(x, y)
    gap = x[:, :, None] - y[:, None]
    np.testing.assert_allclose(absolute, np.abs(gap).mean(-1), rtol=1e-5)
    np.testing.assert_allclose(euclid, np.sqrt((gap**2).mean(-1)), rtol=1e-5)


def test_bands_hold_fresh_posterior_ensembles_for_the_same_cases_19_times_in_20(problem):
    """Halves of a finite pool scatter less than fresh ensembles do: unwidened bands hold two thirds of them."""
    rng, inside = np.random.default_rng(4), []
    for _ in range(25):
        pool = ensembles(rng, 2 * MEMBERS)
        reference_set = PosteriorReference(
            pool, problem.truths, members=MEMBERS, extent=(1.0,), sizes=PosteriorSizes(draws=60)
        )
        for _ in range(4):
            merit = reference_set.figures_of_merit(ensembles(rng, MEMBERS))
            bands = {name: reference_set.band(name) for name in ("crps", "energy_score", "spread_skill", "coverage_90")}
            inside.append([low <= merit[name] <= high for name, (low, high) in bands.items()])
    assert 0.9 <= np.mean(inside) <= 0.99


@pytest.mark.slow
def test_intervals_cover_what_fresh_cases_come_to(problem):
    """Every interval is from other cases; the expectation over cases is known from many of them."""
    cases, sizes = 30, PosteriorSizes(draws=60, resamples=200)

    def scored(seed, count):
        rng = np.random.default_rng((seed, 5))
        kind = {"cases": count, "means": (seed, 6)}
        reference, truths = ensembles(rng, 2 * MEMBERS, **kind), ensembles(rng, 1, **kind)[:, 0]
        own = ensembles(rng, MEMBERS, spread=0.7, **kind)
        reference_set = PosteriorReference(reference, truths, members=MEMBERS, extent=(1.0,), sizes=sizes)
        distances, scores, _ = reference_set.compare(own)
        return {**distances.entries, **scores.entries}

    expected = scored(0, 800)
    names = ("spread_skill", "coverage_90", "crps_divergence")
    covered = {name: [] for name in names}
    for seed in range(1, 17):
        found = scored(seed, cases)
        for name in names:
            low, high = found[name].interval
            covered[name].append(low <= expected[name].value <= high)
    for name in names:
        assert np.mean(covered[name]) >= 0.75, name


def everything(problem, *, exact=True, spreads=(1.0, 0.95), **kind):
    """The whole comparison of ensembles that are drawn as asked, beside solvers of some spreads."""

    def cases(label):
        return Cases(
            label,
            problem.truths,
            problem.reference[:, : 2 * MEMBERS],
            lambda sample, count: sample(0, count, None)[:count],
            {
                "defect": (
                    "size",
                    "field",
                    lambda fields: np.full(fields.shape[:2], 1.0 if np.shares_memory(fields, own) else 1e-3),
                )
            },
            np.tile([0.1, 0.6], (CASES, 1)),
            np.zeros((CASES, 2)),
            tuple(f"case {i}" for i in range(CASES)),
        )

    own = ensembles(np.random.default_rng(7), MEMBERS, **kind)

    def drawn(spread):
        return lambda count: ensembles(np.random.default_rng(8), MEMBERS, spread=spread)[:count]

    def candidates(count):
        wide = drawn(3.0)(count)
        return [
            *(Candidate({"spread": spread}, partial(drawn(spread), count)) for spread in spreads),
            # At hand, and therefore the cheapest.
            Candidate({"spread": 3.0}, lambda: wide),
        ]

    fitted = SimpleNamespace(meaning="learnt", training_seconds=2.0, evaluations=4, sample=lambda *_: own)
    broken = SimpleNamespace(meaning="lost", training_seconds=2.0, evaluations=1, sample=lambda *_: own * np.nan)
    return compare_forecast(
        cases("inside"),
        iter([cases("viscosity 9")]),
        lambda *_: own,
        within="viscosity 1 to 2",
        times=(0.5, 1.0),
        extent=(1.0,),
        sizes=SIZES,
        rivals={"prior": Rival("drawn freely", drawn(2.0), timed=True)},
        fitted={"fitted": fitted, "broken": broken},
        candidates=candidates,
        repeats=1,
        spent=Spent(3.0, 4.0),
        progress=lambda *_: None,
        exact=exact,
    )


@pytest.fixture(scope="module")
def whole(problem):
    """Sections by their kind, and the figures, of an ensemble that is too sure of itself."""
    sections, figures = everything(problem, spread=0.7)
    return {type(one): one for one in sections}, figures


def test_baselines_stand_beside_the_generator_with_the_same_figures(whole):
    baselines = whole[0][results.Baselines]
    assert set(baselines.rows) == {"prior", "posterior", "fitted", "broken"}
    names = {"crps", "energy_score", "spread_skill", "coverage_90", *DISTANCES}
    for name, row in {**baselines.rows, "generator": baselines.generator}.items():
        assert row.meaning
        assert set(row.values) == (set() if name == "broken" else names), name
    assert baselines.rows["broken"].failed
    assert baselines.rows["fitted"].values == pytest.approx(baselines.generator.values)
    assert baselines.rows["fitted"].evaluations == 4 and baselines.rows["fitted"].training_seconds == 2.0
    assert baselines.rows["fitted"].timing.seconds > 0 and baselines.rows["prior"].timing.seconds > 0
    assert baselines.rows["prior"].values["crps"] > baselines.generator.values["crps"]
    assert baselines.rows["posterior"].values["crps"] < baselines.generator.values["crps"]
    assert baselines.generator.training_seconds == 4.0


def test_the_cheapest_solver_is_sought_among_those_as_close_as_the_generator(whole):
    cost = whole[0][results.Cost]
    close, wide = cost.search
    # What costs more than one that is as close is not judged.
    assert cost.reference.reaches and close.reaches is not False and wide.reaches is False
    scores = {"crps", "energy_score", "spread_skill", "coverage_90"}
    assert set(wide.values) == {*DISTANCES, *scores} == set(cost.values) and wide.values["crps_divergence"] > 2
    # What is named beside the generator is timed as often as it.
    assert cost.reference.timing.repeats == cost.generator.repeats
    by_score = cost.cheapest_by("crps")
    assert by_score is None or by_score.values["crps"] <= 1.05 * cost.values["crps"]
    assert cost.data_seconds == 3.0 and cost.training_seconds == 4.0


def test_a_reference_that_is_no_exact_draw_is_judged_as_every_other(problem):
    sections, _ = everything(problem, exact=False, spreads=(2.5,))
    (cost,) = (one for one in sections if isinstance(one, results.Cost))
    assert cost.reference.reaches is False and "crps_divergence" in cost.reference.worse
    assert not cost.matched and cost.rivals == () and cost.break_even is None
    sections, _ = everything(problem, spreads=(2.5,))
    (cost,) = (one for one in sections if isinstance(one, results.Cost))
    assert cost.reference.reaches and cost.matched


def test_other_ensembles_of_the_generators_law_are_seldom_worse_than_the_generator(problem):
    own, *others = (
        problem.reference_set.distances(ensembles(np.random.default_rng(100 + i), MEMBERS, spread=0.7)).entries
        for i in range(21)
    )
    assert not any(one.inside for one in own.values())
    assert sum(not worse_in(one, own) for one in others) >= 17
    # By the values alone most of them would be.
    beyond = [any(one[name].value > own[name].value for name in DISTANCES) for one in others]
    assert sum(beyond) >= 10
    wider = problem.reference_set.distances(ensembles(np.random.default_rng(99), MEMBERS, spread=0.4)).entries
    assert set(worse_in(wider, own)) == set(DISTANCES)


def test_other_ranges_and_residuals_are_measured_alike(whole):
    sections, figures = whole
    regions = sections[results.Regions]
    assert regions.within == "viscosity 1 to 2"
    (region,) = regions.regions.values()
    assert region.scores.entries["crps"].value == pytest.approx(sections[results.Scores].entries["crps"].value)
    defect = sections[results.Scores].entries["defect"]
    assert defect.value == 1.0 and defect.target == pytest.approx(1e-3) and not defect.inside
    assert figures["forecast/generator_mean"].shape == (4, TIMES, POINTS, 1)
    assert figures["forecast/case_labels"].tolist() == ["case 0", "case 1", "case 2", "case 3"]


def test_what_was_found_survives_its_file(whole, tmp_path):
    comparison = results.Comparison("forecasts", "all is said", MEMBERS, tuple(whole[0].values()))
    results_file.write(comparison, tmp_path / "comparison.json")
    assert results_file.read(tmp_path / "comparison.json", "again") == comparison


def test_ensembles_that_cannot_be_compared_are_refused(problem):
    common = {"members": 6, "extent": (1.0,)}
    reference, truths = problem.reference, problem.truths
    with pytest.raises(ValueError, match="at least 12 reference members"):
        PosteriorReference(reference[:, :11], truths, sizes=SIZES, **common)
    with pytest.raises(ValueError, match="draws=20"):
        PosteriorReference(reference, truths, sizes=PosteriorSizes(draws=20), **common)
    with pytest.raises(ValueError, match="cannot be measured"):
        problem.reference_set.distances(reference[:, :6])
    broken = reference[:, :MEMBERS].copy()
    broken[0, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        problem.reference_set.distances(broken)
