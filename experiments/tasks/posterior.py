"""Task ``posterior``: initial field, parameters and trajectory of a system, given noisy observations of later times.

The generator proposes whitened unknowns for given observations, and the solver makes the trajectory, so that a sample
costs one solver call and obeys the equation exactly. Where the magnitude alone is observed the posterior has several
modes. The reference is a long run of tempered sequential Monte Carlo; its shorter runs, preconditioned Crank-Nicolson
and the ensemble smoother are the rivals whose solver calls are counted. Where such runs do not agree with each other
there is no reference, and all are judged by proper scores against the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from experiments.config import ExperimentConfig, SystemConfig
from experiments.errors import UserError
from experiments.export import Fields
from experiments.reporting import Report
from experiments.tasks.posterior_samplers import RIVALS, TRUTH_RIVALS, Sampler, long_runs, tempered
from experiments.tasks.snapshot import AXES
from experiments.tasks.solver_task import SolverTask, dataset_spec
from experiments.tasks.task import NONE, check_draws
from experiments.tasks.whitening import Unknowns, Whitening
from gan.config import FLOW_MATCHING
from gan.settings import setting

if TYPE_CHECKING:
    from jax import Array
    from numpy.typing import ArrayLike

    from experiments.evaluation.baselines import Fitted
    from experiments.evaluation.cost import Candidate
    from experiments.evaluation.results import Comparison, ImportanceWeights
    from experiments.tasks.solver_task import SolverData
    from gan.networks.players import SampleSpec
    from gan.training.problem import Problem
    from gan.training.trained import Trained
    from physics.inference.inverse_problem import InverseProblem
    from physics.system import System

OBSERVED = ("value", "magnitude", "square")
LONG_RUNS, TRUTH = "long_runs", "truth"
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
        )

    def unknowns(self, config: ExperimentConfig, dataset: SolverData, split: str) -> np.ndarray:
        """Return the true unknowns (n, d) of a split."""
        values = dataset.parameters[split][self.parameter] if self.parameter else None
        return self.whitening(config).unknowns(dataset.initial[split], values)

    def observe(self, config: ExperimentConfig, dataset: SolverData, split: str) -> np.ndarray:
        """Observe every trajectory of a split with noise, (n, m); fixed by the data's seed."""
        fields = np.asarray({"train": dataset.train, "validation": dataset.validation, "test": dataset.test}[split])
        seen = np.asarray(self._seen(config, fields))
        rng = np.random.default_rng((config.data.seed, _SPLITS[split]))
        noise = self.own_settings(config).noise
        return (seen + noise * rng.standard_normal(seen.shape)).astype(np.float32)

    def _places(self, config: ExperimentConfig) -> np.ndarray:
        """Return the grid points that are observed."""
        (size,) = config.data.points
        return np.arange(self.own_settings(config).observations) * size // self.own_settings(config).observations

    def _seen(self, config: ExperimentConfig, fields: ArrayLike) -> Array:
        """Return what is observed of trajectories (..., time, size, 1) without noise, (..., m)."""
        import jax.numpy as jnp

        own = self.own_settings(config)
        found = jnp.asarray(fields)[..., 0][..., np.array(own.times), :][..., self._places(config)]
        found = found.reshape((*found.shape[:-2], -1))
        return {"value": lambda u: u, "magnitude": jnp.abs, "square": jnp.square}[own.observed](found)

    def inverse_problem(
        self, config: ExperimentConfig, times: np.ndarray, *, coarsening: int = 1, order: int = 4
    ) -> InverseProblem:
        """Return the problem with the solver that made the data, or with longer steps and another order."""
        return _inverse_problem(self, config, tuple(float(one) for one in times), coarsening, order)

    def _identity(self, config: ExperimentConfig, times: np.ndarray) -> dict[str, object]:
        """Return all that the inverse problem depends on, in plain values."""
        from physics.data.description import describe

        return {
            "system": describe(self.system_of(config)),
            "unknown": describe(self.whitening(config)),
            "settings": {name: one for name, one in asdict(self.own_settings(config)).items() if name != "reference"},
            "times": [float(one) for one in times],
            "dt": config.data.dt,
        }

    def trajectories(self, config: ExperimentConfig, times: np.ndarray, unknowns: np.ndarray) -> np.ndarray:
        """Return (..., time, size, 1) of unknowns (..., d): the initial fields, then the kept ones."""
        return _trajectories(self, config, tuple(float(one) for one in times), np.asarray(unknowns, np.float32))

    def compare(
        self,
        config: ExperimentConfig,
        dataset: SolverData,
        trained: Trained,
        seconds: Mapping[str, float],
        report: Report,
        baselines: Mapping[str, Fitted] = NONE,
    ) -> tuple[Comparison, dict[str, np.ndarray]]:
        """Ensembles against a long tempered run, beside the samplers that reach as much with fewer solver calls."""
        if self.own_settings(config).reference == TRUTH:
            return self._against_truth(config, dataset, trained, report, baselines)

        import jax

        from experiments.evaluation.forecast import Cases, Rival, Spent, compare_forecast
        from experiments.evaluation.posterior_reference import PosteriorSizes
        from experiments.evaluation.results import Comparison
        from experiments.evaluation.verdict import verdict

        settings, own = config.compare, self.own_settings(config)
        system = self.system_of(config)
        key, members, count = jax.random.key(settings.seed), settings.members, settings.cases
        observed = self.observe(config, dataset, "test")[:count]
        solved = partial(self.trajectories, config, dataset.times)
        truths = np.concatenate([dataset.initial["test"][:count, None], dataset.test[:count]], axis=1)
        runs = long_runs(
            self.inverse_problem(config, dataset.times),
            observed,
            own.particles // 2,
            moves=own.moves,
            seed=settings.seed + 1,
            identity=self._identity(config, dataset.times),
            say=report,
        )
        # Of either run as many members as the generator draws, evenly spaced.
        chosen = np.linspace(0, own.particles // 2 - 1, members).astype(int)
        reference = runs.unknowns[:, np.concatenate([chosen, own.particles // 2 + chosen])]

        def draw(sample: Callable[..., np.ndarray], count: int) -> np.ndarray:
            unknowns = sample(key, count * members, {"observed": np.repeat(observed[:count], members, axis=0)})
            return solved(unknowns.reshape(count, members, -1))

        def misfit(ensembles: np.ndarray) -> np.ndarray:
            apart = np.asarray(self._seen(config, ensembles[:, :, 1:])) - observed[: len(ensembles), None]
            return np.sqrt((apart**2).mean(axis=-1)) / own.noise

        meaning = "root mean square of observed minus simulated over the noise, a mean over members"
        shown = np.tile(self._places(config) * float(system.grid.spacing[0]), (count, 1))
        inside = Cases(
            "inside",
            truths,
            solved(reference),
            draw,
            {"misfit": (meaning, "", misfit)},
            shown,
            # In the pictures of the initial field there is nothing to mark: later fields were observed.
            np.empty((count, 0)),
            tuple(
                f"{self.parameter} {dataset.parameters['test'][self.parameter][one]:.3g}"
                if self.parameter
                else f"case {one + 1}"
                for one in range(count)
            ),
        )

        def climatology(count: int) -> np.ndarray:
            stored = self.unknowns(config, dataset, "train")
            chosen = np.random.default_rng((settings.seed, 3)).integers(len(stored), size=(count, members))
            return solved(stored[chosen])

        rivals = {"prior": Rival("the solver from unknowns of the training data, whatever was observed", climatology)}
        weighed: tuple[ImportanceWeights, ...] = ()
        if config.game.objective == FLOW_MATCHING:
            propose = partial(self._weighed, config, dataset.times, trained)
            report(0, 1, "importance weights of the generator's samples")
            weighed = (propose(observed)[1],)
            rivals["weighted"] = Rival(
                f"the generator's samples, {PROPOSALS} for each member, resampled by their importance weights",
                lambda count: solved(propose(observed[:count])[0]),
            )

        sections, figures = compare_forecast(
            inside,
            (),
            trained.sample,
            within="{} {:g} to {:g}".format(self.parameter, *own.parameter) if self.parameter else "test trajectories",
            times=np.concatenate([[0.0], dataset.times]),
            extent=system.grid.extent,
            sizes=PosteriorSizes(settings.draws, settings.resamples, settings.level, settings.resolved, settings.seed),
            rivals=rivals,
            fitted=baselines,
            candidates=lambda count: self._candidates(config, dataset.times, observed[:count]),
            repeats=settings.repeats,
            spent=Spent(seconds["data"], seconds["training"]),
            progress=report,
            evaluations=trained.evaluations,
            members_shown=MEMBERS_SHOWN,
            reference_name=(
                f"a long tempered run (two runs agree to a potential scale reduction of "
                f"{np.median(runs.agreement):.3f}, at most {runs.agreement.max():.3f})"
            ),
        )
        sections = (*sections, *weighed)
        title = f"{system.name}: posteriors against long tempered runs"
        return Comparison(title, verdict(sections), members, sections, channels=tuple(system.channels)), figures

    def _against_truth(
        self,
        config: ExperimentConfig,
        dataset: SolverData,
        trained: Trained,
        report: Report,
        baselines: Mapping[str, Fitted],
    ) -> tuple[Comparison, dict[str, np.ndarray]]:
        """Ensembles against the truth alone, beside those of samplers that need no training."""
        import jax

        from experiments.evaluation.results import Comparison, Section
        from experiments.evaluation.truth_only import Ensembles, compare_with_truth
        from experiments.evaluation.verdict import verdict

        settings, times = config.compare, dataset.times
        members, count = settings.members, settings.cases
        observed = self.observe(config, dataset, "test")[:count]
        truths = np.concatenate([dataset.initial["test"][:count, None], dataset.test[:count]], axis=1)
        solved, keys = partial(self.trajectories, config, times), jax.random.split(jax.random.key(settings.seed))
        problem, stored = self.inverse_problem(config, times), self.unknowns(config, dataset, "train")

        def learned(sample: Callable[..., np.ndarray]) -> np.ndarray:
            unknowns = sample(keys[0], count * members, {"observed": np.repeat(observed, members, axis=0)})
            return solved(unknowns.reshape(count, members, -1))

        def prior() -> np.ndarray:
            chosen = np.random.default_rng((settings.seed, 3)).integers(len(stored), size=(count, members))
            return solved(stored[chosen])

        def sampled(rival: Sampler) -> np.ndarray:
            parts = [
                rival.draw(problem, observed[first : first + CASES], members, jax.random.fold_in(keys[1], first))
                for first in range(0, count, CASES)
            ]
            return solved(np.concatenate([np.asarray(one.unknowns) for one in parts]))

        def named(setting: Mapping[str, object]) -> str:
            return "_".join(str(value) for value in setting.values())

        others = {"prior": Ensembles("the solver from unknowns of the training data, whatever was observed", prior)}
        sections: tuple[Section, ...] = ()
        if config.game.objective == FLOW_MATCHING:
            report(0, 1, "importance weights of the generator's samples")
            resampled, weights = self._weighed(config, times, trained, observed)
            sections = (weights,)
            others["weighted"] = Ensembles(
                f"the generator's samples, {PROPOSALS} for each member, resampled by their importance weights",
                lambda: solved(resampled),
                timed=False,
            )
        others |= {
            named(rival.setting): Ensembles(
                "a sampler that needs no training: "
                + ", ".join(f"{key} {value}" for key, value in rival.setting.items()),
                partial(sampled, rival),
            )
            for rival in (TRUTH_RIVALS if settings.search else ())
        }
        others |= {name: Ensembles(one.meaning, partial(learned, one.sample)) for name, one in baselines.items()}
        scored = compare_with_truth(
            truths,
            Ensembles("the generator", partial(learned, trained.sample)),
            others,
            why=NO_REFERENCE,
            members=members,
            seed=settings.seed,
            resamples=settings.resamples,
            progress=report,
        )
        sections = (scored, *sections)
        system = self.system_of(config)
        title = f"{system.name}: posteriors against the truth"
        return Comparison(title, verdict(sections), members, sections, channels=tuple(system.channels)), {}

    def _weighed(
        self, config: ExperimentConfig, times: np.ndarray, trained: Trained, observed: np.ndarray
    ) -> tuple[np.ndarray, ImportanceWeights]:
        """Return the generator's samples resampled by importance, (cases, members, d), and what the weights say."""
        import jax

        from experiments.evaluation.importance import effective_share, normalized_weights, resampled
        from experiments.evaluation.results import ImportanceWeights

        settings = config.compare
        count, draws = len(observed), PROPOSALS * settings.members
        condition = {"observed": np.repeat(observed, draws, axis=0)}
        key = jax.random.fold_in(jax.random.key(settings.seed), 5)
        unknowns, log_density = trained.sample_with_log_density(key, count * draws, condition, chunk=CHUNK)
        log_posterior = _log_posterior(self.inverse_problem(config, times), unknowns, condition["observed"])
        log_density = log_density.reshape(count, draws)
        weights = normalized_weights(log_posterior.reshape(count, draws), log_density)
        shares = tuple(float(one) for one in effective_share(weights))
        found = ImportanceWeights(draws, shares, float(np.isnan(log_density).mean()))
        return resampled(unknowns.reshape(count, draws, -1), weights, settings.members, settings.seed), found

    def _candidates(self, config: ExperimentConfig, times: np.ndarray, observed: np.ndarray) -> list[Candidate]:
        """Return the reference's own sampler, and samplers that might do as well for less."""
        import jax

        from experiments.evaluation.cost import Candidate

        members, key = config.compare.members, jax.random.key(config.compare.seed + 2)

        def candidate(rival: Sampler, coarsening: int = 1, order: int = 4) -> Candidate:
            problem = self.inverse_problem(config, times, coarsening=coarsening, order=order)

            def make() -> np.ndarray:
                parts = [
                    rival.draw(
                        problem, observed[first : first + CASES], members, jax.random.fold_in(key, first)
                    ).unknowns
                    for first in range(0, len(observed), CASES)
                ]
                return self.trajectories(config, times, np.concatenate(parts))

            return Candidate({**rival.setting, "dt": coarsening * config.data.dt, "order": order}, make)

        reference = candidate(tempered(self.own_settings(config).moves))
        if not config.compare.search:
            return [reference]
        # Longer solver steps, perhaps of a lower order, change less than the noise does.
        coarse = [candidate(rival, *how) for rival in RIVALS for how in rival.coarse]
        return [reference, *coarse]

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


@lru_cache(maxsize=16)
def _inverse_problem(
    task: Posterior, config: ExperimentConfig, times: tuple[float, ...], coarsening: int, order: int
) -> InverseProblem:
    """Keep problems between calls, and with them their compiled programs."""
    from diffrax import Heun

    from physics import ETDRK2, ETDRK4, InverseProblem, SemilinearSystem, solve

    own, whitening = task.own_settings(config), task.whitening(config)
    exponential = isinstance(task.system_of(config), SemilinearSystem)
    # Without a stiff linear part the data were made by the system's own explicit method, of order 4 or higher.
    solver = {2: ETDRK2(), 4: ETDRK4()}[order] if exponential else {2: Heun(), 4: None}[order]
    observed = np.asarray(times)[np.array(own.times)]

    def simulate(unknowns: Array) -> Array:
        system = task.system_of(config, whitening.value(unknowns))
        # Nothing after the last observation says anything of the unknowns.
        return solve(system, whitening.field(unknowns), observed, dt=coarsening * config.data.dt, solver=solver)

    last = _with_times(config, tuple(range(len(observed))))
    return InverseProblem(whitening.dimension, simulate, partial(task._seen, last), own.noise)


def _with_times(config: ExperimentConfig, times: tuple[int, ...]) -> ExperimentConfig:
    """Return the configuration with other observed times."""
    assert isinstance(config.system, PosteriorConfig)
    return replace(config, system=replace(config.system, times=times))


@lru_cache(maxsize=16)
def _solver(task: Posterior, config: ExperimentConfig, times: tuple[float, ...]) -> Callable[[np.ndarray], Array]:
    import jax
    import jax.numpy as jnp

    from physics import solve

    whitening = task.whitening(config)

    def one(unknowns: Array) -> Array:
        start = whitening.field(unknowns)
        system = task.system_of(config, whitening.value(unknowns))
        return jnp.concatenate([start[None], solve(system, start, np.asarray(times), dt=config.data.dt)])

    return jax.jit(jax.vmap(one))


def _trajectories(
    task: Posterior, config: ExperimentConfig, times: tuple[float, ...], unknowns: np.ndarray
) -> np.ndarray:
    """Solve in chunks of one size, so that one program serves every count."""
    rows = unknowns.reshape(-1, unknowns.shape[-1])
    run, out = _solver(task, config, times), []
    for start in range(0, len(rows), CHUNK):
        part = rows[start : start + CHUNK]
        padded = np.concatenate([part, np.repeat(part[-1:], CHUNK - len(part), axis=0)])
        out.append(np.asarray(run(padded))[: len(part)])
    fields = np.concatenate(out)
    return fields.reshape(*unknowns.shape[:-1], *fields.shape[1:])


@lru_cache(maxsize=16)
def _posterior_density(problem: InverseProblem) -> Callable[[np.ndarray, np.ndarray], Array]:
    import jax
    import jax.numpy as jnp

    def one(theta: Array, seen: Array) -> Array:
        return problem.log_likelihood(theta, seen) - 0.5 * jnp.sum(theta**2)

    return jax.jit(jax.vmap(one))


def _log_posterior(problem: InverseProblem, unknowns: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Return the logarithm (n,) of the posterior's density up to a constant, in chunks of one size."""
    run, starts = _posterior_density(problem), range(0, len(unknowns), CHUNK)
    index = [np.minimum(np.arange(start, start + CHUNK), len(unknowns) - 1) for start in starts]
    return np.concatenate([np.asarray(run(unknowns[one], observed[one])) for one in index])[: len(unknowns)]


NO_REFERENCE = "No reference is taken for these posteriors: long runs of a sampler are not relied upon."
"""Why ensembles are held against the truth alone, for the report."""
PROPOSALS = 4
"""Samples of the generator for each member that is resampled by importance weights."""
MEMBERS_SHOWN = 32
"""Members in the pictures: enough to see modes and their weights."""
CHUNK = 256
"""Trajectories that are solved at once: so few stay in a processor's cache."""
CASES = 4
"""Cases that a rival samples at once, for the same reason."""
