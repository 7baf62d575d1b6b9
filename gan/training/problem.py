"""What a training is given: data in physical units and, as plain functions, what the physics says of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gan.augmentation import SymmetriesLike
from gan.augmentation import check as check_symmetries
from gan.networks.players import SampleSpec
from gan.penalties import Penalty

Arrays = Mapping[str, np.ndarray]
Stream = Callable[[int, np.ndarray], tuple[Any, Mapping[str, Any]]]
"""(seed, numbers (n,)) -> n samples and their conditions, float32; sample i of a seed is always the same."""


@dataclass(frozen=True)
class Problem:
    """Data and physics of one training. Arrays may be memory maps; they are read batch by batch.

    Attributes:
        train: (N, *grid, C), or (N, time, *grid, C) with ``trajectory``; physical units. The grid may have
            no axes: points (N, C) of a plane, say.
        condition: name -> (N, ...), aligned with ``train``; ``None`` if unconditional.
        validation: held-out samples of the same shape; the validation metric compares with them.
        validation_condition: conditions of the held-out samples, each of the shape that it has in training.
        trajectory: whether the first axis of a sample is time.
        symmetries: shifts, reflections and moves that the data's distribution allows (``shift_axes``, ``reflections``,
            ``moves``). Conditions that are fields move with their samples, and must have their shape.
        solver_layer: (samples, condition, tau) -> (samples, valid); the solver, physical units, batched.
        penalties: name -> :class:`gan.penalties.Penalty`.
        padding: boundary rule of the grid, "circular" for periodic, or one per axis.
        extent: physical lengths of the grid's axes; for the divergence-free constraint.
        validate: (samples, held-out samples) -> distance, lower is better, physical units;
            ``None`` for :func:`gan.training.validation.mean_wasserstein` of normalised fields.
        held: (*grid, C), True at points that have one value in all samples, which the generator's output then has too.
        measure: samples -> name -> number, written into the record at every checkpoint; physical units.
        elsewhere: name -> (M, ...), conditions for which there are no data, say of parameters outside their range:
            half of every penalty's weight goes to samples that are made for them.
        stream: makes the samples of the training anew, each for one use, with the distribution of ``train``, which
            then fixes scales and the length of an epoch alone; ``None`` trains on ``train`` itself.
    """

    train: np.ndarray
    condition: Arrays | None = None
    validation: np.ndarray | None = None
    validation_condition: Arrays | None = None
    trajectory: bool = False
    symmetries: SymmetriesLike | None = None
    solver_layer: Callable[[Any, Any, Any], tuple[Any, Any]] | None = None
    penalties: Mapping[str, Penalty] = dataclasses.field(default_factory=dict)
    padding: str | tuple[str, ...] = "circular"
    extent: tuple[float, ...] | None = None
    validate: Callable[[np.ndarray, np.ndarray], Any] | None = None
    measure: Callable[[np.ndarray], Mapping[str, float]] | None = None
    held: np.ndarray | None = None
    elsewhere: Arrays | None = None
    stream: Stream | None = None

    def __post_init__(self) -> None:
        least = 3 if self.trajectory else 2
        if np.ndim(self.train) < least:
            raise ValueError(
                f"Problem.train has shape {np.shape(self.train)}: it needs at least {least} axes "
                f"(samples, {'time, ' if self.trajectory else ''}as many as the grid has, channels)."
            )
        if not np.issubdtype(self.train.dtype, np.floating):
            raise ValueError(f"Problem.train holds {self.train.dtype}: give floating-point fields.")
        if self.validation is not None and np.shape(self.validation)[1:] != np.shape(self.train)[1:]:
            raise ValueError(
                f"Problem.validation has samples of shape {np.shape(self.validation)[1:]}, "
                f"but the training samples have {np.shape(self.train)[1:]}."
            )
        _check_condition("condition", self.condition, len(self.train))
        if self.validation is not None:
            if len(self.validation) == 0:
                raise ValueError("Problem.validation holds no samples: give some, or None for no validation.")
            if (self.validation_condition or {}).keys() != (self.condition or {}).keys():
                raise ValueError("Problem.validation_condition must have the same names as Problem.condition.")
            _check_condition("validation_condition", self.validation_condition, len(self.validation))
            for name, value in (self.validation_condition or {}).items():
                wanted = self.spec.conditions[name]
                if np.shape(value)[1:] != wanted:
                    raise ValueError(
                        f"Problem.validation_condition[{name!r}] has the shape {np.shape(value)[1:]}, but that of "
                        f"the training samples has {wanted}: give both the same."
                    )
                _check_finite(f"validation_condition[{name!r}]", value)
            _check_finite("validation", self.validation)
        if self.elsewhere is not None:
            if not self.penalties:
                raise ValueError("Problem.elsewhere is for penalties, of which there are none: give some, or None.")
            shapes = {name: tuple(np.shape(value)[1:]) for name, value in self.elsewhere.items()}
            if shapes != self.spec.conditions or len({len(value) for value in self.elsewhere.values()}) != 1:
                raise ValueError(
                    f"Problem.elsewhere has the shapes {shapes}: it needs those of the conditions of the training "
                    f"samples, {self.spec.conditions}, and as many rows of each."
                )
            for name, value in self.elsewhere.items():
                _check_finite(f"elsewhere[{name!r}]", value)
        if self.held is not None and (self.trajectory or np.shape(self.held) != np.shape(self.train)[1:]):
            raise ValueError(
                f"Problem.held has the shape {np.shape(self.held)}: give that of a field, {np.shape(self.train)[1:]}, "
                "without a time axis."
            )
        if self.symmetries is not None:
            for name, shape in self.spec.conditions.items():
                if len(shape) > 1 and shape != self.spec.shape:
                    raise ValueError(
                        f"Problem.symmetries move samples and conditions that are fields together, but the condition "
                        f"{name!r} has the shape {shape} and a sample {self.spec.shape}: bring it to the samples' grid "
                        "and channels, or give no symmetries."
                    )
            check_symmetries(self.symmetries, self.spec.grid, self.spec.channels)

    @property
    def spec(self) -> SampleSpec:
        """Shapes that the networks are built for."""
        conditions = {name: tuple(np.shape(value)[1:]) for name, value in (self.condition or {}).items()}
        shape = tuple(np.shape(self.train)[1:])
        return SampleSpec(shape, self.trajectory, conditions, self.padding, self.extent)


def _check_condition(label: str, condition: Arrays | None, count: int) -> None:
    for name, value in (condition or {}).items():
        if np.ndim(value) < 2 or len(value) != count:
            raise ValueError(
                f"Problem.{label}[{name!r}] has shape {np.shape(value)}: it needs {count} rows, one for each "
                "sample, and at least one more axis."
            )


def _check_finite(label: str, values: Any, chunk: int = 1024) -> None:
    """Refuse NaN and infinity; read in chunks, as a memory map should be. The normaliser looks at training data."""
    for start in range(0, len(values), chunk):
        finite = np.isfinite(values[start : start + chunk])
        good = finite.reshape(len(finite), -1).all(axis=1)
        if not good.all():
            raise ValueError(
                f"Problem.{label} holds values that are not finite, first in sample {start + int(np.argmin(good))}: "
                "correct that sample or leave it out."
            )
