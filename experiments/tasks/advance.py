"""Fields advanced by the solver: as the generator's last layer, in a refinement, in a picture, on other grids.

Where parameters vary from field to field, every member of a batch has its own system (`member`): in training by the
generator's condition, and elsewhere by the parameters with which a field is joined (`experiments.evaluation.varying`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from experiments.evaluation.varying import joined

if TYPE_CHECKING:
    from diffrax import AbstractSolver
    from jax import Array

    from physics.grid import Grid
    from physics.system import System

CHUNK = 512
"""Fields that are advanced at once, at most."""
_NUMBERS = 2**22
"""Numbers that are advanced at once, which bounds the memory: fields in space are advanced in narrower chunks."""
_NARROW = (2, 16, 64)
"""Widths of chunks of few fields, which a full one would cost far more: a picture follows two."""
_PADDING = 1.25
"""By how much a chunk may be wider than the fields need, where a narrower one would be padded less."""
_BLOCKS = (100, 10, 1)
_LINE, _SPACE = (200, 5), (3, 50)
"""Frames of a picture, and recommended steps between them: of a line in space and time, and of a plane or a volume,
of which four moments are shown."""


class ByValue:
    """A system that is equal to another of the same kind, grid and numbers, for caches of compiled programs.

    A system that holds arrays has no hash of its own.
    """

    def __init__(self, system: System) -> None:
        import jax

        leaves, structure = jax.tree.flatten(system)
        arrays = [np.asarray(one) for one in leaves]
        self.system = system
        self._value = (structure, tuple((str(one.dtype), one.shape, one.tobytes()) for one in arrays))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ByValue) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)


def condition_name(parameter: str) -> str:
    """Name of the condition that is the logarithm of a parameter."""
    return f"log_{parameter}"


def member(system: System, joint: Array, parameters: tuple[str, ...]) -> tuple[System, Array]:
    """Return the system of one field, and the field without its parameters.

    Args:
        system: that all fields share but for the values of ``parameters``.
        joint: ``(*grid, c + k)``, joined with the logarithms of its k parameters.
        parameters: their names; none: all fields have the one system.
    """
    if not parameters:
        return system, joint
    import jax.numpy as jnp

    from physics import with_parameters

    values = jnp.exp(joint[(0,) * system.grid.ndim][-len(parameters) :])
    return with_parameters(system, dict(zip(parameters, values))), joint[..., : -len(parameters)]


def solver_layer(
    system: System, steps: int, parameters: tuple[str, ...] = ()
) -> Callable[[Array, Mapping[str, Array], Array], tuple[Array, Array]]:
    """Return ``(samples, condition, tau) -> (samples, valid)``: the solver over tau in ``steps`` steps.

    The values of ``parameters`` are those of each sample's condition, which has their logarithms ``(batch, 1)``.
    """
    import jax
    import jax.numpy as jnp

    from physics import advance, with_parameters

    def run(samples: Array, condition: Mapping[str, Array], tau: Array) -> tuple[Array, Array]:
        values = {name: jnp.exp(condition[condition_name(name)][:, 0]) for name in parameters}

        def one(u: Array, own: dict[str, Array]) -> Array:
            return advance(with_parameters(system, own), u, tau / steps, steps, adjoint="stages")

        advanced = jax.vmap(one)(samples, values)
        axes = tuple(range(1, advanced.ndim))
        return advanced, jnp.isfinite(advanced).all(axis=axes)

    return run


def initial_fields(
    system: System,
    count: int,
    key: Array,
    parameters: tuple[str, ...] = (),
    asked: np.ndarray | None = None,
) -> np.ndarray:
    """Draw ``count`` of the system's own initial fields, joined with the ``asked`` logarithms of its parameters."""
    import jax

    keys = jax.random.split(key, count)
    if asked is None or not parameters:
        return np.asarray(_initial_program(ByValue(system))(keys))
    return joined(np.asarray(_initial_program(ByValue(system), parameters)(keys, asked)), asked)


@lru_cache(maxsize=16)
def _initial_program(known: ByValue, parameters: tuple[str, ...] = ()) -> Callable[..., Array]:
    """Keep the compiled program between calls, which are timed."""
    import jax
    import jax.numpy as jnp

    from physics import with_parameters

    system = known.system
    if not parameters:
        return jax.jit(jax.vmap(system.sample_initial))

    def one(key: Array, logarithms: Array) -> Array:
        return with_parameters(system, dict(zip(parameters, jnp.exp(logarithms)))).sample_initial(key)

    return jax.jit(jax.vmap(one))


