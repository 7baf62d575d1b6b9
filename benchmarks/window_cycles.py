"""Cycles of data assimilation by Laplace's approximation over a sliding window; ``data_assimilation.py`` measures them.

At every cycle the posterior of the state at the beginning of a window is approximated, given the observations of that
window and a normal prior with the climatological mean and covariance. There is no background from earlier cycles, and
so nothing to inflate. Earlier cycles are used in one way alone: their modes, advanced to the beginning of the new
window, are among the starts from which modes are searched. The other starts are proposals, by a generator or from the
prior.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from physics import InverseProblem, Lorenz96, laplace_modes
from physics.inference.laplace_mixture import Modes, systematic

SIZE, STEP, FORCING = 40, 0.05, float(Lorenz96().forcing)


def model_step(x: Float[Array, "*batch 40"]) -> Float[Array, "*batch 40"]:
    """Advance Lorenz-96 by the classical Runge-Kutta method with a step of 0.05, which is DAPPER's model.

    The ring is continued by as many sites as a step reads, once, so that its stages are sums of slices: five times as
    fast as shifts at every stage.
    """
    ring = jnp.concatenate([x[..., -8:], x, x[..., :4]], axis=-1)

    def slope(x: Array) -> Array:
        return (x[..., 3:] - x[..., :-3]) * x[..., 1:-2] - x[..., 2:-1] + FORCING

    first = slope(ring)
    inner = ring[..., 2:-1]
    second = slope(inner + STEP / 2 * first)
    inner = inner[..., 2:-1]
    third = slope(inner + STEP / 2 * second)
    inner = inner[..., 2:-1]
    fourth = slope(inner + STEP * third)
    mean = (first[..., 6:-3] + 2 * second[..., 4:-2] + 2 * third[..., 2:-1] + fourth) / 6
    return inner[..., 2:-1] + STEP * mean


def trajectory(x: Float[Array, "*batch 40"], steps: int) -> Float[Array, "steps *batch 40"]:
    """Return the states after every step."""

    def one(x: Array, _: None) -> tuple[Array, Array]:
        x = model_step(x)
        return x, x

    return jax.lax.scan(one, x, None, length=steps)[1]


@lru_cache(maxsize=1)
def attractor(count: int = 4096, seed: int = 0) -> np.ndarray:
    """Return states (count, 40) after 20 units of time from the system's own initial fields."""
    starts = jax.vmap(Lorenz96().sample_initial)(jax.random.split(jax.random.key(seed), count))[..., 0]
    return np.asarray(jax.jit(lambda x: trajectory(x, 400)[-1])(starts))


@dataclass(frozen=True)
class Climate:
    """Mean and covariance of Lorenz-96, the same at every site, and states as standard normal numbers.

    Attributes:
        mean: of every site.
        covariance: (40, 40), of every pair of sites; it depends on their distance alone.
        root: (40, 40), symmetric square root of the covariance, by which white noise becomes states. Shifts of the ring
            are shifts of the unknowns.
    """

    mean: float
    covariance: np.ndarray
    root: np.ndarray

    @classmethod
    def of(cls, states: Float[np.ndarray, "n 40"]) -> Climate:
        """Take mean and spectrum from states."""
        mean = float(states.mean(dtype=np.float64))
        power = (np.abs(np.fft.fft(np.asarray(states, np.float64) - mean, axis=1)) ** 2).mean(axis=0) / SIZE
        power = 0.5 * (power + np.roll(power[::-1], 1))

        def circulant(spectrum: np.ndarray) -> np.ndarray:
            row = np.fft.ifft(spectrum).real
            return np.stack([np.roll(row, shift) for shift in range(SIZE)])

        return cls(mean, circulant(power), circulant(np.sqrt(power)))

    def unknowns(self, states: Float[np.ndarray, "*batch 40"]) -> np.ndarray:
        """States as standard normal numbers."""
        return np.asarray((states - self.mean) @ np.linalg.inv(self.root), np.float32)

    def states(self, unknowns: Float[Array, "*batch 40"]) -> Array:
        """Standard normal numbers as states."""
        return self.mean + unknowns @ jnp.asarray(self.root, jnp.float32)


@dataclass(frozen=True)
class Window:
    """What is observed, and over how many observation times a window reaches.

    Attributes:
        gap: time between observations.
        count: observation times of a window; its state is sought one gap before the first.
        every: one site of so many is observed.
        observed: ``value`` or ``magnitude``.
        noise: standard deviation of every observation's error.
    """

    gap: float
    count: int
    every: int
    observed: str
    noise: float = 1.0

    @property
    def steps(self) -> int:
        """Steps of the model between observations."""
        return round(self.gap / STEP)

    @property
    def sites(self) -> np.ndarray:
        """Sites that are observed."""
        return np.arange(0, SIZE, self.every)

    def seen(self, states: Float[Array, "*batch 40"]) -> Array:
        """What is observed of states, without noise."""
        found = states[..., self.sites]
        return jnp.abs(found) if self.observed == "magnitude" else found

    def problem(self, climate: Climate) -> InverseProblem:
        """The posterior of the state at the window's beginning; simulated are the states at the observation times."""

        def simulate(unknowns: Array) -> Array:
            return trajectory(climate.states(unknowns), self.steps * self.count)[self.steps - 1 :: self.steps]

        return InverseProblem(SIZE, simulate, lambda states: self.seen(states).reshape(-1), self.noise)


