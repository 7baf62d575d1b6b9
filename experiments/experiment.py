"""What an experiment is: a name, a task set up with its system, or a study without one, and its presets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from experiments.catalog import Summary
from experiments.config import ExperimentConfig
from experiments.errors import UserError
from experiments.options import settings
from experiments.reporting import Report
from experiments.tasks.task import Task
from gan.settings import show

if TYPE_CHECKING:
    import numpy as np

    from experiments.evaluation.results import Comparison


@runtime_checkable
class Study(Protocol):
    """An experiment that trains nothing.

    Attributes:
        unread: settings ("section.key") and whole sections that it does not use.
    """

    @property
    def unread(self) -> tuple[str, ...]:
        """Return the settings and sections that it does not use."""
        ...

    def check(self, config: ExperimentConfig) -> None:
        """Refuse what could not run, by a ``UserError``."""
        ...

    def run(self, config: ExperimentConfig, report: Report) -> tuple[Comparison, dict[str, np.ndarray]]:
        """Return what was found, and the arrays behind the pictures."""
        ...


@dataclass(frozen=True)
class Experiment:
    """One experiment, as ``experiments.catalog`` lists it: either a task or a study.

    Attributes:
        name: as on the command line.
        presets: "smoke" (seconds, for tests), "demo" (minutes on two cores), "full" (a GPU).
        task: what a generator learns, set up with the system.
        study: what is looked into without a training.
        summary: what ``list`` shows of an experiment outside this package; None for what its task says.

    Raises:
        ValueError: both a task and a study, or neither.
    """

    name: str
    presets: Mapping[str, ExperimentConfig]
    task: Task | None = None
    study: Study | None = None
    summary: Summary | None = None

    def __post_init__(self) -> None:
        if (self.task is None) == (self.study is None):
            raise ValueError(f"experiment {self.name} needs either a task or a study.")

    @property
    def kind(self) -> str:
        """Return the task's name, such as "super_resolution", or "study"."""
        return "study" if self.task is None else re.sub(r"(?<!^)(?=[A-Z])", "_", type(self.task).__name__).lower()

    def learnt(self) -> Task:
        """Return the task.

        Raises:
            UserError: the experiment is a study.
        """
        if self.task is None:
            raise UserError(f"{self.name} is a study without a generator; there is nothing to draw.")
        return self.task

    def check(self, config: ExperimentConfig) -> None:
        """Refuse settings that would have no effect, and sizes that would fail only later.

        A setting that the task or study does not use may have the value that some preset gives it, and no other.

        Raises:
            UserError: one sentence with the option, its value and the mend.
        """
        inner = self.task or self.study
        assert inner is not None
        unread = inner.unread if self.task is None else self.task.unread_by(config)
        known = [{name: value for name, _, value, _ in settings(preset)} for preset in self.presets.values()]
        for name, _, value, _ in settings(config):
            idle = name in unread or name.partition(".")[0] in unread
            if idle and all(preset.get(name) != value for preset in known):
                raise UserError(
                    f"--{name} {show(value)} has no effect, because {self.name} does not use it: leave it out."
                )
        inner.check(config)
