"""What virtual runs of an apparatus are worth, and what they do to a planned test.

Three uses of virtual runs are judged, and only the last is honest without more:

- as a description of the law of the responses at a setting, held against real runs by `experiments.evaluation.worth`;
- *pooled* with real runs in a two-sample test, as if they were more runs. They hold nothing about units that were not
  measured: errors of the generator are repeated in every virtual run, so that more of them make false alarms more
  certain. And where the generator knows nothing of a difference, they dilute it;
- to *plan* how many real runs a test needs, which is then made with real runs alone and keeps its level.

The test is Welch's (1947, Biometrika 34, 28), of the means of a response in two groups, two-sided.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from experiments.evaluation.worth import energy_parts, runs_worth

LEVEL, POWER = 0.05, 0.8
MOST_RUNS = 100_000
"""Runs of a plan at most: a difference that needs more is not planned for."""
Sample = Callable[[Float[np.ndarray, "s k"], int], Float[np.ndarray, "s count d"]]
"""(settings, runs at each of them) -> responses."""
Both = tuple[np.ndarray, np.ndarray]
"""Runs of the two groups of every pair, (p, n, d) each."""


@dataclass(frozen=True)
class Held:
    """Real runs at some settings, which no method has seen.

    Attributes:
        settings: encoded, (s, k).
        runs: of each setting, (m, d) each.
        scale: standard deviation of every response at every setting, (s, d); distances are in these units.
    """

    settings: Float[np.ndarray, "s k"]
    runs: Sequence[Float[np.ndarray, "m d"]]
    scale: Float[np.ndarray, "s d"]


@dataclass(frozen=True)
class Pairs:
    """Pairs of settings that a test compares, with their true laws.

    Attributes:
        first, second: settings, (p, k).
        real_first, real_second: real runs at them, (p, m, d), as many as make sampling errors small.
        asked: which responses are tested at each pair, (p, d).
    """

    first: Float[np.ndarray, "p k"]
    second: Float[np.ndarray, "p k"]
    real_first: Float[np.ndarray, "p m d"]
    real_second: Float[np.ndarray, "p m d"]
    asked: Bool[np.ndarray, "p d"]


@dataclass(frozen=True)
class Virtual:
    """Virtual runs at the pairs of a trial: of the first and of the second group, (p, n, d) each."""

    alike: Both
    apart: Both


@dataclass(frozen=True)
class Trial:
    """A planned test: what is compared, and how large it is.

    Attributes:
        alike: pairs of settings with the same law: every rejection is a false alarm.
        apart: pairs whose means differ by about one standard deviation.
        real: runs in each group.
        virtual: virtual runs that are pooled with them.
        repeats: of every test.
    """

    alike: Pairs
    apart: Pairs
    real: int = 12
    virtual: int = 60
    repeats: int = 40

    def virtual_runs(self, sample: Sample) -> Virtual:
        """Make the virtual runs of every pair: as many as all repeats take."""
        count = self.repeats * self.virtual
        alike, apart = ((sample(one.first, count), sample(one.second, count)) for one in (self.alike, self.apart))
        return Virtual(alike, apart)


def welch_power(
    difference: Float[np.ndarray, " q"],
    first: Float[np.ndarray, " q"],
    second: Float[np.ndarray, " q"],
    runs: Float[np.ndarray, " q"],
    level: float = LEVEL,
) -> Float[np.ndarray, " q"]:
    """Return the power of Welch's test with the same number of runs in both groups, by the noncentral t distribution.

    Args:
        difference: of the means.
        first, second: standard deviations of the groups.
        runs: in each group, at least 2; need not be whole.
        level: of the test.

    Example:
        >>> welch_power(np.array([1.0]), np.array([1.0]), np.array([1.0]), np.array([17.0])).round(3).tolist()
        [0.807]
    """
    from scipy.stats import nct, t

    runs, one, two = np.asarray(runs, np.float64), np.square(first), np.square(second)
    freedom = (runs - 1) * (one + two) ** 2 / (one**2 + two**2)
    shift = np.abs(difference) * np.sqrt(runs / (one + two))
    edge = t.isf(level / 2, freedom)
    # Beyond 30 standard errors both tails are 0 and 1 in any arithmetic, and the noncentral t overflows.
    inner = np.minimum(shift, 30.0)
    # The wrong tail is lost to round-off where it does not matter.
    return np.clip(nct.sf(edge, freedom, inner) + np.nan_to_num(nct.cdf(-edge, freedom, inner)), 0.0, 1.0)


def planned_runs(
    first: Float[np.ndarray, "*p n"], second: Float[np.ndarray, "*p n"], power: float = POWER, level: float = LEVEL
) -> Float[np.ndarray, "*p"]:
    """Return the real runs in each group with which Welch's test finds the difference that virtual runs show.

    Args:
        first, second: virtual runs of one response in the two groups, the last axis.
        power: that is wanted.
        level: of the test.

    Returns:
        Whole numbers, 2 at least and `MOST_RUNS` at most.

    Example:
        >>> n = np.random.default_rng(0).standard_normal((2, 200_000))
        >>> float(planned_runs(n[0], n[1] + 1.0))
        17.0
    """
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    shape, gap = first.shape[:-1], np.ravel(second.mean(axis=-1) - first.mean(axis=-1))
    one, two = (np.ravel(np.maximum(group.std(axis=-1, ddof=1), 1e-12)) for group in (first, second))
    low, high = np.full(gap.shape, 2.0), np.full(gap.shape, float(MOST_RUNS))
    while (high - low > 0).any():
        middle = np.floor((low + high) / 2)
        enough = welch_power(gap, one, two, middle, level) >= power
        high, low = np.where(enough, middle, high), np.where(enough, low, np.minimum(middle + 1, high))
    return high.reshape(shape)


def rejected(
    first: Float[np.ndarray, "*tests n"], second: Float[np.ndarray, "*tests m"], level: float = LEVEL
) -> Bool[np.ndarray, "*tests"]:
    """Return whether Welch's test rejects that the means of two groups are equal, the runs along the last axis."""
    from scipy.stats import ttest_ind

    return np.asarray(ttest_ind(first, second, axis=-1, equal_var=False).pvalue) < level


