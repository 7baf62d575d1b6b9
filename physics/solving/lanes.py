"""Adaptive solves of many fields that differ in stiffness: lanes of about the same step are solved together."""

from collections.abc import Sequence
from typing import Any

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


def solve_batch(
    system: System,
    u0: Float[Array | np.ndarray, "batch *shape c"],
    times: Sequence[float] | Float[Array | np.ndarray, " time"],
    *,
    tolerance: float | None = None,
    stepsize_controller: diffrax.AbstractAdaptiveStepSizeController | None = None,
    spread: float = 2.0,
    **options: Any,
) -> Float[Array, "batch time *shape c"]:
    """`physics.solve` with adaptive steps for every field of a batch, in buckets of about equal step.

    Under ``jax.vmap`` all lanes take as many steps as the stiffest one, at the cost of all. Here every lane first takes
    16 steps; lanes whose typical steps differ by less than the factor ``spread`` are then solved together, in batches
    filled up to powers of two, one compilation per size.

    **Arguments:**

    - ``system``: parameters that differ between lanes are arrays with a leading axis, as
      ``jax.vmap(lambda nu: Burgers(grid, nu))(viscosities)`` makes them.
    - ``u0``: the initial fields.
    - ``tolerance`` or ``stepsize_controller``: one of them; the ``options`` are those of `physics.solve`.
    - ``spread``: the largest ratio of typical steps in one bucket.

    **Returns:** ``(batch, len(times), *grid.shape, C)``. For values, not gradients: the buckets are made on the host.

    Raises ``ValueError`` as `physics.solve`, without a tolerance, for traced fields and a spread below 1.
    """
    if (tolerance is None) == (stepsize_controller is None):
        raise ValueError("solve_batch takes adaptive steps: give either tolerance or stepsize_controller.")
    if not is_concrete((system, u0)):
        raise ValueError("solve_batch makes its buckets on the host: call it outside of jit, grad and vmap.")
    if spread < 1:
        raise ValueError(f"spread must be 1 or more, the ratio of the steps in a bucket, not {spread}.")
    u0 = jnp.asarray(u0)
    check_field("a field of u0", u0[0], system.field_shape, system.channels)
    instants = tuple(float(time) for time in np.asarray(times, np.float64).ravel())
    lane = jax.tree.map(lambda leaf: leaf[0] if np.ndim(leaf) else leaf, system)
    options = {"dt": float(lane.recommended_dt)} | options
    step = (tolerance, stepsize_controller)
    found = buckets(
        np.asarray(_paces(system, u0, max(instants, default=0.0) or 1.0, step, options["dt"], options.get("solver"))),
        spread,
    )
    solved = []
    for lanes in found:
        filled = np.resize(lanes, 2 ** int(np.ceil(np.log2(len(lanes)))))
        solved.append(_solve_bucket(_lanes(system, filled), u0[filled], instants, step, options)[: len(lanes)])
    return jnp.concatenate(solved)[np.argsort(np.concatenate(found))]


@eqx.filter_jit
def _paces(system: System, u0: Array, end: float, step: Any, dt: float, solver: Any) -> Array:
    def pace(lane: System, u: Array) -> Array:
        return typical_steps(lane, u, end, dt, solver, _controller(step, u))

    return jax.vmap(pace, (_axes(system), 0))(system, u0)


@eqx.filter_jit
def _solve_bucket(system: System, u0: Array, times: tuple[float, ...], step: Any, options: Any) -> Array:
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
