"""Task ``forecast``: later fields of a system from a few noisy observations of a random initial field.

The initial field is Gaussian, so its posterior given point observations with Gaussian noise is known exactly, and
the solver turns draws from it into an ensemble that no forecast can better: the reference. What a conditional
generator is worth shows against that ensemble, inside the range of the parameter it was trained on and outside.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from experiments.config import ExperimentConfig, SystemConfig
from experiments.errors import UserError
from experiments.export import Fields
from experiments.reporting import Report
from experiments.tasks.observations import Observed, condition, observe, sensor_points
from experiments.tasks.physics_terms import LEAST_TIMES, TERMS, PhysicsTerms, weighted
from experiments.tasks.snapshot import AXES
from experiments.tasks.solver_task import SolverTask, solved_trajectories
from experiments.tasks.task import NONE, check_draws
from gan.settings import setting

if TYPE_CHECKING:
    from jax import Array
    from numpy.typing import ArrayLike

    from experiments.evaluation.baselines import Fitted
    from experiments.evaluation.results import Comparison
    from experiments.tasks.gaussian_posterior import GaussianPosterior
    from experiments.tasks.solver_task import SolverData
    from gan.networks.players import SampleSpec
    from gan.training.problem import Problem
    from gan.training.trained import Trained
    from physics.random_fields import GaussianField
    from physics.system import System

ELSEWHERE = 4096
"""Conditions without data at which physics terms are taken."""
TRAJECTORY, INITIAL = GENERATES = ("trajectory", "initial")
"""What the networks make."""
_SPLITS = {"train": 0, "validation": 1, "test": 2}


@dataclass(frozen=True)
class ForecastConfig(SystemConfig):
    """What is observed, and over which parameter range."""

    parameter: tuple[float, float] = setting(
        (0.1, 0.5), "range of the system's parameter in training, log-uniform", above=0
    )
    outside: tuple[float, ...] = setting(
        (0.06, 0.8), "values of the parameter outside that range at which it is tested too", above=0
    )
    observations: int = setting(8, "points at which the initial field is observed", minimum=1)
    sensors: bool = setting(
        False, "the points are the same for all fields, evenly spaced, and not random for every field"
    )
    noise: float = setting(0.1, "standard deviation of the observation error", "that of the field", above=0)
    amplitude: float = setting(1.0, "standard deviation of the initial field", "that of the field", above=0)
    length: float = setting(0.8, "correlation length of the initial field", "length", above=0)
    generates: str = setting(
        TRAJECTORY, "what the networks make: all later fields, or the initial field for the solver", choices=GENERATES
    )
    terms: tuple[str, ...] = setting(
        ("defect",), "physics terms of the generator's loss, see docs/physics_terms.md", choices=TERMS
    )
    weights: tuple[float, ...] = setting((0.2,), "of the terms: one for each, or one for all", above=0)
    ramp: float = setting(0.25, "share of the training over which the weights rise", "share", minimum=0, maximum=1)
    elsewhere: bool = setting(
        False, "the terms are also taken at parameters between the least and the greatest of outside, without data"
    )
    balanced: bool = setting(
        False, "a weight is the norm of the term's gradient as a share of the adversarial gradient's"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        low, high = self.parameter
        if not low < high:
            raise UserError(f"parameter must be a lower and a higher value, found {low:g},{high:g}.")
        if within := [value for value in self.outside if low <= value <= high]:
            raise UserError(f"outside must hold values below {low:g} or above {high:g}, found {within[0]:g}.")
        if len(set(self.terms)) < len(self.terms):
            raise UserError(f"terms names one twice: {', '.join(self.terms)}.")
        if self.terms and len(self.weights) not in (1, len(self.terms)):
            raise UserError(
                f"weights holds {len(self.weights)} numbers for {len(self.terms)} terms: give one, or one each."
            )
        if self.elsewhere and not (self.terms and self.outside):
            raise UserError("elsewhere takes terms at the values of outside: give terms and such values.")
        if self.generates == INITIAL and self.terms:
            raise UserError(
                f"terms {','.join(self.terms)} have no effect where the solver makes the trajectory: give none."
            )


@dataclass(frozen=True)
class Forecast(SolverTask):
    """The task for one system with one parameter, observed in one channel on a line.

    Attributes:
        system: ``(config, parameter, points=None) -> physics.System``.
        parameter: its name in the system.
        defect_steps: solver steps between two output times with which the physics terms are taken.
    """

    unread: ClassVar[tuple[str, ...]] = (
        "solver_layer.tau",
        "solver_layer.steps",
        "solver_layer.start",
        "solver_layer.ramp",
        "solver_layer.bound",
        "compare.fields",
        "compare.tested",
        "compare.refined",
        "compare.relabellings",
        "compare.refine",
        "compare.separations",
        "compare.quantiles",
        "compare.projections",
    )

    system: Callable[..., System]
    parameter: str
    defect_steps: int = 10

    def own_settings(self, config: ExperimentConfig) -> ForecastConfig:
        """Return the section ``system``, which is this task's own."""
        assert isinstance(config.system, ForecastConfig)
        return config.system

    def prior(self, config: ExperimentConfig) -> GaussianField:
        """Return the Gaussian distribution of the initial field: squared-exponential correlation, no mean flow."""
        from physics import GaussianField

        own = self.own_settings(config)

        def spectrum(k: np.ndarray) -> np.ndarray:
            return np.where(k > 0, np.exp(-0.5 * (own.length * k) ** 2), 0.0)

        grid = self.system(config, own.parameter[0]).grid
        return GaussianField(grid, spectrum, std=own.amplitude)

    def samples_per_trajectory(self, config: ExperimentConfig) -> int:
        """A sample is a whole trajectory."""
        return 1

    def drawn_alone(self, config: ExperimentConfig) -> bool:
        """A generated trajectory is a sample; a generated initial field is not yet one."""
        return self.own_settings(config).generates == TRAJECTORY

    def check(self, config: ExperimentConfig) -> None:
        """Refuse also what neither the task nor its comparison could use."""
        from experiments.evaluation.posterior_reference import DISTANCES

        super().check(config)
        own, settings = self.own_settings(config), config.compare
        (size, *more), tests = config.data.points, config.data.trajectories[2]
        if more:
            raise UserError(f"--data.points has {1 + len(more)} axes, and a forecast observes a line: give one.")
        self.system(config, own.parameter[0])
        if own.observations > size:
            raise UserError(
                f"--system.observations {own.observations} is more than the {size} grid points: observe fewer."
            )
        if config.data.snapshots < 2:
            raise UserError("--data.snapshots 1 makes no trajectory: keep at least 2 times.")
        for name in own.terms:
            if config.data.snapshots < (least := LEAST_TIMES.get(name, 2)):
                raise UserError(
                    f"--system.terms {name} needs {least} times, and --data.snapshots keeps {config.data.snapshots}: "
                    "keep more, or leave the term out."
                )
        if tests < settings.cases:
            raise UserError(
                f"--compare.cases {settings.cases} needs as many test trajectories, but --data.trajectories makes "
                f"{tests}: make more, or compare fewer cases."
            )
        check_draws(config, tuple(DISTANCES))

    def spec(self, config: ExperimentConfig) -> SampleSpec:
        """Trajectories, conditioned on what is observed."""
        from gan import SampleSpec

        own = self.own_settings(config)
        system = self.system(config, own.parameter[0])
        unseen = Observed(np.zeros((1, own.observations), int), np.zeros((1, own.observations)), np.ones(1))
        conditions = {name: value.shape[1:] for name, value in self.condition(config, unseen).items()}
        if own.generates == INITIAL:
            return SampleSpec(system.field_shape, conditions=conditions, extent=system.grid.extent)
        shape = (config.data.snapshots, *system.field_shape)
        return SampleSpec(shape, trajectory=True, conditions=conditions, extent=system.grid.extent)

    def penalties(self, config: ExperimentConfig) -> tuple[str, ...]:
        """The chosen physics terms."""
        return self.own_settings(config).terms

    def data(self, config: ExperimentConfig, report: Report) -> SolverData:
        """Make or find the trajectories, each with its own parameter; their initial fields are kept."""
        from physics import LogUniform, VaryingParameters

        own = self.own_settings(config)
        system = self.system(config, own.parameter[0])
        sampler = VaryingParameters(system, {self.parameter: LogUniform(*own.parameter)}, initial=self.prior(config))
        return solved_trajectories(config, sampler, report, keep_initial=True)

    def problem(self, config: ExperimentConfig, dataset: SolverData) -> Problem:
        """The networks make trajectories or initial fields, given observations as a field and log parameter."""
        from gan import Problem

        own = self.own_settings(config)
        train, validation = (self.observe(config, dataset, split) for split in ("train", "validation"))
        trajectory = own.generates == TRAJECTORY
        return Problem(
            train=dataset.train if trajectory else dataset.initial["train"],
            condition=self.condition(config, train),
            validation=dataset.validation if trajectory else dataset.initial["validation"],
            validation_condition=self.condition(config, validation),
            trajectory=trajectory,
            penalties=weighted(self.physics_terms(config, dataset), own.terms, own.weights, own.ramp, own.balanced),
            extent=dataset.grid.extent,
            elsewhere=self.conditions_elsewhere(config, dataset) if own.elsewhere else None,
        )

    def conditions_elsewhere(self, config: ExperimentConfig, dataset: SolverData) -> dict[str, np.ndarray]:
        """Return conditions of further initial fields, at parameters over the whole range that is tested."""
        import jax

        own, seed = self.own_settings(config), config.data.seed
        initial = self.exact_posterior(config, dataset).prior_fields(ELSEWHERE, 1, jax.random.key(seed))[:, 0]
        rng = np.random.default_rng((seed, len(_SPLITS)))
        tested = (*own.parameter, *own.outside)
        parameter = np.exp(rng.uniform(np.log(min(tested)), np.log(max(tested)), ELSEWHERE))
        seen = observe(initial, parameter, own.observations, own.noise, rng, sensors=own.sensors)
        return self.condition(config, seen)

    def observe(self, config: ExperimentConfig, dataset: SolverData, split: str) -> Observed:
        """Observe every initial field of a split, at its own random grid points; fixed by the data's seed."""
        own = self.own_settings(config)
        rng = np.random.default_rng((config.data.seed, _SPLITS[split]))
        parameter = dataset.parameters[split][self.parameter]
        return observe(dataset.initial[split], parameter, own.observations, own.noise, rng, sensors=own.sensors)

    def condition(self, config: ExperimentConfig, cases: Observed) -> dict[str, np.ndarray]:
        """Return what the networks see: values on the grid with a mask of where there are any, log parameter."""
        return condition(cases, config.data.points[0], self.parameter)

    def compare(
        self,
        config: ExperimentConfig,
        dataset: SolverData,
        trained: Trained,
        seconds: Mapping[str, float],
        report: Report,
        baselines: Mapping[str, Fitted] = NONE,
    ) -> tuple[Comparison, dict[str, np.ndarray]]:
        """Ensembles against the exact posterior: inside the parameter's range, and at each value outside."""
        from experiments.tasks.forecast_comparison import against_exact

        return against_exact(self, config, dataset, trained, seconds, report, baselines)

    def sampler(self, config: ExperimentConfig, dataset: SolverData, trained: Trained) -> Callable[..., Fields]:
        """Draw trajectories for given observations, or for the test data's.

        The condition is given as ``points`` (k,) in units of length, ``values`` (k,) and the parameter by name.
        """
        system = self.system(config, self.own_settings(config).parameter[0])
        (x,) = system.grid.coordinates()
        own = self.own_settings(config)
        posterior = self.exact_posterior(config, dataset) if own.generates == INITIAL else None

        def draw(
            count: int,
            *,
            key: Array,
            refine: float = 0.0,
            points: ArrayLike | None = None,
            values: ArrayLike | None = None,
            **given: float | int,
        ) -> Fields:
            if refine:
                raise UserError(f"refine is {refine:g}, but a forecast is for fixed times: leave it at 0.")
            if unknown := set(given) - {self.parameter}:
                raise UserError(f"{min(unknown)} is no condition; a condition is points, values and {self.parameter}.")
            if len({points is None, values is None, self.parameter not in given}) > 1:
                raise UserError(f"a condition is points, values and {self.parameter}: give all of them or none.")
            if points is None:
                cases = self.observe(config, dataset, "test")
                chosen = np.arange(count) % len(cases.parameter)
                cases = Observed(*(part[chosen] for part in cases))
            else:
                places, seen = np.asarray(points), np.asarray(values)
                if places.ndim != 1 or places.shape != seen.shape:
                    raise UserError(
                        f"points and values must be two lists of one length, found shapes {places.shape} and "
                        f"{seen.shape}."
                    )
                if not 0 < float(given[self.parameter]) < float("inf"):
                    raise UserError(f"{self.parameter} must be positive, found {given[self.parameter]}.")
                index = np.rint(places / system.grid.spacing[0]).astype(int) % len(x)
                known = sensor_points(len(x), own.observations)
                if own.sensors and not np.array_equal(index, known):
                    at = ", ".join(f"{one:.4g}" for one in np.asarray(x)[known])
                    raise UserError(f"points must be those of the sensors, in this order: {at}.")
                parameter = np.full(count, float(given[self.parameter]))
                cases = Observed(np.tile(index, (count, 1)), np.tile(seen, (count, 1)), parameter)
            fields = trained.sample(key, count, self.condition(config, cases))
            if posterior is not None:
                fields = posterior.solve(fields[:, None], cases.parameter)[:, 0]
            return Fields(
                fields,
                ("sample", "time", *AXES[:1], "channel"),
                {"time": dataset.times, "x": np.asarray(x), self.parameter: cases.parameter},
                system.channels,
                attrs={"system": system.name, "step": trained.step},
            )

        return draw

    def exact_posterior(self, config: ExperimentConfig, dataset: SolverData) -> GaussianPosterior:
        """The exact posterior of the initial field, and the solver of the data."""
        from experiments.tasks.gaussian_posterior import GaussianPosterior

        noise = self.own_settings(config).noise
        return GaussianPosterior(partial(self.system, config), self.prior(config), noise, dataset.times, dataset.dt)

    def physics_terms(self, config: ExperimentConfig, dataset: SolverData) -> PhysicsTerms:
        """The physics terms of the system, with longer solver steps than the data's."""
        return PhysicsTerms(
            partial(self.system, config),
            self.parameter,
            np.asarray(dataset.train[:4096]),
            float(np.diff(dataset.times)[0]),
            self.defect_steps,
            config.solver_layer.limit,
        )
