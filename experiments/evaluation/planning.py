"""What a planned study can find: the smallest difference of two groups' means, with and without generated fields.

The question: fields of the distribution at hand are the first group, as many as the generator was trained on; a second
group is planned under another condition. From which difference of the mean of a quantity on will a two-sided test at 5%
find it with a power of 80%? Generated fields can widen the first group only as far as their own mean is right. They
were made from the same training fields, so the two do not add up: the first group is worth the larger of both numbers.

The error of the generated mean is estimated as in `experiments.evaluation.worth`, against held-out fields, whose own
mean is uncertain. Only what the lower end of its interval shows is counted, so that m held-out fields cannot show
generated ones to be worth much more than m.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float
from scipy.stats import norm

from experiments.evaluation.entries import StudyPlan
from experiments.evaluation.results import Planning

LEVEL, POWER = 0.05, 0.8
_REACH = float(norm.ppf(1 - LEVEL / 2) + norm.ppf(POWER))
"""Standard errors that a difference must have."""


def quantities(
    fields: Float[np.ndarray, "n *grid c"], channels: tuple[str, ...], seen: Bool[np.ndarray, "*grid c"] | None = None
) -> dict[str, Float[np.ndarray, " n"]]:
    """Return the mean, the standard deviation and the largest value of every field, channel by channel.

    Args:
        fields: physical units; of points, only the values themselves are returned.
        channels: names.
        seen: where values are measured; everywhere where left out.
    """
    found = {}
    for c, name in enumerate(channels):
        rows = np.asarray(fields[..., c], np.float64).reshape(len(fields), -1)
        if seen is not None:
            rows = rows[:, np.asarray(seen[..., c], bool).reshape(-1)]
        found[f"mean of {name}"] = rows.mean(axis=1)
        if rows.shape[1] > 1:
            found[f"standard deviation of {name}"] = rows.std(axis=1)
            found[f"largest {name}"] = rows.max(axis=1)
    return found


def planning(
    generated: Mapping[str, Float[np.ndarray, " n"]],
    held: Mapping[str, Float[np.ndarray, " m"]],
    trained_on: int,
    planned: int,
    units: Mapping[str, str] | None = None,
) -> Planning:
    """Return the smallest difference that is found, for every quantity.

    Args:
        generated: of generated fields, by quantity.
        held: the same of independent held-out fields.
        trained_on: independent fields of the first group.
        planned: fields of the second.
        units: by quantity.
    """
    plans = {}
    for name, theirs in held.items():
        ours, spread = generated[name], float(np.std(theirs, ddof=1))
        bias = float(np.mean(ours) - np.mean(theirs))
        error = float(np.sqrt(np.var(ours, ddof=1) / len(ours) + spread**2 / len(theirs)))
        half = float(norm.ppf(1 - LEVEL / 2)) * error
        most = abs(bias) + half
        shown = (spread / most) ** 2 if most > 0 else 0.0

        def least(first: float | int, spread: float = spread) -> float:
            return _REACH * spread * float(np.sqrt(1 / planned + 1 / first))

        plans[name] = StudyPlan(
            unit=(units or {}).get(name, ""),
            spread=spread,
            bias=bias,
            bias_interval=(bias - half, bias + half),
            worth=shown,
            real=least(trained_on),
            generated=least(max(trained_on, shown)),
            bound=_REACH * spread / float(np.sqrt(planned)),
        )
    return Planning(LEVEL, POWER, trained_on, planned, plans)
