"""Ensembles against the truth alone, for posteriors whose reference sampler does not agree with itself.

CRPS and energy score are proper: in expectation over truths and observations none is better than the posterior's own
(Gneiting and Raftery 2007, J. Am. Stat. Assoc. 102, 359). Ranks that are uniform over cases drawn from the prior are
what simulation-based calibration asks for (Talts et al. 2018, arXiv:1804.06788). All values are divided by the standard
deviation of the truths, channel by channel and time by time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import jax
import numpy as np
from jaxtyping import Float

from experiments.evaluation.cost import in_turn
from experiments.evaluation.ensemble_statistics import (
    calibration,
    calibration_parts,
    fair_score,
    pairwise_distances,
)
from experiments.evaluation.entries import Timing, TruthRow
from experiments.evaluation.intervals import over_cases
from experiments.evaluation.results import AgainstTruth
from experiments.reporting import Report

STANDARD = "standard deviations"
SCORES = {
    "crps": ("fair continuous ranked probability score, a mean over points, times and cases", STANDARD),
    "energy_score": ("fair energy score of whole trajectories over the root of their number of values", STANDARD),
    "error": ("root mean square of ensemble mean minus truth", STANDARD),
    "spread_skill": ("root of mean ensemble variance over mean squared error of the ensemble mean; 1 is reliable", ""),
    "coverage_90": ("share of true values within the central 90% interval of the members", ""),
    "rank_flatness": (
        "chi-square per degree of freedom of the ranks of the truth, 1 for independent ones",
        "",
    ),
}
LOG_SPECTRAL = "log_spectral_distance"
FLOOR = 1e-8
"""Share of the whole true energy that no wave is taken to fall short of; below it single precision has noise alone."""
SPECTRAL = (
    "root mean square, over shells of waves, of ten times the decimal logarithm of the members' mean energy over the "
    "mean true energy (Harris et al. 2022, J. Adv. Model. Earth Syst. 14, e2022MS003120)",
    "dB",
)


@dataclass(frozen=True)
class Ensembles:
    """How ensembles are made.

    Attributes:
        meaning: in one sentence.
        make: ``() -> (cases, members, time, *grid, c)``.
        timed: whether it is worth a clock.
    """

    meaning: str
    make: Callable[[], np.ndarray]
    timed: bool = True


@dataclass(frozen=True)
class Derived:
    """What else of the fields is scored.

    Attributes:
        quantities: by the name of its CRPS, the definition and ``(n, time, *grid, c) -> (n, values)``; the CRPS is
            divided by the standard deviation of the true values.
        spectrum: energies of waves ``(n, time, *grid, c) -> (n, shells)``, for the log spectral distance; None without.
    """

    quantities: Mapping[str, tuple[str, Callable[[np.ndarray], np.ndarray]]] = field(default_factory=dict)
    spectrum: Callable[[np.ndarray], np.ndarray] | None = None

    @property
    def scores(self) -> dict[str, tuple[str, str]]:
        """Definition and unit of every score."""
        found = {name: (definition, STANDARD) for name, (definition, _) in self.quantities.items()}
        return found if self.spectrum is None else {**found, LOG_SPECTRAL: SPECTRAL}


class TruthScores:
    """Scores of ensembles for the cases of some truths.

    Args:
        truths: what happened.
        seed: of the resamplings of cases, and of the ranks of equal values.
        resamples: of the cases, for the intervals.
        derived: what else of the fields is scored.

    Raises:
        ValueError: fewer than two cases, or truths that are not finite.
    """

    def __init__(
        self,
        truths: Float[np.ndarray, "cases time *grid c"],
        *,
        seed: int,
        resamples: int,
        derived: Derived = Derived(),
    ) -> None:
        if len(truths) < 2 or not np.isfinite(truths).all():
            raise ValueError("at least 2 truths of finite values are needed.")
        axes = (0, *range(2, truths.ndim - 1))
        scale = truths.std(axis=axes, keepdims=True)
        self._scale = np.where(scale > 0, scale, 1.0)
        self._shape, self._truth = truths.shape, (truths / self._scale).reshape(len(truths), -1)
        self._keys = jax.random.split(jax.random.key(seed), len(truths))
        rng = np.random.default_rng((seed, 13))
        self._chosen = rng.integers(len(truths), size=(resamples, len(truths)))
        self._derived = derived
        self._quantities = {name: of(truths) for name, (_, of) in derived.quantities.items()}
        self._spectra = None if derived.spectrum is None else derived.spectrum(truths)

    def parts(self, ensembles: Float[np.ndarray, "cases members time *grid c"]) -> dict[str, np.ndarray]:
        """Return what the scores of any choice of cases are made of, case by case.

        Raises:
            ValueError: other cases or another shape than the truths', or values that are not finite.
        """
        if ensembles.shape[:1] + ensembles.shape[2:] != self._shape:
            raise ValueError(f"ensembles of shape {ensembles.shape} do not fit truths of shape {self._shape}.")
        if not np.isfinite(ensembles).all():
            raise ValueError("the ensembles hold values that are not finite.")
        cases, members = ensembles.shape[:2]
        rows = (ensembles / self._scale[:, None]).reshape(cases, members, -1)
        found = dict(jax.device_get(calibration_parts(np.moveaxis(rows, 1, 0), self._truth, self._keys)))
        found["crps"], found["energy_score"] = _fair_scores(rows, self._truth)
        each = ensembles.reshape(-1, *ensembles.shape[2:])
        for name, (_, of) in self._derived.quantities.items():
            true = self._quantities[name]
            scale = true.std() or 1.0
            found[name], _ = _fair_scores((of(each) / scale).reshape(cases, members, -1), true / scale)
        if self._derived.spectrum is not None:
            assert self._spectra is not None
            found["spectrum"] = self._derived.spectrum(each).reshape(cases, members, -1).mean(axis=1)
            found["true_spectrum"] = self._spectra
        return found

    def _values(self, parts: Mapping[str, np.ndarray]) -> dict[str, float]:
        proper = ("crps", "energy_score", *self._derived.quantities)
        found = {name: float(parts[name].mean()) for name in proper}
        found["error"] = float(np.sqrt(parts["error"].mean()))
        if "spectrum" in parts:
            found[LOG_SPECTRAL] = log_spectral_distance(parts["spectrum"], parts["true_spectrum"])
        return found | calibration(parts)

    def row(
        self,
        meaning: str,
        parts: Mapping[str, np.ndarray],
        generator: Mapping[str, np.ndarray] | None = None,
        timing: Timing | None = None,
    ) -> TruthRow:
        """Return scores with their intervals; with the generator's parts also how far its CRPS is exceeded."""
        cases = len(self._truth)
        values = self._values(parts)
        copies = [self._values({name: one[chosen] for name, one in parts.items()}) for chosen in self._chosen]
        intervals = {
            name: over_cases(np.array([one[name] for one in copies]), value, cases) for name, value in values.items()
        }
        beyond = None
        if generator is not None:
            gap = parts["crps"] - generator["crps"]
            beyond = over_cases(gap[self._chosen].mean(axis=1), float(gap.mean()), cases)
        return TruthRow(meaning, values, intervals, beyond, timing)


