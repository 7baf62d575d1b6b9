"""A file to begin with: an experiment of one's own for any system of ``physics``, with values that work.

``python -m experiments new NAME --system KuramotoSivashinsky --task snapshot`` writes it. Everything in it is meant to
be changed: the system may be one's own class (docs/physics.md), the sizes are those of a first try.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from experiments.catalog import names
from experiments.errors import UserError
from experiments.experiment_file import is_usable
from experiments.files import write_text
from experiments.new_experiment.facts import Facts
from experiments.new_experiment.files import FORECASTS, POSTERIORS, forecast_file, posterior_file, snapshot_file
from experiments.new_experiment.super_resolution import SUPER_RESOLUTIONS, super_resolution_file
from gan.settings import nearest

GROUP = "solvergan.systems"
"""Entry points by which installed packages offer systems."""


def systems() -> dict[str, type]:
    """Return every system that moves, by name: those of ``physics``, and those that installed packages offer.

    A package offers a class by an entry point of the group ``solvergan.systems``.

    Raises:
        UserError: what a package offers cannot be imported, or is no `physics.System`.
    """
    import physics

    found = {name: getattr(physics, name) for name in physics.__all__ if name[0].isupper()}
    own = {
        name: one
        for name, one in found.items()
        if inspect.isclass(one) and issubclass(one, physics.System) and not inspect.isabstract(one)
    }
    for offer in entry_points(group=GROUP):
        try:
            one = offer.load()
        except (ImportError, AttributeError) as error:
            raise UserError(f"{offer.value}, which an installed package offers as a system, fails: {error}") from error
        if not (inspect.isclass(one) and issubclass(one, physics.System)):
            raise UserError(f"{offer.value}, which an installed package offers as a system, is no physics.System.")
        own.setdefault(offer.name, one)
    return own


def write(path: Path, system: str, task: str, parameter: str | None = None) -> None:
    """Write the file of a new experiment, which is named as the file is.

    Raises:
        UserError: as `source`; or the file exists, or its name is none for an experiment.
    """
    if path.exists():
        raise UserError(f"{path} exists; choose another name, or remove it.")
    text = source(path.stem, system, task, parameter)
    if path.stem in names() or not is_usable(path.stem):
        raise UserError(
            f"{path.stem!r} is no name for a new experiment: begin with a letter, go on with letters, digits, _ or -, "
            "and take none that `list` shows."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text)


def source(name: str, system: str, task: str, parameter: str | None = None) -> str:
    """Return the text of a file that defines an experiment.

    Args:
        name: of the experiment.
        system: name of a system of ``physics`` that moves.
        task: one of `TASKS`.
        parameter: of the system, for tasks that vary one; its first number where left out.

    Raises:
        UserError: an unknown system or task, or a task that makes no sense for the system.
    """
    known = systems()
    if system not in known:
        hint = nearest(system, known) or f"; choose from {', '.join(known)}."
        raise UserError(f"--system {system!r} is unknown{hint}")
    if task not in TASKS:
        hint = nearest(task, TASKS) or f"; choose from {', '.join(TASKS)}."
        raise UserError(f"--task {task!r} is unknown{hint}")
    example: Any = known[system].example()  # type: ignore[attr-defined]
    return TASKS[task](name, Facts.of(example), parameter)


TASKS: dict[str, Callable[[str, Facts, str | None], str]] = {
    "snapshot": snapshot_file,
    "forecast": forecast_file,
    "posterior": posterior_file,
    "super_resolution": super_resolution_file,
}
"""What writes the file of a task, by the task's name."""


def pairs() -> list[tuple[str, str]]:
    """Return every pair of system and task for which a file can be written."""
    of_a_task: dict[str, Iterable[str]] = {
        "snapshot": systems(),
        "forecast": FORECASTS,
        "posterior": POSTERIORS,
        "super_resolution": SUPER_RESOLUTIONS,
    }
    return [(name, task) for task, there_are in of_a_task.items() for name in there_are]
