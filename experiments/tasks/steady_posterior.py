"""Task ``steady_posterior``: the log permeability of a box and the pressure in it, given noisy pressures at sensors.

The log permeability is a Gaussian field of a few Karhunen-Loeve functions, whose coefficients are the unknowns:
independent standard normal numbers. The steady solver makes the pressure. What posteriors share is in
`experiments.tasks.posterior_task`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from experiments.config import ExperimentConfig, PairsConfig
from experiments.errors import UserError
from experiments.estimate import MOST_BYTES
from experiments.export import Fields
from experiments.reporting import Report
from experiments.tasks.posterior_programs import in_chunks
from experiments.tasks.posterior_task import (
    APART,
    ObservationConfig,
    Planned,
    Posed,
    PosteriorTask,
    Solver,
    function_observed,
)
from experiments.tasks.snapshot import AXES
from gan.settings import setting, show

if TYPE_CHECKING:
    from jax import Array

    from physics.data.steady_samplers import LogNormalDarcy
    from physics.grid import Grid
    from physics.inference.inverse_problem import InverseProblem

CHANNELS = ("log_permeability", "pressure")
_EXACT = 1e-5
"""Tolerance of the solver that makes the data in single precision."""
_MOST_CELLS = 2**13
"""Cells of which the Karhunen-Loeve functions can be computed."""


@dataclass(frozen=True)
class SteadyPosteriorConfig(ObservationConfig):
    """What is unknown, and what is observed of it."""

    terms: int = setting(16, "Karhunen-Loeve functions of the log permeability", minimum=1, maximum=4096)
    std: float = setting(1.0, "standard deviation of the log permeability, before it is cut off", above=0)
    length: float = setting(0.3, "correlation length of the log permeability", "length", above=0)
    sensors: int = setting(3, "sensors along each axis, evenly spaced", minimum=1, maximum=512)


class Pairs(NamedTuple):
    """Permeabilities and pressures of one split, (n, *grid, 1) each."""

    permeability: np.ndarray
    pressure: np.ndarray


@dataclass(frozen=True)
class SteadySplits:
    """Certified pairs, split.

    Attributes:
        path: the entry of the cache.
        description: certificate, and the seconds that the pairs took.
        splits: by name.
    """

    path: Path
    description: Mapping[str, object]
    splits: Mapping[str, Pairs]


@dataclass(frozen=True)
class SteadyPosterior(PosteriorTask[SteadySplits]):
    """The task for steady flow through rock of log-normal permeability.

    Attributes:
        sampler: ``config -> physics.LogNormalDarcy`` on the grid of the section ``data``.
    """

    sampler_of: Callable[[ExperimentConfig], LogNormalDarcy]

    def own_settings(self, config: ExperimentConfig) -> SteadyPosteriorConfig:
        """Return the section ``system``, which is this task's own."""
        assert isinstance(config.system, SteadyPosteriorConfig)
        return config.system

    def pairs(self, config: ExperimentConfig) -> PairsConfig:
        """Return the section ``data``, which is this task's own."""
        assert isinstance(config.data, PairsConfig)
        return config.data

    def sizes(self, config: ExperimentConfig) -> tuple[int, int]:
        """Return the count of the unknowns, and of the sensors."""
        own = self.own_settings(config)
        return own.terms, own.sensors ** len(self.pairs(config).points)

    def check(self, config: ExperimentConfig) -> None:
        """Refuse what neither the task nor its comparison could use, and data that no disk holds."""
        own, data = self.own_settings(config), self.pairs(config)
        cells = math.prod(data.points)
        if cells > _MOST_CELLS:
            raise UserError(
                f"--data.points {show(data.points)} are {cells} cells, and Karhunen-Loeve functions can be computed of "
                f"at most {_MOST_CELLS}: take fewer."
            )
        if own.terms > cells:
            raise UserError(f"--system.terms {own.terms} are more than the {cells} cells hold: take fewer functions.")
        if own.sensors > min(data.points):
            raise UserError(
                f"--system.sensors {own.sensors} are more than the {min(data.points)} cells along an axis: take fewer."
            )
        self._check_wells(config)
        taken = config.training.batch * config.game.critic_steps
        if data.pairs[0] < taken:
            raise UserError(
                f"--training.batch {config.training.batch} takes {taken} samples for one update, but --data.pairs "
                f"makes only {data.pairs[0]} to train on: make more, or choose a smaller batch."
            )
        if (stored := 8 * cells * sum(data.pairs)) > MOST_BYTES:
            raise UserError(
                f"--data.points {show(data.points)} and --data.pairs {show(data.pairs)} make {stored / 1e9:.2g} GB, "
                f"more than {MOST_BYTES / 1e9:.0e}: make fewer or smaller ones."
            )
        self.check_comparison(config, data.pairs[2], "pairs")

    def _check_wells(self, config: ExperimentConfig) -> None:
        """Refuse a grid whose wells the cheaper solvers, on half its cells along each axis, would change."""
        from physics import corner_wells

        data, grid = self.pairs(config), self.sampler_of(config).grid
        try:
            shares = [float((corner_wells(one) > 0).mean()) for one in (grid, _coarser(grid, 2))]
        except ValueError as error:
            raise UserError(f"--data.points {show(data.points)} do not hold the wells: {error}") from None
        if not math.isclose(*shares):
            raise UserError(
                f"--data.points {show(data.points)} hold wells of {shares[0]:.3g} of the box, and half as many cells "
                f"wells of {shares[1]:.3g}: choose a multiple of 16 along each axis."
            )

    def data(self, config: ExperimentConfig, report: Report) -> SteadySplits:
        """Make or find the pairs."""
        from physics import SteadyLimits, generate_steady

        settings = self.pairs(config)
        made = generate_steady(
            self.sampler_of(config),
            sum(settings.pairs),
            seed=settings.seed,
            limits=SteadyLimits(grid_error=settings.grid_error, pairs=64),
            progress=report,
        )
        ends = np.cumsum(settings.pairs)
        parameters, fields = (np.split(whole, ends[:-1]) for whole in (made.parameters, made.fields))
        described = {"certificate": made.certificate, "seconds": made.seconds}
        splits = zip(("train", "validation", "test"), map(Pairs, parameters, fields))
        return SteadySplits(made.path, described, dict(splits))

    def with_fresh_test(
        self, config: ExperimentConfig, dataset: SteadySplits, seed: int, report: Report
    ) -> tuple[ExperimentConfig, SteadySplits]:
        """Make new test pairs; those of the other splits stay."""
        own = replace(config, data=replace(config.data, seed=seed))
        *_, tests = self.pairs(config).pairs
        fresh = self.data(replace(own, data=replace(own.data, pairs=(1, 1, tests))), report)
        return own, replace(dataset, splits={**dataset.splits, "test": fresh.splits["test"]})

    def unknowns(self, config: ExperimentConfig, dataset: SteadySplits, split: str) -> np.ndarray:
        """Return the true coefficients (n, terms) of a split."""
        logarithm = np.log(dataset.splits[split].permeability)
        return self.sampler_of(config).log_permeability.coefficients(logarithm).astype(np.float32)

    def exact(self, config: ExperimentConfig, dataset: SteadySplits, split: str) -> np.ndarray:
        """Return what the sensors read of the pressures of a split without noise, (n, sensors)."""
        return np.asarray(self.seen(config, dataset.splits[split].pressure))

    def truths(self, config: ExperimentConfig, dataset: SteadySplits, count: int) -> np.ndarray:
        """Return log permeability and pressure of the first test cases, (count, 1, *grid, 2)."""
        permeability, pressure = (one[:count] for one in dataset.splits["test"])
        return np.concatenate([np.log(permeability), pressure], axis=-1)[:, None]

    def places(self, config: ExperimentConfig) -> np.ndarray:
        """Return the sensors' places (sensors, axes), evenly spaced in the box, half a spacing from its walls."""
        own = self.own_settings(config)
        along = [(np.arange(own.sensors) + 0.5) / own.sensors * length for length in self.pairs(config).extent]
        return np.stack([x.ravel() for x in np.meshgrid(*along, indexing="ij")], axis=-1)

    def seen(self, config: ExperimentConfig, pressure: Array | np.ndarray) -> Array:
        """Return what the sensors read of pressures (..., *grid, 1) on this or a coarser grid, (..., sensors)."""
        import jax.numpy as jnp

        data = self.pairs(config)
        axes = len(data.points)
        found, sensors = jnp.asarray(pressure)[..., 0], self.own_settings(config).sensors
        for axis in range(-axes, 0):
            weights = jnp.asarray(_interpolation(sensors, found.shape[axis]), found.dtype)
            product = jnp.tensordot(found, weights, axes=[[axis], [1]], precision="highest")
            found = jnp.moveaxis(product, -1, axis)
        flat = found.reshape((*found.shape[:-axes], -1))
        return function_observed(self.own_settings(config).observed)(flat)

    def predicted(self, config: ExperimentConfig, fields: np.ndarray) -> np.ndarray:
        """Return what would be observed of log permeabilities and pressures (..., 1, *grid, 2)."""
        pressure = np.take(fields, 0, axis=-2 - len(self.pairs(config).points))[..., 1:]
        return np.asarray(self.seen(config, pressure))

    def solved(self, config: ExperimentConfig, dataset: SteadySplits, unknowns: np.ndarray) -> np.ndarray:
        """Return log permeability and pressure of coefficients."""
        return in_chunks(_solver(self, config), np.asarray(unknowns, np.float32))

    def inverse_problem(
        self, config: ExperimentConfig, *, coarsening: int = 1, tolerance: float = _EXACT
    ) -> InverseProblem:
        """Return the problem with the solver that made the data, or with fewer cells and another tolerance."""
        return _inverse_problem(self, config, coarsening, tolerance)

    def identity(self, config: ExperimentConfig) -> dict[str, object]:
        """Return all that the inverse problem depends on, in plain values."""
        from physics.data.description import describe

        own = {name: one for name, one in asdict(self.own_settings(config)).items() if name not in APART}
        return {"sampler": describe(self.sampler_of(config)), "settings": own, "tolerance": _EXACT}

    def solvers(self, config: ExperimentConfig) -> tuple[Solver, ...]:
        """Return the inverse problem; cheaper solvers are less exact, or have half the cells along each axis."""
        cells = self.pairs(config).points[0]
        return tuple(
            Solver(
                {"cells": cells // coarsening, "tolerance": tolerance},
                self.inverse_problem(config, coarsening=coarsening, tolerance=tolerance),
            )
            for coarsening, tolerance in ((1, _EXACT), (1, 1e-2), (2, 1e-3), (2, 1e-2))
        )

    def planned(self, config: ExperimentConfig) -> Planned:
        """Return solvers, and what makes permeabilities and pressures."""
        solve = _solver(self, config)
        return Planned(
            self.solvers(config),
            lambda unknowns: in_chunks(solve, np.asarray(unknowns, np.float32)),
            sum(self.pairs(config).pairs),
        )

    def posed(self, config: ExperimentConfig, dataset: SteadySplits) -> Posed:
        """Return the inverse problem with what is said of it."""
        from physics import Darcy

        sampler = self.sampler_of(config)
        return Posed(
            name=Darcy.name,
            solvers=self.solvers(config),
            identity=self.identity(config),
            channels=CHANNELS,
            extent=sampler.grid.extent,
            coordinates=tuple(np.asarray(x) for x in sampler.grid.coordinates()),
            times=np.zeros(1),
            within="test pairs",
            labels=tuple(f"case {one + 1}" for one in range(len(dataset.splits["test"].pressure))),
            places=self.places(config),
        )

    def exported(self, config: ExperimentConfig, dataset: SteadySplits, unknowns: np.ndarray, step: int) -> Fields:
        """Return log permeabilities and pressures."""
        grid = self.sampler_of(config).grid
        names = AXES[: grid.ndim]
        coordinates = dict(zip(names, (np.asarray(x) for x in grid.coordinates())))
        values = self.solved(config, dataset, unknowns)[:, 0]
        return Fields(values, ("sample", *names, "channel"), coordinates, CHANNELS, attrs={"step": step})


@lru_cache(maxsize=16)
def _inverse_problem(
    task: SteadyPosterior, config: ExperimentConfig, coarsening: int, tolerance: float
) -> InverseProblem:
    """Keep problems between calls, and with them their compiled programs."""
    from physics import InverseProblem, solve_steady

    own = task.own_settings(config)
    sampler = task.sampler_of(config)
    sampler = sampler.on(_coarser(sampler.grid, coarsening)) if coarsening > 1 else sampler

    def simulate(unknowns: Array) -> Array:
        return solve_steady(sampler.system(sampler.log_permeability.expand(unknowns)), tolerance=tolerance)

    return InverseProblem(own.terms, simulate, partial(task.seen, config), own.noise)


@lru_cache(maxsize=16)
def _solver(task: SteadyPosterior, config: ExperimentConfig) -> Callable[[np.ndarray], Array]:
    import jax
    import jax.numpy as jnp

    from physics import solve_steady

    sampler = task.sampler_of(config)

    def one(unknowns: Array) -> Array:
        logarithm = sampler.log_permeability.expand(unknowns)
        return jnp.concatenate([logarithm, solve_steady(sampler.system(logarithm))], axis=-1)[None]

    return jax.jit(jax.vmap(one))


def _coarser(grid: Grid, factor: int) -> Grid:
    """Return the grid of the same box with fewer cells along each axis."""
    from physics import Grid

    return Grid(tuple(points // factor for points in grid.shape), grid.extent, grid.boundary)


@lru_cache(maxsize=64)
def _interpolation(sensors: int, cells: int) -> np.ndarray:
    """Return the weights (sensors, cells) of linear interpolation from the centres of cells to evenly spaced sensors.

    Where a sensor is nearer to the wall than the first centre, the line through the first two centres goes on.
    """
    place = (np.arange(sensors) + 0.5) / sensors * cells - 0.5
    left = np.clip(np.floor(place).astype(int), 0, cells - 2)
    weights = np.zeros((sensors, cells))
    rows = np.arange(sensors)
    weights[rows, left], weights[rows, left + 1] = 1 - (place - left), place - left
    return weights