def _fair_scores(
    rows: Float[np.ndarray, "cases members values"], truth: Float[np.ndarray, "cases values"]
) -> tuple[Float[np.ndarray, " cases"], Float[np.ndarray, " cases"]]:
    """Return the fair CRPS, a mean over the values, and the fair energy score of every case."""
    members = rows.shape[1]
    pairs = pairwise_distances(rows, np.concatenate([rows, truth[:, None]], axis=1))
    found = []
    for matrix in (np.asarray(one, np.float64) for one in pairs):
        own, to_truth = matrix[:, :, :members], matrix[:, :, members]
        found.append(np.asarray(fair_score(to_truth.mean(axis=1), own.sum(axis=(1, 2)), members)))
    return found[0], found[1]


def log_spectral_distance(
    energies: Float[np.ndarray, "cases shells"], true_energies: Float[np.ndarray, "cases shells"]
) -> float:
    """Return by how much mean energies of waves differ, in decibels (Harris et al. 2022, see `SPECTRAL`).

    Energies below `FLOOR` of the whole true energy count as that much; shells where both are below do not count.

    Example:
        >>> round(log_spectral_distance(np.array([[10.0, 1.0]]), np.array([[1.0, 1.0]])), 3)  # 10 dB and 0 dB
        7.071
    """
    made, true = energies.mean(axis=0), true_energies.mean(axis=0)
    least = FLOOR * true.sum()
    counted = (made > least) | (true > least)
    ratio = np.maximum(made[counted], least) / np.maximum(true[counted], least)
    return float(np.sqrt(np.mean((10 * np.log10(ratio)) ** 2)))


def compare_with_truth(
    truths: Float[np.ndarray, "cases time *grid c"],
    generator: Ensembles,
    others: Mapping[str, Ensembles],
    *,
    why: str,
    members: int,
    seed: int,
    resamples: int,
    repeats: int,
    progress: Report,
    derived: Derived = Derived(),
) -> AgainstTruth:
    """Score the generator's ensembles and others' against the truths.

    Args:
        truths: what happened.
        generator: its ensembles.
        others: by name.
        why: there is no reference, in one sentence.
        members: of every ensemble.
        seed, resamples: as for `TruthScores`.
        repeats: rounds in which all are timed in turn.
        progress: called with (done, total, what).
        derived: what else of the fields is scored.

    Returns:
        The section. Ensembles that are not finite have the reason instead of scores.

    Raises:
        ValueError: as `TruthScores`; the generator's samples are not finite.
    """
    scores = TruthScores(truths, seed=seed, resamples=resamples, derived=derived)
    progress(0, 1, "ensembles of the generator")
    own = scores.parts(generator.make())
    parts: dict[str, Mapping[str, np.ndarray] | None] = {}
    for name, one in others.items():
        progress(0, 1, f"ensembles of {name.replace('_', ' ')}")
        made = one.make()
        parts[name] = scores.parts(made) if np.isfinite(made).all() else None
    makers: dict[str | None, Callable[[], np.ndarray]] = {None: generator.make} if generator.timed else {}
    makers |= {name: one.make for name, one in others.items() if one.timed and parts[name] is not None}
    times = in_turn(makers, repeats=repeats, count=len(truths) * members, progress=progress)
    rows: dict[str, TruthRow] = {}
    for name, one in others.items():
        found = parts[name]
        if found is None:
            rows[name] = TruthRow(one.meaning, {}, {}, None, None, "it makes samples that are not finite")
        else:
            rows[name] = scores.row(one.meaning, found, own, times.get(name))
    first = scores.row(generator.meaning, own, None, times.get(None))
    return AgainstTruth(why, len(truths), members, SCORES | derived.scores, first, rows)
