"""Task ``posterior``: initial field, parameters and trajectory of a system, given noisy observations of later times.

The generator proposes whitened unknowns for given observations, and the solver makes the trajectory, so that a sample
costs one solver call and obeys the equation exactly. Where the magnitude alone is observed the posterior has several
modes. The reference is a long run of tempered sequential Monte Carlo; its shorter runs, preconditioned Crank-Nicolson
and the ensemble smoother are the rivals whose solver calls are counted. Where such runs do not agree with each other
there is no reference, and all are judged by proper scores against the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from experiments.config import ExperimentConfig, SystemConfig
from experiments.errors import UserError
from experiments.export import Fields
from experiments.reporting import Report
from experiments.tasks.posterior_programs import inverse_problem, streamed, trajectories
from experiments.tasks.snapshot import AXES
from experiments.tasks.solver_task import SolverTask, dataset_spec
from experiments.tasks.task import NONE, check_draws
from experiments.tasks.whitening import Unknowns, Whitening
from gan.settings import setting

if TYPE_CHECKING:
    from jax import Array
    from numpy.typing import ArrayLike

    from experiments.evaluation.baselines import Fitted
    from experiments.evaluation.results import Comparison
    from experiments.tasks.solver_task import SolverData
    from gan.networks.players import SampleSpec
    from gan.training.problem import Problem, Stream
    from gan.training.trained import Trained
    from physics.inference.inverse_problem import InverseProblem
    from physics.system import System

OBSERVED = ("value", "magnitude", "square")
LONG_RUNS, TRUTH = "long_runs", "truth"
APART = ("reference", "streamed")
"""Settings on which a posterior does not depend."""
_SPLITS = {"train": 0, "validation": 1, "test": 2}


@dataclass(frozen=True)
class PosteriorConfig(SystemConfig):
    """What is unknown, and what is observed of it."""

    parameter: tuple[float, float] = setting(
        (0.1, 0.5), "range of the system's parameter, log-uniform, where one is unknown", above=0
    )
    waves: int = setting(8, "longest waves of which the initial field consists", minimum=1, maximum=512)
    amplitude: float = setting(1.0, "standard deviation of the initial field", "that of the field", above=0)
    length: float = setting(0.6, "correlation length of the initial field", "length", above=0)
    observed: str = setting("magnitude", "what is observed of the field u: u, |u| or u^2", choices=OBSERVED)
    observations: int = setting(8, "points, evenly spaced, at which it is observed", minimum=1)
    times: tuple[int, ...] = setting((1,), "kept fields that are observed, counted from 0", minimum=0)
    noise: float = setting(0.1, "standard deviation of every observation's error", "that of what is observed", above=0)
    streamed: bool = setting(
        False, "every training sample is made when it is needed and used once; the stored ones fix scales alone"
    )
    reference: str = setting(
        LONG_RUNS,
        "what ensembles are held against: long tempered runs, or the truth alone where such runs do not agree",
        choices=(LONG_RUNS, TRUTH),
    )
    particles: int = setting(1024, "members of the reference's ensembles", minimum=16, maximum=10**6)
    moves: int = setting(40, "moves of the reference at every temperature", minimum=1, maximum=10**5)

    def __post_init__(self) -> None:
        super().__post_init__()
        low, high = self.parameter
        if not low < high:
            raise UserError(f"parameter must be a lower and a higher value, found {low:g},{high:g}.")


@dataclass(frozen=True)
class Posterior(SolverTask):
    """The task for one system on a periodic line, whose initial field and perhaps one parameter are unknown.

    Attributes:
        system: ``(config, parameter, points=None) -> physics.System``; ``(config, points=None)`` without a parameter.
        parameter: name of the unknown parameter in the system; none: the initial field alone is unknown.
        prior: ``config -> Unknowns`` of the initial field, where it is not the sum of waves of the section ``system``;
            then no parameter is unknown.
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
    )

    system: Callable[..., System]
    parameter: str | None = None
    prior: Callable[[ExperimentConfig], Unknowns] | None = None

    def __post_init__(self) -> None:
        if self.parameter and self.prior:
            raise ValueError(f"{self.parameter} cannot be unknown beside a prior of its own: leave one of them out.")

    def unread_by(self, config: ExperimentConfig) -> tuple[str, ...]:
        """A range of parameters says nothing where none is unknown, waves where the prior is another."""
        found = self.unread if self.parameter else (*self.unread, "system.parameter")
        if self.prior:
            found = (*found, "system.waves", "system.amplitude", "system.length")
        if self.own_settings(config).reference == TRUTH:
            found = (*found, "system.particles", "system.moves", "compare.draws", "compare.level", "compare.resolved")
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

    def samples_per_trajectory(self, config: ExperimentConfig) -> int:
        """Unknowns and observations of one trajectory are one sample."""
        return 1

    def check(self, config: ExperimentConfig) -> None:
        """Refuse also what neither the task nor its comparison could use."""
        from experiments.evaluation.posterior_reference import DISTANCES

        super().check(config)
        own, settings = self.own_settings(config), config.compare
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
        if (tests := config.data.trajectories[2]) < settings.cases:
            raise UserError(
                f"--compare.cases {settings.cases} needs as many test trajectories, but --data.trajectories makes "
                f"{tests}: make more, or compare fewer cases."
            )
        if (own.reference == LONG_RUNS and own.particles < 2 * settings.members) or own.particles % 4:
            raise UserError(
                f"--system.particles {own.particles} must be a multiple of 4 and at least twice --compare.members "
                f"{settings.members}: the reference is halved."
            )
        if settings.members < 8 or settings.members % 2:
            raise UserError(f"--compare.members {settings.members} must be an even number of at least 8.")
        if own.reference == LONG_RUNS:
            check_draws(config, tuple(DISTANCES))

    def spec(self, config: ExperimentConfig) -> SampleSpec:
        """Unknowns, conditioned on what is observed."""
        from gan import SampleSpec

        own = self.own_settings(config)
        return SampleSpec(
            (self.whitening(config).dimension,), conditions={"observed": (own.observations * len(own.times),)}
        )

    def data(self, config: ExperimentConfig, report: Report) -> SolverData:
        """Make or find the trajectories, each with its own parameter; their initial fields are kept."""
        from physics import LogUniform, VaryingParameters, generate

        system = self.system_of(config)
        initial = self.whitening(config).prior(system.grid)
        ranges = {self.parameter: LogUniform(*self.own_settings(config).parameter)} if self.parameter else {}
        sampler = VaryingParameters(system, ranges, initial=initial)
        return generate(sampler, dataset_spec(config.data, system, keep_initial=True), progress=report)

    def problem(self, config: ExperimentConfig, dataset: SolverData) -> Problem:
        """A sample is a vector of unknowns, its condition what was observed."""
        from gan import Problem

        return Problem(
            train=self.unknowns(config, dataset, "train"),
            condition={"observed": self.observe(config, dataset, "train")},
            validation=self.unknowns(config, dataset, "validation"),
            validation_condition={"observed": self.observe(config, dataset, "validation")},
            stream=self.stream(config, dataset) if self.own_settings(config).streamed else None,
        )

    def stream(self, config: ExperimentConfig, dataset: SolverData) -> Stream:
        """Return the function that makes training samples by number, as the stored ones were made."""
        return streamed(self.inverse_problem(config, dataset.times), config.data.seed)

    def unknowns(self, config: ExperimentConfig, dataset: SolverData, split: str) -> np.ndarray:
        """Return the true unknowns (n, d) of a split."""
        values = dataset.parameters[split][self.parameter] if self.parameter else None
        return self.whitening(config).unknowns(dataset.initial[split], values)

    def observe(self, config: ExperimentConfig, dataset: SolverData, split: str) -> np.ndarray:
        """Observe every trajectory of a split with noise, (n, m); fixed by the data's seed."""
        fields = np.asarray({"train": dataset.train, "validation": dataset.validation, "test": dataset.test}[split])
        seen = np.asarray(self.seen(config, fields))
        rng = np.random.default_rng((config.data.seed, _SPLITS[split]))
        noise = self.own_settings(config).noise
        return (seen + noise * rng.standard_normal(seen.shape)).astype(np.float32)

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
        return {"value": lambda u: u, "magnitude": jnp.abs, "square": jnp.square}[own.observed](found)

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

    def compare(
        self,
        config: ExperimentConfig,
        dataset: SolverData,
        trained: Trained,
        seconds: Mapping[str, float],
        report: Report,
        baselines: Mapping[str, Fitted] = NONE,
    ) -> tuple[Comparison, dict[str, np.ndarray]]:
        """Ensembles against long tempered runs and cheaper samplers, or against the truth alone."""
        from experiments.tasks.posterior_comparison import against_long_runs, against_truth

        if self.own_settings(config).reference == TRUTH:
            return against_truth(self, config, dataset, trained, report, baselines)
        return against_long_runs(self, config, dataset, trained, seconds, report, baselines)

    def sampler(self, config: ExperimentConfig, dataset: SolverData, trained: Trained) -> Callable[..., Fields]:
        """Draw trajectories for given observations, or for the test data's.

        The condition is given as ``observed`` (m,): one time after the other, the points in order.
        """
        import jax.numpy as jnp

        system = self.system_of(config)
        (x,) = system.grid.coordinates()

        def draw(
            count: int, *, key: Array, refine: float = 0.0, observed: ArrayLike | None = None, **given: object
        ) -> Fields:
            if refine:
                raise UserError(f"refine is {refine:g}, but a posterior is for fixed times: leave it at 0.")
            if given:
                raise UserError(f"{min(given)} is no condition; the only one is observed.")
            tests = self.observe(config, dataset, "test")
            if observed is None:
                seen = tests[np.arange(count) % len(tests)]
            else:
                one = np.asarray(observed, np.float32)
                if one.shape != tests.shape[1:] or not np.isfinite(one).all():
                    raise UserError(f"observed must be {tests.shape[1]} finite numbers, found shape {one.shape}.")
                seen = np.tile(one, (count, 1))
            unknowns = trained.sample(key, count, {"observed": seen})
            values = self.whitening(config).value(jnp.asarray(unknowns))
            drawn = {self.parameter: np.asarray(values)} if self.parameter else {}
            return Fields(
                self.trajectories(config, dataset.times, unknowns),
                ("sample", "time", *AXES[:1], "channel"),
                {"time": np.concatenate([[0.0], dataset.times]), "x": np.asarray(x), **drawn},
                system.channels,
                attrs={"system": system.name, "step": trained.step},
            )

        return draw
