"""The validation metric, a cheap distance of samples to held-out fields that picks the best checkpoint, and variety.

The metric must have power at the few thousand samples that a training can spare. Projections of whole fields on random
directions have little: they sum over so many points that nearly all of them look Gaussian, and a Gaussian field with
the data's spectrum passes for the data. Values, increments and local filters see few points at a time, keep what is not
Gaussian, and are pooled over all points of all fields.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import EllipsisType

import numpy as np
from jaxtyping import Float

from gan.normalizer import SampleNormalizer

DIRECTIONS = 64
"""Random directions along which whole fields are projected."""
FILTERS = 8
"""Random linear filters over patches of `FILTER_WIDTH` points along each axis."""
FILTER_WIDTH = 5
POOLED = 2**17
"""Values of one quantity that are compared at most: more cost time and lower a floor that is small already."""


def sliced_wasserstein(first: Float[np.ndarray, " n *shape"], second: Float[np.ndarray, "..."], seed: int = 0) -> float:
    """Return the sliced Wasserstein-1 distance of two sets of equal size, in the unit of the fields.

    Mean over `DIRECTIONS` random unit directions of the Wasserstein-1 distance of the projections (Bonneel et al.
    2015).

    Args:
        first: the samples.
        second: the fields.
        seed: of the directions; the same seed makes values comparable.

    Raises:
        ValueError: the sets differ in shape.
    """
    _check_shapes(first, second)
    a, b = (np.asarray(x, np.float32).reshape(len(x), -1) for x in (first, second))
    lines = np.random.default_rng(seed).standard_normal((a.shape[1], DIRECTIONS)).astype(np.float32)
    lines /= np.linalg.norm(lines, axis=0)
    return float(_wasserstein((a @ lines).T, (b @ lines).T).mean())


def mean_wasserstein(first: Float[np.ndarray, "n *grid c"], second: Float[np.ndarray, "..."], seed: int = 0) -> float:
    """Return the Wasserstein-1 distance of two sets of normalised fields, averaged over many quantities.

    The quantities are those of `local_quantities`, each pooled over the points of all fields and divided by its
    standard deviation over ``second``, and, as one more, the projections of whole fields (`sliced_wasserstein`), which
    alone know where on the grid a value stands. Points, which have no grid, have the projections alone.

    Args:
        first: the samples, normalised; all axes between the first and the last are of the grid or time.
        second: as many held-out fields.
        seed: of directions, filters and places; the same seed makes values comparable.

    Raises:
        ValueError: the sets differ in shape.
    """
    _check_shapes(first, second)
    a, b = (np.asarray(x, np.float32) for x in (first, second))
    terms = [sliced_wasserstein(a, b, seed)]
    if a.ndim > 2:
        for ours, theirs in zip(local_quantities(a, seed), local_quantities(b, seed)):
            scale = theirs.std(axis=1, dtype=np.float64)
            terms.extend(_wasserstein(ours, theirs) / np.where(scale > 0, scale, 1.0))
    return float(np.mean(terms))


def local_quantities(
    fields: Float[np.ndarray, "n *grid c"], seed: int = 0
) -> Iterator[Float[np.ndarray, "quantities count"]]:
    """Yield quantities that depend on few neighbouring points, pooled over fields and points.

    - the values of each channel;
    - the increments of each channel along each axis over 1, 2, 4, ... points, up to half the axis;
    - `FILTERS` linear filters with random normal weights over patches of `FILTER_WIDTH` points along each axis and all
      channels.

    Fields are not continued beyond the ends of an axis, so that any boundary will do. Where there are more than
    `POOLED` places, as many random ones are taken, the same for all sets of one shape.

    Args:
        fields: with at least one axis between the first and the last.
        seed: of filters and places.
    """
    rng = np.random.default_rng(seed)

    def places(view: np.ndarray) -> tuple[np.ndarray, ...] | EllipsisType:
        shape = view.shape[: fields.ndim - 1]
        count = int(np.prod(shape))
        return ... if count <= POOLED else np.unravel_index(rng.integers(count, size=POOLED), shape)

    def rows(values: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(values.reshape(-1, values.shape[-1]).T)

    yield rows(fields[places(fields)])
    grid = range(1, fields.ndim - 1)
    for axis in grid:
        along = np.moveaxis(fields, axis, 1)
        for power in range(int(np.log2(max(along.shape[1] // 2, 1))) + 1):
            ahead, behind = along[:, 2**power :], along[:, : -(2**power)]
            if ahead.size:
                where = places(ahead)
                yield rows(ahead[where] - behind[where])
    widths = [min(FILTER_WIDTH, fields.shape[axis]) for axis in grid]
    patches = np.lib.stride_tricks.sliding_window_view(fields, widths, axis=tuple(grid))
    chosen = patches[places(patches)]
    size = int(np.prod(widths)) * fields.shape[-1]
    yield rows(chosen.reshape(-1, size) @ rng.standard_normal((size, FILTERS)).astype(np.float32))


def normalized_distance(samples: np.ndarray, fields: np.ndarray, normalizer: SampleNormalizer) -> float:
    """Return the validation metric: `mean_wasserstein` of normalised fields, at the size of the smaller set."""
    count = min(len(samples), len(fields))
    return mean_wasserstein(
        np.asarray(normalizer.normalize(samples[:count])), np.asarray(normalizer.normalize(fields[:count]))
    )


def _wasserstein(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Wasserstein-1 distance of equally many numbers, row by row."""
    gap = np.sort(first, axis=1) - np.sort(second, axis=1)
    return np.abs(gap).mean(axis=1, dtype=np.float64)


