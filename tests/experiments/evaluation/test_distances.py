"""Distances between sets of fields: each sees what it is meant to see, and chance is held to its stated
rate."""

import numpy as np
import pytest

from experiments.evaluation.distances import FieldFeatures, Frame, ReferenceSet, holm

POINTS, SET = 32, 200


def gaussian_fields(rng, count, *, points=POINTS, width=2.0, centre=2.5, amplitude=1.0, mean=0.0):
    """Gaussian fields of one channel with a spectral bump; unit variance at amplitude 1."""
    k = np.fft.rfftfreq(points, 1 / points)
    envelope = np.exp(-0.5 * ((k - centre) / width) ** 2) * (k > 0)
    envelope /= np.sqrt((2 * envelope**2).sum() / points)
    noise = np.fft.rfft(rng.standard_normal((count, points)))
    return (np.fft.irfft(noise * envelope, n=points) * amplitude + mean).astype(np.float32)[..., None]


@pytest.fixture(scope="module")
def reference_set():
    pool = gaussian_fields(np.random.default_rng(1), 4 * SET)
    return ReferenceSet(pool, n=SET, draws=300, extent=(22.0,))


def ratios(reference_set, fields):
    values = reference_set.distances(fields)
    return {name: values[name] / reference_set.floor[name] for name in reference_set.names}


def exceeded(reference_set, fields):
    """Distances whose value lies above every draw of the null."""
    p = reference_set.p_values(reference_set.distances(fields))
    return {name for name, value in p.items() if value < 1.5 / (1 + reference_set.draws)}


def test_wasserstein_of_values_equals_the_integral_between_sorted_values():
    rng = np.random.default_rng(2)
    a, b = gaussian_fields(rng, 300), gaussian_fields(rng, 300, amplitude=1.2, mean=0.1)
    reference_set = ReferenceSet(np.concatenate([b, b]), n=300, draws=200)
    reference_set._reference_means = reference_set.frame(b).rows.mean(axis=0)[None]
    exact = np.abs(np.sort(a.ravel()) - np.sort(b.ravel())).mean() / b.std()
    assert reference_set.distances(a)["marginals"] == pytest.approx(exact, rel=0.01)


def test_wasserstein_of_values_beyond_the_reference_range_keeps_its_size(reference_set):
    far = np.full((SET, POINTS, 1), 100.0, np.float32) + gaussian_fields(np.random.default_rng(3), SET)
    std = float(reference_set.frame.std[0])
    mean = float(reference_set.frame.mean[0])
    assert reference_set.distances(far)["marginals"] == pytest.approx((100.0 - mean) / std, rel=0.02)


def test_kernel_statistic_is_the_v_statistic_of_its_own_kernel():
    rng = np.random.default_rng(4)
    a, b = gaussian_fields(rng, 60), gaussian_fields(rng, 60, amplitude=1.5)
    frame = Frame(b, frequencies=4000, directions=4)
    flat = [((x - frame.mean) / frame.std).reshape(len(x), -1) for x in (a, b)]
    squared = [[((x[:, None] - y[None]) ** 2).sum(-1) for y in flat] for x in flat]
    widths = np.array([0.5, 1.0, 2.0]) * frame.median
    kernel = [[np.mean([np.exp(-d / (2 * w**2)).mean() for w in widths]) for d in row] for row in squared]
    gaussian = np.sqrt(kernel[0][0] + kernel[1][1] - 2 * kernel[0][1])
    gap = frame.part(frame(a).rows.mean(0) - frame(b).rows.mean(0), "kernel")
    assert np.sqrt((gap**2).sum() / 4000) == pytest.approx(gaussian, rel=0.05)


