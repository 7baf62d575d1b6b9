"""Whether a generator is worth its training, as far as costs tell before there is one: the records and the verdict.

The rule is that of docs/where_it_pays.md: a generator gains where an independent field of the solver is dear, an
evaluation of the network cheap, the distribution thin, and many fields are needed. Of these, costs and thickness are
measured by a pilot. How good the samples will be is not known.

>>> advice.verdict
'A generator may pay from about 4.1e+07 fields on: ...'
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from experiments.errors import UserError
from experiments.evaluation.entries import Timing, quotient
from experiments.files import write_json
from experiments.wording import duration

FORMAT = 1
"""Version of the file."""
CAVEAT = (
    "This compares costs alone: how good the samples are is not known before the training. In the studies so far "
    "(docs/where_it_pays.md), samples of few numbers that the solver completes come nearest to the solver's fields, "
    "whole fields by convolutional networks stay easier to tell from them, and a test on many samples still finds the "
    "generated ones in either case."
)
"""What every advice ends with."""

Kind = Literal["may pay", "does not pay", "cannot pay"]
Correlation = Literal["none", "little", "some"]
ENOUGH = 0.5
"""Share of the decorrelation time that two fields of one trajectory are apart at least for their correlation to count
as little. In the published comparisons of Kuramoto-Sivashinsky fields (benchmarks/results), where 8192 fields came from
128 trajectories, all 3 settings with such a stride that were judged did as well as the generator, and 6 of 21 with a
stride of an eighth, one at least at every seed."""


@dataclass(frozen=True)
class SolverPrice:
    """What one field costs, made by the solver in one way.

    Attributes:
        way: how it is made, in words.
        seconds: per field, in a batch.
        correlation: of the fields with one another: "none" (a decorrelation time or a spin-up apart), "little" (at
            least the share `ENOUGH` of it) or "some".
        measured: whether such fields were made and timed, and not only their steps counted.
    """

    way: str
    seconds: float
    correlation: Correlation
    measured: bool


@dataclass(frozen=True)
class GeneratorPrice:
    """What one sample of the preset's generator costs, in a batch.

    Attributes:
        sample: per sample, the solver layer included.
        network: per sample, without the solver layer.
        evaluations: of the network for one sample.
    """

    sample: Timing
    network: Timing
    evaluations: int


@dataclass(frozen=True)
class Once:
    """What is spent once, before the first sample.

    Attributes:
        data_seconds: solver steps of the training data, at the measured time of a step; certificate and pilot come on
            top.
        updates: of the training.
        update_seconds: of one update, the median of a few; validation and diagnoses come on top.
    """

    data_seconds: float
    updates: int
    update_seconds: float

    @property
    def training_seconds(self) -> float:
        """Seconds of all updates."""
        return self.updates * self.update_seconds

    @property
    def seconds(self) -> float:
        """Data and training."""
        return self.data_seconds + self.training_seconds


@dataclass(frozen=True)
class Thickness:
    """How many numbers say a field.

    Attributes:
        fields: of the pilot, on which the counts rest.
        numbers: that a field has.
        variance_99, variance_999: principal numbers that hold 99% and 99.9% of the variance.
        few: whether the pilot has too few fields for these counts, which are then lower bounds.
        parts: what fields are cut to: "waves" or "principal components".
        share: distance to the whole field, of its standard deviation, that the counts below allow.
        tau: solver time in which the solver makes the rest.
        without_solver, with_solver: numbers within that distance before and after the solver; None where no cut comes
            so near.
        skipped: why the two were not counted, in a sentence; "" where they were.
    """

    fields: int
    numbers: int
    variance_99: int
    variance_999: int
    few: bool
    parts: str
    share: float
    tau: float
    without_solver: int | None
    with_solver: int | None
    skipped: str = ""


@dataclass(frozen=True)
class SolverTimes:
    """The solver's times, in units of the system's time, and the seconds of a step.

    Attributes:
        dt: its step.
        step_seconds: of one step of one field, in a batch as the data are made.
        width: fields of that batch.
        spin_up: from an initial field to an independent one.
        stride: along a trajectory, from a field to the next independent one; None where trajectories do not forget.
        source: where spin-up and stride are from, in words.
    """

    dt: float
    step_seconds: float
    width: int
    spin_up: float
    stride: float | None
    source: str


@dataclass(frozen=True)
class Advice:
    """What a pilot says of a generator before it is trained.

    Attributes:
        experiment, preset: what was asked about.
        times: of the solver.
        solvers: ways of making fields, each with its price.
        generator: price of a sample.
        once: spent before the first sample.
        thickness: of the distribution.
        stored: training fields that are made in any case, and can be used as they are.
        fields: needed by the user; None where not said.
        device: on which all was timed.
        seconds: the pilot took.
    """

    experiment: str
    preset: str
    times: SolverTimes
    solvers: tuple[SolverPrice, ...]
    generator: GeneratorPrice
    once: Once
    thickness: Thickness
    stored: int
    fields: int | None
    device: str
    seconds: float

    @property
    def independent(self) -> SolverPrice:
        """The cheapest way to independent fields, by the solver that makes the data."""
        return min((one for one in self.solvers if one.correlation == "none"), key=_seconds)

    @property
    def rival(self) -> SolverPrice:
        """The cheapest way to fields of little correlation or none, by any solver that the comparison tries."""
        return min((one for one in self.solvers if one.correlation != "some"), key=_seconds)

    @property
    def closer(self) -> SolverPrice | None:
        """The cheapest way of all, where that makes correlated fields; None elsewhere."""
        cheapest = min(self.solvers, key=_seconds)
        return cheapest if cheapest.correlation == "some" else None

    def pays_from(self, rival: SolverPrice) -> int | None:
        """Fields from which data, training and sampling cost no more than so many by the solver; None: never."""
        gain = rival.seconds - self.generator.sample.seconds
        count = quotient(self.once.seconds, gain)
        return max(1, math.ceil(count)) if gain > 0 and math.isfinite(count) else None

    @property
    def kind(self) -> Kind:
        """The verdict in two words."""
        if self.pays_from(self.independent) is None:
            return "cannot pay"
        least = self.pays_from(self.rival)
        return "does not pay" if least is None or (self.fields is not None and self.fields < least) else "may pay"

    @property
    def verdict(self) -> str:
        """The verdict in a sentence, and in a second one what could overturn it."""
        sample = f"a sample costs {duration(self.generator.sample.seconds)}"
        least, surely = self.pays_from(self.rival), self.pays_from(self.independent)
        if surely is None:
            return (
                f"A generator cannot pay, because {sample}, and an independent field of the solver "
                f"({self.independent.way}) costs {duration(self.independent.seconds)}."
            )
        apart = "an independent field" if self.rival.correlation == "none" else "a hardly correlated field"
        rival = f"{apart} of the cheapest solver ({self.rival.way}) costs {duration(self.rival.seconds)}"
        if least is None:
            return (
                f"A generator does not pay unless the cheapest solver is not good enough for you: {sample}, and "
                f"{rival}. Against independent fields of the data's own solver, {duration(self.independent.seconds)} "
                f"each, it may pay from about {surely:.2g} fields on."
            )
        if self.fields is not None and self.fields < least:
            stored = f"; the {self.stored} training fields serve as they are" if self.fields <= self.stored else ""
            return (
                f"A generator does not pay for {self.fields} fields unless you need more than about {least:.2g}: "
                f"{sample}, {rival}, and data and training cost {duration(self.once.seconds)}{stored}."
            )
        ratio = self.rival.seconds / self.generator.sample.seconds
        found = (
            f"A generator may pay from about {least:.2g} fields on: {sample}, and {rival}, {ratio:.2g} times as much."
        )
        if self.closer is not None and self.pays_from(self.closer) is None:
            found += (
                f" It does not pay if correlated fields do for you ({self.closer.way}), which cost "
                f"{duration(self.closer.seconds)}; in the published comparisons some did at every seed."
            )
        return found


def _seconds(price: SolverPrice) -> float:
    return price.seconds


def write(advice: Advice, path: Path) -> None:
    """Write an advice as JSON, atomically, with its verdict."""
    said = {"kind": advice.kind, "verdict": advice.verdict, "caveat": CAVEAT}
    derived = {
        "pays_from": {
            "rival": advice.pays_from(advice.rival),
            "independent": advice.pays_from(advice.independent),
        }
    }
    write_json(path, {"format": FORMAT, **asdict(advice), **derived, **said})


def read(path: Path) -> Advice:
    """Read what `write` wrote.

    Raises:
        UserError: the file is no advice of this version.
    """
    import cattrs

    remedy = "`python -m experiments advise NAME --json FILE` makes one"
    try:
        content = json.loads(path.read_text())
        if content["format"] != FORMAT:
            raise UserError(f"{path} is of format {content['format']!r}, which this version does not read; {remedy}.")
        return cattrs.Converter().structure(content, Advice)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; {remedy}.") from None
    except (cattrs.BaseValidationError, TypeError, ValueError, KeyError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path} is no advice; {remedy}.") from None
