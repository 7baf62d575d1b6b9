"""Training: problem, step, loop, checkpoints and trained generators; names are loaded when asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOME = {
    "Problem": "gan.training.problem",
    "train": "gan.training.loop",
    "Trainer": "gan.training.loop",
    "Diverged": "gan.training.loop",
    "Trained": "gan.training.trained",
    "Samples": "gan.training.trained",
    "load": "gan.training.trained",
    "TrainingState": "gan.training.step",
    "make_step": "gan.training.step",
    "parallel": "gan.training.step",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