def test_energy_of_the_shells_sums_to_the_variance_of_a_two_dimensional_field():
    rng = np.random.default_rng(5)
    x, y = np.meshgrid(np.arange(12) / 12, np.arange(16) / 16, indexing="ij")
    waves = [np.cos(2 * np.pi * (p * x + q * y) + rng.uniform(0, 6)) for p, q in ((1, 2), (-3, 1), (0, 4))]
    fields = np.stack([sum(rng.normal() * w for w in waves) for _ in range(8)]).astype(np.float32)[..., None]
    frame = Frame(fields, extent=(2.0, 2.0))
    variance = ((fields - frame.mean) ** 2).mean(axis=(1, 2))
    np.testing.assert_allclose(frame.energy(fields).sum(-1), variance, rtol=1e-4)
    occupied = np.flatnonzero(frame.energy(fields).mean(axis=(0, 1)) > 1e-6)
    # |(1, 2)| = 2.24 and |(-3, 1)| = 3.16 fall in shells 2 and 3.
    assert set(occupied) == {2, 3, 4}


def test_correlation_of_a_cosine_is_the_cosine_of_the_separation():
    x = 2 * np.pi * np.arange(POINTS) / POINTS
    phases = np.random.default_rng(6).uniform(0, 2 * np.pi, 40)
    fields = np.cos(3 * x[None] + phases[:, None]).astype(np.float32)[..., None]
    frame = Frame(fields)
    covariance = frame.part(frame(fields).rows.mean(axis=0), "covariance_0")[0]
    np.testing.assert_allclose(covariance / covariance[0], np.cos(3 * x[: POINTS // 2 + 1]), atol=1e-2)


def test_two_sets_of_one_distribution_exceed_each_distance_at_the_stated_rate():
    """P-values of fresh sets are uniform: rates at 5% and 50% within binomial error."""
    rng = np.random.default_rng(7)
    trials, p = 120, []
    for trial in range(trials):
        if trial % 6 == 0:
            pool = gaussian_fields(rng, 4 * 60, points=16)
            reference_set = ReferenceSet(pool, n=60, draws=180, separations=(1,), directions=16)
        values = reference_set.distances(gaussian_fields(rng, 60, points=16))
        p.append(list(reference_set.p_values(values).values()))
    p = np.array(p)
    # Six trials share a pool, so the error is somewhat above the binomial one.
    for level in (0.05, 0.5):
        sigma = np.sqrt(level * (1 - level) / trials)
        assert np.all(np.abs((p <= level).mean(axis=0) - level) < 3.5 * sigma + 1 / 181)


def test_holm_rejects_one_after_another_and_stops_at_the_first_it_keeps():
    assert holm([0.01, 0.04, 0.03, 0.005], 0.05).tolist() == [False, True, True, False]
    assert holm([0.02, 0.02, 0.02], 0.05).tolist() == [True, True, True]
    assert holm([0.9, 0.01], 0.05).tolist() == [True, False]


def test_solver_fields_cannot_be_distinguished_from_the_solver(reference_set):
    result = reference_set.compare(gaussian_fields(np.random.default_rng(8), 2 * SET))
    assert tuple(result) == reference_set.names
    assert all(entry.inside and entry.definition and entry.n == SET for entry in result.values())
    assert 0.6 < np.median([entry.ratio for entry in result.values()]) < 1.6


def test_a_tenth_more_amplitude_is_seen_by_spectrum_values_and_increments_but_not_by_correlation(reference_set):
    fields = gaussian_fields(np.random.default_rng(9), SET)
    base, louder = ratios(reference_set, fields), exceeded(reference_set, 1.1 * fields)
    assert {"spectrum", "marginals", "increments_1"} <= louder
    assert ratios(reference_set, 1.1 * fields)["correlation"] == pytest.approx(base["correlation"], rel=0.05)


def test_a_shifted_mean_is_seen_by_values_and_not_by_increments(reference_set):
    fields = gaussian_fields(np.random.default_rng(10), SET)
    moved = exceeded(reference_set, fields + 0.2)
    assert "marginals" in moved
    assert not moved & {"increments_1", "spectrum"}


def test_another_correlation_length_is_seen_by_correlation_and_increments_and_not_by_values(reference_set):
    fields = exceeded(reference_set, gaussian_fields(np.random.default_rng(11), SET, centre=3.2))
    assert {"correlation", "increments_1", "spectrum"} <= fields
    assert "marginals" not in fields


def test_heavy_tails_are_seen_by_extreme_quantiles_first(reference_set):
    fields = gaussian_fields(np.random.default_rng(12), SET)
    index = np.abs(fields).reshape(SET, -1).max(axis=1).argsort()[-6:]
    fields[index] *= 1.7
    assert max(ratios(reference_set, fields), key=ratios(reference_set, fields).get) == "quantiles"


def test_values_on_a_ladder_are_compared_without_quantiles_and_by_all_else():
    rng = np.random.default_rng(11)
    pool = np.round(gaussian_fields(rng, 4 * SET)).clip(-1, 1)
    reference_set = ReferenceSet(pool, n=SET, draws=200, quantiles=())
    assert "quantiles" not in reference_set.names and "quantiles" not in reference_set.definitions()
    fresh = np.round(gaussian_fields(rng, SET)).clip(-1, 1)
    assert set(reference_set.distances(fresh)) == set(reference_set.names) >= {"marginals", "sliced", "kernel"}
    assert all(reference_set.floor[name] > 1e-4 for name in reference_set.names)


def test_phase_coupling_that_keeps_the_spectrum_is_seen_by_values(reference_set):
    """Fields with the same spectrum and aligned phases: second moments agree, the distribution does not."""
    rng = np.random.default_rng(13)
    hat = np.abs(np.fft.rfft(gaussian_fields(rng, SET)[..., 0]))
    k, shift = np.arange(hat.shape[1]), rng.uniform(0, 2 * np.pi, (SET, 1))
    fields = np.fft.irfft(hat * np.exp(1j * k * shift), n=POINTS).astype(np.float32)[..., None]
    seen = exceeded(reference_set, fields)
    assert {"marginals", "quantiles"} <= seen and "spectrum" not in seen


def test_fields_that_are_all_alike_are_seen_by_sliced_wasserstein_and_kernel(reference_set):
    """One field repeated at random shifts keeps pooled statistics near, but not the distribution of whole fields."""
    rng = np.random.default_rng(14)
    few = gaussian_fields(rng, 4)
    fields = np.stack([few[i % 4] for i in range(SET)])
    assert {"sliced", "kernel"} <= exceeded(reference_set, fields)


def test_ratio_grows_as_the_root_of_the_number_of_fields_for_a_fixed_error():
    rng = np.random.default_rng(15)
    found = []
    for n in (100, 900):
        reference_set = ReferenceSet(gaussian_fields(rng, 4 * n, points=16), n=n, draws=200, separations=(1,))
        found.append(ratios(reference_set, gaussian_fields(rng, n, points=16, amplitude=1.5))["marginals"])
    assert found[1] / found[0] == pytest.approx(3.0, rel=0.2)


@pytest.mark.parametrize("amplitude", [1.0, 1.25])
def test_the_interval_covers_the_expected_distance_at_its_nominal_rate(amplitude):
    """Near the floor and far from it; `benchmarks/coverage.py` measures it closely."""
    rng, n, sets = np.random.default_rng(16), 60, 4
    reference_set = ReferenceSet(gaussian_fields(rng, 4 * n, points=16), n=n, draws=180, separations=(1,), directions=8)
    results = [
        reference_set.compare(gaussian_fields(rng, sets * n, points=16, amplitude=amplitude)) for _ in range(150)
    ]
    for name in ("marginals", "spectrum", "kernel", "sliced"):
        values, low, high = np.array([(r[name].value, *r[name].interval) for r in results]).T
        covered = np.mean((low <= values.mean()) & (values.mean() <= high))
        assert 0.88 <= covered <= 0.995, (name, covered)
        # Student's factor for four sets, and the spread of a mean over them.
        assert np.mean(high - low) == pytest.approx(2 * 3.18 * values.std() * 0.92, rel=0.25)


@pytest.mark.parametrize("count", [SET, 2 * SET + 1])
def test_fields_that_are_not_two_sets_or_more_have_no_interval(reference_set, count):
    with pytest.raises(ValueError, match="sets"):
        reference_set.compare(gaussian_fields(np.random.default_rng(1), count))


def test_distances_are_the_same_however_the_fields_are_ordered(reference_set):
    rng = np.random.default_rng(19)
    fields = gaussian_fields(rng, SET)
    one, two = reference_set.distances(fields), reference_set.distances(fields[rng.permutation(SET)])
    for name in one:
        assert one[name] == pytest.approx(two[name], rel=1e-4)


def test_band_of_the_spectrum_holds_fresh_sets_of_fresh_pools_at_its_nominal_rate():
    """Also where the pool is only twice the set, whose blocks vary least."""
    rng, n = np.random.default_rng(20), 40
    held = []
    for _ in range(60):
        pool = gaussian_fields(rng, 2 * n, points=16)
        reference_set = ReferenceSet(pool, n=n, draws=180, separations=(1,), directions=2)
        _, low, high = reference_set.band(lambda rows, y=reference_set: y.frame.part(rows, "energy")[:, 0, 1:6])
        fresh = (
            reference_set.frame.energy(gaussian_fields(rng, 4 * n, points=16))[:, 0, 1:6].reshape(4, n, 5).mean(axis=1)
        )
        held.append((fresh >= low) & (fresh <= high))
    assert 0.91 <= np.mean(held) <= 0.985


def test_two_channels_in_two_dimensions_are_compared_by_every_distance():
    rng = np.random.default_rng(21)

    def make(n, scale=1.0):
        noise = np.fft.rfft2(rng.standard_normal((n, 8, 12, 2)), axes=(1, 2))
        k = np.hypot(np.fft.fftfreq(8, 1 / 8)[:, None], np.fft.rfftfreq(12, 1 / 12)[None])
        smooth = np.fft.irfft2(noise * np.exp(-k / 2)[None, ..., None], s=(8, 12), axes=(1, 2))
        return (smooth * np.array([1.0, 100.0 * scale])).astype(np.float32)

    reference_set = ReferenceSet(make(240), n=80, draws=200, extent=(1.0, 1.5))
    assert all(entry.inside for entry in reference_set.compare(make(160)).values())
    assert {"marginals", "increments_1", "spectrum"} <= exceeded(reference_set, make(80, scale=1.4))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"n": SET * 3}, "disjoint"),
        ({"draws": 60}, "too few"),
        ({"separations": (POINTS,)}, "no distance"),
        ({"extent": (1.0, 2.0)}, "one per axis"),
    ],
)
def test_a_comparison_that_cannot_be_made_is_refused_in_one_sentence(change, words):
    pool = gaussian_fields(np.random.default_rng(22), 4 * SET)
    with pytest.raises(ValueError, match=words):
        ReferenceSet(pool, **{"n": SET, "draws": 300, **change})


def test_fields_that_do_not_fit_the_reference_set_are_refused(reference_set):
    fields = gaussian_fields(np.random.default_rng(23), SET)
    with pytest.raises(ValueError, match="equal n"):
        reference_set.distances(fields[:-1])
    with pytest.raises(ValueError, match="one grid"):
        reference_set.distances(fields[:, :-1])
    fields[3, 2] = np.nan
    with pytest.raises(ValueError, match="1 of 200 fields are not finite"):
        reference_set.distances(fields)


def test_features_of_a_field_do_not_depend_on_the_set_it_comes_in(reference_set):
    fields = gaussian_fields(np.random.default_rng(24), SET)
    whole, half = reference_set.frame(fields), reference_set.frame(fields[: SET // 2])
    assert isinstance(half, FieldFeatures)
    np.testing.assert_allclose(whole.rows[: SET // 2], half.rows, rtol=1e-4, atol=1e-5)
