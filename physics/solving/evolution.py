"""Advancing fields in time: `advance` by a number of steps, `solve` onto given times.

Fixed steps are a scan over the ``step`` of a diffrax solver; adaptive steps are `diffrax.diffeqsolve`,
stepping exactly onto the save times (`physics.solving.adaptive`). Either works alone and under ``jit``, ``vmap``,
``pmap``, ``shard_map`` and ``jit`` with sharded inputs, in value and gradient.

What reverse-mode differentiation of a fixed-step solve keeps in memory is the caller's choice, ``adjoint``:

| ``adjoint`` | kept | extra work in the reverse pass |
|---|---|---|
| ``"stages"`` | what every stage of every step needs | none |
| ``"steps"`` (default) | the state at every step | one more forward solve |
| ``"sqrt"`` | the state at every sqrt(steps)-th step, and once that many | two more forward solves |
| an integer k | the state at every k-th step, and once k | two more forward solves |

docs/adjoint_memory.md has the measured table. Forward mode (``jax.jvp``) works with every choice.
"""

from collections.abc import Callable, Sequence
from itertools import groupby
from math import gcd, isqrt
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Num

from physics.arguments import (
    Scalar,
    check_adjoint,
    check_field,
    check_step,
    check_steps,
    check_time,
    is_concrete,
    with_constants,
)
from physics.integrators.exponential import Memory, SemilinearTerm, is_exponential, semilinear
from physics.noise import NoisePath, check_noise, check_solver_of_noise, kicks, stochastic_terms
from physics.resolution import unresolved_share, warn_if_unresolved
from physics.sharded_grid import ShardedGrid
from physics.solving.adaptive import adaptive_steps, controller_of
from physics.solving.meshes import away_from_meshes
from physics.spectral import to_physical, to_spectral
from physics.system import StochasticSystem, System

# Runs of equal save intervals compiled one by one; more of them share their greatest common divisor.
_MOST_RUNS = 6


def advance(
    system: System,
    u0: Float[Array | np.ndarray, "*shape c"],
    dt: Scalar,
    steps: Scalar,
    *,
    solver: diffrax.AbstractSolver | None = None,
    adjoint: str | int | None = None,
    noise: NoisePath | None = None,
    t0: Scalar = 0.0,
) -> Float[Array, "*shape c"]:
    """The field after ``steps`` fixed steps of length ``dt``.

    **Arguments:**

    - ``u0``: one field ``(*grid.shape, C)``; batches by ``jax.vmap``.
    - ``dt``: the step, in the system's unit of time; may be traced.
    - ``steps``: how many, a Python integer; 0 returns ``u0``.
    - ``solver``: any diffrax solver; the system's default if None.
    - ``adjoint``: what the reverse pass keeps: ``"stages"``, ``"steps"``, ``"sqrt"`` or an integer (module
      docstring).
    - ``noise``: the noise path of a stochastic system.
    - ``t0``: the time of ``u0``, for systems whose equation holds the time; may be traced.

    Under ``jit``, ``vmap``, ``grad`` and the like a field that blows up comes back non-finite, by itself: other fields
    of a batch are not touched. Where an implicit solver's iteration fails, the field is NaN from that step on,
    and differentiating it raises.

    Unlike `solve`, this does not check whether the grid resolves ``u0``: it is the inner part of loops, defects and
    training, where the check would be repeated every time.

    Raises ``ValueError`` for fields of another shape or with non-finite values, steps that are not
    positive, unknown adjoints (checked where values are concrete), noise or a solver that do not fit the
    system, and where a concrete field does not stay finite.
    """
    u0 = _initial(system, u0)
    check_step(dt)
    check_time(t0)
    check_adjoint(adjoint)
    steps = with_constants(steps)
    check_steps(steps, 0)
    fields = _fixed_steps(system, u0, dt, (int(steps),), solver, adjoint, noise, t0)
    _check_stayed_finite(fields, t0, [steps * dt], dt)
    return fields[0]


