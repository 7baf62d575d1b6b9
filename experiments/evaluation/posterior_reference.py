"""Forecast ensembles against the truth, and against the solver's ensembles from the exact posterior.

Everything rests on two numbers for each pair of members (and of a member and the truth) of a case,

    A_ij = mean over values of |x_i - x_j|      and      B_ij = |x_i - x_j|_2 / sqrt(number of values),

values divided by the reference's standard deviation of their channel at their time (so that early and late
times weigh the same). Averages of ``A`` give the CRPS, averages of ``B`` the energy score
(`experiments.evaluation.scores.ensemble` has the formulas), and

    D = 2 <X, Y> - <X, X> - <Y, Y>

with all pairs counted, the diagonal too, is the energy distance of two ensembles (Szekely and Rizzo 2013),
biased and so positive.

**Null.** Two disjoint halves of the reference ensemble differ only by chance, so halvings give the floor and the null
of the distances without new fields. A score's band is that of fresh ensembles of the posterior for the *same* cases:
a half of a finite pool of N members deviates from it by sqrt(1 - n/N) of what a fresh set of n does from the
distribution, and the pool itself is off by as much as N members are, so the halves' deviations are widened by
sqrt((1 + n/N) / (1 - n/N)).

**Intervals** resample whole cases, so that they are for fresh cases; members, truths and neighbouring points of one
case are never taken for independent ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import jax
import numpy as np
from jaxtyping import Float

from experiments.evaluation.distances import Frame, holm, resolved_shells
from experiments.evaluation.ensemble_statistics import (
    calibration,
    calibration_parts,
    energy_distance,
    fair_score,
    pairwise_distances,
    root,
)
from experiments.evaluation.entries import Distance, Interval, Score
from experiments.evaluation.intervals import central, over_cases
from experiments.evaluation.results import Distances, Scores

Ensembles = Float[np.ndarray, "cases members time *grid c"]
THINNED = 20_000
"""Values of the truth on which ranks, coverage and spread are taken; neighbouring points tell little more."""
STANDARD = "standard deviations"
DISTANCES = {
    "crps_divergence": ("root of the energy distance of the ensembles' values, point by point", STANDARD),
    "energy_divergence": ("root of the energy distance of the ensembles' whole trajectories", STANDARD),
    "spectrum": ("mean |log ratio| of the energy spectra of the members over the resolved shells and times", ""),
}
SCORES = {
    "crps": ("fair continuous ranked probability score, a mean over points, times and cases", STANDARD),
    "energy_score": ("fair energy score of whole trajectories over the root of their number of values", STANDARD),
    "spread_skill": ("root of mean ensemble variance over mean squared error of the ensemble mean", ""),
    "coverage_90": ("share of true values within the central 90% interval of the members", ""),
    "rank_flatness": ("chi-square per degree of freedom of the ranks of the truth among the members", ""),
}
_TARGETS = {"spread_skill": 1.0, "coverage_90": 0.9, "rank_flatness": 1.0}


@dataclass(frozen=True)
class PosteriorSizes:
    """How a comparison is made.

    Attributes:
        draws: halvings of the reference ensemble; `least_draws` at least.
        resamples: resamplings of the cases for the intervals.
        level: of Holm's test over the distances.
        resolved: share of the strongest shell's energy below which shells are left out, time by time.
        seed: of halvings and resamplings.
    """

    draws: int = 200
    resamples: int = 200
    level: float = 0.05
    resolved: float = 1e-6
    seed: int = 0


def least_draws(level: float) -> int:
    """Return the number of halvings without which Holm's test over the distances could not reject by rank."""
    return max(50, int(np.ceil(len(DISTANCES) / level)))


