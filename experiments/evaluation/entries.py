"""What the sections of a comparison consist of: single distances, scores, tests, timings, curves and rows.

`experiments.evaluation.results` joins them to sections, and the sections to a comparison.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

Interval = tuple[float, float]
Plain = str | int | float | bool | None


@dataclass(frozen=True)
class Distance:
    """How far a set of samples is from reference samples, beside what two sets of reference samples come to.

    Attributes:
        definition: what is measured, in one sentence.
        unit: of value, floor and null95; "" for numbers without one.
        value: of the samples.
        floor, null95: median and 95% quantile between two sets of reference samples of the same size.
        interval: of the value, 95%, over fresh samples; None where it was not taken.
        n: size of each set.
        p_value: of this distance alone.
        inside: whether the Holm-corrected test over all distances keeps it.
    """

    definition: str
    unit: str
    value: float
    floor: float
    null95: float
    interval: Interval | None
    n: int
    p_value: float
    inside: bool

    @property
    def ratio(self) -> float:
        """The value over its floor."""
        return quotient(self.value, self.floor)

    @property
    def ratio_interval(self) -> Interval | None:
        """The interval over the floor."""
        if self.interval is None:
            return None
        return quotient(self.interval[0], self.floor), quotient(self.interval[1], self.floor)


@dataclass(frozen=True)
class Score:
    """A number with a target, and the band in which the reference's own values lie 95 times in 100.

    ``interval`` is that of the value, 95%, over fresh samples or cases; None where it was not taken.
    """

    definition: str
    unit: str
    value: float
    target: float | None
    null: Interval
    interval: Interval | None = None

    @property
    def inside(self) -> bool:
        """Whether the value lies within the band."""
        return self.null[0] <= self.value <= self.null[1]


@dataclass(frozen=True)
class Test:
    """One member of the joint test, read alone.

    Attributes:
        definition: what is tested, in one sentence.
        unit: of the statistic, for example "area under the ROC curve".
        statistic: its value.
        interval: of the statistic, 95%, over fresh samples; None where there is none.
        null: band that holds 95% of the statistic's values over relabelled sets.
        p_value: of this test alone.
        missed: the largest value that the joint test would have missed with a power of 80%; None where there is none.
    """

    __test__ = False  # not a test of pytest's

    definition: str
    unit: str
    statistic: float
    interval: Interval | None
    null: Interval
    p_value: float
    missed: float | None = None


@dataclass(frozen=True)
class Bound:
    """An equivalence bound: the largest relative error of a quantity that the test would have missed at 80% power.

    Attributes:
        quantity: in words, for example "energy of wave 3".
        found: the relative difference that was found.
        missed: the largest relative difference that would have been missed.
    """

    quantity: str
    found: float
    missed: float


@dataclass(frozen=True)
class Timing:
    """Seconds per sample: median, smallest and largest over repeats after a warm-up."""

    seconds: float
    low: float
    high: float
    repeats: int

    def minus(self, other: Timing) -> Timing:
        """What this costs beyond another, at least 0; the spread is that of both."""
        each = (self.seconds - other.seconds, self.low - other.high, self.high - other.low)
        seconds, low, high = (max(0.0, one) for one in each)
        return Timing(seconds, low, high, min(self.repeats, other.repeats))


@dataclass(frozen=True)
class Curve:
    """One start advanced by the solver.

    Attributes:
        label: of the start, in words.
        time: solver times, those that the samples already contain counted.
        ratios: by distance, the ratio to the floor at each time.
        auc, auc_interval: of the classifier on physical features at each time; empty where it was not trained.
        p_value: of the joint test at each time alone.
        p_onwards: of the joint test over this time and all later ones.
        enters: the first time from which the joint test distinguishes the samples from the reference no more; None:
            never.
    """

    label: str
    time: tuple[float, ...]
    ratios: Mapping[str, tuple[float, ...]]
    auc: tuple[float, ...]
    auc_interval: tuple[Interval, ...]
    p_value: tuple[float, ...]
    p_onwards: tuple[float, ...]
    enters: float | None


@dataclass(frozen=True)
class SolverRow:
    """One setting of the search for the cheapest solver.

    Attributes:
        setting: what was set, in plain values.
        timing: per sample, without what is spent once; None where it failed.
        reaches: whether it is at least as good as the generator, as the section says; None where that was not asked,
            because it costs more than one that is.
        values: figures of merit by name, for the table (for example "auc", "median ratio").
        failed: the reason why there are no figures; None where there are.
        worse: the tests in which it is worse than the generator, as a list in words.
        start_seconds: spent once before the first sample: the spin-up of trajectories along which samples are taken.
    """

    setting: Mapping[str, Plain]
    timing: Timing | None
    reaches: bool | None
    values: Mapping[str, float]
    failed: str | None = None
    worse: str = ""
    start_seconds: float = 0.0


@dataclass(frozen=True)
class BaselineRow:
    """Samples that the generator did not make.

    Attributes:
        meaning: how they were made, in one sentence.
        values: the generator's own figures of merit by name.
        evaluations: network evaluations per sample; None where no network made them.
        timing: per sample; None where it was not measured.
        training_seconds: spent once; None where nothing was trained.
        failed: the reason why there are no values; None where there are.
    """

    meaning: str
    values: Mapping[str, float]
    evaluations: int | None = None
    timing: Timing | None = None
    training_seconds: float | None = None
    failed: str | None = None


@dataclass(frozen=True)
class TruthRow:
    """Ensembles of several cases, held against what came true and nothing else.

    Attributes:
        meaning: how they were made, in one sentence.
        values: scores by name.
        intervals: of the scores, 95%, over fresh cases.
        beyond: 95% interval of this row's CRPS minus the generator's, over fresh cases; None for the generator.
        timing: per member; None where it was not measured.
        failed: the reason why there are no values; None where there are.
    """

    meaning: str
    values: Mapping[str, float]
    intervals: Mapping[str, Interval]
    beyond: Interval | None = None
    timing: Timing | None = None
    failed: str | None = None


@dataclass(frozen=True)
class Orbit:
    """One orbit of the Dirac game: its optimizer, its linearisation where there is one, and where it went."""

    scheme: str
    transform: str
    gamma: float
    outcome: str | None = None
    distance: float | None = None
    factor: float | None = None
    eigenvalue: tuple[float, float] | None = None
    radius: float | None = None
    refused: str | None = None


@dataclass(frozen=True)
class Recovery:
    """Estimates of one parameter over known truths.

    Attributes:
        bias, bias_error: mean of estimate minus truth, with its standard error.
        rmse: root mean square of the same.
        coverage: share of the truths that the intervals hold.
        coverage_interval: of that chance, 95% (Clopper and Pearson).
        width: mean width of the intervals.
    """

    bias: float
    bias_error: float
    rmse: float
    coverage: float
    coverage_interval: Interval
    width: float


@dataclass(frozen=True)
class EstimatorRow:
    """One method on all truths.

    Attributes:
        meaning: how it estimates, in one sentence.
        parameters: by name.
        seconds: for one observation, its intervals included.
        shared_seconds: spent once for any number of observations.
    """

    meaning: str
    parameters: Mapping[str, Recovery]
    seconds: float
    shared_seconds: float

    @property
    def coverage(self) -> float:
        """Mean of the parameters' coverages."""
        return sum(one.coverage for one in self.parameters.values()) / len(self.parameters)


@dataclass(frozen=True)
class StudyPlan:
    """What a planned study finds of one quantity.

    Attributes:
        unit: of all numbers but ``worth``.
        spread: standard deviation between independent fields.
        bias, bias_interval: of the generated fields' mean against held-out fields, with its 95% interval.
        worth: independent fields that generated ones are shown to be worth, at least, for this mean.
        real, generated: the smallest difference that is found, with real fields alone and with generated ones.
        bound: the same with endless perfect fields in the first group.
    """

    unit: str
    spread: float
    bias: float
    bias_interval: Interval
    worth: float
    real: float
    generated: float
    bound: float


def quotient(above: float, below: float) -> float:
    """Divide; NaN where the divisor is 0."""
    return above / below if below else math.nan
