"""Whether a generator of a posterior is worth its training, as far as costs tell: the records and the verdict.

A generator takes a few evaluations of its network and one solver call for a member of the posterior. A sampler takes as
many solver calls as the posterior is difficult: four where it is nearly Gaussian, hundreds where it has several modes.
A pilot measures both on a few cases.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from experiments.evaluation.advice import FORMAT, GeneratorPrice, Once
from experiments.evaluation.entries import Plain, quotient
from experiments.files import write_json
from experiments.wording import duration

GOOD = 0.05
"""Relative excess of the expected CRPS over the reference's up to which a sampler counts as good."""
AGREEING = 1.05
"""Potential scale reduction of the pilot's two reference runs up to which they serve as a reference."""
CAVEAT = (
    "This compares costs alone: how good the generator's samples are is not known before the training. In the sealed "
    "runs so far (docs/where_it_pays.md) generators by flow matching came within 8% of the CRPS of long tempered runs, "
    "and tests still found a difference where the posterior has several modes."
)
"""What every advice on a posterior ends with."""

Kind = Literal["may pay", "does not pay", "cannot say"]


@dataclass(frozen=True)
class SamplerPrice:
    """What one member costs by a sampler that needs no training, and how good its ensembles are.

    Attributes:
        setting: of the sampler and its solver.
        seconds: for a member.
        calls: of the solver for a member.
        excess: of the expected CRPS over that of the reference, as a share of it.
    """

    setting: Mapping[str, Plain]
    seconds: float
    calls: float
    excess: float

    @property
    def good(self) -> bool:
        """Whether its ensembles are as good as the reference's."""
        return self.excess <= GOOD

    @property
    def way(self) -> str:
        """The setting in words."""
        return ", ".join(f"{name} {value}" for name, value in self.setting.items())


@dataclass(frozen=True)
class PosteriorAdvice:
    """What a pilot says of a posterior's generator before it is trained.

    Attributes:
        experiment, preset: what was asked about.
        unknowns: count of them.
        cases, members: of the pilot.
        call_seconds: of one solver call, in a batch.
        agreement: largest potential scale reduction of the reference's two runs over the cases.
        samplers: that were tried.
        generator: price of a sample, its trajectory included.
        once: spent before the first sample.
        fields: samples that are needed; None where not said.
        device: on which all was timed.
        seconds: the pilot took.
    """

    experiment: str
    preset: str
    unknowns: int
    cases: int
    members: int
    call_seconds: float
    agreement: float
    samplers: tuple[SamplerPrice, ...]
    generator: GeneratorPrice
    once: Once
    fields: int | None
    device: str
    seconds: float

    @property
    def rival(self) -> SamplerPrice | None:
        """The cheapest sampler that is as good as the reference; None where none was."""
        return min((one for one in self.samplers if one.good), key=lambda one: one.seconds, default=None)

    @property
    def referenced(self) -> bool:
        """Whether the reference's two runs agree."""
        return self.agreement <= AGREEING

    @property
    def pays_from(self) -> int | None:
        """Samples from which data, training and sampling cost no more than so many by the rival; None: never."""
        if self.rival is None:
            return None
        gain = self.rival.seconds - self.generator.sample.seconds
        count = quotient(self.once.seconds, gain)
        return max(1, math.ceil(count)) if gain > 0 and math.isfinite(count) else None

    @property
    def kind(self) -> Kind:
        """The verdict in two words."""
        if not self.referenced or self.rival is None:
            return "cannot say"
        least = self.pays_from
        return "does not pay" if least is None or (self.fields is not None and self.fields < least) else "may pay"

    @property
    def verdict(self) -> str:
        """The verdict in a sentence."""
        sample = f"a sample costs {duration(self.generator.sample.seconds)}"
        if not self.referenced:
            return (
                "Nothing can be said: two tempered runs do not agree (potential scale reduction "
                f"{self.agreement:.3g}), so that no sampler is known to be good. "
                f"{sample.capitalize()}, and a solver call {duration(self.call_seconds)}."
            )
        if self.rival is None:
            return (
                f"Nothing can be said: none of the {len(self.samplers)} samplers tried comes within {100 * GOOD:g}% of "
                f"the reference's CRPS. {sample.capitalize()}, and a solver call {duration(self.call_seconds)}."
            )
        rival = (
            f"a member by the cheapest sampler that is as good ({self.rival.way}) costs "
            f"{duration(self.rival.seconds)}, {self.rival.calls:.3g} solver calls"
        )
        least = self.pays_from
        if least is None:
            return f"A generator does not pay: {sample}, and {rival}."
        ratio = self.rival.seconds / self.generator.sample.seconds
        if self.fields is not None and self.fields < least:
            return (
                f"A generator does not pay for {self.fields} samples unless you need more than about {least:.2g}: "
                f"{sample}, {rival}, and data and training cost {duration(self.once.seconds)}."
            )
        return (
            f"A generator may pay from about {least:.2g} samples on: {sample}, and {rival}, {ratio:.2g} times as much."
        )


def write(advice: PosteriorAdvice, path: Path) -> None:
    """Write an advice as JSON, atomically, with its verdict."""
    said = {"pays_from": advice.pays_from, "kind": advice.kind, "verdict": advice.verdict, "caveat": CAVEAT}
    write_json(path, {"format": FORMAT, **asdict(advice), **said})
