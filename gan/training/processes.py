"""Several processes that train together, each with devices of its own, on one host or on many."""

from __future__ import annotations

import jax


def join(coordinator: str | None = None, processes: int | None = None, process: int | None = None) -> None:
    """Join the other processes of a training, before any use of a device.

    Args:
        coordinator: address at which they meet, ``HOST:PORT`` of the first of them; the cluster's environment says it
            where it is left out.
        processes: how many there are; likewise.
        process: number of this one, from 0 on; likewise.
    """
    jax.distributed.initialize(coordinator, processes, process)
