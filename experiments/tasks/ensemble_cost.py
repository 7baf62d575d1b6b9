"""The cheapest solver ensemble that comes as close to the exact posterior as a generator's ensemble does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from experiments.comparison.cost import Setting, measured, unmeasured
from experiments.tasks.task import Report


def settings(points: int, dt: float) -> list[dict[str, Any]]:
    """Return the reference's own setting first, then coarser grids, larger steps and a lower order."""
    return [{"points": points, "dt": dt, "order": 4}] + [
        {"points": coarse, "dt": factor * dt, "order": order}
        for coarse in (points // 4, points // 2, points)
        for order, factor in ((4, 2.5), (4, 5.0), (2, 1.0), (2, 5.0))
    ]


def search(
    tried: list[dict[str, Any]],
    make: Callable[[Setting], tuple[np.ndarray, float]],
    hold: Callable[[np.ndarray], Mapping[str, Mapping[str, Any]]],
    generator: Mapping[str, Mapping[str, Any]],
    report: Report,
) -> list[dict[str, Any]]:
    """Every setting with its cost, its error and whether it reaches the generator; rows as `cost` describes them.

    Args:
        tried: settings of the solver.
        make: ``setting -> (ensembles on the reference grid, seconds per sample)``.
        hold: distances of ensembles to the posterior, as ``compare_forecast`` returns them.
        generator: the distances of the generator.
        report: called with (done, total, what).
    """
    rows = []
    for done, setting in enumerate(tried, start=1):
        row = unmeasured(setting)
        rows.append(row)
        try:
            ensembles, row["seconds_per_sample"] = make(setting)
            if not np.isfinite(ensembles).all():
                raise ValueError("the solver's fields are not finite")
            found = hold(ensembles)
        except (ValueError, ArithmeticError) as error:
            row["failed"] = str(error)
        else:
            reaches = all(e["inside"] or e["value"] <= generator[name]["value"] for name, e in found.items())
            measured(row, {name: entry["ratio"] for name, entry in found.items()}, reaches)
        report(done, len(tried), "searching the cheapest solver")
    return rows
