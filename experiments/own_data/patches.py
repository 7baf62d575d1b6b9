"""Fields from a file cut into patches of one size, along space or along time."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np

from experiments.errors import UserError
from experiments.own_data.description import Axis, Layout


def cutter(
    space: tuple[Axis, ...], time: tuple[Axis, ...], patch: int, layout: Layout
) -> tuple[tuple[Axis, ...], Callable[[np.ndarray], np.ndarray]]:
    """The axes of a field to learn, and ``run (times, *space, C) -> (times, pieces, *grid, C)``."""
    if not patch:
        return space, lambda run: run[:, None]
    if not space:
        if not time:
            raise UserError(f"--patch {patch} cuts fields, but {layout.contents.path} has neither space nor time.")
        axis = Axis(time[0].name, "space", patch, time[0].units, _first(time[0], patch))

        def windows(run: np.ndarray) -> np.ndarray:
            count = len(run) // patch
            return run[: count * patch].reshape(count, 1, patch, *run.shape[1:])

        return (axis,), windows
    if patch > min(one.size for one in space):
        sizes = " x ".join(str(one.size) for one in space)
        raise UserError(f"--patch {patch} does not fit into fields of {sizes}; give a smaller one.")
    counts = [one.size // patch for one in space]

    def tiles(run: np.ndarray) -> np.ndarray:
        found = []
        for place in product(*map(range, counts)):
            where = tuple(slice(p * patch, (p + 1) * patch) for p in place)
            found.append(run[(slice(None), *where)])
        return np.stack(found, axis=1)

    return tuple(Axis(one.name, "space", patch, one.units, _first(one, patch)) for one in space), tiles


def _first(axis: Axis, patch: int) -> np.ndarray | None:
    """Coordinates within a patch: from 0, where the spacing is known."""
    return None if axis.coordinate is None else np.arange(patch) * axis.extent / axis.size


def whole_tiles(missing: np.ndarray | None) -> tuple[np.ndarray | slice, np.ndarray | None]:
    """The tiles without a missing point.

    Raises:
        UserError: there is none.
    """
    if missing is None:
        return slice(None), None
    whole = ~missing.reshape(len(missing), -1).any(axis=1)
    if not whole.any():
        raise UserError("--patch: every patch holds points that are always missing; give a smaller one, or none.")
    return np.flatnonzero(whole), None
