"""How fields from a file are split: how long they remember one another, and which of them are held out.

A split never goes through one trajectory at random, or the test fields would be neighbours of training fields. Where
there are independent samples (an axis of samples, or labels), whole samples go to one split; else the time axis is cut
into three blocks with a gap between them. Held-out fields that follow one another are thinned to every k-th, by the
measured decorrelation, because every test takes them as independent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from experiments.errors import UserError
from experiments.own_data.description import Layout

SPLITS = ("training", "validation", "test")
LEAST_UNITS = 10
"""Independent samples from which whole samples are held out; with fewer, times are."""
ENOUGH_TESTED = 64
"""Held-out fields that thinning leaves at least, where there are so many."""
_PROBED = 1024
"""Points of a field whose correlation in time is measured."""
_NEGLIGIBLE = 0.05
"""Correlation in time below which fields count as independent."""


class Correlation(NamedTuple):
    """How long fields remember one another.

    Attributes:
        time: integrated autocorrelation time, in steps; 1 for independent fields.
        reach: first lag from which the correlation is below `_NEGLIGIBLE`.
    """

    time: float
    reach: int


def correlation(series: Float[np.ndarray, "times points"]) -> Correlation:
    """Measure how long a series remembers: the integrated autocorrelation time of its anomalies, over all points.

    Anomalies are deviations from each point's mean over the series; the sum ends where the correlation is negligible.
    """
    times = len(series)
    if times < 4:
        return Correlation(1.0, 1)
    anomalies = series - series.mean(axis=0)
    anomalies = anomalies[:, anomalies.std(axis=0) > 0].astype(np.float64)
    if not anomalies.shape[1]:
        return Correlation(1.0, 1)
    anomalies /= anomalies.std(axis=0)
    total = 1.0
    for lag in range(1, times // 2):
        rho = float((anomalies[:-lag] * anomalies[lag:]).mean())
        if rho < _NEGLIGIBLE:
            return Correlation(total, lag)
        total += 2 * rho
    return Correlation(total, times // 2)


def blocks(times: int, shares: Sequence[float], gap: int) -> dict[str, slice]:
    """Cut a time axis into three consecutive blocks with ``gap`` times left out between two of them.

    Raises:
        ValueError: a block would be empty.
    """
    usable = times - 2 * gap
    lengths = [int(usable * share / sum(shares)) for share in shares]
    lengths[0] += max(usable, 0) - sum(lengths) if usable > 0 else 0
    if min(lengths) < 1:
        raise ValueError(f"{times} times cannot be cut into three blocks with gaps of {gap}")
    found, start = {}, 0
    for name, length in zip(SPLITS, lengths):
        found[name] = slice(start, start + length)
        start += length + gap
    return found


def unit_labels(layout: Layout, name: str) -> np.ndarray | None:
    """Which independent sample every field belongs to, as numbers from 0; None without a name.

    Raises:
        UserError: the variable is no list of labels, or does not lie along the file's first axis.
    """
    if not name:
        return None
    found = layout.contents.variables.get(name)
    first = layout.axes[0]
    if found is None or len(found.shape) != 1:
        raise UserError(
            f"--group {name} is no list of labels in {layout.contents.path}; give a variable with one axis."
        )
    if layout.of("sample") and layout.of("time"):
        raise UserError(f"--group {name}: the file has an axis of samples beside that of time; leave --group out.")
    if first.role not in ("sample", "time") or found.shape != (first.size,):
        raise UserError(
            f"--group {name} has {found.shape[0]} labels, but {layout.contents.path} has {math.prod(layout.counts())} "
            "fields, or they do not lie along its first axis."
        )
    return np.unique(np.asarray(found.read(slice(None))), return_inverse=True)[1]


def by_label(values: np.ndarray, labels: np.ndarray) -> list[np.ndarray]:
    """One array (times, ...) of each label, in the order of the file."""
    flat = values.reshape(-1, *values.shape[2:])
    return [flat[labels == one] for one in range(labels.max() + 1)]


def series_of(values: np.ndarray | list[np.ndarray]) -> list[np.ndarray]:
    """(times, points) of at most 16 samples, at `_PROBED` points that vary."""
    found = []
    for one in values[:: max(1, len(values) // 16)]:
        flat = one.reshape(len(one), -1)
        chosen = np.flatnonzero(~np.isnan(flat[0]))
        chosen = chosen[np.unique(np.linspace(0, len(chosen) - 1, _PROBED).astype(int))]
        found.append(flat[:, chosen])
    return found


def split(
    values: np.ndarray | list[np.ndarray], shares: tuple[float, float, float], gap: int, layout: Layout
) -> tuple[dict[str, list[np.ndarray]], str]:
    """Runs (times, ...) of each split, and how it was made."""
    count = len(values)
    if isinstance(values, list) or count >= LEAST_UNITS or values.shape[1] == 1:
        if count < 3:
            raise UserError(f"{layout.contents.path} has {count} independent samples, and three splits need three.")
        # Of independent units, neighbours in the file may still be alike: blocks, as in time.
        places = blocks(count, shares, 0)
        if not isinstance(values, list) and values.shape[1] == 1:
            # One long run, so that fields keep their order.
            return {name: [values[place, 0]] for name, place in places.items()}, f"{count} samples, in blocks"
        return {name: list(values[place]) for name, place in places.items()}, f"{count} independent samples, in blocks"
    times = values.shape[1]
    try:
        places = blocks(times, shares, gap)
    except ValueError:
        raise UserError(
            f"{layout.contents.path} has {times} times, and its fields stay correlated over {gap}: too few to hold any "
            "out. Give a longer series, or a shorter --data.gap."
        ) from None
    ranges = ", ".join(f"{place.start} to {place.stop - 1}" for place in places.values())
    way = f"blocks of time with {gap} left out between two: {ranges}"
    return {name: [one[place] for one in values] for name, place in places.items()}, way


def stride_of(runs: Sequence[np.ndarray], memory: float) -> int:
    """One held-out time in so many is kept."""
    have = sum(one.shape[0] * one.shape[1] for one in runs)
    return max(1, min(math.ceil(memory - 1e-6), have // ENOUGH_TESTED))


def independent_fields(runs: Sequence[np.ndarray], memory: float) -> int:
    """Independent fields that carry as much as these runs (times, pieces, ...): fewer where neighbours are alike.

    Pieces of one field count by the intraclass correlation of their means and spreads (design effect, Kish 1965).
    """
    times, pieces = sum(one.shape[0] for one in runs), runs[0].shape[1]
    effect = 1.0
    if pieces > 1:
        rows = np.concatenate([one.reshape(*one.shape[:2], -1) for one in runs])
        both = np.stack([rows.mean(axis=-1), np.log(rows.std(axis=-1) + 1e-12)], axis=-1).astype(np.float64)
        # What belongs to the place of a piece is the same in every field.
        both -= both.mean(axis=0)
        within = both.var(axis=1, ddof=1).mean(axis=0)
        between = np.maximum(both.mean(axis=1).var(axis=0, ddof=1) - within / pieces, 0.0)
        effect = 1 + (pieces - 1) * float(np.max(between / np.maximum(between + within, 1e-30)))
    return max(1, round(times * pieces / effect / memory))


def cautions_of(stride: int, memory: float) -> tuple[str, ...]:
    """Sentences about held-out fields that could not be thinned until they are independent."""
    if stride < math.ceil(memory - 1e-6):
        return (
            f"Held-out fields are correlated over {memory:.1f} steps, and only one in {stride} could be left out: the "
            "tests take them as independent, and distinguish samples from them too easily.",
        )
    return ()
