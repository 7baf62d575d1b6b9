"""What a generator is worth in solver fields: how many of them describe the distribution as well as its samples do.

A generator that was trained on N fields adds something only if its samples describe the distribution better than those
N fields do themselves (Butter et al. 2021, SciPost Phys. 10, 139, who call it amplification). Measured on the means of
physical features and of their squares: that of n independent solver fields is off by n^-1/2 standard deviations of one
field in root mean square, whatever the distribution. The error that the samples keep however many are drawn, their bias
b, is estimated without the part that the finite sets on both sides add; the generator is worth 1 / b^2 solver fields.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from experiments.evaluation.results import Worth

RESAMPLES = 200
SMALLEST, LARGEST = 64, 2**17
_MEANING = (
    "root mean square, over all physical features and their squares, of the error of their mean, in standard "
    "deviations of one field"
)


def worth(
    generated: Float[np.ndarray, "n d"],
    solver: Float[np.ndarray, "m d"],
    trained_on: int,
    *,
    fields: str = "solver fields",
    seed: int = 0,
) -> Worth:
    """Compare samples with solver fields by number.

    Args:
        generated: features of generated fields; the more, the sharper the answer.
        solver: features of held-out solver fields, one per trajectory; the same holds.
        trained_on: independent trajectories that the generator was trained on.
        fields: what the solver's fields are called, where no solver made them.
        seed: of the resamplings.
    """
    middle, std = solver.mean(axis=0), np.maximum(solver.std(axis=0), 1e-12)

    def moments(rows: np.ndarray) -> np.ndarray:
        # Far outliers say nothing about a mean over few fields.
        standard = np.clip((rows - middle) / std, -6, 6)
        both = np.concatenate([standard, standard**2], axis=1)
        return both.astype(np.float32)

    ours, theirs = moments(generated), moments(solver)
    spread = theirs.std(axis=0)
    kept = spread > 1e-6
    ours, theirs = ours[:, kept] / spread[kept], theirs[:, kept] / spread[kept]
    n, m = len(ours), len(theirs)
    # What the two finite sets add to the squared difference of means; the samples' own spread may be another.
    noise = float(np.mean(ours.var(axis=0, ddof=1)) / n + 1 / m)
    bias = float(np.mean((ours.mean(axis=0) - theirs.mean(axis=0)) ** 2)) - noise
    rng = np.random.default_rng((seed, 41))

    def resampled(rows: np.ndarray) -> np.ndarray:
        weights = rng.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=RESAMPLES)
        return weights.astype(np.float32) @ rows / len(rows)

    # Resampling adds the noise of the two sets once more.
    copies = np.mean((resampled(ours) - resampled(theirs)) ** 2, axis=1) - 2 * noise
    low, high = (float(q) for q in np.quantile(copies, [0.025, 0.975]))
    counts = np.unique(np.rint(np.geomspace(SMALLEST, LARGEST, 12)).astype(int))
    return Worth(
        distance=_MEANING,
        unit="standard deviations",
        count=tuple(int(one) for one in counts),
        value=tuple(float(one) ** -0.5 for one in counts),
        generator=float(np.sqrt(max(bias, 0.0))),
        generated=n,
        trained_on=trained_on,
        equals=1 / bias if bias > 0 else None,
        interval=(1 / high if high > 0 else None, 1 / low if low > 0 else None),
        fields=fields,
    )


def energy_parts(virtual: Float[np.ndarray, "n d"], real: Float[np.ndarray, "m d"]) -> tuple[float, float]:
    """Return the squared energy distance of two laws and the mean distance of two real runs, both without bias.

    The squared energy distance is 2 E|X - Y| - E|X - X'| - E|Y - Y'| (Szekely and Rizzo 2013, J. Stat. Plan. Inference
    143, 1249). Estimated by means over different pairs, it may be negative where the laws are alike.

    Raises:
        ValueError: fewer than two runs on a side.

    Example:
        >>> energy_parts(np.array([[0.0], [2.0]]), np.array([[0.0], [2.0]]))
        (-2.0, 2.0)
    """
    from scipy.spatial.distance import cdist, pdist

    if min(len(virtual), len(real)) < 2:
        raise ValueError("at least two runs are needed on each side.")
    spread = float(pdist(real).mean())
    return 2 * float(cdist(virtual, real).mean()) - float(pdist(virtual).mean()) - spread, spread


def runs_worth(distances: Float[np.ndarray, " s"], spreads: Float[np.ndarray, " s"], most: float | int) -> float:
    """Return how many real runs at each setting are as near to the true law as virtual ones, by the energy distance.

    The empirical law of n independent runs has the expected squared energy distance E|Y - Y'| / n from the law they
    come from, whatever that law is: 2 E|Y_i - Y| is twice E|Y - Y'|, and the mean over all pairs of the n runs, of
    which n are a run with itself, is (1 - 1/n) E|Y - Y'|. So a generator at the mean relative distance r is worth 1 /
    r runs.

    Args:
        distances: squared, of each setting, from `energy_parts`.
        spreads: mean distance of two real runs at each setting.
        most: what the draws at hand can show.

    Example:
        >>> runs_worth(np.array([0.1, 0.3]), np.array([1.0, 1.0]), 1000.0)
        5.0
    """
    relative = float(np.mean(distances / spreads))
    return min(1 / relative, float(most)) if relative > 0 else float(most)
