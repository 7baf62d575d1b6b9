"""What users may hand in: checks that say, in one sentence, which argument is wrong, its value and the mend.

Values are only looked at where they are concrete; traced ones (inside ``jit``, ``grad``, ``vmap``) pass.
"""

from typing import Any, Literal, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Num, PyTree

from physics.grid import Grid

Scalar: TypeAlias = float | int | np.number | Num[Array | np.ndarray, ""]
"""One number, of Python, NumPy or JAX; a JAX array may be traced."""


def is_concrete(tree: PyTree) -> bool:
    """Whether no leaf of ``tree`` is being traced."""
    return not any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(tree))


def with_constants(tree: PyTree) -> PyTree:
    """``tree`` with the values of arrays written out inside ``jit``, such as ``jnp.array([0.5, 1.0])``.

    There ``jax.numpy`` turns even constants into tracers. What has been computed from them, such as
    ``jnp.linspace(0, 1, 5)``, is known only when the compiled function runs, and stays a tracer.
    """
    return jax.tree.map(_constant, tree)


def _constant(leaf: Any) -> Any:
    # The value of a constant closed over by an inner `jit` can be a tracer of the outer one.
    while isinstance(leaf, jax.core.Tracer):
        # No public function of JAX gives the value; a JAX without this method leaves the tracer as it is.
        value = leaf.get_const() if hasattr(leaf, "get_const") else None
        if value is None:
            break
        leaf = value
    return leaf


def parameter(value: Any) -> Any:
    """A system's number: Python and NumPy scalars become exact floats, arrays and tracers stay as they are.

    Plain floats keep all their digits for coefficients computed on the host, and take the precision of the
    field they meet. They are leaves all the same: ``jax.grad`` and ``jax.vmap`` may replace them.
    """
    return float(value) if isinstance(value, int | float | np.generic | np.ndarray) else value


def is_zero(value: ArrayLike) -> bool:
    """Whether the parameter is known to be 0 everywhere, which a traced one is not."""
    return is_concrete(value) and bool(np.all(np.asarray(value) == 0))


def check_parameter(what: str, value: object, *, sign: Literal["any", "non_negative", "positive"]) -> None:
    """Raise ``ValueError`` unless the concrete parameter is finite and of the sign that it may have."""
    if not is_concrete(value) or not isinstance(value, int | float | np.ndarray | jax.Array):
        return
    numbers = np.asarray(value)
    if not np.all(np.isfinite(numbers)):
        raise ValueError(f"{what} must be finite, not {value}.")
    if sign == "non_negative" and np.any(numbers < 0):
        raise ValueError(f"{what} must not be negative, but is {value}: use a value of 0 or more.")
    if sign == "positive" and np.any(numbers <= 0):
        raise ValueError(f"{what} must be positive, but is {value}: use a value above 0.")


def parameters_of_step(system: Any, *names: str) -> list[np.ndarray]:
    """The parameters that decide a system's recommended step, or a ``ValueError`` where one of them is traced."""
    traced = [name for name in names if not is_concrete(getattr(system, name))]
    if traced:
        raise ValueError(
            f"the recommended step of {type(system).__name__} follows from its {' and '.join(traced)}, which "
            f"{'is' if len(traced) == 1 else 'are'} traced here: give dt."
        )
    # In NumPy, since jax.numpy would trace even concrete values inside of jit.
    return [np.asarray(getattr(system, name), np.float64) for name in names]


def check_boundaries(system: str, grid: Grid, allowed: tuple[str, ...]) -> None:
    """Raise ``ValueError`` unless the boundary of every axis of ``grid`` is among ``allowed``."""
    for axis, kind in enumerate(grid.boundary):
        if kind not in allowed:
            raise ValueError(
                f"{system} has no form for the {kind} boundary of axis {axis}: give a grid whose boundary is "
                f"{' or '.join(map(repr, allowed))} on every axis."
            )


def check_point(system: Any) -> None:
    """Raise ``ValueError`` unless the system's grid is a single point: an ordinary differential equation."""
    if system.grid.ndim != 0:
        raise ValueError(
            f"{type(system).__name__} lives on a single point, not on a grid with {system.grid.ndim} axes: "
            "Grid((), ())."
        )


def check_axes(system: str, ndim: int) -> None:
    """Raise ``ValueError`` unless a field lives on one, two or three axes."""
    if ndim not in (1, 2, 3):
        raise ValueError(f"{system} needs a grid with 1, 2 or 3 axes, not {ndim}: Grid((64, 64), (10.0, 10.0)).")


def check_step(dt: Scalar) -> None:
    """Raise ``ValueError`` unless the concrete step ``dt`` is a positive, finite number."""
    if is_concrete(dt) and not (np.ndim(dt) == 0 and np.isfinite(dt) and dt > 0):
        raise ValueError(f"dt must be one positive, finite step, not {dt}: time runs forwards here.")


def check_steps(steps: Any, least: int) -> None:
    """Raise ``ValueError`` unless ``steps`` is a concrete whole number, ``least`` or more."""
    if not is_concrete(steps):
        raise ValueError("steps must be concrete, it decides what is compiled: give a Python integer.")
    number = np.asarray(steps)
    if (
        number.ndim
        or number.dtype.kind not in "iuf"
        or not (np.isfinite(number) and number % 1 == 0 and number >= least)
    ):
        raise ValueError(f"steps must be a whole number, {least} or more, not {steps}.")


def check_time(t0: Scalar) -> None:
    """Raise ``ValueError`` unless the concrete time ``t0`` is a finite number."""
    if is_concrete(t0) and not (np.ndim(t0) == 0 and np.isfinite(t0)):
        raise ValueError(f"t0 must be one finite time, that of the first field, not {t0}: 0.0 is the default.")


@jax.jit
def _all_finite(field: Any) -> Any:
    return jnp.all(jnp.isfinite(field))


def check_field(what: str, field: ArrayLike, shape: tuple[int, ...], channels: tuple[str, ...]) -> None:
    """Raise ``ValueError`` unless ``field`` has the system's shape and, where concrete, finite values."""
    if np.shape(field) != shape:
        raise ValueError(
            f"{what} has shape {np.shape(field)}, but this system's fields have shape {shape} "
            f"(grid, then channels {channels}): reshape it, and use jax.vmap for batches."
        )
    if not is_concrete(field):
        return
    # A field that is spread over devices is not brought together.
    spread = isinstance(field, jax.Array) and not field.is_fully_replicated
    if not (np.asarray(_all_finite(field)) if spread else np.all(np.isfinite(np.asarray(field)))):
        raise ValueError(f"{what} holds NaN or infinite values: give a finite field.")


def check_adjoint(adjoint: object) -> None:
    """Raise ``ValueError`` unless ``adjoint`` names what a fixed-step solve may keep for its reverse pass."""
    if adjoint is None or adjoint in ("stages", "steps", "sqrt"):
        return
    if not isinstance(adjoint, int) or isinstance(adjoint, bool) or adjoint < 1:
        raise ValueError(
            f"adjoint {adjoint!r} is unknown for fixed steps: use 'stages', 'steps', 'sqrt' or the number of "
            "steps between checkpoints, 1 or more."
        )
