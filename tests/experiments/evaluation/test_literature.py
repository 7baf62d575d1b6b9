"""Measures of the literature against independent formulas, and what they come to for sets of one distribution."""

import numpy as np
import pytest
from scipy import linalg, stats

from experiments.evaluation.distances import Frame
from experiments.evaluation.distances.literature import (
    BINS,
    DEFINITIONS,
    cells,
    covariance_error,
    energy_distance,
    frechet_distance,
    histogram_distance,
    kernel_statistic,
    literature,
    local_features,
    log_energy_ratio,
)
from experiments.evaluation.scores.neighbours import Neighbourhoods


def two_sets(seed=0, n=40, m=50, d=3):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)) @ rng.standard_normal((d, d)), rng.standard_normal((m, d)) + 0.3


def test_frechet_distance_is_the_formula_with_the_root_of_the_product():
    a, b = two_sets()
    one, two = np.cov(a.T), np.cov(b.T)
    root = linalg.sqrtm(one @ two).real
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(one + two - 2 * root)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(a, a) == pytest.approx(0.0, abs=1e-6)


def test_energy_distance_and_kernel_statistic_are_sums_over_pairs_of_different_members():
    a, b = two_sets(n=12, m=9)

    def pairs(x, y, kernel, same):
        members = [(i, j) for i in range(len(x)) for j in range(len(y)) if not (same and i == j)]
        return np.mean([kernel(np.linalg.norm(x[i] - y[j])) for i, j in members])

    def both(kernel):
        return pairs(a, a, kernel, True) + pairs(b, b, kernel, True) - 2 * pairs(a, b, kernel, False)

    sets = Neighbourhoods.of(a, b)
    assert energy_distance(sets) == pytest.approx(-both(lambda r: r))
    assert kernel_statistic(sets, 1.7) == pytest.approx(both(lambda r: np.exp(-(r**2) / (2 * 1.7**2))))


def test_energy_distance_on_a_line_is_that_of_the_distribution_functions():
    """The biased form equals 2 int (F - G)^2; the unbiased one differs by the pairs of members with themselves."""
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((400, 1)), rng.standard_normal((400, 1)) + 1
    biased = stats.energy_distance(a[:, 0], b[:, 0]) ** 2
    inner = [np.abs(x - x.T).sum() * (1 / 400**2 - 1 / (400 * 399)) for x in (a, b)]
    assert energy_distance(Neighbourhoods.of(a, b)) == pytest.approx(biased + sum(inner), rel=1e-6)


def test_unbiased_statistics_are_zero_on_average_for_sets_of_one_distribution():
    rng = np.random.default_rng(2)
    sets = [Neighbourhoods.of(*rng.standard_normal((2, 30, 2))) for _ in range(300)]
    for drawn in ([energy_distance(s) for s in sets], [kernel_statistic(s, 1.0) for s in sets]):
        assert abs(np.mean(drawn)) < 3.5 * np.std(drawn) / np.sqrt(300)
        assert min(drawn) < 0


def test_covariance_error_of_doubled_fields_is_three():
    _, b = two_sets()
    assert covariance_error(2 * b, b) == pytest.approx(3.0)
    assert covariance_error(b + 5, b) == pytest.approx(0.0, abs=1e-9)


def test_log_energy_ratio_weighs_shells_equally_or_by_energy():
    first, second = np.array([2.0, 1.0, 0.1]), np.array([1.0, 1.0, 0.2])
    assert log_energy_ratio(first, second) == pytest.approx(2 * np.log(2) / 3)
    assert log_energy_ratio(first, second, weighted=True) == pytest.approx(np.log(2) * 1.2 / 2.2)


def test_histogram_distance_is_twice_the_total_variation():
    assert histogram_distance(np.array([1, 3]), np.array([2, 2])) == pytest.approx(0.5)
    assert histogram_distance(np.array([5, 0]), np.array([0, 9])) == 2.0


def test_local_features_of_a_wave_are_value_advection_and_tendency():
    x = 3.0 * np.arange(32) / 32
    k = 2 * np.pi / 3.0
    fields = np.sin(2 * k * x)[None, :, None]
    local = local_features(fields, 7 * fields, (3.0,))
    np.testing.assert_allclose(local[0, :, 0], fields[0, :, 0], atol=1e-6)
    np.testing.assert_allclose(local[0, :, 1], k * np.sin(4 * k * x), atol=1e-5)
    np.testing.assert_allclose(local[0, :, 2], 7 * fields[0, :, 0], atol=1e-5)


def test_cells_are_those_of_numpys_joint_histogram():
    rng = np.random.default_rng(3)
    local = rng.standard_normal((5, 40, 2))
    found = np.bincount(cells(local, local, 4).ravel(), minlength=16).reshape(4, 4)
    expected, *_ = np.histogram2d(*local.reshape(-1, 2).T, bins=4)
    # The first feature runs fastest.
    np.testing.assert_array_equal(found, expected.T)
    beyond = cells(np.full((1, 1, 2), 99.0), local, 4)
    assert beyond == 15


def waves(rng, count, skew=0.0, points=16):
    k = np.fft.rfftfreq(points, 1 / points)
    u = np.fft.irfft(np.fft.rfft(rng.standard_normal((count, points))) * np.exp(-k / 3), n=points)
    return (u + skew * (u**2 - (u**2).mean())).astype(np.float32)[..., None]


def features(fields):
    slope = np.diff(fields[..., 0], axis=1)
    return np.stack([fields.std(axis=(1, 2)), (slope**3).mean(axis=1), (fields[..., 0] ** 3).mean(axis=1)], axis=1)


def test_fields_of_one_distribution_lie_in_the_bands_and_skewed_ones_do_not():
    rng = np.random.default_rng(4)
    pool = waves(rng, 400)
    frame = Frame(pool, extent=(5.0,))
    scores = {}
    for name, fields in (("same", waves(rng, 100)), ("skewed", waves(rng, 100, skew=1.0))):
        scores[name] = literature(
            fields, pool, (features(fields), features(pool)), frame=frame, tendencies=(-fields, -pool)
        )
    assert set(scores["same"]) == set(DEFINITIONS)
    assert sum(one.inside for one in scores["same"].values()) >= len(DEFINITIONS) - 3
    found = {name for name, one in scores["skewed"].items() if not one.inside}
    assert {"frechet", "energy_distance", "mmd_unbiased", "histogram_l1"} <= found


def test_measures_that_need_a_periodic_grid_are_left_out_elsewhere():
    rng = np.random.default_rng(5)
    pool, points = rng.standard_normal((120, 2)).astype(np.float32), rng.standard_normal((50, 2)).astype(np.float32)
    found = literature(points, pool, (points, pool), frame=Frame(pool))
    assert "log_energy_ratio" not in found and "histogram_l1" not in found and "frechet" in found


def test_sets_that_cannot_make_a_band_are_refused():
    pool = waves(np.random.default_rng(6), 100)
    frame = Frame(pool)
    with pytest.raises(ValueError, match="at least 120 fields"):
        literature(pool[:60], pool, (features(pool[:60]), features(pool)), frame=frame)
    with pytest.raises(ValueError, match="one row for each"):
        literature(pool[:50], pool, (features(pool[:40]), features(pool)), frame=frame)


def test_a_joint_histogram_has_the_stated_bins():
    rng = np.random.default_rng(7)
    local = rng.standard_normal((4, 10, 3))
    assert cells(local, local).min() >= 0 and cells(local, local).max() < BINS**3
