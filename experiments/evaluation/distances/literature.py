"""Measures that the literature reports for generated fields and for surrogates of chaotic systems.

They stand beside the distances of `experiments.evaluation.distances.distribution`, so that results can be read next
to published ones; `docs/metrics.md` names two published ones that mislead. Each is a plain function of two sets.
`literature` takes all of them at once, beside what two sets of reference fields come to.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int, Real

from experiments.evaluation.distances.features import Frame
from experiments.evaluation.entries import Score
from experiments.evaluation.intervals import central
from experiments.evaluation.scores.neighbours import Neighbourhoods, squared_distances

BINS = 20
"""Bins of a joint histogram along each local feature."""
COORDINATES = 256
"""Coordinates of a field at most in its covariance matrix: others are left out, evenly over the field."""
PAIRED = 1024
"""Fields at most of which all pairs are compared."""


def frechet_distance(first: Float[np.ndarray, "n d"], second: Float[np.ndarray, "m d"]) -> float:
    """Squared Fréchet distance of the Gaussians with the sets' means and covariances, in squared units of the features.

    ``|m1 - m2|^2 + tr(C1 + C2 - 2 (C1^1/2 C2 C1^1/2)^1/2)`` (Dowson and Landau 1982, J. Multivar. Anal. 12, 450; of
    features of images: Heusel et al. 2017, arXiv:1706.08500). Biased upward by about ``d / n``: compare at equal n.
    """
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    one, two = (np.atleast_2d(np.cov(x, rowvar=False)) for x in (a, b))
    values, vectors = np.linalg.eigh(one)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    overlap = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ two @ root), 0)).sum()
    return float(((a.mean(axis=0) - b.mean(axis=0)) ** 2).sum() + np.trace(one) + np.trace(two) - 2 * overlap)


def energy_distance(neighbourhoods: Neighbourhoods) -> float:
    """Unbiased energy distance, in the unit of the features; 0 on average for sets of one distribution, so possibly
    negative.

    ``2 E|x - y| - E|x - x'| - E|y - y'|``, pairs of different members alone (Szekely and Rizzo 2013, J. Stat. Plan.
    Inference 143, 1249).
    """
    return -_unbiased(neighbourhoods, np.sqrt)


def kernel_statistic(neighbourhoods: Neighbourhoods, bandwidth: float) -> float:
    """Unbiased squared maximum mean discrepancy, without unit; 0 on average for sets of one distribution, so possibly
    negative.

    ``E k(x, x') + E k(y, y') - 2 E k(x, y)`` over pairs of different members, ``k = exp(-|x - y|^2 / (2 h^2))``
    (Gretton et al. 2012, JMLR 13, 723, eq. 3).

    Args:
        neighbourhoods: squared distances within and between the sets.
        bandwidth: h, in the unit of the features.
    """
    return _unbiased(neighbourhoods, lambda squares: np.exp(-squares / (2 * bandwidth**2)))


def _unbiased(sets: Neighbourhoods, kernel: Callable[[np.ndarray], np.ndarray]) -> float:
    """``E k(x, x') + E k(y, y') - 2 E k(x, y)`` over pairs of different members."""

    def within(squares: np.ndarray) -> float:
        values, n = kernel(squares), len(squares)
        return float((values.sum(dtype=np.float64) - np.trace(values)) / (n * (n - 1)))

    between = float(kernel(sets.between).mean(dtype=np.float64))
    return within(sets.samples) + within(sets.reference) - 2 * between


def covariance_error(first: Float[np.ndarray, "n d"], second: Float[np.ndarray, "m d"]) -> float:
    """Frobenius norm of the difference of the covariance matrices over that of the second's (Wan et al. 2023).

    arXiv:2305.15618, there ``covRMSE``; without unit.
    """
    one, two = (np.atleast_2d(np.cov(np.asarray(x, np.float64), rowvar=False)) for x in (first, second))
    return float(np.linalg.norm(one - two) / np.linalg.norm(two))


def log_energy_ratio(
    first: Float[np.ndarray, " shells"], second: Float[np.ndarray, " shells"], *, weighted: bool = False
) -> float:
    """Mean over shells of ``|log(E_first / E_second)|``, natural logarithm (Wan et al. 2023, arXiv:2305.15618: MELR).

    Args:
        first: mean energy of each shell, positive.
        second: of the reference.
        weighted: whether shells count by the reference's share of energy, instead of equally.
    """
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    gaps = np.abs(np.log(a) - np.log(b))
    return float(np.average(gaps, weights=b if weighted else None))


def histogram_distance(first: Real[np.ndarray, " cells"], second: Real[np.ndarray, " cells"]) -> float:
    """L1 distance of two histograms, ``sum |p - q|`` of their shares: 0 to 2 (Jiang et al. 2023, arXiv:2306.01187).

    There of the pooled local features (value, advection, tendency) of trajectories.

    Args:
        first: counts or shares of each cell.
        second: of the reference.
    """
    p, q = (np.asarray(x, np.float64) / np.sum(x) for x in (first, second))
    return float(np.abs(p - q).sum())


def local_features(
    fields: Float[np.ndarray, "n *grid c"],
    tendency: Float[np.ndarray, "n *grid c"],
    extent: tuple[float, ...],
) -> Float[np.ndarray, "n points features"]:
    """Value ``u``, advection ``u du/dx`` along the first axis and tendency ``du/dt`` of each channel at every point.

    Args:
        fields: on a periodic grid, physical units.
        tendency: du/dt of the same fields by the equation.
        extent: lengths of the box, physical.
    """
    fields = np.asarray(fields, np.float32)
    points = fields.shape[1]
    waves = 2j * np.pi / extent[0] * np.fft.rfftfreq(points, 1 / points)
    if points % 2 == 0:
        waves[-1] = 0  # the derivative of the wave at the Nyquist wavenumber cannot be distinguished from 0
    waves = waves.reshape(-1, *(1,) * (fields.ndim - 2))
    slope = np.fft.irfft(np.fft.rfft(fields, axis=1) * waves, n=points, axis=1)
    parts = [x.reshape(len(fields), -1, fields.shape[-1]) for x in (fields, fields * slope, np.asarray(tendency))]
    return np.concatenate(parts, axis=-1).astype(np.float32)


def cells(
    local: Float[np.ndarray, "n points features"],
    reference: Float[np.ndarray, "m points_too features"],
    bins: int = BINS,
) -> Int[np.ndarray, "n points"]:
    """Cell of a joint histogram, ``bins`` along each feature over the reference's range, values beyond at its ends."""
    low, high = reference.min(axis=(0, 1)), reference.max(axis=(0, 1))
    index = ((local - low) / np.maximum(high - low, 1e-30) * bins).clip(0, bins - 1).astype(np.int64)
    return index @ (bins ** np.arange(local.shape[-1]))


