"""Training, validation and test fields from a file: split, cut, masked and transformed.

A split never goes through one trajectory at random, or the test fields would be neighbours of training fields. Where
there are independent samples (an axis of samples, or labels), whole samples go to one split; else the time axis is cut
into three blocks with a gap between them. Held-out fields that follow one another are thinned to every k-th, by the
measured decorrelation, because every test takes them as independent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from experiments.errors import UserError
from experiments.own_data.description import Axis, Layout
from experiments.own_data.transforms import TRANSFORMS, Transform, fit

SPLITS = ("training", "validation", "test")
LEAST_UNITS = 10
"""Independent samples from which whole samples are held out; with fewer, times are."""
LEAST_TESTED = 32
"""Held-out fields that a comparison needs."""
ENOUGH_TESTED = 64
"""Held-out fields that thinning leaves at least, where there are so many."""
_PROBED = 1024
"""Points of a field whose correlation in time is measured."""
_NEGLIGIBLE = 0.05
"""Correlation in time below which fields count as independent."""


@dataclass(frozen=True)
class Wishes:
    """How to prepare the fields, as the user said it.

    Attributes:
        patch: points along each axis of space (of time, where there is no space) of the fields to learn; 0 for all.
        transform: of each variable, or one for all.
        labels: variable whose values label independent samples; empty for none.
        shares: of training, validation and test.
        gap: times left out between two splits; None for as many as fields are correlated over.
    """

    patch: int = 0
    transform: tuple[str, ...] = ("none",)
    labels: str = ""
    shares: tuple[float, float, float] = (0.7, 0.1, 0.2)
    gap: int | None = None


class Correlation(NamedTuple):
    """How long fields remember one another.

    Attributes:
        time: integrated autocorrelation time, in steps; 1 for independent fields.
        reach: first lag from which the correlation is below `_NEGLIGIBLE`.
    """

    time: float
    reach: int


@dataclass(frozen=True)
class Prepared:
    """Fields to learn, split; what a certified data set is to a solver. All fields are transformed.

    Attributes:
        train, validation, test: (n, *grid, C), float32.
        grid: axes of a field.
        channels: names of the physical channels.
        units: of each of them.
        transforms: of each channel.
        missing: (*grid, C), True where values are missing in every field; fields hold the channel's mean there.
        fill: (C,), this mean.
        trained_on: number of independent training fields that carry as much as the training fields do.
        cautions: what restricts the conclusions, each a sentence.
        description: for ``data.json``, the file's checksum among it.
        path: of the file.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    grid: tuple[Axis, ...]
    channels: tuple[str, ...]
    units: tuple[str, ...]
    transforms: tuple[Transform, ...]
    missing: np.ndarray | None
    fill: np.ndarray
    trained_on: int
    cautions: tuple[str, ...]
    description: dict[str, Any] = field(repr=False)
    path: str = ""

    def masked(self, fields: Float[np.ndarray, "n *grid c"]) -> Float[np.ndarray, "n *grid c"]:
        """Fields with the fill where data are always missing, so that nothing there can distinguish two sets."""
        return fields if self.missing is None else np.where(self.missing, self.fill, fields).astype(fields.dtype)

    def physical(self, fields: Float[np.ndarray, "n *grid c"]) -> Float[np.ndarray, "n *grid c"]:
        """Undo the transforms, and put NaN where data are always missing."""
        out = np.stack([one.inverse(fields[..., c]) for c, one in enumerate(self.transforms)], axis=-1)
        return out if self.missing is None else np.where(self.missing, np.float32(np.nan), out)


