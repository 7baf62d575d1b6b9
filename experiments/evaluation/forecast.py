"""Generated forecasts against truths and exact posteriors: distances, scores, baselines, other ranges, cost.

`experiments.evaluation.posterior_reference` defines what is measured. Inside the range of training everything is taken
over all cases; solvers are searched and costs are timed over the first `SEARCHED` of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from experiments.evaluation.baselines import Fitted, Sample, baseline_rows
from experiments.evaluation.cost import Assessment, Candidate, in_turn, search
from experiments.evaluation.entries import BaselineRow, Distance, SolverRow
from experiments.evaluation.posterior_reference import PosteriorReference, PosteriorSizes
from experiments.evaluation.results import (
    Baselines,
    Cost,
    Distances,
    Forecasts,
    Region,
    Regions,
    Scores,
    Section,
    cheapest_by,
)
from experiments.reporting import Report

SHOWN = 4
"""Cases in the pictures."""
SEARCHED = 64
"""Cases over which solvers are searched and everything is timed."""


@dataclass(frozen=True)
class Cases:
    """Conditions with all that is known of them.

    Attributes:
        label: of their range of the parameter.
        truths: the trajectories that were observed, (cases, time, *grid, c).
        reference: the solver's trajectories from draws of the exact posterior, (cases, 2 members, time, *grid, c).
        draw: ``(sample, count) -> ensembles (count, members, time, *grid, c)`` for the first cases.
        residuals: by name, definition, unit, and a function from ensembles to a value for each member.
        points, observations: where and what was observed, (cases, k), in units of length and of the field; points in a
            box are (cases, k, axes).
        labels: of the cases, for the pictures.
        coordinates: of the grid along each axis; evenly spaced from 0 on where left out.
    """

    label: str
    truths: np.ndarray
    reference: np.ndarray
    draw: Callable[[Sample, int], np.ndarray]
    residuals: Mapping[str, tuple[str, str, Callable[[np.ndarray], np.ndarray]]]
    points: np.ndarray
    observations: np.ndarray
    labels: tuple[str, ...]
    coordinates: tuple[np.ndarray, ...] = ()


@dataclass(frozen=True)
class Rival:
    """Ensembles that nothing was trained for.

    Attributes:
        meaning: how they are made, in one sentence.
        make: ``count -> ensembles`` for the first cases.
        timed: whether it is worth a clock.
    """

    meaning: str
    make: Callable[[int], np.ndarray]
    timed: bool = False


@dataclass(frozen=True)
class Spent:
    """Seconds of wall time that were spent once."""

    data: float
    training: float


def compare_forecast(
    inside: Cases,
    others: Iterable[Cases],
    sample: Sample,
    *,
    within: str,
    times: Sequence[float] | np.ndarray,
    extent: tuple[float, ...],
    sizes: PosteriorSizes,
    rivals: Mapping[str, Rival],
    fitted: Mapping[str, Fitted],
    candidates: Callable[[int], Sequence[Candidate]],
    repeats: int,
    spent: Spent,
    progress: Report,
    reference_name: str = "the exact posterior",
    exact: bool = True,
    evaluations: int = 1,
    members_shown: int = 0,
) -> tuple[tuple[Section, ...], dict[str, np.ndarray]]:
    """Hold a generator's ensembles against truths and exact posteriors.

    Args:
        inside: cases of the range of training.
        others: cases outside of it.
        sample: of the generator.
        within: the range of training, in words.
        times: of the output.
        extent: lengths of the box.
        sizes: of nulls and intervals.
        rivals, fitted: baselines without and with a training.
        candidates: ``count -> solver settings`` that make ensembles for the first cases, the reference's own first.
        repeats: of every timing.
        spent: on data and training.
        progress: called with (done, total, what).
        reference_name: what the reference's ensembles were drawn from, in words.
        exact: whether the first candidate draws from the posterior itself, so that it is as good as any generator.
        evaluations: of the generator's network for one sample.
        members_shown: members of both ensembles that the pictures show, where mean and spread would hide modes.

    Returns:
        The sections and the arrays behind the pictures.

    Raises:
        ValueError: as `PosteriorReference`, or samples that are not finite.
    """
    count, pool = inside.reference.shape[:2]
    members = pool // 2

    def measured(cases: Cases) -> tuple[PosteriorReference, np.ndarray, Distances, Scores, dict[str, np.ndarray]]:
        progress(0, 1, f"{cases.label}: distances between ensemble members")
        ensembles = cases.draw(sample, len(cases.truths))
        reference_set = PosteriorReference(
            cases.reference, cases.truths, members=members, extent=extent, sizes=sizes, name=reference_name
        )
        residuals = {
            name: (definition, unit, value(ensembles), value(cases.reference))
            for name, (definition, unit, value) in cases.residuals.items()
        }
        return reference_set, ensembles, *reference_set.compare(ensembles, residuals)

    reference_set, ensembles, distances, scores, ranks = measured(inside)
    brief = min(count, SEARCHED)
    some = PosteriorReference(
        inside.reference[:brief],
        inside.truths[:brief],
        members=members,
        extent=extent,
        sizes=sizes,
        name=reference_name,
    )
    cost = _cost(
        candidates(brief),
        some,
        ensembles[:brief],
        lambda: inside.draw(sample, brief),
        repeats,
        spent,
        progress,
        reference_name,
        exact,
    )
    timed = {name: (lambda one=one: one.make(brief)) for name, one in rivals.items() if one.timed}
    timings = in_turn(timed, repeats=repeats, count=brief * members)
    rows = {
        name: BaselineRow(one.meaning, reference_set.figures_of_merit(one.make(count)), None, timings.get(name))
        for name, one in rivals.items()
    }
    rows["posterior"] = BaselineRow(
        f"the solver from draws of {reference_name}",
        reference_set.figures_of_merit(reference_set.other_half()),
        timing=cost.reference.timing,
    )
    rows |= baseline_rows(
        fitted,
        lambda draw: inside.draw(draw, count),
        reference_set.figures_of_merit,
        brief * members,
        repeats=repeats,
        brief=lambda draw: inside.draw(draw, brief),
    )
    own = BaselineRow(
        "the generator",
        reference_set.figures_of_merit(ensembles),
        evaluations,
        cost.generator,
        training_seconds=spent.training,
    )
    meaning = "Scores as defined above; of every distance, the ratio to its floor."
    regions = {cases.label: Region(*measured(cases)[2:4]) for cases in others}
    outside = (Regions(within, regions),) if regions else ()
    sections = (distances, scores, Forecasts(), Baselines(meaning, own, rows), *outside, cost)
    return sections, ranks | _figures(inside, ensembles, times, extent, members_shown)


def worse_in(found: Mapping[str, Distance], generator: Mapping[str, Distance]) -> list[str]:
    """Return the distances in which ensembles are farther from the reference than the generator's, beyond chance.

    A distance counts that distinguishes them and exceeds the upper end of the generator's 95% interval. Against the
    value itself, other ensembles of the generator's own law would fail one distance in two.
    """

    def limit(own: Distance) -> float:
        return own.value if own.interval is None else own.interval[1]

    return [name for name, one in found.items() if not one.inside and one.value > limit(generator[name])]


def _cost(
    candidates: Sequence[Candidate],
    reference_set: PosteriorReference,
    generator: np.ndarray,
    draw: Callable[[], np.ndarray],
    repeats: int,
    spent: Spent,
    progress: Report,
    reference_name: str,
    exact: bool,
) -> Cost:
    """Search the cheapest solver whose ensembles come as close to the posterior as the generator's."""
    rival = reference_set.distances(generator)
    cases, members = generator.shape[:2]

    def judge(ensembles: np.ndarray) -> Assessment:
        worse = worse_in(reference_set.distances(ensembles).entries, rival.entries)
        return Assessment(not worse, reference_set.figures_of_merit(ensembles), ", ".join(worse))

    merits = reference_set.figures_of_merit(generator)

    def compared(rows: Mapping[int, SolverRow]) -> set[int]:
        """The reference, and the cheapest by CRPS alone: their costs are named beside the generator's."""
        rivals = {i: row for i, row in rows.items() if i > 0}
        best = cheapest_by("crps", merits["crps"], rivals.values())
        return {0, *(i for i, row in rivals.items() if row is best)}

    rows, own = search(
        candidates, judge, draw, count=cases * members, repeats=repeats, progress=progress, also=compared
    )
    criterion = (
        f"over {cases} cases, no distance to {reference_name} distinguishes it or exceeds the upper end of the "
        "generator's 95% interval; draws of the posterior are counted in the solver's cost"
    )
    return Cost(
        criterion,
        own,
        None,
        # Draws of the posterior itself are as good whatever a single comparison finds; a sampler's are judged.
        replace(rows[0], reaches=True) if exact else rows[0],
        rows[1:],
        spent.data,
        spent.training,
        merits,
    )


