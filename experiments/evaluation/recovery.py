"""Known truths and their estimates: bias, root mean square error, and how often intervals hold the truth."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.stats import beta

from experiments.evaluation.entries import Interval, Recovery


def recovery(
    truth: Float[np.ndarray, " truths"],
    value: Float[np.ndarray, " truths"],
    low: Float[np.ndarray, " truths"],
    high: Float[np.ndarray, " truths"],
) -> Recovery:
    """Return what estimates of one parameter came to.

    Args:
        truth: of each data set.
        value: the estimate.
        low, high: ends of its interval, which hold the truth if it lies between them or on one.
    """
    error = value - truth
    count = len(error)
    mean = float(error.mean())
    spread = float(error.std(ddof=1)) if count > 1 else float("nan")
    held = int(np.sum((low <= truth) & (truth <= high)))
    return Recovery(
        bias=mean,
        bias_error=spread / count**0.5,
        rmse=float(np.sqrt(np.mean(error**2))),
        coverage=held / count,
        coverage_interval=proportion(held, count),
        width=float(np.mean(high - low)),
    )


def proportion(held: int, count: int, level: float = 0.95) -> Interval:
    """Return the interval of Clopper and Pearson (Biometrika 26, 1934) of a chance, from ``held`` of ``count``."""
    tail = 0.5 * (1 - level)
    low = float(beta.ppf(tail, held, count - held + 1)) if held else 0.0
    high = float(beta.ppf(1 - tail, held + 1, count - held)) if held < count else 1.0
    return low, high
