"""Distances between two sets of fields, each defined once, with the floor and null band that the reference sets."""

from experiments.evaluation.distances.distribution import ReferenceSet, holm
from experiments.evaluation.distances.features import FieldFeatures, Frame, resolved_shells
from experiments.evaluation.distances.names import distance_names

__all__ = ["FieldFeatures", "Frame", "ReferenceSet", "distance_names", "holm", "resolved_shells"]
