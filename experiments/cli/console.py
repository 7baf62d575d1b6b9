"""What a command prints at its end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from experiments.evaluation.results import Comparison


def terminal() -> Console:
    """The console on stdout: paths and commands survive being copied, so no wrapping outside a terminal."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=10_000)


def show_verdict(comparison: Comparison | None, page: Path) -> None:
    """Print the verdict, and where the report lies."""
    out = terminal()
    out.print()
    out.print("This run has not been compared yet." if comparison is None else comparison.verdict, markup=False)
    out.print(f"report: {page}", markup=False)
