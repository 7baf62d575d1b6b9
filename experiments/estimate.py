"""What a configuration asks of the solver and of the disk, estimated and refused before any work begins.

The limits are far above what a large run takes: they are there for slips of the keyboard (``--data.dt 1e-30``), which
would otherwise overflow, exhaust the memory or never end.
"""

from __future__ import annotations

import math

from experiments.config import DataConfig, ExperimentConfig
from experiments.errors import UserError
from gan.settings import show

MOST_STEPS = 10**9
"""Solver steps of one trajectory, which nothing makes parallel."""
MOST_UPDATES = 10**16
"""Updates of single grid points for a data set: months on the fastest accelerator."""
MOST_BYTES = 2 * 10**11
"""Bytes of a data set on disk."""
MOST_MEMORY = 10**11
"""Bytes of the trajectories that are solved at once."""


def check_cost(config: ExperimentConfig) -> None:
    """Refuse what would take an unreasonable number of solver steps or bytes.

    Raises:
        UserError: it names the options and the estimate.
    """
    data = config.data
    if not isinstance(data, DataConfig):
        return
    check_refinement("--compare.refine", max(config.compare.refine, default=0.0), config)
    # What is measured by a pilot is not known yet, and the pilot has a limit of its own.
    span = (data.spin_up or 0.0) + (data.snapshots - 1) * (data.stride or 0.0)
    settings = f"--data.spin_up {show(data.spin_up)}, --data.stride {show(data.stride)} and --data.dt {show(data.dt)}"
    steps = span / data.dt
    if steps > MOST_STEPS:
        raise UserError(
            f"{settings} make {steps:.2g} solver steps of each trajectory, more than {MOST_STEPS:.0e}: "
            "shorten the times or raise --data.dt."
        )
    points, trajectories = math.prod(data.points), sum(data.trajectories)
    size = f"--data.points {show(data.points)}, --data.trajectories {show(data.trajectories)}"
    if (updates := steps * points * trajectories) > MOST_UPDATES:
        raise UserError(
            f"{size} with {settings} make {updates:.2g} updates of grid points, more than {MOST_UPDATES:.0e}: "
            "make fewer or shorter trajectories, or raise --data.dt."
        )
    trajectory = 4 * points * data.snapshots
    if (stored := trajectory * trajectories) > MOST_BYTES:
        raise UserError(
            f"{size} and --data.snapshots {data.snapshots} make {stored / 1e9:.2g} GB of training fields, more than "
            f"{MOST_BYTES / 1e9:.0e}: make fewer or smaller ones."
        )
    if (held := trajectory * min(data.chunk, max(data.trajectories))) > MOST_MEMORY:
        raise UserError(
            f"--data.chunk {data.chunk} needs {held / 1e9:.2g} GB of memory for the trajectories that are solved at "
            "once: lower it."
        )


def check_refinement(option: str, time: float | int, config: ExperimentConfig) -> None:
    """Refuse to advance fields over more solver steps than can be made.

    Args:
        option: as the user wrote it.
        time: the longest solver time.
        config: of the run.

    Raises:
        UserError: it names the option and the estimate.
    """
    data = config.data
    if isinstance(data, DataConfig) and time / data.dt > MOST_STEPS:
        raise UserError(
            f"{option} {show(float(time))} takes {time / data.dt:.2g} solver steps of --data.dt {show(data.dt)}, more "
            f"than {MOST_STEPS:.0e}: shorten the time."
        )
