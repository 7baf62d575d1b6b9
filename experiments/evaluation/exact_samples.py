"""Generated samples of a distribution with known modes against samples of the distribution itself: modes, weights,
distances, cost.

Two things limit what the scores can be even for a sampler without a flaw, and they are kept apart. *Sampling error*:
shares of finitely many samples differ from the weights; this is the target and the band of modes, total variation and
KL, from labels that are drawn with the very weights that are compared. *Labelling*: where a classifier names the modes
of held-out samples, its confusion and the finite number of held-out samples are in their shares too; what that comes to
stands as the row ``exact_samples`` among the baselines.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import jax
import numpy as np
from jaxtyping import Float

from experiments.config import CompareConfig
from experiments.evaluation.baselines import Fitted, Sample, baseline_rows
from experiments.evaluation.cost import in_turn
from experiments.evaluation.distances import ReferenceSet
from experiments.evaluation.distances.distribution import SETS
from experiments.evaluation.entries import BaselineRow, Score, SolverRow
from experiments.evaluation.intervals import central
from experiments.evaluation.results import Baselines, Cost, Distances, ModeShares, Scores, Section
from experiments.evaluation.scores import Labels, mode_scores
from experiments.reporting import Report

NULL_DRAWS = 60
"""Sets of labels or samples that give each score its target and its band."""
TIMED = 2048
"""Most samples that are made at once for the clock."""
POINTS, PICTURES = 4000, 64
"""Samples of a scatter plot, and samples with a grid, that are shown."""
_PERFECT = "Target and band: as many labels drawn with the weights themselves, the sampling error of a perfect sampler."
SCORES = {
    "modes_found": (
        f"modes with a sample of high quality. {_PERFECT} Of those as many are of high quality as of held-out samples.",
        "modes",
    ),
    "high_quality": (
        "share of the samples that lie within their mode. Target and band: sets of held-out samples of the "
        "distribution.",
        "",
    ),
    "total_variation": (f"half the summed differences of the modes' shares and weights. {_PERFECT}", ""),
    "kl": (f"divergence sum q log(q / p) of the modes' shares q from the weights p. {_PERFECT}", "nats"),
}


@runtime_checkable
class ExactDistribution(Protocol):
    """What is known of a distribution.

    Attributes:
        name: of the distribution.
        weights: of its modes, as the training split has them, summing to 1.
        channels: names of the numbers at each point of a sample.
        description: what there is to say of it, in plain values.
    """

    name: str
    weights: np.ndarray
    channels: tuple[str, ...]
    description: Mapping[str, object]

    def draw(self, split: str, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draw independent samples (count, *grid, C) of a split: train, validation or test."""
        ...

    def label(self, samples: np.ndarray) -> Labels:
        """Name the mode of every sample, and say whether it is of high quality."""
        ...

    def exact(self, split: str, count: int, rng: np.random.Generator) -> Labels:
        """Return the labels of ``count`` independent samples of a split."""
        ...


