"""How far fields are from obeying their equation: the defect of the discrete flow, the residual of the equation.

The defect uses the very operator that made the data, so on solver data it is round-off, and what it
measures in a generated pair is the pair's own. The residual applies the differential equation with finite
differences in time; its value on solver data (the residual level) is the truncation error of those
differences, not zero.
"""

from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from physics.arguments import check_field, check_step
from physics.evolution import advance
from physics.noise import NoisePath
from physics.system import System

# Central differences of first derivatives, for offsets 1, 2, ... (antisymmetric).
_CENTRAL = {2: (1 / 2,), 4: (2 / 3, -1 / 12)}


def defect(
    system: System,
    u_before: Float[Array | np.ndarray, "*shape c"],
    u_after: Float[Array | np.ndarray, "*later_shape later_c"],
    dt: Any,
    *,
    solver: diffrax.AbstractSolver | None = None,
    steps: int = 1,
    adjoint: str | int | None = None,
    noise: NoisePath | None = None,
) -> Float[Array, "*shape c"]:
    """(Phi^steps(u_before) - u_after) / (steps dt), with Phi one step ``dt`` of the solver that made the data.

    **Arguments:**

    - ``u_before``, ``u_after``: fields ``(*grid.shape, C)``, ``steps`` steps apart.
    - ``dt``: the solver's step, may be traced; ``solver`` and ``adjoint`` as in `physics.advance`.
    - ``noise``: for a stochastic system the path that made the data, from the first field on:
      ``path.after(k)`` where that field is k steps from the start of the path.

    **Returns:** a field, in units of the system per unit of time.

    Raises ``ValueError`` as `physics.advance`, and for ``steps`` below 1.
    """
    if steps < 1:
        raise ValueError(f"steps must be 1 or more between the two fields of a defect, not {steps}.")
    check_field("u_after", u_after, system.field_shape, system.channels)
    carried = advance(system, u_before, dt, steps, solver=solver, adjoint=adjoint, noise=noise)
    return (carried - u_after) / (steps * dt)


def residual(
    system: System, trajectory: Float[Array | np.ndarray, "time *shape c"], dt: Any, *, order: int = 2
) -> Float[Array, "interior *shape c"]:
    """du/dt - f(u) at the inner times of a trajectory, du/dt by central differences of the given order.

    **Arguments:**

    - ``trajectory``: fields ``dt`` apart, ``(time, *grid.shape, C)``.
    - ``dt``: time between them, may be traced.
    - ``order``: 2 (leaves out one time at either end) or 4 (two).

    **Returns:** ``(time - order, *grid.shape, C)``, in units of the system per unit of time.

    Raises ``ValueError`` for another order, or too few times.
    """
    if order not in _CENTRAL:
        raise ValueError(f"order {order} of the time difference is not offered: use 2 or 4.")
    trajectory = jnp.asarray(trajectory)
    if trajectory.ndim != len(system.field_shape) + 1 or trajectory.shape[0] <= order:
        raise ValueError(
            f"trajectory has shape {trajectory.shape}, but needs (time, {system.field_shape}) with at least "
            f"{order + 1} times for order {order}."
        )
    check_field("a field of trajectory", trajectory[0], system.field_shape, system.channels)
    check_step(dt)
    margin = order // 2
    inner = trajectory.shape[0] - 2 * margin
    rate = jnp.zeros_like(trajectory[:inner])
    for offset, weight in enumerate(_CENTRAL[order], start=1):
        later = trajectory[margin + offset : margin + offset + inner]
        earlier = trajectory[margin - offset : margin - offset + inner]
        rate = rate + weight / dt * (later - earlier)
    inside = trajectory[margin : margin + inner]
    return rate - jax.vmap(lambda u: system.vector_field(0.0, u, None))(inside)