def crps(virtual: Float[np.ndarray, "n d"], real: Float[np.ndarray, "m d"]) -> float:
    """Return the fair continuous ranked probability score of virtual runs, a mean over real runs and responses.

    Fair: unbiased for endless virtual runs (Ferro 2014, Q. J. R. Meteorol. Soc. 140, 1917).

    Example:
        >>> crps(np.array([[0.0], [2.0]]), np.array([[0.0]]))
        0.0
    """
    count = len(virtual)
    ordered = np.sort(np.asarray(virtual, np.float64), axis=0)
    # The sum of all differences of pairs, from the order alone.
    pairs = (2 * np.arange(count) - count + 1) @ ordered / (count * (count - 1) / 2)
    to_real = np.mean([np.abs(virtual[:, None, c] - real[None, :, c]).mean() for c in range(real.shape[1])])
    return float(to_real - 0.5 * pairs.mean())


def law_figures(sample: Sample, held: Held, count: int) -> dict[str, float]:
    """Return ``worth`` and ``crps`` of virtual runs at held-out settings; `runs_worth` defines the first.

    Args:
        sample: makes the virtual runs.
        held: real runs.
        count: virtual runs at each setting.

    Raises:
        ValueError: the virtual runs are not finite.
    """
    made = sample(held.settings, count)
    if not np.isfinite(made).all():
        raise ValueError("it makes responses that are not finite")
    scaled = [(one / scale, real / scale) for one, real, scale in zip(made, held.runs, held.scale)]
    distances, spreads = np.array([energy_parts(*both) for both in scaled]).T
    return {"worth": runs_worth(distances, spreads, count), "crps": float(np.mean([crps(*both) for both in scaled]))}


