"""Networks whose fields are cut along their first grid axis over several devices.

Within `fields_cut_over`, layers ask that what they make is cut, and XLA exchanges the few points beyond the cuts that a
convolution sees. Coarse levels, with fewer than four points for each device, stay whole on every one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float

# With parts of one point, XLA's partitioner fails in the second derivative of the padding (jaxlib 0.10.2).
_LEAST_POINTS = 4
_MESH: ContextVar[Mesh | None] = ContextVar("mesh", default=None)


@contextmanager
def fields_cut_over(mesh: Mesh) -> Iterator[None]:
    """Trace networks with their fields cut over the one axis of a mesh."""
    token = _MESH.set(mesh)
    try:
        yield
    finally:
        _MESH.reset(token)


def cut(x: Float[Array, "batch *grid channels"]) -> Float[Array, "batch *grid channels"]:
    """Return fields as they are, their first grid axis cut over the devices of `fields_cut_over`, if any."""
    mesh = _MESH.get()
    if mesh is None:
        return x
    (axis,) = mesh.axis_names
    fits = x.shape[1] % mesh.size == 0 and x.shape[1] >= _LEAST_POINTS * mesh.size
    return jax.lax.with_sharding_constraint(x, NamedSharding(mesh, PartitionSpec(None, axis if fits else None)))
