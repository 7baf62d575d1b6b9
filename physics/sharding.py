"""Systems whose fields are spread over several devices, since one device cannot hold what a solve needs."""

import dataclasses
import math
from collections.abc import Iterator
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr
from jax.sharding import AxisType, Mesh

from physics.sharded_grid import ShardedGrid
from physics.system import SemilinearSystem, StochasticSystem, System

Sharded = TypeVar("Sharded", bound=System)


def sharded(system: Sharded, mesh: Mesh | None = None, over: str = "space") -> Sharded:
    """The same system with fields ``(*grid.shape, C)`` cut along their first axis, over one axis of a mesh of devices.

    `physics.solve`, `physics.advance` and their gradients then need on each device what they need in all, over the
    number of devices. They take initial fields that lie anywhere, and return fields with ``system.grid.sharding``:

        system = physics.sharded(NavierStokes3D(Grid((512, 512, 512), (6.28, 6.28, 6.28))))
        u0 = jax.make_array_from_callback(system.field_shape, system.grid.sharding, read_part)
        fields = physics.solve(system, u0, [1.0, 2.0])

    An axis of the mesh that is not ``over`` may hold a batch: ``jax.vmap(..., spmd_axis_name="batch")``.

    **Arguments:**

    - ``system``: a system whose nonlinear term is written with the transforms of `physics.spectral` and the arrays of
      waves of its grid: most semilinear ones in two and three dimensions.
    - ``mesh``: the devices; all of this program by default. Axes of type `jax.sharding.AxisType.Auto` go with every
      solver, explicit ones with fixed steps of exponential integrators.
    - ``over``: the axis of the mesh over which fields are cut.

    Solvers are the same as for one device, with two differences: the coefficients of exponential integrators are
    computed on the devices in the precision of the field, and `physics.solve` does not examine whether the grid
    resolves the initial field, which would take the whole of it to one place.

    Raises ``ValueError`` for a system that has no such form, and as
    `physics.sharded_grid.ShardedGrid` for grids that cannot be cut.
    """
    if mesh is None:
        mesh = jax.make_mesh((jax.device_count(),), (over,), axis_types=(AxisType.Auto,))
    whole = system.grid
    grid = ShardedGrid(whole.shape, whole.extent, whole.boundary, device_mesh=mesh, over=over)
    _check_form(system, grid)
    arrays, others = eqx.partition(dataclasses.replace(system, grid=grid), eqx.is_array)
    # A parameter with a value at every point is cut as a field is.
    placed = jax.tree.map(lambda one: grid.place(one) if np.shape(one)[: grid.ndim] == grid.shape else one, arrays)
    return eqx.combine(placed, others)


def _check_form(system: System, grid: ShardedGrid) -> None:
    name = type(system).__name__
    if not isinstance(system, SemilinearSystem) or isinstance(system, StochasticSystem):
        raise ValueError(
            f"{name} has no form for fields on several devices: semilinear systems without noise have one, whose "
            "vector field is made of Fourier transforms and products."
        )
    auto = Mesh(
        grid.device_mesh.devices,
        grid.device_mesh.axis_names,
        axis_types=(AxisType.Auto,) * len(grid.device_mesh.axis_names),
    )
    grid = dataclasses.replace(grid, device_mesh=auto)
    field = jax.ShapeDtypeStruct(system.field_shape, jnp.float32)
    try:
        program = jax.make_jaxpr(dataclasses.replace(system, grid=grid).vector_field)(0.0, field)
    except jax.errors.TracerArrayConversionError as error:
        raise ValueError(
            f"{name} has no form for fields on several devices: it makes NumPy arrays of all waves, which every device "
            "would hold whole. Write them with operators on the grid's arrays, or with jax.numpy."
        ) from error
    # What the system holds by itself is placed.
    own = {id(leaf) for leaf in jax.tree.leaves(system)}
    largest = max((one.size for one in _constants(program) if id(one) not in own), default=0)
    if largest >= math.prod(grid.spectral_shape) // 2:
        raise ValueError(
            f"{name} has no form for fields on several devices: it makes a NumPy array of {largest} numbers, which "
            "every device would hold whole. Write it with jax.numpy."
        )


def _constants(program: Any) -> Iterator[Any]:
    """The arrays that a traced program holds, those of the programs in it among them."""
    if isinstance(program, ClosedJaxpr):
        yield from (one for one in program.consts if hasattr(one, "size"))
        program = program.jaxpr
    if isinstance(program, Jaxpr):
        for equation in program.eqns:
            for parameter in equation.params.values():
                for inner in parameter if isinstance(parameter, tuple | list) else [parameter]:
                    yield from _constants(inner)
