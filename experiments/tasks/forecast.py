"""Task ``forecast``: later fields of a system from a few noisy observations of a random initial field.

The initial field is Gaussian, so its posterior given point observations with Gaussian noise is known exactly, and
the solver turns draws from it into an ensemble that no forecast can better: the reference. What a conditional
generator is worth shows against that ensemble, inside the range of the parameter it was trained on and outside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from experiments.config import ExperimentConfig, SystemConfig
from experiments.errors import UserError
from experiments.export import Fields
from experiments.reporting import Report
from experiments.tasks.observations import Observed, condition, observe
from experiments.tasks.snapshot import AXES
from experiments.tasks.solver_task import SolverTask, dataset_spec
from experiments.tasks.task import NONE, check_draws
from gan.settings import setting

if TYPE_CHECKING:
    from jax import Array
    from numpy.typing import ArrayLike

    from experiments.evaluation.baselines import Fitted
    from experiments.evaluation.results import Comparison
    from experiments.tasks.solver_task import SolverData
    from gan.networks.players import SampleSpec
    from gan.training.problem import Problem
    from gan.training.trained import Trained
    from physics.random_fields import GaussianField
    from physics.system import System

_OUTSIDE = 16
"""First of the random streams of the cases outside the range, apart from those of posterior and search."""
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
    noise: float = setting(0.1, "standard deviation of the observation error", "that of the field", above=0)
    amplitude: float = setting(1.0, "standard deviation of the initial field", "that of the field", above=0)
    length: float = setting(0.8, "correlation length of the initial field", "length", above=0)
    defect_weight: float = setting(
        0.02, "weight of the mean squared defect of generated trajectories (0: none)", minimum=0
    )
    defect_ramp: float = setting(0.25, "share of the training over which that weight rises", minimum=0, maximum=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        low, high = self.parameter
        if not low < high:
            raise UserError(f"parameter must be a lower and a higher value, found {low:g},{high:g}.")
        if within := [value for value in self.outside if low <= value <= high]:
            raise UserError(f"outside must hold values below {low:g} or above {high:g}, found {within[0]:g}.")


@dataclass(frozen=True)
class Forecast(SolverTask):
    """The task for one system with one parameter, observed in one channel on a line.

    Attributes:
        system: ``(config, parameter, points=None) -> physics.System``.
        parameter: its name in the system.
        defect_steps: solver steps between two output times with which the penalty's defect is taken.
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
        shape = (config.data.snapshots, *system.field_shape)
        return SampleSpec(shape, trajectory=True, conditions=conditions, extent=system.grid.extent)

    def penalties(self, config: ExperimentConfig) -> tuple[str, ...]:
        """The mean squared defect, unless its weight is 0."""
        return ("defect",) if self.own_settings(config).defect_weight > 0 else ()

    def data(self, config: ExperimentConfig, report: Report) -> SolverData:
        """Make or find the trajectories, each with its own parameter; their initial fields are kept."""
        from physics import LogUniform, VaryingParameters, generate

        own = self.own_settings(config)
        system = self.system(config, own.parameter[0])
        sampler = VaryingParameters(system, {self.parameter: LogUniform(*own.parameter)}, initial=self.prior(config))
        return generate(sampler, dataset_spec(config.data, system, keep_initial=True), progress=report)

    def problem(self, config: ExperimentConfig, dataset: SolverData) -> Problem:
        """A sample is a trajectory, its condition the observations as a field and the parameter's logarithm."""
        from gan import LinearRamp, Penalty, Problem

        own = self.own_settings(config)
        penalties = {
            name: Penalty(self._defect_penalty(config, dataset), own.defect_weight, LinearRamp(0.0, own.defect_ramp))
            for name in self.penalties(config)
        }
        train, validation = (self.observe(config, dataset, split) for split in ("train", "validation"))
        return Problem(
            train=dataset.train,
            condition=self.condition(config, train),
            validation=dataset.validation,
            validation_condition=self.condition(config, validation),
            trajectory=True,
            penalties=penalties,
            extent=dataset.grid.extent,
        )

    def observe(self, config: ExperimentConfig, dataset: SolverData, split: str) -> Observed:
        """Observe every initial field of a split, at its own random grid points; fixed by the data's seed."""
        own = self.own_settings(config)
        rng = np.random.default_rng((config.data.seed, _SPLITS[split]))
        parameter = dataset.parameters[split][self.parameter]
        return observe(dataset.initial[split], parameter, own.observations, own.noise, rng)

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
        import jax

        from experiments.evaluation.forecast import Cases, Rival, Spent, compare_forecast
        from experiments.evaluation.posterior_reference import PosteriorSizes
        from experiments.evaluation.results import Comparison
        from experiments.evaluation.verdict import verdict
        from experiments.tasks.gaussian_posterior import GaussianPosterior

        settings, own = config.compare, self.own_settings(config)
        system, prior = self.system(config, own.parameter[0]), self.prior(config)
        key, members = jax.random.key(settings.seed), settings.members
        posterior = GaussianPosterior(partial(self.system, config), prior, own.noise, dataset.times, dataset.dt)

        def known(label: str, seen: Observed, truths: np.ndarray) -> Cases:
            conditions = self.condition(config, seen)

            def draw(sample: Callable[..., np.ndarray], count: int) -> np.ndarray:
                given = {name: np.repeat(value[:count], members, axis=0) for name, value in conditions.items()}
                fields = sample(key, count * members, given)
                return fields.reshape(count, members, *fields.shape[1:])

            initial = posterior.draw(seen, 2 * members, jax.random.fold_in(key, 1))
            meaning = "root mean square of the defect by the solver and step that made the data, a mean over members"
            defects = (meaning, "field / time", lambda ensembles: posterior.defects(ensembles, seen.parameter))
            return Cases(
                label,
                truths,
                posterior.solve(initial, seen.parameter),
                draw,
                {"defect": defects},
                posterior.x[seen.points],
                seen.values,
                tuple(f"{self.parameter} {value:.3g}" for value in seen.parameter),
            )

        def outside() -> Iterator[Cases]:
            for number, value in enumerate(own.outside, start=_OUTSIDE):
                initial = posterior.prior_fields(settings.cases, 1, jax.random.fold_in(key, number))
                rng = np.random.default_rng((settings.seed, number))
                parameter = np.full(settings.cases, value)
                seen = observe(initial[:, 0], parameter, own.observations, own.noise, rng)
                yield known(f"{self.parameter} {value:g}", seen, posterior.solve(initial, parameter)[:, 0])

        tests = self.observe(config, dataset, "test").first(settings.cases)

        def climatology(count: int) -> np.ndarray:
            chosen = np.random.default_rng((settings.seed, 3)).integers(len(dataset.train), size=(count, members))
            return np.asarray(dataset.train)[chosen]

        def unconditioned(count: int) -> np.ndarray:
            initial = posterior.prior_fields(count, members, jax.random.fold_in(key, 4))
            return posterior.solve(initial, tests.parameter[:count])

        inside = known("inside", tests, np.asarray(dataset.test[: settings.cases]))
        sections, figures = compare_forecast(
            inside,
            outside(),
            trained.sample,
            within="{} {:g} to {:g}".format(self.parameter, *own.parameter),
            times=dataset.times,
            extent=system.grid.extent,
            sizes=PosteriorSizes(settings.draws, settings.resamples, settings.level, settings.resolved, settings.seed),
            rivals={
                "climatology": Rival("training trajectories drawn at random, whatever was observed", climatology),
                "prior": Rival(
                    f"the solver from initial fields drawn whatever was observed, with the case's own {self.parameter}",
                    unconditioned,
                    timed=True,
                ),
            },
            fitted=baselines,
            candidates=lambda count: posterior.candidates(tests.first(count), members, jax.random.fold_in(key, 2))[
                : None if settings.search else 1
            ],
            repeats=settings.repeats,
            spent=Spent(seconds["data"], seconds["training"]),
            progress=report,
            evaluations=trained.evaluations,
        )
        title = f"{system.name}: forecasts against the exact posterior"
        return Comparison(title, verdict(sections), members, sections, channels=tuple(system.channels)), figures

    def sampler(self, config: ExperimentConfig, dataset: SolverData, trained: Trained) -> Callable[..., Fields]:
        """Draw trajectories for given observations, or for the test data's.

        The condition is given as ``points`` (k,) in units of length, ``values`` (k,) and the parameter by name.
        """
        system = self.system(config, self.own_settings(config).parameter[0])
        (x,) = system.grid.coordinates()

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
                parameter = np.full(count, float(given[self.parameter]))
                cases = Observed(np.tile(index, (count, 1)), np.tile(seen, (count, 1)), parameter)
            fields = trained.sample(key, count, self.condition(config, cases))
            return Fields(
                fields,
                ("sample", "time", *AXES[:1], "channel"),
                {"time": dataset.times, "x": np.asarray(x), self.parameter: cases.parameter},
                system.channels,
                attrs={"system": system.name, "step": trained.step},
            )

        return draw

    def _defect_penalty(
        self, config: ExperimentConfig, dataset: SolverData
    ) -> Callable[[Array, Mapping[str, Array]], Array]:
        """Mean squared mismatch per time between a generated field and the solver's step from the one before.

        An untrained generator's fields can blow up in that step: beyond the mismatch of a field at
        ``solver_layer.limit`` standard deviations they count as zero.
        """
        import jax
        import jax.numpy as jnp

        from gan import guarded_penalty
        from physics import defect

        interval = float(np.diff(dataset.times)[0])
        dt = interval / self.defect_steps
        limit = (config.solver_layer.limit * float(np.std(dataset.train[:1024])) / interval) ** 2

        def one(before: Array, after: Array, parameter: Array) -> Array:
            system = self.system(config, parameter)
            return defect(system, before, after, dt, steps=self.defect_steps)

        along = jax.vmap(one, in_axes=(0, 0, None))

        def penalty(samples: Array, condition: Mapping[str, Array]) -> Array:
            parameter = jnp.exp(condition[f"log_{self.parameter}"][:, 0])
            mismatch = jax.vmap(along)(samples[:, :-1], samples[:, 1:], parameter)
            return jnp.mean(mismatch**2, axis=tuple(range(1, mismatch.ndim)))

        return guarded_penalty(penalty, limit)
