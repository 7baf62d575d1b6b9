"""How far two sets of fields, or two ensembles, are apart: each measure defined once.

``features``      what is kept of each field so that sets can be resampled cheaply;
``distribution``  distances between two sets, with the floor and null band that the solver itself sets;
``classifier``    a small classifier, which names the mode of a sample where modes are classes;
``modes``         modes found, sharpness and weights, where the modes are known;
``neighbours``    nearest neighbours modulo shifts and reflections: diversity and memorising;
``ensemble``      scores of forecasts: CRPS, energy score, spread-skill, ranks, coverage.
"""

from gan.metrics.classifier import Classifier, train_classifier
from gan.metrics.distribution import Yardstick, holm
from gan.metrics.ensemble import (
    coverage,
    crps,
    energy_score,
    rank_flatness,
    rank_histogram,
    spread_skill_ratio,
)
from gan.metrics.features import FieldFeatures, Frame
from gan.metrics.modes import Labels, mode_scores, nearest_centre
from gan.metrics.neighbours import diversity, memorising

__all__ = [
    "Classifier",
    "FieldFeatures",
    "Frame",
    "Labels",
    "Yardstick",
    "coverage",
    "crps",
    "diversity",
    "energy_score",
    "holm",
    "memorising",
    "mode_scores",
    "nearest_centre",
    "rank_flatness",
    "rank_histogram",
    "spread_skill_ratio",
    "train_classifier",
]
