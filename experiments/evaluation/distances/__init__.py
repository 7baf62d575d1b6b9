"""Distances between two sets of fields, each defined once, with the floor and null band that the reference sets."""

from experiments.evaluation.distances.distribution import ReferenceSet, holm
from experiments.evaluation.distances.features import FieldFeatures, Frame, resolved_shells

__all__ = ["FieldFeatures", "Frame", "ReferenceSet", "holm", "resolved_shells"]
