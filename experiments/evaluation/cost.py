"""What a sample costs, against the strongest solver.

A generator is often held against a solver that is more exact than anybody asked for. Here its quality is matched
first: of all solver settings offered (coarser grids, larger steps, lower orders, long strides along few trajectories,
coarse runs with a fine finish, stored fields advanced), the cheapest that is as good as the generator is the one to
beat. Making the data and training are counted, so that there is a number of samples from which the generator pays
off, or none (McGreivy and Hakim 2024, Nature Machine Intelligence 6, 1256).

Both sides are timed alike: warm, in turn, equally often (`in_turn`).
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

import jax
import numpy as np

from experiments.evaluation.entries import Plain, SolverRow, Timing
from experiments.reporting import Report, silent

Key = TypeVar("Key", bound=Hashable)
Result = TypeVar("Result")


def timed(function: Callable[[], Result]) -> tuple[Result, float]:
    """A function's result and its wall time in seconds, waiting for the device."""
    began = time.perf_counter()
    result = jax.block_until_ready(function())
    return result, time.perf_counter() - began


def timing(seconds: Sequence[float], count: int) -> Timing:
    """Seconds per sample of several repeats that made ``count`` samples each."""
    each = [one / count for one in seconds]
    return Timing(statistics.median(each), min(each), max(each), len(each))


def in_turn(
    functions: Mapping[Key, Callable[[], object]], *, repeats: int, count: int, progress: Report = silent
) -> dict[Key, Timing]:
    """Time functions warm and in turn, so that all of them meet the same machine.

    Args:
        functions: by name; each makes ``count`` samples. All are called once before the first timing.
        repeats: rounds; in each, every function is called once.
        count: samples made by one call.
        progress: called with (done, total, what) before every round.

    Returns:
        Seconds per sample by name.
    """
    for function in functions.values():
        jax.block_until_ready(function())
    seconds: dict[Key, list[float]] = {name: [] for name in functions}
    for done in range(repeats):
        progress(done, repeats, "timing the generator and the solvers that are as good")
        for name, function in functions.items():
            seconds[name].append(timed(function)[1])
    return {name: timing(spent, count) for name, spent in seconds.items()}


@dataclass(frozen=True)
class Candidate:
    """A solver setting that might do as well as the generator.

    Attributes:
        setting: what is set, in plain values, as the table shows it.
        make: returns the compared number of samples, as an array on the reference grid.
        further: makes as many samples again, going on from where ``make`` ended; its time is what a sample costs, and
            what ``make`` takes beside it is spent once, however many samples are made. None where every sample costs
            what the first ones do.
    """

    setting: Mapping[str, Plain]
    make: Callable[[], np.ndarray]
    further: Callable[[], np.ndarray] | None = None

    @property
    def repeated(self) -> Callable[[], np.ndarray]:
        """What is done again and again where many samples are made."""
        return self.further or self.make


class Assessment(NamedTuple):
    """Whether samples are as good as the generator's, their figures of merit, and the tests in which they are worse."""

    reaches: bool
    values: Mapping[str, float]
    worse: str = ""


MARGIN = 1.25
"""By how much a single timing may be too long: candidates up to this factor above the cheapest are judged as well."""


def search(
    candidates: Sequence[Candidate],
    assess: Callable[[np.ndarray], Assessment],
    generator: Callable[[], object],
    *,
    count: int,
    repeats: int,
    progress: Report | None = None,
    also: Callable[[Mapping[int, SolverRow]], Collection[int]] = lambda rows: (),
) -> tuple[tuple[SolverRow, ...], Timing]:
    """Find the cheapest candidate that is as good as the generator.

    Every candidate is run twice, once to compile it and once for its time. What is spent once (a spin-up, say) is kept
    apart from what a sample costs, since a generator pays off after many samples or never. They are then judged from
    the cheapest up until one is as good; those that cost up to `MARGIN` times as much as that one are judged too, and
    what is dearer keeps its time without a judgement. At last all that are as good are timed in ``repeats`` rounds, in
    turn with the generator. A candidate that fails (an error of value or arithmetic, or samples that are not finite)
    stays in the table with the reason.

    Args:
        candidates: to be tried.
        judge: of samples.
        generator: makes as many samples as a candidate does.
        count: that number.
        repeats: rounds of timing.
        progress: called with (done, total, what).
        also: judged rows by their place -> places of others that are timed in these rounds.

    Returns:
        One row per candidate, in the given order, and the generator's cost per sample over all rounds.
    """
    say = progress or silent
    rows: dict[int, SolverRow] = {}
    for i, candidate in enumerate(candidates):
        say(i, len(candidates), "timing solver settings")
        try:
            candidate.repeated()
            samples, seconds = timed(candidate.make)
            if not np.isfinite(samples).all():
                raise ValueError("the solver's fields are not finite")
            start = 0.0
            if candidate.further is not None:
                whole, seconds = seconds, timed(candidate.further)[1]
                start = max(whole - seconds, 0.0)
        except (ValueError, ArithmeticError) as error:
            rows[i] = SolverRow(candidate.setting, None, False, {}, str(error))
        else:
            rows[i] = SolverRow(candidate.setting, timing([seconds], count), None, {}, start_seconds=start)
    costs = {i: row.timing.seconds for i, row in rows.items() if row.timing is not None}
    good: list[int] = []
    for done, i in enumerate(sorted(costs, key=lambda i: costs[i])):
        if good and costs[i] > MARGIN * costs[good[0]]:
            break
        say(done, len(costs), "judging solver settings, the cheapest first")
        judged = assess(np.asarray(candidates[i].make()))
        rows[i] = replace(rows[i], reaches=judged.reaches, values=judged.values, worse=judged.worse)
        good += [i] if judged.reaches else []
    say(0, 1, "timing the generator and the solvers that are as good")
    named = also(rows)
    again = [i for i in costs if i in good or i in named]
    makers: dict[Hashable, Callable[[], object]] = {
        "generator": generator,
        **{i: candidates[i].repeated for i in again},
    }
    timings = in_turn(makers, repeats=repeats, count=count, progress=say)
    for i in again:
        rows[i] = replace(rows[i], timing=timings[i])
    return tuple(rows[i] for i in range(len(candidates))), timings["generator"]
