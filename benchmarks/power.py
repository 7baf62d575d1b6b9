"""What the two-sample tests find, and how often they cry wolf: planted failures on three systems.

Every failure is planted into sets of fresh solver fields and tested as a generator's samples would be, by the battery
of `experiments.evaluation.two_sample` without its convolutional network. Solver sets that nothing was done to are
distinguished as often as the level says, which is simulated on 200 of them.

    python benchmarks/power.py [--systems kuramoto_sivashinsky decaying_flow energy_balance] [--sets 6] [--null 200]

Writes benchmarks/results/power.json after every set, so that a stopped run goes on where it was, and docs/power.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments import environment

environment.prepare()

import jax
import numpy as np

from experiments.evaluation.gaussian_fields import gaussian_fields
from experiments.evaluation.snapshot import FOLLOWED
from experiments.evaluation.snapshot_inputs import SnapshotSizes, path
from experiments.evaluation.two_sample.battery import Battery
from experiments.evaluation.two_sample.classifiers import auc
from experiments.evaluation.two_sample.relabelling import p_value
from experiments.files import write_json, write_text
from experiments.tasks.advance import refiner
from experiments.tasks.equation import equation
from experiments.wording import listed

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "power.json"
PAGE = ROOT / "docs" / "power.md"
SEED, OTHER_SEED = 9001, 9002
"""Of the fields, and of those with another parameter: seeds that no training uses."""
LEVEL, DRAWS = 0.05, 1000
NULL_TESTED = 512
"""Samples of each set that nothing was done to."""


@dataclass(frozen=True)
class Case:
    """One system with its distribution.

    Attributes:
        title: for the table.
        system: ``factor -> physics.System``: its parameter times this factor.
        parameter: what the factor multiplies.
        data: of the fields: solver times and step.
        tested: samples tested, beside as many for the classifiers.
        advance_time: solver time of the memorising failure; None where noise makes every advanced field a new one.
    """

    title: str
    system: Callable[[float], Any]
    parameter: str
    data: Mapping[str, Any]
    tested: int
    advance_time: float | None


def _kuramoto_sivashinsky(factor: float) -> Any:
    from physics import Grid, KuramotoSivashinsky

    return KuramotoSivashinsky(Grid((64,), (22.0 * factor,)))


def _decaying_flow(factor: float) -> Any:
    from physics import Grid, NavierStokes2D

    return NavierStokes2D(Grid((32, 32), (2 * np.pi, 2 * np.pi)), 0.02 * factor)


def _energy_balance(factor: float) -> Any:
    from physics import EnergyBalance

    return EnergyBalance(noise=1.0, feedback=2.0 * factor)


CASES = {
    "kuramoto_sivashinsky": Case(
        "Kuramoto-Sivashinsky, L = 22, 64 points",
        _kuramoto_sivashinsky,
        "length",
        {"spin_up": 200.0, "dt": 0.1},
        4096,
        4.0,
    ),
    "decaying_flow": Case(
        "decaying plane flow after 2 time units, viscosity 0.02, 32 x 32 points",
        _decaying_flow,
        "viscosity",
        {"spin_up": 2.0, "dt": 0.025},
        2048,
        0.25,
    ),
    "energy_balance": Case(
        "stochastic energy balance after 5 years, 32 bands",
        _energy_balance,
        "feedback",
        {"spin_up": 5.0, "dt": 0.0125},
        2048,
        None,
    ),
}

Fields = np.ndarray


@dataclass(frozen=True)
class Material:
    """What failures are made of.

    Attributes:
        fresh: solver fields of this set, from trajectories that nothing else uses.
        stored: training fields.
        other: solver fields with the parameter 1 % off, of this set.
        advance_time: ``(fields, multiple) -> fields`` advanced for that multiple of the case's solver time; None where
            noise makes every advanced field a new one.
        homogeneous: whether the distribution is the same everywhere.
        seed: of all random choices.
    """

    fresh: Fields
    stored: Fields
    other: Fields
    advance_time: Callable[[Fields, float], Fields] | None
    homogeneous: bool
    seed: int

    def mean(self) -> Fields:
        """The mean field; where the distribution is the same everywhere, one number per channel."""
        axes = tuple(range(self.stored.ndim - 1)) if self.homogeneous else 0
        return self.stored.mean(axis=axes)

    def gaussian(self) -> Fields:
        """As many Gaussian fields with the spectrum, or the covariance, of the training fields."""
        return gaussian_fields(self.stored, len(self.fresh), seed=self.seed, homogeneous=self.homogeneous)

    def rng(self) -> np.random.Generator:
        """A stream of its own."""
        return np.random.default_rng((self.seed, 51))

    def mixed(self, share: float, wrong: Fields) -> Fields:
        """Fresh fields of which a share is replaced."""
        chosen = self.rng().random(len(self.fresh)) < share
        return np.where(chosen.reshape(-1, *[1] * (self.fresh.ndim - 1)), wrong, self.fresh)


def _scaled(factor: float) -> Callable[[Material], Fields]:
    """Fields about their mean times a factor."""
    return lambda m: m.mean() + factor * (m.fresh - m.mean())


def _surrogates(share: float) -> Callable[[Material], Fields]:
    return lambda m: m.mixed(share, m.gaussian())


def _shuffled_phases(m: Material) -> Fields:
    """The amplitudes of every field with the phases of white noise; the mean stays."""
    axes = tuple(range(1, m.fresh.ndim - 1))
    hat = np.fft.rfftn(m.fresh - m.mean(), axes=axes)
    noise = np.fft.rfftn(m.rng().standard_normal(m.fresh.shape), axes=axes)
    return m.mean() + np.fft.irfftn(np.abs(hat) * noise / np.abs(noise), s=m.fresh.shape[1:-1], axes=axes)


def _blended(m: Material) -> Fields:
    return m.mean() + np.sqrt(0.99) * (m.fresh - m.mean()) + 0.1 * (m.gaussian() - m.mean())


def _flipped(m: Material) -> Fields:
    return 2 * m.mean() - m.fresh


def _with_short_waves(replace: Callable[[np.ndarray], Any]) -> Callable[[Material], Fields]:
    """Put something else in the place of the short waves: those beyond half of the resolved ones."""

    def fail(m: Material) -> Fields:
        axes = tuple(range(1, m.fresh.ndim - 1))
        hat = np.fft.rfftn(m.fresh, axes=axes)
        lines = [np.fft.fftfreq(n, 1 / n) for n in m.fresh.shape[1:-2]]
        size = np.sqrt(sum(np.square(k) for k in np.meshgrid(*lines, np.arange(hat.shape[-2]), indexing="ij")))
        power = (np.abs(hat) ** 2).mean(axis=0).sum(axis=-1)
        short = size > size[power > 1e-6 * power[size > 0].max()].max() / 2
        return np.fft.irfftn(np.where(short[..., None], replace(hat), hat), s=m.fresh.shape[1:-1], axes=axes)

    return fail


def _noisy(fields: Fields, share: float, m: Material) -> Fields:
    """Add Gaussian noise with the spectrum of the fields, so that it hides where they have energy."""
    return fields + share * (m.gaussian() - m.mean())


def _energies(fields: Fields) -> np.ndarray:
    return ((fields - fields.mean(axis=0)) ** 2).reshape(len(fields), -1).mean(axis=1)


def _kept(m: Material, keep: np.ndarray) -> Fields:
    """The fresh fields that are kept, in random order."""
    return m.fresh[keep][m.rng().permutation(int(keep.sum()))]


def _repeated(times: int) -> Callable[[Material], Fields]:
    def fail(m: Material) -> Fields:
        few = m.fresh[: len(m.fresh) // times]
        return np.concatenate([few] * times)[m.rng().permutation(times * len(few))]

    return fail


def _stale(m: Material) -> Fields:
    return m.mixed(0.1, m.fresh[m.rng().permutation(len(m.fresh))])


def _memorised(m: Material) -> Fields:
    return m.stored[m.rng().permutation(len(m.stored))[: len(m.fresh)]]


def _partly_memorised(m: Material) -> Fields:
    return m.mixed(0.1, _memorised(m))


def _memorised_and_advanced(multiple: float) -> Callable[[Material], Fields]:
    """Training fields advanced for a multiple of the case's own solver time."""

    def fail(m: Material) -> Fields:
        assert m.advance_time is not None
        return m.advance_time(_memorised(m), multiple)

    return fail


