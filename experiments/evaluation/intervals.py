"""Central 95% of draws, and intervals from resampled cases."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.stats import t as student

from experiments.evaluation.entries import Interval

CENTRAL = (0.025, 0.975)


def central(drawn: Float[np.ndarray, " draws *rest"]) -> Float[np.ndarray, " 2 *rest"]:
    """The ends between which one more draw falls with a probability of 95%, whatever its distribution.

    One more of B exchangeable draws lies below the r-th smallest with probability r / (B + 1) (Weibull's plotting
    position); with fewer than 39 draws the ends are the smallest and the largest.
    """
    return np.quantile(drawn, CENTRAL, axis=0, method="weibull")


def over_cases(copies: Float[np.ndarray, " resamples"], value: float, cases: int, least: float = -np.inf) -> Interval:
    """95% interval of a figure over independent cases, from its values over resampled cases.

    Shifted by the inflation that resampling itself brings, and widened as Student's interval of a mean is: resampling
    knows neither that the cases' spread is estimated nor that it is taken about their own mean.

    Args:
        copies: the figure over cases drawn with replacement.
        value: the figure over the cases themselves.
        cases: how many, two or more.
        least: smallest possible value.
    """
    wider = student.ppf(CENTRAL[1], cases - 1) / student.ppf(CENTRAL[1], np.inf) * np.sqrt(cases / (cases - 1))
    low, high = value + wider * (np.quantile(copies, CENTRAL) - copies.mean())
    return max(float(low), least), float(high)
