"""What a comparison found, as typed and frozen records, and the one codec between them and ``comparison.json``.

A `Comparison` is a title, a verdict and an ordered tuple of *sections*. Each section is a record of one kind: tests,
distances, scores, refinement, cost, baselines and so on. Whoever makes a comparison chooses its sections; report,
plots and benchmarks read the sections that are there, by type, and never ask which task made them.

    >>> comparison.get(Distances).entries["spectrum"].ratio
    >>> for section in comparison.sections: ...

Every quotient (a ratio to a floor, a break-even) is a property here, so that it is computed in one place.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from experiments.errors import UserError
from experiments.files import write_json

FORMAT = 3
"""Version of ``comparison.json``; 1 was written before results had types."""

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
        return _quotient(self.value, self.floor)

    @property
    def ratio_interval(self) -> Interval | None:
        """The interval over the floor."""
        if self.interval is None:
            return None
        return _quotient(self.interval[0], self.floor), _quotient(self.interval[1], self.floor)


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
        timing: per sample; None where it failed.
        reaches: whether it is at least as good as the generator, as the section says; None where that was not asked,
            because it costs more than one that is.
        values: figures of merit by name, for the table (for example "auc", "median ratio").
        failed: the reason why there are no figures; None where there are.
        worse: the tests in which it is worse than the generator, as a list in words.
    """

    setting: Mapping[str, Plain]
    timing: Timing | None
    reaches: bool | None
    values: Mapping[str, float]
    failed: str | None = None
    worse: str = ""


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
    """

    criterion: str
    generator: Timing
    layer: Timing | None
    reference: SolverRow
    search: tuple[SolverRow, ...]
    data_seconds: float
    training_seconds: float

    @property
    def cheapest(self) -> SolverRow:
        """The cheapest setting that is as good as the generator; the reference where no cheaper one is."""
        good = [row for row in self.search if row.reaches and row.timing is not None]
        return min([*good, self.reference], key=lambda row: _seconds(row))

    @property
    def advantage(self) -> float:
        """Seconds of the cheapest solver over those of the generator; above 1 the generator is cheaper."""
        return _quotient(_seconds(self.cheapest), self.generator.seconds)

    @property
    def break_even(self) -> int | None:
        """Samples from which data, training and sampling cost no more than the solver; None: never."""
        gain = _seconds(self.cheapest) - self.generator.seconds
        samples = _quotient(self.data_seconds + self.training_seconds, gain)
        return max(1, math.ceil(samples)) if gain > 0 and math.isfinite(samples) else None


def _quotient(above: float, below: float) -> float:
    return above / below if below else math.nan


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
class Plan:
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
    plans: Mapping[str, Plan]

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
class Orbits:
    """The Dirac game under every update scheme."""

    objective: str
    rate: float
    updates: int
    rows: tuple[Orbit, ...]


@dataclass(frozen=True)
class Fields:
    """Samples beside reference samples, drawn from ``figures.npz``."""


@dataclass(frozen=True)
class Statistics:
    """Spectra, histograms and correlations with their bands, drawn from ``figures.npz``."""


@dataclass(frozen=True)
class Forecasts:
    """Ensembles beside what came true, drawn from ``figures.npz``."""


@dataclass(frozen=True)
class Modes:
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
    | Orbits
    | Fields
    | Statistics
    | Forecasts
    | Modes
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


KINDS: dict[str, type] = {
    kind.__name__.lower(): kind
    for kind in (
        Tests,
        Distances,
        Scores,
        Refinement,
        Cost,
        Worth,
        Planning,
        Baselines,
        Regions,
        Orbits,
        Fields,
        Statistics,
        Forecasts,
        Modes,
    )
}
"""The key of each kind of section in ``comparison.json``."""
_DERIVED: dict[type, tuple[str, ...]] = {
    Distance: ("ratio", "ratio_interval"),
    Score: ("inside",),
    Tests: ("distinguished",),
    Cost: ("advantage", "break_even"),
}
"""Properties that are written for whoever reads the file, and left out when it is read back."""


def write(comparison: Comparison, path: Path) -> None:
    """Write ``comparison.json``, atomically: the sections stand under the keys of `KINDS`, in their order."""
    write_json(path, to_plain(comparison))


def read(path: Path, remedy: str) -> Comparison:
    """Read what `write` wrote.

    Args:
        path: of the file.
        remedy: how to get a readable one, as the end of a sentence.

    Raises:
        UserError: the file is missing, is no JSON, is of another format, or lacks a part.
    """
    if not path.exists():
        raise UserError(f"{path.parent} has no {path.name} yet; {remedy}.")
    try:
        content = json.loads(path.read_text())
    except (ValueError, RecursionError):
        raise UserError(f"{path} is damaged; {remedy}.") from None
    return from_plain(content, str(path), remedy)


def to_plain(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison as nested plain values."""
    content = _converter().unstructure(comparison, Comparison)
    sections = content.pop("sections")
    own = {type(section).__name__.lower(): plain for section, plain in zip(comparison.sections, sections)}
    return {"format": FORMAT, **content, **own}