DEFINITIONS: dict[str, tuple[str, str]] = {
    "frechet": ("squared Fréchet distance on physical features (Heusel et al. 2017)", "squared standard deviations"),
    "energy_distance": (
        "unbiased energy distance on physical features (Szekely and Rizzo 2013)",
        "standard deviations",
    ),
    "mmd_unbiased": (
        "unbiased squared maximum mean discrepancy on physical features, Gaussian kernel of the median distance "
        "(Gretton et al. 2012)",
        "",
    ),
    "precision": (
        "share of samples within the ball of a reference field to its third neighbour (Kynkäänniemi et al. 2019)",
        "",
    ),
    "recall": (
        "share of reference fields within the ball of a sample to its third neighbour (Kynkäänniemi et al. 2019)",
        "",
    ),
    "density": ("reference balls to the fifth neighbour around a sample, over 5 (Naeem et al. 2020)", ""),
    "coverage": ("share of reference balls to the fifth neighbour with a sample inside (Naeem et al. 2020)", ""),
    "covariance_error": ("relative Frobenius error of the fields' covariance matrix (Wan et al. 2023)", ""),
    "log_energy_ratio": ("mean |log ratio| of the energy over the resolved shells (Wan et al. 2023)", ""),
    "log_energy_ratio_weighted": (
        "mean |log ratio| of the energy over the shells, weighted by energy (Wan et al. 2023)",
        "",
    ),
    "histogram_l1": (
        f"L1 distance of joint histograms of value, advection and tendency, {BINS} bins each (Jiang et al. 2023)",
        "",
    ),
}
"""Definition and unit of each entry of `literature`."""


