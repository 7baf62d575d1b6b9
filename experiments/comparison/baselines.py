"""Baselines beside the generator: the same distances of samples that were learnt in another way (`gan.baselines`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from experiments.comparison.cost import timed


def baseline_rows(
    fitted: Mapping[str, Any],
    draw: Callable[[Callable[..., np.ndarray]], np.ndarray],
    hold: Callable[[np.ndarray], Mapping[str, float]],
    count: int,
) -> dict[str, dict[str, Any]]:
    """Hold every baseline's samples as the generator's are held, and say what they cost.

    Args:
        fitted: name -> ``gan.baselines.Baseline``.
        draw: calls a ``sample(key, n, condition)`` and returns what ``hold`` takes.
        hold: samples -> the numbers of a row.
        count: samples that ``draw`` draws, for the cost of one.

    Returns:
        By name, the numbers with ``evaluations``, ``seconds_per_sample`` and ``training_seconds``; a baseline whose
        samples are not finite has ``failed`` instead of numbers.
    """
    rows: dict[str, dict[str, Any]] = {}
    for name, one in fitted.items():
        samples, spent = timed(lambda one=one: draw(one.sample))
        numbers = dict(hold(samples)) if np.isfinite(samples).all() else {"failed": "samples that are not finite"}
        cost = {"seconds_per_sample": spent / count, "training_seconds": one.training_seconds}
        rows[name] = {**numbers, "evaluations": one.evaluations, **cost}
    return rows
