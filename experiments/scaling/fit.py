"""A model of the time of an update, fitted to a study, which predicts counts of devices that were not measured.

    seconds = a W + f C          computing:      W samples for each processor, C devices for each processor
            + l H                latency:        H = 2 ceil(log2 D) messages on the longest path of a reduction
            + g B C              communication:  B = 2 (D - 1) / D times the bytes reduced, per device

a is the time of a sample, f what every update costs, however small its batch. Both are fitted to the time of an update
in the training's loop, less that of the all-reduce, by least squares of relative errors with coefficients that are not
negative. l is fitted to all-reduces without traffic, g to the others less the latency.

Real devices have W = batch / devices and C = 1. Devices that are shares of one CPU stand in line for its cores, and
one of them may use several: with p cores at work while one device is alone, which is measured, W = batch /
min(p devices, cores), and C = devices / cores where there are more devices than cores, else C = 1. A message waits and
needs no core.

How good a prediction is, is seen from those measured: the model is fitted again without the largest count of devices,
which it then predicts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from experiments.scaling.records import Point, Study


@dataclass(frozen=True)
class Model:
    """The time of an update as a function of devices and batch.

    Attributes:
        sample_seconds: of a sample on one processor.
        fixed_seconds: of an update without samples.
        message_seconds: latency of a message of the all-reduce; None where no reduction was measured.
        byte_seconds: of a byte that a device sends; None where no reduction was measured.
        reduced_bytes: of an update, on each device.
        cores: of a CPU that the devices share; None for devices that share nothing.
        alone: cores that one such device uses by itself.
    """

    sample_seconds: float
    fixed_seconds: float
    message_seconds: float | None
    byte_seconds: float | None
    reduced_bytes: int
    cores: int | None
    alone: float = 1.0

    def parts(self, devices: int, batch: int) -> dict[str, float] | None:
        """Return the seconds of an update by part; None where communication would be needed and was not measured.

        Args:
            devices: all together.
            batch: samples of an update, on all devices.
        """
        width, line = _width(devices, batch, self.cores, self.alone)
        found = {"compute": self.sample_seconds * width, "fixed": self.fixed_seconds * line}
        if devices == 1:
            return {**found, "latency": 0.0, "communication": 0.0}
        if self.message_seconds is None or self.byte_seconds is None:
            return None
        latency = self.message_seconds * _messages(devices)
        communication = self.byte_seconds * _traffic(devices, self.reduced_bytes) * line
        return {**found, "latency": latency, "communication": communication}

    def seconds(self, devices: int, batch: int) -> float | None:
        """Return the seconds of an update; None as `parts`."""
        found = self.parts(devices, batch)
        return None if found is None else sum(found.values())


@dataclass(frozen=True)
class LeftOut:
    """A measured point that the model was not fitted to, and what it predicts there.

    Attributes:
        devices: of the point.
        batch: of the point.
        measured: seconds of an update.
        predicted: the same by the model of the smaller counts; None where they do not suffice for one.
    """

    devices: int
    batch: int
    measured: float
    predicted: float | None

    @property
    def error(self) -> float | None:
        """The relative error of the prediction."""
        return None if self.predicted is None else self.predicted / self.measured - 1.0


def fit(points: Sequence[Point], cores: int | None) -> Model | None:
    """Fit the model to points; None where they do not suffice: two, of different batches for each processor.

    Args:
        points: of a study.
        cores: of a CPU that the devices share, else None.
    """
    found = [one.busy for one in points if one.devices == 1 and one.busy is not None]
    alone = max(1.0, *found) if found else 1.0
    rows = [_width(one.devices, one.batch, cores, alone) for one in points]
    if len({round(width / line, 9) for width, line in rows}) < 2:
        return None
    matrix = np.array(rows)
    seconds = np.array([max(one.seconds - one.reduce_seconds, 1e-9) for one in points])
    (sample, fixed), _ = nnls(matrix / seconds[:, None], np.ones(len(points)))
    message = byte = None
    if several := [one for one in points if one.devices > 1]:
        lines = [_width(one.devices, one.batch, cores, alone)[1] for one in several]
        messages = [float(_messages(one.devices)) for one in several]
        message = _slope(messages, [one.reduction_seconds for one in several])
        traffic = [_traffic(one.devices, one.reduced_bytes) * line for one, line in zip(several, lines)]
        rest = [max(one.reduce_seconds - message * count, 0.0) for one, count in zip(several, messages)]
        byte = _slope(traffic, rest)
    return Model(float(sample), float(fixed), message, byte, points[0].reduced_bytes, cores, alone)


def fitted(study: Study) -> Model | None:
    """Fit the model to all points of a study; None where they do not suffice."""
    return fit(study.points, study.cores if study.forced else None)


def left_out(study: Study) -> list[LeftOut]:
    """Predict the largest count of devices from the smaller ones; empty where there is only one count."""
    most = max((one.devices for one in study.points), default=0)
    smaller = [one for one in study.points if one.devices < most]
    if not smaller:
        return []
    model = fit(smaller, study.cores if study.forced else None)
    largest = [one for one in study.points if one.devices == most]
    return [
        LeftOut(one.devices, one.batch, one.seconds, None if model is None else model.seconds(one.devices, one.batch))
        for one in largest
    ]


def _width(devices: int, batch: int, cores: int | None, alone: float) -> tuple[float, float]:
    """Return the samples for each processor at work, and the devices that stand in line for each."""
    if cores is None:
        return batch / devices, 1.0
    return batch / min(alone * devices, cores), max(1.0, devices / cores)


def _messages(devices: int) -> int:
    """Messages on the longest path of a reduction and its broadcast, in a tree."""
    return 2 * math.ceil(math.log2(devices))


def _traffic(devices: int, reduced: int) -> float:
    """Bytes that a device sends in a reduction around a ring."""
    return 2.0 * (devices - 1) / devices * reduced


def _slope(x: Sequence[float], y: Sequence[float]) -> float:
    """Return the slope of a line through the origin, by least squares."""
    return float(np.dot(x, y) / np.dot(x, x))
