"""Random batches from a memory map or made anew, with the place in the data as two numbers that a checkpoint keeps.

Every epoch is a permutation drawn from (seed, epoch) alone, so the whole order of the data follows from the
seed, and the cursor (epoch, position) is all that a resumed training needs. Samples that are made anew are numbered on
through the epochs, and the number says which sample it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from gan.training.problem import Problem, Stream

Cursor = tuple[int, int]


def permutation(count: int, seed: int, epoch: int) -> np.ndarray:
    """Return the order of the samples in one epoch."""
    return np.random.default_rng(np.random.SeedSequence([seed, epoch])).permutation(count)


def advance(cursor: Cursor, taken: int, count: int) -> Cursor:
    """Return the cursor after ``taken`` more of ``count`` samples."""
    epochs, position = divmod(cursor[1] + taken, count)
    return cursor[0] + epochs, position


class Batches:
    """Reads batches of samples with their conditions.

    Args:
        fields: (N, *shape), array or memory map.
        condition: name -> (N, ...).
        seed: of the order.
    """

    def __init__(self, fields: np.ndarray, condition: Mapping[str, np.ndarray] | None, seed: int):
        self.fields = fields
        self.condition = dict(condition or {})
        self.seed = seed
        self._orders: dict[int, np.ndarray] = {}

    def _order(self, epoch: int) -> np.ndarray:
        if epoch not in self._orders:
            self._orders = {e: order for e, order in self._orders.items() if e >= epoch - 1}
            self._orders[epoch] = permutation(len(self.fields), self.seed, epoch)
        return self._orders[epoch]

    def indices(self, cursor: Cursor, count: int) -> np.ndarray:
        """Return the places of the next ``count`` samples; an epoch may end within."""
        epoch, position = cursor
        parts: list[np.ndarray] = []
        while count > 0:
            part = self._order(epoch)[position : position + count]
            parts.append(part)
            count -= len(part)
            epoch, position = epoch + 1, 0
        return np.concatenate(parts)

    def take(
        self, cursor: Cursor, shape: tuple[int, ...], part: tuple[int, Sequence[int]] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Return samples and conditions with leading axes ``shape``, as float32.

        Args:
            cursor: place in the data.
            shape: of the leading axes.
            part: an axis of them, and the places along it that are read; all where left out.
        """
        index = self.indices(cursor, int(np.prod(shape))).reshape(shape)
        return self.read(index if part is None else np.take(index, part[1], axis=part[0]))

    def read(self, index: np.ndarray) -> tuple[Any, dict[str, Any]]:
        """Return samples and conditions of these places, with the axes of ``index`` first."""

        def rows(source: np.ndarray) -> np.ndarray:
            return np.asarray(source[index.reshape(-1)], dtype=np.float32).reshape((*index.shape, *source.shape[1:]))

        return rows(self.fields), {name: rows(value) for name, value in self.condition.items()}


class StreamedBatches(Batches):
    """Batches of samples that are made when they are asked for, and never come again.

    Args:
        problem: whose stored samples give the length of an epoch, which only counts.
        stream: numbers (n,) -> samples and conditions.
        seed: of the training; others draw other samples.
    """

    def __init__(self, problem: Problem, stream: Stream, seed: int):
        super().__init__(problem.train, problem.condition, seed)
        self.stream = stream

    def indices(self, cursor: Cursor, count: int) -> np.ndarray:
        """Return the numbers of the next ``count`` samples."""
        return cursor[0] * len(self.fields) + cursor[1] + np.arange(count)

    def read(self, index: np.ndarray) -> tuple[Any, dict[str, Any]]:
        """Make the samples of these numbers; they stay on the device."""
        fields, condition = self.stream(self.seed, index.reshape(-1).astype(np.uint32))
        return (
            fields.reshape((*index.shape, *fields.shape[1:])),
            {name: value.reshape((*index.shape, *value.shape[1:])) for name, value in condition.items()},
        )


def batches_of(problem: Problem, seed: int) -> Batches:
    """Return the batches of a problem: made anew where it has a stream, stored ones elsewhere.

    Args:
        problem: with the data.
        seed: of the training.
    """
    if problem.stream is not None:
        return StreamedBatches(problem, problem.stream, seed)
    return Batches(problem.train, problem.condition, seed)