def trial_figures(virtual: Virtual | None, trial: Trial, seed: int) -> dict[str, float]:
    """Return what pooled virtual runs, or none, make of a planned test.

    Args:
        virtual: runs at the trial's pairs, every one used once; None for real runs alone.
        trial: the test.
        seed: of the draws of real runs.

    Returns:
        ``false_alarms``: rejections at pairs of one law;
        ``power_known``: rejections at pairs whose means differ, a difference that the virtual runs may know;
        ``power_new``: rejections where the real runs of the second group, and they alone, are one standard deviation
        larger: a difference that the virtual runs cannot know.
    """
    rng = np.random.default_rng((seed, 61))

    def share(pairs: Pairs, added: Both | None, shift: float) -> float:
        groups = []
        for place, (real, move) in enumerate(((pairs.real_first, 0.0), (pairs.real_second, shift))):
            drawn = _redrawn(real + move * real.std(axis=1, keepdims=True), trial.repeats, trial.real, rng)
            if added is not None:
                fresh = added[place].reshape(len(real), trial.repeats, trial.virtual, -1)
                drawn = np.concatenate([drawn, np.moveaxis(fresh, (0, 1, 2, 3), (1, 0, 3, 2))], axis=-1)
            groups.append(drawn)
        first, second = groups
        return float(rejected(first, second)[:, pairs.asked].mean())

    alike, apart = (None, None) if virtual is None else (virtual.alike, virtual.apart)
    return {
        "false_alarms": share(trial.alike, alike, 0.0),
        "power_known": share(trial.apart, apart, 0.0),
        "power_new": share(trial.alike, alike, 1.0),
    }


def _redrawn(
    runs: Float[np.ndarray, "p m d"], repeats: int, count: int, rng: np.random.Generator
) -> Float[np.ndarray, "repeats p d count"]:
    chosen = rng.integers(runs.shape[1], size=(repeats, count))
    return np.moveaxis(runs[:, chosen], (0, 1, 2, 3), (1, 0, 3, 2))


def plan_figures(
    first: Float[np.ndarray, "*pilots p n d"], second: Float[np.ndarray, "*pilots p n d"], pairs: Pairs
) -> dict[str, float]:
    """Return how good the plans are that runs of two groups lead to, virtual ones or those of a real pilot.

    Args:
        first, second: the runs that are planned with.
        pairs: with their true laws.

    Returns:
        ``plan_factor``: the median factor by which the planned number of runs differs from the one that is needed, in
        either direction; ``plan_power``: the true power that one plan in ten stays under, where `POWER` was wanted.
    """
    planned = planned_runs(np.moveaxis(first, -1, -2), np.moveaxis(second, -1, -2))[..., pairs.asked]
    ours, theirs = (np.moveaxis(one, -1, -2)[pairs.asked] for one in (pairs.real_first, pairs.real_second))
    needed = planned_runs(ours, theirs)
    gap = theirs.mean(axis=-1) - ours.mean(axis=-1)
    shape = planned.shape
    known = (gap, ours.std(axis=-1), theirs.std(axis=-1))
    difference, one, two = (np.broadcast_to(each, shape).ravel() for each in known)
    power = welch_power(difference, one, two, planned.ravel())
    return {
        "plan_factor": float(np.exp(np.median(np.abs(np.log(planned / needed))))),
        "plan_power": float(np.quantile(power, 0.1)),
    }


def pilot_figures(runs: int, pairs: Pairs, pilots: int, seed: int) -> dict[str, float]:
    """Return `plan_figures` of real pilots of so many runs in each group."""
    rng = np.random.default_rng((seed, 62, runs))
    first, second = (
        np.moveaxis(_redrawn(one, pilots, runs, rng), -1, -2) for one in (pairs.real_first, pairs.real_second)
    )
    return plan_figures(first, second, pairs)


def all_figures(
    sample: Sample, held: Mapping[str, Held], trial: Trial | None, count: int, seed: int
) -> dict[str, float]:
    """Return every figure of a method: of its laws at each place, and with a trial of tests and plans.

    Args:
        sample: of the method.
        held: real runs by place, for example at the design's settings and between them.
        trial: a planned test whose true laws are known; None where they are not.
        count: virtual runs at each setting.
        seed: of the draws.
    """
    found = {
        f"{key}_{place}": value for place, one in held.items() for key, value in law_figures(sample, one, count).items()
    }
    if trial is not None:
        virtual = trial.virtual_runs(sample)
        found |= plan_figures(*virtual.apart, trial.apart) | trial_figures(virtual, trial, seed)
    return found
