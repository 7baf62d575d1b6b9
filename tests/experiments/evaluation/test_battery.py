"""All two-sample tests together, on a distribution that is cheap to draw from: what they tell, and how often by
mistake."""

from functools import partial

import numpy as np
import pytest

from experiments.evaluation.two_sample import battery as module
from experiments.evaluation.two_sample.battery import Battery
from experiments.evaluation.two_sample.classifiers import boosted_rating, boosted_scores
from experiments.evaluation.two_sample.physical_features import PhysicalFeatures

TESTED = 400


@pytest.fixture(scope="module", autouse=True)
def _few_trees():
    """Enough for sets of this size, in a fifth of the time."""
    patch = pytest.MonkeyPatch()
    for one in (boosted_rating, boosted_scores):
        patch.setattr(module, one.__name__, partial(one, rounds=25))
    yield
    patch.undo()


@pytest.fixture(scope="module")
def training(distribution):
    return distribution.draw(np.random.default_rng(0), 1600)


@pytest.fixture(scope="module")
def make(distribution, training):
    """``(reference, tested, draws) -> Battery``."""
    features = PhysicalFeatures(training, extent=distribution.extent)

    def make(reference, tested, draws):
        return Battery(
            training,
            reference,
            features=features,
            extent=distribution.extent,
            symmetries=distribution.symmetries,
            tested=tested,
            draws=draws,
        )

    return make


@pytest.fixture(scope="module")
def battery(distribution, make):
    return make(distribution.draw(np.random.default_rng(1), 800), TESTED, 500)


@pytest.fixture(scope="module")
def fresh(distribution):
    return distribution.draw(np.random.default_rng(2), 2 * TESTED)


def test_fresh_fields_of_the_distribution_are_not_distinguished(battery, fresh):
    assert battery.outcome(fresh).p_value > 0.05


