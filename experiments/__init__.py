"""experiments: where physics and gan meet; from Python, ``experiments.load_run(path).sample(1000,
refine=2.0)``."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from experiments.config import ExperimentConfig
    from experiments.export import Fields, write
    from experiments.run import Run, load_run

_WHERE = {
    "ExperimentConfig": "experiments.config",
    "Fields": "experiments.export",
    "Run": "experiments.run",
    "load_run": "experiments.run",
    "write": "experiments.export",
}

__all__ = ["ExperimentConfig", "Fields", "Run", "load_run", "write"]


def __getattr__(name: str) -> Any:
    """Import a public name where it is first used, so that ``import experiments`` stays light."""
    if name in _WHERE:
        return getattr(importlib.import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'experiments' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
