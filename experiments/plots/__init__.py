"""Pictures of a run, made from ``figures.npz``, ``comparison.json`` and ``metrics.jsonl`` alone.

Every function takes typed results (`experiments.evaluation.results`), arrays or rows of the record, and returns a list
of ``Picture``s: an empty one where what it draws is missing, so that a report shows what there is.
"""

from __future__ import annotations

from experiments.plots.clouds import clouds
from experiments.plots.cost import search, worth
from experiments.plots.course import layers, training
from experiments.plots.dirac import portraits
from experiments.plots.fields import evolution, samples
from experiments.plots.forecast import forecasts, rank_histogram
from experiments.plots.intervals import forest, tests
from experiments.plots.modes import SampleHistory, beside, sample_history, shares, strip
from experiments.plots.modes import course as modes_course
from experiments.plots.planes import planes
from experiments.plots.preview import preview
from experiments.plots.recovery import recoveries
from experiments.plots.solver_time import looks, refined_distances, refined_tests
from experiments.plots.statistics import correlation, histograms, spectrum
from experiments.plots.style import Picture

__all__ = [
    "Picture",
    "SampleHistory",
    "beside",
    "clouds",
    "correlation",
    "evolution",
    "forecasts",
    "forest",
    "histograms",
    "layers",
    "looks",
    "modes_course",
    "planes",
    "portraits",
    "preview",
    "rank_histogram",
    "recoveries",
    "refined_distances",
    "refined_tests",
    "sample_history",
    "samples",
    "search",
    "shares",
    "spectrum",
    "strip",
    "tests",
    "training",
    "worth",
]
