"""Errors that a user can cause, and the one sentence each of them becomes.

The command line prints one sentence that names the option, the value and the mend, and leaves with code 2.
Which exceptions are the user's is decided here, in one place:

- ``UserError``, and every other exception class that a wing defines (a full disk, a training that diverged);
- a ``ValueError`` that a ``raise`` statement of one of the three wings makes: those are written as sentences for
  users. One that comes out of a library, or of an operation in our own code, is a bug and keeps its traceback;
- a disk that is full, read-only or forbidden, a name that cannot be written to, and memory that does not suffice,
  whoever notices it first.
"""

from __future__ import annotations

import errno
import linecache
import traceback
from types import TracebackType

EXIT_USER = 2
EXIT_INTERRUPTED = 130

_WINGS = ("physics", "gan", "experiments")
_DISK = {
    errno.ENOSPC: "the disk is full; free some space, or choose another disk with --runs-dir or --out",
    errno.EDQUOT: "the disk quota is used up; free some space, or choose another disk with --runs-dir or --out",
    errno.EROFS: "the disk is read-only; choose another place with --runs-dir or --out",
    errno.EACCES: "permission is denied; choose a place you may write to",
    errno.EPERM: "the operation is not permitted there; choose a place you may write to",
    errno.ENOTDIR: "a file stands where a folder is needed; choose another place",
    errno.EEXIST: "a file stands where a folder is needed; choose another place",
    errno.EISDIR: "a folder stands where a file is needed; choose another name",
    errno.ENAMETOOLONG: "the name is too long for this disk; choose a shorter one",
}
_MEMORY = "the memory does not suffice; lower --count, or training.batch, training.sample_chunk or data.chunk"


class UserError(ValueError):
    """A mistake that the user can mend. Its message is one sentence: option, value, remedy."""


def sentence(error: BaseException) -> str | None:
    """Say in one sentence what the user can mend, or return None where ``error`` is a bug and deserves a
    traceback."""
    if type(error).__module__.partition(".")[0] in _WINGS:
        return " ".join(str(error).split())
    if isinstance(error, OSError) and error.errno in _DISK:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{_DISK[error.errno]}."
    if "No space left on device" in str(error):
        return f"{_DISK[errno.ENOSPC]}."
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED: Out of memory" in str(error):
        return f"{_MEMORY}."
    if isinstance(error, ValueError) and _raised_by_us(error.__traceback__):
        return " ".join(str(error).split())
    return None


def is_of_the_disk(error: BaseException) -> bool:
    """Whether the disk is to blame: then the same command succeeds once there is room, or another place."""
    return isinstance(error, OSError) or "No space left on device" in str(error)


def _raised_by_us(calls: TracebackType | None) -> bool:
    """Whether a ``raise`` statement in the code of one of the three wings made the error: its traceback ends there."""
    frames = list(traceback.walk_tb(calls))
    if not frames:
        return False
    frame, line = frames[-1]
    ours = str(frame.f_globals.get("__name__", "")).partition(".")[0] in _WINGS
    return ours and linecache.getline(frame.f_code.co_filename, line).lstrip().startswith("raise ")
