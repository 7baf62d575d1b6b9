"""Data sets of trajectories in physical units: what is requested, and what is stored on disk.

A data set is a folder of plain ``.npy`` files that training memory-maps, and one ``dataset.json`` that
describes them: axes, units, times, the system, sampler and solver, what was measured on the way, the
certificate, versions.

    train.npy, validation.npy, test.npy     (trajectories, time, *grid.shape, C)
    SPLIT-parameter-NAME.npy                (trajectories,), for parameters that vary
    SPLIT-initial.npy                       (trajectories, *grid.shape, C), where requested
    SPLIT-change.npy                        (trajectories,), chaotic systems: change over the last ten steps

`physics.generate` makes them.
"""

import json
import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import diffrax
import numpy as np
from jaxtyping import Float

from physics.data.block_checksums import is_unchanged
from physics.data.cache import DESCRIPTION, Cache, DamagedEntryError, Lease
from physics.data.certificate import Limits
from physics.grid import Grid

FORMAT = 3
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class DatasetSpec:
    """How many trajectories, when they are looked at, how they are solved, and what they may not exceed.

    Snapshot k lies at the time ``spin_up + k * stride`` after the initial field; where the spin-up is measured, after
    a head start of its own for every trajectory, uniform between 0 and the ``head_start`` of the description, so that
    ensembles do not swing as a whole (`physics.data.planning`). Splits are by trajectory: no
    trajectory has snapshots in two of them, and enlarging one split changes no other.

    Arguments:
        name: for people; two names of one content share one entry of the cache.
        trajectories: how many for training, validation and test.
        snapshots: per trajectory.
        spin_up: time before the first snapshot, in the system's units. None measures it on a pilot ensemble of a
            chaotic system: the time its statistics need to settle and five decorrelation times more.
        stride: time between snapshots. None takes the measured decorrelation time.
        dt: solver step; the system's recommended one when None.
        solver: a diffrax solver; the system's own when None.
        seed: of all random draws.
        dtype: "float32" or "float64", of the computation and of the files.
        keep_initial: whether the initial fields are kept beside the snapshots.
        chunk: trajectories solved together on one device, chosen by size when None. Results depend on it by
            round-off only, and not at all on the number of devices.
        limits: what the certificate may not exceed.

    Raises:
        ValueError: a value is out of its range, or a time no whole number of steps.
    """

    name: str
    trajectories: tuple[int, int, int]
    snapshots: int = 1
    spin_up: float | None = None
    stride: float | None = None
    dt: float | None = None
    solver: diffrax.AbstractSolver | None = None
    seed: int = 0
    dtype: str = "float32"
    keep_initial: bool = False
    chunk: int | None = None
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self):
        counts = tuple(self.trajectories)
        if len(counts) != len(SPLITS) or min(counts) < 0 or counts[0] < 1:
            raise ValueError(
                f"trajectories is {self.trajectories}: give three counts for train, validation and test, "
                "at least one for train"
            )
        if self.snapshots < 1:
            raise ValueError(f"snapshots is {self.snapshots}: keep at least 1 of each trajectory")
        if self.spin_up is not None and not self.spin_up >= 0:
            raise ValueError(f"spin_up is {self.spin_up}: it must be 0 or more time units")
        for name in ("stride", "dt"):
            if getattr(self, name) is not None and not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}: it must be positive")
        if self.dtype not in ("float32", "float64"):
            raise ValueError(f"dtype is {self.dtype!r}: use 'float32' or 'float64'")
        if self.chunk is not None and self.chunk < 1:
            raise ValueError(f"chunk is {self.chunk}: solve at least 1 trajectory at a time")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"seed is {self.seed}: it must lie between 0 and 2^32 - 1")
        for name in ("spin_up", "stride"):
            if self.dt is not None and (span := getattr(self, name)) is not None:
                whole_steps(name, span, self.dt)
        object.__setattr__(self, "trajectories", counts)


def whole_steps(name: str, span: float, dt: float) -> int:
    """Return how many steps a span of time takes.

    Raises:
        ValueError: it is no whole number of steps.
    """
    steps = round(span / dt)
    if abs(steps * dt - span) > 1e-6 * max(span, dt):
        near = ", ".join(f"{count * dt:g}" for count in sorted({max(steps - 1, 1), max(steps, 1), steps + 1}))
        raise ValueError(f"{name} is {span:g}, not a whole number of steps dt = {dt:g}: use one of {near}")
    return steps