@pytest.mark.parametrize(
    ("fail", "found_by"),
    [
        (lambda u: 1.05 * u, "features"),
        (lambda u: -u, "classifier_features"),
        (lambda u: np.concatenate([u[: len(u) // 2]] + [u[: len(u) // 4]] * 2), "duplicates"),
        (lambda u: u + 0.2 * np.random.default_rng(9).standard_normal(u.shape), "spectrum"),
    ],
    ids=["amplitude 5 %", "sign", "every tested field twice", "noise"],
)
def test_planted_failures_are_distinguished(battery, fresh, fail, found_by):
    outcome = battery.outcome(np.asarray(fail(fresh), np.float32))
    assert outcome.p_value < 0.02
    statistic = outcome.statistics[found_by]
    assert (statistic >= statistic[0]).mean() < 0.02


def test_copies_of_training_fields_are_distinguished_by_the_bank_alone(distribution, battery, training, fresh):
    """Mirror images and shifts of stored fields: of the right distribution, and found only beside what was stored."""
    copies = np.roll(training[: 2 * TESTED], 5, axis=1)
    copies[::2] = np.roll(np.flip(copies[::2], 1), 1, 1)
    bank = [battery.prepare_bank([training])]
    with_bank, without = battery.outcome(copies, bank=bank), battery.outcome(copies)
    assert with_bank.p_value < 0.02
    assert set(with_bank.statistics) - set(without.statistics) == {"bank_near", "bank_far"}
    nearness = battery.outcome(fresh, bank=bank).statistics["bank_near"]
    assert (nearness >= nearness[0]).mean() > 0.05


@pytest.mark.slow
def test_fresh_sets_are_distinguished_as_often_as_the_level_says(distribution, make):
    rng = np.random.default_rng(3)
    small = make(distribution.draw(rng, 96), 48, 199)
    detected = 0
    for _ in range(40):
        reference = small.prepare(distribution.draw(rng, 96))
        detected += small.outcome(distribution.draw(rng, 96), reference=reference).p_value <= small.level
    assert detected <= 6


def test_every_member_of_the_joint_test_is_described_with_its_null_and_what_it_would_have_missed(
    distribution, battery, fresh
):
    tests = battery.tests(fresh * np.float32(1.05), convolutional=True)
    assert tests.distinguished and tests.p_value >= 1 / 501 and tests.draws == 500
    assert (tests.samples, tests.references) == (TESTED, 800)
    assert tests.strongest in tests.entries
    assert {"classifier_features", "classifier_fields", "classifier_extremes", "features", "spectrum", "marginals",
            "neighbours", "duplicates"} <= set(tests.entries)  # fmt: skip
    for name, one in tests.entries.items():
        assert one.definition and one.unit
        assert one.null[0] <= one.null[1] and 1 / 501 <= one.p_value <= 1
        assert (one.interval is not None) == (one.missed is not None) == name.startswith("classifier_f")
        if one.interval is not None:
            assert one.null[0] < 0.5 < one.null[1] < one.missed < 1
            assert one.interval[0] < one.statistic < one.interval[1]
    by_quantity = {bound.quantity: bound for bound in tests.bounds}
    reference = distribution.draw(np.random.default_rng(1), 800)
    expected = 1.05**2 * fresh[TESTED:].var(axis=1).mean() / reference.var(axis=1).mean() - 1
    assert by_quantity["energy"].found == pytest.approx(expected, abs=2e-3)
    assert all(0 < bound.missed < 2 for bound in tests.bounds)
    assert by_quantity["energy"].missed < by_quantity["energy of shell 1"].missed


def test_the_null_of_an_area_is_as_wide_as_its_interval_where_nothing_is_reported(battery, fresh):
    area = battery.tests(fresh).entries["classifier_features"]
    assert area.interval[1] - area.interval[0] == pytest.approx(area.null[1] - area.null[0], rel=0.15)
    assert battery.area_error == pytest.approx(np.sqrt((TESTED + 800 + 1) / (12 * TESTED * 800)))


def test_fewer_relabellings_leave_the_statistics_as_they_are(battery, fresh):
    many, few = battery.outcome(fresh), battery.quick(100).outcome(fresh)
    assert battery.labels.draws == 500
    for name, statistic in few.statistics.items():
        # Products of fewer columns may be rounded otherwise, in single precision.
        np.testing.assert_allclose(statistic, many.statistics[name][:101], rtol=1e-3, atol=1e-4)


def test_a_generator_that_makes_one_field_only_is_distinguished(battery, fresh):
    for one in (fresh[:1], np.zeros_like(fresh[:1])):
        assert battery.outcome(np.repeat(one, 2 * TESTED, axis=0)).p_value < 0.02


def test_samples_that_are_not_finite_or_too_few_are_refused(battery, fresh):
    # In the half that trains the classifiers too.
    for place in (0, -1):
        broken = fresh.copy()
        broken[place, 3] = np.nan
        with pytest.raises(ValueError, match="not finite"):
            battery.outcome(broken)
    with pytest.raises(ValueError, match=f"give {2 * TESTED}"):
        battery.outcome(fresh[:-1])


def test_a_reference_that_does_not_vary_is_refused(distribution, training):
    with pytest.raises(ValueError, match="vary"):
        PhysicalFeatures(np.ones_like(training))


def test_planes_of_two_channels_that_are_not_the_same_everywhere_are_tested():
    rng = np.random.default_rng(4)
    slope = np.linspace(0.5, 2, 6, dtype=np.float32)[:, None, None]

    def draw(count):
        return (rng.standard_normal((count, 6, 6, 2)) * slope).astype(np.float32)

    training = draw(300)
    features = PhysicalFeatures(training, homogeneous=False, periodic=False)
    tests = Battery(training, draw(200), features=features, tested=100, homogeneous=False, periodic=False, draws=200)
    assert tests.outcome(draw(200)).p_value > 0.05
    wrong = draw(200)[:, ::-1]
    outcome = tests.tests(np.ascontiguousarray(wrong))
    assert outcome.distinguished and outcome.bounds == ()
