"""What a comparison found, as typed and frozen records.

A `Comparison` is a title, a verdict and an ordered tuple of *sections*. Each section is a record of one kind: tests,
distances, scores, refinement, cost, baselines and so on. Whoever makes a comparison chooses its sections; report,
plots and benchmarks read the sections that are there, by type, and never ask which task made them.
`experiments.evaluation.entries` has the records of which a section consists, and
`experiments.evaluation.results_file` reads and writes ``comparison.json``.

    >>> comparison.get(Distances).entries["spectrum"].ratio
    >>> for section in comparison.sections: ...

Every quotient (a ratio to a floor, a break-even) is a property here, so that it is computed in one place.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from experiments.evaluation.entries import (
    BaselineRow,
    Bound,
    Curve,
    Distance,
    EstimatorRow,
    Interval,
    Orbit,
    Score,
    SolverRow,
    StudyPlan,
    Test,
    Timing,
    TruthRow,
    quotient,
)


@dataclass(frozen=True)
class Tests:
    """Two-sample tests of the samples against held-out reference samples, and the one joint test over all of them.

    Attributes:
        reference: what the samples are tested against, for example "held-out solver fields".
        p_value: of the joint test (largest standardised statistic, ranked among relabelled sets).
        level: at which ``distinguished`` is decided.
        draws: relabellings.
        samples, references: independent units on each side.
        strongest: name of the member whose standardised statistic is largest.
        entries: the members by name.
        bounds: what the test would have missed.
    """

    __test__ = False

    reference: str
    p_value: float
    level: float
    draws: int
    samples: int
    references: int
    strongest: str
    entries: Mapping[str, Test]
    bounds: tuple[Bound, ...] = ()

    @property
    def distinguished(self) -> bool:
        """Whether the joint test distinguishes the samples from the reference."""
        return self.p_value <= self.level


@dataclass(frozen=True)
class Distances:
    """Distances with their floors.

    Attributes:
        between: the two sets of a distance, in words.
        against: the sets that make floor and null band, in words.
        reference: what a set inside the band cannot be distinguished from, in words.
        draws: of the null.
        level: of Holm's test.
        entries: by name.
    """

    between: str
    against: str
    reference: str
    draws: int
    level: float
    entries: Mapping[str, Distance]


@dataclass(frozen=True)
class Scores:
    """Scores with targets; ``reference`` names, in words, whose values make the bands."""

    reference: str
    entries: Mapping[str, Score]


@dataclass(frozen=True)
class Refinement:
    """Starts advanced by the solver: every figure against solver time.

    Attributes:
        level: of the joint test.
        curves: by start; "generator" among them.
        null: by distance, the ratio at which the null band of a single time ends.
        auc_null: band of the classifier's area between two sets of reference samples.
    """

    level: float
    curves: Mapping[str, Curve]
    null: Mapping[str, float]
    auc_null: Interval | None = None

    def saved(self, other: str) -> float | None:
        """Solver time that the generator saves against another start; None where either never enters."""
        own, theirs = (self.curves[name].enters if name in self.curves else None for name in ("generator", other))
        return None if own is None or theirs is None else theirs - own


@dataclass(frozen=True)
class Cost:
    """What a sample costs, against the strongest solver.

    Attributes:
        criterion: when a setting counts as good as the generator, in one sentence.
        generator: per sample, the solver layer included.
        layer: of which the solver layer; None where there is none.
        reference: of an independent sample by the solver that made the data.
        search: every setting that was tried, failed ones too.
        data_seconds, training_seconds: spent once.
        values: the generator's figures of merit over the samples of the search, named as in its rows.
    """

    criterion: str
    generator: Timing
    layer: Timing | None
    reference: SolverRow
    search: tuple[SolverRow, ...]
    data_seconds: float
    training_seconds: float
    values: Mapping[str, float] = field(default_factory=dict)

    def cheapest_by(self, score: str) -> SolverRow | None:
        """The cheapest judged setting whose score exceeds the generator's by 5% at most; none where none does."""
        return cheapest_by(score, self.values.get(score, math.nan), self.search)

    @property
    def cheapest(self) -> SolverRow:
        """The cheapest setting that is as good as the generator; the reference where no cheaper one is.

        A reference that draws from a posterior by a sampler may itself not be as good: see `matched`.
        """
        return min([*self._good(), self.reference], key=lambda row: _seconds(row))

    @property
    def matched(self) -> bool:
        """Whether `cheapest` is as good as the generator: otherwise nothing that was tried is."""
        return self.cheapest.reaches is True

    @property
    def tied(self) -> bool:
        """Whether the time of a sample, by the generator or by the cheapest solver, is among the other's repeats.

        Times that differ by more than `ALIKE` are no tie, however much the repeats scatter.
        """
        theirs, own = self.cheapest.timing, self.generator
        if theirs is None or not 1 / ALIKE < self.advantage < ALIKE:
            return False
        return own.low <= theirs.seconds <= own.high or theirs.low <= own.seconds <= theirs.high

    def _good(self) -> list[SolverRow]:
        return [row for row in self.search if row.reaches and row.timing is not None]

    @property
    def rivals(self) -> tuple[SolverRow, ...]:
        """Settings against which the generator has to pay: those as good, and the cheapest with its CRPS."""
        by_score = self.cheapest_by("crps")
        found = [
            *self._good(),
            *([self.reference] if self.reference.reaches else []),
            *([by_score] if by_score else []),
        ]
        return tuple(found)

    @property
    def advantage(self) -> float:
        """Seconds of the cheapest solver over those of the generator, for a sample among many; above 1 the generator is
        cheaper."""
        return quotient(_seconds(self.cheapest), self.generator.seconds)

    @property
    def break_even(self) -> int | None:
        """Samples from which data, training and sampling cost no more than any of the `rivals`; None: never, or none.

        A reference that is not as good is no rival: that it costs more says nothing.
        """
        found = [self._even(row) for row in self.rivals]
        return None if None in found or not found else max(one for one in found if one is not None)

    def _even(self, row: SolverRow) -> int | None:
        """Samples from which the generator costs no more than one solver."""
        gain = _seconds(row) - self.generator.seconds
        samples = quotient(self.data_seconds + self.training_seconds - row.start_seconds, gain)
        return max(1, math.ceil(samples)) if gain > 0 and math.isfinite(samples) else None


