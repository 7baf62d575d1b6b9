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

AXIS = "data"
"""Name of the axis of devices."""


def choose_devices(recipe: Recipe) -> list[jax.Device]:
    """Return the devices to train on, those of all processes.

    Raises:
        ValueError: more than there are, or a count that does not divide the batch, or not all of several processes.
    """
    training, processes = recipe.training, jax.process_count()
    visible = jax.devices()
    count = training.devices or len(visible)
    if processes > 1 and (training.parallel == "jit" or count != len(visible)):
        name, value = ("parallel", "jit") if training.parallel == "jit" else ("devices", str(count))
        raise ValueError(
            f"training.{name} = {value} cannot be used with {processes} processes, whose {len(visible)} devices all "
            "train: leave it out."
        )
    if training.parallel == "jit":
        count = 1
    if count > len(visible):
        raise ValueError(f"training.devices = {count}, but only {len(visible)} are visible: use at most that many.")
    if training.batch % count:
        raise ValueError(
            f"training.batch = {training.batch} does not divide over {count} devices: "
            f"choose a multiple of {count}, or set training.devices."
        )
    return visible[:count]


class Spread:
    """How a training lies on its devices: every one has a copy of the state and its share of every batch.

    Args:
        recipe: of the training.

    Attributes:
        devices: of all processes.
        how: the way in which the step is spread: that of the recipe, or "shard_map" with several processes.
        own: places of this process's devices among them.

    Raises:
        ValueError: as `choose_devices`.
    """

    def __init__(self, recipe: Recipe):
        self.devices = choose_devices(recipe)
        # A mapped function of one process takes no arrays that lie on several.
        self.how = recipe.training.parallel if jax.process_count() == 1 else "shard_map"
        self.own = [i for i, one in enumerate(self.devices) if one.process_index == jax.process_index()]

    @cached_property
    def mesh(self) -> jax.sharding.Mesh:
        """The devices as one axis."""
        kinds = (jax.sharding.AxisType.Auto,)
        return jax.make_mesh((len(self.devices),), (AXIS,), devices=self.devices, axis_types=kinds)

    def _sharding(self, *axes: str) -> jax.sharding.NamedSharding:
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
            return np.asarray(x[0] if shards is None else shards[0].data[0])

        return jax.tree.map(first, batch)
