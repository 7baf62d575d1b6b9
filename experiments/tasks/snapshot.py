"""Task ``snapshot``: draw single fields from a system's invariant measure.

The data are fields of independent trajectories after the spin-up, a sample is ``Phi_tau(G(z))``, and the comparison
asks whether a set of samples can be distinguished from a set of solver fields. Parameters of the system may vary: every
trajectory then has its own, they are the generator's condition, and the comparison is of fields and parameters jointly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from experiments.config import ExperimentConfig
from experiments.errors import UserError
from experiments.evaluation.varying import joined, parted
from experiments.export import Fields
from experiments.reporting import Report
from experiments.tasks.advance import condition_name, evolution, initial_fields, refiner, solver_layer
from experiments.tasks.equation import comparison_sizes, equation, homogeneous
from experiments.tasks.solver_task import SolverTask, solved_trajectories
from experiments.tasks.solvers import Solvers, SolverSetting, along_trajectories
from experiments.tasks.task import NONE, check_draws
from experiments.tasks.varying import Varying

if TYPE_CHECKING:
    from jax import Array
    from numpy.typing import ArrayLike

    from experiments.evaluation.baselines import Fitted, Sample
    from experiments.evaluation.results import Comparison, Section
    from experiments.evaluation.snapshot_cost import CostInputs
    from experiments.tasks.solver_task import SolverData
    from gan.networks.players import SampleSpec
    from gan.training.problem import Problem
    from gan.training.trained import Trained
    from physics.system import System

AXES = ("x", "y", "z")
_OUTSIDE = 16
"""First of the random streams of the regions outside the range of training."""


@dataclass(frozen=True)
class Snapshot(SolverTask):
    """The task for one system.

    Attributes:
        system: ``(config, points=None) -> physics.System`` on the configured grid, or on a coarser or finer one.
        settings: ``config -> settings`` of the solvers among which the cheapest that does as well is searched; see
            `SolverSetting` for what they say. `along_trajectories`, which any system has, where left out.
        varying: names of positive parameters of the system. The section ``system`` has a setting of each name, the
            lowest and the highest value (``--system.viscosity 0.04,0.08``), between which it is log-uniform.
    """

    unread: ClassVar[tuple[str, ...]] = ("compare.members", "compare.cases", "compare.resamples")

    system: Callable[..., System]
    settings: Callable[[ExperimentConfig], Sequence[SolverSetting]] | None = None
    varying: tuple[str, ...] = ()

    def parameters(self, config: ExperimentConfig) -> Varying:
        """Return the parameters that vary, with their ranges."""
        return Varying.of(config, self.varying)

    def samples_per_trajectory(self, config: ExperimentConfig) -> int:
        """Every kept field."""
        return config.data.snapshots

    def drawn_alone(self, config: ExperimentConfig) -> bool:
        """A sample is a field of generator and solver layer."""
        return True

    def check(self, config: ExperimentConfig) -> None:
        """Refuse also what the comparison could not use."""
        from experiments.evaluation.distances import distance_names
        from experiments.evaluation.snapshot_baselines import RESERVED
        from physics import StochasticSystem

        super().check(config)
        self.parameters(config)
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
        needed = max(settings.tested, settings.refined) + 2 * (RESERVED if self.varying else 1) * settings.refined
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
        """Single fields, conditioned on the logarithms of the parameters that vary."""
        from gan import SampleSpec

        system = self.system(config)
        conditions = {condition_name(name): (1,) for name in self.varying}
        return SampleSpec(system.field_shape, conditions=conditions, extent=system.grid.extent)

    def data(self, config: ExperimentConfig, report: Report) -> SolverData:
        """Make or find the trajectories, each with its own parameters where these vary."""
        return solved_trajectories(config, self.parameters(config).sampler(self.system(config)), report)

    def problem(self, config: ExperimentConfig, dataset: SolverData) -> Problem:
        """Every kept field is a training sample; shifts and reflections are the system's own."""
        from gan import Problem

        system, varying = self.system(config), self.parameters(config)
        shape, known = system.field_shape, dataset.parameters
        layer = solver_layer(system, config.solver_layer.steps, varying.names)
        return Problem(
            train=dataset.train.reshape(-1, *shape),
            condition=varying.condition(varying.logarithms(known, "train", dataset.train.shape[1])),
            validation_condition=varying.condition(varying.logarithms(known, "validation")),
            # One field per held-out trajectory: the validation metric wants independent ones.
            validation=dataset.validation[:, 0],
            symmetries=system.symmetries,
            solver_layer=layer if config.solver_layer.tau > 0 else None,
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

        system, settings, varying = self.system(config), config.compare, self.parameters(config)
        sizes, key = comparison_sizes(settings), jax.random.key(settings.seed)
        # Refused samples are part of the outcome; a few more are drawn so that enough others remain.
        count = sizes.drawn + sizes.drawn // 8
        asked = varying.draw(count, settings.seed)
        fields, valid = trained.draw(key, count, varying.condition(asked))
        samples = joined(np.where(valid.reshape(-1, *[1] * (fields.ndim - 1)), fields, np.nan), asked)
        refine = refiner(system, dataset.dt, parameters=varying.names)

        def draw(sample: Sample, n: int) -> np.ndarray:
            given = varying.condition(asked[:n])
            return joined(sample(key, n) if given is None else sample(key, n, given), asked[:n])

        pool = np.asarray(dataset.test[:, 0])
        if varying.names:
            pool = joined(pool, varying.logarithms(dataset.parameters, "test"))
        sections, figures = compare_snapshot(
            samples,
            pool,
            varying.training(dataset, system.field_shape),
            equation(system, refine, varying.names),
            trained_on=config.data.trajectories[0],
            layer_time=config.solver_layer.tau,
            sizes=sizes,
            times=settings.refine,
            cost=self._cost(config, dataset, trained, seconds),
            evolve=lambda start: evolution(refine, start, system),
            draw=draw,
            baselines=baselines,
            progress=report,
        )
        sections += self._outside(config, dataset, trained, report)
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

    def _outside(
        self, config: ExperimentConfig, dataset: SolverData, trained: Trained, report: Report
    ) -> tuple[Section, ...]:
        """Compare samples with solver fields at each value outside of the range of its parameter."""
        import jax

        from experiments.evaluation.outside import region
        from experiments.evaluation.results import Regions

        system, settings, varying = self.system(config), config.compare, self.parameters(config)
        if not varying.outside:
            return ()
        sizes, key, found = comparison_sizes(settings), jax.random.key(settings.seed), {}
        refine = refiner(system, dataset.dt, parameters=varying.names)
        known = equation(system, refine, varying.names)
        for number, (name, value) in enumerate(varying.outside):
            report(number, len(varying.outside), f"solver fields at {name} {value:g}")
            asked, others = (
                varying.draw(settings.refined, settings.seed + _OUTSIDE + 2 * number + i, (name, value)) for i in (0, 1)
            )
            start = initial_fields(
                system, settings.refined, jax.random.fold_in(key, _OUTSIDE + number), varying.names, others
            )
            fields, valid = trained.draw(key, settings.refined, varying.condition(asked))
            samples = joined(np.where(valid.reshape(-1, *[1] * (fields.ndim - 1)), fields, np.nan), asked)
            found[f"{name} {value:g}"] = region(samples, refine(start, float(dataset.times[0])), known, sizes)
        return (Regions(varying.within, found),)

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
        system, varying = self.system(config), self.parameters(config)
        refine = refiner(system, dataset.dt, parameters=varying.names)
        solvers = Solvers(self.system, config, dataset, varying)

        def asked(n: int) -> np.ndarray:
            return varying.draw(n, settings.seed)

        def candidate(one: SolverSetting, n: int) -> Candidate:
            further = solvers.further(one)
            again = None if further is None else partial(further, n)
            return Candidate(asdict(one), partial(solvers.fields, one, n), again)

        offered = (self.settings or along_trajectories)(config) if settings.search else ()
        return CostInputs(
            draw=lambda n: joined(trained.draw(key, n, varying.condition(asked(n))).fields, asked(n)),
            draw_without_solver=(lambda n: trained.draw_without_solver(key, n, varying.condition(asked(n))).fields)
            if config.solver_layer.tau > 0
            else None,
            reference=lambda n: refine(initial_fields(system, n, start_key, varying.names, asked(n)), spin_up),
            candidates=lambda n: [candidate(one, n) for one in offered],
            data_seconds=seconds["data"],
            training_seconds=seconds["training"],
            repeats=settings.repeats,
            evaluations=trained.evaluations,
            # No more than are compared: each takes a spin-up.
            reference_count=min(CostInputs.reference_count, 2 * settings.refined),
        )

    def sampler(self, config: ExperimentConfig, dataset: SolverData, trained: Trained) -> Callable[..., Fields]:
        """Draw fields with coordinates, advanced by ``refine`` where asked for.

        Parameters that vary are given by name, one value for all fields or one for each; those that are not given are
        drawn from their ranges.
        """
        system, varying = self.system(config), self.parameters(config)
        refine_by = refiner(system, dataset.dt, parameters=varying.names)
        names = AXES[: system.grid.ndim]
        coordinates = dict(zip(names, (np.asarray(x) for x in system.grid.coordinates())))

        def draw(count: int, *, key: Array, refine: float = 0.0, **given: ArrayLike) -> Fields:
            logarithms = varying.asked(count, key, given)
            values = trained.sample(key, count, varying.condition(logarithms))
            if refine > 0:
                values, _ = parted(refine_by(joined(values, logarithms), refine), len(varying.names))
            return Fields(
                values,
                ("sample", *names, "channel"),
                {**coordinates, **{name: np.exp(logarithms[:, i]) for i, name in enumerate(varying.names)}},
                system.channels,
                attrs={
                    "system": system.name,
                    "solver_layer": config.solver_layer.tau,
                    "refine": refine,
                    "step": trained.step,
                },
            )

        return draw