def from_plain(content: Any, source: str, remedy: str) -> Comparison:
    """Read what `to_plain` returned; ``source`` and ``remedy`` are for the error's sentence.

    Raises:
        UserError: as `read`.
    """
    if not isinstance(content, Mapping) or not all(isinstance(content.get(key, {}), Mapping) for key in KINDS):
        raise UserError(f"{source} is damaged; {remedy}.")
    if content.get("format") != FORMAT:
        raise UserError(
            f"{source} is of format {content.get('format', 1)!r}, which this version does not read; {remedy}."
        )
    import cattrs

    converter = _converter()
    rest = {key: value for key, value in content.items() if key not in KINDS and key != "format"}
    try:
        comparison = converter.structure({**rest, "sections": ()}, Comparison)
        sections = tuple(converter.structure(content[key], KINDS[key]) for key in content if key in KINDS)
    except (cattrs.BaseValidationError, TypeError, ValueError, KeyError, AttributeError, ArithmeticError):
        raise UserError(f"{source} is damaged; {remedy}.") from None
    return replace(comparison, sections=sections)


def _exactly(value: Any, kind: type) -> Any:
    """Take a value of this very type: neither ``"3"`` nor ``true`` is a number."""
    if type(value) is not kind:
        raise TypeError(f"expected {kind.__name__}, found {type(value).__name__}")
    return value


def _number(value: Any, _: type) -> float:
    """Take a number; a null stands for one that was not finite (`experiments.files.write_json`)."""
    if value is None:
        return math.nan
    if type(value) not in (int, float):
        raise TypeError(f"expected a number, found {type(value).__name__}")
    return float(value)


@cache
def _converter() -> Any:
    """Return the converter between records and plain values."""
    from cattrs import Converter
    from cattrs.gen import make_dict_unstructure_fn
    from cattrs.strategies import configure_union_passthrough

    converter = Converter()
    for scalar in (bool, int, str):
        converter.register_structure_hook(scalar, _exactly)
    converter.register_structure_hook(float, _number)
    configure_union_passthrough(Plain, converter)
    # A section is distinguished by the key it stands under; the union itself is never read.
    converter.register_unstructure_hook(Section, lambda one: converter.unstructure(one, type(one)))
    converter.register_structure_hook(Section, lambda value, _: value)

    def with_derived(kind: type, names: tuple[str, ...]) -> None:
        plain: Any = make_dict_unstructure_fn(kind, converter)
        converter.register_unstructure_hook(
            kind, lambda one: {**plain(one), **{name: converter.unstructure(getattr(one, name)) for name in names}}
        )

    for kind, names in _DERIVED.items():
        with_derived(kind, names)
    return converter