def solve(
    system: System,
    u0: Float[Array | np.ndarray, "*shape c"],
    times: Sequence[Scalar] | Num[Array | np.ndarray, " time"],
    *,
    dt: Scalar | None = None,
    solver: diffrax.AbstractSolver | None = None,
    adjoint: diffrax.AbstractAdjoint | str | int | None = None,
    stepsize_controller: diffrax.AbstractAdaptiveStepSizeController | None = None,
    tolerance: float | None = None,
    max_steps: int = 4096,
    dense: bool = False,
    noise: NoisePath | None = None,
    t0: Scalar = 0.0,
) -> Float[Array, "time *shape c"]:
    """The fields at ``times`` of the trajectory that is ``u0`` at time ``t0``.

    **Arguments:**

    - ``u0``: one field ``(*grid.shape, C)``; batches by ``jax.vmap``.
    - ``times``: increasing, from ``t0`` on. Steps land exactly on them unless ``dense``. They decide what is compiled:
      inside ``jit`` write them with NumPy, or as constants of ``jax.numpy`` such as ``jnp.array([0.5, 1.0])``.
    - ``dt``: the fixed step; every interval between times must be a whole number of steps. If None, the
      system's recommended step, shortened until it divides the shortest interval. With adaptive steps: the
      first step.
    - ``solver``: any diffrax solver. If None, the system's ``default_solver``, with adaptive steps its
      ``default_adaptive_solver``: for semilinear systems ETDRK4 and ETD53.
    - ``adjoint``: fixed steps: as in `advance`. Adaptive or ``dense`` steps: a diffrax adjoint, or the number of
      checkpoints of `diffrax.RecursiveCheckpointAdjoint` (16 if None); `diffrax.ForwardMode` for forward
      mode.
    - ``tolerance``: for adaptive steps: the error allowed per step, relative to the field and to the root
      mean square of ``u0``.
    - ``stepsize_controller``: the same in full, e.g. ``diffrax.PIDController(rtol=1e-5, atol=1e-6)``.
    - ``max_steps``: the most adaptive steps; running out of them is a ``ValueError``, under ``jax.jit`` diffrax's own
      error, and inside ``pmap``, ``shard_map`` and on the grid of a mesh infinite values at the times not reached.
    - ``dense``: whether steps go their own way, fixed or adaptive, and the fields at ``times`` are interpolated
      between them: by exponential integrators with `physics.integrators.dense_output`, to the order of the method,
      at most the fourth.
    - ``noise``: the noise path of a stochastic system; fixed steps only.
    - ``t0``: the time of ``u0``, known when the solve is compiled, as ``times``.

    **Returns:** ``(len(times), *grid.shape, C)``.

    Warns with an `UnresolvedFieldWarning` where a concrete ``u0`` is not resolved by the grid.

    Raises ``ValueError`` as `advance`, and for times that are empty, before ``t0``, not increasing or off the
    step, a tolerance that is not positive, and ``max_steps`` that do not suffice. A solution that blows up is
    non-finite or raises, as in `advance`.
    """
    u0 = _initial(system, u0)
    if system.refinable and system.grid.ndim and system.grid.on_host and is_concrete((u0, system.boundary_lift())):
        warn_if_unresolved("u0", unresolved_share(u0, system))
    instants, t0 = checked_times(times, t0)
    instants, dt = instants - t0, with_constants(dt)
    if tolerance is not None:
        if stepsize_controller is not None:
            raise ValueError("tolerance and stepsize_controller are two ways to say one thing: give one of them.")
        stepsize_controller = controller_of(tolerance, u0)
    if stepsize_controller is None and dense:
        dt = system.recommended_dt if dt is None else dt
        check_step(dt)
        # Times are summed up, so that rounding may need a few steps more.
        max_steps = int(1.01 * instants[-1] / dt) + 2
    if stepsize_controller is not None or dense:
        if noise is not None or isinstance(system, StochasticSystem):
            raise ValueError(
                "adaptive and dense steps do not go with noise, whose paths have fixed steps: give dt alone."
            )
        controller = diffrax.ConstantStepSize() if stepsize_controller is None else stepsize_controller
        fields = adaptive_steps(system, u0, instants, dt, solver, adjoint, controller, max_steps, dense, t0)
        _check_stayed_finite(fields, t0, instants, dt if stepsize_controller is None else None)
        return fields
    check_adjoint(adjoint)
    assert not isinstance(adjoint, diffrax.AbstractAdjoint)
    if not is_concrete(dt):
        raise ValueError(
            "dt of solve must be known when the solve is compiled, because it decides the number of steps: give a "
            "Python number, or use advance, which takes a traced dt."
        )
    if dt is not None:
        check_step(dt)
        dt = float(dt)
    step, counts = _whole_steps(t0, instants, system.recommended_dt if dt is None else dt, dt)
    fields = _fixed_steps(system, u0, step, counts, solver, adjoint, noise, t0)
    _check_stayed_finite(fields, t0, instants, step)
    return fields


