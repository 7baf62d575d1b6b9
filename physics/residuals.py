"""How far fields are from obeying their equation: the defect of the discrete flow, two residuals of the equation.

The defect uses the very operator that made the data, so on solver data it is round-off, and what it
measures in a generated pair is the pair's own. The strong residual applies the differential equation with
finite differences in time, the integral residual integrates it between stored times, which needs one
derivative less of the data. On solver data both leave the truncation error of their formula (the residual
level), not zero: `physics.read_residual` puts a figure beside it.
"""

from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from physics.arguments import Scalar, check_field, check_step, check_steps, check_time, with_constants
from physics.noise import NoisePath, check_noise
from physics.solving.evolution import advance
from physics.system import StochasticSystem, System

# Central differences of first derivatives, for offsets 1, 2, ... (antisymmetric).
_CENTRAL = {
    2: (1 / 2,),
    4: (2 / 3, -1 / 12),
    6: (3 / 4, -3 / 20, 1 / 60),
    8: (4 / 5, -1 / 5, 4 / 105, -1 / 280),
}
# Means over 1, 2 and 4 intervals by the closed formulas of Newton and Cotes: trapezoid, Simpson, Boole.
_CLOSED = {2: (1 / 2, 1 / 2), 4: (1 / 6, 2 / 3, 1 / 6), 6: (7 / 90, 32 / 90, 12 / 90, 32 / 90, 7 / 90)}


def defect(
    system: System,
    u_before: Float[Array | np.ndarray, "*shape c"],
    u_after: Float[Array | np.ndarray, "*later_shape later_c"],
    dt: Scalar,
    *,
    solver: diffrax.AbstractSolver | None = None,
    steps: int = 1,
    adjoint: str | int | None = None,
    noise: NoisePath | None = None,
    t0: Scalar = 0.0,
) -> Float[Array, "*shape c"]:
    """(Phi^steps(u_before) - u_after) / (steps dt), with Phi one step ``dt`` of the solver that made the data.

    **Arguments:**

    - ``u_before``, ``u_after``: fields ``(*grid.shape, C)``, ``steps`` steps apart.
    - ``dt``: the solver's step, may be traced; ``solver`` and ``adjoint`` as in `physics.advance`.
    - ``noise``: for a stochastic system the path that made the data, from the first field on:
      ``path.after(k)`` where that field is k steps from the start of the path.
    - ``t0``: the time of ``u_before``, for systems whose equation holds the time; may be traced.

    **Returns:** a field, in units of the system per unit of time.

    Raises ``ValueError`` as `physics.advance`, and for ``steps`` below 1.
    """
    steps = with_constants(steps)
    check_steps(steps, 1)
    check_field("u_after", u_after, system.field_shape, system.channels)
    advanced = advance(system, u_before, dt, steps, solver=solver, adjoint=adjoint, noise=noise, t0=t0)
    return (advanced - u_after) / (steps * dt)


def residual(
    system: System,
    trajectory: Float[Array | np.ndarray, "time *shape c"],
    dt: Scalar,
    *,
    order: int = 2,
    t0: Scalar = 0.0,
) -> Float[Array, "interior *shape c"]:
    """The strong residual: du/dt - f(t, u) at the inner times of a trajectory, du/dt by central differences.

    **Arguments:**

    - ``trajectory``: fields ``dt`` apart, ``(time, *grid.shape, C)``.
    - ``dt``: time between them, may be traced.
    - ``order``: of the differences, 2, 4, 6 or 8; leaves out order / 2 times at either end.
    - ``t0``: the time of the first field, for systems whose equation holds the time; may be traced.

    **Returns:** ``(time - order, *grid.shape, C)``, in units of the system per unit of time.

    Raises ``ValueError`` for another order, too few times, or a stochastic system, whose paths have no
    derivative.
    """
    if order not in _CENTRAL:
        raise ValueError(f"order {order} of the time difference is not offered: use 2, 4, 6 or 8.")
    if isinstance(system, StochasticSystem):
        raise ValueError(
            f"{type(system).__name__} is stochastic and its paths have no derivative: use integral_residual or "
            "defect with their noise."
        )
    trajectory = _checked(system, trajectory, dt, t0, order, order)
    margin = order // 2
    inner = trajectory.shape[0] - 2 * margin
    rate = jnp.zeros_like(trajectory[:inner])
    for offset, weight in enumerate(_CENTRAL[order], start=1):
        later = trajectory[margin + offset : margin + offset + inner]
        earlier = trajectory[margin - offset : margin - offset + inner]
        rate = rate + weight / dt * (later - earlier)
    return rate - _rates(system, trajectory[margin : margin + inner], dt, t0 + margin * dt)


