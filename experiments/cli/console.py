"""What a command prints at its end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console


def terminal() -> Console:
    """The console on stdout: paths and commands survive being copied, so no wrapping outside a terminal."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=10_000)


def show_verdict(comparison: Mapping[str, Any], page: Path) -> None:
    """Print the verdict, and where the report lies."""
    out = terminal()
    out.print()
    out.print(str(comparison.get("verdict", "no verdict.")), markup=False)
    out.print(f"report: {page}", markup=False)
