"""Noisy point observations of an initial field, and the form in which conditional networks see them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Observed(NamedTuple):
    """Observed initial fields: positions as grid indices ``(n, k)``, values ``(n, k)``, parameter ``(n,)``."""

    points: np.ndarray
    values: np.ndarray
    parameter: np.ndarray

    def first(self, count: int) -> Observed:
        """Return the first fields alone."""
        return Observed(*(part[:count] for part in self))


def observe(
    initial: np.ndarray,
    parameter: np.ndarray | float,
    count: int,
    noise: float,
    rng: np.random.Generator,
    *,
    sensors: bool = False,
) -> Observed:
    """Look at fields ``(n, N, 1)`` in ``count`` different grid points each, with Gaussian errors of size ``noise``.

    The points are random for every field, or with ``sensors`` the same evenly spaced ones for all.

    Raises:
        ValueError: more observations than grid points.
    """
    fields, size = initial.shape[:2]
    if count > size:
        raise ValueError(f"system.observations is {count}, more than the {size} grid points: observe fewer.")
    if sensors:
        points = np.tile(sensor_points(size, count), (fields, 1))
    else:
        points = np.argsort(rng.random((fields, size)), axis=1)[:, :count]
    values = np.take_along_axis(np.asarray(initial)[..., 0], points, axis=1)
    noisy = values + noise * rng.standard_normal(values.shape)
    return Observed(points, noisy.astype(np.float32), np.asarray(parameter, np.float64))


def sensor_points(size: int, count: int) -> np.ndarray:
    """Return the evenly spaced grid points (count,) among ``size``."""
    return np.arange(count) * size // count


def condition(cases: Observed, size: int, parameter: str) -> dict[str, np.ndarray]:
    """Return what the networks see: values on the ``size`` grid points with a mask of where there are any, and the
    parameter's logarithm, "log_" before its name."""
    field = np.zeros((len(cases.parameter), size, 2), np.float32)
    rows = np.arange(len(cases.parameter))[:, None]
    field[rows, cases.points, 0] = cases.values
    field[rows, cases.points, 1] = 1.0
    return {"observed": field, f"log_{parameter}": np.log(cases.parameter)[:, None].astype(np.float32)}