def _stitched(m: Material) -> Fields:
    half = m.fresh.shape[1] // 2
    return np.concatenate([m.fresh[:, :half], np.roll(m.fresh, 1, axis=0)[:, half:]], axis=1)


def _without_low_energy(m: Material) -> Fields:
    energy = _energies(m.fresh)
    return _kept(m, energy > np.quantile(energy, 0.05))


def _half_of_the_states(m: Material) -> Fields:
    energy = _energies(m.fresh)
    return _kept(m, energy > np.median(energy))


FAILURES: dict[str, Callable[[Material], Fields]] = {
    "amplitude 1 % too large": _scaled(1.01),
    "amplitude 3 % too large": _scaled(1.03),
    "parameter 1 % off": lambda m: m.other,
    "phases shuffled": _shuffled_phases,
    "Gaussian surrogates, 2 %": _surrogates(0.02),
    "Gaussian surrogates, 5 %": _surrogates(0.05),
    "Gaussian surrogates, 10 %": _surrogates(0.1),
    "Gaussian surrogates, all": _surrogates(1.0),
    "10 % Gaussian blended into every field": _blended,
    "sign flipped": _flipped,
    "upper half of the waves missing": _with_short_waves(np.zeros_like),
    "lower half of the energies missing": _half_of_the_states,
    "lowest 5 % of the energies missing": _without_low_energy,
    "every field twice": _repeated(2),
    "a quarter of the fields, four times": _repeated(4),
    "stale copies, 10 %": _stale,
    "training fields": _memorised,
    "training fields, 10 %": _partly_memorised,
    "training fields with 3 % noise": lambda m: _noisy(_memorised(m), 0.03, m),
    "training fields advanced": _memorised_and_advanced(1.0),
    "training fields advanced for a little less": _memorised_and_advanced(0.95),
    "training fields advanced half as long again": _memorised_and_advanced(1.5),
    "long waves of one field, short ones of another": _with_short_waves(lambda hat: np.roll(hat, 1, axis=0)),
    "halves stitched together": _stitched,
    "Gaussian noise of 3 %": lambda m: _noisy(m.fresh, 0.03, m),
}


