"""Random batches from a memory map, with the place in the data as two numbers that a checkpoint keeps.

Every epoch is a permutation drawn from (seed, epoch) alone, so the whole order of the data follows from the
seed, and the cursor (epoch, position) is all that a resumed training needs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

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
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return samples and conditions with leading axes ``shape``, as float32.

        Args:
            cursor: place in the data.
            shape: of the leading axes.
            part: an axis of them, and the places along it that are read; all where left out.
        """
        index = self.indices(cursor, int(np.prod(shape))).reshape(shape)
        if part is not None:
            index = np.take(index, part[1], axis=part[0])

        def read(source: np.ndarray) -> np.ndarray:
            return np.asarray(source[index.reshape(-1)], dtype=np.float32).reshape((*index.shape, *source.shape[1:]))

        return read(self.fields), {name: read(value) for name, value in self.condition.items()}
