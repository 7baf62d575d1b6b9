"""Grids whose fields are spread over the devices of a mesh, by one spatial axis.

A field ``(*grid.shape, C)`` is cut along its first axis, its spectrum ``(C, *grid.spectral_shape)`` along the second.
A transform works on the axes that a device holds whole, exchanges the two cuts by one all-to-all, and transforms the
first axis (`physics.spectral.transform`). Left to itself, XLA gathers the whole array for a Fourier transform.

Arrays of waves, such as `Grid.wavenumber_squared`, are built in the compiled program from one line of numbers for each
axis. As NumPy arrays they would be constants of the program, which every device would hold whole.
"""

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array

from physics.grid import Grid


@dataclass(frozen=True)
class ShardedGrid(Grid):
    """A grid whose fields are cut along their first axis, over one axis of a mesh of devices.

    `physics.sharded` gives a system such a grid. The arrays of waves are JAX's, not NumPy's. Where the devices do not
    divide the second axis of the spectrum, it is longer than that of `Grid` by waves beyond the shortest one, which are
    always zero.

    **Arguments**, beside those of `Grid`:

    - ``device_mesh``: the devices.
    - ``over``: the axis of the mesh over which fields are cut.

    Raises ``ValueError`` for fewer than two spatial axes, a first axis that is not periodic, an axis that the mesh does
    not have, and a number of devices that does not divide the points of the first axis.
    """

    device_mesh: Mesh = field(kw_only=True)
    over: str = field(kw_only=True)

    on_host = False

    def __post_init__(self):
        super().__post_init__()
        if self.over not in self.device_mesh.shape:
            raise ValueError(f"the mesh has no axis {self.over!r}, but {', '.join(map(repr, self.device_mesh.shape))}.")
        if self.ndim < 2:
            raise ValueError(
                f"a field on {self.ndim} axes cannot be cut: one axis must be whole where the other is cut, so that "
                "2 or 3 are needed."
            )
        if self.boundary[0] != "periodic":
            raise ValueError(
                f"axis 0, along which fields are cut, must be periodic, but is {self.boundary[0]}: order the axes so "
                "that a periodic one comes first."
            )
        if self.shape[0] % self.devices:
            raise ValueError(
                f"{self.devices} devices do not divide the {self.shape[0]} points of axis 0: take another number of "
                "either."
            )

    @property
    def devices(self) -> int:
        """How many parts a field is cut into."""
        return self.device_mesh.shape[self.over]

    @property
    def sharding(self) -> NamedSharding:
        """Of a field ``(*shape, C)``: where `jax.device_put` and `jax.make_array_from_callback` shall place it."""
        return NamedSharding(self.device_mesh, PartitionSpec(self.over))

    def place(self, u: Any, leading: int = 0) -> Array:
        """The field, cut over the devices; inside ``jit`` a constraint, elsewhere a copy of what is placed otherwise.

        ``leading`` axes before those of space, such as time, are left whole.
        """
        sharding = NamedSharding(self.device_mesh, PartitionSpec(*[None] * leading, self.over))
        if not isinstance(u, jax.core.Tracer):
            return jax.device_put(u, sharding)
        explicit = AxisType.Explicit in self.device_mesh.axis_types
        return jax.sharding.reshard(u, sharding) if explicit else jax.lax.with_sharding_constraint(u, sharding)

    def check_solver(self, exponential: bool) -> None:
        """Raise ``ValueError`` where the mesh's type of axes does not go with a solver."""
        if not exponential and AxisType.Explicit in self.device_mesh.axis_types:
            raise ValueError(
                "the mesh has explicit axes, with which only fixed steps of exponential integrators go: make it with "
                "jax.make_mesh(..., axis_types=(jax.sharding.AxisType.Auto,)), one type for each axis."
            )

    @property
    def spectral_shape(self) -> tuple[int, ...]:
        """That of `Grid`, its second axis rounded up to a multiple of the devices."""
        first, second, *others = super().spectral_shape
        return (first, -(-second // self.devices) * self.devices, *others)

    @property
    def mode_numbers(self) -> tuple[np.ndarray, ...]:
        """n, one NumPy array per axis; those of the waves that fill up the second axis go on beyond the last one."""
        first, second, *others = super().mode_numbers
        missing = self.spectral_shape[1] - second.size
        # Beyond every wave of the axis, so that no rule that keeps the long waves keeps them.
        beyond = np.arange(missing).reshape([-1 if axis == 1 else 1 for axis in range(self.ndim)]) + self.shape[1] + 1
        return (first, np.concatenate([second, beyond], 1), *others)

    @property
    def wavenumbers(self) -> tuple[Array, ...]:  # type: ignore[override]
        """k, one array per axis."""
        return tuple(map(jnp.asarray, self._wavenumber_lines()))

    @property
    def odd_wavenumbers(self) -> tuple[Array, ...]:  # type: ignore[override]
        """``wavenumbers`` with the Nyquist wave of even sizes put to zero."""
        return tuple(map(jnp.asarray, self._odd_wavenumber_lines()))

    @property
    def wavenumber_squared(self) -> Array:  # type: ignore[override]
        """|k|^2 on ``spectral_shape``."""
        return jnp.broadcast_to(sum(k**2 for k in self.wavenumbers), self.spectral_shape)

    @property
    def dealias_mask(self) -> Array:  # type: ignore[override]
        """The waves kept by the 2/3 rule."""
        return self.kept_waves(2)

    def kept_waves(self, degree: int) -> Array:  # type: ignore[override]
        """As `Grid.kept_waves`."""
        kept = jnp.ones(self.spectral_shape, bool)
        for line in self._kept_lines(degree):
            kept = kept & jnp.asarray(line)
        return kept

    def leading_waves(self, degree: int) -> int:
        """All of the last axis: a part of a cut axis would lie on a part of the devices."""
        return self.spectral_shape[-1]

    @property
    def parseval_weights(self) -> Array:  # type: ignore[override]
        """How many waves of the full transform each coefficient stands for, 1 or 2; 0 for those that fill up."""
        halved = self.periodic_axes[-1]
        n, size = self.mode_numbers[halved], self.shape[halved]
        weights = np.where((n == 0) | ((size % 2 == 0) & (n == size // 2)), 1.0, 2.0)
        there = self.mode_numbers[1] <= self.shape[1]
        return jnp.broadcast_to(jnp.asarray(weights) * jnp.asarray(there), self.spectral_shape)
