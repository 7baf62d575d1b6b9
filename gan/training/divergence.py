"""A training that ran away: what the metrics since the last record say of it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gan.config import TrainingConfig

SUMS = ("generator_loss", "discriminator_loss", "gradient_generator", "gradient_discriminator")


class Diverged(RuntimeError):
    """A loss or gradient is not finite or past its limit; the last good checkpoint is kept."""


def one_by_one(calls: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """Return the metrics of single steps from those of calls of ``count`` steps each."""
    if count == 1:
        return calls
    return [{name: values[index] for name, values in call.items()} for call in calls for index in range(count)]


def checked_means(step: int, metrics: list[dict[str, Any]], training: TrainingConfig) -> dict[str, float]:
    """Return the means of the metrics of the steps up to ``step``.

    Raises:
        Diverged: one of them is not finite or past its limit.
    """
    for place, values in enumerate(metrics, start=step - len(metrics) + 1):
        # Single terms before sums, so that the cause is named and not only its effect.
        for name, value in sorted(values.items(), key=lambda item: item[0] in SUMS):
            limit = math.inf
            if name.endswith("_loss"):
                limit = training.loss_limit
            elif name.startswith("gradient_"):
                limit = training.gradient_limit
            if not np.isfinite(value) or abs(value) > limit:
                raise Diverged(
                    f"The training diverged at step {place}: {name} = {float(value):.4g}"
                    + (f" is past its limit {limit:.4g}." if np.isfinite(value) else ".")
                )
    # Penalties that some steps do without count as nothing there.
    names = {name: None for values in metrics for name in values}
    means = {name: float(np.mean([values.get(name, 0.0) for values in metrics])) for name in names}
    if means["invalid"] >= 1.0:
        raise Diverged(f"The training diverged by step {step}: the solver refused every sample since the last record.")
    return means
