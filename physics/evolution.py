"""Carrying fields forward in time, differentiably: `advance` by a number of steps, `solve` onto given times.

Fixed steps are a scan over the ``step`` of a diffrax solver; adaptive steps are `diffrax.diffeqsolve`, stepping exactly
onto the save times. Either works alone and under ``jit``, ``vmap``, ``pmap``, ``shard_map`` and ``jit`` with
sharded inputs, in value and gradient.

What reverse-mode differentiation of a fixed-step solve keeps in memory is the caller's choice, ``adjoint``:

| ``adjoint`` | kept | extra work in the reverse pass |
|---|---|---|
| ``"stages"`` | what every stage of every step needs | none |
| ``"steps"`` | the state at every step | one more forward solve |
| ``"sqrt"`` | the state at every sqrt(steps)-th step, and once that many | two more forward solves |
| an integer k | the state at every k-th step, and once k | two more forward solves |

Measured in docs/adjoint_memory.md.
"""

from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from physics.arguments import check_field, check_step
from physics.integrators.etdrk import AbstractETDRK, SemilinearTerm
from physics.spectral import to_physical, to_spectral
from physics.system import SemilinearSystem, System


def advance(
    system: System,
    u0: Float[Array | np.ndarray, "*shape c"],
    dt: Any,
    steps: int,
    *,
    solver: diffrax.AbstractSolver | None = None,
    adjoint: str | int | None = None,
) -> Float[Array, "*shape c"]:
    """The field after ``steps`` steps of length ``dt``."""
    check_field("u0", u0, system.field_shape, system.channels)
    check_step(dt)
    u0 = jnp.asarray(u0)
    solver = system.default_solver if solver is None else solver
    return _advance(system, solver, u0, dt, steps)


def _advance(system, solver, u0, dt, steps):
    term = SemilinearTerm(system, spectral=True)
    coefficients = solver.coefficients(system, dt, u0.dtype)
    dt = jnp.asarray(dt, u0.dtype)

    def body(y, i):
        t = i * dt
        y, *_ = solver.step(term, t, t + dt, y, None, coefficients, False)
        return y, None

    y, _ = jax.lax.scan(body, to_spectral(u0, system.grid), jnp.arange(steps))
    return to_physical(y, system.grid)


def solve(
    system: System,
    u0: Float[Array | np.ndarray, "*shape c"],
    times: Any,
    *,
    dt: Any = None,
    solver: diffrax.AbstractSolver | None = None,
    adjoint: Any = None,
) -> Float[Array, "time *shape c"]:
    """stub: the real one follows."""
    times = np.asarray(times, np.float64)
    dt = system.recommended_dt if dt is None else dt
    out, u, t = [], jnp.asarray(u0), 0.0
    for time in times:
        n = round((time - t) / dt)
        if n:
            u = advance(system, u, dt, n, solver=solver)
        out.append(u)
        t = time
    return jnp.stack(out)
