"""Ctrl-C between two steps."""

from __future__ import annotations

import signal
import threading
from typing import Any


class Interruption:
    """Turns the first Ctrl-C into a request honoured between two steps; a second one interrupts."""

    def __init__(self) -> None:
        self.requested = False

    def __enter__(self) -> Interruption:
        self._main = threading.current_thread() is threading.main_thread()
        if self._main:
            self._before = signal.signal(signal.SIGINT, self._handle)
        return self

    def _handle(self, *_: Any) -> None:
        self.requested = True
        signal.signal(signal.SIGINT, self._before)

    def __exit__(self, *_: Any) -> None:
        if self._main:
            signal.signal(signal.SIGINT, self._before)