def integral_residual(
    system: System,
    trajectory: Float[Array | np.ndarray, "time *shape c"],
    dt: Scalar,
    *,
    order: int = 4,
    noise: NoisePath | None = None,
    steps: int = 1,
    t0: Scalar = 0.0,
) -> Float[Array, "windows *shape c"]:
    """The integral (weak) residual: (u(t + s) - u(t) - int_t^{t+s} f dt - int_t^{t+s} g dW) / s over windows s.

    The mean of the strong residual over a window, without differences in time: noise in the data is not
    amplified, and it holds for stochastic systems.

    **Arguments:**

    - ``trajectory``: fields ``dt`` apart, ``(time, *grid.shape, C)``.
    - ``dt``: time between them, may be traced.
    - ``order``: of the quadrature: 2 (windows of one interval), 4 (two) or 6 (four).
    - ``noise``: for a stochastic system, whose noise must be additive, the path that made the data, from the
      first field on; the level on solver data then falls like the root of ``dt``, whatever the order.
    - ``steps``: solver steps between two fields, which the path counts.
    - ``t0``: the time of the first field, for systems whose equation holds the time; may be traced.

    **Returns:** ``(windows, *grid.shape, C)`` for every window of fields in a row, in units of the system per
    unit of time.

    Raises ``ValueError`` for another order, too few times, and noise that does not fit.
    """
    if order not in _CLOSED:
        raise ValueError(f"order {order} of the integral is not offered: use 2, 4 or 6.")
    weights = _CLOSED[order]
    span = len(weights) - 1
    trajectory = _checked(system, trajectory, dt, t0, span, order)
    windows = trajectory.shape[0] - span
    rates = _rates(system, trajectory, dt, t0)
    mean = sum(weight * rates[offset : offset + windows] for offset, weight in enumerate(weights))
    gained = trajectory[span:] - trajectory[:windows]
    if noise is not None or isinstance(system, StochasticSystem):
        kicks = _noise_between(system, trajectory, dt, t0, noise, steps)
        gained = gained - sum(kicks[offset : offset + windows] for offset in range(span))
    return gained / (span * dt) - mean


def _noise_between(
    system: System, trajectory: Array, dt: Scalar, t0: Scalar, noise: NoisePath | None, steps: int
) -> Array:
    """int g dW over every interval between two fields, g that of the start of every solver step."""
    check_noise(system, noise)
    assert isinstance(system, StochasticSystem) and noise is not None
    if not system.additive:
        raise ValueError(
            f"the noise of {type(system).__name__} depends on its state, and its integral is not known between "
            "stored fields: use defect with the noise."
        )
    path = noise

    def one(interval: Array) -> Array:
        def during(step: Array) -> Array:
            number = interval * steps + step
            w = path.increments(number, dt / steps, system.noise_shape, trajectory.dtype).W
            t = jnp.asarray(t0 + number * (dt / steps), trajectory.dtype)
            g = system.diffusion(t, trajectory[0], None)
            return g * system.noise_field(w)

        return jnp.sum(jax.vmap(during)(jnp.arange(steps)), axis=0)

    return jax.vmap(one)(jnp.arange(trajectory.shape[0] - 1))


def _rates(system: System, fields: Array, dt: Scalar, t0: Scalar) -> Array:
    """f at fields ``dt`` apart, the first at ``t0``."""
    times = jnp.asarray(t0, fields.dtype) + jnp.asarray(dt, fields.dtype) * jnp.arange(fields.shape[0])
    return jax.vmap(lambda t, u: system.vector_field(t, u, None))(times, fields)


def _checked(system: System, trajectory: Any, dt: Scalar, t0: Scalar, needed: int, order: int) -> Array:
    """The trajectory as an array of more than ``needed`` fields."""
    trajectory = jnp.asarray(trajectory)
    if trajectory.ndim != len(system.field_shape) + 1 or trajectory.shape[0] <= needed:
        raise ValueError(
            f"trajectory has shape {trajectory.shape}, but needs (time, {system.field_shape}) with at least "
            f"{needed + 1} times for order {order}."
        )
    check_field("a field of trajectory", trajectory[0], system.field_shape, system.channels)
    check_step(dt)
    check_time(t0)
    return trajectory
