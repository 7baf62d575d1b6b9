"""What a data set takes: its step and times, measured by a pilot where not given, and the chunks it is made in.

Spin-up and stride, where not given, come from a pilot: an ensemble followed until its statistics have settled
and its decorrelation time is resolved (`physics.statistics`).

Trajectories of a measured spin-up are not all of one age. Started together, an ensemble keeps swinging as a whole
about its invariant measure long after no single statistic of a pilot shows it (Kuramoto-Sivashinsky at L = 22: mean
energies of 8192 fields still swing by three standard errors after 180 time units, with a period of 40). So every
trajectory first runs ahead for a time of its own, uniform over a few decorrelation times, and phases average out.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import numpy as np

from physics.data.certificate import WINDOW
from physics.data.dataset import DatasetSpec, whole_steps
from physics.data.pilot import Progress, follow_pilot
from physics.data.samplers import Sampler
from physics.system import StochasticSystem

# Numbers solved together on one device: what a processor's cache holds, and what keeps an accelerator busy.
_NUMBERS_PER_CHUNK = {"cpu": 2**14}
_NUMBERS_ELSEWHERE = 2**21
_LONGEST_CHUNK = 4096
_CHUNK_BYTES = 2**29
# Decorrelation times that follow the settling time of a pilot, whose 256 members do not show the last of it: the mean
# energies of 16384 Kuramoto-Sivashinsky fields at L = 32 pi, settled after 40 and forgotten after 13 time units by
# their pilot, still rise by 0.3 % from age 80 to 107 and by less than their standard error after that.
_SPIN_UP = 5
# Decorrelation times over which the ages of trajectories are spread: a swing of that period is damped sixfold.
_AGES = 2


@runtime_checkable
class Notes(Protocol):
    """Keeps what a pilot finds, as `physics.data.trajectory_files.TrajectoryFiles` does on disk."""

    notes: dict[str, Any]

    def note(self, **facts: object) -> None:
        """Keep facts by name."""
        ...


class Plan(NamedTuple):
    """The steps of every trajectory.

    Attributes:
        dt: the solver's step.
        times: of the snapshots, from each trajectory's own start.
        chunk: trajectories that one device solves together.
        measured: what the pilot found, empty without one.
        ages: windows of steps over which the head starts of trajectories are spread.
    """

    dt: float
    times: np.ndarray
    chunk: int
    measured: dict[str, Any]
    ages: int


class Chunk(NamedTuple):
    """Trajectories ``start`` to ``start + length`` of a split, the ``number``-th chunk of all."""

    number: int
    split: int
    start: int
    length: int


def planned(kept: Notes, sampler: Sampler, spec: DatasetSpec, report: Progress) -> Plan:
    """Fill in what the specification leaves open; a pilot's findings are kept, so that it is not run twice.

    Raises:
        ValueError: spin-up or stride is no whole number of steps, or open for a system that is not chaotic.
    """
    system = sampler.system
    dt = float(system.recommended_dt if spec.dt is None else spec.dt)
    stride_needed = spec.snapshots > 1 and spec.stride is None
    measured: dict[str, Any] = {}
    if spec.spin_up is None or stride_needed:
        if not system.chaotic:
            missing = "spin_up" if spec.spin_up is None else "stride"
            raise ValueError(
                f"data set {spec.name!r} leaves {missing} open, but {type(system).__name__} is not chaotic "
                f"and has no decorrelation time to take it from: give {missing} in time units"
            )
        if "measured" not in kept.notes:
            kept.note(measured=follow_pilot(sampler, spec, dt, report))
        measured = kept.notes["measured"]
    spin_up, stride, ages = spec.spin_up, spec.stride, 0
    if spin_up is None:
        # Noise drives the members of an ensemble apart by itself.
        if not isinstance(system, StochasticSystem):
            ages = math.ceil(_AGES * measured["decorrelation_time"] / (WINDOW * dt))
        spin_up = math.ceil((measured["settling_time"] + _SPIN_UP * measured["decorrelation_time"]) / dt) * dt
    if stride is None:
        stride = math.ceil(measured["decorrelation_time"] / dt) * dt if measured else dt
    steps = whole_steps("spin_up", spin_up, dt) + whole_steps("stride", stride, dt) * np.arange(spec.snapshots)
    return Plan(dt, steps * dt, chunk_size(sampler, spec), measured, ages)


def chunk_size(sampler: Sampler, spec: DatasetSpec) -> int:
    """Return how many trajectories one device solves together."""
    largest = max(spec.trajectories)
    if spec.chunk is not None:
        return min(spec.chunk, largest)
    numbers = math.prod(sampler.system.field_shape)
    busy = _NUMBERS_PER_CHUNK.get(jax.default_backend(), _NUMBERS_ELSEWHERE) // numbers
    stored = _CHUNK_BYTES // (numbers * spec.snapshots * np.dtype(spec.dtype).itemsize)
    return max(1, min(busy, stored, _LONGEST_CHUNK, largest))


def chunks_of(trajectories: Sequence[int], size: int) -> Iterator[Chunk]:
    """Cut splits of so many trajectories into chunks of a size, the last of a split possibly shorter."""
    number = 0
    for split, count in enumerate(trajectories):
        for start in range(0, count, size):
            yield Chunk(number, split, start, min(size, count - start))
            number += 1
