"""Relabellings: what they count, on what scale, and that the p-values are exact."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from experiments.evaluation.two_sample.relabelling import EDGE, Relabelling, largest, p_value, standardised

sizes = st.integers(2, 12)


def labels_of(relabelling):
    """One row of zeros and ones per relabelling."""
    return relabelling.sums(np.eye(relabelling.samples + relabelling.references))


@given(sizes, sizes, st.integers(0, 5))
def test_every_relabelling_calls_as_many_units_samples_and_the_true_one_is_the_first(samples, references, seed):
    relabelling = Relabelling(samples, references, draws=20, seed=seed)
    labels = labels_of(relabelling)
    assert labels.shape == (21, samples + references)
    np.testing.assert_array_equal(labels[0], [1] * samples + [0] * references)
    assert set(np.unique(labels)) <= {0, 1}
    np.testing.assert_array_equal(labels.sum(axis=1), samples)


def test_every_unit_is_called_a_sample_equally_often():
    share = labels_of(Relabelling(5, 15, draws=8000))[1:].mean(axis=0)
    np.testing.assert_allclose(share, 0.25, atol=0.025)


def test_sums_and_means_are_those_of_the_units_that_are_called_samples():
    rows = np.random.default_rng(0).normal(3, 2, (11, 4))
    relabelling = Relabelling(4, 7, draws=30)
    called = labels_of(relabelling).astype(bool)
    own, other = relabelling.means(rows)
    for i, chosen in enumerate(called):
        np.testing.assert_allclose(relabelling.sums(rows)[i], rows[chosen].sum(axis=0), rtol=1e-5)
        np.testing.assert_allclose(own[i], rows[chosen].mean(axis=0), rtol=1e-5)
        np.testing.assert_allclose(other[i], rows[~chosen].mean(axis=0), rtol=1e-5)


def test_the_first_deviation_is_the_studentised_difference_of_the_means_and_the_others_have_mean_0_and_variance_1():
    rng = np.random.default_rng(1)
    rows = np.column_stack([rng.normal(size=30), rng.exponential(size=30), 1e4 + rng.normal(size=30), np.full(30, 5.0)])
    deviations = Relabelling(10, 20, draws=20_000).deviations(rows)
    own, other = rows[:10, :3], rows[10:, :3]
    expected = (own.mean(axis=0) - other.mean(axis=0)) / (rows[:, :3].std(axis=0, ddof=1) * np.sqrt(1 / 10 + 1 / 20))
    np.testing.assert_allclose(deviations[0, :3], expected, rtol=1e-4)
    np.testing.assert_allclose(deviations[1:, :3].mean(axis=0), 0, atol=0.03)
    np.testing.assert_allclose(deviations[1:, :3].var(axis=0), 1, atol=0.04)
    # What does not vary cannot be distinguished apart.
    np.testing.assert_array_equal(deviations[:, 3], 0)


def test_means_keep_their_digits_beside_a_large_common_part():
    rows = np.random.default_rng(8).standard_normal((40, 3)).astype(np.float32)
    relabelling = Relabelling(15, 25, draws=20)
    small, large = (np.subtract(*relabelling.means(one)) for one in (rows, rows + np.float32(1000)))
    np.testing.assert_allclose(large, small, atol=1e-4)


def test_pairs_within_counts_pairs_whose_ends_are_both_called_samples():
    rng = np.random.default_rng(2)
    relabelling = Relabelling(5, 6, draws=25)
    pairs = rng.integers(0, 11, (40, 2))
    expected = [(label[pairs[:, 0]] * label[pairs[:, 1]]).sum() for label in labels_of(relabelling)]
    found = (relabelling.pairs_within(pairs) / 2) ** 2 - 3 / 8
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_counts_of_pairs_vary_equally_whether_they_are_rare_or_not():
    rng = np.random.default_rng(9)
    relabelling = Relabelling(100, 300, draws=4000)
    few, many = (relabelling.pairs_within(rng.integers(0, 400, (count, 2)))[1:].var() for count in (80, 800))
    assert 0.7 < few / many < 1.4 and 0.6 < many < 1.4


def test_p_values_are_uniform_under_the_null_and_small_under_a_shift():
    rng = np.random.default_rng(3)

    def tested(shift, number):
        rows = rng.exponential(size=(14, 1))
        rows[:6] += shift
        relabelling = Relabelling(6, 8, draws=99, seed=number)
        return p_value(np.abs(relabelling.deviations(rows))[:, 0])

    null = np.array([tested(0.0, i) for i in range(500)])
    assert stats.kstest(null, "uniform").pvalue > 0.01
    assert 0.02 < np.mean(null <= 0.05) < 0.08
    assert np.mean([tested(4.0, i) <= 0.05 for i in range(50)]) > 0.9


def test_the_joint_test_of_several_statistics_has_its_level_too():
    rng = np.random.default_rng(4)
    joint = []
    for number in range(300):
        rows = rng.standard_normal((20, 8))
        rows[:, 1] = rows[:, 0]
        deviations = np.abs(Relabelling(8, 12, draws=99, seed=number).deviations(rows))
        joint.append(p_value(largest({str(i): column for i, column in enumerate(deviations.T)})))
    assert 0.02 < np.mean(np.array(joint) <= 0.05) < 0.08


def test_fewer_relabellings_are_the_first_of_all():
    rows = np.random.default_rng(5).standard_normal((9, 3))
    many = Relabelling(4, 5, draws=50, seed=7)
    few = many.fewer(10)
    assert few.draws == 10 and many.draws == 50 and many.fewer(80).draws == 50
    np.testing.assert_array_equal(few.sums(rows), many.sums(rows)[:11])


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=40))
def test_a_p_value_counts_the_true_labels_and_ties(values):
    statistic = np.array(values, float)
    assert p_value(statistic) == sum(one >= values[0] for one in values) / len(values)
    assert 1 / len(values) <= p_value(statistic) <= 1


def test_a_standardised_statistic_has_its_null_at_0_and_1_and_one_without_spread_is_finite():
    statistic = np.random.default_rng(6).gamma(2, 3, 2001)
    scaled = standardised(statistic)
    np.testing.assert_allclose(np.quantile(scaled, [0.5, EDGE]), [0, 1], atol=1e-12)
    np.testing.assert_allclose(standardised(7 * statistic - 3), scaled)
    assert np.isfinite(standardised(np.full(30, 4.0))).all()
    np.testing.assert_array_equal(largest({"a": statistic, "b": np.full(2001, 4.0)}), np.maximum(scaled, 0))
    with pytest.raises(ValueError, match="not a number"):
        largest({"a": statistic, "b": np.where(statistic > 10, np.nan, statistic)})


def test_a_rare_count_whose_null_is_nearly_always_0_still_tells_many():
    statistic = np.zeros(2001)
    statistic[0], statistic[5] = 9, 1
    np.testing.assert_array_equal(standardised(statistic), statistic)
    assert p_value(largest({"count": statistic})) == 1 / 2001


@pytest.mark.parametrize(("samples", "references"), [(1, 5), (5, 1), (0, 0)])
def test_fewer_than_two_units_on_a_side_are_refused(samples, references):
    with pytest.raises(ValueError, match="two of each"):
        Relabelling(samples, references)
