"""Adaptive solves of batches that differ in stiffness: members with about the same step are solved together."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Num

from physics.arguments import Scalar, check_field, is_concrete
from physics.solving.adaptive import controller_of, typical_steps
from physics.solving.evolution import checked_times, solve
from physics.system import System


class MemberGroups(NamedTuple):
    """Which members of a batch are solved together (`group_members`).

    **Attributes:**

    - ``groups``: indices of members, those with the longest steps first.
    - ``dt``: the first step of every member.
    """

    groups: list[np.ndarray]
    dt: float


def group_members(
    system: System,
    u0: Float[Array | np.ndarray, "batch *shape c"],
    times: Sequence[Scalar] | Num[Array | np.ndarray, " time"],
    *,
    tolerance: float | None = None,
    stepsize_controller: diffrax.AbstractAdaptiveStepSizeController | None = None,
    spread: float = 2.0,
    dt: Scalar | None = None,
    solver: diffrax.AbstractSolver | None = None,
    t0: Scalar = 0.0,
) -> MemberGroups:
    """Group the members of a batch by their typical step, for `solve_batch` under ``jit`` and ``grad``.

    The arguments are those of `solve_batch`, all concrete. The groups decide what a solve costs, not what it gives, so
    groups made at one point can be used in its neighbourhood, as in an optimisation.

    Raises ``ValueError`` as `solve_batch`.
    """
    if not is_concrete((system, u0)):
        raise ValueError(
            "members are grouped on the host: call group_members outside of jit, grad and vmap, and give its result to "
            "solve_batch as groups."
        )
    if spread < 1:
        raise ValueError(f"spread must be 1 or more, the ratio of the steps in a group, not {spread}.")
    step = _one_of(tolerance, stepsize_controller)
    u0 = jnp.asarray(u0)
    check_field("a field of u0", u0[0], system.field_shape, system.channels)
    instants, t0 = checked_times(times, t0)
    member = jax.tree.map(lambda leaf: leaf[0] if np.ndim(leaf) else leaf, system)
    first = float(member.recommended_dt if dt is None else dt)
    end = float(instants[-1]) if instants[-1] > t0 else t0 + 1.0
    typical = np.asarray(_typical_steps(system, u0, t0, end, step, first, solver))
    return MemberGroups(groups_of_similar_steps(typical, spread), first)


def solve_batch(
    system: System,
    u0: Float[Array | np.ndarray, "batch *shape c"],
    times: Sequence[Scalar] | Num[Array | np.ndarray, " time"],
    *,
    tolerance: float | None = None,
    stepsize_controller: diffrax.AbstractAdaptiveStepSizeController | None = None,
    spread: float = 2.0,
    groups: MemberGroups | None = None,
    dt: Scalar | None = None,
    solver: diffrax.AbstractSolver | None = None,
    adjoint: diffrax.AbstractAdjoint | int | None = None,
    max_steps: int = 4096,
    dense: bool = False,
    t0: Scalar = 0.0,
) -> Float[Array, "batch time *shape c"]:
    """`physics.solve` with adaptive steps for every member of a batch, in groups of about equal step.

    Under ``jax.vmap`` all members take as many steps as the stiffest one, so that each costs as much. Here every member
    first takes 16 steps; members whose typical steps differ by less than the factor ``spread`` are then solved
    together, in batches filled up to powers of two, one compilation per size.

    **Arguments:**

    - ``system``: parameters that differ between members are arrays with a leading axis, as
      ``jax.vmap(lambda nu: Burgers(grid, nu))(viscosities)`` makes them.
    - ``u0``: the initial fields, ``(batch, *grid.shape, C)``.
    - ``tolerance`` or ``stepsize_controller``: one of them; ``times``, ``dt``, ``solver``, ``adjoint``, ``max_steps``,
      ``dense`` and ``t0`` as in `physics.solve`.
    - ``spread``: the largest ratio of typical steps in one group.
    - ``groups``: the result of `group_members`, where the solve is traced or differentiated; its groups and its first
      step are used instead of ``spread`` and ``dt``. Made here if None.

    **Returns:** ``(batch, len(times), *grid.shape, C)``.

    Raises ``ValueError`` as `physics.solve`, without a tolerance, for traced fields without ``groups``, groups of
    another number of members, and a spread below 1.
    """
    step = _one_of(tolerance, stepsize_controller)
    instants, t0 = checked_times(times, t0)
    if groups is None:
        groups = group_members(
            system,
            u0,
            instants,
            tolerance=tolerance,
            stepsize_controller=stepsize_controller,
            spread=spread,
            dt=dt,
            solver=solver,
            t0=t0,
        )
    u0 = jnp.asarray(u0)
    check_field("a field of u0", u0[0], system.field_shape, system.channels)
    order = np.concatenate(groups.groups)
    if len(order) != len(u0):
        raise ValueError(f"groups holds {len(order)} members, but u0 has {len(u0)}: group these members anew.")
    options = {
        "dt": groups.dt,
        "solver": solver,
        "adjoint": adjoint,
        "max_steps": max_steps,
        "dense": dense,
        "t0": t0,
    }
    solved = []
    for group in groups.groups:
        filled = np.resize(group, 2 ** int(np.ceil(np.log2(len(group)))))
        members = _solve_group(_members(system, filled), u0[filled], tuple(instants.tolist()), step, options)
        solved.append(members[: len(group)])
    return jnp.concatenate(solved)[np.argsort(order)]


def _one_of(tolerance: float | None, controller: Any) -> Any:
    if (tolerance is None) == (controller is None):
        raise ValueError("solve_batch takes adaptive steps: give either tolerance or stepsize_controller.")
    return tolerance, controller


@eqx.filter_jit
def _typical_steps(system: System, u0: Array, t0: float, end: float, step: Any, dt: float, solver: Any) -> Array:
    def of_one(member: System, u: Array) -> Array:
        return typical_steps(member, u, t0, end, dt, solver, _controller(step, u))

    return jax.vmap(of_one, (_axes(system), 0))(system, u0)


@eqx.filter_jit
def _solve_group(system: System, u0: Array, times: tuple[float, ...], step: Any, options: Any) -> Array:
    def run(member: System, u: Array) -> Array:
        return solve(member, u, times, stepsize_controller=_controller(step, u), **options)

    return jax.vmap(run, (_axes(system), 0))(system, u0)


def _controller(step: Any, u0: Array) -> Any:
    tolerance, controller = step
    return controller if tolerance is None else controller_of(tolerance, u0)


def _axes(system: System) -> Any:
    """The axis along which ``jax.vmap`` takes the members of every parameter."""
    return jax.tree.map(lambda leaf: 0 if np.ndim(leaf) else None, system)


def _members(system: System, chosen: np.ndarray) -> System:
    return jax.tree.map(lambda leaf: leaf[chosen] if np.ndim(leaf) else leaf, system)


def groups_of_similar_steps(typical: Float[np.ndarray, " batch"], spread: float) -> list[np.ndarray]:
    """Members by falling typical step; a group ends where a step is below 1 / ``spread`` of the group's first one."""
    found: list[list[int]] = []
    for member in np.argsort(-typical, kind="stable"):
        if found and typical[member] * spread >= typical[found[-1][0]]:
            found[-1].append(member)
        else:
            found.append([member])
    return [np.asarray(members) for members in found]
