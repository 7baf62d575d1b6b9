"""What posteriors share, whatever was solved: unknowns, a solver, fields, and noisy observations of these.

    standard normal unknowns -> solver -> fields -> observations

The generator proposes whitened unknowns for given observations, and the solver makes the fields, so that a sample
costs one solver call and obeys the equation exactly. The reference is a long run of tempered sequential Monte Carlo;
its shorter runs, preconditioned Crank-Nicolson, the ensemble smoother and the no-U-turn sampler are the rivals whose
solver calls are counted. Where such runs do not agree with each other there is no reference, and all are judged by
proper scores against the truth.

A subclass says what is unknown, what solves it, and what is seen of the fields (`Posterior` for systems in time on a
line, `SteadyPosterior` for steady flow in a box); specification, problem, comparison and sampler are here.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from experiments.config import ExperimentConfig, SystemConfig
from experiments.errors import UserError
from experiments.export import Fields
from experiments.reporting import Report
from experiments.tasks.posterior_programs import streamed
from experiments.tasks.task import NONE, Data, Task, check_draws
from gan.settings import setting

if TYPE_CHECKING:
    from jax import Array
    from numpy.typing import ArrayLike

    from experiments.evaluation.baselines import Fitted
    from experiments.evaluation.entries import Plain
    from experiments.evaluation.results import Comparison
    from gan.networks.players import SampleSpec
    from gan.training.problem import Problem, Stream
    from gan.training.trained import Trained
    from physics.inference.inverse_problem import InverseProblem

OBSERVED = ("value", "magnitude", "square")
LONG_RUNS, TRUTH = "long_runs", "truth"
APART = ("reference", "streamed")
"""Settings on which a posterior does not depend."""
_SPLITS = {"train": 0, "validation": 1, "test": 2}


@dataclass(frozen=True)
class ObservationConfig(SystemConfig):
    """How fields are observed, and what posteriors are held against."""

    observed: str = setting("magnitude", "what is observed of the field u: u, |u| or u^2", choices=OBSERVED)
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


@dataclass(frozen=True)
class Solver:
    """The inverse problem with one setting of the solver.

    Attributes:
        setting: as the tables show it, in plain values.
        problem: prior, simulation by this solver, and noise.
    """

    setting: Mapping[str, Plain]
    problem: InverseProblem


@dataclass(frozen=True)
class Planned:
    """What is known of an inverse problem before there are data.

    Attributes:
        solvers: the one that makes the data first, then cheaper ones.
        solved: ``unknowns (..., d) -> fields (..., time, *grid, c)``, by the first.
        solves: of the data.
    """

    solvers: tuple[Solver, ...]
    solved: Callable[[np.ndarray], np.ndarray]
    solves: int


@dataclass(frozen=True)
class Posed:
    """The inverse problem of a data set, and what pictures and tables say of it.

    Attributes:
        name: of the system.
        solvers: the one that made the data first, then cheaper ones.
        identity: all that the first problem depends on, in plain values.
        channels: of the fields that are compared.
        extent: lengths of the box.
        coordinates: of the grid along each axis.
        times: of the fields that are compared.
        within: what the test cases were drawn from, in words.
        labels: of the test cases, for the pictures.
        places: where fields are observed, (k,) on a line and (k, axes) in a box, in units of length.
    """

    name: str
    solvers: tuple[Solver, ...]
    identity: Mapping[str, object]
    channels: tuple[str, ...]
    extent: tuple[float, ...]
    coordinates: tuple[np.ndarray, ...]
    times: np.ndarray
    within: str
    labels: tuple[str, ...]
    places: np.ndarray

    @property
    def problem(self) -> InverseProblem:
        """The inverse problem with the solver that made the data."""
        return self.solvers[0].problem


class PosteriorTask(Task[Data]):
    """Unknowns given noisy observations of what a solver makes of them."""

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

    def unread_by(self, config: ExperimentConfig) -> tuple[str, ...]:
        """Long runs and their distances say nothing where the truth alone is the measure."""
        if self.observing(config).reference != TRUTH:
            return self.unread
        left = ("system.particles", "system.moves", "compare.draws", "compare.level", "compare.resolved")
        return (*self.unread, *left)

    def observing(self, config: ExperimentConfig) -> ObservationConfig:
        """Return the section ``system`` as far as all posteriors have it."""
        assert isinstance(config.system, ObservationConfig)
        return config.system

    @abc.abstractmethod
    def sizes(self, config: ExperimentConfig) -> tuple[int, int]:
        """Return the count of the unknowns, and of the observations of one case."""

    @abc.abstractmethod
    def unknowns(self, config: ExperimentConfig, dataset: Data, split: str) -> np.ndarray:
        """Return the true unknowns (n, d) of a split."""

    @abc.abstractmethod
    def exact(self, config: ExperimentConfig, dataset: Data, split: str) -> np.ndarray:
        """Return what is observed of a split without noise, (n, m)."""

    @abc.abstractmethod
    def truths(self, config: ExperimentConfig, dataset: Data, count: int) -> np.ndarray:
        """Return the fields of the first test cases, (count, time, *grid, c)."""

    @abc.abstractmethod
    def solved(self, config: ExperimentConfig, dataset: Data, unknowns: np.ndarray) -> np.ndarray:
        """Return the fields (..., time, *grid, c) of unknowns (..., d), by the solver that made the data."""

    @abc.abstractmethod
    def predicted(self, config: ExperimentConfig, fields: np.ndarray) -> np.ndarray:
        """Return what would be observed without noise (..., m) of fields as ``solved`` returns them."""

    @abc.abstractmethod
    def planned(self, config: ExperimentConfig) -> Planned:
        """Return what is known of the inverse problem before there are data."""

    @abc.abstractmethod
    def posed(self, config: ExperimentConfig, dataset: Data) -> Posed:
        """Return the inverse problem of a data set with what is said of it."""

    @abc.abstractmethod
    def exported(self, config: ExperimentConfig, dataset: Data, unknowns: np.ndarray, step: int) -> Fields:
        """Return the solved fields of unknowns (n, d) for users, with the step of the training."""

    def samples_per_trajectory(self, config: ExperimentConfig) -> int:
        """Unknowns and observations of one trajectory, or of one solution, are one sample."""
        return 1

    def check_comparison(self, config: ExperimentConfig, tests: int, option: str) -> None:
        """Refuse sizes that the comparison could not use.

        Args:
            config: to be checked.
            tests: test cases that there are.
            option: the setting that says how many, without its section.

        Raises:
            UserError: one sentence with the option, its value and the mend.
        """
        from experiments.evaluation.posterior_reference import DISTANCES

        own, settings = self.observing(config), config.compare
        if tests < settings.cases:
            raise UserError(
                f"--compare.cases {settings.cases} needs as many test {option}, but --data.{option} makes "
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

        unknowns, observations = self.sizes(config)
        return SampleSpec((unknowns,), conditions={"observed": (observations,)})

    def problem(self, config: ExperimentConfig, dataset: Data) -> Problem:
        """A sample is a vector of unknowns, its condition what was observed."""
        from gan import Problem

        return Problem(
            train=self.unknowns(config, dataset, "train"),
            condition={"observed": self.observe(config, dataset, "train")},
            validation=self.unknowns(config, dataset, "validation"),
            validation_condition={"observed": self.observe(config, dataset, "validation")},
            stream=self.stream(config, dataset) if self.observing(config).streamed else None,
        )

    def stream(self, config: ExperimentConfig, dataset: Data) -> Stream:
        """Return the function that makes training samples by number, as the stored ones were made."""
        return streamed(self.posed(config, dataset).problem, config.data.seed)

    def observe(self, config: ExperimentConfig, dataset: Data, split: str) -> np.ndarray:
        """Observe every case of a split with noise, (n, m); fixed by the data's seed."""
        seen = self.exact(config, dataset, split)
        rng = np.random.default_rng((config.data.seed, _SPLITS[split]))
        noise = self.observing(config).noise
        return (seen + noise * rng.standard_normal(seen.shape)).astype(np.float32)

    def compare(
        self,
        config: ExperimentConfig,
        dataset: Data,
        trained: Trained,
        seconds: Mapping[str, float],
        report: Report,
        baselines: Mapping[str, Fitted] = NONE,
    ) -> tuple[Comparison, dict[str, np.ndarray]]:
        """Ensembles against long tempered runs and cheaper samplers, or against the truth alone."""
        from experiments.tasks.posterior_comparison import against_long_runs, against_truth

        if self.observing(config).reference == TRUTH:
            return against_truth(self, config, dataset, trained, report, baselines)
        return against_long_runs(self, config, dataset, trained, seconds, report, baselines)

    def sampler(self, config: ExperimentConfig, dataset: Data, trained: Trained) -> Callable[..., Fields]:
        """Draw fields for given observations, or for the test data's.

        The condition is given as ``observed`` (m,), in the order of ``places``; of several times, one after the other.
        """

        def draw(
            count: int, *, key: Array, refine: float = 0.0, observed: ArrayLike | None = None, **given: object
        ) -> Fields:
            if refine:
                raise UserError(f"refine is {refine:g}, but the samples of a posterior go no further: leave it at 0.")
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
            return self.exported(config, dataset, unknowns, trained.step)

        return draw


def function_observed(name: str) -> Callable[[Array], Array]:
    """Return the function of the field that is observed, one of ``OBSERVED``."""
    import jax.numpy as jnp

    found: Callable[[Array], Array] = {"value": lambda u: u, "magnitude": jnp.abs, "square": jnp.square}[name]
    return found
