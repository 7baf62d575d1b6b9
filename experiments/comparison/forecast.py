"""Generated forecast ensembles against the truth, and against the solver's own posterior ensemble.

Everything rests on two matrices per case, the distances between all members of both ensembles and the
truth:

    A_ij = mean over values of |x_i - x_j|      and      B_ij = |x_i - x_j|_2 / sqrt(number of values),

values divided by the reference's standard deviation of their channel at their time (so that early and late
times weigh the same). Averages of ``A`` give the CRPS, averages of ``B`` the energy score
(`gan.metrics.ensemble` has the formulas), and

    D = 2 <X, Y> - <X, X> - <Y, Y>

with all pairs counted, the diagonal too, is the energy distance of two ensembles (Szekely and Rizzo 2013),
biased and so positive. The null needs no new fields: two disjoint halves of the reference ensemble differ
only by chance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from experiments.comparison.verdict import forecast_verdict
from gan.metrics import Frame, coverage, holm, rank_flatness, rank_histogram, spread_skill_ratio
from gan.metrics.features import resolved_shells

Progress = Callable[[int, int, str], None]
THINNED = 20_000
"""Values of the truth on which ranks, coverage and spread are taken; neighbouring points tell little more."""
DISTANCES = {
    "crps_divergence": "root of the energy distance of the ensembles' values, point by point",
    "energy_divergence": "root of the energy distance of the ensembles' whole trajectories",
    "spectrum": "mean |log ratio| of the energy spectra of the members over the resolved shells and times",
}


@jax.jit
def _apart(x: Float[Array, "members values"]) -> tuple[Array, Array]:
    """Mean absolute and root-mean-square differences of all pairs of rows."""

    def one(row: Array) -> tuple[Array, Array]:
        gap = x - row
        return jnp.abs(gap).mean(axis=1), jnp.sqrt((gap**2).mean(axis=1))

    return jax.lax.map(one, x)


class _Ensembles:
    """Pairwise distances and spectra of both ensembles; members count generator first, reference next,
    truth last."""

    def __init__(
        self,
        generator: np.ndarray,
        reference: np.ndarray,
        truths: np.ndarray,
        extent: tuple[float, ...],
        resolved: float,
        progress: Progress | None,
    ) -> None:
        self.cases, self.members = generator.shape[:2]
        axes = (0, 1, *range(3, reference.ndim - 1))
        self.scale = reference.std(axis=axes, keepdims=True, dtype=np.float64)[0].astype(np.float32)
        self.scale = np.where(self.scale > 0, self.scale, 1.0)
        self.apart: dict[str, np.ndarray] = {}
        both: list[tuple[np.ndarray, np.ndarray]] = []
        frame = Frame(truths.reshape(-1, *truths.shape[2:]), extent=extent, directions=1, frequencies=1)
        energies: list[np.ndarray] = []
        for case in range(self.cases):
            stack = np.concatenate([generator[case], reference[case], truths[case][None]])
            scaled = jnp.asarray((stack / self.scale).reshape(len(stack), -1))
            both.append(jax.tree.map(np.asarray, _apart(scaled)))
            flat = frame.energy(stack[:-1].reshape(-1, *stack.shape[2:]))
            energies.append(flat.reshape(len(stack) - 1, stack.shape[1], *flat.shape[1:]))
            if progress is not None:
                progress(case + 1, self.cases, "distances between ensemble members")
        self.apart = {
            "crps": np.stack([a for a, _ in both]),
            "energy": np.stack([b for _, b in both]),
        }
        self.energies = np.stack(energies)
        self.member_energies = self.energies.mean(axis=0, dtype=np.float64)
        self.reference_members = np.arange(self.members, self.apart["crps"].shape[1] - 1)
        top = resolved_shells(self.member_energies[self.members :].mean(axis=0), resolved)
        shells = np.arange(self.energies.shape[-1])
        self.band = (shells >= 1) & (shells <= top[..., None])

    def divergence(self, kind: str, one: np.ndarray, two: np.ndarray) -> np.ndarray:
        """Energy distance of two groups of members, per case."""
        m = self.apart[kind]

        def mean(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
            return m[:, rows][:, :, columns].mean(axis=(1, 2), dtype=np.float64)

        return 2 * mean(one, two) - mean(one, one) - mean(two, two)

    def score(self, kind: str, group: np.ndarray) -> np.ndarray:
        """Fair CRPS or energy score of a group of members against the truth, per case."""
        m, size = self.apart[kind], len(group)
        spread = m[:, group][:, :, group].sum(axis=(1, 2), dtype=np.float64) / (size * (size - 1))
        return m[:, group, -1].mean(axis=1, dtype=np.float64) - spread / 2

    def spectra(self, group: np.ndarray) -> np.ndarray:
        """Mean energy of a group of members, per case ``(cases, time, channels, shells)``."""
        return self.energies[:, group].mean(axis=1, dtype=np.float64)

    def log_spectrum(self, one: np.ndarray, two: np.ndarray) -> float:
        """Mean |log ratio| over the resolved shells of spectra already averaged over cases."""
        gap = np.abs(np.log(np.maximum(one, 1e-37)) - np.log(np.maximum(two, 1e-37)))
        return float((gap * self.band).sum() / self.band.sum())

    def values(self, one: np.ndarray, two: np.ndarray) -> dict[str, float]:
        """Every distance between two groups of members."""
        return {
            "crps_divergence": _root(self.divergence("crps", one, two).mean()),
            "energy_divergence": _root(self.divergence("energy", one, two).mean()),
            "spectrum": self.log_spectrum(*(self.member_energies[group].mean(axis=0) for group in (one, two))),
        }


def compare_forecast(
    generator: Float[np.ndarray, "cases members time *grid c"],
    reference: Float[np.ndarray, "cases references time *grid c"],
    truths: Float[np.ndarray, "cases time *grid c"],
    *,
    times: Sequence[float],
    channels: Sequence[str],
    extent: tuple[float, ...],
    units: Mapping[str, str] | None = None,
    draws: int = 200,
    resamples: int = 200,
    level: float = 0.05,
    resolved: float = 1e-6,
    residuals: Mapping[str, tuple[np.ndarray, np.ndarray]] | None = None,
    observations: tuple[np.ndarray, np.ndarray] | None = None,
    case_labels: Sequence[str] | None = None,
    shown: int = 4,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Hold generated ensembles against the truth and the solver's exact posterior ensembles.

    Args:
        generator: ensembles, one per condition, physical units.
        reference: ensembles of the solver's own posterior for the same conditions, at least twice as many
            members, so that its two halves give the null.
        truths: what happened.
        times, channels, extent, units: of the output.
        draws: halvings of the reference ensemble; at least 50, and at least three over ``level``.
        resamples: resamplings of the cases for the interval of each ratio.
        level: of Holm's test over the distances.
        resolved: share of the strongest shell's energy below which shells are left out, time by time.
        residuals: by name, values per sample of the generator and of the reference.
        observations: (points ``(cases, k)`` or ``(k,)``, values ``(cases, k)``) for the pictures.
        case_labels: of the cases, for the pictures.
        shown: cases in the pictures.
        seed: of halvings and resamplings.
        progress: called with (done, total, what).

    Returns:
        The content of ``comparison.json`` and the arrays of ``figures.npz``. Scores of CRPS and energy are
        in standard deviations of the reference, with the reference's own as target and its subsets of
        ``members`` as the band: both see the same truths, so the band shows what the choice of members does,
        not how lucky the cases were.

    Raises:
        ValueError: ensembles that do not fit each other, are not finite, or too few members or draws.

    """
    _check(generator, reference, truths, draws, level)
    own = _Ensembles(generator, reference, truths, extent, resolved, progress)
    members, everyone = own.members, own.reference_members
    ours = np.arange(members)
    rng = np.random.default_rng((seed, 11))
    halves = [rng.permutation(everyone)[: 2 * members].reshape(2, members) for _ in range(draws)]
    drawn = [own.values(*half) for half in halves]
    null = {name: np.array([d[name] for d in drawn]) for name in DISTANCES}
    picked = rng.permutation(everyone)[:members]
    values = own.values(ours, picked)
    distances = _distances(own, ours, picked, values, null, level, resamples, rng)
    thin = _thinning(truths)
    scores = _scores(own, generator, reference, truths, thin, halves[: min(draws, 50)], seed)
    for name, (mine, theirs) in (residuals or {}).items():
        scores[name] = _mean_score(np.asarray(mine), np.asarray(theirs), rng)
    comparison: dict[str, Any] = {
        "task": "forecast",
        "n": members,
        "cases": own.cases,
        "draws": draws,
        "level": level,
        "channels": list(channels),
        "units": dict(units or {}),
        "distances": distances,
        "definitions": dict(DISTANCES),
        "scores": scores,
        "baselines": {},
    }
    comparison["verdict"] = forecast_verdict(comparison)
    figures = _figures(generator, reference, truths, times, extent, observations, case_labels, shown)
    for who, ensemble in (("generator", generator), ("reference", reference[:, :members])):
        figures[f"rank/{who}"] = np.asarray(_ranks(ensemble, truths, thin, seed))
    return comparison, figures


