"""The devices of a training: which there are, how its step is spread over them, and where state and data lie.

A training may be spread over several processes, each with devices of its own (`jax.distributed`). Every process then
runs the same program: it reads its own rows of every batch, and all hold the same state.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree

from gan.config import Recipe
from gan.networks.kinds import player_kinds

AXIS = "data"
"""Name of the axis of devices."""
CUT = ("residual", "unet")
"""Kinds of networks that work on fields cut over devices."""


def choose_devices(recipe: Recipe) -> list[jax.Device]:
    """Return the devices to train on, those of all processes.

    Raises:
        ValueError: more than there are, or a count that does not divide the batch, or not all of several processes.
    """
    training, processes = recipe.training, jax.process_count()
    visible = jax.devices()
    count = training.devices or len(visible)
    alone = training.parallel in ("jit", "space")
    if processes > 1 and (alone or count != len(visible)):
        name, value = ("parallel", training.parallel) if alone else ("devices", str(count))
        raise ValueError(
            f"training.{name} = {value} cannot be used with {processes} processes, whose {len(visible)} devices all "
            "train: leave it out."
        )
    if training.parallel == "jit":
        count = 1
    if count > len(visible):
        raise ValueError(f"training.devices = {count}, but only {len(visible)} are visible: use at most that many.")
    if training.batch % count and training.parallel != "space":
        raise ValueError(
            f"training.batch = {training.batch} does not divide over {count} devices: "
            f"choose a multiple of {count}, or set training.devices."
        )
    return visible[:count]


def _check_cut(recipe: Recipe, grid: tuple[int, ...], count: int) -> None:
    """Refuse networks that need whole fields, and grids that the devices do not divide."""
    kinds = player_kinds(recipe.network.kind, recipe.network.discriminator)
    for kind in kinds:
        if kind not in CUT:
            raise ValueError(
                f"training.parallel = space cannot be used with a network of the kind {kind!r}: use one of "
                f"convolutions, {', '.join(CUT)}."
            )
    if len(grid) < 2 or grid[0] % count:
        raise ValueError(
            f"training.parallel = space cuts the first of two axes or more, but {count} devices do not divide a grid "
            f"of shape {grid} so: use other devices (training.devices), or pmap."
        )


class Spread:
    """How a training lies on its devices: every one has a copy of the state and its share of every batch.

    With "space" it has its part of every field instead.

    Args:
        recipe: of the training.
        grid: shape of the samples' grid.

    Attributes:
        devices: of all processes.
        how: the way in which the step is spread: that of the recipe, or "shard_map" with several processes.
        own: places of this process's devices among them.
        shares: how many shares a batch has.
        own_shares: places of this process's shares among them.

    Raises:
        ValueError: as `choose_devices`, and where fields cannot be cut.
    """

    def __init__(self, recipe: Recipe, grid: tuple[int, ...] = ()):
        self.devices = choose_devices(recipe)
        # A mapped function of one process takes no arrays that lie on several.
        self.how = recipe.training.parallel if jax.process_count() == 1 else "shard_map"
        self.own = [i for i, one in enumerate(self.devices) if one.process_index == jax.process_index()]
        self.shares, self.own_shares, self.axes = len(self.devices), self.own, len(grid)
        if self.how == "space":
            self.shares, self.own_shares = 1, [0]
            _check_cut(recipe, grid, len(self.devices))

    @cached_property
    def mesh(self) -> jax.sharding.Mesh:
        """The devices as one axis."""
        kinds = (jax.sharding.AxisType.Auto,)
        return jax.make_mesh((len(self.devices),), (AXIS,), devices=self.devices, axis_types=kinds)

    def _sharding(self, *axes: str | None) -> jax.sharding.NamedSharding:
        return jax.sharding.NamedSharding(self.mesh, jax.sharding.PartitionSpec(*axes))

    def replicate(self, state: PyTree) -> PyTree:
        """Return a state of which every device holds a copy; all processes give the same one."""
        place = self._sharding()
        if len(self.own) == len(self.devices):
            return jax.device_put(state, place)
        return jax.tree.map(lambda x: jax.make_array_from_process_local_data(place, np.asarray(x)), state)

    def place(self, batch: PyTree) -> PyTree:
        """Bring data with a first axis of this process's devices to these.

        With ``pmap`` and ``jit`` on one process, the step itself does it.
        """
        if self.how == "space":
            fields, condition = batch
            before = [None] * (fields.ndim - 1 - self.axes)
            return jax.device_put(fields, self._sharding(*before, AXIS)), jax.device_put(condition, self._sharding())
        if self.how != "shard_map":
            return batch
        place = self._sharding(AXIS)
        return jax.tree.map(lambda x: jax.make_array_from_process_local_data(place, np.ascontiguousarray(x)), batch)

    def await_turn(self, earlier: PyTree) -> None:
        """Wait for the call before, where the devices of this process share the threads of one CPU.

        With two calls at a time, the devices of one can hold all threads while they wait in a mean over devices for
        those of the other (jaxlib 0.10.2). XLA ends such a process after a minute.
        """
        if len(self.own) > 1 and self.devices[0].platform == "cpu":
            jax.block_until_ready(earlier)

    def first_share(self, batch: PyTree) -> PyTree:
        """Return the share of this process's first device of placed data, on the host."""

        def first(x: Any) -> np.ndarray:
            shards = getattr(x, "addressable_shards", None)
            return np.asarray(x[0] if shards is None or self.how == "space" else shards[0].data[0])

        return jax.tree.map(first, batch)
