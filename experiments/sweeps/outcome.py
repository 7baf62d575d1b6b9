"""What became of a point of a sweep, by what its run left behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from experiments import runs
from experiments.evaluation.results import Comparison
from experiments.runs import RunFolder
from experiments.sweeps.grid import Point, Sweep


class State(Enum):
    """How far a run of a sweep is."""

    WAITING = "not begun"
    UNFINISHED = "unfinished"
    FINISHED = "finished"
    FAILED = "failed"


@dataclass(frozen=True)
class Outcome:
    """What became of a point.

    Attributes:
        point: of the sweep.
        state: how far it is.
        folder: of its run; None where it has none yet.
        comparison: where it is finished.
        reason: why it failed; empty otherwise.
    """

    point: Point
    state: State
    folder: RunFolder | None = None
    comparison: Comparison | None = None
    reason: str = ""


def outcomes_of(sweep: Sweep, failed: Mapping[int, str]) -> list[Outcome]:
    """Look up the run of every point: a finished one where there is one, else the newest.

    Args:
        sweep: with its folders.
        failed: why runs failed when they were last started, by the number of the point.
    """
    known = runs.runs_of(sweep.runs_dir, sweep.experiment, sweep.preset, sweep.source)
    return [
        _outcome_of(point, runs.same_runs(known, point.config), failed.get(point.number, "")) for point in sweep.points
    ]


def _outcome_of(point: Point, found: Sequence[RunFolder], reason: str) -> Outcome:
    for folder in found:
        if folder.is_finished():
            return Outcome(point, State.FINISHED, folder, folder.comparison())
    newest = found[0] if found else None
    if reason:
        return Outcome(point, State.FAILED, newest, reason=reason)
    return Outcome(point, State.WAITING if newest is None else State.UNFINISHED, newest)
