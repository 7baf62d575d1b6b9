"""The seconds that a pilot may take, and what of them each stage of unknown length."""

from __future__ import annotations

import time

_SHARES = {"times": 0.35, "fields": 0.2, "settings": 0.1, "samples": 0.1, "updates": 0.15}
"""Largest parts of the time by stage. What has to be compiled comes on top."""


class OutOfTimeError(Exception):
    """The time given to a stage is over."""


class Clock:
    """Runs from the beginning of a pilot, which may take ``budget`` seconds."""

    def __init__(self, budget: float):
        self._began, self.budget = time.monotonic(), budget

    @property
    def spent(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._began

    def until(self, stage: str) -> float:
        """Seconds that a stage may take."""
        return _SHARES[stage] * self.budget
