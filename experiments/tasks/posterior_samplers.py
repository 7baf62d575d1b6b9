"""Samplers that need no training, for posteriors: the long runs of the reference, and the rivals."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from experiments.reporting import Report

if TYPE_CHECKING:
    from jax import Array

    from experiments.evaluation.entries import Plain
    from experiments.tasks.posterior_task import Solver
    from physics.inference.inverse_problem import InverseProblem, PosteriorSample

AGREEING, AGREEING_MEMBERS = 1.01, 512
"""Potential scale reduction of two runs of the reference above which they disagree, with so many members each."""


@dataclass(frozen=True)
class Sampler:
    """A sampler with its settings.

    Attributes:
        setting: as the tables show it, in plain values.
        draw: ``(problem, observed, members, key) -> PosteriorSample``.
        everywhere: whether it is tried with every cheaper solver, or with the middle one alone.
    """

    setting: Mapping[str, Plain]
    draw: Callable[[InverseProblem, np.ndarray, int, Array], PosteriorSample]
    everywhere: bool = True

    def tried_with(self, solvers: Sequence[Solver]) -> Sequence[Solver]:
        """Return those of some cheaper solvers with which it is tried."""
        middle = len(solvers) // 2
        return solvers if self.everywhere else solvers[middle : middle + 1]


def tempered(moves: int) -> Sampler:
    """Return tempered sequential Monte Carlo with so many moves at every temperature."""

    def draw(problem: InverseProblem, observed: np.ndarray, members: int, key: Array) -> PosteriorSample:
        from physics import tempered_posterior

        return tempered_posterior(problem, observed, members, key, moves=moves)

    return Sampler({"sampler": "tempered", "steps": moves}, draw)


def _walk(steps: int) -> Sampler:
    def draw(problem: InverseProblem, observed: np.ndarray, members: int, key: Array) -> PosteriorSample:
        from physics import crank_nicolson

        return crank_nicolson(problem, observed, members, key, steps=steps)

    return Sampler({"sampler": "crank_nicolson", "steps": steps}, draw)


def _smoother(iterations: int) -> Sampler:
    def draw(problem: InverseProblem, observed: np.ndarray, members: int, key: Array) -> PosteriorSample:
        from physics import ensemble_smoother

        return ensemble_smoother(problem, observed, members, key, iterations=iterations)

    return Sampler({"sampler": "ensemble_smoother", "steps": iterations}, draw)


def _mixture(starts: int) -> Sampler:
    def draw(problem: InverseProblem, observed: np.ndarray, members: int, key: Array) -> PosteriorSample:
        from physics import laplace_mixture

        return laplace_mixture(
            problem, observed, members, key, starts=starts, iterations=4, parts=(0.2, 0.4, 0.6, 0.8, 1.0)
        )

    return Sampler({"sampler": "laplace_mixture", "starts": starts}, draw)


def _nuts(warmup: int, thin: int) -> Sampler:
    def draw(problem: InverseProblem, observed: np.ndarray, members: int, key: Array) -> PosteriorSample:
        from physics import nuts

        # Eight chains, or as many as divide the members.
        chains = next(count for count in (8, 4, 2) if members % count == 0)
        return nuts(problem, observed, members, key, warmup=warmup, thin=thin, chains=chains)

    # It takes minutes, and stays in one mode with any solver: one of them is enough.
    return Sampler({"sampler": "nuts", "steps": thin, "warm-up": warmup}, draw, everywhere=False)


RIVALS = (
    *map(tempered, (1, 2, 5, 10, 20, 40)),
    *map(_walk, (50, 200)),
    *map(_smoother, (1, 4, 8)),
    _mixture(16),
    *(_nuts(warmup, thin) for warmup, thin in ((50, 1), (200, 4))),
)
"""Samplers that might do as well as a generator."""


TRUTH_RIVALS = (tempered(10), tempered(40), _smoother(4), _smoother(8), _mixture(16))
"""Samplers that stand beside a generator where all are judged against the truth alone."""


class LongRuns(NamedTuple):
    """The reference's ensembles.

    Attributes:
        unknowns: (cases, members, d), the first half of the members by one run, the others by the other.
        agreement: potential scale reduction (cases,) of the two runs.
    """

    unknowns: np.ndarray
    agreement: np.ndarray


def long_runs(
    problem: InverseProblem,
    observed: np.ndarray,
    half: int,
    *,
    moves: int,
    seed: int,
    identity: Mapping[str, object],
    say: Report,
) -> LongRuns:
    """Draw the reference's ensembles by two independent tempered runs for every case, or find them in the cache.

    A case in which the two disagree is run again with twice the moves. Interrupted at any moment, the next call
    continues after the last finished case.

    Args:
        problem: with the solver that made the data.
        observed: (cases, m).
        half: members of each run.
        moves: at every temperature; four times as many at the last.
        seed: of the runs.
        identity: all that the problem depends on, in plain values; with the other arguments the key of the cache.
        say: called with (done, total, what).
    """
    from physics.data.cache import DESCRIPTION, Cache, DamagedEntryError, Lease, content_key, write_atomically

    seen = np.ascontiguousarray(observed, np.float32)
    settings = {
        "format": "posteriors by long tempered runs 1",
        "problem": dict(identity),
        "observed": hashlib.sha256(seen.tobytes()).hexdigest(),
        "cases": len(seen),
        "half": half,
        "moves": moves,
        "seed": seed,
    }

    def make(directory: Path) -> None:
        for case in range(len(seen)):
            say(case, len(seen), "posteriors by long tempered runs")
            target = directory / f"{case}.npz"
            if not target.exists():
                unknowns, agreement = _agreeing_runs(problem, seen[case : case + 1], half, moves, seed, case)
                with (directory / "unfinished").open("wb") as file:
                    np.savez(file, unknowns=unknowns, agreement=agreement)
                (directory / "unfinished").replace(target)
        write_atomically(directory / DESCRIPTION, json.dumps({"name": "posteriors", **settings}, indent=1))

    def read(path: Path, lease: Lease) -> LongRuns:
        try:
            stored = [np.load(path / f"{case}.npz", allow_pickle=False) for case in range(len(seen))]
            found = LongRuns(*(np.stack([one[name] for one in stored]) for name in LongRuns._fields))
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise DamagedEntryError(f"{path} does not hold posteriors: draw them again") from error
        lease.release()
        return found

    waiting = partial(say, 0, 1, "waiting for another process")
    return Cache().obtain(content_key(settings), "the reference's posteriors", read, make, waiting)


def _agreeing_runs(
    problem: InverseProblem, observed: np.ndarray, half: int, moves: int, seed: int, case: int
) -> tuple[np.ndarray, float]:
    """Return the members (2 half, d) of two runs for one case, and their potential scale reduction."""
    import jax

    from physics import tempered_posterior

    # Two ensembles of so many independent members seldom differ by more, whatever they are drawn from.
    allowed = np.sqrt(1 + (AGREEING**2 - 1) * AGREEING_MEMBERS / half)
    found, runs = np.inf, []
    for attempt, count in enumerate((moves, 2 * moves)):
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), case), attempt)
        runs = [
            np.asarray(tempered_posterior(problem, observed, half, each, moves=count, last_moves=4 * count).unknowns[0])
            for each in jax.random.split(key)
        ]
        found = potential_scale_reduction(*runs)
        if found <= allowed:
            break
    return np.concatenate(runs), found


def potential_scale_reduction(one: np.ndarray, two: np.ndarray) -> float:
    """Return the largest potential scale reduction over the unknowns of two ensembles (members, d).

    The root of (W + V) / W with W the mean variance within the ensembles and V the variance of their two means (Gelman
    and Rubin 1992, Stat. Sci. 7, 457, for long chains).
    """
    within = 0.5 * (one.var(axis=0, ddof=1) + two.var(axis=0, ddof=1))
    between = 0.5 * (one.mean(axis=0) - two.mean(axis=0)) ** 2
    return float(np.sqrt(1 + between / np.maximum(within, 1e-12)).max())
