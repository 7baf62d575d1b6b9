"""Samplers that need no training, for the task ``posterior``: the long runs of the reference, and the rivals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from experiments.reporting import Report

if TYPE_CHECKING:
    from jax import Array

    from experiments.evaluation.entries import Plain
    from physics.inference.inverse_problem import InverseProblem, PosteriorSample

AGREEING, AGREEING_MEMBERS = 1.01, 512
"""Potential scale reduction of two runs of the reference above which they disagree, with so many members each."""


@dataclass(frozen=True)
class Sampler:
    """A sampler with its settings.

    Attributes:
        setting: as the tables show it, in plain values.
        draw: ``(problem, observed, members, key) -> PosteriorSample``.
    """

    setting: Mapping[str, Plain]
    draw: Callable[[InverseProblem, np.ndarray, int, Array], PosteriorSample]


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


def _nuts(warmup: int, thin: int) -> Sampler:
    def draw(problem: InverseProblem, observed: np.ndarray, members: int, key: Array) -> PosteriorSample:
        from physics import nuts

        # Eight chains, or as many as divide the members.
        chains = next(count for count in (8, 4, 2) if members % count == 0)
        return nuts(problem, observed, members, key, warmup=warmup, thin=thin, chains=chains)

    return Sampler({"sampler": "nuts", "steps": thin, "warm-up": warmup}, draw)


RIVALS = (
    *map(tempered, (1, 2, 5, 10, 20, 40)),
    *map(_walk, (50, 200)),
    *map(_smoother, (1, 4, 8)),
    *(_nuts(warmup, thin) for warmup, thin in ((50, 1), (200, 4))),
)
"""Samplers that might do as well as a generator."""


def long_runs(
    problem: InverseProblem,
    observed: np.ndarray,
    half: int,
    members: int,
    *,
    moves: int,
    seed: int,
    say: Report,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the reference's ensembles by two independent tempered runs for every case.

    A case in which the two disagree is run again with twice the moves.

    Args:
        problem: with the solver that made the data.
        observed: (cases, m).
        half: members of each run.
        members: of each run that are kept, evenly spaced.
        moves: at every temperature; four times as many at the last.
        seed: of the runs.
        say: called with (done, total, what).

    Returns:
        Unknowns (cases, 2 members, d), and the potential scale reduction (cases,) of the two runs.
    """
    import jax

    from physics import tempered_posterior

    # Two ensembles of so many independent members seldom differ by more, whatever they are drawn from.
    allowed = np.sqrt(1 + (AGREEING**2 - 1) * AGREEING_MEMBERS / half)
    chosen = np.linspace(0, half - 1, members).astype(int)
    taken, agreement = [], []
    for case in range(len(observed)):
        say(case, len(observed), "posteriors by long tempered runs")
        for attempt, count in enumerate((moves, 2 * moves)):
            key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), case), attempt)
            one = observed[case : case + 1]
            runs = [
                np.asarray(
                    tempered_posterior(problem, one, half, each, moves=count, last_moves=4 * count).unknowns[0]
                )
                for each in jax.random.split(key)
            ]
            found = potential_scale_reduction(*runs)
            if found <= allowed:
                break
        agreement.append(found)
        taken.append(np.concatenate([run[chosen] for run in runs]))
    return np.stack(taken), np.array(agreement)


def potential_scale_reduction(one: np.ndarray, two: np.ndarray) -> float:
    """Return the largest potential scale reduction over the unknowns of two ensembles (members, d).

    The root of (W + V) / W with W the mean variance within the ensembles and V the variance of their two means (Gelman
    and Rubin 1992, Stat. Sci. 7, 457, for long chains).
    """
    within = 0.5 * (one.var(axis=0, ddof=1) + two.var(axis=0, ddof=1))
    between = 0.5 * (one.mean(axis=0) - two.mean(axis=0)) ** 2
    return float(np.sqrt(1 + between / np.maximum(within, 1e-12)).max())
