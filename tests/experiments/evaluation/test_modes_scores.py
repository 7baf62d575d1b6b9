"""Modes: counted, weighed and judged sharp as the formulas say."""

import numpy as np
import pytest

from experiments.evaluation.distances import ReferenceSet
from experiments.evaluation.scores import Labels, mode_scores, nearest_centre

CENTRES = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0]])
WEIGHTS = np.array([0.1, 0.2, 0.3, 0.4])


def exact(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    mode = rng.choice(4, count, p=WEIGHTS)
    return CENTRES[mode] + 0.05 * rng.standard_normal((count, 2)), mode


def test_exact_samples_of_the_plane_lie_within_three_deviations_989_times_in_1000():
    points, mode = exact(40_000)
    labels = nearest_centre(points, CENTRES, 0.05)
    np.testing.assert_array_equal(labels.mode, mode)
    share = 1 - np.exp(-4.5)
    assert labels.high.mean() == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / 40_000))


def test_the_scores_are_those_of_the_shares_by_hand():
    labels = Labels(np.array([0, 1, 1, 3]), np.array([True, True, False, False]))
    scores = mode_scores(labels, WEIGHTS)
    assert scores["modes_found"] == 2
    assert scores["high_quality"] == 0.5
    # Shares 0.25, 0.5, 0, 0.25 against 0.1, 0.2, 0.3, 0.4.
    assert scores["total_variation"] == pytest.approx(0.45)
    assert scores["kl"] == pytest.approx(0.25 * np.log(2.5) + 0.5 * np.log(2.5) + 0.25 * np.log(0.625))


def test_a_perfect_sampler_comes_to_what_chance_allows():
    """E |q - p| = sqrt(2 p (1 - p) / (pi n)) for each mode, as the shares are nearly normal."""
    expected = 0.5 * np.sqrt(2 * WEIGHTS * (1 - WEIGHTS) / (np.pi * 5000)).sum()
    drawn = [mode_scores(nearest_centre(exact(5000, seed)[0], CENTRES, 0.05), WEIGHTS) for seed in range(60)]
    assert np.mean([one["total_variation"] for one in drawn]) == pytest.approx(expected, rel=0.15)
    # 2 n KL is chi-square distributed with three degrees of freedom.
    assert np.mean([2 * 5000 * one["kl"] for one in drawn]) == pytest.approx(3.0, rel=0.3)


def test_nothing_and_no_distribution_are_refused():
    with pytest.raises(ValueError, match="at least one sample"):
        mode_scores(Labels(np.array([], int), np.array([], bool)), WEIGHTS)
    with pytest.raises(ValueError, match=r"weights sum to 0\.9"):
        mode_scores(Labels(np.array([0]), np.array([True])), WEIGHTS * 0.9)


def test_points_and_images_are_held_against_their_distribution_without_spectra():
    pool = exact(512)[0].astype(np.float32)
    reference_set = ReferenceSet(pool, n=128, draws=80)
    assert reference_set.names == ("marginals", "quantiles", "sliced", "kernel")
    assert set(reference_set.definitions()) == set(reference_set.names)
    same, other = exact(256, seed=1)[0].astype(np.float32), CENTRES[[0] * 256].astype(np.float32)
    assert all(entry.inside for entry in reference_set.compare(same).values())
    assert not any(entry.inside for entry in reference_set.compare(other).values())
    images = np.random.default_rng(0).random((128, 4, 4, 1), dtype=np.float32)
    assert ReferenceSet(images, n=32, draws=80, homogeneous=False).names == reference_set.names
