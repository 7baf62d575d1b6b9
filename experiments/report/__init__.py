"""``report.html``: one self-contained page on a run, from what lies in its folder and nothing else.

It reads ``config.yaml``, ``data.json``, ``metrics.jsonl``, ``comparison.json`` and ``figures.npz``. The sections of
the comparison are shown in their own order, each by the renderer of its kind (`RENDERERS`). Pictures are embedded,
without scripts or addresses, so the file can be mailed and printed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from experiments import plots
from experiments.evaluation import results
from experiments.files import write_text
from experiments.report import pictured, tables
from experiments.report.cost import cost_section, worth_section
from experiments.report.head import details_section, head_section
from experiments.report.page import Page
from experiments.report.pieces import document
from experiments.report.planning import planning_section
from experiments.report.refinement import refinement_section
from experiments.report.tests import tests_section
from experiments.runs import RunFolder
from experiments.wording import capital

RENDERERS: Mapping[type, Callable[[Any, Page], str]] = {
    results.Tests: tests_section,
    results.Distances: tables.distances_section,
    results.Scores: tables.scores_section,
    results.Refinement: refinement_section,
    results.Cost: cost_section,
    results.Worth: worth_section,
    results.Planning: planning_section,
    results.Baselines: tables.baselines_section,
    results.Regions: tables.regions_section,
    results.ImportanceWeights: tables.weights_section,
    results.AgainstTruth: tables.truth_section,
    results.Orbits: pictured.orbits_section,
    results.Recoveries: tables.recoveries_section,
    results.FieldPictures: pictured.fields_section,
    results.Statistics: pictured.statistics_section,
    results.Forecasts: pictured.forecasts_section,
    results.ModeShares: pictured.modes_section,
}
"""What shows each kind of section, as markup."""


def write(folder: RunFolder) -> Path:
    """Write ``report.html`` and, where there are fields to show, ``preview.png``; returns the page's path."""
    write_text(folder.report_file, build(folder))
    if folder.comparison_file.exists():
        plots.preview(folder.figures(), folder.comparison(), folder.path / "preview.png")
    return folder.report_file


def build(folder: RunFolder) -> str:
    """Return the page as text."""
    comparison = folder.comparison() if folder.comparison_file.exists() else None
    metrics = folder.metrics()
    system = folder.summary().system.partition(",")[0]
    title = (comparison.title if comparison else "") or f"{capital(system)}: generator against solver"
    sections = [head_section(folder, comparison, metrics, title)]
    if comparison is not None:
        page = Page(folder, comparison, folder.figures(), metrics)
        sections += [RENDERERS[type(section)](section, page) for section in comparison.sections]
    sections += [pictured.training_section(metrics), details_section(folder)]
    return document(title, sections)
