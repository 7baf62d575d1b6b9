"""The points of a sweep: every combination of the values that a grid gives to settings."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.config import ExperimentConfig
from experiments.errors import UserError
from experiments.options import hint, settings, to_mapping


@dataclass(frozen=True)
class Point:
    """One run of a sweep.

    Attributes:
        number: from 1 on, in the order of the grid.
        values: what the grid gives to each setting, as text.
        config: of the run.
    """

    number: int
    values: Mapping[str, str]
    config: ExperimentConfig

    def label(self) -> str:
        """Write the point as ``optimizer.generator_rate=1e-3, training.seed=1``."""
        return ", ".join(f"{name}={value}" for name, value in self.values.items())


@dataclass(frozen=True)
class Sweep:
    """Runs of one experiment that differ by the settings of a grid.

    Attributes:
        experiment: its name, which is that of the folder of its runs.
        argument: the name on the command line: the same, or the user's file.
        source: the user's file that defines the experiment; None for an installed one.
        preset: that all runs start from.
        runs_dir: where run folders go.
        fixed: settings that all runs share, as text.
        points: the runs.
    """

    experiment: str
    argument: str
    source: str | None
    preset: str
    runs_dir: str
    fixed: Mapping[str, str]
    points: tuple[Point, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The settings of the grid."""
        return tuple(self.points[0].values)

    @property
    def folder(self) -> Path:
        """Where page, table and what the runs print are kept: beside the runs, and the same for the same sweep."""
        identity = [self.preset, self.fixed, [point.values for point in self.points]]
        digest = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:8]
        keys = "-".join(name.rpartition(".")[2] for name in self.names)
        return Path(self.runs_dir) / self.experiment / f"sweep-{keys}-{digest}"

    @property
    def page(self) -> Path:
        """The summary."""
        return self.folder / "sweep.html"

    @property
    def table(self) -> Path:
        """The summary's table."""
        return self.folder / "sweep.csv"

    def log(self, point: Point) -> Path:
        """What a run printed when it was last started."""
        return self.folder / f"{point.number}.log"


def points_of(preset: ExperimentConfig, fixed: Mapping[str, str], grid: Sequence[str]) -> tuple[Point, ...]:
    """Read ``section.key=value,value`` texts, and return every combination of their values.

    Values are separated by commas. Where a value has commas itself, values are separated by semicolons:
    ``data.points=32,32;64,64``.

    Args:
        preset: that the runs start from.
        fixed: settings that all runs share.
        grid: the texts; the last one varies fastest.

    Raises:
        UserError: a setting or a value that is not one, a setting that is given twice, or two points that are the same.
    """
    kinds = {one.name: one.kind for one in settings(preset)}
    axes: dict[str, tuple[str, ...]] = {}
    for text in grid:
        name, equals, values = text.removeprefix("--").partition("=")
        if name not in kinds:
            known = hint(name, f"--{name}", [f"--{one}" for one in kinds]) or "; see `run NAME --help`."
            raise UserError(f"--grid {text}: {name} is not a setting{known}")
        several = [one.strip() for one in values.split(";" if ";" in values else ",")]
        if not equals or not all(several):
            raise UserError(f"--grid {text} needs values: write --grid {name}=VALUE,VALUE.")
        if name in axes:
            raise UserError(f"--grid {name} is given twice; give all its values at once, separated by commas.")
        if name in fixed:
            raise UserError(f"--grid {name} varies what all runs are given as {fixed[name]}; leave one of them out.")
        axes[name] = tuple(several)
    points: list[Point] = []
    seen: dict[str, Point] = {}
    for number, chosen in enumerate(itertools.product(*axes.values()), start=1):
        values_of = dict(zip(axes, chosen))
        point = Point(number, values_of, preset.with_overrides({**fixed, **values_of}))
        key = json.dumps(to_mapping(point.config), sort_keys=True)
        if key in seen:
            raise UserError(f"--grid: {seen[key].label()} and {point.label()} are the same settings; give one of them.")
        seen[key] = point
        points.append(point)
    return tuple(points)
