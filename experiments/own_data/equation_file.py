"""A Python file of the user with the equation of the fields: ``system(points, extent) -> physics.System``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from experiments.errors import UserError
from experiments.python_file import run_module

if TYPE_CHECKING:
    from experiments.own_data.preparation import PreparedFields
    from physics.system import System

FUNCTION = "system"


def system_of(file: str, prepared: PreparedFields, periodic: tuple[str, ...]) -> System:
    """Return the equation of fields on their grid.

    Args:
        file: that defines ``system(points, extent)``; points and lengths are those of the axes of space, in the file's
            order.
        prepared: the fields.
        periodic: names of the axes that are periodic.

    Raises:
        UserError: the file defines no such function, it returns no system that moves, its fields have another shape,
            or the fields at hand are not those of the equation: patches, transformed, with missing points.
    """
    from physics import System

    option = f"--system.physics {file}"
    if any(one.kind != "none" for one in prepared.transforms) or prepared.missing is not None:
        raise UserError(f"{option}: an equation needs fields as they are, without transforms or missing points.")
    try:
        content = Path(file).read_bytes()
    except OSError as error:
        raise UserError(f"{option}: {error.strerror}; give a Python file.") from None
    make = getattr(run_module(Path(file), content), FUNCTION, None)
    if not callable(make):
        raise UserError(f"{option} defines no function {FUNCTION}(points, extent).")
    points, extent = tuple(one.size for one in prepared.grid), tuple(one.extent for one in prepared.grid)
    try:
        system = make(points, extent)
    except Exception as error:
        raise UserError(f"{option}: {FUNCTION}{points, extent} fails with {type(error).__name__}: {error}") from error
    if not isinstance(system, System):
        raise UserError(f"{option}: {FUNCTION}(points, extent) returns no physics.System, but {type(system).__name__}.")
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
