"""Random batches: every sample once an epoch, the order from the seed, the cursor enough to go on."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gan.training.batches import Batches, StreamedBatches, advance


def batches(count: int, seed: int) -> Batches:
    return Batches(np.arange(count, dtype=np.float64)[:, None, None], {"c": np.arange(count)[:, None]}, seed)


@given(count=st.integers(1, 30), batch=st.integers(1, 50), seed=st.integers(0, 2**32 - 1))
def test_every_epoch_shows_every_sample_once(count, batch, seed):
    source, cursor, seen = batches(count, seed), (0, 0), []
    while len(seen) < 3 * count:
        seen.extend(source.indices(cursor, batch))
        cursor = advance(cursor, batch, count)
    for epoch in range(3):
        assert sorted(seen[epoch * count : (epoch + 1) * count]) == list(range(count))
    assert cursor == divmod(len(seen), count)


@given(count=st.integers(1, 30), taken=st.integers(0, 100), seed=st.integers(0, 99))
def test_the_cursor_alone_brings_back_the_place(count, taken, seed):
    cursor = advance((0, 0), taken, count)
    whole = batches(count, seed).indices((0, 0), taken + 7)
    np.testing.assert_array_equal(batches(count, seed).indices(cursor, 7), whole[taken:])


def test_conditions_stay_with_their_samples_and_arrive_as_float32():
    fields, condition = batches(20, 3).take((0, 15), (2, 5))
    assert fields.shape == (2, 5, 1, 1) and fields.dtype == condition["c"].dtype == np.float32
    np.testing.assert_array_equal(fields[..., 0, 0], condition["c"][..., 0])


def test_different_seeds_and_epochs_give_different_orders():
    orders = [tuple(batches(50, seed).indices((epoch, 0), 50)) for seed in (0, 1) for epoch in (0, 1)]
    assert len(set(orders)) == 4


class Stored:
    """What streamed batches read of a problem."""

    train = np.zeros((12, 1), np.float32)
    condition = None


def numbered(seed, numbers):
    """Samples that say which they are."""
    fields = np.stack([numbers, np.full(len(numbers), seed)], axis=1).astype(np.float32)
    return fields, {"c": fields[:, :1]}


def test_streamed_samples_never_come_again_and_the_cursor_alone_brings_back_the_place():
    source, cursor, seen = StreamedBatches(Stored, numbered, 5), (0, 0), []
    for _ in range(6):
        fields, condition = source.take(cursor, (2, 5))
        assert fields.shape == (2, 5, 2) and set(fields[..., 1].ravel()) == {5.0}
        np.testing.assert_array_equal(condition["c"][..., 0], fields[..., 0])
        seen.extend(fields[..., 0].ravel())
        cursor = advance(cursor, 10, len(Stored.train))
    assert seen == list(range(60)) and cursor == (5, 0)
    part, _ = source.take((2, 3), (2, 4, 3), (1, [1, 3]))
    whole, _ = source.take((2, 3), (2, 4, 3))
    np.testing.assert_array_equal(part, whole[:, [1, 3]])
