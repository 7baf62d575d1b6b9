"""What long work calls to say how far it is: the one type of such a function in this wing."""

from __future__ import annotations

from collections.abc import Callable

Report = Callable[[int, int, str], None]
"""Called with the number of steps done, of all steps, and a few words on the present one."""


def silent(done: int, total: int, what: str) -> None:
    """Report nothing."""
