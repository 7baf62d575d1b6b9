"""Task ``snapshot``: draw single fields from a system's invariant measure.

The data are fields of independent trajectories after the spin-up, a sample is ``Phi_tau(G(z))``, and the comparison
asks whether a set of samples can be distinguished from a set of solver fields.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from experiments.config import ExperimentConfig
from experiments.errors import UserError
from experiments.export import Fields
from experiments.tasks.task import NONE, Report, Task, check_draws, dataset_spec

if TYPE_CHECKING:
    from experiments.evaluation.results import Comparison

AXES = ("x", "y", "z")
_CHUNK = 512
_BLOCKS = (100, 10, 1)
_TRAJECTORIES = 128
_FRAMES = 200
_LATER = 5
"""Steps of the short solve over which the growth of the waves is a feature."""


@dataclass(frozen=True)
class Snapshot(Task):
    """The task for one system.

    Attributes:
        system: ``(config, points=None) -> physics.System`` on the configured grid, or on a coarser or finer one.
        settings: ``config -> settings`` of the solvers among which the cheapest that does as well is searched; see
            `Solvers` for what they say. `along_trajectories`, which any system has, where left out.
    """

    unread: ClassVar[tuple[str, ...]] = ("compare.members", "compare.cases", "compare.resamples")

    system: Callable[..., Any]
    settings: Callable[[ExperimentConfig], Sequence[Mapping[str, Any]]] | None = None

    def samples_per_trajectory(self, config: ExperimentConfig) -> int:
        """Every kept field."""
        return config.data.snapshots

    def check(self, config: ExperimentConfig) -> None:
        """Refuse also what the comparison could not use."""
        from physics import StochasticSystem

        super().check(config)
        if isinstance(self.system(config), StochasticSystem) and config.solver_layer.tau > 0:
            raise UserError(
                f"--solver_layer.tau {config.solver_layer.tau:g}: the solver of a stochastic system is no "
                f"layer, since its noise is "
                "no function of the sample; give 0."
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
                f"training fields, "
                f"but --data.trajectories and --data.snapshots make {have}: make more, or test fewer samples."
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
        # Spectrum, values, correlation, sliced and kernel, the increments of each separation, and quantiles if any.
        distances = 5 + bool(settings.quantiles) + len(set(settings.separations))
        check_draws(config, int(np.ceil(distances / settings.level)), f"{distances} distances tested")

    def spec(self, config: ExperimentConfig) -> Any:
        """Single fields."""
        from gan import SampleSpec

        system = self.system(config)
        return SampleSpec(system.field_shape, extent=system.grid.extent)

    def data(self, config: ExperimentConfig, report: Report) -> Any:
        """Make or find the trajectories, one system for all."""
        from physics import FixedSystem, generate

        system = self.system(config)
        return generate(FixedSystem(system), dataset_spec(config.data, system), progress=report)

    def problem(self, config: ExperimentConfig, dataset: Any) -> Any:
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
        dataset: Any,
        trained: Any,
        seconds: dict[str, float],
        report: Report,
        baselines: Mapping[str, Any] = NONE,
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
            evolve=lambda start: _evolve(refine, start, system),
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

    def _cost(self, config: ExperimentConfig, dataset: Any, trained: Any, seconds: dict[str, float]) -> Any:
        """Say what samples cost, and offer the solvers that might do as well for less."""
        import jax

        from experiments.evaluation.cost import Candidate
        from experiments.evaluation.snapshot import CostInputs

        settings = config.compare
        key = jax.random.key(settings.seed)
        start_key = jax.random.fold_in(key, 2)
        spin_up = float(dataset.times[0])
        system = self.system(config)
        refine = refiner(system, dataset.dt)
        solvers = Solvers(self, config, dataset)
        offered = (self.settings or along_trajectories)(config) if settings.search else ()
        return CostInputs(
            draw=lambda n: trained.draw(key, n).fields,
            draw_without_solver=(lambda n: trained.draw_without_solver(key, n).fields)
            if config.solver_layer.tau > 0
            else None,
            reference=lambda n: refine(initial_fields(system, n, start_key), spin_up),
            candidates=lambda n: [Candidate(one, partial(solvers.fields, one, n)) for one in offered],
            data_seconds=seconds["data"],
            training_seconds=seconds["training"],
            repeats=settings.repeats,
        )

    def sampler(self, config: ExperimentConfig, dataset: Any, trained: Any) -> Callable[..., Fields]:
        """Draw fields with coordinates, advanced by ``refine`` where asked for."""
        system = self.system(config)
        refine_by = refiner(system, dataset.dt)
        names = AXES[: system.grid.ndim]
        coordinates = dict(zip(names, (np.asarray(x) for x in system.grid.coordinates())))

        def draw(count: int, *, key: Any, refine: float = 0.0) -> Fields:
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


@dataclass(frozen=True)
class Solvers:
    """Makes fields by solver settings that are cheaper than the reference.

    A setting has ``start``: "gaussian" (fields with the data's spectrum), "initial" (the system's own initial fields)
    or "bank" (training fields moved by a random symmetry); ``points``, ``dt`` and ``order`` of the solver, None for
    those that made the data (orders are those of exponential Runge-Kutta methods); ``spin_up``; ``stride``, or None:
    the solver time between fields of one trajectory, of which there are then few; and ``finish``, solver time on the
    reference grid with the reference step at the end.
    """

    task: Snapshot
    config: ExperimentConfig
    dataset: Any

    def fields(self, setting: Mapping[str, Any], n: int) -> np.ndarray:
        """Return ``n`` fields on the reference grid; programs are compiled at the first call."""
        from physics import ETDRK2, ETDRK4

        config, system = self.config, self.task.system(self.config)
        coarse = system if setting["points"] is None else self.task.system(config, setting["points"])
        solver = {None: None, 2: ETDRK2(), 4: ETDRK4()}[setting["order"]]
        dt = self.dataset.dt if setting["dt"] is None else setting["dt"]
        stride = setting["stride"]
        members = min(n, _TRAJECTORIES) if stride else n
        begin = on_grid(self._begin(setting["start"], members), system.grid, coarse.grid)
        advance = _shared_refiner(coarse, dt, solver, min(members, _CHUNK))
        taken = [advance(begin, setting["spin_up"]) if setting["spin_up"] > 0 else begin]
        while len(taken) * members < n:
            taken.append(advance(taken[-1], stride))
        fields = on_grid(np.concatenate(taken)[:n], coarse.grid, system.grid)
        if setting["finish"] > 0:
            fields = _shared_refiner(system, self.dataset.dt, None, _CHUNK)(fields, setting["finish"])
        return fields

    def _begin(self, start: str, count: int) -> np.ndarray:
        from experiments.evaluation.gaussian_fields import gaussian_fields
        from experiments.evaluation.snapshot import moved

        training = self.dataset.train.reshape(-1, *self.task.system(self.config).field_shape)
        seed = self.config.compare.seed + 1
        if start == "bank":
            chosen = np.random.default_rng((seed, 7)).choice(len(training), count, replace=count > len(training))
            return moved(np.asarray(training[chosen]), self.task.system(self.config).symmetries, seed)
        if start == "initial":
            import jax

            return initial_fields(self.task.system(self.config), count, jax.random.key(seed))
        known = training[np.linspace(0, len(training) - 1, min(len(training), 4096)).astype(int)]
        return gaussian_fields(known, count, seed=seed, homogeneous=_homogeneous(self.task.system(self.config)))


def along_trajectories(config: ExperimentConfig) -> list[dict[str, Any]]:
    """Return solvers that any system has: stored fields advanced, and fields taken along few trajectories.

    Beside them Gaussian fields, advanced for a while. For systems whose fields come from one invariant measure the
    fields along trajectories are the strong ones: after the spin-up a field costs a stride. Where the distribution
    changes with time only the stored fields can be as good.
    """
    names = ("start", "points", "dt", "order", "spin_up", "stride", "finish")
    dt, tau = config.data.dt, config.solver_layer.tau
    spin_up, stride = config.data.spin_up or 200 * dt, config.data.stride or 50 * dt
    bank = [("bank", None, step, None, tau or 10 * dt, None, 0.0) for step in (dt, 2 * dt)]
    strides = [
        ("initial", None, step, None, spin_up, share * stride, 0.0) for step in (dt, 2 * dt) for share in (0.25, 1.0)
    ]
    # What is easily distinguished is no rival of a good generator, and the rival of a bad one.
    gaussian = [("gaussian", None, dt, None, steps * dt, None, 0.0) for steps in (0, 20, 100)]
    return [dict(zip(names, one)) for one in [*gaussian, *bank, *strides]]


@lru_cache(maxsize=64)
def _shared_refiner(system: Any, dt: float, solver: Any, chunk: int) -> Callable[[np.ndarray, float], np.ndarray]:
    """Keep the compiled programs of a solver between calls."""
    return refiner(system, dt, solver, chunk=chunk)


def comparison_sizes(settings: Any) -> Any:
    """Return the sizes that the section ``compare`` asks for."""
    from experiments.evaluation.snapshot import Sizes

    return Sizes(
        n=settings.fields,
        draws=settings.draws,
        tested=settings.tested,
        refined=settings.refined,
        relabellings=settings.relabellings,
        level=settings.level,
        separations=settings.separations,
        quantiles=settings.quantiles,
        directions=settings.projections,
        resolved=settings.resolved,
        seed=settings.seed,
    )


def equation(system: Any, refine: Callable[[np.ndarray, float], np.ndarray]) -> Any:
    """Return what the evaluation needs to know of a system."""
    import jax

    from experiments.evaluation.snapshot import Equation
    from physics.system import StochasticSystem

    tendency = jax.jit(jax.vmap(lambda u: system.vector_field(0.0, u)))
    stochastic = isinstance(system, StochasticSystem)
    return Equation(
        channels=tuple(system.channels),
        extent=system.grid.extent,
        refine=refine,
        symmetries=system.symmetries,
        homogeneous=_homogeneous(system),
        periodic=bool(system.grid.shape) and system.grid.periodic,
        tendency=lambda fields: np.asarray(tendency(fields)),
        # With noise, a short solve says more of the noise than of the field.
        later=None if stochastic else lambda fields: refine(fields, _LATER * system.recommended_dt),
        budgets=_budgets(system),
    )


def _homogeneous(system: Any) -> bool:
    """Whether the distribution is the same everywhere on a periodic grid."""
    every = set(range(system.grid.ndim))
    return bool(every) and system.grid.periodic and set(system.symmetries.shift_axes) == every


def solver_layer(system: Any, steps: int) -> Callable[..., Any]:
    """Return ``(samples, condition, tau) -> (samples, valid)``: the solver over tau in ``steps`` steps."""
    import jax
    import jax.numpy as jnp

    from physics import advance

    def run(samples: Any, condition: Any, tau: Any) -> tuple[Any, Any]:
        advanced = jax.vmap(lambda u: advance(system, u, tau / steps, steps, adjoint="stages"))(samples)
        axes = tuple(range(1, advanced.ndim))
        return advanced, jnp.isfinite(advanced).all(axis=axes)

    return run


def _budgets(system: Any) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """Return ``fields -> {name: (n,)}``: the value of every budgeted quantity and the terms of its rate of change."""
    import jax

    terms = jax.jit(jax.vmap(system.budgets))

    def run(fields: np.ndarray) -> dict[str, np.ndarray]:
        found = terms(fields)
        return {f"{name}, {term}": np.asarray(one) for name, parts in found.items() for term, one in parts.items()}

    return run


def initial_fields(system: Any, count: int, key: Any) -> np.ndarray:
    """Draw ``count`` of the system's own initial fields."""
    import jax

    return np.asarray(_initial_program(system)(jax.random.split(key, count)))


