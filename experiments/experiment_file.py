"""Experiments outside the package: a Python file of a user, or an entry point of an installed package.

A file defines ``EXPERIMENT``, an `experiments.experiment.Experiment`, as the files in ``experiments/catalog`` do. It
stands by itself: a run keeps a copy of this one file, and goes on with that copy.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.errors import UserError
from experiments.python_file import run_module

if TYPE_CHECKING:
    from experiments.experiment import Experiment

OBJECT = "EXPERIMENT"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


def is_file_name(name: str) -> bool:
    """Whether a name on the command line means a file, and not an experiment of the package."""
    return name.endswith(".py") or "/" in name or "\\" in name


def is_usable(name: str) -> bool:
    """Whether an experiment may have this name, which becomes that of a folder."""
    return _NAME.fullmatch(name) is not None


def load_file(path: str | Path) -> Experiment:
    """Run a user's file and return its ``EXPERIMENT``.

    Args:
        path: of the file.

    Raises:
        UserError: the file cannot be read, fails when it is run, or defines no experiment of a usable name.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise UserError(
            f"{path} does not exist; `python -m experiments new NAME` writes a file to begin with."
        ) from None
    except IsADirectoryError:
        raise UserError(f"{path} is a folder; `python -m experiments list {path}` shows what it holds.") from None
    module = run_module(path, content)
    found = experiment_of(module, str(path))
    if found.summary is None and module.__doc__:
        from experiments.catalog import Summary

        first = module.__doc__.strip().splitlines()[0]
        return replace(found, summary=Summary(found.name, found.kind, first, ""))
    return found


def experiment_of(module: object, where: str) -> Experiment:
    """Return what a module defines as its experiment.

    Raises:
        UserError: nothing, something else, or a name that cannot be that of a folder.
    """
    from experiments.config import ExperimentConfig
    from experiments.experiment import Experiment

    found = getattr(module, OBJECT, None)
    if not isinstance(found, Experiment):
        raise UserError(
            f"{where} defines no {OBJECT}: end it with {OBJECT} = Experiment(name=..., task=..., presets=...)."
        )
    if not is_usable(found.name):
        raise UserError(
            f"{where} calls its experiment {found.name!r}: begin the name with a letter and go on with letters, "
            "digits, _ or -."
        )
    if not found.presets or not all(isinstance(one, ExperimentConfig) for one in found.presets.values()):
        raise UserError(
            f"{where} gives its experiment no presets: write presets={{'smoke': ..., 'demo': ...}}, each an "
            "ExperimentConfig."
        )
    return found
