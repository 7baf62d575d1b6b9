"""Numbers with a target, each defined once.

``neighbours``        nearest neighbours: diversity and memorization modulo shifts and reflections, precision and
recall; ``ensemble``          scores of forecasts: CRPS, energy score, spread-skill, ranks, coverage;
``modes``             modes found, sharpness and weights, where the modes are known;
``label_classifier``  a small classifier, which names the mode of a sample where modes are classes.
"""

from experiments.evaluation.scores.ensemble import (
    coverage,
    crps,
    energy_score,
    rank_flatness,
    rank_histogram,
    spread_skill_ratio,
)
from experiments.evaluation.scores.label_classifier import Classifier, train_classifier
from experiments.evaluation.scores.modes import Labels, mode_scores, nearest_centre
from experiments.evaluation.scores.neighbours import Neighbourhoods, diversity, memorization

__all__ = [
    "Classifier",
    "Labels",
    "Neighbourhoods",
    "coverage",
    "crps",
    "diversity",
    "energy_score",
    "memorization",
    "mode_scores",
    "nearest_centre",
    "rank_flatness",
    "rank_histogram",
    "spread_skill_ratio",
    "train_classifier",
]
