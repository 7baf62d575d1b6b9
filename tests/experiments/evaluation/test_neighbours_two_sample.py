"""Nearest neighbours modulo mirror images, against a search through all pairs."""

import itertools

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from experiments.evaluation.two_sample.neighbours import distance_to, images, nearest_others, paths
from gan.augmentation import ArrayReflection, ArraySymmetries

MIRROR = ArraySymmetries((), (ArrayReflection(0, (-1.0,)),))


def flat(fields):
    return fields.reshape(len(fields), -1)


@pytest.fixture
def described():
    """Descriptors of 1,500 fields, more than one block, and of their mirror images."""
    rng = np.random.default_rng(0)
    fields = rng.standard_normal((1500, 6, 1)).astype(np.float32)
    return images(fields, flat, MIRROR)


def test_images_are_the_fields_and_their_reflections():
    fields = np.arange(8, dtype=np.float32).reshape(2, 4, 1)
    own, mirror = images(fields, flat, MIRROR)
    np.testing.assert_array_equal(own, flat(fields))
    np.testing.assert_array_equal(mirror[0], [0, -3, -2, -1])
    (alone,) = images(fields, flat, None)
    np.testing.assert_array_equal(alone, flat(fields))


def test_the_nearest_other_is_that_of_a_search_through_all_pairs_and_their_images(described):
    found, apart = nearest_others(described)
    every = np.min([cdist(described[0], one) for one in described], axis=0)
    np.fill_diagonal(every, np.inf)
    np.testing.assert_array_equal(found, every.argmin(axis=1))
    np.testing.assert_allclose(apart, every.min(axis=1), atol=1e-3)


def test_no_field_is_its_own_neighbour_and_copies_and_mirror_images_are_at_distance_0(described):
    own, mirror = (one[:20] for one in described)
    # The second ten are copies of the first five and mirror images of the next five.
    both = [np.concatenate([own[:10], own[:5], mirror[5:10]]), np.concatenate([mirror[:10], mirror[:5], own[5:10]])]
    found, apart = nearest_others(both)
    np.testing.assert_array_equal(found, [*range(10, 20), *range(10)])
    np.testing.assert_allclose(apart, 0, atol=5e-3)


def stored_at(*moments):
    return paths([one.reshape(len(one), -1, 1) for one in moments], flat, MIRROR)


def test_the_distance_to_fields_at_one_time_is_that_to_the_nearest_field_or_image(described):
    rng = np.random.default_rng(1)
    queries = rng.standard_normal((2100, 6)).astype(np.float32)
    queries[0], queries[1] = described[0][7], described[1][8]
    expected = np.min([cdist(queries, one).min(axis=1) for one in described], axis=0)
    apart = distance_to(queries, stored_at(described[0]))
    np.testing.assert_allclose(apart, expected, atol=3e-3)
    np.testing.assert_allclose(apart[:2], 0, atol=3e-3)


def test_the_distance_to_moving_fields_is_that_to_the_polygon_through_their_times(described):
    rng = np.random.default_rng(2)
    own = described[0][:1200]
    moments = [own, own + rng.standard_normal(own.shape), own + rng.standard_normal(own.shape)]
    moments = [one.astype(np.float32) for one in moments]
    queries = rng.standard_normal((40, 6)).astype(np.float32)
    queries[0] = 0.3 * moments[0][5] + 0.7 * moments[1][5]
    queries[1] = 0.5 * images(moments[1][9][None, :, None], flat, MIRROR)[1][0]
    queries[1] += 0.5 * images(moments[2][9][None, :, None], flat, MIRROR)[1][0]
    knots = [np.concatenate(images(one[..., None], flat, MIRROR)) for one in moments]
    along = [a + s * (b - a) for a, b in itertools.pairwise(knots) for s in np.linspace(0, 1, 101)]
    expected = np.min([cdist(queries, one).min(axis=1) for one in along], axis=0)
    apart = distance_to(queries, stored_at(*moments))
    np.testing.assert_allclose(apart, expected, atol=2e-2)
    assert np.all(apart <= expected + 3e-3)
    np.testing.assert_allclose(apart[:2], 0, atol=5e-3)
