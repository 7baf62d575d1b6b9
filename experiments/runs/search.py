"""Runs of the same experiment, preset and settings, and which of them to go on with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock

from experiments.config import ExperimentConfig
from experiments.errors import UserError
from experiments.python_file import digest
from experiments.runs.folder import RunFolder, open_folder

_CHOOSING = ".choosing.lock"


def runs_of(runs_dir: str | Path, experiment: str, preset: str, source: str | Path | None = None) -> list[RunFolder]:
    """Return the runs of an experiment that began with a preset, newest first; what cannot be read is left out.

    Args:
        runs_dir: where run folders are.
        experiment: its name.
        preset: that the configuration started from.
        source: the user's file that defines the experiment, equal to the copy that the run keeps.
    """
    defined = None if source is None else digest(source)
    found = []
    for file in (Path(runs_dir) / experiment).glob("*/config.yaml"):
        with suppress(UserError, OSError):
            folder = open_folder(file.parent)
            own = None if folder.source is None else digest(folder.source)
            if (folder.experiment, folder.preset, own) == (experiment, preset, defined):
                found.append(folder)
    return sorted(found, key=_age, reverse=True)


def same_runs(found: Iterable[RunFolder], config: ExperimentConfig) -> list[RunFolder]:
    """Return the runs that would do the same: those of equal settings, in their order."""
    return [folder for folder in found if folder.config == config]


def _age(folder: RunFolder) -> tuple[str, list[int]]:
    """The time of a run's beginning, then the numbers of its name, which tell runs of one second apart."""
    return str(folder.record.get("created", "")), [int(one) for one in re.findall(r"\d+", folder.path.name)]


@contextmanager
def choosing(runs_dir: str | Path, experiment: str) -> Iterator[None]:
    """Hold the right to choose among the runs of an experiment, so that of two processes the second sees the choice
    of the first. It is held for moments, and a second process waits.

    Raises:
        UserError: no folder can be made there.
    """
    parent = Path(runs_dir) / experiment
    try:
        parent.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError:
        raise UserError(f"{parent}: no folder can be made there; choose another place with --runs-dir.") from None
    with FileLock(parent / _CHOOSING):
        yield
