"""Fields together with the parameters of the system that made them.

Where parameters vary from field to field, the logarithms of a field's own parameters are its last channels, constant
over the grid. Fields and parameters then cannot lose each other when sets are shuffled, cut and advanced, and every
test that takes fields takes the two jointly. Without varying parameters there are no such channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

_BLOCK = 1024


def joined(
    fields: Float[np.ndarray, "n *grid c"], logarithms: Float[np.ndarray, "n k"]
) -> Float[np.ndarray, "n *grid more"]:
    """Return fields with the logarithms of their parameters as last channels; the fields themselves where k is 0."""
    n, count = logarithms.shape
    if not count:
        return fields
    fields = np.asarray(fields, np.float32)
    shape = (*fields.shape[:-1], count)
    constant = np.asarray(logarithms, np.float32).reshape(n, *[1] * (fields.ndim - 2), count)
    return np.concatenate([fields, np.broadcast_to(constant, shape)], axis=-1)


def parted(
    joint: Float[np.ndarray, "n *grid more"], count: int
) -> tuple[Float[np.ndarray, "n *grid c"], Float[np.ndarray, "n k"]]:
    """Return fields and the logarithms of their ``count`` parameters, as `joined` took them."""
    if not count:
        return joint, np.zeros((len(joint), 0), np.float32)
    return joint[..., :-count], joint.reshape(len(joint), -1, joint.shape[-1])[:, 0, -count:]


@dataclass(frozen=True, eq=False)
class JoinedFields:
    """Many stored fields, joined with their parameters only where they are read.

    Attributes:
        fields: ``(n, *grid, c)``, perhaps a memory map.
        logarithms: ``(n, k)``.
    """

    fields: np.ndarray
    logarithms: np.ndarray

    def __len__(self) -> int:
        return len(self.fields)

    def __getitem__(self, chosen: np.ndarray | slice) -> np.ndarray:
        return joined(self.fields[chosen], self.logarithms[chosen])


def nearest_free(
    have: Float[np.ndarray, "n k"], asked: Float[np.ndarray, "m k"], tried: int = 32
) -> Int[np.ndarray, " m"]:
    """Return for each parameters asked for the nearest ones at hand that are not taken yet, each once while they last.

    The nearest ``tried`` are looked at; where all of them are taken, the nearest one serves again.
    """
    near, taken, found = nearest(have, asked, tried), np.zeros(len(have), bool), np.empty(len(asked), int)
    for i, row in enumerate(near):
        free = row[~taken[row]]
        found[i] = free[0] if len(free) else row[0]
        taken[found[i]] = True
    return found


def nearest(
    have: Float[np.ndarray, "n k"], asked: Float[np.ndarray, "m k"], count: int = 1
) -> Int[np.ndarray, "m count"]:
    """Return the ``count`` nearest of the parameters at hand to those asked for, the nearest first.

    Nearness is measured in the standard deviations of the logarithms at hand.
    """
    scale = np.maximum(have.std(axis=0), 1e-12)
    ours, theirs = (np.asarray(one / scale, np.float32) for one in (have, asked))
    count = min(count, len(ours))
    found = np.empty((len(theirs), count), int)
    for start in range(0, len(theirs), _BLOCK):
        part = theirs[start : start + _BLOCK]
        squares = ((part[:, None] - ours[None]) ** 2).sum(axis=-1)
        some = np.argpartition(squares, count - 1, axis=1)[:, :count]
        order = np.argsort(np.take_along_axis(squares, some, axis=1), axis=1)
        found[start : start + len(part)] = np.take_along_axis(some, order, axis=1)
    return found


def walks(asked: Float[np.ndarray, "n k"], members: int) -> Int[np.ndarray, "members visits"]:
    """Return an order in which ``members`` trajectories visit all parameters with short ways between them.

    Slabs of the first parameter, in each the second one up and down in turn; ``n`` is a multiple of ``members``.
    """
    n, count = asked.shape
    if not count:
        return np.arange(n).reshape(-1, members).T
    if count == 1:
        return np.argsort(asked[:, 0]).reshape(members, -1)
    slabs = np.array_split(np.argsort(asked[:, 0]), max(1, round(np.sqrt(n))))
    turned = [slab[np.argsort(asked[slab, 1])][:: 1 - 2 * (i % 2)] for i, slab in enumerate(slabs)]
    return np.concatenate(turned).reshape(members, -1)