def _check(generator: np.ndarray, reference: np.ndarray, truths: np.ndarray, draws: int, level: float) -> None:
    cases, members = generator.shape[:2]
    if reference.shape[1] < 2 * members:
        raise ValueError(
            f"the reference has {reference.shape[1]} members and the generator {members}; the null needs two "
            f"disjoint sets of as many, so give at least {2 * members} reference members."
        )
    if not (len(reference) == len(truths) == cases and members >= 2):
        raise ValueError(
            f"{cases} generated ensembles of {members} members, {len(reference)} of the reference and "
            f"{len(truths)} truths; give one of each per case, of two or more members."
        )
    if draws < max(50, int(np.ceil(len(DISTANCES) / level))):
        raise ValueError(f"draws={draws} are too few; at least {max(50, int(np.ceil(len(DISTANCES) / level)))}.")
    for name, fields in (("generator", generator), ("reference", reference), ("truths", truths)):
        if not np.isfinite(fields).all():
            raise ValueError(f"the {name} hold values that are not finite; leave those cases out and report it.")


def _root(squared: float) -> float:
    return float(np.sqrt(max(squared, 0.0)))


def _distances(
    own: _Ensembles,
    ours: np.ndarray,
    picked: np.ndarray,
    values: Mapping[str, float],
    null: Mapping[str, np.ndarray],
    level: float,
    resamples: int,
    rng: np.random.Generator,
) -> dict[str, dict[str, Any]]:
    chosen = rng.integers(own.cases, size=(resamples, own.cases))
    spectra = [own.spectra(group) for group in (ours, picked)]
    crps, energy = (own.divergence(kind, ours, picked) for kind in ("crps", "energy"))
    copies = {
        "crps_divergence": np.sqrt(np.maximum(crps[chosen].mean(axis=1), 0)),
        "energy_divergence": np.sqrt(np.maximum(energy[chosen].mean(axis=1), 0)),
        "spectrum": np.array([own.log_spectrum(*(s[c].mean(axis=0) for s in spectra)) for c in chosen]),
    }
    p_values = {n: float((1 + (null[n] >= values[n]).sum()) / (1 + len(null[n]))) for n in DISTANCES}
    inside = holm(list(p_values.values()), level)
    out = {}
    for i, name in enumerate(DISTANCES):
        floor = float(np.median(null[name]))
        low, high = np.quantile(copies[name], [0.025, 0.975]) - copies[name].mean() + values[name]
        out[name] = {
            "value": values[name],
            "floor": floor,
            "null95": float(np.quantile(null[name], 0.95)),
            "ratio": values[name] / floor,
            "ratio_ci": [float(max(low, 0) / floor), float(high / floor)],
            "n": len(ours),
            "p_value": p_values[name],
            "inside": bool(inside[i]),
        }
    return out


