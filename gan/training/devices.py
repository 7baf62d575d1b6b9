"""The devices of a training."""

from __future__ import annotations

import jax

from gan.config import Recipe


def choose_devices(recipe: Recipe) -> list[jax.Device]:
    """Return the devices to train on.

    Raises:
        ValueError: more than there are, or a count that does not divide the batch.
    """
    training = recipe.training
    visible = jax.local_devices()
    count = training.devices or len(visible)
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


def replicated(devices: list[jax.Device]) -> jax.sharding.NamedSharding:
    """Return the placement of a state of which every device holds a copy."""
    mesh = jax.make_mesh((len(devices),), ("data",), devices=devices, axis_types=(jax.sharding.AxisType.Auto,))
    return jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
