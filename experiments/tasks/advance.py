"""Fields advanced by the solver: as the generator's last layer, in a refinement, in a picture, on other grids."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from diffrax import AbstractSolver
    from jax import Array

    from physics.grid import Grid
    from physics.system import System

CHUNK = 512
"""Fields that are advanced at once, which bounds the memory."""
_NARROW = (4, 64)
"""Widths of chunks of few fields, which a full one would cost far more: a picture follows two."""
_BLOCKS = (100, 10, 1)
_FRAMES = 200


def solver_layer(system: System, steps: int) -> Callable[[Array, object, Array], tuple[Array, Array]]:
    """Return ``(samples, condition, tau) -> (samples, valid)``: the solver over tau in ``steps`` steps."""
    import jax
    import jax.numpy as jnp

    from physics import advance

    def run(samples: Array, condition: object, tau: Array) -> tuple[Array, Array]:
        advanced = jax.vmap(lambda u: advance(system, u, tau / steps, steps, adjoint="stages"))(samples)
        axes = tuple(range(1, advanced.ndim))
        return advanced, jnp.isfinite(advanced).all(axis=axes)

    return run


def initial_fields(system: System, count: int, key: Array) -> np.ndarray:
    """Draw ``count`` of the system's own initial fields."""
    import jax

    return np.asarray(_initial_program(system)(jax.random.split(key, count)))


@lru_cache(maxsize=16)
def _initial_program(system: System) -> Callable[[Array | np.ndarray], Array]:
    """Keep the compiled program between calls, which are timed."""
    import jax

    return jax.jit(jax.vmap(system.sample_initial))


def refiner(
    system: System, dt: float, solver: AbstractSolver | None = None, *, chunk: int = CHUNK
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
    def program(length: float, steps: int) -> Callable[..., Array]:
        def one(u: Array, key: Array | None) -> Array:
            return advance(system, u, length, steps, solver=solver, noise=None if key is None else NoisePath(key))

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
            width = next(one for one in (*_NARROW, chunk) if len(part) <= one <= chunk)
            advanced: Array | np.ndarray = np.concatenate([part, np.repeat(part[-1:], width - len(part), axis=0)])
            for block in blocks:
                keys = jax.random.split(jax.random.key(next(calls)), width) if stochastic else None
                advanced = block(advanced, keys)
            out.append(np.asarray(advanced)[: len(part)])
        return np.concatenate(out)

    return run


def evolution(
    refine: Callable[[np.ndarray, float], np.ndarray], start: np.ndarray, system: System
) -> tuple[np.ndarray, np.ndarray]:
    """Advance fields for a picture in space and time; returns times and (fields, time, *grid, C)."""
    every = 5 * system.recommended_dt
    frames = [start]
    for _ in range(_FRAMES):
        frames.append(refine(frames[-1], every))
    return every * np.arange(_FRAMES + 1), np.stack(frames, axis=1)


def on_grid(fields: np.ndarray, have: Grid, want: Grid) -> np.ndarray:
    """Interpolate fields by their Fourier series."""
    return np.asarray(fields) if have == want else np.asarray(_resampler(have, want)(fields))


@lru_cache(maxsize=64)
def _resampler(have: Grid, want: Grid) -> Callable[[Array | np.ndarray], Array]:
    """Keep the compiled program between calls, which are timed."""
    import jax

    from physics import resample

    return jax.jit(jax.vmap(lambda u: resample(u, have, want)))
