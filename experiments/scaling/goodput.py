"""Goodput: the share of a training's wall time that is spent in steps that count."""

from __future__ import annotations

from dataclasses import dataclass

from experiments.scaling.records import Point

HOURS_BETWEEN_FAILURES = 50_000.0
"""Hours of one device between two failures of the training, unless stated: a training on 16,384 GPUs had 419 unexpected
interruptions in 54 days (Grattafiori et al. 2024, arXiv:2407.21783, section 3.3.4)."""


@dataclass(frozen=True)
class Goodput:
    """Where the wall time of a whole training goes, in seconds.

    Attributes:
        steps: updates on the devices, each counted once.
        data: reading batches, and what else the loop takes between the updates.
        start: beginning the process, reading the data set and building the networks.
        compile: compiling.
        saving: checkpoints with the validation before them.
        lost: updates that are made again after a failure, and the starts after it, on average.
    """

    steps: float
    data: float
    start: float
    compile: float
    saving: float
    lost: float

    @property
    def seconds(self) -> float:
        """All of it."""
        return self.steps + self.data + self.start + self.compile + self.saving + self.lost

    @property
    def share(self) -> float:
        """The goodput."""
        return self.steps / self.seconds


def goodput(point: Point, updates: int, saving_every: int, hours: float = HOURS_BETWEEN_FAILURES) -> Goodput:
    """Return where the time of a training goes, from what was measured at one count of devices.

    A failure costs half of the time between two checkpoints, and a start with its compilation.

    Args:
        point: of a study.
        updates: of the training.
        saving_every: updates between two checkpoints.
        hours: of one device between two failures.
    """
    between = max(point.seconds - point.step_seconds, 0.0)
    steps, data = updates * point.step_seconds, updates * between
    # The last state is saved in any case.
    saving = -(-updates // saving_every) * (point.save_seconds + point.validation_seconds)
    without = steps + data + saving + point.start_seconds + point.compile_seconds
    again = 0.5 * min(saving_every, updates) * point.seconds + point.start_seconds + point.compile_seconds
    lost = without * point.devices / (3600.0 * hours) * again
    return Goodput(steps, data, point.start_seconds, point.compile_seconds, saving, lost)
