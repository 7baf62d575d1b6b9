"""Generated snapshots against the solver: tests, refinement, distances, scores, cost and worth.

This module takes arrays and functions and knows no experiment. Whatever it says of the generator it says of the solver
too: every number stands beside what a second set of solver fields would get. Where there is no solver, held-out data
stand in its place, and what needs one (refinement, cost) is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import jax
import numpy as np
from jaxtyping import Float

from experiments.evaluation.baselines import Fitted, Sample, baseline_rows
from experiments.evaluation.distances import FieldFeatures, ReferenceSet
from experiments.evaluation.distances.distribution import SETS
from experiments.evaluation.distances.literature import literature
from experiments.evaluation.entries import BaselineRow, Score
from experiments.evaluation.figures import snapshot_figures
from experiments.evaluation.intervals import central
from experiments.evaluation.refinement import BANK, refinement_curves
from experiments.evaluation.results import Baselines, Distances, FieldPictures, Scores, Section, Statistics
from experiments.evaluation.scores import diversity
from experiments.evaluation.snapshot_baselines import (
    MEANING,
    RESERVED,
    baselines_of_refinement,
    starts_of_refinement,
)
from experiments.evaluation.snapshot_cost import CostInputs, figures_of_merit, snapshot_cost
from experiments.evaluation.snapshot_inputs import SOLVER, Equation, Reference, SnapshotSizes, path
from experiments.evaluation.two_sample.neighbours import Paths
from experiments.evaluation.two_sample.physical_features import Map
from experiments.evaluation.varying import JoinedFields
from experiments.evaluation.worth import worth
from experiments.reporting import Report, silent

Evolve = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
STORED = 16384
"""Training fields that a comparison looks at."""
FOLLOWED = 1024
"""Of which samples must not be too near to the paths of these; a generator that repeats all is found by a part too."""
FOLLOWED_NUMBERS = 2**23
"""Numbers of these fields, of which every path holds seventeen copies: of fields in space fewer are followed."""
LITERATURE_DRAWS = 50


def compare_snapshot(
    samples: Float[np.ndarray, "s *grid c"],
    pool: Float[np.ndarray, "p *grid c"],
    training: Float[np.ndarray, "b *grid c"] | JoinedFields,
    equation: Equation,
    *,
    trained_on: int,
    layer_time: float = 0.0,
    sizes: SnapshotSizes | None = None,
    times: Sequence[float] = (),
    cost: CostInputs | None = None,
    evolve: Evolve | None = None,
    draw: Callable[[Sample, int], np.ndarray] | None = None,
    baselines: Mapping[str, Fitted] | None = None,
    progress: Report | None = None,
) -> tuple[tuple[Section, ...], dict[str, np.ndarray]]:
    """Hold generated fields against solver fields.

    Where parameters vary (``equation.parameters``), samples, pool and training fields are joined with theirs, and so is
    what ``draw`` and the functions of ``cost`` return.

    Args:
        samples: generated fields, solver layer included, physical units; at least ``sizes.drawn`` finite ones. Those
            that are not finite are left out and their share is a score.
        pool: held-out solver fields, one per independent trajectory, at least ``2 sizes.fields``.
        training: the training fields.
        equation: of the system.
        trained_on: independent fields among the training fields.
        layer_time: solver time that the samples already contain.
        sizes: of sets, draws and relabellings.
        times: solver times of the refinement curves, which need a solver; none: there are no curves.
        cost: left out where None.
        evolve: ``fields (2, *grid, c) -> (times, trajectories (2, time, *grid, c))``, for the pictures.
        draw: ``(sample, n) -> n samples`` by the ``sample`` of a baseline, which has to be given where samples have a
            condition.
        baselines: name -> ``gan.baselines.Baseline``, fitted to the training fields.
        progress: called with (done, total, what).

    Returns:
        The sections of the comparison, and the arrays of ``figures.npz``.

    Raises:
        ValueError: too few finite samples, too small a pool, or too few draws.
    """
    sizes = sizes or SnapshotSizes()
    say = progress or silent
    samples, invalid = finite_fields(samples, sizes.drawn)
    pool, rng = np.asarray(pool, np.float32), np.random.default_rng((sizes.seed, 8))
    stored = np.asarray(training[np.sort(rng.permutation(len(training))[:STORED])])
    stored = stored[rng.permutation(len(stored))]
    # What the classifiers take for solver fields, and what fixes the features, is not among the stored fields that are
    # a start of their own: principal components of few fields know these fields.
    reserved = RESERVED if equation.parameters else 1
    apart = stored[: -2 * reserved * sizes.refined]
    features = equation.features(apart[:4096])
    say(0, 3, f"{equation.reference.fields} against one another")
    reference_set = sizes.reference_set(
        pool, equation.extent, progress, homogeneous=equation.homogeneous, parameters=len(equation.parameters)
    )
    say(0, 3, "tests: features of training and held-out fields")
    battery = sizes.battery(apart, pool, equation, sizes.tested, features)
    followed = stored[: min(FOLLOWED, max(1, FOLLOWED_NUMBERS // stored[0].size))]
    bank = [battery.prepare_bank(path(followed, equation, layer_time))]
    say(1, 3, "tests: classifiers, neighbours and relabellings")
    # On lines and planes: in space its training takes a processor longer than everything else together.
    outcome = battery.outcome(samples[: 2 * sizes.tested], bank=bank, convolutional=2 < pool.ndim < 5)
    few = pool[: 2 * sizes.refined]
    smaller = sizes.battery(apart, few, equation, sizes.refined, features)
    starts = starts_of_refinement(samples, stored, equation, layer_time, 2 * sizes.refined, sizes.seed)
    refinement = None
    if equation.refine is not None and times:
        refinement = refinement_curves(
            smaller, reference_set, starts, few, equation.refine, (0.0, layer_time, *times), progress=progress
        )
    held = reference_set.frame(samples[: sizes.fields])
    described = features(samples), features(pool)
    sections: list[Section] = [
        battery.described(outcome, equation.reference.fields),
        *([] if refinement is None else [refinement]),
        FieldPictures(),
        _distances(reference_set, samples[: SETS * sizes.fields], sizes, equation.reference),
        Statistics(),
        _scores(samples, held, pool, reference_set, described, equation, invalid, sizes, say),
    ]
    if cost is not None:
        own = smaller.outcome(samples[-2 * sizes.refined :], bank=bank)
        sections.append(snapshot_cost(cost, smaller, own, reference_set, bank, progress))
    sections.append(worth(*described, trained_on, fields=equation.reference.plain, seed=sizes.seed))

    def row(fields: np.ndarray, bank: Sequence[Paths] = bank) -> dict[str, float]:
        return figures_of_merit(smaller.outcome(fields, bank=bank), reference_set, fields)

    drawn = draw or (lambda sample, n: sample(jax.random.key(sizes.seed), n))

    def finished(sample: Sample) -> np.ndarray:
        fields = drawn(sample, 2 * sizes.refined)
        return fields if equation.refine is None or layer_time <= 0 else np.asarray(equation.refine(fields, layer_time))

    learnt = baseline_rows(baselines or {}, finished, row, 2 * sizes.refined)
    if equation.refine is not None and layer_time > 0:
        later = f", advanced by the solver for {layer_time:g}, as long as a sample"
        learnt = {name: replace(one, meaning=one.meaning + later) for name, one in learnt.items()}
    if refinement is not None:
        sections.append(baselines_of_refinement(refinement, layer_time, cost, learnt))
    else:
        # Training fields are near to themselves: whether they are is not asked of them.
        rows = {
            name: BaselineRow(one.label, row(one.fields, () if name == BANK else bank)) for name, one in starts.items()
        }
        sections.append(Baselines(MEANING, rows.pop("generator"), {**rows, **learnt}))
    ours, theirs = equation.fields_alone(samples), equation.fields_alone(pool)
    figures = snapshot_figures(reference_set, held, ours, theirs, equation.channels, shown=sizes.shown)
    if evolve is not None:
        moments, trajectories = evolve(np.stack([samples[0], pool[0]]))
        figures["evolution/times"] = np.asarray(moments)
        figures["evolution/generator"], figures["evolution/solver"] = equation.fields_alone(np.asarray(trajectories))
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


def _distances(
    reference_set: ReferenceSet, samples: np.ndarray, sizes: SnapshotSizes, reference: Reference
) -> Distances:
    independent = " from independent trajectories" if reference is SOLVER else ""
    return Distances(
        between=f"sets of {sizes.fields} fields{independent}, a mean over {SETS} sets of samples",
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
    sizes: SnapshotSizes,
    say: Report,
) -> Scores:
    frame, first = reference_set.frame, samples[: sizes.fields]
    alone = equation.fields_alone
    say(0, 2, "diversity")
    scores = {
        "diversity": diversity(
            alone(samples), alone(pool), scale=frame.std, symmetries=equation.symmetries, seed=sizes.seed
        ),
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
    if equation.residual is not None:
        scores["residual"] = _residual_score(equation.residual, first, pool, sizes)
    say(1, 2, "measures of the literature")
    tendencies = None
    if equation.tendency is not None and equation.periodic:
        tendencies = (equation.tendency(first), equation.tendency(pool))
    scores |= literature(
        alone(first),
        alone(pool),
        (described[0][: sizes.fields], described[1]),
        frame=frame,
        tendencies=tendencies,
        draws=LITERATURE_DRAWS,
        seed=sizes.seed,
    )
    return Scores(equation.reference.fields, scores)


def _residual_score(residual: Map, samples: np.ndarray, pool: np.ndarray, sizes: SnapshotSizes) -> Score:
    """Root mean square of the residual, and where it lies in sets of held-out fields drawn with replacement."""
    squares, rng = np.asarray(residual(pool), np.float64), np.random.default_rng((sizes.seed, 9))
    sets = [np.sqrt(rng.choice(squares, len(samples)).mean()) for _ in range(sizes.draws)]
    low, high = central(np.asarray(sets))
    return Score(
        "root mean square of the residual of the equation that the fields obey",
        "",
        float(np.sqrt(np.mean(np.asarray(residual(samples), np.float64)))),
        float(np.sqrt(squares.mean())),
        (float(low), float(high)),
    )
