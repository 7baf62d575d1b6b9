"""Scores against the truth alone: what they rank, their values by hand, and what is refused."""

import json

import numpy as np
import pytest

from experiments.evaluation.results import AgainstTruth, Comparison
from experiments.evaluation.results_file import from_plain, to_plain
from experiments.evaluation.truth_only import (
    LOG_SPECTRAL,
    Derived,
    Ensembles,
    TruthScores,
    compare_with_truth,
    log_spectral_distance,
)
from experiments.evaluation.verdict import verdict

CASES, MEMBERS = 60, 32
WHY = "No reference is taken."


@pytest.fixture(scope="module")
def known():
    """Truths whose posterior given a noisy value is normal, with mean half of that value and variance a half."""
    rng = np.random.default_rng(0)
    truths = rng.standard_normal((CASES, 2, 8, 1)).astype(np.float32)
    seen = truths + rng.standard_normal(truths.shape)

    def ensembles(spread: float, weight: float = 0.5) -> np.ndarray:
        noise = rng.standard_normal((CASES, MEMBERS, 2, 8, 1))
        return (weight * seen[:, None] + spread * noise).astype(np.float32)

    return truths, ensembles


def compared(truths, generator, others) -> AgainstTruth:
    return compare_with_truth(
        truths,
        Ensembles("the generator", lambda: generator),
        {name: Ensembles(name, lambda one=one: one, timed=False) for name, one in others.items()},
        why=WHY,
        members=MEMBERS,
        seed=0,
        resamples=200,
        repeats=1,
        progress=lambda *_: None,
    )


def test_the_posterior_is_ahead_of_the_prior_and_of_ensembles_too_sure_of_themselves(known):
    truths, ensembles = known
    scored = compared(
        truths, ensembles(0.5**0.5), {"prior": ensembles(1.0, 0.0), "sure": ensembles(0.2), "same": ensembles(0.5**0.5)}
    )
    assert set(scored.behind) == {"prior", "sure"} and scored.ahead == ()
    own, sure = scored.generator.values, scored.rows["sure"].values
    assert own["coverage_90"] == pytest.approx(0.9, abs=0.03) and sure["coverage_90"] < 0.5
    assert own["spread_skill"] == pytest.approx(1.0, abs=0.06) and own["rank_flatness"] < 2 < sure["rank_flatness"]
    low, high = scored.generator.intervals["crps"]
    assert low < own["crps"] < high
    assert scored.generator.timing is not None and scored.rows["prior"].timing is None


def test_the_verdict_names_rows_on_either_side_and_the_record_is_read_back(known):
    truths, ensembles = known
    scored = compared(truths, ensembles(1.0, 0.0), {"better": ensembles(0.5**0.5), "worse": ensembles(3.0, 0.0)})
    comparison = Comparison("title", verdict((scored,)), MEMBERS, (scored,))
    read = from_plain(json.loads(json.dumps(to_plain(comparison))), "it", "make it")
    assert read == comparison and read.need(AgainstTruth).behind == ("worse",)
    said = read.verdict
    assert said.startswith(WHY)
    assert "Smaller by an interval over the cases: better" in said
    assert "Larger by an interval over the cases: worse" in said


def test_the_crps_of_one_value_is_that_of_the_formula():
    truths = np.array([[[[0.0]]], [[[2.0]]]], np.float32)
    ensembles = np.array([[-1.0, 1.0], [2.0, 4.0]], np.float32).reshape(2, 2, 1, 1, 1)
    parts = TruthScores(truths, seed=0, resamples=2).parts(ensembles)
    # Mean distance to the truth minus half the fair mean distance of two members, over the truths' deviation of 1.
    np.testing.assert_allclose(parts["crps"], [1.0 - 1.0, 1.0 - 1.0], atol=1e-6)
    np.testing.assert_allclose(parts["error"], [0.0, 1.0], atol=1e-6)


def test_ensembles_that_are_not_finite_have_a_reason_and_do_not_end_the_comparison(known):
    truths, ensembles = known
    broken = ensembles(1.0)
    broken[0, 0] = np.nan
    scored = compared(truths, ensembles(1.0), {"broken": broken})
    assert "not finite" in scored.rows["broken"].failed and not scored.rows["broken"].values
    assert scored.ahead == scored.behind == ()


@pytest.mark.parametrize("wrong", ["one truth", "other cases", "not finite"])
def test_what_cannot_be_scored_is_refused(known, wrong):
    truths, ensembles = known
    made = ensembles(1.0)
    if wrong == "one truth":
        with pytest.raises(ValueError, match="at least 2 truths"):
            TruthScores(truths[:1], seed=0, resamples=2)
        return
    scores = TruthScores(truths, seed=0, resamples=2)
    made = (
        made[1:] if wrong == "other cases" else np.where(np.arange(CASES)[:, None, None, None, None] > 3, np.inf, made)
    )
    with pytest.raises(ValueError, match="do not fit" if wrong == "other cases" else "not finite"):
        scores.parts(made)


def test_derived_quantities_have_the_crps_of_their_own_values(known):
    truths, ensembles = known
    members = ensembles(0.5**0.5)
    derived = Derived({"sum_crps": ("of the sum over points", lambda fields: fields.sum(axis=2)[..., 0])})
    scores = TruthScores(truths, seed=0, resamples=20, derived=derived)
    summed = TruthScores(truths.sum(axis=2, keepdims=True), seed=0, resamples=20)
    found = scores.row("", scores.parts(members)).values
    own = summed.row("", summed.parts(members.sum(axis=3, keepdims=True))).values
    # One scale serves both times there, each time has its own here; they differ by the noise of 60 cases.
    assert found["sum_crps"] == pytest.approx(own["crps"], rel=0.05)
    assert found["sum_crps"] != pytest.approx(found["crps"], rel=0.01)


def test_the_log_spectral_distance_of_fields_of_twice_the_size_is_six_decibels(known):
    truths, _ = known

    def energies(fields):
        return np.abs(np.fft.rfft(fields[:, 0, :, 0], axis=1)) ** 2

    scores = TruthScores(truths, seed=0, resamples=20, derived=Derived(spectrum=energies))
    twice = np.repeat(2 * truths[:, None], 3, axis=1)
    assert scores.row("", scores.parts(twice)).values[LOG_SPECTRAL] == pytest.approx(20 * np.log10(2), rel=1e-5)
    same = np.repeat(truths[:, None], 3, axis=1)
    assert scores.row("", scores.parts(same)).values[LOG_SPECTRAL] == pytest.approx(0, abs=1e-4)


def test_waves_without_energy_on_either_side_do_not_count_and_missing_ones_count_up_to_the_floor():
    true = np.array([[1.0, 1e-3, 1e-20]])
    assert log_spectral_distance(np.array([[1.0, 1e-3, 0.0]]), true) == 0
    # 50 decibels lie between a thousandth and the floor.
    blurred = log_spectral_distance(np.array([[1.0, 0.0, 0.0]]), true)
    assert blurred == pytest.approx(10 * np.log10(1e-3 / (1e-8 * true.sum())) / np.sqrt(2))
