"""The exact posterior of an observed initial field, and the solver from there.

The initial field is Gaussian, so given noisy point observations it is Gaussian still, with known mean and covariance
(Journel and Huijbregts 1978); the solver turns draws from it into an ensemble that no forecast can better.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import jax
import numpy as np
from jax import Array

from experiments.evaluation.cost import Candidate
from experiments.tasks.observations import Observed
from physics import ETDRK2, ETDRK4, defect, resample, solve
from physics.grid import Grid
from physics.random_fields import GaussianField
from physics.system import System

_SOLVERS = {2: ETDRK2(), 4: ETDRK4()}


class GaussianPosterior:
    """Ensembles of a system with one parameter, from exact draws of its initial field.

    Args:
        system: ``(parameter, points=None) -> physics.System``, on the data's grid or on one of ``points`` points.
        prior: distribution of the initial field, a ``physics.GaussianField``.
        noise: standard deviation of the observations' errors, in the unit of the field.
        times: of the output.
        dt: step of the solver that made the data.
    """

    def __init__(self, system: Callable[..., System], prior: GaussianField, noise: float, times: np.ndarray, dt: float):
        self.prior, self._system, self._times, self._dt = prior, system, np.asarray(times), dt
        self.x = np.asarray(prior.grid.coordinates()[0], np.float32)

        def given(points: Array, values: Array, keys: Array) -> Array:
            return jax.vmap(prior.condition(points[:, None], values[:, None], noise).sample)(keys)

        @cache
        def solver_layer(points: int | None, step: float, order: int) -> Callable[..., Array]:
            def one(u0: Array, value: Array) -> Array:
                return solve(system(value, points), u0, self._times, dt=step, solver=_SOLVERS[order])

            return jax.jit(jax.vmap(jax.vmap(one, in_axes=(0, None))))

        def mismatch(trajectory: Array, value: Array) -> Array:
            steps = round(float(np.diff(self._times)[0]) / dt)
            pairs = jax.vmap(lambda a, b: defect(system(value), a, b, dt, steps=steps))
            return (pairs(trajectory[:-1], trajectory[1:]) ** 2).mean() ** 0.5

        self._given, self._solver_layer = jax.jit(jax.vmap(given)), solver_layer
        self._mismatch = jax.jit(jax.vmap(jax.vmap(mismatch, in_axes=(0, None))))
        self._free = jax.jit(jax.vmap(prior.sample))

    def draw(self, cases: Observed, members: int, key: Array) -> np.ndarray:
        """Draw initial fields from the posterior of every case, (cases, members, *grid, c)."""
        keys = jax.random.split(key, (len(cases.parameter), members))
        return np.asarray(self._given(self.x[cases.points], cases.values, keys))

    def prior_fields(self, cases: int, members: int, key: Array) -> np.ndarray:
        """Draw initial fields whatever was observed, (cases, members, *grid, c)."""
        fields = np.asarray(self._free(jax.random.split(key, cases * members)))
        return fields.reshape(cases, members, *fields.shape[1:])

    def solve(
        self,
        initial: np.ndarray,
        parameter: np.ndarray,
        *,
        points: int | None = None,
        dt: float | None = None,
        order: int = 4,
    ) -> np.ndarray:
        """Advance (cases, members, *grid, c) to the output times, (cases, members, time, *grid, c)."""
        program = self._solver_layer(points, self._dt if dt is None else dt, order)
        return np.asarray(program(initial, np.asarray(parameter, np.float32)))

    def defects(self, ensembles: np.ndarray, parameter: np.ndarray) -> np.ndarray:
        """Root mean square defect of each trajectory by the solver and step that made the data, (cases, members)."""
        return np.asarray(self._mismatch(ensembles, np.asarray(parameter, np.float32)))

    def candidates(self, cases: Observed, members: int, key: Array) -> list[Candidate]:
        """Return the solver that made the data, then coarser grids, larger steps and a lower order.

        Each draws from the posterior, carries the draws on its own grid and interpolates the outcome.
        """
        fine = self.prior.grid

        def candidate(points: int, dt: float, order: int) -> Candidate:
            coarse = self._system(1.0, points).grid
            restrict, interpolate = _resampler(fine, coarse, 2), _resampler(coarse, fine, 3)

            def make() -> np.ndarray:
                start = restrict(self.draw(cases, members, key))
                return interpolate(self.solve(start, cases.parameter, points=points, dt=dt, order=order))

            return Candidate({"points": points, "dt": dt, "order": order}, make)

        (size,) = fine.shape
        return [
            candidate(size, self._dt, 4),
            *(
                candidate(size // coarser, factor * self._dt, order)
                for coarser in (4, 2, 1)
                for order, factor in ((4, 2.5), (4, 5.0), (2, 1.0), (2, 5.0))
            ),
        ]


def _resampler(have: Grid, want: Grid, axes: int) -> Callable[[np.ndarray], np.ndarray]:
    """Interpolate fields with ``axes`` leading axes by their Fourier series; compiled once, at the first call."""
    if have == want:
        return lambda fields: fields

    def one(field: Array) -> Array:
        return resample(field, have, want)

    for _ in range(axes):
        one = jax.vmap(one)
    program = jax.jit(one)
    return lambda fields: np.asarray(program(fields))
