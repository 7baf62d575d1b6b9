"""A snapshot comparison end to end, on a distribution that is cheap to draw from and a made-up solver that relaxes to
it."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from experiments.evaluation import results, results_file
from experiments.evaluation.cost import Candidate
from experiments.evaluation.snapshot import compare_snapshot, finite_fields
from experiments.evaluation.snapshot_cost import CostInputs
from experiments.evaluation.snapshot_inputs import DATA, Equation, SnapshotSizes, moved
from experiments.evaluation.two_sample import battery, classifiers
from experiments.evaluation.verdict import verdict
from experiments.files import write_arrays

TESTED, REFINED, LAYER = 60, 50, 0.5
DRAWN = 8 * 60


@pytest.fixture(scope="module")
def compared(distribution):
    """Sections and figures of samples of which a sixth are three times too strong and one is not finite."""
    patch = pytest.MonkeyPatch()
    for one in (classifiers.boosted_rating, classifiers.boosted_scores):
        patch.setattr(battery, one.__name__, partial(one, rounds=15))
    patch.setattr(battery, "convolutional_scores", partial(classifiers.convolutional_scores, steps=5))
    rng = np.random.default_rng(0)
    draw = partial(distribution.draw, rng)
    samples = draw(DRAWN + 5)
    samples[::6] *= 3
    samples[3, 2] = np.nan

    def refine(fields, duration):
        replaced = rng.uniform(size=len(fields)) < -np.expm1(-duration)
        return np.where(replaced[:, None, None], draw(len(fields)), fields)

    def unstable():
        raise ValueError("unstable at this step")

    def candidates(count):
        ready = 3 * draw(count)
        return [
            Candidate({"kind": "exact"}, lambda: draw(count)),
            Candidate({"kind": "coarse"}, lambda: ready),
            Candidate({"kind": "unstable"}, unstable),
        ]

    baseline = SimpleNamespace(
        meaning="fields of twice the size", training_seconds=3.0, evaluations=7, sample=lambda key, n: 2 * draw(n)
    )
    sections, figures = compare_snapshot(
        samples,
        draw(240),
        draw(400),
        Equation(("u",), distribution.extent, refine, distribution.symmetries),
        trained_on=400,
        layer_time=LAYER,
        sizes=SnapshotSizes(
            fields=60, draws=180, tested=TESTED, refined=REFINED, relabellings=199, separations=(1, 4),
            projections=8,
        ),
        times=(1.0, 8.0),
        cost=CostInputs(
            draw=lambda count: np.ones(count),
            draw_without_solver=lambda count: np.ones(count),
            reference=draw,
            candidates=candidates,
            data_seconds=10.0,
            training_seconds=20.0,
            repeats=2,
            reference_count=8,
        ),
        evolve=lambda pair: (np.arange(3.0), np.repeat(pair[:, None], 3, axis=1)),
        baselines={"twice": baseline},
    )  # fmt: skip
    patch.undo()
    return results.Comparison("toy", verdict(sections), 60, sections, channels=("u",)), figures


@pytest.fixture
def comparison(compared):
    return compared[0]


def test_the_sections_come_in_the_order_of_the_report(comparison):
    assert [type(one).__name__ for one in comparison.sections] == [
        "Tests", "Refinement", "FieldPictures", "Distances", "Statistics", "Scores", "Cost", "Worth", "Baselines"
    ]  # fmt: skip
    assert comparison.verdict


def test_the_tests_tell_samples_that_are_partly_too_strong(comparison):
    tests = comparison.need(results.Tests)
    assert tests.distinguished and (tests.samples, tests.references, tests.draws) == (TESTED, 240, 199)
    assert {"bank_near", "classifier_fields", "duplicates"} <= set(tests.entries)


def test_every_distance_has_floor_band_interval_and_p_value(comparison):
    distances = comparison.need(results.Distances)
    assert set(distances.entries) == {
        "spectrum", "marginals", "increments_1", "increments_4", "quantiles", "correlation", "sliced", "kernel"
    }  # fmt: skip
    for one in distances.entries.values():
        assert one.interval[0] <= one.value <= one.interval[1]
        assert 0 < one.floor < one.null95 and 0 < one.p_value <= 1 and one.n == 60
    assert not distances.entries["marginals"].inside


def test_scores_stand_beside_the_solvers_own_band(comparison):
    scores = comparison.need(results.Scores).entries
    assert {"diversity", "invalid", "amplitude", "unresolved_energy"} <= set(scores)
    assert scores["invalid"].value == pytest.approx(1 / (DRAWN + 5)) and not scores["invalid"].inside
    assert scores["amplitude"].value > scores["amplitude"].null[1] > 1 > scores["amplitude"].null[0]


def test_starts_are_held_against_the_solver_at_equal_times_and_are_the_first_baselines(comparison):
    refinement, baselines = comparison.need(results.Refinement), comparison.need(results.Baselines)
    assert set(refinement.curves) == {"generator", "gaussian", "bank"}
    assert refinement.curves["generator"].time == (LAYER, 1.0, 8.0)
    assert refinement.curves["gaussian"].time == (0.0, LAYER, 1.0, 8.0)
    # Solver fields stay solver fields: they are tested up to the generator's own solver time.
    assert refinement.curves["bank"].time == (0.0, LAYER)
    assert refinement.curves["generator"].enters is not None
    for name in ("gaussian", "bank"):
        areas = [baselines.rows[f"{name}{more}"].values["auc"] for more in ("", "_advanced")]
        assert areas == list(refinement.curves[name].auc[:2])
    assert baselines.generator.values["auc"] == refinement.curves["generator"].auc[0]
    twice = baselines.rows["twice"]
    assert twice.evaluations == 7 and twice.training_seconds == 3.0 and twice.values["auc"] > 0.7
    assert all(set(row.values) == set(baselines.generator.values) for row in baselines.rows.values())


def test_the_cheapest_solver_that_is_as_good_is_the_one_to_beat_and_failures_stay_in_the_table(comparison):
    cost = comparison.need(results.Cost)
    exact, coarse, unstable = cost.search
    assert exact.reaches and not exact.worse and exact.timing.repeats == 2
    assert not coarse.reaches and "spectrum" in coarse.worse and coarse.values["auc"] > exact.values["auc"]
    assert unstable.failed == "unstable at this step"
    assert cost.cheapest in (exact, cost.reference)
    assert (cost.data_seconds, cost.training_seconds) == (10.0, 20.0)
    assert cost.layer.seconds >= 0 and cost.reference.timing.seconds > 0


def test_worth_counts_the_independent_training_fields(comparison):
    worth = comparison.need(results.Worth)
    assert worth.trained_on == 400 and worth.generated == DRAWN
    assert worth.equals < 400


def test_figures_are_densities_with_bands_and_the_outcome_survives_the_disk(compared, tmp_path):
    comparison, figures = compared
    for prefix in [name.removesuffix("/centers") for name in figures if name.endswith("/centers")]:
        centers = figures[f"{prefix}/centers"]
        for who in ("generator", "solver"):
            assert figures[f"{prefix}/{who}"].sum() * (centers[1] - centers[0]) == pytest.approx(1, abs=0.02)
        assert np.all(figures[f"{prefix}/low"] <= figures[f"{prefix}/high"])
    assert figures["correlation/solver"][0] == pytest.approx(1.0)
    assert figures["evolution/generator"].shape == (3, 32, 1)
    results_file.write(comparison, tmp_path / "comparison.json")
    assert results_file.read(tmp_path / "comparison.json", "make it again") == comparison
    write_arrays(tmp_path / "figures.npz", figures)
    with np.load(tmp_path / "figures.npz") as archive:
        assert set(archive) == set(figures)


def test_too_few_finite_samples_are_refused():
    samples = np.zeros((10, 8, 1), np.float32)
    samples[:4] = np.inf
    fields, invalid = finite_fields(samples, 6)
    assert fields.shape == (6, 8, 1) and invalid == pytest.approx(0.4)
    with pytest.raises(ValueError, match="only 6 of 10 samples are finite"):
        finite_fields(samples, 7)


def test_moved_fields_are_shifts_and_reflections_of_themselves(distribution):
    fields = distribution.draw(np.random.default_rng(1), 20)
    found = moved(fields, distribution.symmetries, 3)
    assert not np.array_equal(found, fields)
    np.testing.assert_allclose(np.sort(found, axis=1), np.sort(fields, axis=1), atol=1e-6)
    np.testing.assert_allclose(
        np.abs(np.fft.rfft(found, axis=1)), np.abs(np.fft.rfft(fields, axis=1)), rtol=1e-4, atol=1e-4
    )


def test_without_a_solver_held_out_fields_are_the_reference_set():
    """Where the distribution is not the same everywhere either: no spectra, and a Gaussian distribution of the points'
    covariance."""
    rng = np.random.default_rng(1)
    pattern = np.sin(np.arange(16))[:, None]

    def draw(count):
        return (pattern * rng.gamma(1.0, 1.0, (count, 1, 1)) + 0.1 * rng.standard_normal((count, 16, 1))).astype("f4")

    patch = pytest.MonkeyPatch()
    for one in (classifiers.boosted_rating, classifiers.boosted_scores):
        patch.setattr(battery, one.__name__, partial(one, rounds=15))
    patch.setattr(battery, "convolutional_scores", partial(classifiers.convolutional_scores, steps=5))
    sections, figures = compare_snapshot(
        draw(480),
        draw(240),
        draw(400),
        Equation(("u",), (16.0,), homogeneous=False, periodic=False, reference=DATA),
        trained_on=400,
        sizes=SnapshotSizes(fields=60, draws=100, tested=60, refined=50, relabellings=199, projections=8),
    )
    patch.undo()
    found = results.Comparison("toy", verdict(sections), 60, sections)
    assert [type(one).__name__ for one in sections] == [
        "Tests", "FieldPictures", "Distances", "Statistics", "Scores", "Worth", "Baselines"
    ]  # fmt: skip
    assert not found.need(results.Tests).distinguished and "solver" not in found.verdict
    rows = found.need(results.Baselines).rows
    # A Gaussian has the covariance, not the skewed amplitude.
    assert rows["gaussian"].values["joint_p"] <= 0.05 < rows["bank"].values["joint_p"]
    assert not any(name.startswith("spectrum") for name in figures)