NEAR = 1.05
"""Scores that differ by less count as the same."""
ALIKE = 1.25
"""Times that differ by a larger factor are not alike."""


def cheapest_by(score: str, own: float, rows: Iterable[SolverRow]) -> SolverRow | None:
    """Return the cheapest judged row whose score is at most `NEAR` times ``own``; none where none is."""
    good = [row for row in rows if row.timing and row.values.get(score, math.inf) <= NEAR * own]
    return min(good, key=_seconds, default=None)


def _seconds(row: SolverRow) -> float:
    return math.inf if row.timing is None else row.timing.seconds


@dataclass(frozen=True)
class Worth:
    """What the generator is worth in solver fields (Butter et al. 2021): the error of a description of the
    distribution.

    Attributes:
        distance: what is measured, in one sentence.
        unit: of the distance.
        count: numbers of independent solver fields.
        value: the error that so many of them leave.
        generator: the error that the generator's samples leave however many are drawn; 0 where none was found.
        generated: samples that were looked at.
        trained_on: independent trajectories that the generator was trained on.
        equals: number of solver fields with the generator's error; None where none was found.
        interval: of that number, 95%; an end is None where it is beyond what the samples at hand can show.
        fields: what the fields are called that it is worth, "solver fields" or "fields of the data".
    """

    distance: str
    unit: str
    count: tuple[int, ...]
    value: tuple[float, ...]
    generator: float
    generated: int
    trained_on: int
    equals: float | None
    interval: tuple[float | None, float | None] = (None, None)
    fields: str = "solver fields"

    @property
    def adds(self) -> bool | None:
        """Whether the generator is worth more than it was trained on; None where the interval does not decide."""
        low, high = self.interval
        if low is not None and low > self.trained_on:
            return True
        return False if high is not None and high < self.trained_on else None


@dataclass(frozen=True)
class Planning:
    """From which difference of a mean on a second group is distinguished from the first.

    Attributes:
        level, power: of the two-sided test.
        trained_on: independent fields of the first group.
        planned: of the second.
        plans: by quantity.
    """

    level: float
    power: float
    trained_on: int
    planned: int
    plans: Mapping[str, StudyPlan]

    @property
    def helped(self) -> tuple[str, ...]:
        """Quantities for which generated fields make a smaller difference visible."""
        return tuple(name for name, plan in self.plans.items() if plan.worth > self.trained_on)


@dataclass(frozen=True)
class Baselines:
    """Rows beside the generator's own, which is ``generator``."""

    meaning: str
    generator: BaselineRow
    rows: Mapping[str, BaselineRow]


@dataclass(frozen=True)
class Region:
    """The same measures in another range of a parameter."""

    distances: Distances
    scores: Scores


@dataclass(frozen=True)
class Regions:
    """Ranges outside that of the training; ``within`` names the range that all other sections are about."""

    within: str
    regions: Mapping[str, Region]


