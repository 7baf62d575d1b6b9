"""Random relabellings: the null distribution of any statistic of samples against reference fields.

If samples and reference fields come from one distribution, and every one of them is independent, then which of them are
called samples does not matter: the statistic of the true labels is one draw among those of random labels, and its rank
is an exact p-value at any size (Fisher 1935; Phipson and Smyth 2010, Stat. Appl. Genet. Mol. Biol. 9, 39, for the count
of the true labels among the draws). One set of relabellings serves all statistics, so that the largest of them can be
ranked too (Westfall and Young 1993): tests that say the same thing count once.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy

import numpy as np
from jaxtyping import Float, Int, Shaped

EDGE = 0.99
"""Quantile of its own null that a standardised statistic has at 1."""


class Relabelling:
    """``draws`` random choices of ``samples`` among ``samples + references`` units, the true choice first.

    Args:
        samples, references: independent units on each side; samples come first in all arrays.
        draws: random relabellings; 5000 give p-values down to 0.0002.
        seed: of the relabellings.

    Raises:
        ValueError: fewer than two units on a side.
    """

    def __init__(self, samples: int, references: int, draws: int = 5000, seed: int = 0) -> None:
        if min(samples, references) < 2:
            raise ValueError(f"{samples} samples and {references} reference fields: a test needs two of each or more.")
        self.samples, self.references, self.draws = samples, references, draws
        total = samples + references
        rng = np.random.default_rng((seed, 31))
        self._labels = np.zeros((draws + 1, total), np.float32)
        self._labels[0, :samples] = 1
        for row in self._labels[1:]:
            row[rng.permutation(total)[:samples]] = 1
        # The same, unit by unit, for statistics of pairs.
        self._flags = np.ascontiguousarray(self._labels.T > 0)

    def fewer(self, draws: int) -> Relabelling:
        """The same relabellings, only the first ``draws`` of them: quicker, and coarser in its p-values."""
        few = copy(self)
        few.draws = min(draws, self.draws)
        few._labels = self._labels[: few.draws + 1]
        few._flags = np.ascontiguousarray(self._flags[:, : few.draws + 1])
        return few

    def sums(self, rows: Float[np.ndarray, "units d"]) -> Float[np.ndarray, "draws_and_one d"]:
        """Sum of rows over the units that are called samples."""
        return self._labels @ np.asarray(rows, np.float32)

    def deviations(self, rows: Shaped[np.ndarray, "units d"]) -> Float[np.ndarray, "draws_and_one d"]:
        """Difference of the means of samples and references, in its standard deviation over relabellings.

        The variance over all relabellings is known: ``S^2 N / (n m)`` with ``S^2`` that of all N units.
        """
        rows = np.asarray(rows, np.float64)
        centred = rows - rows.mean(axis=0)
        scale = centred.std(axis=0, ddof=1)
        centred = centred / np.where(scale > 0, scale, 1)
        n, m = self.samples, self.references
        return self.sums(centred) * np.sqrt((n + m) / (n * m))

    def means(
        self, rows: Float[np.ndarray, "units d"]
    ) -> tuple[Float[np.ndarray, "draws_and_one d"], Float[np.ndarray, "draws_and_one d"]]:
        """Means of the rows over what is called samples, and over what is called reference."""
        # About the mean, so that a large common part costs no digits.
        middle = np.asarray(rows).mean(axis=0, dtype=np.float64)
        sums = self.sums(rows - middle.astype(np.float32))
        return sums / self.samples + middle, -sums / self.references + middle

    def pairs_within(self, pairs: Int[np.ndarray, "pairs 2"]) -> Float[np.ndarray, " draws_and_one"]:
        """Number of pairs of which both ends are called samples, as ``2 sqrt(x + 3/8)``, so that its spread is even.

        The transformation of Anscombe (1948, Biometrika 35, 246) gives counts of rare events a variance of about 1.
        """
        both = self._flags[pairs[:, 0]] & self._flags[pairs[:, 1]]
        return 2 * np.sqrt(both.sum(axis=0, dtype=np.int64) + 0.375)


def p_value(statistic: Float[np.ndarray, " draws_and_one"]) -> float:
    """Share of the relabellings, the true labels among them, whose statistic is at least that of the true labels."""
    return float((statistic >= statistic[0]).mean())


def standardised(statistic: Float[np.ndarray, " draws_and_one"]) -> Float[np.ndarray, " draws_and_one"]:
    """The statistic on a scale on which its null has the median 0 and the 99% quantile 1.

    Raises:
        ValueError: the statistic is not a number somewhere.
    """
    if np.isnan(statistic).any():
        raise ValueError("a test statistic is not a number: the fields are constant, or too few to be compared.")
    return (statistic - np.median(statistic)) / scale_of(statistic)


def scale_of(statistic: Float[np.ndarray, " draws_and_one"]) -> float:
    """The distance from the median of a null to its 99% quantile; 1 where both are in one place, as for rare counts."""
    middle, edge = np.quantile(statistic, [0.5, EDGE])
    return float(edge - middle) if edge - middle > 1e-12 * max(1.0, abs(middle)) else 1.0


def largest(statistics: Mapping[str, Float[np.ndarray, " draws_and_one"]]) -> Float[np.ndarray, " draws_and_one"]:
    """The largest standardised statistic of every relabelling: the statistic of the joint test."""
    return np.max([standardised(one) for one in statistics.values()], axis=0)


def area_error(samples: int, references: int) -> float:
    """Standard deviation of the area under the ROC curve over relabellings (Mann and Whitney 1947)."""
    return float(np.sqrt((samples + references + 1) / (12 * samples * references)))