def refiner(
    system: System,
    dt: float,
    solver: AbstractSolver | None = None,
    *,
    parameters: tuple[str, ...] = (),
    chunk: int = CHUNK,
) -> Callable[[np.ndarray, float], np.ndarray]:
    """Return ``(fields, duration) -> fields``: the solver, by default the one that made the data, in fixed chunks.

    A chunk has ``chunk`` fields, or fewer where there are few fields or large ones. Steps are of the length ``dt``, or
    the next shorter one that divides the duration. Every field of every call of a stochastic system has noise of its
    own. Where ``parameters`` vary, fields are joined with theirs, before and after.
    """
    import jax
    import jax.numpy as jnp

    from physics import NoisePath, StochasticSystem, advance

    calls = itertools.count()
    # As the data are made: a stiff system may not stay finite in single precision.
    double = system.default_dataset.get("dtype") == "float64"
    numbers = math.prod(system.field_shape)
    widest = min(chunk, 2 ** int(math.log2(max(1, _NUMBERS // numbers))))
    widths = (widest, *(one for one in reversed(_NARROW) if one < widest))
    stochastic = isinstance(system, StochasticSystem)

    @lru_cache
    def program(length: float, steps: int) -> Callable[..., Array]:
        def one(joint: Array, key: Array | None) -> Array:
            own, u = member(system, joint, parameters)
            noise = None if key is None else NoisePath(key)
            later = advance(own, u, length, steps, solver=solver, noise=noise)
            return jnp.concatenate([later, joint[..., u.shape[-1] :]], axis=-1) if parameters else later

        return jax.jit(jax.vmap(one, in_axes=(0, 0 if stochastic else None)))

    def run(fields: np.ndarray, duration: float) -> np.ndarray:
        steps = max(1, int(np.ceil(duration / dt - 1e-6)))
        length = dt if abs(steps * dt - duration) < 1e-6 * duration else duration / steps
        # Blocks of a few lengths serve every duration, so that few programs are compiled.
        blocks = []
        for size in _BLOCKS:
            blocks += [program(length, size)] * (steps // size)
            steps %= size
        width = _width(len(fields), widths)
        out = []
        for start in range(0, len(fields), width):
            part = np.asarray(fields[start : start + width], np.float64 if double else np.float32)
            advanced: Array | np.ndarray = np.concatenate([part, np.repeat(part[-1:], width - len(part), axis=0)])
            for block in blocks:
                keys = jax.random.split(jax.random.key(next(calls)), width) if stochastic else None
                with jax.enable_x64(True) if double else nullcontext():
                    advanced = block(advanced, keys)
            out.append(np.asarray(advanced, np.float32)[: len(part)])
        return np.concatenate(out)

    return run


def _width(count: int, widths: Sequence[int]) -> int:
    """Return the widest of the chunks that hold a number of fields without much padding, or the narrowest."""
    return next((one for one in widths if -(-count // one) * one <= _PADDING * count), widths[-1])


def evolution(
    refine: Callable[[np.ndarray, float], np.ndarray], start: np.ndarray, system: System
) -> tuple[np.ndarray, np.ndarray]:
    """Advance fields for a picture in space and time; returns times and (fields, time, *grid, C)."""
    count, steps = _LINE if system.grid.ndim < 2 else _SPACE
    every = steps * system.recommended_dt
    frames = [start]
    for _ in range(count):
        frames.append(refine(frames[-1], every))
    return every * np.arange(count + 1), np.stack(frames, axis=1)


def on_grid(fields: np.ndarray, have: Grid, want: Grid) -> np.ndarray:
    """Interpolate fields by their Fourier series."""
    return np.asarray(fields) if have == want else np.asarray(_resampler(have, want)(fields))


@lru_cache(maxsize=64)
def _resampler(have: Grid, want: Grid) -> Callable[[Array | np.ndarray], Array]:
    """Keep the compiled program between calls, which are timed."""
    import jax

    from physics import resample

    return jax.jit(jax.vmap(lambda u: resample(u, have, want)))