@dataclass(frozen=True)
class ImportanceWeights:
    """Samples as proposals: how much of them is left when they are weighted to the posterior.

    Attributes:
        draws: samples for each case.
        effective: effective sample size over ``draws``, one for each case.
        folded: share of the samples at which the generator turns space inside out, where its density is not known.
    """

    draws: int
    effective: tuple[float, ...]
    folded: float


@dataclass(frozen=True)
class AgainstTruth:
    """Ensembles judged by proper scores against the truth, where no reference sampler agrees with itself.

    A proper score has its best expectation for the posterior itself, whatever that is (Gneiting and Raftery 2007). It
    ranks ensembles without a reference, but does not say how far the best one is from the posterior.

    Attributes:
        why: there is no reference, in one sentence.
        cases, members: that were scored.
        scores: definition and unit of every score by name.
        generator: the generator's row.
        rows: the others, by name.
    """

    why: str
    cases: int
    members: int
    scores: Mapping[str, tuple[str, str]]
    generator: TruthRow
    rows: Mapping[str, TruthRow]

    @property
    def behind(self) -> tuple[str, ...]:
        """Rows whose CRPS is larger than the generator's, by an interval that does not reach 0."""
        return tuple(name for name, row in self.rows.items() if row.beyond is not None and row.beyond[0] > 0)

    @property
    def ahead(self) -> tuple[str, ...]:
        """Rows whose CRPS is smaller than the generator's, by an interval that does not reach 0."""
        return tuple(name for name, row in self.rows.items() if row.beyond is not None and row.beyond[1] < 0)


@dataclass(frozen=True)
class Orbits:
    """The Dirac game under every update scheme."""

    objective: str
    rate: float
    updates: int
    rows: tuple[Orbit, ...]


@dataclass(frozen=True)
class Recoveries:
    """Parameters of a simulator, estimated from observations of known truths.

    Attributes:
        model: that was simulated.
        truths: observations, one of each truth.
        regions: independent parts of each observation.
        level: of the intervals.
        ranges: within which the truths are uniform, by parameter.
        rows: the methods by name; ``game`` is the one whose generator is the simulator.
    """

    model: str
    truths: int
    regions: int
    level: float
    ranges: Mapping[str, Interval]
    rows: Mapping[str, EstimatorRow]


@dataclass(frozen=True)
class FieldPictures:
    """Samples beside reference samples, drawn from ``figures.npz``."""


@dataclass(frozen=True)
class Statistics:
    """Spectra, histograms and correlations with their bands, drawn from ``figures.npz``."""


@dataclass(frozen=True)
class Forecasts:
    """Ensembles beside what came true, drawn from ``figures.npz``."""


@dataclass(frozen=True)
class ModeShares:
    """Modes of a distribution and their shares, drawn from ``figures.npz``; found in the training's course too."""

    distribution: str
    modes: int
    counted: int


Section = (
    Tests
    | Distances
    | Scores
    | Refinement
    | Cost
    | Worth
    | Planning
    | Baselines
    | Regions
    | ImportanceWeights
    | AgainstTruth
    | Orbits
    | Recoveries
    | FieldPictures
    | Statistics
    | Forecasts
    | ModeShares
)
S = TypeVar("S")


@dataclass(frozen=True)
class Comparison:
    """Samples held against a reference.

    Attributes:
        title: of the report; empty for the experiment's own.
        verdict: the outcome in a few sentences.
        n: samples in each set of a distance; 0 for a study without samples.
        sections: in the order of the report.
        step: generator updates of the checkpoint.
        data_seed: of the held-out data.
        sealed: whether the held-out data are of a seed that nothing else has used (``compare RUN --fresh SEED``).
        channels: of a sample.
        units: by channel or coordinate.
        reference: what the samples stand beside in pictures.
    """

    title: str
    verdict: str
    n: int
    sections: tuple[Section, ...]
    step: int = 0
    data_seed: int = 0
    sealed: bool = False
    channels: tuple[str, ...] = ()
    units: Mapping[str, str] = field(default_factory=dict)
    reference: str = "solver"

    def get(self, kind: type[S]) -> S | None:
        """Return the section of a kind, or None where the comparison has none."""
        return next((one for one in self.sections if isinstance(one, kind)), None)

    def need(self, kind: type[S]) -> S:
        """Return the section of a kind.

        Raises:
            LookupError: the comparison has none.
        """
        if (found := self.get(kind)) is None:
            raise LookupError(f"this comparison has no section {kind.__name__}")
        return found
