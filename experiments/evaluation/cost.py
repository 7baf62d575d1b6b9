"""What a sample costs, against the strongest solver.

A generator is often held against a solver that is more exact than anybody asked for. Here its quality is matched
first: of all solver settings offered (coarser grids, larger steps, lower orders, long strides along few trajectories,
coarse runs with a fine finish, stored fields carried on), the cheapest that is as good as the generator is the one to
beat. Making the data and training are counted, so that there is a number of samples from which the generator pays
off, or none (McGreivy and Hakim 2024, Nature Machine Intelligence 6, 1256).

Both sides are timed alike: warm, in turn, equally often (`in_turn`).
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.evaluation.results import Plain, SolverRow, Timing

Progress = Callable[[int, int, str], None]


def timed(function: Callable[[], Any]) -> tuple[Any, float]:
    """A function's result and its wall time in seconds, waiting for the device."""
    began = time.perf_counter()
    result = jax.block_until_ready(function())
    return result, time.perf_counter() - began


def timing(seconds: Sequence[float], count: int) -> Timing:
    """Seconds per sample of several repeats that made ``count`` samples each."""
    each = [one / count for one in seconds]
    return Timing(statistics.median(each), min(each), max(each), len(each))


def in_turn(functions: Mapping[str, Callable[[], Any]], *, repeats: int, count: int) -> dict[str, Timing]:
    """Time functions warm and in turn, so that all of them meet the same machine.

    Args:
        functions: by name; each makes ``count`` samples. All are called once before the first timing.
        repeats: rounds; in each, every function is called once.
        count: samples made by one call.

    Returns:
        Seconds per sample by name.
    """
    for function in functions.values():
        jax.block_until_ready(function())
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(repeats):
        for name, function in functions.items():
            seconds[name].append(timed(function)[1])
    return {name: timing(spent, count) for name, spent in seconds.items()}


@dataclass(frozen=True)
class Candidate:
    """A solver setting that might do as well as the generator.

    Attributes:
        setting: what is set, in plain values, as the table shows it.
        make: returns the compared number of samples, as an array on the reference grid.
    """

    setting: Mapping[str, Plain]
    make: Callable[[], np.ndarray]


class Judged(NamedTuple):
    """Whether samples are as good as the generator's, their figures of merit, and the tests in which they are worse."""

    reaches: bool
    values: Mapping[str, float]
    worse: str = ""


def search(
    candidates: Sequence[Candidate],
    judge: Callable[[np.ndarray], Judged],
    generator: Callable[[], Any],
    *,
    count: int,
    repeats: int,
    progress: Progress | None = None,
) -> tuple[tuple[SolverRow, ...], Timing]:
    """Every candidate with its cost, its quality and whether it is as good as the generator.

    A candidate is first run once, which compiles it, and judged. If it is as good as the generator it is timed in
    ``repeats`` rounds, in turn with the generator; otherwise once, so that the table has its cost. A candidate that
    fails (an error of value or arithmetic, or samples that are not finite) stays in the table with the reason.

    Args:
        candidates: to be tried.
        judge: of samples.
        generator: makes as many samples as a candidate does.
        count: that number.
        repeats: rounds of timing.
        progress: called with (done, total, what).

    Returns:
        One row per candidate, in the given order, and the generator's cost per sample over all rounds.
    """
    rows: list[SolverRow] = []
    jax.block_until_ready(generator())
    spent = [timed(generator)[1] for _ in range(repeats)]
    for done, candidate in enumerate(candidates, start=1):
        try:
            samples = np.asarray(candidate.make())
            if not np.isfinite(samples).all():
                raise ValueError("the solver's fields are not finite")
            judged = judge(samples)
        except (ValueError, ArithmeticError) as error:
            rows.append(SolverRow(candidate.setting, None, False, {}, str(error)))
        else:
            seconds = []
            for _ in range(repeats if judged.reaches else 1):
                seconds.append(timed(candidate.make)[1])
                if judged.reaches:
                    spent.append(timed(generator)[1])
            rows.append(
                SolverRow(candidate.setting, timing(seconds, count), judged.reaches, judged.values, None, judged.worse)
            )
        if progress is not None:
            progress(done, len(candidates), "searching the cheapest solver")
    return tuple(rows), timing(spent, count)