@dataclass(frozen=True)
class Finishing:
    """How modes are searched at every cycle.

    Attributes:
        carried: modes of the cycle before from which the search begins.
        parts: growing shares of the window for fresh proposals.
        iterations: of every part, for fresh proposals.
        last: iterations over the whole window, for all starts.
        members: that are drawn from the mixture.
        tangent: whether draws are carried to the end of the window by the tangent of the model about their mode, and
            not by the model itself.
    """

    carried: int = 8
    parts: tuple[float, ...] = (0.5, 0.75, 1.0)
    iterations: int = 2
    last: int = 3
    members: int = 40
    tangent: bool = False


def assimilate(
    window: Window,
    climate: Climate,
    observed: Float[np.ndarray, "seeds cycles m"],
    proposals: Callable[[int], np.ndarray],
    key: Array,
    finishing: Finishing,
) -> tuple[np.ndarray, np.ndarray]:
    """Return analysis ensembles for every cycle from the first full window on.

    Args:
        window: what is observed.
        climate: of the prior.
        observed: of every truth; all truths are carried along together.
        proposals: ``first observation -> unknowns (seeds, proposals, 40)`` at the beginning of the window.
        key: random key of the draws.
        finishing: settings.

    Returns:
        Members (seeds, windows, members, 40) at the last observation time of every window, and the effective number of
        modes (seeds, windows), exp of the entropy of their weights.
    """
    problem, root = window.problem(climate), jnp.asarray(np.linalg.inv(climate.root), jnp.float32)

    @jax.jit
    def drawn(modes: Modes, key: Array) -> Array:
        """Members that are drawn at the beginning of the window and advanced by the model."""
        last = jax.vmap(jax.vmap(lambda one: problem.simulate(one)[-1]))
        best = jnp.take_along_axis(modes.minima, jnp.argmax(modes.log_weight, axis=1)[:, None, None], axis=1)
        # Far out in a wide mode the explicit steps may blow up; there the best mode itself stands in.
        found = last(modes.draw(finishing.members, key))
        return jnp.where(jnp.isfinite(found).all(axis=-1, keepdims=True), found, last(best))

    def twice(theta: Array) -> tuple[Array, Array]:
        end = problem.simulate(theta)[-1]
        return end, end

    tangent = jax.jacfwd(twice, has_aux=True)

    @jax.jit
    def carried_by_tangent(modes: Modes, key: Array) -> Array:
        """Draws of every mode's normal distribution, carried to the end of the window by the tangent of the model.

        A draw at the beginning fits the observations to first order only. Chaos amplifies what it misses, so that the
        draws' spread at the end, advanced by the model, exceeds what the observations leave open about one mode.
        """

        def one_mode(minimum: Array, root: Array) -> tuple[Array, Array]:
            slope, end = tangent(minimum)
            return end, jax.scipy.linalg.solve_triangular(root, slope.T, lower=True)

        def one_case(case: tuple[Modes, Array]) -> Array:
            modes, key = case
            usable = jnp.isfinite(modes.log_weight)
            # A start whose simulation failed has no weight; its place is taken by finite numbers.
            minima = jnp.where(usable[:, None], modes.minima, 0.0)
            root = jnp.where(usable[:, None, None], modes.root, jnp.eye(SIZE))
            end, deviations = jax.vmap(one_mode)(minima, root)
            chosen = systematic(modes.log_weight, finishing.members, key)
            normal = jax.random.normal(jax.random.fold_in(key, 1), (finishing.members, SIZE))
            return end[chosen] + jnp.einsum("mk,mkx->mx", normal, deviations[chosen])

        return jax.lax.map(one_case, (modes, jax.random.split(key, len(modes.minima))))

    @jax.jit
    def next_starts(minima: Array, log_weight: Array) -> Array:
        best = jnp.argsort(-log_weight, axis=1)[:, : finishing.carried]
        kept = jnp.take_along_axis(minima, best[..., None], axis=1)
        return (trajectory(climate.states(kept), window.steps)[-1] - climate.mean) @ root

    @jax.jit
    def modes_in_use(log_weight: Array) -> Array:
        share = jax.nn.softmax(log_weight, axis=1)
        return jnp.exp(jnp.sum(jax.scipy.special.entr(share), axis=1))

    carried, found, used = None, [], []
    for first in range(observed.shape[1] - window.count + 1):
        seen = observed[:, first : first + window.count].reshape(len(observed), -1)
        starts = proposals(first)
        if starts.shape[1]:
            fresh = laplace_modes(problem, seen, starts, iterations=finishing.iterations, parts=finishing.parts)
            starts = np.asarray(fresh.minima)
        if carried is not None and finishing.carried:
            starts = np.concatenate([starts, np.asarray(carried)], axis=1)
        modes = laplace_modes(problem, seen, starts, iterations=finishing.last)
        ensemble = carried_by_tangent if finishing.tangent else drawn
        found.append(np.asarray(ensemble(modes, jax.random.fold_in(key, first))))
        used.append(np.asarray(modes_in_use(modes.log_weight)))
        carried = next_starts(modes.minima, modes.log_weight)
    return np.stack(found, axis=1), np.stack(used, axis=1)
