"""Adaptive steps by `diffrax.diffeqsolve`, stepping onto the save times or interpolating between the steps."""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from physics.arguments import Scalar, check_step, is_concrete
from physics.integrators.exponential import SemilinearTerm, is_exponential, semilinear
from physics.sharded_grid import ShardedGrid
from physics.solving.meshes import away_from_meshes
from physics.system import System

# The text of a member of an `equinox.Enumeration`, whose class takes subscripts.
_TOO_FEW_STEPS: str = diffrax.RESULTS[diffrax.RESULTS.max_steps_reached]  # type: ignore[misc]


def controller_of(tolerance: float, u0: Array) -> diffrax.PIDController:
    """Step control by one number: the error of a step relative to the field, and to the size of ``u0``."""
    if not (np.ndim(tolerance) == 0 and np.isfinite(tolerance) and tolerance > 0):
        raise ValueError(f"tolerance must be one positive number, not {tolerance}: 1e-6 is a good start.")
    size = jnp.sqrt(jnp.mean(jax.lax.stop_gradient(u0) ** 2))
    return diffrax.PIDController(rtol=tolerance, atol=tolerance * jnp.where(size > 0, size, 1.0))


def adaptive_steps(
    system: System,
    u0: Array,
    instants: np.ndarray,
    dt: Scalar | None,
    solver: diffrax.AbstractSolver | None,
    adjoint: diffrax.AbstractAdjoint | str | int | None,
    controller: diffrax.AbstractStepSizeController,
    max_steps: int,
    dense: bool,
    t0: float,
) -> Array:
    """The fields ``instants`` after ``t0``; see `physics.solve`."""
    solver = system.default_adaptive_solver if solver is None else solver
    if adjoint is None or (isinstance(adjoint, int) and adjoint > 0):
        adjoint = diffrax.RecursiveCheckpointAdjoint(checkpoints=adjoint or 16)
    if not isinstance(adjoint, diffrax.AbstractAdjoint):
        raise ValueError(f"adjoint {adjoint!r} does not fit adaptive steps: give a number of checkpoints.")
    if is_exponential(solver):
        semilinear(system, solver)
    if isinstance(system.grid, ShardedGrid):
        system.grid.check_solver(exponential=False)
    if instants[-1] == 0:
        return u0[None]
    first = float(system.recommended_dt if dt is None else dt)
    check_step(first)
    system = jax.tree.map(lambda leaf: jnp.asarray(leaf, u0.dtype), system)
    too_few = (
        f"max_steps is {max_steps}, too few adaptive steps to reach time {t0 + instants[-1]:g}: give more of them "
        "or a larger tolerance, or an earlier time if the equation itself blows up."
    )
    try:
        fields = away_from_meshes(_run_adaptive)(
            system,
            solver,
            u0,
            jnp.asarray(t0, u0.dtype),
            tuple(instants.tolist()),
            first,
            adjoint,
            controller,
            max_steps,
            dense,
        )
    except eqx.EquinoxRuntimeError as error:
        if _TOO_FEW_STEPS not in str(error):
            raise
        raise ValueError(too_few) from None
    # Where nothing was raised, times that were not reached hold infinite values.
    if isinstance(system.grid, ShardedGrid) and is_concrete(fields) and bool(jnp.all(jnp.isinf(fields[-1]))):
        raise ValueError(too_few)
    return fields


@eqx.filter_jit
def _run_adaptive(
    system: System,
    solver: diffrax.AbstractSolver,
    u0: Array,
    t0: Array,
    instants: tuple[float, ...],
    first: float,
    adjoint: diffrax.AbstractAdjoint,
    controller: diffrax.AbstractStepSizeController,
    max_steps: int,
    dense: bool,
) -> Array:
    ts = t0 + jnp.asarray(instants, u0.dtype)
    solution = diffrax.diffeqsolve(
        _term(system, solver),
        solver,
        t0=t0,
        t1=ts[-1],
        dt0=min(first, instants[-1]),
        y0=u0,
        saveat=diffrax.SaveAt(ts=ts),
        stepsize_controller=controller if dense else diffrax.ClipStepSizeController(controller, step_ts=ts),
        adjoint=adjoint,
        max_steps=max_steps,
        # An error is raised on one device, while the others wait for it in an exchange.
        throw=system.grid.on_host,
    )
    fields = solution.ys
    assert fields is not None
    if isinstance(system.grid, ShardedGrid):
        # Without this, the compiler gives every device the whole of what a solve stores.
        fields = system.grid.place(fields, leading=1)
    return fields


# Steps after which the typical step of a field is known well enough: the first ones only find it.
_PILOT_STEPS = 16


@eqx.filter_jit
def typical_steps(
    system: System,
    u0: Array,
    t0: float,
    end: float,
    dt: Scalar | None,
    solver: diffrax.AbstractSolver | None,
    controller: diffrax.AbstractStepSizeController,
) -> Array:
    """The mean length of the accepted ones of the first 16 adaptive steps from ``t0`` towards the time ``end``."""
    solver = system.default_adaptive_solver if solver is None else solver
    system = jax.tree.map(lambda leaf: jnp.asarray(leaf, u0.dtype), system)
    solution = diffrax.diffeqsolve(
        _term(system, solver),
        solver,
        t0=t0,
        t1=end,
        dt0=min(float(system.recommended_dt if dt is None else dt), end - t0),
        y0=u0,
        stepsize_controller=controller,
        adjoint=diffrax.ForwardMode(),
        max_steps=_PILOT_STEPS,
        throw=False,
    )
    assert solution.ts is not None
    return (solution.ts[-1] - t0) / jnp.maximum(solution.stats["num_accepted_steps"], 1)


def _term(system: System, solver: diffrax.AbstractSolver) -> diffrax.AbstractTerm:
    return (
        SemilinearTerm(semilinear(system, solver)) if is_exponential(solver) else diffrax.ODETerm(system.vector_field)
    )