class Bench:
    """One case with its solver fields, made once and kept in the cache."""

    def __init__(self, case: Case, sets: int) -> None:
        from physics import DatasetSpec, FixedSystem, Limits, generate

        self.case, self.sets = case, sets
        count = 2 * case.tested
        # The distributions are what is compared here, whatever their grid error.
        limits = Limits(step_error=1.0, grid_error=1.0, steady_share=1.0, defect=1.0, drift=1.0)

        def made(factor: float, seed: int, trajectories: tuple[int, int, int]) -> Any:
            system = case.system(factor)
            spec = DatasetSpec(
                f"{system.name} for the power of tests", trajectories, seed=seed, limits=limits, **case.data
            )
            return generate(FixedSystem(system), spec, progress=lambda done, total, what: None)

        self.system = case.system(1.0)
        data = made(1.0, SEED, (2 * count, 0, (sets + 1) * count))
        other = made(1.01, OTHER_SEED, (16, 0, sets * count))
        self.training = np.asarray(data.train[:, 0])
        # One set more than is tested: each has the next one for its reference.
        self.fresh = np.asarray(data.test[:, 0]).reshape(sets + 1, count, *self.system.field_shape)
        self.other = np.asarray(other.test[:, 0]).reshape(sets, *self.fresh.shape[1:])
        refine = refiner(self.system, case.data["dt"]) if case.advance_time is not None else None
        self.refine = refine
        known = equation(self.system, refine or (lambda fields, duration: fields))
        self.known = known
        self.features = known.features(self.training[:4096])

    def battery(self, training: Fields, reference: Fields, tested: int, draws: int, seed: int = 0) -> Battery:
        """The battery as a comparison sets it up."""
        sizes = SnapshotSizes(relabellings=draws, level=LEVEL, seed=seed)
        return sizes.battery(training, reference, self.known, tested, self.features)

    def material(self, number: int) -> Material:
        """What the failures of one set are made of."""
        advance_time, refine = self.case.advance_time, self.refine
        move = (
            None
            if refine is None or advance_time is None
            else lambda fields, times: refine(fields, times * advance_time)
        )
        fresh, other = self.fresh[number], self.other[number]
        return Material(fresh, self.training, other, move, self.known.homogeneous, number)

    def reference(self, number: int) -> Fields:
        """The fresh fields of the next set, so that every set has a reference of its own."""
        return self.fresh[number + 1]

    def bank(self, battery: Battery, stored: Fields) -> list[Any]:
        """Training fields along their paths, as a comparison follows them."""
        return [battery.prepare_bank(path(stored, self.known, self.case.advance_time or 0.0))]

    def amplitude_errors(self) -> float:
        """By how many standard errors an amplitude 1 % too large moves the mean energy: what its best test can see."""
        energy, tested = _energies(self.fresh[0]), self.case.tested
        return float(0.02 / (energy.std() / energy.mean() * np.sqrt(1 / tested + 1 / (2 * tested))))

    def applies(self, name: str) -> bool:
        """Whether a failure makes sense here."""
        if name.startswith("training fields advanced"):
            return self.case.advance_time is not None
        # Waves are those of a periodic grid.
        waves = ("phases shuffled", "upper half of the waves missing", "long waves of one field, short ones of another")
        return self.known.periodic or name not in waves


