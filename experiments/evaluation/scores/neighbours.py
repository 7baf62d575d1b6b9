"""Nearest neighbours modulo shifts and reflections: is the set as varied as the solver's, and is it more than
the training data?

Two fields that differ by a symmetry of the system are the same state. The distance used here is the smallest
over the symmetry group,

    d(u, v)^2 = min over g, s of mean |u - T_s g v|^2 = (|u|^2 + |v|^2 - 2 max_{g,s} <u, T_s g v>) / size,

fields divided by each channel's standard deviation, all shifts ``s`` at once from one inverse FFT of
``conj(u^) v^``. A search through many fields is exact and skips most of them, because the amplitude spectra,
blind to shifts, bound it from below: ``d(u, v) >= | |u^| - |v^| |``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float
from scipy import stats

from experiments.evaluation.entries import Score
from experiments.evaluation.intervals import central
from experiments.reporting import Report
from gan.augmentation import ArraySymmetries, MoveLike, SymmetriesLike

MEMORISED = 0.05
"""Share of held-out solver fields that count as near to the training data, by definition."""
MOST_NEIGHBOURS = 5
"""Neighbours that are searched."""


def mirrored(fields: np.ndarray, symmetries: SymmetriesLike, *, shifts: bool = True) -> list[np.ndarray]:
    """Fields under every combination of reflections and moves, the identity first; other shifts are left to the FFT.

    Args:
        fields: ``(n, *grid, c)``.
        symmetries: of them.
        shifts: whether images that differ by a shift alone are made too.
    """
    images = [fields]
    for reflection in symmetries.reflections:
        axis, signs = 1 + reflection.axis, np.asarray(reflection.signs, fields.dtype)
        images += [np.roll(np.flip(f, axis), 1, axis) * signs for f in images]
    for move in symmetries.moves:
        turns = move.order if shifts and move.shifted is not None else 2
        if turns == 2 and not move.mirrored and min(move.signs) > 0:
            continue
        images = [_moved(f, move, times, shifts=shifts) for times in range(turns) for f in images]
    return images


def _moved(fields: np.ndarray, move: MoveLike, times: int, *, shifts: bool) -> np.ndarray:
    """The fields after a move was made so many times, or only its mirror images and signs."""
    if times % 2:
        for axis in move.mirrored:
            fields = np.roll(np.flip(fields, 1 + axis), 1, 1 + axis)
        fields = fields * np.asarray(move.signs, fields.dtype)
    if not shifts or move.shifted is None:
        return fields
    axis = 1 + move.shifted
    return np.roll(fields, times * (fields.shape[axis] // move.order), axis)


class _Spectra:
    """Fields as transforms along the shifted axes, scaled so that sums of products are means over the field."""

    def __init__(self, fields: np.ndarray, scale: np.ndarray, symmetries: SymmetriesLike) -> None:
        fields = np.asarray(fields, np.float32) / np.asarray(scale, np.float32)
        self.axes = tuple(1 + a for a in symmetries.shift_axes)
        self.lengths = tuple(fields.shape[a] for a in self.axes)
        self.size = fields[0].size
        self.norms = (fields**2).reshape(len(fields), -1).mean(axis=1, dtype=np.float64)
        self.images = [self._transform(f) for f in mirrored(fields, symmetries)]

    def _transform(self, fields: np.ndarray) -> np.ndarray:
        """``(n, fixed points and channels, *modes)``, complex where there are shifts."""
        moved = np.moveaxis(fields, self.axes, range(-len(self.axes), 0)) if self.axes else fields
        flat = moved.reshape(len(fields), -1, *self.lengths)
        return np.fft.rfftn(flat, axes=range(2, flat.ndim)) if self.axes else flat

    def amplitudes(self, image: int) -> np.ndarray:
        """Rows whose Euclidean distances bound the distances of the fields from below."""
        if not self.axes:
            return self.images[image].reshape(len(self.norms), -1) / np.sqrt(self.size)
        hat = self.images[image]
        weight = np.full(hat.shape[-1], 2.0)
        weight[0] = 1.0
        if self.lengths[-1] % 2 == 0:
            weight[-1] = 1.0
        scale = np.sqrt(weight / np.prod(self.lengths) / self.size).astype(np.float32)
        return (np.abs(hat) * scale).reshape(len(hat), -1)

    def overlap(self, one: np.ndarray, image: int, which: np.ndarray | slice) -> np.ndarray:
        """Largest mean product over all shifts of one transformed field with some of these."""
        many = self.images[image][which]
        product = (np.conj(one)[None] * many).sum(axis=1)
        if not self.axes:
            return product / self.size
        shifted = np.fft.irfftn(product, s=self.lengths, axes=range(1, product.ndim))
        return shifted.reshape(len(shifted), -1).max(axis=1) / self.size


def pairwise(
    fields: Float[np.ndarray, "n *grid c"], scale: np.ndarray, symmetries: SymmetriesLike
) -> Float[np.ndarray, "n n"]:
    """All distances modulo the symmetry within one set, ``(n, n)``, in standard deviations per point."""
    spectra = _Spectra(fields, scale, symmetries)
    n = len(fields)
    best = np.zeros((n, n))
    for i in range(n):
        overlaps = [spectra.overlap(spectra.images[0][i], g, slice(i, n)) for g in range(len(spectra.images))]
        best[i, i:] = np.max(overlaps, axis=0)
        best[i:, i] = best[i, i:]
    np.fill_diagonal(best, spectra.norms)
    return np.sqrt(np.maximum(spectra.norms[:, None] + spectra.norms[None, :] - 2 * best, 0.0))


def nearest(
    queries: Float[np.ndarray, "q *grid c"],
    bank: Float[np.ndarray, "b *grid c"],
    scale: np.ndarray,
    symmetries: SymmetriesLike,
    *,
    progress: Report | None = None,
    what: str = "nearest training fields",
) -> tuple[Float[np.ndarray, " q"], np.ndarray]:
    """Distance of each query to its nearest field of the bank modulo the symmetry, and which field that is.

    Exact: fields are visited in the order of a lower bound, until the bound passes the best found.
    """
    settings, held = (
        _Spectra(queries, scale, ArraySymmetries(tuple(symmetries.shift_axes))),
        _Spectra(bank, scale, symmetries),
    )
    b = len(bank)
    bounds = np.concatenate(
        [_squared(settings.amplitudes(0), held.amplitudes(g)) for g in range(len(held.images))], axis=1
    )
    distances, indices = np.empty(len(queries)), np.empty(len(queries), int)
    for q in range(len(queries)):
        best, where, start, size = np.inf, 0, 0, 16
        order = np.argsort(bounds[q])
        while start < len(order) and bounds[q, order[start]] < best + 1e-6:
            chunk = order[start : start + size]
            for g in range(len(held.images)):
                which = chunk[chunk // b == g] % b
                if len(which):
                    overlap = held.overlap(settings.images[0][q], g, which)
                    squared = settings.norms[q] + held.norms[which] - 2 * overlap
                    i = int(np.argmin(squared))
                    if squared[i] < best:
                        best, where = float(squared[i]), int(which[i])
            start, size = start + size, min(4 * size, 1024)
        distances[q], indices[q] = np.sqrt(max(best, 0.0)), where
        if progress is not None and (q + 1) % 32 == 0:
            progress(q + 1, len(queries), what)
    return distances, indices


def _squared(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a**2).sum(1)[:, None] + (b**2).sum(1)[None, :] - 2 * a @ b.T


def affordable(points: int, images: int, most: int = 512) -> int:
    """Fields whose pairwise distances cost about a second of transforms on one core."""
    return int(np.clip(np.sqrt(5e7 / (points * images)), 32, most))


def _within(matrix: np.ndarray, which: np.ndarray) -> float:
    block = matrix[np.ix_(which, which)].copy()
    np.fill_diagonal(block, np.inf)
    return float(block.min(axis=1).mean())


def diversity(
    samples: Float[np.ndarray, "n *grid c"],
    solver: Float[np.ndarray, "m *grid c"],
    *,
    scale: np.ndarray,
    symmetries: SymmetriesLike,
    fields: int | None = None,
    draws: int = 200,
    seed: int = 0,
) -> Score:
    """Mean distance from a field to its nearest neighbour in its own set, over the same for solver fields: target 1.

    Copies, or clumps around a few patterns (at whatever shift), bring it towards 0; noise on the fields lifts
    it above 1.

    Args:
        samples: generated fields; a random subset of ``fields`` of them is used.
        solver: held-out solver fields; ``2 fields`` of them are used.
        scale: standard deviation of each channel ``(channels,)``.
        symmetries: shifts and reflections between states of equal probability, as
            `gan.augmentation.ArraySymmetries`.
        fields: set size; default as many as cost about a second, at most half the solver fields.
        draws: random halvings of the solver fields that give the null band.
        seed: of subsets and halvings.

    Returns:
        The score. Its band holds the values of fresh solver sets of ``fields`` fields, beside the same mean of the
        solver's.

    """
    rng = np.random.default_rng((seed, 4))
    images = len(mirrored(samples[:1], symmetries))
    if fields is None:
        fields = affordable(int(np.prod(samples.shape[1:])), images)
    fields = min(fields, len(samples), len(solver) // 2)
    own = pairwise(samples[rng.permutation(len(samples))[:fields]], scale, symmetries)
    reference = pairwise(solver[rng.permutation(len(solver))[: 2 * fields]], scale, symmetries)
    halves = np.array([_within(reference, rng.permutation(2 * fields)[:fields]) for _ in range(draws)])
    middle = float(halves.mean())
    # A half of 2 n fields varies about their mean with the variance V/n (1 - 1/2), a fresh set with V/n (1 + 1/2).
    low, high = (1 + (central(np.asarray(halves)) / middle - 1) * np.sqrt(3)).tolist()
    value = _within(own, np.arange(fields)) / middle
    return Score(
        f"mean distance of {fields} fields to the nearest other one, modulo symmetries, over that of reference fields",
        "",
        float(value),
        1.0,
        (low, high),
    )


def memorization(
    samples: Float[np.ndarray, "n *grid c"],
    solver: Float[np.ndarray, "m *grid c"],
    training: Float[np.ndarray, "b *grid c"],
    *,
    scale: np.ndarray,
    symmetries: SymmetriesLike,
    fields: int | None = None,
    bank: int | None = None,
    seed: int = 0,
    progress: Report | None = None,
) -> Score:
    """Share of samples that lie nearer to the training data than all but 5% of held-out solver fields do: target 0.05.

    Training fields copied outright, shifted or mirrored, count in full: a generator that repeats a tenth of its
    training set comes to about 0.145.

    Args:
        samples, solver, scale, symmetries, seed: as in `diversity`.
        training: the training fields, physical units; a random ``bank`` of them is searched.
        fields: queries from either side; default by cost, at most 512.
        bank: training fields searched; default by cost, at most 16384. A sample that copies a field outside
            the bank is missed, so the smaller the share of the training data searched, which the definition of the
            score names, the weaker the score.
        progress: called with (done, total, what).

    Returns:
        The score. The threshold is the k-th smallest of M held-out distances, so that the count of samples below it
        is beta-binomial where samples are solver fields: the band is exact, whatever the distribution of the distances.

    """
    rng = np.random.default_rng((seed, 5))
    points = int(np.prod(samples.shape[1:]))
    fields = affordable(points, 1) if fields is None else fields
    fields = min(fields, len(samples), len(solver) // 2)
    if bank is None:
        bank = int(np.clip(2e9 / (points * fields), 64, 16384))
    bank = min(bank, len(training))
    held = np.asarray(training[np.sort(rng.permutation(len(training))[:bank])])
    queries = np.concatenate(
        [
            solver[rng.permutation(len(solver))[: 2 * fields]],
            samples[rng.permutation(len(samples))[:fields]],
        ]
    )
    distances, _ = nearest(queries, held, scale, symmetries, progress=progress)
    heldout, own = np.sort(distances[: 2 * fields]), distances[2 * fields :]
    rank = max(1, round(MEMORISED * (2 * fields + 1)))
    below = stats.betabinom(fields, rank, 2 * fields + 1 - rank)
    searched = "" if bank == len(training) else f", of which {bank / len(training):.0%} were searched"
    return Score(
        f"share of {fields} samples nearer to the training fields{searched} than all but {MEMORISED:.0%} of held-out "
        "solver fields are, modulo symmetries",
        "",
        float(np.mean(own < heldout[rank - 1])),
        rank / (2 * fields + 1),
        (float(below.ppf(0.025)) / fields, float(below.ppf(0.975)) / fields),
    )


@dataclass(frozen=True, eq=False)
class Neighbourhoods:
    """Squared Euclidean distances within and between two sets of descriptors, and what k-th neighbours say of them.

    The ball of a member reaches to its k-th nearest other member of its own set.

    Attributes:
        samples: within the samples (n, n).
        reference: within the reference (m, m).
        between: from samples to reference (n, m).
    """

    samples: np.ndarray
    reference: np.ndarray
    between: np.ndarray

    @classmethod
    def of(cls, samples: Float[np.ndarray, "n d"], reference: Float[np.ndarray, "m e"]) -> Neighbourhoods:
        """Compare two sets of descriptors, coordinates in which fields that are alike are near.

        Raises:
            ValueError: descriptors of different lengths, or fewer than two of either set.
        """
        if samples.shape[1] != reference.shape[1] or min(len(samples), len(reference)) < 2:
            raise ValueError(
                f"descriptors of shapes {samples.shape} and {reference.shape}: give two or more of each set, "
                "all of one length."
            )
        return cls(
            squared_distances(samples, samples),
            squared_distances(reference, reference),
            squared_distances(samples, reference),
        )

    @cached_property
    def _near_samples(self) -> np.ndarray:
        return _nearest_others(self.samples)

    @cached_property
    def _near_reference(self) -> np.ndarray:
        return _nearest_others(self.reference)

    def precision(self, neighbours: int = 3) -> float:
        """Share of samples within the ball of a reference member (Kynkäänniemi et al. 2019, arXiv:1904.06991)."""
        return float((self.between <= _radius(self._near_reference, neighbours)[None, :]).any(axis=1).mean())

    def recall(self, neighbours: int = 3) -> float:
        """Share of reference members within the ball of a sample (Kynkäänniemi et al. 2019, arXiv:1904.06991)."""
        return float((self.between <= _radius(self._near_samples, neighbours)[:, None]).any(axis=0).mean())

    def density(self, neighbours: int = 5) -> float:
        """Number of reference balls around a sample, over k, on average (Naeem et al. 2020, arXiv:2002.09797).

        About 1 for sets of one distribution and size; it may exceed 1.
        """
        inside = self.between <= _radius(self._near_reference, neighbours)[None, :]
        return float(inside.sum(axis=1).mean() / neighbours)

    def coverage(self, neighbours: int = 5) -> float:
        """Share of reference balls with a sample inside (Naeem et al. 2020, arXiv:2002.09797)."""
        return float((self.between <= _radius(self._near_reference, neighbours)[None, :]).any(axis=0).mean())


def squared_distances(a: Float[np.ndarray, "n d"], b: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "n m"]:
    """Squared Euclidean distances of all pairs of rows."""
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    centre = second.mean(axis=0)
    # Far from the origin the products would lose the differences.
    return np.maximum(_squared(first - centre, second - centre), 0.0)


def _nearest_others(within: np.ndarray) -> np.ndarray:
    """Squared distances of every member to its `MOST_NEIGHBOURS` nearest other members, in order."""
    others = within.copy()
    np.fill_diagonal(others, np.inf)
    count = min(MOST_NEIGHBOURS, len(within) - 1)
    return np.sort(np.partition(others, count - 1, axis=1)[:, :count], axis=1)


def _radius(near: np.ndarray, neighbours: int) -> np.ndarray:
    """Squared distance of every member to its k-th nearest other member."""
    if not 1 <= neighbours <= near.shape[1]:
        raise ValueError(f"no {neighbours}-th neighbours were searched; use 1 to {near.shape[1]}.")
    return near[:, neighbours - 1]
