"""experiments: where physics and gan meet; from Python, ``experiments.load_run(path).sample(1000,
refine=2.0)``."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

# A new public name is one line here: where it is written.
WRITTEN_IN = {
    "ExperimentConfig": "experiments.config",
    "Fields": "experiments.export",
    "Run": "experiments.run",
    "load_run": "experiments.run",
    "write": "experiments.export",
}

__all__ = sorted(WRITTEN_IN)

# The same names for type checkers and editors; tests/test_packaging.py compares the two.

# The same names for type checkers and editors; tests/test_packaging.py compares the two.
if TYPE_CHECKING:
    from experiments.config import ExperimentConfig as ExperimentConfig
    from experiments.export import Fields as Fields
    from experiments.export import write as write
    from experiments.run import Run as Run
    from experiments.run import load_run as load_run
else:

    def __getattr__(name: str) -> Any:
        """Import a public name where it is first used."""
        if name not in WRITTEN_IN:
            raise AttributeError(f"module 'experiments' has no attribute {name!r}")
        return getattr(import_module(WRITTEN_IN[name]), name)


def __dir__() -> list[str]:
    return __all__