def compare_exact_samples(
    distribution: ExactDistribution,
    sample: Sample,
    training: Float[np.ndarray, "n *grid c"],
    test: Float[np.ndarray, "m *grid c"],
    *,
    counted: int,
    settings: CompareConfig,
    fitted: Mapping[str, Fitted],
    seconds: Mapping[str, float],
    progress: Report,
) -> tuple[tuple[Section, ...], dict[str, np.ndarray]]:
    """Hold a generator's samples against a distribution.

    Args:
        distribution: with its modes.
        sample: of the generator.
        training: samples that it was trained on.
        test: held-out samples, at least twice as many as are compared.
        counted: samples over which modes are counted.
        settings: sizes and seed.
        fitted: baselines by name.
        seconds: spent on ``"data"`` and ``"training"``.
        progress: called with (done, total, what).

    Returns:
        The sections, and the arrays behind the pictures.
    """
    key, count = jax.random.key(settings.seed), max(counted, 2 * settings.fields)
    sets = min(SETS, count // settings.fields)
    samples = sample(key, count)
    reference_set = ReferenceSet(
        test,
        n=settings.fields,
        draws=settings.draws,
        level=settings.level,
        quantiles=settings.quantiles,
        directions=settings.projections,
        homogeneous=False,
        seed=settings.seed,
        progress=lambda done, total, _: progress(done, total, "exact samples against exact samples"),
    )

    def ratios(some: np.ndarray) -> dict[str, float]:
        values = reference_set.distances(some[: settings.fields])
        return {name: values[name] / reference_set.floor[name] for name in reference_set.names}

    def row(some: np.ndarray) -> dict[str, float]:
        return ratios(some) | mode_scores(distribution.label(some[:counted]), distribution.weights)

    rng = np.random.default_rng((settings.seed, 11))
    held_out = []
    for done in range(NULL_DRAWS):
        held_out.append(mode_scores(distribution.exact("test", counted, rng), distribution.weights))
        progress(done + 1, NULL_DRAWS, "counting modes of exact samples")
    own = row(samples)
    exact = {name: float(np.median([one[name] for one in held_out])) for name in SCORES}
    rows = {
        "exact_samples": BaselineRow(
            "held-out samples of the distribution, labelled as the generator's are",
            ratios(distribution.draw("test", settings.fields, rng)) | exact,
        ),
        "training_samples": BaselineRow(
            "samples of the training split, labelled as the generator's are",
            ratios(training) | mode_scores(distribution.exact("train", counted, rng), distribution.weights),
        ),
    }
    brief = min(settings.fields, TIMED)
    timings = in_turn(
        {
            "generator": lambda: sample(key, brief),
            "distribution": lambda: distribution.draw("test", brief, np.random.default_rng(0)),
        },
        repeats=settings.repeats,
        count=brief,
    )
    rows |= baseline_rows(
        fitted,
        lambda draw: draw(key, count),
        row,
        brief,
        repeats=settings.repeats,
        brief=lambda draw: draw(key, brief),
    )
    generator = BaselineRow("the generator", own, 1, timings["generator"], seconds["training"])
    sections = (
        _distances(reference_set, samples[: sets * settings.fields], sets),
        Scores("exact samples", _scores(own, held_out, distribution.weights, counted, rng)),
        ModeShares(distribution.name, len(distribution.weights), counted),
        Baselines("Scores as defined above; of every distance, the ratio to its floor.", generator, rows),
        Cost(
            "the exact sampler draws from the distribution itself",
            timings["generator"],
            None,
            SolverRow({"sampler": "exact"}, timings["distribution"], True, {}),
            (),
            seconds["data"],
            seconds["training"],
        ),
    )
    return sections, _figures(distribution, samples[:counted], settings.seed)


def perfect_labels(
    weights: Float[np.ndarray, " modes"], count: int, quality: float, rng: np.random.Generator
) -> Labels:
    """Draw the labels of a perfect sampler.

    Args:
        weights: of the modes.
        count: labels.
        quality: share of them that is of high quality.
        rng: source of randomness.
    """
    mode = np.repeat(np.arange(len(weights)), rng.multinomial(count, weights))
    return Labels(mode, rng.random(count) < quality)


def _scores(
    own: Mapping[str, float],
    held_out: list[dict[str, float]],
    weights: np.ndarray,
    counted: int,
    rng: np.random.Generator,
) -> dict[str, Score]:
    quality = float(np.mean([one["high_quality"] for one in held_out]))
    perfect = [mode_scores(perfect_labels(weights, counted, quality, rng), weights) for _ in range(NULL_DRAWS)]
    scores = {}
    for name, (definition, unit) in SCORES.items():
        drawn = [one[name] for one in (held_out if name == "high_quality" else perfect)]
        low, high = central(np.array(drawn))
        scores[name] = Score(definition, unit, own[name], float(np.median(drawn)), (float(low), float(high)))
    return scores


def _distances(reference_set: ReferenceSet, samples: np.ndarray, sets: int) -> Distances:
    return Distances(
        between=f"{reference_set.n} samples and as many exact ones, a mean over {sets} sets of samples",
        against="disjoint sets of exact samples",
        reference="exact samples",
        draws=reference_set.draws,
        level=reference_set.level,
        entries=reference_set.compare(samples),
    )


def _figures(distribution: ExactDistribution, samples: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Samples beside exact ones, and the weights of the modes with the band of a perfect sampler."""
    kind, shown = ("pictures", PICTURES) if samples.ndim > 2 else ("points", POINTS)
    exact = distribution.draw("test", min(shown, len(samples)), np.random.default_rng((seed, 12)))
    return {
        f"modes/{kind}_generator": samples[:shown],
        f"modes/{kind}_exact": exact,
        "modes/weights": distribution.weights,
        "modes/shares": np.bincount(distribution.label(samples).mode, minlength=len(distribution.weights))
        / len(samples),
        "modes/spread": 2 * np.sqrt(distribution.weights * (1 - distribution.weights) / len(samples)),
    }
