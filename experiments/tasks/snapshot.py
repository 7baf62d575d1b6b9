"""Task ``snapshot``: draw single fields from a system's invariant measure.

The data are fields of independent trajectories after the spin-up, a sample is ``Phi_tau(G(z))``, and the comparison
asks whether a set of samples can be distinguished from a set of solver fields.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from experiments.config import ExperimentConfig
from experiments.errors import UserError
from experiments.export import Fields
from experiments.reporting import Report
from experiments.tasks.advance import evolution, initial_fields, refiner, solver_layer
from experiments.tasks.equation import comparison_sizes, equation, homogeneous
from experiments.tasks.solver_task import SolverTask, dataset_spec
from experiments.tasks.solvers import Solvers, SolverSetting, along_trajectories
from experiments.tasks.task import NONE, check_draws

if TYPE_CHECKING:
    from jax import Array

    from experiments.evaluation.baselines import Fitted
    from experiments.evaluation.results import Comparison
    from experiments.evaluation.snapshot_cost import CostInputs
    from experiments.tasks.solver_task import SolverData
    from gan.networks.players import SampleSpec
    from gan.training.problem import Problem
    from gan.training.trained import Trained
    from physics.system import System

AXES = ("x", "y", "z")


@dataclass(frozen=True)
class Snapshot(SolverTask):
    """The task for one system.

    Attributes:
        system: ``(config, points=None) -> physics.System`` on the configured grid, or on a coarser or finer one.
        settings: ``config -> settings`` of the solvers among which the cheapest that does as well is searched; see
            `SolverSetting` for what they say. `along_trajectories`, which any system has, where left out.
    """

    unread: ClassVar[tuple[str, ...]] = ("compare.members", "compare.cases", "compare.resamples")

    system: Callable[..., System]
    settings: Callable[[ExperimentConfig], Sequence[SolverSetting]] | None = None

    def samples_per_trajectory(self, config: ExperimentConfig) -> int:
        """Every kept field."""
        return config.data.snapshots

    def check(self, config: ExperimentConfig) -> None:
        """Refuse also what the comparison could not use."""
        from experiments.evaluation.distances import distance_names
        from physics import StochasticSystem

        super().check(config)
        system = self.system(config)
        if isinstance(system, StochasticSystem) and config.solver_layer.tau > 0:
            raise UserError(
                f"--solver_layer.tau {config.solver_layer.tau:g}: the solver of a stochastic system is no "
                "layer, since its noise is no function of the sample; give 0."
            )
        settings, made = config.compare, config.data.trajectories
        least = max(2 * settings.fields, 2 * settings.refined)
        if made[2] < least:
            raise UserError(
                f"--compare.fields {settings.fields} and --compare.refined {settings.refined} need {least} test "
                f"trajectories, but --data.trajectories makes {made[2]}: make more, or compare fewer fields."
            )
        needed = max(settings.tested, settings.refined) + 2 * settings.refined
        if (have := made[0] * config.data.snapshots) < needed:
            raise UserError(
                f"--compare.tested {settings.tested} and --compare.refined {settings.refined} need {needed} "
                f"training fields, but --data.trajectories and --data.snapshots make {have}: make more, or test fewer "
                "samples."
            )
        if settings.fields > 2 * settings.refined:
            raise UserError(
                f"--compare.fields {settings.fields} is more than twice --compare.refined {settings.refined}: "
                "compare fewer fields, or refine more."
            )
        shortest = min(config.data.points, default=1)
        if max(settings.separations, default=0) >= shortest:
            raise UserError(
                f"--compare.separations {max(settings.separations)} is no distance on {shortest} points; use at most "
                f"{shortest - 1}."
            )
        names = distance_names(
            homogeneous=homogeneous(system), separations=settings.separations, quantiles=settings.quantiles
        )
        check_draws(config, names)

    def spec(self, config: ExperimentConfig) -> SampleSpec:
        """Single fields."""
        from gan import SampleSpec

        system = self.system(config)
        return SampleSpec(system.field_shape, extent=system.grid.extent)

    def data(self, config: ExperimentConfig, report: Report) -> SolverData:
        """Make or find the trajectories, one system for all."""
        from physics import FixedSystem, generate

        system = self.system(config)
        return generate(FixedSystem(system), dataset_spec(config.data, system), progress=report)

    def problem(self, config: ExperimentConfig, dataset: SolverData) -> Problem:
        """Every kept field is a training sample; shifts and reflections are the system's own."""
        from gan import Problem

        system = self.system(config)
        shape = system.field_shape
        return Problem(
            train=dataset.train.reshape(-1, *shape),
            # One field per held-out trajectory: the validation metric wants independent ones.
            validation=dataset.validation[:, 0],
            symmetries=system.symmetries,
            solver_layer=solver_layer(system, config.solver_layer.steps) if config.solver_layer.tau > 0 else None,
            extent=system.grid.extent,
        )

    def compare(
        self,
        config: ExperimentConfig,
        dataset: SolverData,
        trained: Trained,
        seconds: Mapping[str, float],
        report: Report,
        baselines: Mapping[str, Fitted] = NONE,
    ) -> tuple[Comparison, dict[str, np.ndarray]]:
        """Tests, refinement curves, distances, scores and costs against held-out trajectories."""
        import jax

        from experiments.evaluation.results import Comparison
        from experiments.evaluation.snapshot import compare_snapshot
        from experiments.evaluation.verdict import verdict

        system, settings = self.system(config), config.compare
        sizes, key = comparison_sizes(settings), jax.random.key(settings.seed)
        # Refused samples are part of the outcome; a few more are drawn so that enough others remain.
        fields, valid = trained.draw(key, sizes.drawn + sizes.drawn // 8)
        samples = np.where(valid.reshape(-1, *[1] * (fields.ndim - 1)), fields, np.nan)
        refine = refiner(system, dataset.dt)
        sections, figures = compare_snapshot(
            samples,
            np.asarray(dataset.test[:, 0]),
            dataset.train.reshape(-1, *system.field_shape),
            equation(system, refine),
            trained_on=config.data.trajectories[0],
            layer_time=config.solver_layer.tau,
            sizes=sizes,
            times=settings.refine,
            cost=self._cost(config, dataset, trained, seconds),
            evolve=lambda start: evolution(refine, start, system),
            baselines=baselines,
            progress=report,
        )
        comparison = Comparison(
            title="",
            verdict=verdict(sections),
            n=settings.fields,
            sections=sections,
            step=trained.step,
            data_seed=config.data.seed,
            channels=tuple(system.channels),
        )
        return comparison, figures

    def _cost(
        self, config: ExperimentConfig, dataset: SolverData, trained: Trained, seconds: Mapping[str, float]
    ) -> CostInputs:
        """Say what samples cost, and offer the solvers that might do as well for less."""
        import jax

        from experiments.evaluation.cost import Candidate
        from experiments.evaluation.snapshot_cost import CostInputs

        settings = config.compare
        key = jax.random.key(settings.seed)
        start_key = jax.random.fold_in(key, 2)
        spin_up = float(dataset.times[0])
        system = self.system(config)
        refine = refiner(system, dataset.dt)
        solvers = Solvers(self.system, config, dataset)
        offered = (self.settings or along_trajectories)(config) if settings.search else ()
        return CostInputs(
            draw=lambda n: trained.draw(key, n).fields,
            draw_without_solver=(lambda n: trained.draw_without_solver(key, n).fields)
            if config.solver_layer.tau > 0
            else None,
            reference=lambda n: refine(initial_fields(system, n, start_key), spin_up),
            candidates=lambda n: [Candidate(asdict(one), partial(solvers.fields, one, n)) for one in offered],
            data_seconds=seconds["data"],
            training_seconds=seconds["training"],
            repeats=settings.repeats,
            evaluations=trained.evaluations,
        )

    def sampler(self, config: ExperimentConfig, dataset: SolverData, trained: Trained) -> Callable[..., Fields]:
        """Draw fields with coordinates, advanced by ``refine`` where asked for."""
        system = self.system(config)
        refine_by = refiner(system, dataset.dt)
        names = AXES[: system.grid.ndim]
        coordinates = dict(zip(names, (np.asarray(x) for x in system.grid.coordinates())))

        def draw(count: int, *, key: Array, refine: float = 0.0) -> Fields:
            values = trained.sample(key, count)
            if refine > 0:
                values = refine_by(values, refine)
            return Fields(
                values,
                ("sample", *names, "channel"),
                coordinates,
                system.channels,
                attrs={
                    "system": system.name,
                    "solver_layer": config.solver_layer.tau,
                    "refine": refine,
                    "step": trained.step,
                },
            )

        return draw
