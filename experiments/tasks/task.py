"""The steps that every task has, as the pipeline calls them."""

from __future__ import annotations

import abc
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Generic, Protocol, TypeVar, runtime_checkable

from experiments.config import ExperimentConfig
from experiments.errors import UserError
from experiments.export import Fields
from experiments.reporting import Report

if TYPE_CHECKING:
    import numpy as np

    from experiments.evaluation.baselines import Fitted
    from experiments.evaluation.results import Comparison
    from gan.networks.players import SampleSpec
    from gan.training.problem import Problem
    from gan.training.trained import Trained

NONE: Mapping[str, Fitted] = MappingProxyType({})
"""No baselines."""


@runtime_checkable
class TrainingData(Protocol):
    """What the pipeline reads of a task's data, whatever made them."""

    @property
    def path(self) -> str | Path:
        """Return where the data lie, or what they are drawn from."""
        ...

    @property
    def description(self) -> Mapping[str, object]:
        """Return what made the data, for ``data.json``."""
        ...


Data = TypeVar("Data", bound=TrainingData)


class Task(abc.ABC, Generic[Data]):
    """Data -> problem -> comparison, for one experiment. Stateless: everything comes from the configuration."""

    unread: ClassVar[tuple[str, ...]] = ()
    """Settings ("section.key") and whole sections that the task does not use: changing one is refused."""

    def unread_by(self, config: ExperimentConfig) -> tuple[str, ...]:
        """The same for one configuration; ``unread`` where it decides nothing."""
        return self.unread

    @abc.abstractmethod
    def check(self, config: ExperimentConfig) -> None:
        """Refuse sizes that would fail only once the data are made or the training is done.

        Raises:
            UserError: one sentence with the option, its value and the mend.
        """

    @abc.abstractmethod
    def samples_per_trajectory(self, config: ExperimentConfig) -> int:
        """How many training samples one trajectory gives."""

    @abc.abstractmethod
    def spec(self, config: ExperimentConfig) -> SampleSpec:
        """Return the shape of a sample and its conditions, which are known before there are data."""

    def penalties(self, config: ExperimentConfig) -> tuple[str, ...]:
        """Return the names of the problem's penalties, which are known before there are data; none unless stated."""
        return ()

    def drawn_alone(self, config: ExperimentConfig) -> bool:
        """Return whether samples are what generator and solver layer make, with nothing after them."""
        return False

    @abc.abstractmethod
    def data(self, config: ExperimentConfig, report: Report) -> Data:
        """Make the data, or find them where they were kept."""

    @abc.abstractmethod
    def problem(self, config: ExperimentConfig, dataset: Data) -> Problem:
        """Return training samples, conditions, symmetries, solver layer and penalties."""

    @abc.abstractmethod
    def compare(
        self,
        config: ExperimentConfig,
        dataset: Data,
        trained: Trained,
        seconds: Mapping[str, float],
        report: Report,
        baselines: Mapping[str, Fitted] = NONE,
    ) -> tuple[Comparison, dict[str, np.ndarray]]:
        """Hold a trained generator against the solver.

        Args:
            config: of the run.
            dataset: the data; the test split is used here and nowhere else.
            trained: the generator.
            seconds: wall seconds spent on ``"data"`` and ``"training"``.
            report: called with (done, total, what).
            baselines: by name, fitted to the same data; empty unless asked for.

        Returns:
            What was found, and the arrays behind the pictures.
        """

    @abc.abstractmethod
    def with_fresh_test(
        self, config: ExperimentConfig, dataset: Data, seed: int, report: Report
    ) -> tuple[ExperimentConfig, Data]:
        """Make new held-out data, and return configuration and data set for a comparison with them.

        Args:
            config: of the run.
            dataset: of the run; its training split stays.
            seed: of the new data.
            report: called with (done, total, what).

        Raises:
            UserError: there can be no other held-out data.
        """

    @abc.abstractmethod
    def sampler(self, config: ExperimentConfig, dataset: Data, trained: Trained) -> Callable[..., Fields]:
        """Return ``(count, *, key, refine, **condition) -> Fields`` for the users of a run."""


def check_draws(config: ExperimentConfig, distances: Sequence[str]) -> None:
    """Refuse a null distribution of so few draws that Holm's test over these distances could not reject by rank."""
    settings = config.compare
    least = math.ceil(len(distances) / settings.level)
    if settings.draws < least:
        raise UserError(
            f"--compare.draws {settings.draws} are too few: {len(distances)} distances tested at --compare.level "
            f"{settings.level:g} need at least {least}."
        )