class PosteriorReference:
    """Truths and exact posterior ensembles of some cases, by which other ensembles for these cases are measured.

    Args:
        reference: ensembles of the solver's own posterior, at least twice as many members as are measured.
        truths: what happened.
        members: of the ensembles that are to be measured.
        extent: lengths of the box.
        sizes: of null and intervals.
        name: what the reference's ensembles were drawn from, in words.

    Attributes:
        floor, null95: of every distance, by name.

    Raises:
        ValueError: too few reference members or draws, other cases than truths, or values that are not finite.
    """

    def __init__(
        self,
        reference: Ensembles,
        truths: Float[np.ndarray, "cases time *grid c"],
        *,
        members: int,
        extent: tuple[float, ...],
        sizes: PosteriorSizes,
        name: str = "the exact posterior",
    ) -> None:
        self.name = name
        pool = reference.shape[1]
        if members < 2 or pool < 2 * members:
            raise ValueError(
                f"the reference has {pool} members, and {members} are measured; the null needs two disjoint sets of as "
                f"many, so give at least {2 * max(members, 2)} reference members and measure at least 2."
            )
        if len(reference) != len(truths):
            raise ValueError(
                f"{len(reference)} ensembles of the reference and {len(truths)} truths; give one per case."
            )
        if sizes.draws < least_draws(sizes.level):
            raise ValueError(f"draws={sizes.draws} are too few; at least {least_draws(sizes.level)}.")
        for name, fields in (("reference ensembles", reference), ("truths", truths)):
            if not np.isfinite(fields).all():
                raise ValueError(f"the {name} hold values that are not finite.")
        self.reference, self.truths, self.members, self.sizes = reference, truths, members, sizes
        axes = (0, 1, *range(3, reference.ndim - 1))
        scale = reference.std(axis=axes, keepdims=True, dtype=np.float64)[0].astype(np.float32)
        self._scale = np.where(scale > 0, scale, 1.0)
        self._frame = Frame(truths.reshape(-1, *truths.shape[2:]), extent=extent, directions=1, frequencies=1)
        self._truth = self._flat(truths[:, None])
        rows = self._flat(reference)
        apart = pairwise_distances(rows, np.concatenate([rows, self._truth], axis=1))
        self._apart = {kind: np.asarray(one) for kind, one in zip(("crps", "energy"), apart)}
        self._energies = self._energy(reference)
        top = resolved_shells(self._energies.mean(axis=(0, 1), dtype=np.float64), sizes.resolved)
        shells = np.arange(self._energies.shape[-1])
        self._band = (shells >= 1) & (shells <= top[..., None])
        values = self._truth.shape[-1]
        self._thin = np.unique(np.linspace(0, values - 1, max(1, min(values, THINNED // len(truths)))).astype(int))
        self._keys = jax.random.split(jax.random.key(sizes.seed), len(truths))
        rng = np.random.default_rng((sizes.seed, 11))
        halves = [rng.permutation(pool)[: 2 * members].reshape(2, members) for _ in range(sizes.draws)]
        self._halves, self._picked = halves, halves[0][0]
        # Halves of a pool vary less than ensembles drawn anew.
        share = members / pool
        self._widen = float(np.sqrt((1 + share) / (1 - share)))
        self._chosen = rng.integers(len(truths), size=(sizes.resamples, len(truths)))
        self._draw_null()

    def _draw_null(self) -> None:
        mean = {kind: one.mean(axis=0, dtype=np.float64) for kind, one in self._apart.items()}
        energies = self._energies.mean(axis=0, dtype=np.float64)
        null: dict[str, list[float]] = {name: [] for name in DISTANCES}
        scores: dict[str, list[float]] = {}
        thin = self._thinned(self._flat(self.reference))
        means = {"crps": mean["crps"], "energy_score": mean["energy"]}
        everyone = np.arange(self.reference.shape[1])
        self._targets = _TARGETS | {name: self._fair(matrix, everyone) for name, matrix in means.items()}
        for one, two in self._halves:
            for kind, matrix in mean.items():
                blocks = (matrix[np.ix_(a, b)].mean() for a, b in ((one, two), (one, one), (two, two)))
                null[f"{kind}_divergence"].append(root(energy_distance(*blocks)))
            null["spectrum"].append(self._log_ratio(energies[one].mean(axis=0), energies[two].mean(axis=0)))
            drawn = calibration(self._parts(thin[one]))
            drawn |= {name: self._fair(matrix, one) for name, matrix in means.items()}
            for name, value in drawn.items():
                scores.setdefault(name, []).append(value)
        self._null = {name: np.array(drawn) for name, drawn in null.items()}
        self.floor = {name: float(np.median(drawn)) for name, drawn in self._null.items()}
        self.null95 = {name: float(np.quantile(drawn, 0.95)) for name, drawn in self._null.items()}
        self._bands = {name: _widened(np.array(drawn), self._widen) for name, drawn in scores.items()}

    @staticmethod
    def _fair(matrix: np.ndarray, group: np.ndarray) -> float:
        """Fair score of some members from the mean distances of all pairs, the truth last."""
        return float(fair_score(matrix[group, -1].mean(), matrix[np.ix_(group, group)].sum(), len(group)))

    def distances(self, ensembles: Ensembles) -> Distances:
        """Measure every distance between ensembles and the posterior's, with interval and Holm's test."""
        return self._distances(_Measured(self, ensembles))

    def figures_of_merit(self, ensembles: Ensembles) -> dict[str, float]:
        """Return the scores but the flatness of ranks, and the ratio of every distance to its floor."""
        measured = _Measured(self, ensembles)
        scores = {name: float(copy) for name, copy in measured.scores(None).items() if name != "rank_flatness"}
        return scores | {name: value / self.floor[name] for name, value in measured.distances(None).items()}

    def band(self, score: str) -> Interval:
        """Return where a score of fresh posterior ensembles for these cases lies 95 times in 100."""
        return self._bands[score]

    def other_half(self) -> Ensembles:
        """Return reference members that the distances are not taken to."""
        rest = np.setdiff1d(np.arange(self.reference.shape[1]), self._picked)
        return self.reference[:, rest[: self.members]]

    def compare(
        self,
        ensembles: Ensembles,
        residuals: Mapping[str, tuple[str, str, np.ndarray, np.ndarray]] | None = None,
    ) -> tuple[Distances, Scores, dict[str, np.ndarray]]:
        """Measure ensembles for the cases of this reference set.

        Args:
            ensembles: physical units, ``members`` for each case.
            residuals: by name, definition, unit, and the values ``(cases, members)`` of the ensembles and of the
                reference, whose means are compared.

        Returns:
            Distances, scores, and the ranks of the truth under ``rank/generator`` and ``rank/reference``.

        Raises:
            ValueError: another shape than the reference's, or values that are not finite.
        """
        measured, cases = _Measured(self, ensembles), len(self.truths)
        values = measured.scores(None)
        copies = [measured.scores(chosen) for chosen in self._chosen]
        entries = {
            name: Score(
                *SCORES[name],
                values[name],
                self._targets[name],
                self.band(name),
                over_cases(np.array([one[name] for one in copies]), values[name], cases),
            )
            for name in SCORES
            if name in values
        }
        for name, (definition, unit, own, reference) in (residuals or {}).items():
            mine, theirs = np.asarray(own, np.float64).mean(axis=1), np.asarray(reference, np.float64)
            interval = over_cases(mine[self._chosen].mean(axis=1), float(mine.mean()), cases)
            band = _widened(np.array([theirs[:, one].mean() for one, _ in self._halves]), self._widen)
            entries[name] = Score(definition, unit, float(mine.mean()), float(theirs.mean()), band, interval)
        picked = self._parts(self._thinned(self._flat(self.reference[:, self._picked])))
        ranks = {
            "rank/generator": measured.parts["ranks"].sum(axis=0),
            "rank/reference": picked["ranks"].sum(axis=0),
        }
        return self._distances(measured), Scores(f"fresh ensembles of {self.name}", entries), ranks

    def _distances(self, measured: _Measured) -> Distances:
        values = measured.distances(None)
        copies = [measured.distances(chosen) for chosen in self._chosen]
        draws, level = self.sizes.draws, self.sizes.level
        p_values = {n: float((1 + (self._null[n] >= values[n]).sum()) / (1 + draws)) for n in DISTANCES}
        inside = dict(zip(p_values, holm(list(p_values.values()), level)))
        return Distances(
            between=f"ensembles of {self.members} members for each of {len(self.truths)} cases, the generator's and "
            f"the solver's from {self.name}",
            against="disjoint halves of the solver's ensembles",
            reference=self.name,
            draws=draws,
            level=level,
            entries={
                name: Distance(
                    *definition,
                    values[name],
                    self.floor[name],
                    self.null95[name],
                    over_cases(np.array([one[name] for one in copies]), values[name], len(self.truths), least=0.0),
                    self.members,
                    p_values[name],
                    bool(inside[name]),
                )
                for name, definition in DISTANCES.items()
            },
        )

    def _flat(self, ensembles: np.ndarray) -> np.ndarray:
        """Values in units of the reference's standard deviation, (cases, members, values)."""
        return (ensembles / self._scale).reshape(*ensembles.shape[:2], -1)

    def _thinned(self, flat: np.ndarray) -> np.ndarray:
        """The values that are looked at one by one, (members, cases, values)."""
        return np.ascontiguousarray(np.moveaxis(flat[..., self._thin], 1, 0))

    def _parts(self, thin: np.ndarray) -> dict[str, np.ndarray]:
        found: dict[str, np.ndarray] = jax.device_get(
            calibration_parts(thin, self._truth[:, 0, self._thin], self._keys)
        )
        return found

    def _energy(self, ensembles: np.ndarray) -> np.ndarray:
        """Energy of every shell, (cases, members, time, channels, shells)."""
        flat = self._frame.energy(ensembles.reshape(-1, *ensembles.shape[3:]))
        return flat.reshape(*ensembles.shape[:3], *flat.shape[1:])

    def _log_ratio(self, one: np.ndarray, two: np.ndarray) -> float:
        """Mean |log ratio| over the resolved shells of two mean spectra."""
        gap = np.abs(np.log(np.maximum(one, 1e-37)) - np.log(np.maximum(two, 1e-37)))
        return float((gap * self._band).sum() / self._band.sum())


class _Measured:
    """Ensembles beside a reference set, reduced to what distances and scores of any choice of cases are means of."""

    def __init__(self, reference_set: PosteriorReference, ensembles: np.ndarray) -> None:
        wanted = (len(reference_set.truths), reference_set.members, *reference_set.truths.shape[1:])
        if ensembles.shape != wanted:
            raise ValueError(f"ensembles of shape {ensembles.shape} cannot be measured; {wanted} are asked for.")
        if not np.isfinite(ensembles).all():
            raise ValueError("the ensembles hold values that are not finite.")
        self._reference_set = reference_set
        picked, rows = reference_set._picked, reference_set._flat(ensembles)
        pool = reference_set._flat(reference_set.reference[:, picked])
        pairs = pairwise_distances(rows, np.concatenate([rows, pool, reference_set._truth], axis=1))
        members = len(picked)
        self._divergence, self._score = {}, {}
        for kind, score, one in zip(("crps", "energy"), ("crps", "energy_score"), pairs):
            own, cross, truth = np.split(np.asarray(one, np.float64), [members, 2 * members], axis=2)
            theirs = reference_set._apart[kind][:, picked][:, :, picked].mean(axis=(1, 2), dtype=np.float64)
            apart = energy_distance(cross.mean((1, 2)), own.mean((1, 2)), theirs)
            self._divergence[f"{kind}_divergence"] = np.asarray(apart)
            self._score[score] = np.asarray(fair_score(truth.mean(axis=(1, 2)), own.sum(axis=(1, 2)), members))
        self._spectra = (
            reference_set._energy(ensembles).mean(axis=1, dtype=np.float64),
            reference_set._energies[:, picked].mean(axis=1, dtype=np.float64),
        )
        self.parts = reference_set._parts(reference_set._thinned(rows))

    def distances(self, chosen: np.ndarray | None) -> dict[str, float]:
        """Every distance over the chosen cases, or over all."""
        take = slice(None) if chosen is None else chosen
        values = {name: root(one[take].mean()) for name, one in self._divergence.items()}
        mine, theirs = (one[take].mean(axis=0) for one in self._spectra)
        return {**values, "spectrum": self._reference_set._log_ratio(mine, theirs)}

    def scores(self, chosen: np.ndarray | None) -> dict[str, float]:
        """Every score over the chosen cases, or over all."""
        take = slice(None) if chosen is None else chosen
        means = {name: float(one[take].mean()) for name, one in self._score.items()}
        return means | calibration({name: one[take] for name, one in self.parts.items()})


def _widened(drawn: np.ndarray, factor: float) -> Interval:
    middle = float(np.median(drawn))
    low, high = central(drawn)
    return float(middle + factor * (low - middle)), float(middle + factor * (high - middle))
