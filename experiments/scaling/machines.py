"""What the model of an update says of machines that were not measured, under stated assumptions.

    seconds = operations / (devices * share * rate) + fixed + messages * latency + traffic / link

Operations and bytes reduced are those of the configuration, which a study counts. Rate, link and latency are the
maker's figures or usual ones. The share of the rate that networks of this size reach, and the fixed time of an update,
are assumptions: they decide, and only a measurement on the machine can replace them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from experiments.scaling.records import Study

SHARE = 0.3
"""Share of the rate that is assumed to be reached."""


@dataclass(frozen=True)
class Machine:
    """A machine with many devices of one kind.

    Attributes:
        name: of the machine.
        devices: all together.
        rate: floating-point operations per second of a device, at the precision of float32.
        link: bytes per second that a device sends in a reduction, over the slowest link.
        message: seconds of latency of a message, over the slowest link.
        fixed: seconds of an update, however small its batch: starting its programs.
        because: where the figures are from.
    """

    name: str
    devices: int
    rate: float
    link: float
    message: float
    fixed: float
    because: str


MACHINES = (
    Machine(
        "8 GPUs (H100 SXM, one host)",
        8,
        67e12,
        450e9,
        5e-6,
        1e-3,
        "67 TFLOP/s in float32 without tensor cores and 900 GB/s of NVLink, half of it in each direction (NVIDIA's "
        "data sheet); 5 µs a message and 1 ms to start the programs of an update are assumed",
    ),
    Machine(
        "64 GPUs (H100 SXM, 8 hosts)",
        64,
        67e12,
        50e9,
        1e-5,
        1e-3,
        "the same, with one 400 Gbit/s adapter for each GPU between hosts, as in NVIDIA's DGX H100; 10 µs a message is "
        "assumed",
    ),
    Machine(
        "TPU v5p-256 (128 chips)",
        128,
        459e12 / 6,
        300e9,
        2e-6,
        5e-4,
        "459 TFLOP/s in bfloat16 and 4800 Gbit/s between chips (Google's data sheet), of which float32 takes six "
        "passes and a reduction half of the links; the name counts cores, of which a chip has two; 2 µs a message and "
        "0.5 ms to start the program of an update are assumed",
    ),
)
"""Machines of which a study's page and docs/scaling.md speak."""


@dataclass(frozen=True)
class Prediction:
    """What the model says of one machine and batch.

    Attributes:
        machine: of which it speaks.
        batch: samples of an update, on all devices.
        compute: seconds of the operations.
        fixed: seconds of starting an update.
        communication: seconds of the reduction, its latency included.
        alone: samples per second of one of the devices with its own share of the batch, which reduces nothing.
    """

    machine: Machine
    batch: int
    compute: float
    fixed: float
    communication: float
    alone: float

    @property
    def seconds(self) -> float:
        """Seconds of an update."""
        return self.compute + self.fixed + self.communication

    @property
    def samples_per_second(self) -> float:
        """Samples of updates per second."""
        return self.batch / self.seconds

    @property
    def efficiency(self) -> float:
        """Rate of a device over that of one alone with the same share of the batch."""
        return self.samples_per_second / self.machine.devices / self.alone


def predicted(study: Study, machine: Machine, batch: int, share: float = SHARE) -> Prediction:
    """Predict an update on a machine.

    Args:
        study: whose operations and reduced bytes count.
        machine: to predict for.
        batch: samples of an update, on all devices.
        share: of the rate that is reached.
    """
    one = study.points[0]
    compute = one.operations / one.batch * batch / (machine.devices * share * machine.rate)
    messages = 2 * math.ceil(math.log2(machine.devices))
    traffic = 2.0 * (machine.devices - 1) / machine.devices * one.reduced_bytes
    communication = messages * machine.message + traffic / machine.link
    alone = batch / machine.devices / (compute + machine.fixed)
    return Prediction(machine, batch, compute, machine.fixed, communication, alone)


def predictions(study: Study) -> list[Prediction]:
    """Return weak and strong scaling on every machine; a batch has at least one sample for each device."""
    found = []
    for machine in MACHINES:
        for batch in dict.fromkeys((study.batch * machine.devices, max(study.batch, machine.devices))):
            found.append(predicted(study, machine, batch))
    return found
