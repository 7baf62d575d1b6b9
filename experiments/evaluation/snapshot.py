"""Generated snapshots against the solver: tests, refinement, distances, scores, cost and worth.

This module takes arrays and functions and knows no experiment. Whatever it says of the generator it says of the solver
too: every number stands beside what a second set of solver fields would get. Where there is no solver, held-out data
stand in its place, and what needs one (refinement, cost) is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from experiments.evaluation.baselines import baseline_rows
from experiments.evaluation.cost import Assessment, Candidate, in_turn, search, timed, timing
from experiments.evaluation.distances import FieldFeatures, ReferenceSet
from experiments.evaluation.distances.distribution import SETS
from experiments.evaluation.distances.literature import literature
from experiments.evaluation.figures import snapshot_figures
from experiments.evaluation.gaussian_fields import gaussian_fields
from experiments.evaluation.refinement import BANK, Refine, Start, refinement_curves
from experiments.evaluation.results import (
    BaselineRow,
    Baselines,
    Cost,
    Distances,
    Fields,
    Refinement,
    Score,
    Scores,
    Section,
    SolverRow,
    Statistics,
)
from experiments.evaluation.scores import diversity
from experiments.evaluation.two_sample.battery import Battery, Outcome
from experiments.evaluation.two_sample.classifiers import auc
from experiments.evaluation.two_sample.neighbours import Paths
from experiments.evaluation.two_sample.physical_features import Map, PhysicalFeatures
from experiments.evaluation.two_sample.relabelling import standardised
from experiments.evaluation.worth import worth
from gan.augmentation import ArraySymmetries, transform_batch

Progress = Callable[[int, int, str], None]
Evolve = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
STORED = 16384
"""Training fields that a comparison looks at."""
FOLLOWED = 1024
"""Of which samples must not be too near to the paths of these; a generator that repeats all is found by a part too."""
PATH_STEPS = 16
"""Short solves of which a path consists."""
TOLERANCE = 1.2
"""By how much a solver's standardised statistic may exceed the generator's by chance, two standard deviations of the
difference of two such statistics: without it, another set of the same generator would often fail."""
LITERATURE_DRAWS = 50
SEARCH_DRAWS = 500
"""Relabellings in the search for the cheapest solver."""
_BASELINES = "Fields that the generator did not make, by the same tests and distances."
GAUSSIAN_FROM = 16384
"""Training fields from which the spectrum of the Gaussian start is taken."""


@dataclass(frozen=True)
class Reference:
    """What the fields are called that samples are held against.

    Attributes:
        name: what they cannot be distinguished from, for example "the solver".
        fields: of them, held out, for example "held-out solver fields".
        plain: any of them, for example "solver fields".
        sets: two sets of them, for example "solver sets against solver sets".
    """

    name: str
    fields: str
    plain: str
    sets: str


SOLVER = Reference("the solver", "held-out solver fields", "solver fields", "solver sets against solver sets")
DATA = Reference("the data", "held-out fields", "fields of the data", "sets of held-out fields against one another")


@dataclass(frozen=True)
class Equation:
    """What a comparison of snapshots needs to know of a system, as plain values and functions.

    Attributes:
        channels: names.
        extent: lengths of the box.
        refine: ``(fields, duration) -> fields``: the solver that made the data; None where there is none.
        symmetries: ``shift_axes`` and ``reflections``.
        homogeneous: whether the distribution is the same everywhere on a periodic grid.
        periodic: whether the grid is periodic.
        tendency: ``fields -> du/dt``, or None.
        later: ``fields -> fields`` a short solver time later, or None.
        budgets: ``fields -> {name: (n,)}``: terms of the system's budgets, or None.
        units: by channel or coordinate.
        reference: what made the fields that samples are held against, as "the solver" is said in results.
    """

    channels: tuple[str, ...]
    extent: tuple[float, ...]
    refine: Refine | None = None
    symmetries: Any = field(default_factory=ArraySymmetries)
    homogeneous: bool = True
    periodic: bool = True
    tendency: Map | None = None
    later: Map | None = None
    budgets: Callable[[np.ndarray], Mapping[str, np.ndarray]] | None = None
    units: Mapping[str, str] = field(default_factory=dict)
    reference: Reference = SOLVER

    def features(self, fields: Float[np.ndarray, "n *grid c"]) -> PhysicalFeatures:
        """The physical features of the system, fixed by some of its fields."""
        return PhysicalFeatures(
            fields,
            extent=self.extent,
            homogeneous=self.homogeneous,
            periodic=self.periodic,
            tendency=self.tendency,
            later=self.later,
            budgets=self.budgets,
        )


@dataclass(frozen=True)
class Sizes:
    """Sizes of a snapshot comparison.

    Attributes:
        n: fields in each set of a distance.
        draws: of the distances' null; at least the number of distances over ``level``.
        tested: samples that the tests look at, beside as many that train their classifiers.
        refined: the same along the refinement curves.
        relabellings: of the tests.
        level: of every test.
        separations, quantiles, directions, resolved: see `experiments.evaluation.distances`.
        seed: of all draws.
        shown: fields shown side by side.
    """

    n: int = 2048
    draws: int = 200
    tested: int = 4096
    refined: int = 2048
    relabellings: int = 5000
    level: float = 0.05
    separations: tuple[int, ...] | None = None
    quantiles: tuple[float, ...] = (0.001, 0.01, 0.99, 0.999)
    directions: int = 128
    resolved: float = 1e-6
    seed: int = 0
    shown: int = 8

    @property
    def drawn(self) -> int:
        """Samples that a comparison takes."""
        return max(SETS * self.n, 2 * self.tested, 2 * self.refined)

    def reference_set(
        self,
        pool: np.ndarray,
        extent: tuple[float, ...],
        progress: Progress | None = None,
        *,
        homogeneous: bool = True,
    ) -> ReferenceSet:
        """The reference set of these sizes for a pool of solver fields."""
        return ReferenceSet(
            pool,
            n=self.n,
            draws=self.draws,
            level=self.level,
            extent=extent,
            separations=self.separations,
            quantiles=self.quantiles,
            directions=self.directions,
            resolved=self.resolved,
            homogeneous=homogeneous,
            seed=self.seed,
            progress=progress,
        )

    def battery(
        self, training: np.ndarray, reference: np.ndarray, equation: Equation, tested: int, features: PhysicalFeatures
    ) -> Battery:
        """The tests of these sizes."""
        return Battery(
            training,
            reference,
            features=features,
            tested=tested,
            extent=equation.extent,
            symmetries=equation.symmetries,
            homogeneous=equation.homogeneous,
            periodic=equation.periodic,
            separations=self.separations,
            quantiles=self.quantiles,
            draws=self.relabellings,
            level=self.level,
            seed=self.seed,
        )


@dataclass(frozen=True)
class CostInputs:
    """What a comparison needs to know about cost; every function makes the number of fields that it is asked for.

    Attributes:
        draw: samples of the generator as compared, its solver layer included.
        draw_bare: the same without the solver layer; None where there is none.
        reference: independent fields by the solver that made the data, spin-up included.
        candidates: ``count -> candidates`` for the cheapest solver that is as good.
        data_seconds, training_seconds: spent once.
        repeats: rounds of timing.
    """

    draw: Callable[[int], Any]
    draw_without_solver: Callable[[int], Any] | None
    reference: Callable[[int], Any]
    candidates: Callable[[int], Sequence[Candidate]]
    data_seconds: float
    training_seconds: float
    repeats: int = 3
    reference_count: int = 512


def compare_snapshot(
    samples: Float[np.ndarray, "s *grid c"],
    pool: Float[np.ndarray, "p *grid c"],
    training: Float[np.ndarray, "b *grid c"],
    equation: Equation,
    *,
    trained_on: int,
    layer_time: float = 0.0,
    sizes: Sizes | None = None,
    times: Sequence[float] = (),
    cost: CostInputs | None = None,
    evolve: Evolve | None = None,
    baselines: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> tuple[tuple[Section, ...], dict[str, np.ndarray]]:
    """Hold generated fields against solver fields.

    Args:
        samples: generated fields, solver layer included, physical units; at least ``sizes.drawn`` finite ones. Those
            that are not finite are left out and their share is a score.
        pool: held-out solver fields, one per independent trajectory, at least ``2 sizes.n``.
        training: the training fields.
        equation: of the system.
        trained_on: independent fields among the training fields.
        layer_time: solver time that the samples already contain.
        sizes: of sets, draws and relabellings.
        times: solver times of the refinement curves, which need a solver.
        cost: left out where None.
        evolve: ``fields (2, *grid, c) -> (times, trajectories (2, time, *grid, c))``, for the pictures.
        baselines: name -> ``gan.baselines.Baseline``, fitted to the training fields.
        progress: called with (done, total, what).

    Returns:
        The sections of the comparison, and the arrays of ``figures.npz``.

    Raises:
        ValueError: too few finite samples, too small a pool, or too few draws.
    """
    sizes = sizes or Sizes()
    say = progress or (lambda done, total, what: None)
    samples, invalid = finite_fields(samples, sizes.drawn)
    pool, rng = np.asarray(pool, np.float32), np.random.default_rng((sizes.seed, 8))
    stored = np.asarray(training[np.sort(rng.permutation(len(training))[:STORED])])
    stored = stored[rng.permutation(len(stored))]
    # What the classifiers take for solver fields, and what fixes the features, is not among the stored fields that are
    # a start of their own: principal components of few fields know these fields.
    apart = stored[: -2 * sizes.refined]
    features = equation.features(apart[:4096])
    say(0, 3, f"{equation.reference.fields} against one another")
    reference_set = sizes.reference_set(pool, equation.extent, progress, homogeneous=equation.homogeneous)
    say(0, 3, "tests: features of training and held-out fields")
    battery = sizes.battery(apart, pool, equation, sizes.tested, features)
    bank = [battery.prepare_bank(path(stored[:FOLLOWED], equation, layer_time))]
    say(1, 3, "tests: classifiers, neighbours and relabellings")
    outcome = battery.outcome(samples[: 2 * sizes.tested], bank=bank, convolutional=pool.ndim > 2)
    few = pool[: 2 * sizes.refined]
    smaller = sizes.battery(apart, few, equation, sizes.refined, features)
    starts = _starts(samples, stored, equation, layer_time, 2 * sizes.refined, sizes.seed)
    refinement = None
    if equation.refine is not None:
        refinement = refinement_curves(
            smaller, reference_set, starts, few, equation.refine, (0.0, layer_time, *times), progress=progress
        )
    held = reference_set.frame(samples[: sizes.n])
    described = features(samples), features(pool)
    sections: list[Section] = [
        battery.described(outcome, equation.reference.fields),
        *([] if refinement is None else [refinement]),
        Fields(),
        _distances(reference_set, samples[: SETS * sizes.n], sizes, equation.reference),
        Statistics(),
        _scores(samples, held, pool, reference_set, described, equation, invalid, sizes, say),
    ]
    if cost is not None:
        own = smaller.outcome(samples[-2 * sizes.refined :], bank=bank)
        sections.append(_cost(cost, smaller, own, reference_set, bank, progress))
    sections.append(worth(*described, trained_on, fields=equation.reference.plain, seed=sizes.seed))

    def row(fields: np.ndarray, bank: Sequence[Paths] = bank) -> dict[str, float]:
        return _figures_of_merit(smaller.outcome(fields, bank=bank), reference_set, fields)

    learnt = baseline_rows(
        baselines or {}, lambda sample: sample(jax.random.key(sizes.seed), 2 * sizes.refined), row, 2 * sizes.refined
    )
    if refinement is not None:
        sections.append(_baselines(refinement, layer_time, cost, learnt))
    else:
        # Training fields are near to themselves: whether they are is not asked of them.
        rows = {
            name: BaselineRow(one.label, row(one.fields, () if name == BANK else bank)) for name, one in starts.items()
        }
        sections.append(Baselines(_BASELINES, rows.pop("generator"), {**rows, **learnt}))
    figures = snapshot_figures(reference_set, held, samples, pool, equation.channels, shown=sizes.shown)
    if evolve is not None:
        moments, trajectories = evolve(np.stack([samples[0], pool[0]]))
        figures["evolution/times"] = np.asarray(moments)
        figures["evolution/generator"], figures["evolution/solver"] = np.asarray(trajectories)
    return tuple(sections), figures


def finite_fields(samples: Float[np.ndarray, "s *grid c"], n: int) -> tuple[np.ndarray, float]:
    """The first ``n`` finite fields, and the share of all fields that are not finite.

    Raises:
        ValueError: fewer than ``n`` finite fields.
    """
    samples = np.asarray(samples, np.float32)
    finite = np.isfinite(samples).reshape(len(samples), -1).all(axis=1)
    if finite.sum() < n:
        raise ValueError(
            f"only {int(finite.sum())} of {len(samples)} samples are finite, and {n} are compared; "
            "draw more or compare fewer."
        )
    return samples[finite][:n], float(1 - finite.mean())


def moved(fields: Float[np.ndarray, "n *grid c"], symmetries: Any, seed: int) -> Float[np.ndarray, "n *grid c"]:
    """Move every field by a random symmetry of the system."""
    keys = jax.random.split(jax.random.key(seed), len(fields))
    return np.asarray(_mover(symmetries, fields.ndim - 2)(np.asarray(fields, np.float32), keys))


@lru_cache(maxsize=16)
def _mover(symmetries: Any, ndim: int) -> Callable[..., Any]:
    """Keep the compiled program between calls, which are timed."""
    return jax.jit(lambda many, keys: transform_batch(many, keys, symmetries, ndim))


def path(
    stored: Float[np.ndarray, "n *grid c"], equation: Equation, layer_time: float
) -> list[Float[np.ndarray, "n *grid c"]]:
    """Stored fields at successive solver times: as they are, and after each of `PATH_STEPS` short solves.

    Where the equation has no short solve, as they are and advanced for ``layer_time``.
    """
    moments = [stored]
    if equation.later is None:
        if equation.refine is not None and layer_time > 0:
            moments.append(equation.refine(stored, layer_time))
        return moments
    while len(moments) <= PATH_STEPS:
        moments.append(np.asarray(equation.later(moments[-1])))
    return moments


def _starts(
    samples: np.ndarray,
    stored: np.ndarray,
    equation: Equation,
    layer_time: float,
    count: int,
    seed: int,
) -> dict[str, Start]:
    # The classifiers' other class and the bank itself are the first stored fields: the start takes the last ones.
    bank = moved(stored[-count:], equation.symmetries, seed)
    gaussian = gaussian_fields(stored[:GAUSSIAN_FROM], count, seed=seed, homogeneous=equation.homogeneous)
    knows = "spectrum" if equation.homogeneous else "mean and covariance"
    return {
        "generator": Start("the generator", samples[-count:], layer_time),
        "gaussian": Start(f"a Gaussian field with the data's {knows}", gaussian),
        BANK: Start("training fields moved by a random symmetry", bank, until=layer_time),
    }


def _distances(reference_set: ReferenceSet, samples: np.ndarray, sizes: Sizes, reference: Reference) -> Distances:
    independent = " from independent trajectories" if reference is SOLVER else ""
    return Distances(
        between=f"sets of {sizes.n} fields{independent}, a mean over {SETS} sets of samples",
        against=reference.sets,
        reference=reference.name,
        draws=reference_set.draws,
        level=reference_set.level,
        entries=reference_set.compare(samples),
    )


def _scores(
    samples: np.ndarray,
    held: FieldFeatures,
    pool: np.ndarray,
    reference_set: ReferenceSet,
    described: tuple[np.ndarray, np.ndarray],
    equation: Equation,
    invalid: float,
    sizes: Sizes,
    say: Progress,
) -> Scores:
    frame, first = reference_set.frame, samples[: sizes.n]
    say(0, 2, "diversity")
    scores = {
        "diversity": diversity(samples, pool, scale=frame.std, symmetries=equation.symmetries, seed=sizes.seed),
        "invalid": Score(
            "share of samples that were not finite, or that the solver refused", "", invalid, 0.0, (0.0, 0.0)
        ),
    }

    def amplitude(rows: np.ndarray) -> np.ndarray:
        return np.sqrt(frame.part(rows, "covariance_0")[..., 0])

    def beyond(rows: np.ndarray) -> np.ndarray:
        energy = frame.part(rows, "energy")
        tails = [energy[..., c, top + 1 :].sum(-1) / energy[..., c, :].sum(-1) for c, top in enumerate(frame.resolved)]
        # Shares of this size are float32 round-off and mean nothing.
        return np.maximum(np.stack(tails, axis=-1), 1e-12)

    measures = {
        "amplitude": (amplitude, True, "root mean square of the fields over that of the reference's"),
        "unresolved_energy": (
            beyond,
            False,
            "share of the energy beyond the wavenumbers that the spectrum's distance compares",
        ),
    }
    for name, (measure, relative, definition) in measures.items() if frame.homogeneous else ():
        middle, low, high = reference_set.band(measure)
        value = measure(held.rows.mean(axis=0)[None])[0]
        for c, channel in enumerate(equation.channels):
            scale = middle[c] if relative else 1.0
            scores[name if len(equation.channels) == 1 else f"{name}/{channel}"] = Score(
                definition,
                "",
                float(value[c] / scale),
                float(middle[c] / scale),
                (float(low[c] / scale), float(high[c] / scale)),
            )
    say(1, 2, "measures of the literature")
    tendencies = None
    if equation.tendency is not None and equation.periodic:
        tendencies = (equation.tendency(first), equation.tendency(pool))
    scores |= literature(
        first,
        pool,
        (described[0][: sizes.n], described[1]),
        frame=frame,
        tendencies=tendencies,
        draws=LITERATURE_DRAWS,
        seed=sizes.seed,
    )
    return Scores(equation.reference.fields, scores)


def _figures_of_merit(outcome: Outcome, reference_set: ReferenceSet, fields: np.ndarray) -> dict[str, float]:
    values = reference_set.distances(fields[-reference_set.n :])
    ratios = [values[name] / reference_set.floor[name] for name in reference_set.names]
    return {
        "auc": auc(outcome.ratings["classifier_features"]),
        "joint_p": outcome.p_value,
        "median_ratio": float(np.median(ratios)),
        "largest_ratio": float(max(ratios)),
    }


def _cost(
    inputs: CostInputs,
    battery: Battery,
    own: Outcome,
    reference_set: ReferenceSet,
    bank: Sequence[Paths],
    progress: Progress | None,
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
        return Assessment(not worse, _figures_of_merit(outcome, reference_set, fields), ", ".join(worse))

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


def _baselines(
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
    spent = None if cost is None else cost.training_seconds
    return Baselines(
        meaning=_BASELINES,
        generator=BaselineRow("the generator", at("generator", layer_time), 1, None, spent),
        rows={**rows, **learnt},
    )
