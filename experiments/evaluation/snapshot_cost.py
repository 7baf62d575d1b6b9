"""The cost of generated snapshots: the generator timed, and the cheapest solver that does as well in every test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from experiments.evaluation.cost import Assessment, Candidate, in_turn, search, timed, timing
from experiments.evaluation.distances import ReferenceSet
from experiments.evaluation.entries import SolverRow
from experiments.evaluation.results import Cost
from experiments.evaluation.two_sample.battery import Battery, Outcome
from experiments.evaluation.two_sample.classifiers import auc
from experiments.evaluation.two_sample.neighbours import Paths
from experiments.evaluation.two_sample.relabelling import standardised
from experiments.reporting import Report

TOLERANCE = 1.2
"""By how much a solver's standardised statistic may exceed the generator's by chance, two standard deviations of the
difference of two such statistics: without it, another set of the same generator would often fail."""
SEARCH_DRAWS = 500
"""Relabellings in the search for the cheapest solver."""


@dataclass(frozen=True)
class CostInputs:
    """What a comparison needs to know about cost; every function makes the number of fields that it is asked for.

    Attributes:
        draw: samples of the generator as compared, its solver layer included.
        draw_without_solver: the same without the solver layer; None where there is none.
        reference: independent fields by the solver that made the data, spin-up included.
        candidates: ``count -> candidates`` for the cheapest solver that is as good.
        data_seconds, training_seconds: spent once.
        repeats: rounds of timing.
        reference_count: fields of which the reference is timed.
        evaluations: of the generator's network for one sample.
    """

    draw: Callable[[int], np.ndarray]
    draw_without_solver: Callable[[int], np.ndarray] | None
    reference: Callable[[int], np.ndarray]
    candidates: Callable[[int], Sequence[Candidate]]
    data_seconds: float
    training_seconds: float
    repeats: int = 3
    reference_count: int = 512
    evaluations: int = 1


def figures_of_merit(outcome: Outcome, reference_set: ReferenceSet, fields: np.ndarray) -> dict[str, float]:
    """Four numbers that sum up a set of fields: the classifier's area, the joint p-value, the median and the largest
    ratio of the distances to their floors."""
    values = reference_set.distances(fields[-reference_set.n :])
    ratios = [values[name] / reference_set.floor[name] for name in reference_set.names]
    return {
        "auc": auc(outcome.ratings["classifier_features"]),
        "joint_p": outcome.p_value,
        "median_ratio": float(np.median(ratios)),
        "largest_ratio": float(max(ratios)),
    }


def snapshot_cost(
    inputs: CostInputs,
    battery: Battery,
    own: Outcome,
    reference_set: ReferenceSet,
    bank: Sequence[Paths],
    progress: Report | None,
) -> Cost:
    """Time the generator and search the cheapest solver that is as good in every test."""
    count = 2 * battery.labels.samples
    critical = float(np.quantile(own.joint, 1 - battery.level))
    limits = {name: max(critical, float(standardised(one)[0]) + TOLERANCE) for name, one in own.statistics.items()}
    quick = battery.quick(SEARCH_DRAWS)
    order = np.random.default_rng((battery.seed, 42)).permutation(count)

    def assess(fields: np.ndarray) -> Assessment:
        # Fields of one trajectory go to both halves: to those that train the classifiers and to those that are tested.
        fields = fields[order]
        outcome = quick.outcome(fields, bank=bank)
        worse = [name for name, one in outcome.statistics.items() if standardised(one)[0] > limits[name]]
        return Assessment(not worse, figures_of_merit(outcome, reference_set, fields), ", ".join(worse))

    rows, generator = search(
        inputs.candidates(count),
        assess,
        lambda: inputs.draw(count),
        count=count,
        repeats=inputs.repeats,
        progress=progress,
    )
    layer = None
    if inputs.draw_without_solver is not None:
        without_solver = inputs.draw_without_solver
        timings = in_turn(
            {"whole": lambda: inputs.draw(count), "without_solver": lambda: without_solver(count)},
            repeats=inputs.repeats,
            count=count,
        )
        layer = timings["whole"].minus(timings["without_solver"])
    few = inputs.reference_count
    if any(row.reaches for row in rows):
        # A cheaper solver does as well: the reference is not the rival, and its programs have been in use above.
        reference = timing([timed(lambda: inputs.reference(few))[1]], few)
    else:
        reference = in_turn({"reference": lambda: inputs.reference(few)}, repeats=inputs.repeats, count=few)[
            "reference"
        ]
    return Cost(
        criterion="in every test it is either not distinguished from the solver or, within chance, no further off than "
        "the generator",
        generator=generator,
        layer=layer,
        reference=SolverRow({"setting": "reference"}, reference, True, {}),
        search=rows,
        data_seconds=inputs.data_seconds,
        training_seconds=inputs.training_seconds,
    )