def _check_shapes(first: np.ndarray, second: np.ndarray) -> None:
    if first.shape != second.shape:
        raise ValueError(f"A Wasserstein distance needs two sets of one shape, got {first.shape} and {second.shape}.")


VARIETY_SAMPLES = 512
NEIGHBOURS = 5


def effective_rank(rows: np.ndarray) -> float:
    """Return the exponential of the entropy of the shares of variance along the principal axes (Roy and Vetterli 2007).

    Their effective rank of the covariance matrix, whose singular values are the variances. It is d for d equally strong
    directions and 1 for a line; never more than the count of rows less one.

    Args:
        rows: (n, numbers).
    """
    centred = np.asarray(rows, np.float64) - np.mean(rows, axis=0, dtype=np.float64)
    gram = centred @ centred.T if len(rows) <= rows.shape[1] else centred.T @ centred
    shares = np.maximum(np.linalg.eigvalsh(gram), 0.0)
    if not shares.sum() > 0:
        return 0.0
    shares = shares[shares > 1e-12 * shares.max()] / shares.sum()
    return float(np.exp(-np.sum(shares * np.log(shares))))


def neighbourhood_coverage(samples: np.ndarray, fields: np.ndarray, neighbours: int = NEIGHBOURS) -> float:
    """Return the share of fields with a sample nearer than their k-th other field (Naeem et al. 2020).

    Args:
        samples: (n, numbers).
        fields: (m, numbers), m > k.
        neighbours: k.
    """

    def squares(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return np.sum(first**2, axis=1)[:, None] + np.sum(second**2, axis=1)[None, :] - 2.0 * first @ second.T

    samples, fields = np.asarray(samples, np.float64), np.asarray(fields, np.float64)
    among = squares(fields, fields)
    np.fill_diagonal(among, np.inf)
    radius = np.partition(among, neighbours - 1, axis=1)[:, neighbours - 1]
    return float(np.mean(squares(fields, samples).min(axis=1) <= radius))


def variety(samples: np.ndarray, fields: np.ndarray, normalizer: SampleNormalizer) -> dict[str, float]:
    """Return effective rank and coverage of at most 512 samples beside as many held-out fields, normalised."""
    count = min(len(samples), len(fields), VARIETY_SAMPLES)
    if count <= NEIGHBOURS:
        return {}
    drawn, held = (np.asarray(normalizer.normalize(x[:count])).reshape(count, -1) for x in (samples, fields))
    return {
        "effective_rank": effective_rank(drawn),
        "effective_rank_held_out": effective_rank(held),
        "coverage": neighbourhood_coverage(drawn, held),
    }
