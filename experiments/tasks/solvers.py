"""Solvers that are cheaper than the one that made the data, among which the strongest rival is searched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING

import numpy as np

from experiments.config import ExperimentConfig
from experiments.evaluation.varying import JoinedFields, joined, nearest_free, parted, walks
from experiments.tasks.advance import CHUNK, ByValue, initial_fields, on_grid, refiner
from experiments.tasks.equation import homogeneous
from experiments.tasks.varying import Varying

if TYPE_CHECKING:
    from diffrax import AbstractSolver

    from experiments.tasks.solver_task import SolverData
    from physics.system import System

TRAJECTORIES = 128
"""Trajectories along which fields are taken."""


@dataclass(frozen=True)
class SolverSetting:
    """One way to make fields that is cheaper than the reference.

    Attributes:
        start: "gaussian" (fields with the data's spectrum), "initial" (the system's own initial fields) or "bank"
            (training fields moved by a random symmetry; where parameters vary, those of the nearest ones).
        points: along each axis; None for those of the data.
        dt: step of the solver; None for that of the data.
        order: of the exponential Runge-Kutta method; None for the solver that made the data.
        spin_up: solver time from the start to the first field.
        stride: solver time between fields of one trajectory, of which there are then few; None for one field of each.
        finish: solver time at the end, on the grid of the data with their step.
    """

    start: str
    points: int | None
    dt: float | None
    order: int | None
    spin_up: float
    stride: float | None = None
    finish: float = 0.0


@dataclass(frozen=True)
class Solvers:
    """Makes fields by solver settings that are cheaper than the reference.

    Attributes:
        system: ``(config, points=None) -> physics.System``, on the configured grid or on another one.
        config: of the run.
        dataset: of the run.
        varying: the parameters that vary from field to field; every field is made with those asked for.
    """

    system: Callable[..., System]
    config: ExperimentConfig
    dataset: SolverData
    varying: Varying

    def fields(self, setting: SolverSetting, n: int) -> np.ndarray:
        """Return ``n`` fields on the reference grid; programs are compiled at the first call.

        Where parameters vary, a trajectory along which fields are taken goes on under the next ones that are asked for
        after each field, those of one trajectory being near to one another.
        """
        begin = self._begun(setting, n)
        if setting.spin_up > 0:
            begin = self._advance(setting, n)(begin, setting.spin_up)
        return self._along(setting, n, begin, first=0)

    def further(self, setting: SolverSetting) -> Callable[[int], np.ndarray] | None:
        """Return what makes as many fields again along the trajectories of a setting; None without a stride.

        It does the work that further fields cost, a stride and a finish for each. Its trajectories are not spun up,
        which changes nothing in the time, and where they start is made once, at the first call.
        """
        if not setting.stride:
            return None
        begun = lru_cache(maxsize=1)(partial(self._begun, setting))
        return lambda n: self._along(setting, n, begun(n), first=1)

    def _coarse(self, setting: SolverSetting) -> System:
        system = self.system(self.config)
        return system if setting.points is None else self.system(self.config, setting.points)

    def _members(self, setting: SolverSetting, n: int) -> int:
        """Return the number of trajectories; without a stride every field has one of its own."""
        return min(n, TRAJECTORIES) if setting.stride else n

    def _asked(self, setting: SolverSetting, n: int) -> np.ndarray:
        """Return the parameters of all fields, (visits, trajectories, k)."""
        members = self._members(setting, n)
        asked = self.varying.draw(-(-n // members) * members, self.config.compare.seed + 1)
        return np.moveaxis(asked[walks(asked, members)], 1, 0)

    def _advance(self, setting: SolverSetting, n: int) -> Callable[[np.ndarray, float], np.ndarray]:
        from physics import ETDRK2, ETDRK4

        solver = {None: None, 2: ETDRK2(), 4: ETDRK4()}[setting.order]
        dt = self.dataset.dt if setting.dt is None else setting.dt
        chunk = min(self._members(setting, n), CHUNK)
        return _shared_refiner(ByValue(self._coarse(setting)), dt, solver, chunk, self.varying.names)

    def _begun(self, setting: SolverSetting, n: int) -> np.ndarray:
        """Return where the trajectories start, on their own grid."""
        begin = self._begin(setting.start, self._members(setting, n), self._asked(setting, n)[0])
        return on_grid(begin, self.system(self.config).grid, self._coarse(setting).grid)

    def _along(self, setting: SolverSetting, n: int, begin: np.ndarray, first: int) -> np.ndarray:
        """Return ``n`` fields along trajectories, from their visit number ``first`` on, with their finish."""
        system, names = self.system(self.config), self.varying.names
        advance, asked, taken = self._advance(setting, n), self._asked(setting, n), [begin]
        while (len(taken) - first) * len(begin) < n:
            fields, _ = parted(taken[-1], len(names))
            taken.append(advance(joined(fields, asked[len(taken) % len(asked)]), setting.stride or 0.0))
        fields = on_grid(np.concatenate(taken[first:])[:n], self._coarse(setting).grid, system.grid)
        if setting.finish > 0:
            fields = _shared_refiner(ByValue(system), self.dataset.dt, None, CHUNK, names)(fields, setting.finish)
        return fields

    def _begin(self, start: str, count: int, asked: np.ndarray) -> np.ndarray:
        from experiments.evaluation.gaussian_fields import gaussian_fields
        from experiments.evaluation.snapshot_inputs import moved
        from gan import ArraySymmetries

        names, system = self.varying.names, self.system(self.config)
        training = self.varying.training(self.dataset, system.field_shape)
        seed = self.config.compare.seed + 1
        if start == "bank":
            if isinstance(training, JoinedFields):
                chosen = nearest_free(training.logarithms, asked)
                kept = joined(training.fields[chosen], asked)
            else:
                chosen = np.random.default_rng((seed, 7)).choice(len(training), count, replace=count > len(training))
                kept = np.asarray(training[chosen])
            return moved(kept, ArraySymmetries.of(system.symmetries, len(names)), seed)
        if start == "initial":
            import jax

            return initial_fields(system, count, jax.random.key(seed), names, asked)
        known = training[np.linspace(0, len(training) - 1, min(len(training), 4096)).astype(int)]
        return gaussian_fields(known, count, seed=seed, homogeneous=homogeneous(system), asked=asked)


def along_trajectories(config: ExperimentConfig) -> list[SolverSetting]:
    """Return solvers that any system has: stored fields advanced, and fields taken along few trajectories.

    Beside them Gaussian fields, advanced for a while. For systems whose fields come from one invariant measure the
    fields along trajectories are the strong ones: after the spin-up a field costs a stride. Where the distribution
    changes with time only the stored fields can be as good.
    """
    dt, tau = config.data.dt, config.solver_layer.tau
    spin_up, stride = config.data.spin_up or 200 * dt, config.data.stride or 50 * dt
    # What is easily distinguished is no rival of a good generator, and the rival of a bad one.
    gaussian = [SolverSetting("gaussian", None, dt, None, share * spin_up) for share in (0.0, 0.05, 0.25)]
    bank = [SolverSetting("bank", None, step, None, tau or 10 * dt) for step in (dt, 2 * dt)]
    strides = [
        SolverSetting("initial", None, step, None, spin_up, share * stride)
        for step in (dt, 2 * dt)
        for share in (0.25, 1.0)
    ]
    return [*gaussian, *bank, *strides]


@lru_cache(maxsize=64)
def _shared_refiner(
    known: ByValue, dt: float, solver: AbstractSolver | None, chunk: int, parameters: tuple[str, ...]
) -> Callable[[np.ndarray, float], np.ndarray]:
    """Keep the compiled programs of a solver between calls."""
    return refiner(known.system, dt, solver, parameters=parameters, chunk=chunk)
