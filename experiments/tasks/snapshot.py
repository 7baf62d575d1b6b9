"""Task ``snapshot``: draw single fields from a system's invariant measure.

The data are fields of independent trajectories after the spin-up, a sample is ``Phi_tau(G(z))``, and the comparison
asks whether a set of samples can be told from a set of solver fields.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from experiments.config import ExperimentConfig
from experiments.errors import UserError
from experiments.export import Fields
from experiments.tasks.task import NONE, Report, Task, check_draws, dataset_spec

AXES = ("x", "y", "z")
_CHUNK = 512
_BLOCKS = (100, 10, 1)
_TRAJECTORIES = 128
_FRAMES = 200


@dataclass(frozen=True)
class Snapshot(Task):
    """The task for one system.

    Attributes:
        system: ``(config, points=None) -> physics.System`` on the configured grid, or on a coarser or finer one.
        settings: ``config -> settings`` of the solvers among which the cheapest that does as well is searched:
            mappings with ``points``, ``dt``, ``order``, ``spin_up`` and ``stride`` (or None), both solver times.
    """

    system: Callable[..., Any]
    settings: Callable[[ExperimentConfig], Sequence[Mapping[str, Any]]]

    def samples_per_trajectory(self, config: ExperimentConfig) -> int:
        """Every kept field."""
        return config.data.snapshots

    def check(self, config: ExperimentConfig) -> None:
        """Refuse also what the comparison could not use."""
        super().check(config)
        self.system(config)
        asked = config.compare
        if config.data.trajectories[2] < 2 * asked.fields:
            raise UserError(
                f"--compare.fields {asked.fields} needs two sets of as many test trajectories, but --data.trajectories "
                f"makes {config.data.trajectories[2]}: make {2 * asked.fields}, or compare fewer fields."
            )
        shortest = min(config.data.points)
        if max(asked.separations, default=0) >= shortest:
            raise UserError(
                f"--compare.separations {max(asked.separations)} is no distance on {shortest} points; use at most "
                f"{shortest - 1}."
            )
        # Spectrum, values, correlation, sliced and kernel, the increments of each separation, and quantiles if any.
        distances = 5 + bool(asked.quantiles) + len(set(asked.separations))
        times = len({0.0, config.carry.tau, *asked.refine})
        check_draws(config, int(np.ceil(distances / asked.level)), f"{distances} distances tested")
        check_draws(config, int(np.ceil(times / asked.level)), f"refinement curves over {times} times")

    def spec(self, config: ExperimentConfig) -> Any:
        """Single fields."""
        from gan import SampleSpec

        system = self.system(config)
        return SampleSpec(system.field_shape, extent=system.grid.extent)

    def data(self, config: ExperimentConfig, report: Report) -> Any:
        """Make or find the trajectories, one system for all."""
        from physics import FixedSystem, generate

        system = self.system(config)
        return generate(FixedSystem(system), dataset_spec(system.name, config.data), progress=report)

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
            carry=carry(system, config.carry.steps) if config.carry.tau > 0 else None,
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
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Distances, scores, refinement curves and costs against held-out trajectories."""
        import jax

        from experiments.comparison.snapshot import RefinementInputs, Sizes, compare_snapshot

        system, asked = self.system(config), config.compare
        key = jax.random.key(asked.seed)
        # Refused samples are part of the outcome; a few more are drawn so that enough others remain.
        fields, valid = trained.draw(key, asked.fields + asked.fields // 8)
        samples = np.where(valid.reshape(-1, *[1] * (fields.ndim - 1)), fields, np.nan)
        pool = np.asarray(dataset.test[:, 0])
        training = dataset.train.reshape(-1, *system.field_shape)
        refine = refiner(system, dataset.dt)
        return compare_snapshot(
            samples,
            pool,
            training,
            channels=system.channels,
            extent=system.grid.extent,
            symmetries=system.symmetries,
            carry_time=config.carry.tau,
            sizes=Sizes(
                n=asked.fields,
                draws=asked.draws,
                resamples=asked.resamples,
                level=asked.level,
                separations=asked.separations,
                quantiles=asked.quantiles,
                directions=asked.projections,
                resolved=asked.resolved,
                seed=asked.seed,
            ),
            refinement=RefinementInputs(
                refine, asked.refine, initial=initial_fields(system, asked.fields, jax.random.fold_in(key, 1))
            ),
            cost=self._cost(config, dataset, trained, seconds, training),
            evolve=lambda start: _evolve(refine, start, system),
            baselines=baselines,
            progress=report,
        )

    def _cost(
        self,
        config: ExperimentConfig,
        dataset: Any,
        trained: Any,
        seconds: dict[str, float],
        training: np.ndarray,
    ) -> Any:
        """Say what samples cost, and offer the solvers that might reach them for less."""
        import jax

        from experiments.comparison.cost import CostInputs, timed
        from experiments.comparison.refinement import gaussian_fields

        count = min(config.compare.fields, 512)
        key = jax.random.key(config.compare.seed)
        spin_up = float(dataset.times[0])
        system = self.system(config)
        start = initial_fields(system, count, jax.random.fold_in(key, 2))
        refine = refiner(system, dataset.dt)
        refine(start[:1], dataset.dt * sum(_BLOCKS))
        reference = timed(lambda: refine(start, spin_up), warm_up=False)[1] / count
        known = training[np.linspace(0, len(training) - 1, min(len(training), 16384)).astype(int)]

        def make_solver_fields(setting: Mapping[str, Any], n: int) -> tuple[np.ndarray, float]:
            """Gaussian fields with the data's spectrum, carried on by this setting; seconds without compilation.

            With a ``stride`` the fields are taken that far apart along fewer trajectories, which share a spin-up.
            """
            from physics import ETDRK2, ETDRK4

            coarse = self.system(config, setting["points"])
            solver = {2: ETDRK2(), 4: ETDRK4()}[setting["order"]]
            stride = setting["stride"]
            members = min(n, _TRAJECTORIES) if stride else n
            begin = gaussian_fields(known, members, seed=config.compare.seed + 1)
            begin = on_grid(begin, system.grid, coarse.grid)
            carry_on = refiner(coarse, setting["dt"], solver, chunk=min(members, _CHUNK))
            carry_on(begin[:1], setting["dt"] * sum(_BLOCKS))

            def run() -> np.ndarray:
                taken = [carry_on(begin, setting["spin_up"])]
                while len(taken) * members < n:
                    taken.append(carry_on(taken[-1], stride))
                return np.concatenate(taken)[:n]

            fields, spent = timed(run, warm_up=False)
            return on_grid(fields, coarse.grid, system.grid), spent

        return CostInputs(
            draw=lambda n: trained.draw(key, n).fields,
            draw_uncarried=lambda n: trained.draw_uncarried(key, n).fields,
            data_seconds=seconds["data"],
            training_seconds=seconds["training"],
            reference_seconds_per_sample=reference,
            settings=self.settings(config) if config.compare.search else (),
            make_solver_fields=make_solver_fields,
            count=count,
        )

    def sampler(self, config: ExperimentConfig, dataset: Any, trained: Any) -> Callable[..., Fields]:
        """Draw fields with coordinates, carried on by ``refine`` where asked for."""
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
                    "carry": config.carry.tau,
                    "refine": refine,
                    "step": trained.step,
                },
            )

        return draw