def literature(
    samples: Float[np.ndarray, "n *grid c"],
    pool: Float[np.ndarray, "p *grid c"],
    features: tuple[Float[np.ndarray, "rows d"], Float[np.ndarray, "pool_rows d"]],
    *,
    frame: Frame,
    tendencies: tuple[Float[np.ndarray, "n *grid c"], Float[np.ndarray, "p *grid c"]] | None = None,
    draws: int = 50,
    seed: int = 0,
) -> dict[str, Score]:
    """Every measure of this module for samples against reference fields, beside the reference against itself.

    A value compares the n samples with n reference fields; a draw of the band does so for two disjoint sets of n
    reference fields. The target is the draws' median, the band holds 95% of them. Measures of pairs (energy distance,
    kernel statistic, precision, recall, density, coverage) take at most `PAIRED` fields of each set.

    Args:
        samples: n fields, physical units.
        pool: reference fields, one from each independent trajectory, held out from training; ``p >= 2 n``.
        features: rows of numbers for samples and pool, in the order of both, for example
            `experiments.evaluation.two_sample.physical_features.PhysicalFeatures`; divided here by the pool's standard
            deviation.
        frame: the ruler of shells and their energy, for instance `ReferenceSet.frame`; energies are left out where it
            is not of homogeneous fields.
        tendencies: du/dt of samples and of the pool, for the histogram; left out where None or where fields are not
            homogeneous.
        draws: of the band, 50 or more.
        seed: of the draws.

    Returns:
        name -> score, the names those of `DEFINITIONS`.

    Raises:
        ValueError: too small a pool, too few draws, or rows that do not match the fields.
    """
    n, size = len(samples), len(pool)
    if size < 2 * n or draws < 50:
        raise ValueError(
            f"{size} reference fields and {draws} draws: the band needs at least {2 * n} fields and 50 draws."
        )
    if (len(features[0]), len(features[1])) != (n, size):
        raise ValueError(
            f"{len(features[0])} and {len(features[1])} rows of features for {n} samples and {size} reference fields; "
            "give one row for each."
        )
    centre, scale = features[1].mean(axis=0), features[1].std(axis=0)
    standard = np.concatenate([(f - centre) / np.where(scale > 0, scale, 1.0) for f in features]).astype(np.float32)
    fields = np.concatenate([np.asarray(x, np.float32).reshape(len(x), -1) for x in (samples, pool)])
    vectors = fields[:, np.unique(np.linspace(0, fields.shape[1] - 1, COORDINATES).astype(int))]
    energies = np.concatenate([frame.energy(x) for x in (samples, pool)]) if frame.homogeneous else None
    local = None
    if tendencies is not None and frame.homogeneous:
        ours, theirs = (local_features(x, t, frame.extent) for x, t in zip((samples, pool), tendencies))
        channels = frame.channels
        # One joint histogram for each channel: value, advection and tendency stand a channel count apart.
        local = np.stack(
            [np.concatenate([cells(x[..., c::channels], theirs[..., c::channels]) for x in (ours, theirs)])
             for c in range(channels)]
        )  # fmt: skip
    paired = min(n, PAIRED)
    probe = squared_distances(standard[n : n + paired], standard[n : n + paired])
    bandwidth = float(np.sqrt(np.median(probe[np.triu_indices(paired, 1)])))

    def measured(one: np.ndarray, two: np.ndarray) -> dict[str, float]:
        """All measures of two sets of rows, each given as row numbers of samples and pool together."""
        sets = Neighbourhoods.of(standard[one[:paired]], standard[two[:paired]])
        found = {
            "frechet": frechet_distance(standard[one], standard[two]),
            "energy_distance": energy_distance(sets),
            "mmd_unbiased": kernel_statistic(sets, bandwidth),
            "precision": sets.precision(),
            "recall": sets.recall(),
            "density": sets.density(),
            "coverage": sets.coverage(),
            "covariance_error": covariance_error(vectors[one], vectors[two]),
        }
        if energies is not None:
            first, second = (energies[rows].mean(axis=0, dtype=np.float64) for rows in (one, two))
            for name, weighted in (("log_energy_ratio", False), ("log_energy_ratio_weighted", True)):
                ratios = [
                    log_energy_ratio(a[1 : top + 1], b[1 : top + 1], weighted=weighted)
                    for a, b, top in zip(first, second, frame.resolved)
                ]
                found[name] = float(np.mean(ratios))
        if local is not None:
            count = BINS**3
            gaps = [
                histogram_distance(*(np.bincount(cell[rows].ravel(), minlength=count) for rows in (one, two)))
                for cell in local
            ]
            found["histogram_l1"] = float(np.mean(gaps))
        return found

    rng = np.random.default_rng((seed, 12))
    reference = [n + rng.permutation(size)[: 2 * n] for _ in range(draws)]
    null = [measured(rows[:n], rows[n:]) for rows in reference]
    values = measured(rng.permutation(n), reference[0][n:])
    scores = {}
    for name, value in values.items():
        drawn = np.array([one[name] for one in null])
        low, high = central(drawn)
        definition, unit = DEFINITIONS[name]
        scores[name] = Score(definition, unit, value, float(np.median(drawn)), (float(low), float(high)))
    return scores
