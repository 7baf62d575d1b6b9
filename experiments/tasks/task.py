"""The steps that every task has, as the pipeline calls them."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from experiments.config import DataConfig, ExperimentConfig
from experiments.errors import UserError
from experiments.export import Fields
from experiments.reporting import Report

if TYPE_CHECKING:
    import numpy as np

    from experiments.evaluation.results import Comparison

_CERTIFIED = 64
"""Trajectories on which the certificate of fresh test data rests."""
NONE: Mapping[str, Any] = MappingProxyType({})
"""No baselines."""


class Task(abc.ABC):
    """Data -> problem -> comparison, for one experiment. Stateless: everything comes from the configuration."""

    unread: ClassVar[tuple[str, ...]] = ()
    """Settings ("section.key") and whole sections that the task does not use: changing one is refused."""

    def check(self, config: ExperimentConfig) -> None:
        """Refuse sizes that would fail only once the data are made or the training is done.

        Raises:
            UserError: one sentence with the option, its value and the mend.
        """
        dataset_spec(config.data)
        taken = config.training.batch * config.game.critic_steps
        have = config.data.trajectories[0] * self.samples_per_trajectory(config)
        if have < taken:
            raise UserError(
                f"--training.batch {config.training.batch} takes {taken} samples for one update, but "
                f"--data.trajectories makes only {have} to train on: make more, or choose a smaller batch."
            )

    @abc.abstractmethod
    def samples_per_trajectory(self, config: ExperimentConfig) -> int:
        """How many training samples one trajectory gives."""

    @abc.abstractmethod
    def spec(self, config: ExperimentConfig) -> Any:
        """Return the ``gan.SampleSpec`` of the problem, which is known before there are data."""

    @abc.abstractmethod
    def data(self, config: ExperimentConfig, report: Report) -> Any:
        """Make the certified data set, or find it in the cache: a ``physics.Dataset``."""

    @abc.abstractmethod
    def problem(self, config: ExperimentConfig, dataset: Any) -> Any:
        """Return the ``gan.Problem``: training samples, conditions, symmetries, solver layer and penalties."""

    @abc.abstractmethod
    def compare(
        self,
        config: ExperimentConfig,
        dataset: Any,
        trained: Any,
        seconds: dict[str, float],
        report: Report,
        baselines: Mapping[str, Any] = NONE,
    ) -> tuple[Comparison, dict[str, np.ndarray]]:
        """Hold a trained generator against the solver.

        Args:
            config: of the run.
            dataset: the certified data; its test trajectories are used here and nowhere else.
            trained: a ``gan.Trained``.
            seconds: wall seconds spent on ``"data"`` and ``"training"``.
            report: called with (done, total, what).
            baselines: name -> ``gan.baselines.Baseline``, fitted to the same data; empty unless asked for.

        Returns:
            What was found, and the arrays behind the pictures.
        """

    def with_fresh_test(
        self, config: ExperimentConfig, dataset: Any, seed: int, report: Report
    ) -> tuple[ExperimentConfig, Any]:
        """Make new held-out data, and return configuration and data set for a comparison with them.

        Args:
            config: of the run.
            dataset: of the run; its training split stays.
            seed: of the new data.
            report: called with (done, total, what).
        """
        own = replace(config, data=replace(config.data, seed=seed))
        *_, tests = config.data.trajectories
        fresh = self.data(replace(own, data=replace(own.data, trajectories=(_CERTIFIED, 1, tests))), report)
        return own, FreshTest(dataset, fresh)

    @abc.abstractmethod
    def sampler(self, config: ExperimentConfig, dataset: Any, trained: Any) -> Callable[..., Fields]:
        """Return ``(count, *, key, refine, **condition) -> Fields`` for the users of a run."""


class FreshTest:
    """A certified data set whose test split is that of another one; everything else is as it was."""

    def __init__(self, dataset: Any, fresh: Any) -> None:
        self._dataset, self._fresh = dataset, fresh

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dataset, name)

    @property
    def test(self) -> np.ndarray:
        """The new test trajectories."""
        return self._fresh.test

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of all splits, those of the new test trajectories among them."""
        return {**self._dataset.parameters, "test": self._fresh.parameters["test"]}

    @property
    def initial(self) -> dict[str, Any]:
        """The initial fields of all splits, where they were kept."""
        kept = self._dataset.initial
        return {**kept, "test": self._fresh.initial["test"]} if kept else {}


def dataset_spec(data: DataConfig, system: Any = None, *, keep_initial: bool = False) -> Any:
    """Return the ``physics.DatasetSpec`` of the section ``data``, with the name and the limits of a system."""
    from physics import DatasetSpec, default_dataset

    wanted: dict[str, Any] = {
        name: getattr(data, name) for name in ("snapshots", "spin_up", "stride", "dt", "seed", "chunk")
    }
    wanted |= {"keep_initial": keep_initial}
    if system is None:
        return DatasetSpec("checked", data.trajectories, **wanted)
    return default_dataset(system, data.trajectories, **wanted)[1]


def check_draws(config: ExperimentConfig, least: int, why: str) -> None:
    """Refuse a null distribution of too few draws for the tests that rest on it."""
    if config.compare.draws < least:
        raise UserError(
            f"--compare.draws {config.compare.draws} are too few: {why} at --compare.level {config.compare.level:g} "
            f"need at least {least}."
        )
