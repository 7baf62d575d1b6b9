"""Wall time of the updates alone: not of compiling them, and not of what happens between record lines."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any

import jax


class Pace:
    """A clock that runs while updates are made.

    It is started after every record line and read at the next. The first call of a compiled step compiles it: that
    call is waited for, and the clock starts again after it, so that the value is the mean of the updates that follow.
    """

    def __init__(self) -> None:
        self._called: set[int] = set()
        self._updates, self._began = 0, 0.0

    def start(self) -> None:
        """Start from nothing."""
        self._updates, self._began = 0, monotonic()

    def call(self, step: Callable[..., Any], updates: int, *arguments: Any) -> Any:
        """Call a compiled step that makes so many updates, and count them."""
        if id(step) not in self._called:
            self._called.add(id(step))
            made = jax.block_until_ready(step(*arguments))
            self.start()
            return made
        self._updates += updates
        return step(*arguments)

    def read(self) -> dict[str, float]:
        """Return ``step_seconds``, the mean of the updates since the start, which must have been waited for.

        Empty where there were none but first calls.
        """
        return {"step_seconds": (monotonic() - self._began) / self._updates} if self._updates else {}
