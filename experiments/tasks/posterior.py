"""Forecasts held against the exact posterior: the solver's trajectories from exact draws of the observed initial field.

The cases inside the parameter's range are those of the test data; at each value outside new ones are drawn. The cost
is measured inside: the generator's ensemble against the cheapest solver ensemble that comes as close.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.comparison.baselines import baseline_rows
from experiments.comparison.cost import Setting, cost_section, timed
from experiments.comparison.forecast import DISTANCES, compare_forecast
from experiments.comparison.verdict import forecast_verdict
from experiments.config import ExperimentConfig
from experiments.tasks.ensemble_cost import search, settings
from experiments.tasks.forecast import Forecast
from experiments.tasks.observations import Cases, observe
from experiments.tasks.snapshot import on_grid
from experiments.tasks.task import NONE, Report
from physics import ETDRK2, ETDRK4, defect, solve

_OUTSIDE = 16
"""First of the random streams of the cases outside the range, apart from those of posterior and search."""
_DRAWS = 200
"""Halvings of the reference ensemble that are enough for its floor; more are made only where a test needs them."""


class Region(NamedTuple):
    """Cases of one parameter range, with what is known about them exactly.

    Attributes:
        label: for people.
        cases: what was observed.
        truths: the trajectories that were observed, (cases, time, *grid, C).
        reference: the solver's trajectories from draws of the posterior, (cases, 2 members, time, *grid, C).
    """

    label: str
    cases: Cases
    truths: np.ndarray
    reference: np.ndarray


@dataclass(frozen=True)
class Comparison:
    """One trained generator of a forecast task against the truths and the exact posteriors.

    Attributes:
        task: with its system.
        config: of the run.
        dataset: the certified data; only its test trajectories are used.
        trained: a ``gan.Trained``.
        report: called with (done, total, what).
    """

    task: Forecast
    config: ExperimentConfig
    dataset: Any
    trained: Any
    report: Report

    def run(
        self, seconds: dict[str, float], baselines: Mapping[str, Any] = NONE
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return ``comparison.json``'s content and the arrays behind the pictures."""
        low, high = self.task.told(self.config).parameter
        regions = self.regions()
        inside = next(regions)
        comparison, figures = self.held(inside)
        comparison["range"] = f"{self.task.parameter} {low:g} to {high:g}"
        comparison["members"] = self.config.compare.members
        comparison["cost"] = self.cost(inside, comparison["distances"], seconds)
        count = len(inside.truths) * self.config.compare.members

        def row(ensembles: np.ndarray) -> dict[str, float]:
            found = self.hold(inside, ensembles)[0]
            ratios = {name: entry["ratio"] for name, entry in found["distances"].items()}
            return {**ratios, "crps": found["scores"]["crps"]["value"]}

        draws = baseline_rows(baselines, lambda sample: self.draw(inside, sample), row, count)
        comparison["baselines"] |= draws
        comparison["regions"] = {}
        for region in regions:
            part, _ = self.held(region)
            comparison["regions"][region.label] = {k: part[k] for k in ("distances", "scores", "verdict")}
        comparison["verdict"] = forecast_verdict(comparison)
        return comparison, figures

    def regions(self) -> Iterator[Region]:
        """Test cases inside the range, then new ones at each value outside it."""
        told, count = self.task.told(self.config), self.config.compare.cases
        key = jax.random.key(self.config.compare.seed)

        def known(label: str, cases: Cases, truths: np.ndarray) -> Region:
            initial = self.posterior(cases, 2 * self.config.compare.members, jax.random.fold_in(key, 1))
            return Region(label, cases, truths, self.solve(initial, cases.parameter))

        inside = Cases(*(part[:count] for part in self.task.observe(self.config, self.dataset, "test")))
        yield known("inside", inside, np.asarray(self.dataset.test[:count]))
        draw = jax.jit(jax.vmap(self.task.prior(self.config).sample))
        for number, value in enumerate(told.outside, start=_OUTSIDE):
            initial = np.asarray(draw(jax.random.split(jax.random.fold_in(key, number), count)))
            rng = np.random.default_rng((self.config.compare.seed, number))
            cases = observe(initial, np.full(count, value), told.observations, told.noise, rng)
            truths = self.solve(initial[:, None], cases.parameter)[:, 0]
            yield known(f"{self.task.parameter} {value:g}", cases, truths)

    def posterior(self, cases: Cases, members: int, key: Any) -> np.ndarray:
        """Draw initial fields from the exact posterior of every case: (cases, members, *grid, C)."""
        (x,) = self.task.prior(self.config).grid.coordinates()
        keys = jax.random.split(key, (len(cases.parameter), members))
        program = _posterior_program(self.task, self.config)
        return np.asarray(program(np.asarray(x, np.float32)[cases.points], cases.values, keys))

    def solve(
        self,
        initial: np.ndarray,
        parameter: np.ndarray,
        *,
        points: int | None = None,
        dt: float | None = None,
        order: int = 4,
    ) -> np.ndarray:
        """Carry (cases, members, *grid, C) to the output times: (cases, members, time, *grid, C)."""
        step, times = self.dataset.dt if dt is None else dt, tuple(self.dataset.times.tolist())
        program = _solve_program(self.task, self.config, times, points, step, order)
        return np.asarray(program(initial, np.asarray(parameter, np.float32)))

    def draw(self, region: Region, sample: Callable[..., np.ndarray] | None = None) -> np.ndarray:
        """Draw ensembles (cases, members, time, *grid, C) by ``sample(key, n, condition)``, or the generator's."""
        members, count = self.config.compare.members, len(region.truths)
        seen = self.task.condition(self.config, region.cases)
        given = {name: np.repeat(value, members, axis=0) for name, value in seen.items()}
        fields = (sample or self.trained.sample)(jax.random.key(self.config.compare.seed), count * members, given)
        return fields.reshape(count, members, *fields.shape[1:])

    def hold(self, region: Region, ensembles: np.ndarray, **more: Any) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Hold ensembles against a region's truths and exact posteriors."""
        asked, system = self.config.compare, self.task.system(self.config, 1.0)
        return compare_forecast(
            ensembles,
            region.reference,
            region.truths,
            times=self.dataset.times.tolist(),
            channels=system.channels,
            extent=system.grid.extent,
            draws=min(asked.draws, max(_DRAWS, int(np.ceil(len(DISTANCES) / asked.level)))),
            resamples=asked.resamples,
            level=asked.level,
            resolved=asked.resolved,
            seed=asked.seed,
            **more,
        )

    def held(self, region: Region) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Hold the generator against a region, its defects too."""
        cases, generator = region.cases, self.draw(region)
        own = region.reference[:, : self.config.compare.members]
        (x,) = self.task.prior(self.config).grid.coordinates()
        return self.hold(
            region,
            generator,
            residuals={"defect": (self.defects(generator, cases.parameter), self.defects(own, cases.parameter))},
            observations=(np.asarray(x)[cases.points], cases.values),
            case_labels=[f"{self.task.parameter} {value:.3g}" for value in cases.parameter],
            progress=lambda done, total, what: self.report(done, total, f"{region.label}: {what}"),
        )

    def defects(self, ensembles: np.ndarray, parameter: np.ndarray) -> np.ndarray:
        """Root mean square defect of each trajectory, by the solver and step that made the data."""
        dt = self.dataset.dt
        steps = round(float(np.diff(self.dataset.times)[0]) / dt)

        def one(trajectory: Any, value: Any) -> Any:
            system = self.task.system(self.config, value)
            pairs = jax.vmap(lambda a, b: defect(system, a, b, dt, steps=steps))
            return (pairs(trajectory[:-1], trajectory[1:]) ** 2).mean() ** 0.5

        flat = ensembles.reshape(-1, *ensembles.shape[2:])
        return np.asarray(jax.jit(jax.vmap(one))(flat, np.repeat(np.float32(parameter), ensembles.shape[1])))

    def cost(self, region: Region, own: dict[str, Any], seconds: dict[str, float]) -> dict[str, Any]:
        """Time the generator, and search the cheapest solver whose ensembles come as close to the posterior."""
        asked, cases = self.config.compare, region.cases
        members, key = asked.members, jax.random.fold_in(jax.random.key(asked.seed), 2)
        samples, fine = len(region.truths) * members, self.task.prior(self.config).grid
        generator = timed(lambda: self.draw(region), repeats=asked.repeats)[1] / samples
        begin, conditioning = timed(lambda: self.posterior(cases, members, key), repeats=asked.repeats)

        def make(setting: Setting) -> tuple[np.ndarray, float]:
            coarse = self.task.system(self.config, 1.0, setting["points"]).grid
            start = _every(begin, 2, fine, coarse)
            run = partial(self.solve, start, cases.parameter, **setting)
            fields, spent = timed(run, repeats=asked.repeats)
            return _every(fields, 3, coarse, fine), (spent + conditioning) / samples

        def hold(ensembles: np.ndarray) -> dict[str, Any]:
            return self.hold(region, ensembles)[0]["distances"]

        tried = settings(self.config.data.points[0], self.dataset.dt)
        rows = search(tried if asked.search else tried[:1], make, hold, own, self.report)
        return cost_section(
            generator=generator,
            carry=0.0,
            reference=rows[0],
            rows=rows,
            data=seconds["data"],
            training=seconds["training"],
        )


@lru_cache(maxsize=32)
def _solve_program(
    task: Forecast, config: ExperimentConfig, times: tuple[float, ...], points: int | None, dt: float, order: int
) -> Any:
    """Compile the solver of a batch of ensembles once for each setting."""
    solver = {2: ETDRK2(), 4: ETDRK4()}[order]

    def one(u0: Any, value: Any) -> Any:
        return solve(task.system(config, value, points), u0, np.asarray(times), dt=dt, solver=solver)

    return jax.jit(jax.vmap(jax.vmap(one, in_axes=(0, None))))


@lru_cache(maxsize=4)
def _posterior_program(task: Forecast, config: ExperimentConfig) -> Any:
    """Compile the posterior draws of a batch of cases once."""
    told, prior = task.told(config), task.prior(config)

    def one(points: Any, values: Any, keys: Any) -> Any:
        given = prior.condition(points[:, None], values[:, None], told.noise)
        return jax.vmap(given.sample)(keys)

    return jax.jit(jax.vmap(one))


def _every(fields: np.ndarray, axes: int, have: Any, want: Any) -> np.ndarray:
    """Bring fields with ``axes`` leading axes to another grid."""
    flat = on_grid(fields.reshape(-1, *fields.shape[axes:]), have, want)
    return flat.reshape(*fields.shape[:axes], *flat.shape[1:])
