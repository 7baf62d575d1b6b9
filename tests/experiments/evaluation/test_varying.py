"""Fields joined with the parameters that made them: nothing gets lost, and every test looks at both together."""

from functools import partial

import numpy as np
import pytest

from experiments.evaluation import results
from experiments.evaluation.distances import ReferenceSet
from experiments.evaluation.gaussian_fields import gaussian_fields
from experiments.evaluation.snapshot import compare_snapshot
from experiments.evaluation.snapshot_inputs import Equation, SnapshotSizes
from experiments.evaluation.two_sample import battery, classifiers
from experiments.evaluation.two_sample.physical_features import PhysicalFeatures
from experiments.evaluation.varying import JoinedFields, joined, nearest, nearest_free, parted, walks

SIZES = SnapshotSizes(
    fields=60, draws=180, tested=60, refined=40, relabellings=199, separations=(1, 4), projections=8, shown=2
)
TIMES = (0.0, 1.0)


@pytest.fixture(scope="module")
def draw(distribution):
    """``(rng, count) -> fields`` joined with a parameter: their amplitude is the parameter, and nothing else."""

    def drawn(rng, count):
        logarithms = rng.uniform(-1, 1, (count, 1)).astype(np.float32)
        return joined(distribution.draw(rng, count) * np.exp(logarithms)[..., None], logarithms)

    return drawn


def mismatched(joint):
    """The same fields and the same parameters, each field with those of another one."""
    fields, logarithms = parted(joint, 1)
    return joined(fields, np.roll(logarithms, 1, axis=0))


@pytest.fixture(scope="module")
def compare(distribution, draw):
    """Compare samples with a made-up solver that draws new fields for the parameters that it is given."""
    rng = np.random.default_rng(4)
    pool, training = draw(rng, 200), draw(rng, 600)

    def refine(fields, duration):
        _, logarithms = parted(fields, 1)
        return joined(distribution.draw(rng, len(fields)) * np.exp(logarithms)[..., None], logarithms)

    equation = Equation(
        ("u",),
        distribution.extent,
        refine,
        distribution.symmetries,
        tendency=lambda joint: -parted(joint, 1)[0],
        later=lambda joint: joined(*(part * factor for part, factor in zip(parted(joint, 1), (0.9, 1.0)))),
        budgets=lambda joint: {"energy, value": (parted(joint, 1)[0] ** 2).mean(axis=(1, 2))},
        parameters=("size",),
    )
    stored = JoinedFields(*parted(training, 1))

    def compared(samples):
        patch = pytest.MonkeyPatch()
        for one in (classifiers.boosted_rating, classifiers.boosted_scores):
            patch.setattr(battery, one.__name__, partial(one, rounds=15))
        patch.setattr(battery, "convolutional_scores", partial(classifiers.convolutional_scores, steps=5))
        sections, figures = compare_snapshot(
            samples,
            pool,
            stored,
            equation,
            trained_on=600,
            sizes=SIZES,
            times=TIMES,
            evolve=lambda pair: (np.arange(3.0), np.repeat(pair[:, None], 3, axis=1)),
        )
        patch.undo()
        return results.Comparison("toy", "", 60, sections, channels=("u",)), figures

    return compared


@pytest.fixture(scope="module")
def mismatch(compare, draw):
    return compare(mismatched(draw(np.random.default_rng(6), SIZES.drawn)))


def test_samples_with_parameters_of_other_fields_are_distinguished_by_what_sees_both_and_by_nothing_else(mismatch):
    comparison, _ = mismatch
    tests = comparison.need(results.Tests)
    assert tests.distinguished
    classifier = tests.entries["classifier_features"]
    assert classifier.p_value < 0.02 and classifier.statistic > classifier.missed
    assert tests.entries["features"].p_value < 0.02
    assert tests.entries["marginals"].p_value > 0.02
    assert all(one.inside for one in comparison.need(results.Distances).entries.values())


def test_the_same_fields_with_their_own_parameters_are_not_distinguished(compare, draw):
    comparison, _ = compare(draw(np.random.default_rng(6), SIZES.drawn))
    assert not comparison.need(results.Tests).distinguished


