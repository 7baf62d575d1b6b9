"""A Python file of the user with what is known of the fields: their equation, and a residual that is zero for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.errors import UserError
from experiments.python_file import run_module

if TYPE_CHECKING:
    from jax import Array
    from jax.typing import ArrayLike

    from experiments.own_data.preparation import PreparedFields
    from physics.system import System

SYSTEM, RESIDUAL = "system", "residual"
"""Functions that the file may define."""


@dataclass(frozen=True)
class KnownPhysics:
    """What a user knows of the fields of a file.

    Attributes:
        system: their equation of motion, whose solver may be the generator's last layer; None where not given.
        residual: ``field (*grid, C) -> array``, zero where the field obeys an equation that holds at one time: a steady
            equation, a balance, a constraint; None where not given.
    """

    system: System | None = None
    residual: Callable[[Array], Array] | None = None

    def mean_squares(self) -> Callable[[ArrayLike], Array]:
        """Return ``fields (n, *grid, C) -> (n,)``, the mean squared residual of every field.

        Raises:
            ValueError: there is no residual.
        """
        import jax
        import jax.numpy as jnp

        if (residual := self.residual) is None:
            raise ValueError("the file defines no residual.")
        return jax.jit(jax.vmap(lambda field: jnp.mean(jnp.square(residual(field)))))


def known_physics(
    file: str, prepared: PreparedFields, periodic: tuple[str, ...], patched: bool = False
) -> KnownPhysics:
    """Return what a file of the user says of the fields.

    Args:
        file: that defines ``system(points, extent) -> physics.System``, ``residual(field, extent) -> array`` for one
            field, or both; points and lengths are those of the axes of space, in the order of the data's file.
        prepared: the fields.
        periodic: names of the axes that are periodic.
        patched: whether the fields are patches of larger ones, which are no fields of an equation of motion.

    Raises:
        UserError: the file defines neither; the system does not move or its fields have another shape; the residual is
            not finite or has no gradient; or the fields at hand are not those of the equation: transformed, or with
            missing points.
    """
    option = f"--system.physics {file}"
    if any(one.kind != "none" for one in prepared.transforms) or prepared.missing is not None:
        raise UserError(f"{option}: an equation needs fields as they are, without transforms or missing points.")
    try:
        content = Path(file).read_bytes()
    except OSError as error:
        raise UserError(f"{option}: {error.strerror}; give a Python file.") from None
    module = run_module(Path(file), content)
    make, vanishing = (getattr(module, name, None) for name in (SYSTEM, RESIDUAL))
    if not callable(make) and not callable(vanishing):
        raise UserError(f"{option} defines neither {SYSTEM}(points, extent) nor {RESIDUAL}(field, extent).")
    if patched and callable(make):
        raise UserError(f"{option}: a patch is no field of the equation; leave --system.patch out.")
    return KnownPhysics(
        _system(option, make, prepared, periodic) if callable(make) else None,
        _residual(option, vanishing, prepared) if callable(vanishing) else None,
    )


def _system(option: str, make: Callable[..., object], prepared: PreparedFields, periodic: tuple[str, ...]) -> System:
    """Return the equation that the user's function makes, or refuse it."""
    from physics import System

    points, extent = tuple(one.size for one in prepared.grid), tuple(one.extent for one in prepared.grid)
    try:
        system = make(points, extent)
    except Exception as error:
        raise UserError(f"{option}: {SYSTEM}{points, extent} fails with {type(error).__name__}: {error}") from error
    if not isinstance(system, System):
        raise UserError(f"{option}: {SYSTEM}(points, extent) returns no physics.System, but {type(system).__name__}.")
    if system.field_shape != (shape := prepared.train.shape[1:]):
        raise UserError(f"{option}: its fields have the shape {system.field_shape}, and those of the file {shape}.")
    if (
        system.grid.shape
        and system.grid.periodic
        and (others := [one.name for one in prepared.grid if one.name not in periodic])
    ):
        raise UserError(
            f"{option}: the equation is periodic along {others[0]} too; give --system.periodic {others[0]}."
        )
    return system


def _residual(option: str, vanishing: Callable[..., Array], prepared: PreparedFields) -> Callable[[Array], Array]:
    """Return the user's residual for one field, after trying it and its gradient on a training field."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    extent = tuple(one.extent for one in prepared.grid)

    def residual(field: Array) -> Array:
        return jnp.asarray(vanishing(field, extent))

    first = jnp.asarray(prepared.train[0])
    try:
        value = residual(first)
        slope = jax.grad(lambda field: jnp.mean(jnp.square(residual(field))))(first)
    except Exception as error:
        told = str(error).split("\n", 1)[0]
        raise UserError(f"{option}: {RESIDUAL}(field, {extent}) fails with {type(error).__name__}: {told}") from error
    if not (np.isfinite(value).all() and np.isfinite(slope).all()):
        raise UserError(
            f"{option}: {RESIDUAL}(field, extent) or its gradient is not finite at the first training field."
        )
    return residual
