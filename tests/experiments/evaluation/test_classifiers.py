"""Areas under the ROC curve with their intervals, and that both classifiers see what they are for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from experiments.evaluation.two_sample.classifiers import (
    ClassifierScores,
    auc,
    auc_interval,
    boosted_scores,
    convolutional_scores,
)

ratings = st.lists(st.integers(-4, 4), min_size=2, max_size=25)


@given(ratings, ratings)
def test_the_area_counts_pairs_and_ties_by_half(samples, reference):
    pairs = [(a > b) + 0.5 * (a == b) for a in samples for b in reference]
    scores = ClassifierScores(np.array(samples, float), np.array(reference, float))
    assert auc(scores) == pytest.approx(np.mean(pairs))
    labels = [1] * len(samples) + [0] * len(reference)
    assert auc(scores) == pytest.approx(roc_auc_score(labels, samples + reference))
    low, high = auc_interval(scores)
    assert 0 <= low <= auc(scores) + 1e-5 and auc(scores) - 1e-5 <= high <= 1


@pytest.mark.parametrize(("shift", "spread"), [(0.0, 1.0), (0.8, 1.0), (1.5, 2.0)])
def test_the_interval_of_the_area_covers_the_area_of_a_binormal_distribution(shift, spread):
    """A sample exceeds a reference field where N(shift, 1 + spread^2) exceeds 0."""
    truth = norm.cdf(shift / np.hypot(1, spread))
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(1000):
        low, high = auc_interval(ClassifierScores(rng.normal(shift, spread, 80), rng.normal(0, 1, 120)))
        covered.append(low <= truth <= high)
    assert 0.93 <= np.mean(covered) <= 0.97


def test_intervals_at_the_ends_stay_within_0_and_1_and_shrink_with_the_number():
    def interval(count):
        return auc_interval(ClassifierScores(np.arange(count) + 1e4, np.arange(count) * 1.0))

    for low, high in (interval(10), interval(1000)):
        assert 0 <= low <= 1 and high == pytest.approx(1, abs=1e-5)
    assert interval(1000)[0] > interval(10)[0]
    low, high = auc_interval(ClassifierScores(np.arange(50.0), np.arange(50.0) + 100))
    assert low == pytest.approx(0, abs=1e-5) and 0 <= high <= 1


def test_boosting_tells_a_shifted_gaussian_and_not_two_sets_of_one_distribution():
    rng = np.random.default_rng(1)

    def area(shift):
        own, other = rng.normal(0, 1, (600, 5)), rng.normal(0, 1, (700, 5))
        own[:, 2] += shift
        return auc(boosted_scores((own[:300], other[:400]), (own[300:], other[400:]), rounds=40))

    # The best that any classifier could do is 0.76.
    assert 0.68 < area(1.0) < 0.82
    assert abs(area(0.0) - 0.5) < 0.07


def test_the_convolutional_network_tells_the_sign_of_skewed_fields_and_not_two_sets_of_one_distribution(distribution):
    rng = np.random.default_rng(2)
    sets = [distribution.draw(rng, 384) for _ in range(2)]

    def area(own):
        scores = convolutional_scores(
            (own[:256], sets[1][:256]), (own[256:], sets[1][256:]), symmetries=distribution.symmetries, steps=60
        )
        return auc(scores)

    assert area(-sets[0]) > 0.8
    assert abs(area(sets[0]) - 0.5) < 0.12


def test_the_convolutional_network_takes_planes_of_two_channels_without_periodic_edges():
    rng = np.random.default_rng(3)
    own, other = rng.standard_normal((2, 40, 6, 5, 2))
    scores = convolutional_scores((own[:20] + 2, other[:20]), (own[20:] + 2, other[20:]), periodic=False, steps=40)
    assert len(scores.samples) == len(scores.reference) == 20
    assert auc(scores) > 0.9
