"""Task ``forecast``: later fields of a system from a few noisy observations of a random initial field.

The initial field is Gaussian, so its posterior given point observations with Gaussian noise is known exactly, and
the solver turns draws from it into an ensemble that no forecast can better: the reference. What a conditional
generator is worth shows against that ensemble, inside the range of the parameter it was trained on and outside.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np

from experiments.config import ExperimentConfig, SystemConfig
from experiments.export import Fields
from experiments.options import setting
from experiments.tasks.snapshot import AXES, on_grid
from experiments.tasks.task import Report, Task

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


class Cases(NamedTuple):
    """Observed initial fields: positions as grid indices ``(n, k)``, values ``(n, k)``, parameter ``(n,)``."""

    points: np.ndarray
    values: np.ndarray
    parameter: np.ndarray


@dataclass(frozen=True)
class Forecast(Task):
    """The task for one system with one parameter, observed in one channel on a line.

    Attributes:
        system: ``(config, parameter, points=None) -> physics.System``.
        parameter: its name in the system.
        defect_steps: solver steps between two output times with which the penalty's defect is taken.
    """

    system: Callable[..., Any]
    parameter: str
    defect_steps: int = 10

    def prior(self, config: ExperimentConfig) -> Any:
        """Return the Gaussian law of the initial field: squared-exponential correlation, no mean flow."""
        from physics import GaussianField

        told = _told(config)

        def spectrum(k: np.ndarray) -> np.ndarray:
            return np.where(k > 0, np.exp(-0.5 * (told.length * k) ** 2), 0.0)

        grid = self.system(config, told.parameter[0]).grid
        return GaussianField(grid, spectrum, std=told.amplitude)

    def data(self, config: ExperimentConfig, report: Report) -> Any:
        """Make or find the trajectories, each with its own parameter; their initial fields are kept."""
        from physics import DatasetSpec, LogUniform, VaryingParameters, generate

        data, told = config.data, _told(config)
        system = self.system(config, told.parameter[0])
        sampler = VaryingParameters(system, {self.parameter: LogUniform(*told.parameter)}, initial=self.prior(config))
        spec = DatasetSpec(
            name=system.name,
            trajectories=data.trajectories,
            snapshots=data.snapshots,
            spin_up=data.spin_up,
            stride=data.stride,
            dt=data.dt,
            seed=data.seed,
            chunk=data.chunk,
            keep_initial=True,
        )
        return generate(sampler, spec, progress=report)

    def problem(self, config: ExperimentConfig, dataset: Any) -> Any:
        """A sample is a trajectory, its condition the observations as a field and the parameter's logarithm."""
        from gan import LinearRamp, Penalty, Problem

        told = _told(config)
        penalties = {}
        if told.defect_weight > 0:
            function = self._defect_penalty(config, float(np.diff(dataset.times)[0]))
            ramp = LinearRamp(0.0, told.defect_ramp)
            penalties["defect"] = Penalty(function, told.defect_weight, ramp)
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

    def observe(self, config: ExperimentConfig, dataset: Any, split: str) -> Cases:
        """Observe every initial field of a split, at its own random grid points; fixed by the data's seed."""
        told = _told(config)
        rng = np.random.default_rng((config.data.seed, _SPLITS[split]))
        return _observe(dataset.initial[split], dataset.parameters[split][self.parameter], told, rng)

    def condition(self, config: ExperimentConfig, cases: Cases) -> dict[str, np.ndarray]:
        """Return what the networks see: values on the grid with a mask of where there are any, log parameter."""
        (points,) = config.data.points
        field = np.zeros((len(cases.parameter), points, 2), np.float32)
        rows = np.arange(len(cases.parameter))[:, None]
        field[rows, cases.points, 0] = cases.values
        field[rows, cases.points, 1] = 1.0
        return {"observed": field, self.parameter: np.log(cases.parameter)[:, None].astype(np.float32)}

    def compare(
        self, config: ExperimentConfig, dataset: Any, trained: Any, seconds: dict[str, float], report: Report
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Ensembles against the exact posterior: inside the parameter's range, and at each value outside."""
        told, asked = _told(config), config.compare
        inside = self._regions(config, dataset)
        comparison: dict[str, Any] = {}
        figures: dict[str, Any] = {}
        for number, (label, cases, truths) in enumerate(inside):
            part, drawn = self._compare_region(
                config, dataset, trained, seconds, cases, truths, label, report, search=number == 0
            )
            if number == 0:
                comparison, figures = part, drawn
                low, high = told.parameter
                comparison["range"] = f"{self.parameter} {low:g} to {high:g}, as in training"
                comparison["regions"] = {}
            else:
                comparison["regions"][label] = {k: part[k] for k in ("distances", "scores", "verdict")}
        for label, part in comparison["regions"].items():
            own, best = (part["scores"]["crps"][name] for name in ("value", "target"))
            comparison["verdict"] += (
                f" Outside the range of training, at {label}, its CRPS is {own:.3g} where the exact posterior has "
                f"{best:.3g} ({own / best - 1:+.0%})."
            )
        comparison["members"] = asked.members
        return comparison, figures

    def sampler(self, config: ExperimentConfig, dataset: Any, trained: Any) -> Callable[..., Fields]:
        """Draw trajectories for given observations, or for the test data's.

        The condition is given as ``points`` (k,) in units of length, ``values`` (k,) and the parameter by name.
        """
        system = self.system(config, _told(config).parameter[0])
        (x,) = system.grid.coordinates()

        def draw(
            count: int, *, key: Any, refine: float = 0.0, points: Any = None, values: Any = None, **given: Any
        ) -> Fields:
            if refine:
                raise ValueError(
                    f"refine is {refine:g}, but a forecast is for fixed times: refine only snapshots, leave it at 0."
                )
            if (points is None) != (values is None) or set(given) - {self.parameter}:
                raise ValueError(
                    f"a condition is points, values and {self.parameter} together: give all of them or none."
                )
            if points is None:
                cases = self.observe(config, dataset, "test")
                chosen = np.arange(count) % len(cases.parameter)
                cases = Cases(*(part[chosen] for part in cases))
            else:
                index = np.rint(np.asarray(points) / system.grid.spacing[0]).astype(int) % len(x)
                parameter = np.full(count, float(given.get(self.parameter, np.nan)))
                if not (parameter > 0).all():
                    raise ValueError(f"{self.parameter} must be given with points and values, a positive number.")
                cases = Cases(np.tile(index, (count, 1)), np.tile(values, (count, 1)), parameter)
            fields = trained.sample(key, count, self.condition(config, cases))
            return Fields(
                fields,
                ("sample", "time", *AXES[:1], "channel"),
                {"time": dataset.times, "x": np.asarray(x), self.parameter: cases.parameter},
                system.channels,
                attrs={"system": system.name, "step": trained.step},
            )

        return draw

    def _defect_penalty(self, config: ExperimentConfig, interval: float) -> Callable[[Any, Any], Any]:
        """Mean squared mismatch per time between a generated field and the solver's step from the one before."""
        import jax
        import jax.numpy as jnp

        from physics import defect

        dt = interval / self.defect_steps

        def one(before: Any, after: Any, parameter: Any) -> Any:
            system = self.system(config, parameter)
            return defect(system, before, after, dt, steps=self.defect_steps)

        along = jax.vmap(one, in_axes=(0, 0, None))

        def penalty(samples: Any, condition: Any) -> Any:
            parameter = jnp.exp(condition[self.parameter][:, 0])
            mismatch = jax.vmap(along)(samples[:, :-1], samples[:, 1:], parameter)
            return jnp.mean(mismatch**2)

        return penalty

    def _regions(self, config: ExperimentConfig, dataset: Any) -> list[tuple[str, Cases, np.ndarray]]:
        """Test cases inside the range, and new ones at each value outside it."""
        import jax

        told, count = _told(config), config.compare.cases
        inside = Cases(*(part[:count] for part in self.observe(config, dataset, "test")))
        regions = [("inside", inside, np.asarray(dataset.test[:count]))]
        draw = jax.jit(jax.vmap(self.prior(config).sample))
        for number, value in enumerate(told.outside):
            key = jax.random.fold_in(jax.random.key(config.compare.seed), number)
            initial = np.asarray(draw(jax.random.split(key, count)))
            rng = np.random.default_rng((config.compare.seed, number))
            cases = _observe(initial, np.full(count, value), told, rng)
            truths = self._solve(config, dataset, initial[:, None], cases.parameter)[:, 0]
            regions.append((f"{self.parameter} {value:g}", cases, truths))
        return regions

    def posterior(self, config: ExperimentConfig, cases: Cases, members: int, key: Any) -> np.ndarray:
        """Draw initial fields from the exact posterior of every case: (cases, members, *grid, C)."""
        import jax

        (x,) = self.prior(config).grid.coordinates()
        keys = jax.random.split(key, (len(cases.parameter), members))
        program = _posterior_program(self, config)
        return np.asarray(program(np.asarray(x, np.float32)[cases.points], cases.values, keys))

    def _solve(
        self,
        config: ExperimentConfig,
        dataset: Any,
        initial: np.ndarray,
        parameter: np.ndarray,
        *,
        points: int | None = None,
        dt: float | None = None,
        order: int = 4,
    ) -> np.ndarray:
        """Carry (cases, members, *grid, C) to the output times: (cases, members, time, *grid, C)."""
        step = dataset.dt if dt is None else dt
        program = _solve_program(self, config, tuple(dataset.times.tolist()), points, step, order)
        return np.asarray(program(initial, np.asarray(parameter, np.float32)))

    def _compare_region(
        self,
        config: ExperimentConfig,
        dataset: Any,
        trained: Any,
        seconds: dict[str, float],
        cases: Cases,
        truths: np.ndarray,
        label: str,
        report: Report,
        *,
        search: bool,
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        import jax

        from experiments.compare_forecast import compare_forecast
        from experiments.cost import timed
        from physics import defect

        asked, told = config.compare, _told(config)
        members, count = asked.members, len(truths)
        key = jax.random.key(asked.seed)
        system = self.system(config, told.parameter[0])
        initial = self.posterior(config, cases, 2 * members, jax.random.fold_in(key, 1))
        reference = self._solve(config, dataset, initial, cases.parameter)
        condition = {name: np.repeat(value, members, axis=0) for name, value in self.condition(config, cases).items()}

        def draw() -> np.ndarray:
            return trained.sample(key, count * members, condition)

        fields, spent = timed(draw, repeats=asked.repeats)
        generator = fields.reshape(count, members, *fields.shape[1:])
        interval = float(np.diff(dataset.times)[0])
        steps = round(interval / dataset.dt)

        def level(ensembles: np.ndarray) -> np.ndarray:
            """Root mean square defect per trajectory, by the solver and step that made the data."""

            def one(trajectory: Any, value: Any) -> Any:
                own = self.system(config, value)
                pairs = jax.vmap(lambda a, b: defect(own, a, b, dataset.dt, steps=steps))
                return (pairs(trajectory[:-1], trajectory[1:]) ** 2).mean() ** 0.5

            flat = ensembles.reshape(-1, *ensembles.shape[2:])
            values = np.repeat(np.float32(cases.parameter), ensembles.shape[1])
            return np.asarray(jax.jit(jax.vmap(one))(flat, values))

        def hold(ensembles: np.ndarray, **more: Any) -> tuple[dict[str, Any], dict[str, Any]]:
            return compare_forecast(
                ensembles,
                reference,
                truths,
                times=dataset.times.tolist(),
                channels=system.channels,
                extent=system.grid.extent,
                draws=min(asked.draws, 200),
                resamples=asked.resamples,
                level=asked.level,
                resolved=asked.resolved,
                seed=asked.seed,
                **more,
            )

        cost = None
        if search:
            outcome, _ = hold(generator)
            cost = self._cost(config, dataset, cases, hold, outcome["distances"], initial, report)
            cost["generator_seconds_per_sample"] = spent / len(fields)
            cost |= {"data_seconds": seconds["data"], "training_seconds": seconds["training"]}
            cost = _with_break_even(cost)
        (x,) = system.grid.coordinates()
        return hold(
            generator,
            residuals={"defect": (level(generator), level(reference[:, :members]))},
            observations=(np.asarray(x)[cases.points], cases.values),
            case_labels=[f"{self.parameter} {value:.3g}" for value in cases.parameter],
            cost=cost,
            progress=lambda done, total, what: report(done, total, f"{label}: {what}"),
        )

    def _cost(
        self,
        config: ExperimentConfig,
        dataset: Any,
        cases: Cases,
        hold: Callable[..., Any],
        own: dict[str, Any],
        initial: np.ndarray,
        report: Report,
    ) -> dict[str, Any]:
        """Search the cheapest solver whose ensemble comes as close to the posterior as the generator's."""
        import jax

        from experiments.cost import timed

        asked = config.compare
        members, key = asked.members, jax.random.fold_in(jax.random.key(asked.seed), 2)
        (full,) = config.data.points
        fine = self.system(config, 1.0).grid
        rows: list[dict[str, Any]] = []
        conditioning = timed(lambda: self.posterior(config, cases, members, key), repeats=asked.repeats)[1]
        settings = [(full, dataset.dt, 4)] + [
            (points, dt, order)
            for points in (full // 4, full // 2, full)
            for order, dt in ((4, 2.5), (4, 5.0), (2, 1.0), (2, 5.0))
            for dt in (dt * dataset.dt,)
        ]
        for number, (points, dt, order) in enumerate(settings if asked.search else settings[:1]):
            report(number, len(settings), "searching the cheapest solver")
            coarse = self.system(config, 1.0, points).grid
            begin = self.posterior(config, cases, members, key)
            flat = on_grid(begin.reshape(-1, *begin.shape[2:]), fine, coarse)
            begin = flat.reshape(*begin.shape[:2], *flat.shape[1:])
            setting = {"points": points, "dt": dt, "order": order}
            fields, spent = timed(
                partial(self._solve, config, dataset, begin, cases.parameter, **setting), repeats=asked.repeats
            )
            row: dict[str, Any] = dict(setting)
            row["seconds_per_sample"] = (spent + conditioning) / (len(begin) * members)
            row |= {"error": None, "worst": None, "ratios": None, "reaches": False}
            rows.append(row)
            if not np.isfinite(fields).all():
                row["failed"] = "the solver's fields are not finite"
                continue
            flat = on_grid(fields.reshape(-1, *fields.shape[3:]), coarse, fine)
            found = hold(flat.reshape(*fields.shape[:3], *flat.shape[1:]))[0]["distances"]
            row["ratios"] = {name: entry["ratio"] for name, entry in found.items()}
            row["error"] = float(np.median(list(row["ratios"].values())))
            row["worst"] = max(row["ratios"].values())
            row["reaches"] = all(
                entry["inside"] or entry["value"] <= own[name]["value"] for name, entry in found.items()
            )
        reference = rows[0]
        cheapest = min(
            [row for row in rows if row["reaches"]] or [reference], key=lambda row: row["seconds_per_sample"]
        )
        return {
            "reference_seconds_per_sample": reference["seconds_per_sample"],
            "cheapest": {k: v for k, v in cheapest.items() if k not in ("ratios", "reaches", "worst")},
            "search": rows,
            "carry_seconds_per_sample": 0.0,
        }


@lru_cache(maxsize=32)
def _solve_program(
    task: Forecast, config: ExperimentConfig, times: tuple[float, ...], points: int | None, dt: float, order: int
) -> Any:
    """Compile the solver of a batch of ensembles once for each setting."""
    import jax

    from physics import ETDRK2, ETDRK4, solve

    solver = {2: ETDRK2(), 4: ETDRK4()}[order]

    def one(u0: Any, value: Any) -> Any:
        return solve(task.system(config, value, points), u0, np.asarray(times), dt=dt, solver=solver)

    return jax.jit(jax.vmap(jax.vmap(one, in_axes=(0, None))))


@lru_cache(maxsize=4)
def _posterior_program(task: Forecast, config: ExperimentConfig) -> Any:
    """Compile the posterior draws of a batch of cases once."""
    import jax

    told, prior = _told(config), task.prior(config)

    def one(points: Any, values: Any, keys: Any) -> Any:
        given = prior.condition(points[:, None], values[:, None], told.noise)
        return jax.vmap(given.sample)(keys)

    return jax.jit(jax.vmap(one))


def _with_break_even(cost: dict[str, Any]) -> dict[str, Any]:
    from experiments.cost import break_even

    cost["break_even"] = break_even(
        fixed_seconds=cost["data_seconds"] + cost["training_seconds"],
        generator_seconds_per_sample=cost["generator_seconds_per_sample"],
        solver_seconds_per_sample=cost["cheapest"]["seconds_per_sample"],
    )
    return cost


def _told(config: ExperimentConfig) -> ForecastConfig:
    assert isinstance(config.system, ForecastConfig)
    return config.system


def _observe(initial: np.ndarray, parameter: Any, told: ForecastConfig, rng: np.random.Generator) -> Cases:
    """Look at fields ``(n, N, 1)`` in ``told.observations`` different grid points each."""
    count, size = initial.shape[:2]
    if told.observations > size:
        raise ValueError(
            f"system.observations is {told.observations}, more than the {size} grid points: observe fewer."
        )
    points = np.argsort(rng.random((count, size)), axis=1)[:, : told.observations]
    values = np.take_along_axis(np.asarray(initial)[..., 0], points, axis=1)
    noisy = values + told.noise * rng.standard_normal(values.shape)
    return Cases(points, noisy.astype(np.float32), np.asarray(parameter, np.float64))
