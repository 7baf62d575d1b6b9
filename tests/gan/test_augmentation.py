"""Symmetry augmentation: group properties, and that it commutes with whatever has the symmetry."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gan.augmentation import (
    ArrayMove,
    ArrayReflection,
    ArraySymmetries,
    check,
    reflect,
    repeated,
    transform_batch,
    transform_pairs,
)

LINE = ArraySymmetries((0,), (ArrayReflection(0, (-1.0,)),))
PLANE = ArraySymmetries((0, 1), (ArrayReflection(1, (1.0, -1.0)),))


def fields(*shape: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(0).standard_normal(shape), jnp.float32)


def burgers_like(u: jax.Array) -> jax.Array:
    """One step of u_t = -(u^2)_x / 2 + u_xx by central differences: commutes with shifts and u(x) -> -u(-x)."""
    right, left = jnp.roll(u, -1, -2), jnp.roll(u, 1, -2)
    return u + 0.1 * (-(right**2 - left**2) / 4 + right - 2 * u + left)


def test_augmentation_commutes_with_an_equation_that_has_the_symmetry(key):
    batch, keys = fields(32, 12, 1), jax.random.split(key, 32)
    first = transform_batch(burgers_like(batch), keys, LINE, 1)
    then = burgers_like(transform_batch(batch, keys, LINE, 1))
    np.testing.assert_allclose(first, then, atol=1e-6)
    wrong = ArraySymmetries((0,), (ArrayReflection(0, (1.0,)),))
    first = transform_batch(burgers_like(batch), keys, wrong, 1)
    then = burgers_like(transform_batch(batch, keys, wrong, 1))
    assert not np.allclose(first, then, atol=1e-3)


def test_a_field_given_moves_as_its_sample_does_and_a_vector_stays(key):
    batch, keys = fields(32, 12, 1), jax.random.split(key, 32)
    condition = {"before": batch, "parameter": fields(32, 3)}
    after, given = transform_pairs(burgers_like(batch), condition, keys, LINE, 1)
    assert not np.allclose(given["before"], batch)
    np.testing.assert_allclose(after, burgers_like(given["before"]), atol=1e-6)
    np.testing.assert_array_equal(given["parameter"], condition["parameter"])


def test_every_shift_and_mirror_image_turns_up(key):
    field = fields(6, 1)
    moved = np.asarray(transform_batch(jnp.broadcast_to(field, (400, 6, 1)), jax.random.split(key, 400), LINE, 1))
    found = {tuple(np.round(row, 4).ravel()) for row in moved}
    images = [np.roll(image, s, 0) for image in (field, reflect(field, 0, (-1.0,))) for s in range(6)]
    assert found == {tuple(np.round(np.asarray(image), 4).ravel()) for image in images}


@given(axis=st.sampled_from([0, 1]), signs=st.tuples(*[st.sampled_from([-1.0, 1.0])] * 2))
def test_reflecting_twice_is_nothing_and_the_origin_stays(axis, signs):
    field = fields(4, 6, 2)
    mirrored = reflect(field, axis, signs)
    np.testing.assert_array_equal(reflect(mirrored, axis, signs), field)
    mirrored, field = np.asarray(mirrored), np.asarray(field)
    np.testing.assert_array_equal(np.take(mirrored, 0, axis), np.take(field, 0, axis) * np.asarray(signs, np.float32))


def test_all_times_of_a_trajectory_move_together(key):
    trajectory = jnp.broadcast_to(fields(1, 1, 4, 6, 2), (8, 3, 4, 6, 2))
    moved = np.asarray(transform_batch(trajectory, jax.random.split(key, 8), PLANE, 2))
    np.testing.assert_array_equal(moved[:, 0], moved[:, 2])


TURNS = ArraySymmetries((), (), (ArrayMove((1.0,), (0, 1)), ArrayMove((-1.0,), (0,), 1, 4)))


def test_every_power_of_a_move_turns_up_as_often_as_any_other_and_the_last_one_is_nothing(key):
    field = fields(4, 8, 1)
    half_turn, glide = TURNS.moves
    images = [
        np.asarray(repeated(repeated(field, half_turn, turns, 0), glide, times, 0))
        for turns in range(2)
        for times in range(4)
    ]
    assert len({image.tobytes() for image in images}) == 8
    np.testing.assert_array_equal(images[1], -np.roll(np.asarray(reflect(field, 0, (1.0,))), 2, axis=1))
    for move in TURNS.moves:
        once = field
        for _ in range(move.order):
            once = repeated(once, move, 1, 0)
        np.testing.assert_array_equal(once, field)
    moved = transform_batch(jnp.broadcast_to(field, (800, 4, 8, 1)), jax.random.split(key, 800), TURNS, 2)
    counts = [int((np.asarray(moved) == image).all(axis=(1, 2, 3)).sum()) for image in images]
    assert sum(counts) == 800
    # Standard deviation 9.4 about 100 each.
    assert min(counts) > 50 and max(counts) < 150


def test_channels_that_no_symmetry_changes_stay_as_they_are(key):
    field = jnp.concatenate([fields(4, 8, 1), jnp.full((4, 8, 1), 3.0)], axis=-1)
    known = ArraySymmetries.of(ArraySymmetries((0,), (ArrayReflection(1, (-1.0,)),), TURNS.moves), 1)
    moved = transform_batch(jnp.broadcast_to(field, (20, 4, 8, 2)), jax.random.split(key, 20), known, 2)
    assert (np.asarray(moved)[..., 1] == 3.0).all()
    assert {np.sign(float(one)) for one in np.asarray(moved)[:, 0, 0, 0] / np.abs(moved[:, 0, 0, 0])} == {-1.0, 1.0}


@pytest.mark.parametrize(
    ("move", "message"),
    [
        (ArrayMove((1.0,), (2,)), "axis 2"),
        (ArrayMove((1.0, 1.0), (0,)), "2 signs for 1 channels"),
        (ArrayMove((-1.0,), (), 1, 3), "order 3 is not back"),
        (ArrayMove((1.0,), (1,), 1, 2), "mirrors axis 1 and shifts along it"),
        (ArrayMove((1.0,), (), 1, 6), "no whole number of the 8 points"),
    ],
)
def test_moves_that_do_not_fit_the_grid_are_refused(move, message):
    with pytest.raises(ValueError, match=message):
        check(ArraySymmetries((), (), (move,)), (4, 8), 1)


def test_symmetries_that_do_not_fit_the_grid_are_refused():
    with pytest.raises(ValueError, match="axis 1"):
        check(PLANE, (16,), 2)
    with pytest.raises(ValueError, match="1 signs for 2 channels"):
        check(LINE, (16,), 2)