def prepare(layout: Layout, wishes: Wishes, say: Callable[[str], None] = lambda what: None) -> Prepared:
    """Read, split, cut, mask and transform.

    Raises:
        UserError: values missing here and there, too few fields, a patch or transform that does not fit.
    """
    say("reading")
    loaded = layout.loaded()
    if np.isinf(loaded).any():
        raise UserError(f"{layout.contents.path} holds infinite values; mark them as missing, or correct them.")
    space = layout.of("space")
    missing = _always_missing(loaded, layout)
    labels = _unit_labels(layout, wishes.labels)
    values = loaded if labels is None else _by_label(loaded, labels)
    say("correlation in time")
    memory = [correlation(one) for one in _series(values)]
    known = Correlation(
        float(np.mean([one.time for one in memory])) if memory else 1.0, max((one.reach for one in memory), default=1)
    )
    gap = known.reach if wishes.gap is None else wishes.gap
    splits, way = _split(values, wishes.shares, gap, layout)
    grid, cut = _cutter(space, layout.of("time"), wishes.patch, layout)
    say("cutting")
    pieces = {name: [cut(run) for run in runs] for name, runs in splits.items()}
    if wishes.patch and missing is not None:
        kept, missing = _whole_tiles(cut(missing[None])[0] if space else None)
        pieces = {name: [one[:, kept] for one in runs] for name, runs in pieces.items()}
    # Windows cut along time are further apart than times are.
    steps = 1 if space or not wishes.patch else wishes.patch
    memory_of_pieces = max(1.0, known.time / steps)
    stride = _stride(pieces["test"], memory_of_pieces)
    flat = {
        name: np.concatenate([_flat(one[:: stride if name == "test" else 1]) for one in runs]) if runs else None
        for name, runs in pieces.items()
    }
    train, validation, test = (_enough(flat[name], name, layout) for name in SPLITS)
    channels = layout.channels
    transforms = _fitted(train, wishes.transform, layout)
    cautions = _cautions(stride, memory_of_pieces)
    fill = np.zeros(len(channels), np.float32)
    for c, one in enumerate(transforms):
        for fields in (train, validation, test):
            fields[..., c] = one(fields[..., c])
        fill[c] = np.nanmean(train[..., c], dtype=np.float64)
    if missing is not None:
        for fields in (train, validation, test):
            np.copyto(fields, fill, where=missing)
    independent = _independent(pieces["training"], memory_of_pieces)
    samples, times = layout.counts()
    description = {
        "variables": [one.name for one in layout.variables],
        "axes": {one.name: {"role": one.role, "size": one.size} for one in layout.axes},
        "split": way,
        "fields": dict(zip(SPLITS, map(len, (train, validation, test)))),
        "shape": list(train.shape[1:]),
        "fields in the file": samples * times,
        "autocorrelation time in steps": round(known.time, 2),
        "independent training fields": independent,
        "one held-out field in": stride,
        "always missing": 0.0 if missing is None else round(float(missing.mean()), 4),
        "transforms": [vars(one) for one in transforms],
        "cautions": list(cautions),
    }
    return Prepared(
        train,
        validation,
        test,
        grid,
        channels,
        layout.units,
        transforms,
        missing,
        fill,
        independent,
        cautions,
        description,
        str(layout.contents.path),
    )


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


def _always_missing(values: np.ndarray, layout: Layout) -> np.ndarray | None:
    """Where values are missing in every field; None where nothing is missing.

    Raises:
        UserError: values are missing in some fields and not in others.
    """
    gone = np.isnan(values)
    if not gone.any():
        return None
    always = gone.all(axis=(0, 1))
    partly = gone.any(axis=(0, 1)) & ~always
    if partly.any():
        raise UserError(
            f"{layout.contents.path} misses values at {100 * float(partly.mean()):.2g} % of the points in some fields "
            "but not in others: fill them, or leave those fields or points out. Only points that are missing in every "
            "field can be learnt around."
        )
    return np.asarray(always)


def _unit_labels(layout: Layout, name: str) -> np.ndarray | None:
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


def _by_label(values: np.ndarray, labels: np.ndarray) -> list[np.ndarray]:
    """One array (times, ...) of each label, in the order of the file."""
    flat = values.reshape(-1, *values.shape[2:])
    return [flat[labels == one] for one in range(labels.max() + 1)]