def test_stored_and_gaussian_starts_get_the_parameters_of_the_samples(mismatch):
    comparison, _ = mismatch
    curves = comparison.need(results.Refinement).curves
    assert "of the nearest parameters" in curves["bank"].label
    # The made-up solver answers to the parameters: after it every start is as good as any.
    assert curves["generator"].p_value[1] > 0.02 and curves["gaussian"].p_value[1] > 0.02
    assert curves["generator"].p_value[0] < 0.05 < curves["bank"].p_value[0]


def test_pictures_show_fields_without_their_parameters(mismatch):
    _, figures = mismatch
    assert figures["samples/generator"].shape == figures["samples/solver"].shape == (2, 32, 1)
    assert figures["evolution/generator"].shape == figures["evolution/solver"].shape == (3, 32, 1)


def test_distances_do_not_look_at_the_parameters(draw, distribution):
    joint, other = (draw(np.random.default_rng(seed), 120) for seed in (0, 1))
    options = {"n": 40, "draws": 160, "extent": distribution.extent, "separations": (1,), "directions": 4}
    alone = ReferenceSet(parted(joint, 1)[0], **options).distances(parted(other, 1)[0][:40])
    assert ReferenceSet(joint, parameters=1, **options).distances(mismatched(other)[:40]) == alone


def test_features_name_the_parameters_and_their_products(draw):
    fields = draw(np.random.default_rng(2), 300)
    features = PhysicalFeatures(fields, parameters=("size",))
    assert {"log size", "log size times log standard deviation of field"} <= set(features.names)
    logarithms = features(fields)[:, features.names.index("log size")]
    np.testing.assert_allclose(logarithms, parted(fields, 1)[1][:, 0], rtol=1e-6)
    described = features.descriptors(fields)
    np.testing.assert_allclose(described[:, -1].std(), 1.0, rtol=1e-5)
    with pytest.raises(ValueError, match="use one grid"):
        features(parted(fields, 1)[0])


def test_gaussian_fields_have_the_second_moments_of_the_parameters_asked_for(draw):
    asked = np.repeat([[-0.9], [0.9]], 200, axis=0).astype(np.float32)
    made = gaussian_fields(draw(np.random.default_rng(3), 4000), 400, seed=0, asked=asked)
    fields, logarithms = parted(made, 1)
    np.testing.assert_array_equal(logarithms, asked)
    small, large = fields[:200].std(), fields[200:].std()
    np.testing.assert_allclose([small, large], np.exp([-0.9, 0.9]), rtol=0.15)


def test_joined_fields_come_apart_again_and_are_read_in_parts():
    rng = np.random.default_rng(0)
    fields, logarithms = (rng.standard_normal(shape).astype(np.float32) for shape in ((5, 4, 6, 2), (5, 3)))
    joint = joined(fields, logarithms)
    assert joint.shape == (5, 4, 6, 5)
    for part, whole in zip(parted(joint, 3), (fields, logarithms)):
        np.testing.assert_array_equal(part, whole)
    chosen = np.array([3, 1])
    np.testing.assert_array_equal(JoinedFields(fields, logarithms)[chosen], joint[chosen])
    assert joined(fields, logarithms[:, :0]) is fields
    assert parted(fields, 0)[0] is fields and parted(fields, 0)[1].shape == (5, 0)


def test_nearest_parameters_are_the_nearest_in_standard_deviations_and_each_serves_once():
    have = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 100.0], [1.0, 100.0]])
    asked = np.array([[0.9, 10.0], [0.8, 5.0], [0.1, 90.0]])
    np.testing.assert_array_equal(nearest(have, asked)[:, 0], [1, 1, 2])
    np.testing.assert_array_equal(nearest_free(have, asked), [1, 0, 2])
    # Where none is left, the nearest one serves again.
    np.testing.assert_array_equal(nearest_free(have[:1], asked), [0, 0, 0])


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_trajectories_visit_all_parameters_once_on_short_ways(count):
    asked = np.random.default_rng(0).uniform(size=(24 * 16, count))
    order = walks(asked, 16)
    assert order.shape == (16, 24)
    np.testing.assert_array_equal(np.sort(order.ravel()), np.arange(24 * 16))
    if 0 < count < 3:
        steps = np.linalg.norm(np.diff(asked[order], axis=1), axis=-1).mean()
        assert steps < 0.3 * np.linalg.norm(asked - np.roll(asked, 1, axis=0), axis=-1).mean()
