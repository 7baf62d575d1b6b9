"""Adaptive solves of many fields that differ in stiffness: lanes of about the same step are solved together."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from physics.arguments import check_field, is_concrete
from physics.solving.adaptive import controller_of, typical_steps
from physics.solving.evolution import solve
from physics.system import System


class Lanes(NamedTuple):
    """Which fields of a batch are solved together (`group_lanes`).

    **Attributes:**

    - ``groups``: numbers of fields, those with the longest steps first.
    - ``dt``: the first step of every field.
    """

    groups: list[np.ndarray]
    dt: float


def group_lanes(
    system: System,
    u0: Float[Array | np.ndarray, "batch *shape c"],
    times: Sequence[float] | Float[Array | np.ndarray, " time"],
    *,
    tolerance: float | None = None,
    stepsize_controller: diffrax.AbstractAdaptiveStepSizeController | None = None,
    spread: float = 2.0,
    dt: float | None = None,
    solver: diffrax.AbstractSolver | None = None,
    t0: float = 0.0,
) -> Lanes:
    """Group the fields of a batch by their typical step, for `solve_batch` under ``jit`` and ``grad``.

    The arguments are those of `solve_batch`, all concrete. The groups decide what a solve costs, not what it gives, so
    that groups made at one point serve its neighbourhood, as in an optimisation.

    Raises ``ValueError`` as `solve_batch`.
    """
    if not is_concrete((system, u0)):
        raise ValueError(
            "lanes are grouped on the host: call group_lanes outside of jit, grad and vmap, and give its result to "
            "solve_batch as lanes."
        )
    if spread < 1:
        raise ValueError(f"spread must be 1 or more, the ratio of the steps in a group, not {spread}.")
    step = _one_of(tolerance, stepsize_controller)
    u0 = jnp.asarray(u0)
    check_field("a field of u0", u0[0], system.field_shape, system.channels)
    lane = jax.tree.map(lambda leaf: leaf[0] if np.ndim(leaf) else leaf, system)
    first = float(lane.recommended_dt if dt is None else dt)
    end = float(np.max(times, initial=t0))
    end = end if end > t0 else t0 + 1.0
    return Lanes(buckets(np.asarray(_paces(system, u0, t0, end, step, first, solver)), spread), first)


def solve_batch(
    system: System,
    u0: Float[Array | np.ndarray, "batch *shape c"],
    times: Sequence[float] | Float[Array | np.ndarray, " time"],
    *,
    tolerance: float | None = None,
    stepsize_controller: diffrax.AbstractAdaptiveStepSizeController | None = None,
    spread: float = 2.0,
    lanes: Lanes | None = None,
    **options: Any,
) -> Float[Array, "batch time *shape c"]:
    """`physics.solve` with adaptive steps for every field of a batch, in groups of about equal step.

    Under ``jax.vmap`` all lanes take as many steps as the stiffest one, at the cost of all. Here every lane first takes
    16 steps; lanes whose typical steps differ by less than the factor ``spread`` are then solved together, in batches
    filled up to powers of two, one compilation per size.

    **Arguments:**

    - ``system``: parameters that differ between lanes are arrays with a leading axis, as
      ``jax.vmap(lambda nu: Burgers(grid, nu))(viscosities)`` makes them.
    - ``u0``: the initial fields.
    - ``tolerance`` or ``stepsize_controller``: one of them; the ``options`` are those of `physics.solve`.
    - ``spread``: the largest ratio of typical steps in one group.
    - ``lanes``: the result of `group_lanes`, where the solve is traced or differentiated; it brings the groups, and
      the first step, whatever ``spread`` and ``dt`` say. Made here if None.

    **Returns:** ``(batch, len(times), *grid.shape, C)``.

    Raises ``ValueError`` as `physics.solve`, without a tolerance, for traced fields without ``lanes``, lanes of another
    count of fields, and a spread below 1.
    """
    step = _one_of(tolerance, stepsize_controller)
    if lanes is None:
        lanes = group_lanes(
            system,
            u0,
            times,
            tolerance=tolerance,
            stepsize_controller=stepsize_controller,
            spread=spread,
            dt=options.get("dt"),
            solver=options.get("solver"),
            t0=options.get("t0", 0.0),
        )
    u0 = jnp.asarray(u0)
    check_field("a field of u0", u0[0], system.field_shape, system.channels)
    order = np.concatenate(lanes.groups)
    if len(order) != len(u0):
        raise ValueError(f"lanes holds {len(order)} fields, but u0 has {len(u0)}: group these fields anew.")
    instants = tuple(float(time) for time in np.asarray(times, np.float64).ravel())
    options["dt"] = lanes.dt
    solved = []
    for group in lanes.groups:
        filled = np.resize(group, 2 ** int(np.ceil(np.log2(len(group)))))
        solved.append(_solve_group(_lanes(system, filled), u0[filled], instants, step, options)[: len(group)])
    return jnp.concatenate(solved)[np.argsort(order)]


def _one_of(tolerance: float | None, controller: Any) -> Any:
    if (tolerance is None) == (controller is None):
        raise ValueError("solve_batch takes adaptive steps: give either tolerance or stepsize_controller.")
    return tolerance, controller


@eqx.filter_jit
def _paces(system: System, u0: Array, t0: float, end: float, step: Any, dt: float, solver: Any) -> Array:
    def pace(lane: System, u: Array) -> Array:
        return typical_steps(lane, u, t0, end, dt, solver, _controller(step, u))

    return jax.vmap(pace, (_axes(system), 0))(system, u0)


@eqx.filter_jit
def _solve_group(system: System, u0: Array, times: tuple[float, ...], step: Any, options: Any) -> Array:
    def run(lane: System, u: Array) -> Array:
        return solve(lane, u, times, stepsize_controller=_controller(step, u), **options)

    return jax.vmap(run, (_axes(system), 0))(system, u0)


def _controller(step: Any, u0: Array) -> Any:
    tolerance, controller = step
    return controller if tolerance is None else controller_of(tolerance, u0)


def _axes(system: System) -> Any:
    """Where ``jax.vmap`` finds the lanes of every parameter."""
    return jax.tree.map(lambda leaf: 0 if np.ndim(leaf) else None, system)


def _lanes(system: System, chosen: np.ndarray) -> System:
    return jax.tree.map(lambda leaf: leaf[chosen] if np.ndim(leaf) else leaf, system)


def buckets(paces: Float[np.ndarray, " batch"], spread: float) -> list[np.ndarray]:
    """The lanes by falling typical step, cut where it is below 1 / ``spread`` of the first one's in a bucket."""
    found: list[list[int]] = []
    for lane in np.argsort(-paces, kind="stable"):
        if found and paces[lane] * spread >= paces[found[-1][0]]:
            found[-1].append(lane)
        else:
            found.append([lane])
    return [np.asarray(lanes) for lanes in found]