@jax.jit
def _finite_at(fields: Float[Array, " time *field"]) -> Bool[Array, " time"]:
    return jnp.all(jnp.isfinite(fields), axis=tuple(range(1, fields.ndim)))


def _check_stayed_finite(fields: Array, t0: Any, instants: Any, dt: Any) -> None:
    """Raise ``ValueError`` where concrete fields have blown up, ``instants`` after ``t0``; ``dt`` is None for adaptive
    steps.
    """
    finite = np.asarray(_finite_at(fields)) if is_concrete(fields) else np.asarray(True)
    if finite.all():
        return
    when = f"the solution is not finite at time {t0 + instants[np.argmin(finite)]:g}"
    if dt is None:
        raise ValueError(f"{when}: give a smaller tolerance, or an earlier time if the equation itself blows up.")
    raise ValueError(
        f"dt is {dt:g}, but {when}: the step is too long for the solver or the equation blows up; halve dt to "
        f"{dt / 2:g}, or take another solver or float64."
    )


def _initial(system: System, u0: Any) -> Array:
    """The checked initial field in floating-point numbers, on the devices of the system's grid."""
    if isinstance(system.grid, ShardedGrid):
        check_field("u0", u0, system.field_shape, system.channels)
        return _floating(system.grid.place(u0))
    u0 = _floating(u0)
    check_field("u0", u0, system.field_shape, system.channels)
    return u0


def _floating(u: Any) -> Array:
    u = jnp.asarray(u)
    return u if jnp.issubdtype(u.dtype, jnp.floating) else u.astype(float)


def checked_times(
    times: Sequence[Scalar] | Float[Array | np.ndarray, " time"], t0: Scalar
) -> tuple[Float[np.ndarray, " time"], float]:
    """The save times as increasing float64 numbers from ``t0`` on, and ``t0``.

    Raises ``ValueError`` for times that are traced, empty, before ``t0`` or not increasing.
    """
    times, t0 = with_constants((times, t0))
    if not is_concrete((times, t0)):
        raise ValueError(
            "times and t0 must be known when the solve is compiled, because they decide the number of steps: inside "
            "jit, write them with NumPy, as in np.array([0.5, 1.0]) or np.linspace(0.5, 5.0, 10), instead of computing "
            "them with jax.numpy or taking them as an argument."
        )
    check_time(t0)
    instants = np.asarray(times, np.float64)
    if instants.ndim != 1 or instants.size == 0:
        raise ValueError(f"times must be a list of at least one time, not an array of shape {instants.shape}.")
    if not np.all(np.isfinite(instants)) or instants[0] < t0:
        raise ValueError(f"times must be finite and start at {t0:g} or later, but they start at {instants[0]:g}.")
    if np.any(np.diff(instants) <= 0):
        late = int(np.argmax(np.diff(instants) <= 0))
        raise ValueError(f"times must increase, but {instants[late + 1]:g} follows {instants[late]:g}: sort them.")
    return instants, float(t0)


