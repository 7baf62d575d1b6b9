"""Training, validation and test fields from a file: split, cut, masked and transformed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from experiments.errors import UserError
from experiments.own_data.description import Axis, Layout
from experiments.own_data.patches import cutter, whole_tiles
from experiments.own_data.splits import (
    SPLITS,
    Correlation,
    by_label,
    cautions_of,
    correlation,
    independent_fields,
    series_of,
    split,
    stride_of,
    unit_labels,
)
from experiments.own_data.transforms import TRANSFORMS, Transform, fit

LEAST_TESTED = 32
"""Held-out fields that a comparison needs."""


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


@dataclass(frozen=True)
class PreparedFields:
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
    description: Mapping[str, object] = field(repr=False)
    path: str = ""

    def masked(self, fields: Float[np.ndarray, "n *grid c"]) -> Float[np.ndarray, "n *grid c"]:
        """Fields with the fill where data are always missing, so that nothing there can distinguish two sets."""
        return fields if self.missing is None else np.where(self.missing, self.fill, fields).astype(fields.dtype)

    def physical(self, fields: Float[np.ndarray, "n *grid c"]) -> Float[np.ndarray, "n *grid c"]:
        """Undo the transforms, and put NaN where data are always missing."""
        out = np.stack([one.inverse(fields[..., c]) for c, one in enumerate(self.transforms)], axis=-1)
        return out if self.missing is None else np.where(self.missing, np.float32(np.nan), out)


def prepare(layout: Layout, wishes: Wishes, say: Callable[[str], None] = lambda what: None) -> PreparedFields:
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
    labels = unit_labels(layout, wishes.labels)
    values = loaded if labels is None else by_label(loaded, labels)
    say("correlation in time")
    memory = [correlation(one) for one in series_of(values)]
    known = Correlation(
        float(np.mean([one.time for one in memory])) if memory else 1.0, max((one.reach for one in memory), default=1)
    )
    gap = known.reach if wishes.gap is None else wishes.gap
    splits, way = split(values, wishes.shares, gap, layout)
    grid, cut = cutter(space, layout.of("time"), wishes.patch, layout)
    say("cutting")
    pieces = {name: [cut(run) for run in runs] for name, runs in splits.items()}
    if wishes.patch and missing is not None:
        kept, missing = whole_tiles(cut(missing[None])[0] if space else None)
        pieces = {name: [one[:, kept] for one in runs] for name, runs in pieces.items()}
    # Windows cut along time are further apart than times are.
    steps = 1 if space or not wishes.patch else wishes.patch
    memory_of_pieces = max(1.0, known.time / steps)
    stride = stride_of(pieces["test"], memory_of_pieces)
    flat = {
        name: np.concatenate([_flat(one[:: stride if name == "test" else 1]) for one in runs]) if runs else None
        for name, runs in pieces.items()
    }
    train, validation, test = (_enough(flat[name], name, layout) for name in SPLITS)
    channels = layout.channels
    transforms = _fitted(train, wishes.transform, layout)
    cautions = cautions_of(stride, memory_of_pieces)
    fill = np.zeros(len(channels), np.float32)
    for c, one in enumerate(transforms):
        for fields in (train, validation, test):
            fields[..., c] = one(fields[..., c])
        fill[c] = np.nanmean(train[..., c], dtype=np.float64)
    if missing is not None:
        for fields in (train, validation, test):
            np.copyto(fields, fill, where=missing)
    independent = independent_fields(pieces["training"], memory_of_pieces)
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
    return PreparedFields(
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
