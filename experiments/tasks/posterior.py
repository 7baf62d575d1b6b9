"""Task ``posterior``: initial field, parameters and trajectory of a system, given noisy observations of later times.

Where the magnitude alone is observed the posterior has several modes. What posteriors share is in
`experiments.tasks.posterior_task`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from experiments.config import ExperimentConfig
from experiments.errors import UserError
from experiments.export import Fields
from experiments.reporting import Report
from experiments.tasks.posterior_programs import inverse_problem, trajectories
from experiments.tasks.posterior_task import (
    APART,
    ObservationConfig,
    Planned,
    Posed,
    PosteriorTask,
    Solver,
    function_observed,
)
from experiments.tasks.snapshot import AXES
from experiments.tasks.solver_task import SolverData, SolverTask, solved_trajectories
from experiments.tasks.whitening import Unknowns, Whitening
from gan.settings import setting

if TYPE_CHECKING:
    from jax import Array
    from numpy.typing import ArrayLike

    from physics.inference.inverse_problem import InverseProblem
    from physics.system import System


@dataclass(frozen=True)
class PosteriorConfig(ObservationConfig):
    """What is unknown, and what is observed of it."""

    parameter: tuple[float, float] = setting(
        (0.1, 0.5), "range of the system's parameter, log-uniform, where one is unknown", above=0
    )
    waves: int = setting(8, "longest waves of which the initial field consists", minimum=1, maximum=512)
    amplitude: float = setting(1.0, "standard deviation of the initial field", "that of the field", above=0)
    length: float = setting(0.6, "correlation length of the initial field", "length", above=0)
    observations: int = setting(8, "points, evenly spaced, at which it is observed", minimum=1)
    times: tuple[int, ...] = setting((1,), "kept fields that are observed, counted from 0", minimum=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        low, high = self.parameter
        if not low < high:
            raise UserError(f"parameter must be a lower and a higher value, found {low:g},{high:g}.")


@dataclass(frozen=True)
class Posterior(PosteriorTask[SolverData], SolverTask):
    """The task for one system on a periodic line, whose initial field and perhaps one parameter are unknown.

    Attributes:
        system: ``(config, parameter, points=None) -> physics.System``; ``(config, points=None)`` without a parameter.
        parameter: name of the unknown parameter in the system; none: the initial field alone is unknown.
        prior: ``config -> Unknowns`` of the initial field, where it is not the sum of waves of the section ``system``;
            then no parameter is unknown.
    """

    system: Callable[..., System]
    parameter: str | None = None
    prior: Callable[[ExperimentConfig], Unknowns] | None = None

    def __post_init__(self) -> None:
        if self.parameter and self.prior:
            raise ValueError(f"{self.parameter} cannot be unknown beside a prior of its own: leave one of them out.")

    def unread_by(self, config: ExperimentConfig) -> tuple[str, ...]:
        """A range of parameters says nothing where none is unknown, waves where the prior is another."""
        found = super().unread_by(config)
        if not self.parameter:
            found = (*found, "system.parameter")
        if self.prior:
            found = (*found, "system.waves", "system.amplitude", "system.length")
        return found

    def system_of(self, config: ExperimentConfig, value: float | Array | None = None) -> System:
        """Return the system with a value of its unknown parameter, by default the lowest."""
        if self.parameter is None:
            return self.system(config)
        return self.system(config, self.own_settings(config).parameter[0] if value is None else value)

    def own_settings(self, config: ExperimentConfig) -> PosteriorConfig:
        """Return the section ``system``, which is this task's own."""
        assert isinstance(config.system, PosteriorConfig)
        return config.system

    def whitening(self, config: ExperimentConfig) -> Unknowns:
        """Return initial fields and parameters as standard normal numbers."""
        if self.prior:
            return self.prior(config)
        own = self.own_settings(config)
        (size,), (extent,) = config.data.points, config.data.extent
        parameter = own.parameter if self.parameter else None
        return Whitening(size, extent, own.waves, own.amplitude, own.length, parameter)

    def sizes(self, config: ExperimentConfig) -> tuple[int, int]:
        """Return the count of the unknowns, and of the observations of one case."""
        own = self.own_settings(config)
        return self.whitening(config).dimension, own.observations * len(own.times)

    def check(self, config: ExperimentConfig) -> None:
        """Refuse also what neither the task nor its comparison could use."""
        SolverTask.check(self, config)
        own = self.own_settings(config)
        size, *more = config.data.points
        if more:
            raise UserError(f"--data.points has {1 + len(more)} axes, and the unknown field is on a line: give one.")
        self.system_of(config)
        if own.observations > size:
            raise UserError(
                f"--system.observations {own.observations} is more than the {size} grid points: observe fewer."
            )
        if self.prior is None and own.waves >= size / 2:
            raise UserError(f"--system.waves {own.waves} needs more than the {size} grid points: take fewer waves.")
        if max(own.times) >= config.data.snapshots:
            raise UserError(
                f"--system.times holds {max(own.times)}, but the {config.data.snapshots} kept fields are counted from "
                "0: observe earlier ones, or keep more by --data.snapshots."
            )
        self.check_comparison(config, config.data.trajectories[2], "trajectories")

    def data(self, config: ExperimentConfig, report: Report) -> SolverData:
        """Make or find the trajectories, each with its own parameter; their initial fields are kept."""
        from physics import LogUniform, VaryingParameters

        system = self.system_of(config)
        initial = self.whitening(config).prior(system.grid)
        ranges = {self.parameter: LogUniform(*self.own_settings(config).parameter)} if self.parameter else {}
        sampler = VaryingParameters(system, ranges, initial=initial)
        return solved_trajectories(config, sampler, report, keep_initial=True)

    def unknowns(self, config: ExperimentConfig, dataset: SolverData, split: str) -> np.ndarray:
        """Return the true unknowns (n, d) of a split."""
        values = dataset.parameters[split][self.parameter] if self.parameter else None
        return self.whitening(config).unknowns(dataset.initial[split], values)

    def exact(self, config: ExperimentConfig, dataset: SolverData, split: str) -> np.ndarray:
        """Return what is observed of the trajectories of a split without noise, (n, m)."""
        fields = np.asarray({"train": dataset.train, "validation": dataset.validation, "test": dataset.test}[split])
        return np.asarray(self.seen(config, fields))

    def truths(self, config: ExperimentConfig, dataset: SolverData, count: int) -> np.ndarray:
        """Return the first test trajectories, each with its initial field."""
        return np.concatenate([dataset.initial["test"][:count, None], dataset.test[:count]], axis=1)

    def places(self, config: ExperimentConfig) -> np.ndarray:
        """Return the grid points that are observed."""
        (size,) = config.data.points
        return np.arange(self.own_settings(config).observations) * size // self.own_settings(config).observations

    def seen(self, config: ExperimentConfig, fields: ArrayLike) -> Array:
        """Return what is observed of trajectories (..., time, size, 1) without noise, (..., m)."""
        import jax.numpy as jnp

        own = self.own_settings(config)
        found = jnp.asarray(fields)[..., 0][..., np.array(own.times), :][..., self.places(config)]
        found = found.reshape((*found.shape[:-2], -1))
        return function_observed(own.observed)(found)

    def predicted(self, config: ExperimentConfig, fields: np.ndarray) -> np.ndarray:
        """Return what would be observed of trajectories that begin with their initial fields."""
        return np.asarray(self.seen(config, fields[..., 1:, :, :]))

    def inverse_problem(
        self, config: ExperimentConfig, times: np.ndarray, *, coarsening: int = 1, order: int = 4
    ) -> InverseProblem:
        """Return the problem with the solver that made the data, or with longer steps and another order."""
        return inverse_problem(self, config, tuple(float(one) for one in times), coarsening, order)

    def identity(self, config: ExperimentConfig, times: np.ndarray) -> dict[str, object]:
        """Return all that the inverse problem depends on, in plain values."""
        from physics.data.description import describe

        return {
            "system": describe(self.system_of(config)),
            "unknown": describe(self.whitening(config)),
            "settings": {name: one for name, one in asdict(self.own_settings(config)).items() if name not in APART},
            "times": [float(one) for one in times],
            "dt": config.data.dt,
        }

    def trajectories(self, config: ExperimentConfig, times: np.ndarray, unknowns: np.ndarray) -> np.ndarray:
        """Return (..., time, size, 1) of unknowns (..., d): the initial fields, then the kept ones."""
        return trajectories(self, config, tuple(float(one) for one in times), np.asarray(unknowns, np.float32))

    def solved(self, config: ExperimentConfig, dataset: SolverData, unknowns: np.ndarray) -> np.ndarray:
        """Return the trajectories of unknowns, each with its initial field."""
        return self.trajectories(config, dataset.times, unknowns)

    def solvers(self, config: ExperimentConfig, times: np.ndarray) -> tuple[Solver, ...]:
        """Return the inverse problem for kept fields of these times; cheaper solvers take longer steps, perhaps of a
        lower order."""
        return tuple(
            Solver(
                {"dt": coarsening * config.data.dt, "order": order},
                self.inverse_problem(config, times, coarsening=coarsening, order=order),
            )
            for coarsening, order in ((1, 4), (2, 2), (2, 4), (4, 4))
        )

    def planned(self, config: ExperimentConfig) -> Planned:
        """Return solvers and trajectories for the times that the data will have."""
        data = config.data
        times = (data.spin_up or 0.0) + (data.stride or 0.0) * np.arange(data.snapshots)
        solved = partial(self.trajectories, config, times)
        return Planned(self.solvers(config, times), solved, sum(data.trajectories))

    def posed(self, config: ExperimentConfig, dataset: SolverData) -> Posed:
        """Return the inverse problem with what is said of it."""
        own, system, tests = self.own_settings(config), self.system_of(config), len(dataset.test)
        labels: Iterable[str] = (f"case {one + 1}" for one in range(tests))
        within = "test trajectories"
        if self.parameter:
            labels = (f"{self.parameter} {value:.3g}" for value in dataset.parameters["test"][self.parameter])
            within = "{} {:g} to {:g}".format(self.parameter, *own.parameter)
        return Posed(
            name=system.name,
            solvers=self.solvers(config, dataset.times),
            identity=self.identity(config, dataset.times),
            channels=tuple(system.channels),
            extent=system.grid.extent,
            coordinates=tuple(np.asarray(x) for x in system.grid.coordinates()),
            times=np.concatenate([[0.0], dataset.times]),
            within=within,
            labels=tuple(labels),
            places=self.places(config) * float(system.grid.spacing[0]),
        )

    def exported(self, config: ExperimentConfig, dataset: SolverData, unknowns: np.ndarray, step: int) -> Fields:
        """Return trajectories with the parameter of each, where one is unknown."""
        import jax.numpy as jnp

        system = self.system_of(config)
        (x,) = system.grid.coordinates()
        values = self.whitening(config).value(jnp.asarray(unknowns))
        drawn = {self.parameter: np.asarray(values)} if self.parameter else {}
        return Fields(
            self.solved(config, dataset, unknowns),
            ("sample", "time", *AXES[:1], "channel"),
            {"time": np.concatenate([[0.0], dataset.times]), "x": np.asarray(x), **drawn},
            system.channels,
            attrs={"system": system.name, "step": step},
        )
