"""Distances between two sets of fields, and the reference set that the solver itself sets for them.

All distances compare a set of ``n`` fields with another of the same size, one field per independent
trajectory; all are non-negative and fall as ``n**-1/2`` between two sets of one distribution. Quantities are
in units of the reference's standard deviation of that very quantity, and averaged over channels (increments:
over axes too). Spectrum, increments and correlation are for homogeneous fields on a periodic grid alone.

- ``spectrum``: mean over the resolved shells of ``|log(E_a(k) / E_b(k))|``, natural logarithm, ``E`` the mean
  energy of a shell of integer ``|k| / k_min >= 1`` over the set. Resolved: up to the first shell below 1e-6
  of the strongest (in float32 what follows may be round-off).
- ``marginals``: Wasserstein-1 between the pooled point values, ``integral |F_a(x) - F_b(x)| dx`` (Villani 2003,
  chapter 2), on 512 bins.
- ``increments_S``: the same for ``u(x + S dx) - u(x)`` along each axis, S in grid points.
- ``quantiles``: mean absolute difference of the pooled 0.1%, 1%, 99% and 99.9% quantiles (small sets: drawn in until
  20 values lie beyond).
- ``correlation``: mean over separations up to half the box, along each axis, of ``|rho_a(r) - rho_b(r)|``, where
  ``rho`` is the set's spatial autocovariance (about the reference's mean) over its own value at r = 0.
- ``sliced``: mean over 128 random unit directions of the Wasserstein-1 distance between the sets'
  projections, whole fields as vectors (Rabin et al. 2012; Bonneel et al. 2015).
- ``kernel``: biased maximum mean discrepancy, square root of the V-statistic (Gretton et al. 2012, eq. 5),
  with a mixture of Gaussian kernels of 1/2, 1 and 2 times the median distance between reference fields,
  represented by 384 random Fourier frequencies (Rahimi and Recht 2007): a positive definite kernel of its
  own, for which the statistic is exact whatever the number of frequencies.

**Estimator.** One for everything. The pool of solver fields is shuffled and cut into blocks of ``n``. A
*draw* of the null measures the first block against each of the others and takes the mean; the *value* of a
set measures it against the same number of blocks. The mean over several references lowers the noise that the
choice of one reference would add, without changing what is estimated (both sides still have ``n`` fields).
``floor`` is the median of the draws, ``null95`` their 95% quantile, the p-value the rank among them. The
finite pool does not narrow the band: two *disjoint* blocks differ by exactly as much as two independent sets
do (variance ``S^2/n + S^2/n``).

**Interval.** The value that is reported is the mean over several disjoint sets of ``n`` samples, each against the same
references; its interval, 95%, is Student's for that mean. It is about the expected value of the distance, what the mean
over many sets of samples would come to. p-values hold the mean against draws of single sets, which vary more: a set of
the distribution is distinguished in at most the stated share of cases.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from jaxtyping import Float
from scipy.stats import t as student

from experiments.evaluation.distances.features import DIRECTIONS, RESOLVED, FieldFeatures, Frame
from experiments.evaluation.distances.measures import QUANTILES, Measures
from experiments.evaluation.entries import Distance
from experiments.evaluation.intervals import central
from experiments.reporting import Report

SETS = 8
"""Sets of samples over which a reported distance is averaged, where there are so many."""
BAND_BLOCKS = 600
"""Blocks of solver fields from which the bands of curves are taken."""
UNITS = dict.fromkeys(("marginals", "increments", "quantiles", "sliced"), "standard deviations")
"""Unit of each distance that has one, by the first word of its name."""


def holm(p_values: Sequence[float] | np.ndarray, level: float = 0.05) -> np.ndarray:
    """Which hypotheses Holm's step-down test keeps: True where it does not reject at the family-wise ``level``.

    Holm, S. (1979). A simple sequentially rejective multiple test procedure. Scand. J. Statist. 6, 65-70.

    Args:
        p_values: of all hypotheses of the family, in any order.
        level: largest probability of rejecting any true hypothesis.

    Returns:
        booleans in the order of ``p_values``.
    """
    p = np.asarray(p_values, float)
    order = np.argsort(p, kind="stable")
    kept = np.ones(len(p), bool)
    for rank, which in enumerate(order):
        if p[which] > level / (len(p) - rank):
            break
        kept[which] = False
    return kept


class ReferenceSet:
    """Solver fields as a reference set: floors and null bands of every distance, and sets measured against them.

    Args:
        pool: solver fields ``(P, *grid, channels)``, physical units, each from its own trajectory, held out
            from training.
        n: fields compared; ``P >= 2 n``. With ``P`` a larger multiple of ``n`` every measurement is averaged
            over ``P // n - 1`` references and less noisy.
        draws: draws of the null. At least 50, and at least (number of distances) / ``level``, or Holm's test
            could never reject by rank.
        level: of the Holm-corrected test over the distances.
        quantiles: levels of the quantiles that are compared; none for values on a ladder, whose quantiles seldom
            differ between two sets at all.
        extent, separations, directions, resolved, homogeneous, parameters, seed: see
            `experiments.evaluation.distances.features.Frame`.
        progress: called with (done, total, what).

    Attributes:
        names: the distances, in order.
        null: the draws ``(draws, len(names))``.
        floor, null95: dictionaries by name.

    Raises:
        ValueError: a pool below ``2 n``, or too few draws.

    """

    def __init__(
        self,
        pool: Float[np.ndarray, "P *grid c"],
        *,
        n: int,
        draws: int = 600,
        level: float = 0.05,
        extent: tuple[float, ...] | None = None,
        separations: tuple[int, ...] | None = None,
        quantiles: tuple[float, ...] = QUANTILES,
        directions: int = DIRECTIONS,
        resolved: float = RESOLVED,
        homogeneous: bool = True,
        parameters: int = 0,
        seed: int = 0,
        progress: Report | None = None,
    ) -> None:
        if len(pool) < 2 * n:
            raise ValueError(
                f"n={n} fields cannot be compared with a pool of {len(pool)} solver fields: a null draw "
                f"needs two disjoint sets. Make at least {2 * n} independent trajectories or lower n."
            )
        self.frame = Frame(
            pool,
            extent=extent,
            separations=separations,
            directions=directions,
            resolved=resolved,
            homogeneous=homogeneous,
            parameters=parameters,
            seed=seed,
        )
        self.measures = Measures(self.frame, quantiles, n)
        self.names = self.measures.names
        least = max(50, int(np.ceil(len(self.names) / level)))
        if draws < least:
            raise ValueError(
                f"draws={draws} are too few: {len(self.names)} distances tested at level {level} need at least {least}."
            )
        self.n, self.level, self.draws = n, level, draws
        self._seed = seed
        self.pool = self.frame(pool)
        self.references = len(pool) // n - 1
        self.null = np.empty((draws, len(self.names)))
        # For the bands, more than one block of a draw where draws are few: a 2.5% quantile needs many.
        self._kept = min(self.references + 1, -(-BAND_BLOCKS // draws))
        self._block_means = np.empty((draws, self._kept, self.frame.columns), np.float32)
        rng = np.random.default_rng((seed, 1))
        done = 0
        for shuffles in _batches([rng.permutation(len(pool))[: n * (self.references + 1)] for _ in range(draws)], 25):
            self.null[done : done + len(shuffles)] = self._draw(shuffles, done)
            done += len(shuffles)
            if progress is not None:
                progress(done, draws, "reference against reference")
        self.floor = dict(zip(self.names, np.median(self.null, axis=0).tolist()))
        self.null95 = dict(zip(self.names, np.quantile(self.null, 0.95, axis=0).tolist()))
        chosen = np.random.default_rng((seed, 2)).permutation(len(pool))[: n * self.references]
        blocks = chosen.reshape(self.references, n)
        self._reference_means = np.stack([self.pool.rows[b].mean(axis=0) for b in blocks])
        self._reference_sorted = np.stack([np.sort(self.pool.projections[:, b], axis=1) for b in blocks])

    def _draw(self, shuffles: list[np.ndarray], offset: int) -> np.ndarray:
        blocks = np.stack(shuffles).reshape(len(shuffles), self.references + 1, self.n)
        weights = np.zeros((blocks.shape[0] * blocks.shape[1], len(self.pool)), np.float32)
        np.put_along_axis(weights, blocks.reshape(-1, self.n), np.float32(1.0), axis=1)
        means = (weights @ self.pool.rows / self.n).reshape(*blocks.shape[:2], -1)
        self._block_means[offset : offset + len(shuffles)] = means[:, : self._kept]
        values = self.measures.between(means[:, :1], means[:, 1:])
        sliced = np.empty(values["marginals"].shape)
        for i, shuffle in enumerate(blocks):
            ordered = np.sort(self.pool.projections[:, shuffle.ravel()].reshape(-1, *shuffle.shape), axis=-1)
            sliced[i] = np.abs(ordered[:, :1] - ordered[:, 1:]).mean(axis=(0, 2))
        values["sliced"] = sliced
        return np.stack([values[name].mean(axis=-1) for name in self.names], axis=-1)

    def definitions(self) -> dict[str, str]:
        """What each distance is, in a sentence for readers of a report; the module has the details."""
        spacing = [length / n for length, n in zip(self.frame.extent, self.frame.shape)]
        words = {
            "marginals": "Wasserstein-1 distance of the pooled values, in standard deviations",
            "quantiles": "mean absolute difference of the quantiles "
            + ", ".join(f"{q:g}" for q in self.measures.quantiles)
            + " of the pooled values, in standard deviations",
            "correlation": "mean absolute difference of the spatial correlation up to half the box",
            "sliced": f"Wasserstein-1 distance of whole fields along {len(self.pool.projections)} random directions",
            "kernel": "kernel two-sample statistic of whole fields (biased maximum mean discrepancy)",
        }
        if self.frame.homogeneous:
            top = self.frame.resolved.max()
            words["spectrum"] = f"mean |log ratio| of the energy spectra over shells 1 to {top}"
        for name in self.frame.histograms[1:]:
            s = int(name.rsplit("_", 1)[1])
            words[name] = (
                f"Wasserstein-1 distance of the increments over {s} grid points ({s * spacing[0]:.3g}), "
                "in standard deviations"
            )
        return {name: words[name] for name in self.names}

    def distances(self, fields: Float[np.ndarray, "n *grid c"] | FieldFeatures) -> dict[str, float]:
        """The value of every distance of ``n`` fields from the solver; see the module for each definition.

        Raises:
            ValueError: a number of fields other than ``n``, another grid, or non-finite values.

        """
        features = self._features(fields)
        values = self.measures.between(features.rows.mean(axis=0)[None], self._reference_means)
        ordered = np.sort(features.projections, axis=1)
        values["sliced"] = np.abs(ordered[None] - self._reference_sorted).mean(axis=(1, 2))
        return {name: float(values[name].mean()) for name in self.names}

    def compare(self, fields: Float[np.ndarray, "m *grid c"] | FieldFeatures) -> dict[str, Distance]:
        """Every distance with its floor, null band, interval, p-value and Holm's verdict.

        Args:
            fields: two or more sets of ``n`` independent fields, one after the other, in physical units; or their
                features.

        Returns:
            the distances by name, in the order of ``names``; each is the mean over the sets.

        Raises:
            ValueError: another number of fields, another grid, or non-finite values.
        """
        features = fields if isinstance(fields, FieldFeatures) else self.frame(fields)
        sets = len(features) // self.n
        if sets < 2 or len(features) != sets * self.n:
            raise ValueError(
                f"{len(features)} fields are no two or more sets of {self.n}, over which a distance has its interval."
            )
        each = [self.distances(features.part(i * self.n, (i + 1) * self.n)) for i in range(sets)]
        values = {name: float(np.mean([one[name] for one in each])) for name in self.names}
        p_values, definitions = self.p_values(values), self.definitions()
        inside = holm(list(p_values.values()), self.level)
        quantile = float(student.ppf(0.975, sets - 1))
        entries = {}
        for name, kept in zip(self.names, inside):
            half = quantile * float(np.std([one[name] for one in each], ddof=1)) / np.sqrt(sets)
            entries[name] = Distance(
                definition=definitions[name],
                unit=UNITS.get(name.split("_")[0], ""),
                value=values[name],
                floor=self.floor[name],
                null95=self.null95[name],
                interval=(max(values[name] - half, 0.0), values[name] + half),
                n=self.n,
                p_value=p_values[name],
                inside=bool(kept),
            )
        return entries

    def p_values(self, values: dict[str, float]) -> dict[str, float]:
        """Share of the draws at or above each value, counting the value itself as one draw."""
        return {
            name: float((1 + (self.null[:, i] >= values[name]).sum()) / (1 + self.draws))
            for i, name in enumerate(self.names)
        }

    def _features(self, fields: np.ndarray | FieldFeatures) -> FieldFeatures:
        features = fields if isinstance(fields, FieldFeatures) else self.frame(fields)
        if len(features) != self.n:
            raise ValueError(
                f"{len(features)} fields given to a reference set for n={self.n}; ratios are only compared at equal n."
            )
        return features

    def band(self, curve: Callable[[np.ndarray], np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Median, 2.5% and 97.5% of a curve over fresh sets of ``n`` solver fields.

        The draws' blocks vary about the pool's own curve with a variance of ``S^2/n (1 - n/P)``, P the pool's size; a
        fresh set varies about it with ``S^2/n + S^2/P``. The draws' deviations from their median are therefore
        multiplied by the root of ``(1 + n/P) / (1 - n/P)``.

        Args:
            curve: from averaged rows ``(sets, columns)`` to curves ``(sets, points)``; see `Frame.part`.
        """
        curves = curve(self._block_means.reshape(-1, self.frame.columns))
        middle = np.median(curves, axis=0)
        low, high = central(curves)
        share = self.n / len(self.pool)
        widen = np.sqrt((1 + share) / (1 - share))
        return middle, middle + (low - middle) * widen, middle + (high - middle) * widen


def _batches(items: list[np.ndarray], size: int) -> Iterator[list[np.ndarray]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
