"""What the making of a data set asks of the place that it is written to."""

from typing import Any, Protocol, runtime_checkable

import numpy as np


@runtime_checkable
class Unfinished(Protocol):
    """A data set that is being made, a chunk at a time and by one process or several.

    What is complete stays when the making is interrupted. `physics.data.trajectory_files` keeps it as ``.npy`` files,
    `physics.data.zarr_trajectories` in a zarr store.
    """

    notes: dict[str, Any]

    def note(self, **facts: object) -> None:
        """Remember JSON facts across interruptions."""
        ...

    def reserve(self, arrays: dict[str, tuple[tuple[int, ...], np.dtype]]) -> None:
        """Prepare arrays, by name the shape and dtype; those there already stay."""
        ...

    def write(self, name: str, start: int, values: np.ndarray) -> None:
        """Write the rows of a chunk, which begin at ``start``, into one array."""
        ...

    def mark(self, chunk: int) -> None:
        """Count a chunk as complete; called after its last `write`."""
        ...

    def done(self, chunks: int) -> np.ndarray:
        """Which of so many chunks are complete, as booleans."""
        ...

    def read(self, name: str) -> Any:
        """One array, to be indexed along its first axis."""
        ...

    def described(self, name: str) -> dict[str, Any]:
        """What the description says of an array beside shape and dtype."""
        ...

    def finish(self, description: str) -> None:
        """Write the description, which makes the data set a complete one."""
        ...