def measure(bench: Bench, rows: dict[str, Any], save: Callable[[], None]) -> None:
    """Test every failure in every set that is not tested yet."""
    for number in range(bench.sets):
        reference = bench.reference(number)
        battery = bench.battery(bench.training, reference, bench.case.tested, DRAWS, seed=number)
        bank = bench.bank(battery, bench.training[:FOLLOWED])
        for name in ("solver fields", *FAILURES):
            outcomes = rows.setdefault(name, {})
            if str(number) in outcomes or not bench.applies(name):
                continue
            material = bench.material(number)
            fields = material.fresh if name == "solver fields" else FAILURES[name](material)
            # A failure that leaves fields out has fewer; the tests then look at fewer of them.
            tested = len(fields) // 2
            smaller = battery
            if tested < bench.case.tested:
                smaller = bench.battery(bench.training, reference, tested, DRAWS, seed=number)
            outcome = smaller.outcome(np.asarray(fields[: 2 * tested], np.float32), bank=bank)
            outcomes[str(number)] = {
                "p": outcome.p_value,
                "auc": auc(outcome.ratings["classifier_features"]),
                "members": {member: p_value(one) for member, one in outcome.statistics.items()},
            }
            save()
            print(f"{bench.case.title}, set {number}: {name}: p = {outcome.p_value:.4f}", flush=True)


def false_alarms(bench: Bench, rows: dict[str, Any], count: int, save: Callable[[], None]) -> None:
    """Test solver sets against solver sets, each with a reference, classifiers and a bank of its own."""
    pool = bench.fresh.reshape(-1, *bench.system.field_shape)
    for number in range(count):
        if str(number) in rows:
            continue
        rng = np.random.default_rng((number, 53))
        chosen = pool[rng.permutation(len(pool))[: 4 * NULL_TESTED]]
        training = bench.training[rng.permutation(len(bench.training))]
        battery = bench.battery(training, chosen[: 2 * NULL_TESTED], NULL_TESTED, DRAWS, seed=number)
        rows[str(number)] = battery.outcome(chosen[2 * NULL_TESTED :], bank=bench.bank(battery, training[:256])).p_value
        if number % 20 == 19:
            save()
    save()
    outcomes = np.mean([p <= LEVEL for p in rows.values()])
    print(f"{bench.case.title}: {outcomes:.1%} of {len(rows)} solver sets are distinguished at {LEVEL:.0%}", flush=True)


