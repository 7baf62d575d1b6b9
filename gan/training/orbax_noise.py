"""Keeps quiet what Orbax prints of an error that it also raises.

Where a disk fills up or a file is damaged, each of its threads and futures prints a traceback of its own before the
error reaches the caller, who is the one to report it.
"""

from __future__ import annotations

import functools
import logging
import sys
from pathlib import Path


@functools.cache
def silence() -> None:
    """Drop these tracebacks from now on; calling it again changes nothing."""
    logging.getLogger("absl").addFilter(_not_of_orbax)
    logging.getLogger("asyncio").addFilter(_no_forgotten_future)
    before = sys.unraisablehook

    def hook(unraisable: sys.UnraisableHookArgs, /) -> None:
        # Writes that end after the first of them has failed find the event loop that waited for them gone.
        if str(unraisable.exc_value) != "Event loop is closed":
            before(unraisable)

    sys.unraisablehook = hook


def _not_of_orbax(record: logging.LogRecord) -> bool:
    return record.levelno < logging.ERROR or "orbax" not in Path(record.pathname).parts


def _no_forgotten_future(record: logging.LogRecord) -> bool:
    said = record.getMessage()
    return "exception was never retrieved" not in said or "checkpoint" not in said
