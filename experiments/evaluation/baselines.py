"""Baselines beside the generator: the same figures of merit of samples that were made in another way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

import jax
import numpy as np

from experiments.evaluation.cost import in_turn
from experiments.evaluation.entries import BaselineRow

Sample = Callable[..., np.ndarray]
"""``(key, n, condition) -> (n, *shape)`` in physical units."""


@runtime_checkable
class Fitted(Protocol):
    """What a row needs of a baseline; ``gan.baselines.Baseline`` has it."""

    @property
    def meaning(self) -> str:
        """Say how the samples are made, in one sentence."""
        ...

    @property
    def training_seconds(self) -> float:
        """Return the wall time of the fit."""
        ...

    @property
    def evaluations(self) -> int:
        """Return the network evaluations per sample."""
        ...

    def sample(self, key: jax.Array, n: int, condition: Mapping[str, np.ndarray] | None = None, /) -> np.ndarray:
        """Draw samples."""
        ...


def baseline_rows(
    fitted: Mapping[str, Fitted],
    draw: Callable[[Sample], np.ndarray],
    hold: Callable[[np.ndarray], Mapping[str, float]],
    count: int,
    *,
    repeats: int = 3,
    brief: Callable[[Sample], object] | None = None,
) -> dict[str, BaselineRow]:
    """Hold every baseline's samples as the generator's are held, and say what they cost.

    Args:
        fitted: baselines by name.
        draw: calls a baseline's ``sample`` and returns what ``hold`` takes.
        hold: samples -> the figures of a row.
        count: samples that ``brief`` makes, for the cost of one.
        repeats: timings, of which the median counts; all baselines are timed in turn.
        brief: calls ``sample`` for as many samples as are timed; ``draw`` where left out.

    Returns:
        Rows by name. A baseline whose samples are not finite has the reason instead of figures.
    """
    calls = {name: (lambda one=one: (brief or draw)(one.sample)) for name, one in fitted.items()}
    timings = in_turn(calls, repeats=repeats, count=count)
    rows: dict[str, BaselineRow] = {}
    for name, one in fitted.items():
        samples = draw(one.sample)
        finite = bool(np.isfinite(samples).all())
        rows[name] = BaselineRow(
            one.meaning,
            dict(hold(samples)) if finite else {},
            one.evaluations,
            timings[name],
            one.training_seconds,
            None if finite else "it makes samples that are not finite",
        )
    return rows