def carry(system: Any, steps: int) -> Callable[..., Any]:
    """Return ``(samples, condition, tau) -> (samples, valid)``: the solver over tau in ``steps`` steps."""
    import jax
    import jax.numpy as jnp

    from physics import advance

    def run(samples: Any, condition: Any, tau: Any) -> tuple[Any, Any]:
        carried = jax.vmap(lambda u: advance(system, u, tau / steps, steps, adjoint="stages"))(samples)
        axes = tuple(range(1, carried.ndim))
        return carried, jnp.isfinite(carried).all(axis=axes)

    return run


def initial_fields(system: Any, count: int, key: Any) -> np.ndarray:
    """Draw ``count`` of the system's own initial fields."""
    import jax

    return np.asarray(jax.jit(jax.vmap(system.sample_initial))(jax.random.split(key, count)))


def refiner(
    system: Any, dt: float, solver: Any = None, *, chunk: int = _CHUNK
) -> Callable[[np.ndarray, float], np.ndarray]:
    """Return ``(fields, duration) -> fields``: the solver, by default the one that made the data, in fixed chunks.

    Steps are of the length ``dt``, or the next shorter one that divides the duration.
    """
    import jax

    from physics import advance

    @lru_cache
    def program(length: float, steps: int) -> Any:
        return jax.jit(jax.vmap(lambda u: advance(system, u, length, steps, solver=solver)))

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
            carried = np.concatenate([part, np.repeat(part[-1:], chunk - len(part), axis=0)])
            for block in blocks:
                carried = block(carried)
            out.append(np.asarray(carried)[: len(part)])
        return np.concatenate(out)

    return run


def _evolve(
    refine: Callable[[np.ndarray, float], np.ndarray], start: np.ndarray, system: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Carry fields on for a picture in space and time; returns times and (fields, time, *grid, C)."""
    every = 5 * system.recommended_dt
    frames = [start]
    for _ in range(_FRAMES):
        frames.append(refine(frames[-1], every))
    return every * np.arange(_FRAMES + 1), np.stack(frames, axis=1)


def on_grid(fields: np.ndarray, have: Any, want: Any) -> np.ndarray:
    """Interpolate fields by their Fourier series."""
    import jax

    from physics import resample

    if have == want:
        return np.asarray(fields)
    return np.asarray(jax.jit(jax.vmap(lambda u: resample(u, have, want)))(fields))
