"""Task ``super_resolution``: the fine field, given what a coarse solver makes of the same past.

A fine field is cut to a coarse grid and advanced there by the coarse solver; meanwhile the fine solver advances the
fine field. Given the coarse outcome, interpolated to the fine grid, the generator draws what is missing: a sample is
the interpolated coarse field and a generated difference. What a coarse solver says of the fine field is not its
average, and both are offered. There is no exact posterior; ensembles are judged by proper scores against the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from experiments.config import ExperimentConfig, SystemConfig
from experiments.errors import UserError
from experiments.export import Fields
from experiments.reporting import Report
from experiments.tasks.advance import refiner
from experiments.tasks.resampling import averaged, resampled
from experiments.tasks.snapshot import AXES
from experiments.tasks.solver_task import SolverTask, solved_trajectories
from experiments.tasks.task import NONE
from gan.settings import setting

if TYPE_CHECKING:
    from jax import Array
    from numpy.typing import ArrayLike

    from experiments.evaluation.baselines import Fitted
    from experiments.evaluation.results import Comparison
    from experiments.tasks.solver_task import SolverData
    from gan.augmentation import SymmetriesLike
    from gan.networks.players import SampleSpec
    from gan.training.problem import Problem
    from gan.training.trained import Trained
    from physics.system import System

SOLVER, AVERAGES = SOURCES = ("solver", "averages")
"""Where coarse fields come from."""


@dataclass(frozen=True)
class SuperResolutionConfig(SystemConfig):
    """What is given. The coarse run lasts as long as the time between two kept fields, ``data.stride``."""

    factor: int = setting(4, "how many times fewer points the coarse grid has along each axis", minimum=2)
    source: str = setting(
        SOLVER, "coarse fields: of a coarse solver run, or averages of the fine field itself", choices=SOURCES
    )
    coarse_dt: float = setting(0.02, "step of the coarse solver", "time", above=0)


@dataclass(frozen=True)
class SuperResolution(SolverTask):
    """The task for one system on a periodic grid.

    Attributes:
        system: ``config -> physics.System`` on the fine grid.
    """

    unread: ClassVar[tuple[str, ...]] = (
        "solver_layer",
        "compare.fields",
        "compare.tested",
        "compare.refined",
        "compare.relabellings",
        "compare.refine",
        "compare.separations",
        "compare.quantiles",
        "compare.projections",
        "compare.resolved",
        "compare.draws",
        "compare.level",
        "compare.search",
    )

    system: Callable[[ExperimentConfig], System]

    def own_settings(self, config: ExperimentConfig) -> SuperResolutionConfig:
        """Return the section ``system``, which is this task's own."""
        assert isinstance(config.system, SuperResolutionConfig)
        return config.system

    def coarse_system(self, config: ExperimentConfig) -> System:
        """Return the system on the coarse grid."""
        from physics import Grid

        fine = self.system(config)
        shape = tuple(points // self.own_settings(config).factor for points in fine.grid.shape)
        return replace(fine, grid=Grid(shape, fine.grid.extent))

    def samples_per_trajectory(self, config: ExperimentConfig) -> int:
        """Every kept field but the first, from which the coarse run to the second begins."""
        return config.data.snapshots - 1

    def check(self, config: ExperimentConfig) -> None:
        """Refuse also what neither the task nor its comparison could use."""
        if config.data.snapshots < 2:
            raise UserError("--data.snapshots 1 leaves no time for a coarse run: keep at least 2 times.")
        super().check(config)
        own, grid = self.own_settings(config), self.system(config).grid
        if not grid.shape or not grid.periodic:
            raise UserError(f"{self.system(config).name} has no periodic grid that could be made coarser.")
        if others := [points for points in grid.shape if points % own.factor or points < 4 * own.factor]:
            raise UserError(
                f"--system.factor {own.factor} leaves no whole grid of at least 4 points of {others[0]} points: choose "
                "another factor."
            )
        if (have := config.data.trajectories[2]) < config.compare.cases:
            raise UserError(
                f"--compare.cases {config.compare.cases} needs as many independent test trajectories, but "
                f"--data.trajectories makes {have}: make more, or compare fewer cases."
            )

    def spec(self, config: ExperimentConfig) -> SampleSpec:
        """Differences on the fine grid, conditioned on the interpolated coarse field."""
        from gan import SampleSpec

        system = self.system(config)
        return SampleSpec(system.field_shape, conditions={"coarse": system.field_shape}, extent=system.grid.extent)

    def data(self, config: ExperimentConfig, report: Report) -> SolverData:
        """Make or find the trajectories of the fine solver."""
        from physics import FixedSystem

        return solved_trajectories(config, FixedSystem(self.system(config)), report)

    def coarse_fields(self, config: ExperimentConfig, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """Return what is given of each pair of fields, interpolated to the fine grid, (n, *grid, c).

        Args:
            config: of the run.
            before: fine fields from whose coarse part the coarse run begins, (n, *grid, c).
            after: fine fields that the fine solver makes of them, of the same shape.

        Raises:
            UserError: the coarse solver does not stay finite.
        """
        fine, coarse, own = self.system(config).grid, self.coarse_system(config), self.own_settings(config)
        if own.source == AVERAGES:
            return resampled(averaged(after, own.factor), coarse.grid, fine)
        run = refiner(coarse, own.coarse_dt)
        found = resampled(run(resampled(before, fine, coarse.grid), config.data.stride), coarse.grid, fine)
        if not np.isfinite(found).all():
            raise UserError(
                f"the coarse solver does not stay finite with --system.coarse_dt {own.coarse_dt:g}: choose a shorter "
                "step, or a smaller --system.factor."
            )
        return found

    def pairs(self, config: ExperimentConfig, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return given and true fields (n, *grid, c) of trajectories (trajectories, time, *grid, c)."""
        shape = kept.shape[2:]
        before, after = (np.asarray(part).reshape(-1, *shape) for part in (kept[:, :-1], kept[:, 1:]))
        return self.coarse_fields(config, before, after), after

    def problem(self, config: ExperimentConfig, dataset: SolverData) -> Problem:
        """The networks make the difference of the fine field and the interpolated coarse one."""
        from gan import Problem

        (given, truth), (seen, held) = (self.pairs(config, kept) for kept in (dataset.train, dataset.validation))
        return Problem(
            train=truth - given,
            condition={"coarse": given},
            validation=held - seen,
            validation_condition={"coarse": seen},
            extent=self.system(config).grid.extent,
            symmetries=self.symmetries(config),
        )

    def symmetries(self, config: ExperimentConfig) -> SymmetriesLike | None:
        """Return the symmetries of a pair of given and true field.

        A coarse solver without aliasing has those of its equation. Means over cells change with the place of the cells.
        """
        return None if self.own_settings(config).source == AVERAGES else self.system(config).symmetries

    def compare(
        self,
        config: ExperimentConfig,
        dataset: SolverData,
        trained: Trained,
        seconds: Mapping[str, float],
        report: Report,
        baselines: Mapping[str, Fitted] = NONE,
    ) -> tuple[Comparison, dict[str, np.ndarray]]:
        """Ensembles against the truth, beside interpolation, differences of other fields, and the fine solver."""
        from experiments.tasks.super_resolution_comparison import against_truth

        return against_truth(self, config, dataset, trained, report, baselines)

    def sampler(self, config: ExperimentConfig, dataset: SolverData, trained: Trained) -> Callable[..., Fields]:
        """Draw fine fields for given coarse ones, or for those of the test data.

        The condition is given as ``coarse_fields``, one field ``(*coarse grid, c)`` or one for each sample.
        """
        system, coarse = self.system(config), self.coarse_system(config)
        names = AXES[: system.grid.ndim]
        coordinates = dict(zip(names, (np.asarray(x) for x in system.grid.coordinates())))
        advance = refiner(system, dataset.dt)

        def draw(count: int, *, key: Array, refine: float = 0.0, coarse_fields: ArrayLike | None = None) -> Fields:
            given = _given(coarse_fields, count)
            values = given + trained.sample(key, count, {"coarse": given})
            return Fields(
                advance(values, refine) if refine > 0 else values,
                ("sample", *names, "channel"),
                coordinates,
                system.channels,
                attrs={"system": system.name, "refine": refine, "step": trained.step},
            )

        def _given(fields: ArrayLike | None, count: int) -> np.ndarray:
            if fields is None:
                known, _ = self.pairs(config, np.asarray(dataset.test))
                return known[np.arange(count) % len(known)]
            many = np.asarray(fields, np.float32)
            if many.shape == coarse.field_shape:
                many = np.broadcast_to(many, (count, *many.shape))
            if many.shape != (count, *coarse.field_shape):
                raise UserError(
                    f"coarse_fields must have the shape {coarse.field_shape}, or be one such field for each of the "
                    f"{count} samples; found {many.shape}."
                )
            return resampled(many, coarse.grid, system.grid)

        return draw
