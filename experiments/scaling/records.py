"""What a scaling study has measured, as records to and from ``scaling.json``.

Seconds are those of one update of the training, on all devices, unless a name says otherwise.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from experiments.errors import UserError
from experiments.files import write_json

FORMAT = 1
"""Version of the file."""
PHASES = ("data", "generator", "discriminator", "solver", "all-reduce", "other", "host", "checkpoint")
"""Phases of an update, in the order of pictures and tables."""
MEANINGS = {
    "data": "reading a batch and bringing it to the devices",
    "generator": "drawing samples and the generator's gradient, through the discriminator, without the solver",
    "discriminator": "the discriminator's gradient, with its penalties",
    "solver": "the solver layer, with its reverse pass",
    "all-reduce": "the mean of the gradients over the devices",
    "other": "the rest of the update on the devices: optimizer, averages, metrics, waiting for one another; what is "
    "saved by running the parts as one program is taken off, so that it may be negative",
    "host": "what the loop takes beside data and devices",
    "checkpoint": "a save with the validation before it, over the updates between two saves",
}
"""What each phase is. The parts of an update are timed as programs of their own, less the time of an empty one."""


@dataclass(frozen=True)
class Phase:
    """One phase of an update.

    Attributes:
        seconds: of the phase alone.
        operations: of floating-point numbers by the model, on all devices; 0 where none are counted.
        bytes: that its program reads and writes in memory on all devices, as the compiler says; None where it does not.
    """

    seconds: float
    operations: float = 0.0
    bytes: float | None = None


@dataclass(frozen=True)
class Point:
    """What was measured at one count of devices and one batch.

    Attributes:
        devices: all together.
        processes: over which they are spread.
        batch: samples of an update, on all devices.
        processors: that can work at the same time: cores of a split CPU, otherwise the devices.
        seconds: of an update in the loop of the training, the median of several blocks.
        spread: of these blocks, the shortest and the longest.
        step_seconds: of the compiled update alone, waited for.
        phases: by name, those of `PHASES` that there are.
        reduction_seconds: of the all-reduce with one number in place of every array, that is without any traffic.
        reduced_bytes: of the gradients that an update reduces, on each device.
        matrix_rate: floating-point operations per second of a product of large matrices, on each device while all work.
        memory_rate: bytes per second of a stream through the memory, on each device while all work.
        start_seconds: from the start of the process to the first batch.
        compile_seconds: of the update's programs, from tracing to the machine's code, without a cache.
        save_seconds: of a checkpoint, until it is on the disk.
        validation_seconds: of the validation before it.
        program_bytes: that the compiled update needs on each device: arguments, results and temporary arrays.
        device_bytes: the most that a device held; None where devices do not say.
        process_bytes: the most memory that the process held, of the first process.
        joules: of an update on all devices; None where nothing measures it.
        energy_of: what measured it.
        busy: cores of a CPU that were at work in the loop, a mean; None for other devices.
    """

    devices: int
    processes: int
    batch: int
    processors: int
    seconds: float
    spread: tuple[float, float]
    step_seconds: float
    phases: Mapping[str, Phase]
    reduction_seconds: float
    reduced_bytes: int
    matrix_rate: float
    memory_rate: float
    start_seconds: float
    compile_seconds: float
    save_seconds: float
    validation_seconds: float
    program_bytes: int
    device_bytes: int | None
    process_bytes: int
    joules: float | None = None
    energy_of: str = ""
    busy: float | None = None

    @property
    def samples_per_second(self) -> float:
        """Samples of updates per second."""
        return self.batch / self.seconds

    @property
    def operations(self) -> float:
        """Operations of an update by the model, on all devices."""
        return sum(phase.operations for phase in self.phases.values())

    @property
    def rate(self) -> float:
        """Operations by the model per second of the loop, on all devices."""
        return self.operations / self.seconds

    @property
    def utilisation(self) -> float:
        """Share of the measured matrix rate of all devices."""
        return self.rate / (self.devices * self.matrix_rate)

    @property
    def reduce_seconds(self) -> float:
        """Seconds of the all-reduce."""
        return self.phases["all-reduce"].seconds if "all-reduce" in self.phases else 0.0

    @property
    def label(self) -> str:
        """Name of the point in files and tables."""
        return f"{self.devices}-devices-{self.processes}-processes-batch-{self.batch}"


@dataclass(frozen=True)
class Study:
    """A scaling study of one configuration.

    Attributes:
        experiment: its name.
        preset: of which the configuration is.
        settings: that differ from the preset, as text.
        batch: of the configuration: on each device in weak scaling, on all together in strong scaling.
        updates: of the whole training.
        saving_every: updates between two checkpoints.
        device: kind of the devices.
        forced: whether the devices are shares of one CPU.
        cores: of the machine.
        load: of the machine before the study, over the last minute.
        versions: by package.
        points: in the order of devices, processes and batch.
        failures: what could not be measured, and why, by label.
    """

    experiment: str
    preset: str
    settings: Mapping[str, str]
    batch: int
    updates: int
    saving_every: int
    device: str
    forced: bool
    cores: int
    load: float
    versions: Mapping[str, str]
    points: tuple[Point, ...]
    failures: Mapping[str, str] = field(default_factory=dict)

    @property
    def weak(self) -> list[Point]:
        """Points with the same batch on every device."""
        return [one for one in self.points if one.batch == self.batch * one.devices]

    @property
    def strong(self) -> list[Point]:
        """Points with the same batch on all devices together."""
        return [one for one in self.points if one.batch == self.batch]


def merged(old: Study | None, new: Study) -> Study:
    """Return a study with the points of both; where both have one, that of the new study stays."""
    points = {} if old is None else {one.label: one for one in old.points}
    points |= {one.label: one for one in new.points}
    failures = {} if old is None else dict(old.failures)
    failures = {name: why for name, why in {**failures, **new.failures}.items() if name not in points}
    ordered = sorted(points.values(), key=lambda one: (one.devices, one.processes, one.batch))
    return Study(**{**_fields(new), "points": tuple(ordered), "failures": failures})


def _fields(study: Study) -> dict[str, Any]:
    return {name: getattr(study, name) for name in study.__dataclass_fields__}


def write(study: Study, path: Path, derived: Mapping[str, object] | None = None) -> None:
    """Write a study as JSON, atomically; ``derived`` stands beside it for whoever reads the file."""
    write_json(path, {"format": FORMAT, **asdict(study), **({"derived": derived} if derived else {})})


def read(path: Path) -> Study:
    """Read what `write` wrote.

    Raises:
        UserError: the file is no study of this version.
    """
    remedy = "`python -m experiments scale NAME` makes one"
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; {remedy}.") from None
    except ValueError:
        raise UserError(f"{path} is damaged; {remedy}.") from None
    return from_plain(content, str(path), remedy)


def from_plain(content: Any, source: str, remedy: str) -> Study:
    """Read a study from plain values; ``source`` and ``remedy`` are for the error's sentence.

    Raises:
        UserError: it is none of this version.
    """
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UserError(f"{source} is no scaling study of format {FORMAT}; {remedy}.")
    return structured({key: value for key, value in content.items() if key != "derived"}, Study, source, remedy)


def structured(content: Any, kind: type, source: str, remedy: str) -> Any:
    """Read a record from plain values.

    Raises:
        UserError: a part is missing or of another type.
    """
    import cattrs

    try:
        return _converter().structure(content, kind)
    except (cattrs.BaseValidationError, TypeError, ValueError, KeyError, AttributeError):
        raise UserError(f"{source} is damaged; {remedy}.") from None


@cache
def _converter() -> Any:
    from cattrs import Converter

    converter = Converter()

    def number(value: Any, _: type) -> float:
        # A null stands for a number that was not finite (`experiments.files.write_json`).
        if value is None:
            return math.nan
        if type(value) not in (int, float):
            raise TypeError(f"expected a number, found {type(value).__name__}")
        return float(value)

    converter.register_structure_hook(float, number)
    return converter