def _whole_steps(
    t0: float, instants: np.ndarray, recommended: float, dt: float | None
) -> tuple[float, tuple[int, ...]]:
    """The step, and the number of steps before every save time, ``instants`` after ``t0``."""
    intervals = np.diff(instants, prepend=0.0)
    if dt is None:
        shortest = intervals[intervals > 0].min(initial=np.inf)
        # Single-precision times must not cost one step more.
        dt = recommended if np.isinf(shortest) else shortest / np.ceil(shortest / recommended * (1 - 1e-6))
        remedy = f"give a dt that does (the shortest interval was divided into steps of {dt:g})"
    else:
        remedy = "choose another dt or other times"
    dt = float(dt)
    counts = np.round(instants / dt)
    # Single-precision times are accepted: their rounding is far below a step.
    off = np.abs(instants / dt - counts) > np.minimum(1e-4 + 1e-6 * (counts + abs(t0) / dt), 0.05)
    if np.any(off):
        when = f"time {t0 + instants[np.argmax(off)]:g} is not a multiple of the step dt = {dt:g}"
        raise ValueError(f"{when}{f' from t0 = {t0:g} on' if t0 else ''}: {remedy}.")
    return dt, tuple(int(n) for n in np.diff(counts, prepend=0.0))


def _fixed_steps(
    system: System,
    u0: Array,
    dt: Any,
    counts: tuple[int, ...],
    solver: Any,
    adjoint: str | int | None,
    noise: NoisePath | None,
    t0: Any,
) -> Array:
    """Fields after each of the given numbers of further steps."""
    solver = system.default_solver if solver is None else solver
    check_noise(system, noise)
    check_solver_of_noise(system, solver, is_exponential(solver))
    coefficients = None
    if isinstance(system.grid, ShardedGrid):
        system.grid.check_solver(is_exponential(solver))
    if is_exponential(solver) and semilinear(system, solver).grid.on_host:
        coefficients = solver.coefficients(system, dt, u0.dtype)
    # Parameters enter the compiled solve as arrays, so another value does not compile it again.
    system = jax.tree.map(lambda leaf: jnp.asarray(leaf, u0.dtype), system)
    # Exponential solvers hold no loop that compares shardings; the stages of a stochastic solver are one.
    plain = is_exponential(solver)
    run: Callable = _run_fixed if plain else away_from_meshes(_run_fixed)
    t0, dt = jnp.asarray(t0, u0.dtype), jnp.asarray(dt, u0.dtype)
    return run(system, solver, coefficients, u0, t0, dt, counts, adjoint or "steps", noise)


def _stepper(
    system: System, solver: Any, coefficients: Any, u0: Array, t0: Array, dt: Array, noise: NoisePath | None
) -> tuple[Any, Callable, Callable]:
    """The first carry of the scan, one step of it, and the field in a carry."""
    if coefficients is not None:
        # The carry holds no coefficients: reverse mode would store them at every step.
        spectral = SemilinearTerm(semilinear(system, solver), spectral=True)

        def exponential_step(carry: Any, i: Array) -> Any:
            (u_hat, rest), t = carry, t0 + i * dt

            def stepped(u_hat: Array) -> Any:
                u_hat, _, _, memory, _ = solver.step(
                    spectral, t, t + dt, u_hat, None, Memory(coefficients, rest), False
                )
                return u_hat, memory.rest

            if noise is None:
                return stepped(u_hat)
            assert isinstance(system, StochasticSystem)
            before, after = (to_spectral(kick, system.grid) for kick in kicks(system, noise, i, t, dt, u0))
            u_hat, rest_after = stepped(u_hat + before)
            return u_hat + after, rest_after

        u_hat = to_spectral(u0, system.grid)
        return (u_hat, solver.first_rest(u_hat)), exponential_step, lambda carry: to_physical(carry[0], system.grid)

    def term(i: Any) -> diffrax.AbstractTerm:
        if noise is None:
            return diffrax.ODETerm(system.vector_field)
        assert isinstance(system, StochasticSystem)
        return stochastic_terms(system, noise, i, dt, u0.dtype)

    if getattr(solver, "scan_kind", "lax") is None:
        # Left open, the stages run in a loop that has no forward mode; this one has both.
        solver = eqx.tree_at(lambda s: s.scan_kind, solver, "bounded", is_leaf=lambda leaf: leaf is None)

    def ordinary_step(carry: Any, i: Array) -> Any:
        y, state = carry
        t = t0 + i * dt
        y, _, _, state, result = solver.step(term(i), t, t + dt, y, None, state, False)
        # What an iteration that failed leaves looks like a field; a product, so that its cotangent is NaN too.
        return y * jnp.where(diffrax.is_okay(result), 1.0, jnp.nan).astype(y.dtype), state

    state = solver.init(term(0), t0, t0 + dt, u0, None)
    return (u0, state), ordinary_step, lambda carry: carry[0]