def _thinning(truths: np.ndarray) -> np.ndarray:
    """Indices of the values of one case's truth that are looked at, evenly spread."""
    values = truths[0].size
    return np.unique(np.linspace(0, values - 1, max(1, min(values, THINNED // len(truths)))).astype(int))


def _thinned(ensemble: np.ndarray, truths: np.ndarray, thin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Members first: ``(members, cases, values)`` and the truth ``(cases, values)``."""
    flat = ensemble.reshape(*ensemble.shape[:2], -1)[:, :, thin]
    return np.moveaxis(flat, 1, 0), truths.reshape(len(truths), -1)[:, thin]


def _ranks(ensemble: np.ndarray, truths: np.ndarray, thin: np.ndarray, seed: int) -> Array:
    return rank_histogram(*_thinned(ensemble, truths, thin), jax.random.key(seed))


def _scores(
    own: _Ensembles,
    generator: np.ndarray,
    reference: np.ndarray,
    truths: np.ndarray,
    thin: np.ndarray,
    halves: list[np.ndarray],
    seed: int,
) -> dict[str, Any]:
    members = own.members
    measures: dict[str, Callable[[np.ndarray], float]] = {
        "spread_skill": lambda e: float(spread_skill_ratio(*_scaled(own, e, truths, thin))),
        "rank_flatness": lambda e: float(rank_flatness(_ranks(e, truths, thin, seed))[0]),
    }
    targets = {"spread_skill": 1.0, "coverage_90": 0.9, "rank_flatness": 1.0}
    if members >= 19:
        measures["coverage_90"] = lambda e: float(coverage(*_thinned(e, truths, thin), 0.9))
    scores: dict[str, Any] = {}
    for name, kind in (("crps", "crps"), ("energy_score", "energy")):
        drawn = [float(own.score(kind, half[0]).mean()) for half in halves]
        scores[name] = {
            "value": float(own.score(kind, np.arange(members)).mean()),
            "target": float(own.score(kind, own.reference_members).mean()),
            "null": np.quantile(drawn, [0.025, 0.975]).tolist(),
        }
    for name, measure in measures.items():
        drawn = [measure(reference[:, half[0] - members]) for half in halves]
        scores[name] = {
            "value": measure(generator),
            "target": targets[name],
            "null": np.quantile(drawn, [0.025, 0.975]).tolist(),
        }
    return scores


def _scaled(
    own: _Ensembles, ensemble: np.ndarray, truths: np.ndarray, thin: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    return _thinned(ensemble / own.scale, truths / own.scale[0], thin)


def _mean_score(mine: np.ndarray, theirs: np.ndarray, rng: np.random.Generator) -> dict[str, Any]:
    means = [rng.choice(theirs.ravel(), mine.size).mean() for _ in range(400)]
    return {
        "value": float(mine.mean()),
        "target": float(theirs.mean()),
        "null": np.quantile(means, [0.025, 0.975]).tolist(),
    }


def _figures(
    generator: np.ndarray,
    reference: np.ndarray,
    truths: np.ndarray,
    times: Sequence[float],
    extent: tuple[float, ...],
    observations: tuple[np.ndarray, np.ndarray] | None,
    case_labels: Sequence[str] | None,
    shown: int,
) -> dict[str, np.ndarray]:
    grid = truths.shape[2:-1]
    figures: dict[str, np.ndarray] = {
        f"coordinates/{axis}": np.arange(n) * length / n for axis, (n, length) in enumerate(zip(grid, extent))
    }
    figures["forecast/coordinates"] = figures["coordinates/0"]
    figures["forecast/times"] = np.asarray(times, float)
    figures["forecast/truth"] = truths[:shown]
    for who, ensemble in (("generator", generator), ("reference", reference)):
        figures[f"forecast/{who}_mean"] = ensemble[:shown].mean(axis=1)
        figures[f"forecast/{who}_std"] = ensemble[:shown].std(axis=1, ddof=1)
    if observations is not None:
        points, values = (np.asarray(x) for x in observations)
        figures["forecast/points"] = points[:shown] if points.ndim > 1 else points
        figures["forecast/observations"] = values[:shown]
    if case_labels is not None:
        figures["forecast/case_labels"] = np.array([str(label) for label in case_labels[:shown]])
    return figures
