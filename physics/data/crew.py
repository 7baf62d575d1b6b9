"""The processes that make a data set together: what they tell one another, and who makes which chunks.

The first process prepares the files, and every process then makes chunks of its own, with its own devices, and writes
them itself. Chunks are taken in rounds, a chunk for every device of all processes, so that the first chunks of a data
set are made first. A process that does not see the files of the first one takes no part.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

from physics.data.planning import Chunk


@runtime_checkable
class Crew(Protocol):
    """Several processes that call `physics.generate` with the same arguments at the same time.

    Attributes:
        process: number of this one, from 0 on.
    """

    process: int

    def share(self, value: Any) -> Any:
        """Return the first process's value on all of them; those that come early wait. JSON has to know it."""
        ...

    def gather(self, value: Any) -> list[Any] | None:
        """Return the values of all processes on the first one, and None elsewhere."""
        ...


class Alone:
    """A crew of one process."""

    process = 0

    def share(self, value: Any) -> Any:
        """Return the value."""
        return value

    def gather(self, value: Any) -> list[Any]:
        """Return the value as the only one."""
        return [value]


class Round(NamedTuple):
    """Chunks that are made at the same time: those of this process, and how many trajectories the others make."""

    own: list[Chunk]
    elsewhere: int


def rounds_of(missing: Sequence[Chunk], devices: Sequence[int], process: int) -> Iterator[Round]:
    """Divide chunks among processes.

    Args:
        missing: the chunks, in order.
        devices: how many every process works on; 0 where it takes no part.
        process: whose rounds are returned.
    """
    size, first = sum(devices), sum(devices[:process])
    for start in range(0, len(missing), size):
        together = missing[start : start + size]
        own = list(together[first : first + devices[process]])
        yield Round(own, sum(chunk.length for chunk in together) - sum(chunk.length for chunk in own))
