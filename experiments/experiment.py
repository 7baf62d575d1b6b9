"""What an experiment is: a name, a task set up with its system, and its presets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from experiments.config import ExperimentConfig
from experiments.tasks.task import Task


@dataclass(frozen=True)
class Experiment:
    """One study, as ``experiments.catalog`` lists it.

    Attributes:
        name: as on the command line.
        task: what the generator learns, set up with the system.
        presets: "smoke" (seconds, for tests), "demo" (minutes on two cores), "full" (a GPU).
    """

    name: str
    task: Task
    presets: Mapping[str, ExperimentConfig]