@eqx.filter_jit
def _run_fixed(
    system: System,
    solver: Any,
    coefficients: Any,
    u0: Array,
    t0: Array,
    dt: Array,
    counts: tuple[int, ...],
    adjoint: Any,
    noise: NoisePath | None,
) -> Array:
    """Fields after each of the given numbers of further steps; the first number may be 0."""
    if coefficients is None and is_exponential(solver):
        # Computed here, every device has its part of them and no host has the whole.
        coefficients = solver.coefficients(system, dt, u0.dtype)
    carry, one_step, observe = _stepper(system, solver, coefficients, u0, t0, dt, noise)
    saved = [u0[None]] if counts[0] == 0 else []
    counts = counts[1:] if counts[0] == 0 else counts
    runs, picked = [(n, len(list(same))) for n, same in groupby(counts)], None
    if len(runs) > _MOST_RUNS:
        stride = gcd(*counts)
        picked = np.cumsum(counts) // stride - 1 + len(saved)
        picked = np.concatenate([np.arange(len(saved)), picked])
        runs = [(stride, sum(counts) // stride)]
    done = 0
    for n, times in runs:

        def to_next(carry: Any, first: Array, n: int = n) -> Any:
            carry = _repeat(one_step, carry, first, n, adjoint)
            return carry, observe(carry)

        # A scan of length one costs a loop around a loop, so it is left out.
        if times == 1:
            carry, field = to_next(carry, jnp.asarray(done))
            saved.append(field[None])
        else:
            carry, fields = jax.lax.scan(to_next, carry, done + n * jnp.arange(times))
            saved.append(fields)
        done += n * times
    fields = jnp.concatenate(saved)
    return fields if picked is None else fields[picked]


def _repeat(step: Callable, carry: Any, first: Array, count: int, adjoint: Any) -> Any:
    """``count`` steps numbered from ``first``, keeping for the reverse pass what ``adjoint`` says."""

    def scan(body: Callable, carry: Any, first: Array, count: int) -> Any:
        return jax.lax.scan(lambda c, i: (body(c, i), None), carry, first + jnp.arange(count))[0]

    if adjoint == "stages":
        return scan(step, carry, first, count)
    light = jax.checkpoint(step, prevent_cse=False)
    if adjoint == "steps":
        return scan(light, carry, first, count)
    length = min(count, max(1, isqrt(count)) if adjoint == "sqrt" else adjoint)

    def segment(carry: Any, start: Array, length: int = length) -> Any:
        return scan(light, carry, start, length)

    whole, rest = divmod(count, length)
    starts = first + length * jnp.arange(whole)
    carry, _ = jax.lax.scan(
        lambda c, start: (jax.checkpoint(segment, prevent_cse=False)(c, start), None), carry, starts
    )
    return scan(light, carry, first + whole * length, rest) if rest else carry