class Dataset:
    """A complete data set on disk; its arrays are read-only memory maps, opened when first used.

    Holds its cache entry in use, so that nothing evicts it, until it is closed or collected.
    """

    def __init__(self, path: str | os.PathLike[str], lease: Lease | None = None):
        self.path = Path(path)
        self._lease = lease
        self.description = _read_description(self.path)

    def __repr__(self) -> str:
        counts = ", ".join(f"{len(getattr(self, split))} {split}" for split in SPLITS)
        return f"Dataset({self.name!r}, {counts}, {self.path})"

    @property
    def name(self) -> str:
        """The name it was made under."""
        return self.description["name"]

    @property
    def key(self) -> str:
        """Hash of what the data are: system, sampler, solver, specification, seed and format."""
        return self.description["key"]

    @property
    def certificate(self) -> dict[str, Any]:
        """Defect, refinement errors, residual level, drifts and share gone steady; the horizon they are measured over.

        Entries that an earlier version made have no residual level.
        """
        return self.description["certificate"]

    @property
    def measured(self) -> dict[str, Any]:
        """Decorrelation time and settling time, where a pilot ensemble measured them."""
        return self.description["measured"]

    @property
    def grid(self) -> Grid:
        """The grid of the fields."""
        described = self.description["grid"]
        boundary = described["boundary"]
        boundary = boundary if isinstance(boundary, str) else tuple(boundary)
        return Grid(tuple(described["shape"]), tuple(described["extent"]), boundary)

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels."""
        return tuple(self.description["channels"])

    @property
    def times(self) -> Float[np.ndarray, " time"]:
        """Times of the snapshots since the initial field, in the system's units."""
        return np.asarray(self.description["times"], np.float64)

    @property
    def dt(self) -> float:
        """The solver step the data were made with."""
        return self.description["dt"]

    @cached_property
    def train(self) -> np.ndarray:
        """``(trajectories, time, *grid.shape, C)`` for training."""
        return self._array("train")

    @cached_property
    def validation(self) -> np.ndarray:
        """``(trajectories, time, *grid.shape, C)`` for choosing among checkpoints."""
        return self._array("validation")

    @cached_property
    def test(self) -> np.ndarray:
        """``(trajectories, time, *grid.shape, C)`` for the comparison, and nothing else."""
        return self._array("test")

    @cached_property
    def parameters(self) -> dict[str, dict[str, np.ndarray]]:
        """For each split, by name, the parameters that vary: ``(trajectories,)``."""
        names = self.description["parameters"]
        return {split: {name: self._array(f"{split}-parameter-{name}") for name in names} for split in SPLITS}

    @cached_property
    def initial(self) -> dict[str, np.ndarray]:
        """For each split the initial fields ``(trajectories, *grid.shape, C)``, where the spec kept them."""
        kept = "train-initial" in self.description["files"]
        return {split: self._array(f"{split}-initial") for split in SPLITS} if kept else {}

    def close(self) -> None:
        """Let the cache evict the entry; arrays already taken stay valid."""
        if self._lease is not None:
            self._lease.release()

    def _array(self, name: str) -> np.ndarray:
        return np.load(self.path / f"{name}.npy", mmap_mode="r", allow_pickle=False)


def open_dataset(path: str | os.PathLike[str]) -> Dataset:
    """Open the data set in a folder, in the cache or a copy elsewhere.

    Raises:
        ValueError: there is none, it is incomplete or damaged, or another version of this library wrote it.
    """
    folder = Path(path)
    opened = Cache(folder.parent).open(folder.name) if (folder.parent / "cache.lock").exists() else None
    return Dataset(folder) if opened is None else Dataset(*opened)


def _read_description(path: Path) -> dict[str, Any]:
    remedy = "remove that folder and generate the data set again"
    try:
        description = json.loads((path / DESCRIPTION).read_text(encoding="utf-8"))
    except OSError as error:
        raise DamagedEntryError(f"{path} holds no data set ({DESCRIPTION} cannot be read): {remedy}") from error
    except ValueError as error:
        raise DamagedEntryError(f"{path / DESCRIPTION} is not valid JSON: {remedy}") from error
    if not isinstance(description, dict):
        raise DamagedEntryError(f"{path / DESCRIPTION} does not describe a data set: {remedy}")
    if description.get("format") != FORMAT:
        raise DamagedEntryError(
            f"{path} has the data format {description.get('format')}, this version reads {FORMAT}: {remedy}"
        )
    for name, expected in description["files"].items():
        file = path / f"{name}.npy"
        if not file.is_file() or file.stat().st_size != expected["bytes"]:
            raise DamagedEntryError(f"{file} is missing or has not its {expected['bytes']} bytes: {remedy}")
        # Entries that an earlier version made have no checksums.
        if "checksums" in expected and not is_unchanged(file, expected["checksums"]):
            raise DamagedEntryError(f"{file} has changed since it was made: {remedy}")
    return description