def _series(values: np.ndarray | list[np.ndarray]) -> list[np.ndarray]:
    """(times, points) of at most 16 samples, at `_PROBED` points that vary."""
    found = []
    for one in values[:: max(1, len(values) // 16)]:
        flat = one.reshape(len(one), -1)
        chosen = np.flatnonzero(~np.isnan(flat[0]))
        chosen = chosen[np.unique(np.linspace(0, len(chosen) - 1, _PROBED).astype(int))]
        found.append(flat[:, chosen])
    return found


def _split(
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


def _cutter(
    space: tuple[Axis, ...], time: tuple[Axis, ...], patch: int, layout: Layout
) -> tuple[tuple[Axis, ...], Callable[[np.ndarray], np.ndarray]]:
    """The axes of a field to learn, and ``run (times, *space, C) -> (times, pieces, *grid, C)``."""
    if not patch:
        return space, lambda run: run[:, None]
    if not space:
        if not time:
            raise UserError(f"--patch {patch} cuts fields, but {layout.contents.path} has neither space nor time.")
        axis = Axis(time[0].name, "space", patch, time[0].units, _first(time[0], patch))

        def windows(run: np.ndarray) -> np.ndarray:
            count = len(run) // patch
            return run[: count * patch].reshape(count, 1, patch, *run.shape[1:])

        return (axis,), windows
    if patch > min(one.size for one in space):
        sizes = " x ".join(str(one.size) for one in space)
        raise UserError(f"--patch {patch} does not fit into fields of {sizes}; give a smaller one.")
    counts = [one.size // patch for one in space]

    def tiles(run: np.ndarray) -> np.ndarray:
        found = []
        for place in product(*map(range, counts)):
            where = tuple(slice(p * patch, (p + 1) * patch) for p in place)
            found.append(run[(slice(None), *where)])
        return np.stack(found, axis=1)

    return tuple(Axis(one.name, "space", patch, one.units, _first(one, patch)) for one in space), tiles


def _first(axis: Axis, patch: int) -> np.ndarray | None:
    """Coordinates within a patch: from 0, where the spacing is known."""
    return None if axis.coordinate is None else np.arange(patch) * axis.extent / axis.size


def _whole_tiles(missing: np.ndarray | None) -> tuple[np.ndarray | slice, np.ndarray | None]:
    """The tiles without a missing point.

    Raises:
        UserError: there is none.
    """
    if missing is None:
        return slice(None), None
    whole = ~missing.reshape(len(missing), -1).any(axis=1)
    if not whole.any():
        raise UserError("--patch: every patch holds points that are always missing; give a smaller one, or none.")
    return np.flatnonzero(whole), None


def _stride(runs: Sequence[np.ndarray], memory: float) -> int:
    """One held-out time in so many is kept."""
    have = sum(one.shape[0] * one.shape[1] for one in runs)
    return max(1, min(math.ceil(memory - 1e-6), have // ENOUGH_TESTED))


def _flat(run: np.ndarray) -> np.ndarray:
    return run.reshape(-1, *run.shape[2:])


def _enough(fields: np.ndarray | None, name: str, layout: Layout) -> np.ndarray:
    least = {"training": 4 * LEAST_TESTED, "validation": 2, "test": LEAST_TESTED}[name]
    have = 0 if fields is None else len(fields)
    if fields is None or have < least:
        raise UserError(
            f"{layout.contents.path} leaves {have} {name} fields, and {least} are needed: give more fields, other "
            "--data.shares, or cut the fields with --patch N."
        )
    return np.array(fields, np.float32)


def _fitted(
    train: Float[np.ndarray, "n *grid c"],
    kinds: tuple[str, ...],
    layout: Layout,
) -> tuple[Transform, ...]:
    variables, channels = len(layout.variables), layout.channels
    if len(kinds) not in (1, variables) or any(one not in TRANSFORMS for one in kinds):
        raise UserError(
            f"--transform {','.join(kinds)}: give one of {', '.join(TRANSFORMS)}, or one for each of the {variables} "
            "variables, separated by commas."
        )
    each = [
        kind for kind in (kinds * variables if len(kinds) == 1 else kinds) for _ in range(len(channels) // variables)
    ]
    values = [train[..., c] for c in range(len(channels))]
    return tuple(fit(kind, one[~np.isnan(one)], name) for kind, one, name in zip(each, values, channels))


def _independent(runs: Sequence[np.ndarray], memory: float) -> int:
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


def _cautions(stride: int, memory: float) -> tuple[str, ...]:
    if stride < math.ceil(memory - 1e-6):
        return (
            f"Held-out fields are correlated over {memory:.1f} steps, and only one in {stride} could be left out: the "
            "tests take them as independent, and distinguish samples from them too easily.",
        )
    return ()