def _figures(
    cases: Cases,
    ensembles: np.ndarray,
    times: Sequence[float] | np.ndarray,
    extent: tuple[float, ...],
    members_shown: int,
) -> dict[str, np.ndarray]:
    """Truths, observations, means and spreads of the first cases, and single members where they are asked for."""
    grid = cases.truths.shape[2:-1]
    coordinates = cases.coordinates or [np.arange(n) * length / n for n, length in zip(grid, extent)]
    figures: dict[str, np.ndarray] = {f"coordinates/{axis}": x for axis, x in enumerate(coordinates)}
    figures["forecast/coordinates"] = figures["coordinates/0"]
    figures["forecast/times"] = np.asarray(times, float)
    figures["forecast/truth"] = cases.truths[:SHOWN]
    for who, ensemble in (("generator", ensembles), ("reference", cases.reference)):
        figures[f"forecast/{who}_mean"] = ensemble[:SHOWN].mean(axis=1)
        figures[f"forecast/{who}_std"] = ensemble[:SHOWN].std(axis=1, ddof=1)
        if members_shown:
            figures[f"forecast/{who}_members"] = ensemble[:SHOWN, :members_shown]
    figures["forecast/points"] = cases.points[:SHOWN]
    figures["forecast/observations"] = cases.observations[:SHOWN]
    figures["forecast/case_labels"] = np.array(cases.labels[:SHOWN])
    return figures
