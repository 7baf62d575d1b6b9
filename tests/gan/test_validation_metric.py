"""The validation metric: power against Gaussian look-alikes, the arrays it takes, and its cost."""

import numpy as np
import pytest

from gan.training.validation import POOLED, local_quantities, mean_wasserstein, sliced_wasserstein

COUNT = 2048


def skewed_fields(rng, count, points=32):
    """Smooth periodic fields with flat troughs and steep crests."""
    k = np.fft.rfftfreq(points, 1 / points)
    u = np.fft.irfft(np.fft.rfft(rng.standard_normal((count, points))) * np.exp(-k / 6), n=points)
    return np.exp(u / u.std()).astype(np.float32)[..., None]


def with_random_phases(rng, fields):
    hat = np.fft.rfft(fields, axis=1)
    phases = np.exp(2j * np.pi * rng.random(hat.shape))
    phases[:, [0, -1]] = 1
    return np.fft.irfft(hat * phases, n=fields.shape[1], axis=1).astype(np.float32)


def test_fields_with_random_phases_are_ten_floors_away_and_nearly_invisible_to_random_projections():
    rng = np.random.default_rng(0)
    fields = skewed_fields(rng, 12 * COUNT).reshape(12, COUNT, 32, 1)
    fields = (fields - fields.mean()) / fields.std()
    surrogate = with_random_phases(rng, skewed_fields(rng, COUNT))
    surrogate = (surrogate - surrogate.mean()) / surrogate.std()

    def ratio(distance):
        floor = np.median([distance(*fields[i : i + 2]) for i in range(0, 10, 2)])
        return distance(surrogate, fields[10]) / floor

    assert ratio(mean_wasserstein) > 10
    assert ratio(sliced_wasserstein) < 0.5 * ratio(mean_wasserstein)


@pytest.mark.parametrize("shape", [(2,), (7, 1), (6, 5, 3), (4, 6, 5, 2), (1, 4, 1)])
def test_points_fields_images_and_trajectories_are_measured(shape):
    a, b = np.random.default_rng(1).standard_normal((2, 60, *shape)).astype(np.float32)
    assert mean_wasserstein(a, a) == 0.0
    assert mean_wasserstein(a + 3, b) > mean_wasserstein(a, b) > 0


def test_points_without_a_grid_are_measured_by_projections_alone():
    a, b = np.random.default_rng(2).standard_normal((2, 80, 3))
    assert mean_wasserstein(a, b) == sliced_wasserstein(a, b)


def test_quantities_are_values_dyadic_increments_along_every_axis_and_filters():
    fields = np.random.default_rng(3).standard_normal((3, 8, 5, 2)).astype(np.float32)
    values, *increments, filters = local_quantities(fields)
    np.testing.assert_array_equal(values, fields.reshape(-1, 2).T)
    expected = [np.diff(fields, axis=1)] + [fields[:, s:] - fields[:, :-s] for s in (2, 4)]
    expected += [np.diff(fields, axis=2), fields[:, :, 2:] - fields[:, :, :-2]]
    assert len(increments) == len(expected)
    for one, other in zip(increments, expected):
        np.testing.assert_array_equal(np.sort(one[1]), np.sort(other[..., 1].ravel()))
    assert filters.shape == (8, 3 * 4)


def test_a_channel_in_another_unit_or_a_constant_one_does_not_decide():
    a, b = np.random.default_rng(4).standard_normal((2, 200, 16, 1)).astype(np.float32)
    flat = np.zeros_like(a)
    both = mean_wasserstein(np.concatenate([a, flat], -1), np.concatenate([b, flat], -1))
    assert 0 < both < mean_wasserstein(a, b) * 1.5


def test_no_more_than_the_stated_number_of_values_is_compared():
    fields = np.random.default_rng(5).standard_normal((40, 64, 64, 1)).astype(np.float32)
    assert max(rows.shape[1] for rows in local_quantities(fields)) == POOLED


def test_sets_of_other_shapes_are_refused():
    with pytest.raises(ValueError, match="one shape"):
        mean_wasserstein(np.zeros((3, 4, 1)), np.zeros((2, 4, 1)))
