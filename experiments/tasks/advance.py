"""Fields advanced by the solver: as the generator's last layer, in a refinement, in a picture, on other grids."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

CHUNK = 512
"""Fields that are advanced at once, which bounds the memory."""
_BLOCKS = (100, 10, 1)
_FRAMES = 200


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
    system: Any, dt: float, solver: Any = None, *, chunk: int = CHUNK
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


def evolution(
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
