"""The normaliser: moments in chunks, large means, constant channels, and back again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gan.normalizer import fit


@given(mean=st.floats(-1e4, 1e4), scale=st.floats(1e-2, 1e3), chunk=st.integers(1, 40))
def test_chunked_moments_are_the_moments(mean, scale, chunk):
    fields = (mean + scale * np.random.default_rng(0).standard_normal((30, 4, 2))).astype(np.float32)
    normalizer = fit(fields, chunk)
    wide = fields.astype(np.float64)
    np.testing.assert_allclose(normalizer.mean, wide.mean((0, 1)), rtol=1e-5, atol=1e-5 * scale)
    np.testing.assert_allclose(normalizer.std, wide.std((0, 1)), rtol=1e-4)


def test_normalised_fields_come_back():
    fields = np.random.default_rng(0).standard_normal((10, 8, 3)).astype(np.float32) * [1, 10, 100] + [0, 5, -7]
    fields = fields.astype(np.float32)
    normalizer = fit(fields)
    normal = normalizer.normalize(fields)
    np.testing.assert_allclose(normal.std((0, 1)), 1.0, rtol=1e-4)
    np.testing.assert_allclose(normalizer.denormalize(normal), fields, rtol=1e-5, atol=1e-4)


def test_a_constant_channel_keeps_unit_scale():
    normalizer = fit(np.full((5, 4, 1), 3.0, np.float32))
    np.testing.assert_array_equal(normalizer.std, [1.0])
    np.testing.assert_array_equal(normalizer.normalize(np.full((1, 4, 1), 3.0, np.float32)), 0.0)


def test_fields_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="not finite"):
        fit(np.array([[[np.nan]]], np.float32))
    with pytest.raises(ValueError, match="at least one"):
        fit(np.zeros((0, 4, 1), np.float32))


def test_points_that_are_held_keep_their_value_and_have_no_part_in_the_moments():
    fields = np.random.default_rng(0).normal(2.0, 3.0, (50, 6, 2)).astype(np.float32)
    held = np.zeros((6, 2), bool)
    held[1:4, 0] = True
    fields[:, held] = 70.0
    normalizer = fit(fields, 7, held)
    free = fields[:, [0, 4, 5], 0]
    np.testing.assert_allclose(normalizer.std[0, 0], free.std(), rtol=1e-5)
    normal = normalizer.normalize(fields + np.where(held, 5.0, 0.0))
    assert (normal[:, held] == 0).all()
    np.testing.assert_allclose(normal[:, 0, 0].mean(), (fields[:, 0, 0].mean() - free.mean()) / free.std(), rtol=1e-4)
    made = normalizer.denormalize(np.full((2, 6, 2), 9.0, np.float32))
    np.testing.assert_array_equal(made[:, held], 70.0)
    fields[3, 2, 0] = 71.0
    with pytest.raises(ValueError, match="held"):
        fit(fields, 7, held)
