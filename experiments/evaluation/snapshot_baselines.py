"""The starts of the refinement beside the generator, and the rows of what the generator did not make."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from experiments.evaluation.entries import BaselineRow
from experiments.evaluation.gaussian_fields import gaussian_fields
from experiments.evaluation.refinement import BANK, Start
from experiments.evaluation.results import Baselines, Refinement
from experiments.evaluation.snapshot_cost import CostInputs
from experiments.evaluation.snapshot_inputs import Equation, moved
from experiments.evaluation.varying import joined, nearest_free, parted

RESERVED = 2
"""Stored fields for each one of the start, from which the nearest are taken where parameters vary."""
GAUSSIAN_FROM = 16384
"""Training fields from which the spectrum of the Gaussian start is taken."""
MEANING = "Fields that the generator did not make, by the same tests and distances."


def starts_of_refinement(
    samples: np.ndarray,
    stored: np.ndarray,
    equation: Equation,
    layer_time: float,
    count: int,
    seed: int,
) -> dict[str, Start]:
    """The generator's samples, Gaussian fields, and training fields moved by a random symmetry: ``count`` of each.

    Args:
        samples: of the generator, its solver layer included.
        stored: training fields, of which the last ones are taken: ``count`` of them, or, where parameters vary, those
            among ``RESERVED`` times as many whose parameters are nearest to those of the samples, which they then get.
        equation: of the system.
        layer_time: solver time that the samples already contain.
        count: fields of each start.
        seed: of the Gaussian fields and of the moves.
    """
    # The classifiers' other class and the bank itself are the first stored fields: the start takes the last ones.
    known = len(equation.parameters)
    _, asked = parted(samples[-count:], known)
    kept = stored[-count:]
    if known:
        fields, logarithms = parted(stored[-RESERVED * count :], known)
        kept = joined(fields[nearest_free(logarithms, asked)], asked)
    bank = moved(kept, equation.joint_symmetries, seed)
    gaussian = gaussian_fields(stored[:GAUSSIAN_FROM], count, seed=seed, homogeneous=equation.homogeneous, asked=asked)
    knows = "spectrum" if equation.homogeneous else "mean and covariance"
    return {
        "generator": Start("the generator", samples[-count:], layer_time),
        "gaussian": Start(f"a Gaussian field with the data's {knows}", gaussian),
        BANK: Start(
            f"training fields{' of the nearest parameters' if known else ''} moved by a random symmetry",
            bank,
            until=layer_time,
        ),
    }


def baselines_of_refinement(
    refinement: Refinement, layer_time: float, cost: CostInputs | None, learnt: Mapping[str, BaselineRow]
) -> Baselines:
    """Rows of what the generator did not make: the other starts, as they are and advanced; and what was learnt."""

    def at(name: str, time: float) -> dict[str, float]:
        curve = refinement.curves[name]
        i = curve.time.index(time)
        ratios = [one[i] for one in curve.ratios.values()]
        merit = {"auc": curve.auc[i], "joint_p": curve.p_value[i]}
        return {**merit, "median_ratio": float(np.median(ratios)), "largest_ratio": float(max(ratios))}

    rows = {}
    for name, curve in refinement.curves.items():
        for time in sorted({0.0, layer_time}) if name != "generator" else ():
            if time in curve.time:
                later = f", advanced by the solver for {time:g}, as long as a sample" if time else ""
                key = f"{name}_advanced" if time else name
                rows[key] = BaselineRow(f"{curve.label}{later}", at(name, time))
    spent, evaluations = (None, 1) if cost is None else (cost.training_seconds, cost.evaluations)
    return Baselines(
        meaning=MEANING,
        generator=BaselineRow("the generator", at("generator", layer_time), evaluations, None, spent),
        rows={**rows, **learnt},
    )
