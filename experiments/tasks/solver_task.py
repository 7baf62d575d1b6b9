"""What tasks share whose data a solver makes: the specification of the data, their interface, and fresh test data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from experiments.config import DataConfig, ExperimentConfig
from experiments.errors import UserError
from experiments.reporting import Report
from experiments.tasks.task import Task

if TYPE_CHECKING:
    from physics.data.dataset import Dataset, DatasetSpec
    from physics.data.samplers import Sampler
    from physics.grid import Grid
    from physics.system import System

_CERTIFIED = 64
"""Trajectories on which the certificate of fresh test data rests."""


@runtime_checkable
class SolverData(Protocol):
    """What a task reads of certified trajectories; a ``physics.Dataset`` has it."""

    @property
    def path(self) -> Path:
        """Return the folder of the data."""
        ...

    @property
    def description(self) -> Mapping[str, object]:
        """Return what made the data, with their certificate."""
        ...

    @property
    def train(self) -> np.ndarray:
        """Return the training fields (trajectories, time, *grid, C)."""
        ...

    @property
    def validation(self) -> np.ndarray:
        """Return the validation fields (trajectories, time, *grid, C)."""
        ...

    @property
    def test(self) -> np.ndarray:
        """Return the test fields (trajectories, time, *grid, C)."""
        ...

    @property
    def times(self) -> np.ndarray:
        """Return the times (time,) of the fields since the initial ones, in the system's unit."""
        ...

    @property
    def dt(self) -> float:
        """Return the step of the solver, in the system's unit of time."""
        ...

    @property
    def grid(self) -> Grid:
        """Return the grid of the fields."""
        ...

    @property
    def parameters(self) -> Mapping[str, Mapping[str, np.ndarray]]:
        """Return the varying parameters (trajectories,) by split and name."""
        ...

    @property
    def initial(self) -> Mapping[str, np.ndarray]:
        """Return the initial fields (trajectories, *grid, C) by split; empty where they were not kept."""
        ...


@dataclass(frozen=True)
class FreshTest:
    """A certified data set whose test split is that of another one; everything else is as it was.

    Attributes:
        own: the data set of the run.
        fresh: the one that gives the test split.
    """

    own: SolverData
    fresh: SolverData

    @property
    def path(self) -> Path:
        """The folder of the run's own data."""
        return self.own.path

    @property
    def description(self) -> Mapping[str, object]:
        """The description of the run's own data."""
        return self.own.description

    @property
    def train(self) -> np.ndarray:
        """The run's own training fields."""
        return self.own.train

    @property
    def validation(self) -> np.ndarray:
        """The run's own validation fields."""
        return self.own.validation

    @property
    def test(self) -> np.ndarray:
        """The new test trajectories."""
        return self.fresh.test

    @property
    def times(self) -> np.ndarray:
        """The times of the fields."""
        return self.own.times

    @property
    def dt(self) -> float:
        """The step of the solver."""
        return self.own.dt

    @property
    def grid(self) -> Grid:
        """The grid of the fields."""
        return self.own.grid

    @property
    def parameters(self) -> Mapping[str, Mapping[str, np.ndarray]]:
        """The parameters of all splits, those of the new test trajectories among them."""
        return {**self.own.parameters, "test": self.fresh.parameters["test"]}

    @property
    def initial(self) -> Mapping[str, np.ndarray]:
        """The initial fields of all splits, where they were kept."""
        kept = self.own.initial
        return {**kept, "test": self.fresh.initial["test"]} if kept else {}


class SolverTask(Task[SolverData]):
    """A task whose data are trajectories that a solver makes, by the section ``data`` of a `DataConfig`."""

    def check(self, config: ExperimentConfig) -> None:
        """Refuse sizes that would fail only once the data are made or the training is done."""
        dataset_spec(config.data)
        check_store(config.data)
        taken = config.training.batch * config.game.critic_steps
        have = config.data.trajectories[0] * self.samples_per_trajectory(config)
        if have < taken:
            raise UserError(
                f"--training.batch {config.training.batch} takes {taken} samples for one update, but "
                f"--data.trajectories makes only {have} to train on: make more, or choose a smaller batch."
            )

    def with_fresh_test(
        self, config: ExperimentConfig, dataset: SolverData, seed: int, report: Report
    ) -> tuple[ExperimentConfig, SolverData]:
        """Make new test trajectories; those of the other splits stay."""
        own = replace(config, data=replace(config.data, seed=seed))
        *_, tests = config.data.trajectories
        fresh = self.data(replace(own, data=replace(own.data, trajectories=(_CERTIFIED, 1, tests))), report)
        return own, FreshTest(dataset, fresh)


def solved_trajectories(
    config: ExperimentConfig, sampler: Sampler, report: Report, *, keep_initial: bool = False
) -> Dataset:
    """Make or find the trajectories of the section ``data``, together with the other processes of the training.

    Args:
        config: of the run.
        sampler: draws the system, and the initial field and parameters of a trajectory.
        report: called with (done, total, what).
        keep_initial: whether the initial fields are kept.
    """
    from gan.training import processes
    from physics import generate

    spec = dataset_spec(config.data, sampler.system, keep_initial=keep_initial)
    return generate(sampler, spec, store=config.data.store, crew=processes.together(), progress=report)


def check_store(data: DataConfig) -> None:
    """Refuse a store that cannot be one, before anything is made.

    Raises:
        UserError: no such kind of place.
    """
    if data.store is not None:
        from physics.data.zarr_store import ZarrStore
        from physics.data.zarr_trajectories import StoreError

        try:
            ZarrStore(data.store)
        except StoreError as error:
            raise UserError(f"--data.store {data.store}: {error}.") from None


def dataset_spec(data: DataConfig, system: System | None = None, *, keep_initial: bool = False) -> DatasetSpec:
    """Return the ``physics.DatasetSpec`` of the section ``data``, with the name and the limits of a system."""
    from physics import DatasetSpec, default_dataset

    wanted = {name: getattr(data, name) for name in ("snapshots", "spin_up", "stride", "dt", "seed", "chunk")}
    wanted |= {"keep_initial": keep_initial}
    if system is None:
        return DatasetSpec("checked", data.trajectories, **wanted)
    return default_dataset(system, data.trajectories, **wanted)[1]
