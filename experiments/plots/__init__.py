"""Pictures of a run, made from ``figures.npz``, ``comparison.json`` and ``metrics.jsonl`` alone.

Every function takes these as they were read and returns a list of ``Picture``s: an empty one where its arrays
are missing, so that a report shows what there is.
"""

from __future__ import annotations

from experiments.plots.course import layers, refinement, search, training
from experiments.plots.dirac import portraits
from experiments.plots.fields import evolution, samples
from experiments.plots.forecast import forecasts, rank_histogram
from experiments.plots.modes import Film, beside, film, shares, strip
from experiments.plots.modes import course as modes_course
from experiments.plots.preview import preview
from experiments.plots.statistics import correlation, forest, histograms, spectrum
from experiments.plots.style import Picture, is_inside, null_limit, unit_of, words

__all__ = [
    "Film",
    "Picture",
    "beside",
    "correlation",
    "evolution",
    "film",
    "forecasts",
    "forest",
    "histograms",
    "is_inside",
    "layers",
    "modes_course",
    "null_limit",
    "portraits",
    "preview",
    "rank_histogram",
    "refinement",
    "samples",
    "search",
    "shares",
    "spectrum",
    "strip",
    "training",
    "unit_of",
    "words",
]
