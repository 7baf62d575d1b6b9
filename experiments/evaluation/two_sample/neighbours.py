"""Nearest neighbours in a space of descriptors: mixing of two sets, duplicates, and nearness to stored fields.

Descriptors are blind to shifts (`physical_features.PhysicalFeatures.descriptors`); reflections are met by holding every
mirror image of the fields that are searched. Distances of 10,000 fields with one another are one matrix product.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from experiments.evaluation.scores.neighbours import mirrored
from gan.augmentation import SymmetriesLike

_BLOCK = 1024


def images(
    fields: Float[np.ndarray, "n *grid c"],
    describe: Callable[[np.ndarray], np.ndarray],
    symmetries: SymmetriesLike | None,
) -> list[Float[np.ndarray, "n d"]]:
    """Descriptors, which are blind to shifts, of the fields and of all their mirror images, the fields first."""
    if symmetries is None:
        return [describe(fields)]
    return [describe(one) for one in mirrored(np.asarray(fields, np.float32), symmetries, shifts=False)]


def nearest_others(
    descriptors: Sequence[Float[np.ndarray, "n d"]],
) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """The nearest other field of every field, and its distance.

    Args:
        descriptors: of the fields, then of their mirror images, as `images` returns them.
    """
    own = np.ascontiguousarray(descriptors[0], np.float32)
    found, apart = np.empty(len(own), int), np.empty(len(own), np.float32)
    for start in range(0, len(own), _BLOCK):
        part = own[start : start + _BLOCK]
        rows = np.arange(len(part))
        best = _squares(part, descriptors[0])
        for image in descriptors[1:]:
            np.minimum(best, _squares(part, image), out=best)
        best[rows, start + rows] = np.inf
        index = best.argmin(axis=1)
        found[start : start + len(part)] = index
        apart[start : start + len(part)] = np.sqrt(np.maximum(best[rows, index], 0))
    return found, apart


class Paths(NamedTuple):
    """Stored fields as they move: descriptors at successive solver times, each field and mirror image one path."""

    knots: tuple[np.ndarray, ...]


def paths(
    moments: Sequence[Float[np.ndarray, "b *grid c"]],
    describe: Callable[[np.ndarray], np.ndarray],
    symmetries: SymmetriesLike | None,
) -> Paths:
    """Describe stored fields at successive solver times, the first as they are stored."""
    return Paths(tuple(np.concatenate(images(fields, describe, symmetries)) for fields in moments))


def distance_to(queries: Float[np.ndarray, "n d"], stored: Paths) -> Float[np.ndarray, " n"]:
    """Distance of every query to the nearest path, straight between successive times."""
    nearest = np.full(len(queries), np.inf, np.float32)
    ends = stored.knots[1:] or stored.knots
    for one, two in zip(stored.knots, ends):
        for start in range(0, len(one), _BLOCK):
            begin, chord = one[start : start + _BLOCK], (two - one)[start : start + _BLOCK]
            length = np.maximum((chord**2).sum(axis=1), 1e-30)
            offset = (begin * chord).sum(axis=1)
            for q in range(0, len(queries), 2 * _BLOCK):
                part = queries[q : q + 2 * _BLOCK]
                along = part @ chord.T - offset
                share = np.clip(along / length, 0, 1)
                squares = _squares(part, begin) - 2 * share * along + share**2 * length
                nearest[q : q + 2 * _BLOCK] = np.minimum(nearest[q : q + 2 * _BLOCK], squares.min(axis=1))
    return np.sqrt(np.maximum(nearest, 0))


def _squares(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = np.asarray(a, np.float32), np.asarray(b, np.float32)
    squares = a @ b.T
    squares *= -2
    squares += (a**2).sum(axis=1)[:, None]
    squares += (b**2).sum(axis=1)[None, :]
    return squares