def main() -> None:
    """Measure what is missing and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--systems", nargs="*", default=list(CASES), choices=list(CASES))
    parser.add_argument("--sets", type=int, default=6)
    parser.add_argument("--null", type=int, default=200, help="solver sets per system")
    arguments = parser.parse_args()
    study: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"cases": {}}
    study |= {
        "machine": {"cores": os.cpu_count(), "platform": f"{platform.system()} {platform.machine()}"},
        "versions": {"jax": jax.__version__, "python": platform.python_version()},
        "level": LEVEL,
    }

    def save() -> None:
        write_json(RESULTS, study)

    for name in arguments.systems:
        bench = Bench(CASES[name], arguments.sets)
        case = study["cases"].setdefault(name, {"failures": {}, "null": {}})
        case |= {"title": CASES[name].title, "tested": CASES[name].tested, "parameter": CASES[name].parameter}
        case |= {"amplitude_errors": bench.amplitude_errors()}
        measure(bench, case["failures"], save)
        false_alarms(bench, case["null"], arguments.null, save)
    write_text(PAGE, page(study))


def page(study: Mapping[str, Any]) -> str:
    """The table of the page."""
    cases = study["cases"]
    sets = max(len(rows) for case in cases.values() for rows in case["failures"].values())
    lines = [
        "# What the tests find",
        "",
        "This page shows how often the two-sample tests of a report find a known failure. It is for readers who want "
        "to know what a result of *not distinguished* is worth.",
        "",
        "A failure is planted into a set of fresh solver fields. The set is then tested as the samples of a generator "
        "would be (`experiments.evaluation.two_sample`, without the convolutional network, "
        f"{DRAWS} relabellings). Written by `python benchmarks/power.py`.",
        "",
        "## Systems",
        "",
        "| system | fields | samples tested | solver fields | parameter that is 1 % off |",
        "|---|---|---|---|---|",
    ]
    for name, case in cases.items():
        lines.append(f"| `{name}` | {case['title']} | {case['tested']} | {2 * case['tested']} | {case['parameter']} |")
    lines += [
        "",
        "As many samples as are tested also train the classifiers.",
        "",
        "## False alarms",
        "",
        f"Sets of {NULL_TESTED} solver fields, into which nothing was planted, were tested against {2 * NULL_TESTED} "
        f"other solver fields. A test at the level of {study['level']:.0%} should distinguish {study['level']:.0%} of "
        "them.",
        "",
    ]
    for name, case in cases.items():
        null = [p <= study["level"] for p in case["null"].values()]
        alarms = f"{np.mean(null):.1%} of {len(null)} sets were distinguished" if null else "not measured"
        lines.append(f"- `{name}`: {alarms}.")
    lines += [
        "",
        "## Planted failures",
        "",
        "Each entry says in how many sets the joint test finds the failure at the "
        f"{study['level']:.0%} level. The number in brackets is the median area under the ROC curve (AUC) of gradient "
        "boosting on physical features; 0.5 is chance. The joint test has other members too, so that it can find a "
        "failure at an AUC of 0.5. "
        f"{sets} sets are few: {sets} of {sets} is compatible with a power of {0.025 ** (1 / sets):.0%} to 100% (95% "
        "interval).",
    ]
    lines += ["", "| planted failure | " + " | ".join(cases) + " |", "|---" * (len(cases) + 1) + "|"]
    for failure in ("solver fields", *FAILURES):
        cells = []
        for case in cases.values():
            rows = list(case["failures"].get(failure, {}).values())
            outcomes = sum(row["p"] <= study["level"] for row in rows)
            cells.append(f"{outcomes} of {len(rows)} ({np.median([r['auc'] for r in rows]):.3f})" if rows else "–")
        what = "none: fresh solver fields" if failure == "solver fields" else failure
        lines.append(f"| {what} | " + " | ".join(cells) + " |")
    lines += [
        "",
        "Remarks:",
        "",
        "- No test with as many samples can reliably find a failure that changes a quantity by only one or two of its "
        "standard errors. An amplitude that is 1 % too large changes the mean energy of these samples by "
        + listed([f"{case['amplitude_errors']:.1f} standard errors (`{name}`)" for name, case in cases.items()])
        + ".",
        "- Nearly all of the variance of `energy_balance` lies in one pattern, so that each of its fields contains "
        "little information.",
        "- `decaying_flow` starts from Gaussian fields and is still close to them. A small Gaussian part of every "
        "field is therefore hard to find.",
        "- *Gaussian surrogates* are Gaussian fields with the spectrum (or covariance) of the training fields. The "
        "percentage is the share of the fields that they replace.",
        "- *Stale copies* replace 10 % of the fields by other fields of the same set.",
        "- *Training fields advanced* are training fields that the solver has advanced. An empty cell (–) means that "
        "the failure does not apply to the system.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
