"""Choosing what the reverse pass of a fixed-step solve keeps, by the memory there is."""

from collections.abc import Callable
from functools import cache
from math import isqrt
from typing import Any, NamedTuple

import diffrax
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from physics.solving.evolution import advance
from physics.system import System

# Lengths of the two short solves whose memory XLA estimates; shorter ones are not extrapolated.
_SHORT, _LONGER, _SEGMENT = 8, 24, 4


class AdjointPlan(NamedTuple):
    """A setting for ``adjoint`` of `physics.advance` and `physics.solve`, and the memory it is predicted to take."""

    adjoint: str | int
    bytes: int


def plan_adjoint(
    system: System,
    solver: diffrax.AbstractSolver | None,
    steps: int,
    batch: int,
    dtype: DTypeLike,
    memory_bytes: int,
) -> AdjointPlan:
    """The fastest ``adjoint`` with which a gradient through ``steps`` fixed steps fits into ``memory_bytes``.

    Tried in this order are ``"stages"``, ``"steps"`` and ``"sqrt"`` (docs/adjoint_memory.md). What is stored grows
    linearly with the number of stored states, so the memory of a long solve follows from what XLA plans for short ones
    of the same system, solver, batch and device: two to five small compilations, nothing is run.

    **Arguments:**

    - ``solver``: as in `physics.advance`, None for the system's default.
    - ``steps``: between two saved times; `physics.solve` plans every interval by itself.
    - ``batch``: fields solved at once by ``jax.vmap``.
    - ``dtype``: of the fields.
    - ``memory_bytes``: what the gradient may allocate beside its argument and result.

    Raises ``ValueError`` for numbers that are not positive, float64 that is not enabled, and where nothing fits: it
    names the least memory that would do.
    """
    for what, value in (("steps", steps), ("batch", batch), ("memory_bytes", memory_bytes)):
        if value < 1:
            raise ValueError(f"{what} must be 1 or more, not {value}.")
    if jax.dtypes.canonicalize_dtype(dtype) != jnp.dtype(dtype):
        raise ValueError(f"dtype {jnp.dtype(dtype)} needs jax.config.update('jax_enable_x64', True).")

    @cache
    def measured(adjoint: str | int, count: int) -> int:
        return _memory(system, solver, count, batch, dtype, adjoint)

    least = None
    for adjoint, predict in (("stages", _linear), ("steps", _linear), ("sqrt", _segmented)):
        predicted = predict(measured, adjoint, steps)
        if predicted <= memory_bytes:
            return AdjointPlan(adjoint, predicted)
        least = predicted if least is None else min(least, predicted)
    raise ValueError(
        f"memory_bytes = {memory_bytes} is too little for a gradient through {steps} steps of {batch} fields: "
        f"at least {least} bytes are needed, or a smaller batch."
    )


def _linear(measured: Callable[[str | int, int], int], adjoint: str | int, steps: int) -> int:
    if steps <= _LONGER:
        return measured(adjoint, steps)
    short, longer = measured(adjoint, _SHORT), measured(adjoint, _LONGER)
    return longer + (longer - short) * (steps - _LONGER) // (_LONGER - _SHORT)


def _segmented(measured: Callable[[str | int, int], int], adjoint: str | int, steps: int) -> int:
    if steps <= _LONGER:
        return measured(adjoint, steps)
    state = (measured("steps", _LONGER) - measured("steps", _SHORT)) / (_LONGER - _SHORT)
    stored = steps // isqrt(steps) + isqrt(steps)
    return int(measured(_SEGMENT, _SEGMENT**2) + state * (stored - 2 * _SEGMENT))


def _memory(system: System, solver: Any, steps: int, batch: int, dtype: DTypeLike, adjoint: str | int) -> int:
    """What XLA allocates for the gradient beside its argument and result."""

    def loss(fields: Any) -> Any:
        def end(u: Any) -> Any:
            return advance(system, u, system.recommended_dt, steps, solver=solver, adjoint=adjoint)

        return (jax.vmap(end)(fields) ** 2).mean()

    fields = jax.ShapeDtypeStruct((batch, *system.field_shape), dtype)
    analysis = jax.jit(jax.grad(loss)).lower(fields).compile().memory_analysis()
    assert analysis is not None, "this backend of XLA does not report the memory it plans"
    return analysis.temp_size_in_bytes