@lru_cache(maxsize=16)
def _initial_program(system: Any) -> Callable[..., Any]:
    """Keep the compiled program between calls, which are timed."""
    import jax

    return jax.jit(jax.vmap(system.sample_initial))


def refiner(
    system: Any, dt: float, solver: Any = None, *, chunk: int = _CHUNK
) -> Callable[[np.ndarray, float], np.ndarray]:
    """Return ``(fields, duration) -> fields``: the solver, by default the one that made the data, in fixed chunks.

    Steps are of the length ``dt``, or the next shorter one that divides the duration. Every field of every call of a
    stochastic system has noise of its own.
    """
    import jax

    from physics import NoisePath, StochasticSystem, advance

    calls = itertools.count()
    stochastic = isinstance(system, StochasticSystem)

    @lru_cache
    def program(length: float, steps: int) -> Any:
        def one(u: Any, key: Any) -> Any:
            return advance(system, u, length, steps, solver=solver, noise=NoisePath(key) if stochastic else None)

        return jax.jit(jax.vmap(one, in_axes=(0, 0 if stochastic else None)))

    def run(fields: np.ndarray, duration: float) -> np.ndarray:
        steps = max(1, int(np.ceil(duration / dt - 1e-6)))
        length = dt if abs(steps * dt - duration) < 1e-6 * duration else duration / steps
        # Blocks of a few lengths serve every duration, so that few programs are compiled.
        blocks = []
        for size in _BLOCKS:
            blocks += [program(length, size)] * (steps // size)
            steps %= size
        out = []
        for start in range(0, len(fields), chunk):
            part = np.asarray(fields[start : start + chunk], np.float32)
            advanced = np.concatenate([part, np.repeat(part[-1:], chunk - len(part), axis=0)])
            for block in blocks:
                keys = jax.random.split(jax.random.key(next(calls)), chunk) if stochastic else None
                advanced = block(advanced, keys)
            out.append(np.asarray(advanced)[: len(part)])
        return np.concatenate(out)

    return run


def _evolve(
    refine: Callable[[np.ndarray, float], np.ndarray], start: np.ndarray, system: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Advance fields for a picture in space and time; returns times and (fields, time, *grid, C)."""
    every = 5 * system.recommended_dt
    frames = [start]
    for _ in range(_FRAMES):
        frames.append(refine(frames[-1], every))
    return every * np.arange(_FRAMES + 1), np.stack(frames, axis=1)


def on_grid(fields: np.ndarray, have: Any, want: Any) -> np.ndarray:
    """Interpolate fields by their Fourier series."""
    return np.asarray(fields) if have == want else np.asarray(_resampler(have, want)(fields))


@lru_cache(maxsize=64)
def _resampler(have: Any, want: Any) -> Callable[..., Any]:
    """Keep the compiled program between calls, which are timed."""
    import jax

    from physics import resample

    return jax.jit(jax.vmap(lambda u: resample(u, have, want)))
