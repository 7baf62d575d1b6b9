"""Refinement: how far the solver has to advance a set of fields until nothing distinguishes it from the solver's own.

The generator proposes, the solver finishes. Whether the proposal was worth anything shows only beside starts that cost
nothing: a Gaussian field with the data's spectrum, and stored training fields.
Each start is advanced along one axis of *solver time*, which counts the time that the generator's solver layer
already contains, and every test and distance is taken along it.

A start *enters* at the first time from which the joint test over all measures and over that and all later times
no longer distinguishes it from the solver (tests of a fixed sequence, so that a start that has entered is called late
in 5% of cases). So that one test can look at all times, reference fields are advanced as well from the generator's own
solver time on, and whole paths change places in the relabellings. Before that time the references stand still, which
matters to no start that is distinguished there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from jaxtyping import Float

from experiments.evaluation.distances import ReferenceSet
from experiments.evaluation.entries import Curve
from experiments.evaluation.results import Refinement
from experiments.evaluation.two_sample.battery import Battery, Outcome
from experiments.evaluation.two_sample.classifiers import auc, auc_interval
from experiments.evaluation.two_sample.neighbours import Paths
from experiments.evaluation.two_sample.relabelling import p_value
from experiments.reporting import Report

Refine = Callable[[np.ndarray, float], np.ndarray]
T = TypeVar("T")
SEARCHED = 2048
"""Stored fields that are searched at each time."""
QUICK_DRAWS = 1000
"""Relabellings for the starts beside the generator."""
BANK = "bank"
"""Name of the start that holds stored training fields: other starts must not be too near to them."""


@dataclass(frozen=True)
class Start:
    """Fields to advance.

    Attributes:
        label: of the start, in words.
        fields: twice as many as the battery tests, physical units.
        solver_time: that is already in them (the solver layer of a generator; 0 else).
        until: solver time up to which it is tested; None for all. Solver fields stay solver fields however long.
    """

    label: str
    fields: np.ndarray
    solver_time: float = 0.0
    until: float | None = None

    def tested(self, now: float) -> bool:
        """Whether it is tested after this solver time."""
        return self.solver_time <= now and (self.until is None or now <= self.until)


def refinement_curves(
    battery: Battery,
    reference_set: ReferenceSet,
    starts: Mapping[str, Start],
    reference: Float[np.ndarray, "m *grid c"],
    refine: Refine,
    times: Sequence[float],
    *,
    progress: Report | None = None,
) -> Refinement:
    """Every test and distance of every start against solver time.

    Args:
        battery: of the solver's fields.
        reference set: for the distances; its ``n`` is at most the number of fields of a start.
        starts: by name, "generator" among them.
        reference: the battery's reference fields.
        refine: ``(fields, duration) -> fields``: the solver.
        times: solver times, the same for all starts. A start joins at its own ``solver_time``, which is added to the
            times of all, so that starts are compared at equal times. One whose fields are no longer finite ends there.
        progress: called with (done, total, what).

    Returns:
        The curves.

    Raises:
        ValueError: no time, or a negative one.
    """
    if not len(times) or min(times) < 0:
        raise ValueError(f"refinement times {list(times)} must be one or more times of at least 0.")
    first = starts["generator"].solver_time
    grid = sorted({float(t) for t in times} | {float(s.solver_time) for s in starts.values()})
    outcomes: dict[str, list[tuple[float, Outcome, dict[str, float]]]] = {name: [] for name in starts}
    quick = battery.quick(QUICK_DRAWS)
    banks: dict[float, Paths] = {}
    against, prepared, done = np.asarray(reference, np.float32), battery.reference, 0
    total = sum(start.tested(now) for start in starts.values() for now in grid)
    finite = dict.fromkeys(starts, True)
    # The solver goes on to the next time while this one is tested: the tests leave half of two cores idle.
    for now, fields, moved in _one_ahead(_advanced(starts, against, refine, grid)):
        if moved is not against:
            against, prepared = moved, battery.prepare(moved)
        if BANK in starts and now >= starts[BANK].solver_time:
            banks[now] = battery.prepare_bank([fields[BANK][:SEARCHED]])
        # A generator that repeats training fields does so at its own solver time.
        bank = [banks[time] for time in sorted({0.0, now - first, now}) if time in banks]
        for name, start in starts.items():
            finite[name] &= bool(np.isfinite(fields[name]).all())
            if not start.tested(now) or not finite[name]:
                continue
            done += 1
            if progress is not None:
                progress(done, total, f"{start.label} after {now:g}")
            tests = battery if name == "generator" else quick
            outcome = tests.outcome(fields[name], reference=prepared, bank=() if name == BANK else bank)
            values = reference_set.distances(fields[name][-reference_set.n :])
            ratios = {d: values[d] / reference_set.floor[d] for d in reference_set.names}
            outcomes[name].append((now, outcome, ratios))
    curves = {
        name: _curve(starts[name].label, taken, battery.level, not finite[name])
        for name, taken in outcomes.items()
        if taken
    }
    null = {name: reference_set.null95[name] / reference_set.floor[name] for name in reference_set.names}
    half = 1.96 * battery.area_error
    return Refinement(battery.level, curves, null, (0.5 - half, 0.5 + half))


def _advanced(
    starts: Mapping[str, Start], reference: np.ndarray, refine: Refine, grid: Sequence[float]
) -> Iterator[tuple[float, Mapping[str, np.ndarray], np.ndarray]]:
    """The fields of every start, and those of the reference, after each solver time.

    References are solver fields already: their clock runs from where that of the generator does.
    """
    first, before = starts["generator"].solver_time, grid[0]
    fields = {name: np.asarray(start.fields, np.float32) for name, start in starts.items()}
    for now in grid:
        if (further := max(now, first) - max(before, first)) > 0:
            reference = np.asarray(refine(reference, further))
        for name, start in starts.items():
            if name == BANK and not start.tested(now):
                fields[name] = fields[name][:SEARCHED]
            own = now - max(before, start.solver_time)
            if own > 0 and np.isfinite(fields[name]).all():
                fields[name] = np.asarray(refine(fields[name], own))
        yield now, dict(fields), reference
        before = now


def _one_ahead(items: Iterator[T]) -> Iterator[T]:
    """The same items; each is made by a thread of its own while the one before is in use."""
    with ThreadPoolExecutor(1) as maker:
        coming = maker.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = maker.submit(next, items, None)
            yield item


def _curve(label: str, taken: Sequence[tuple[float, Outcome, dict[str, float]]], level: float, ended: bool) -> Curve:
    joint = np.stack([outcome.joint for _, outcome, _ in taken])
    # The largest over this time and all later ones.
    onwards = np.maximum.accumulate(joint[::-1], axis=0)[::-1]
    p_onwards = [p_value(one) for one in onwards]
    times = [time for time, _, _ in taken]
    ratings = [outcome.ratings["classifier_features"] for _, outcome, _ in taken]
    return Curve(
        label=label,
        time=tuple(times),
        ratios={name: tuple(ratios[name] for _, _, ratios in taken) for name in taken[0][2]},
        auc=tuple(auc(one) for one in ratings),
        auc_interval=tuple(auc_interval(one) for one in ratings),
        p_value=tuple(p_value(one) for one in joint),
        p_onwards=tuple(p_onwards),
        enters=None if ended else enters(times, [p > level for p in p_onwards]),
    )


def enters(times: Sequence[float], kept: Sequence[bool]) -> float | None:
    """The first time at which the test over it and all later times keeps the hypothesis; None if it never does."""
    return next((float(time) for time, ok in zip(times, kept) if ok), None)
