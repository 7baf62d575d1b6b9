"""``report.html``: one self-contained page on a run, from what lies in its folder and nothing else.

It reads ``config.yaml``, ``data.json``, ``metrics.jsonl``, ``comparison.json`` and ``figures.npz``, and shows
what is there. Pictures are embedded, without scripts or addresses, so the file can be mailed and printed.
"""

from __future__ import annotations

import html
from pathlib import Path

from experiments import catalog, plots
from experiments.files import write_text
from experiments.report import pictured, tables
from experiments.report.cost import cost_section
from experiments.report.head import details_section, head_section
from experiments.runs import RunFolder

_STYLE = Path(__file__).with_name("report.css")


def write(folder: RunFolder) -> Path:
    """Write ``report.html`` and, where there are fields to show, ``preview.png``; returns the page's path."""
    page = build(folder)
    write_text(folder.report_file, page)
    figures = folder.figures()
    if figures:
        comparison = folder.comparison() if folder.comparison_file.exists() else {}
        plots.preview(figures, comparison, folder.path / "preview.png")
    return folder.report_file


def build(folder: RunFolder) -> str:
    """Return the page as text."""
    comparison = folder.comparison() if folder.comparison_file.exists() else {}
    figures, metrics, data = folder.figures(), folder.metrics(), folder.data()
    system = catalog.names()[folder.experiment].system.partition(",")[0]
    title = str(comparison.get("title") or f"{system[:1].upper()}{system[1:]}, generator against solver")
    sections = [
        head_section(folder, comparison, metrics, title),
        pictured.modes_section(folder, comparison, figures, metrics),
        pictured.orbits_section(comparison, figures),
        tables.distances_section(comparison),
        pictured.fields_section(comparison, figures),
        pictured.refinement_section(comparison),
        pictured.statistics_section(comparison, figures),
        pictured.forecast_section(comparison, figures),
        tables.scores_section(comparison),
        tables.regions_section(comparison),
        # A law that is sampled exactly has no cheaper solver to be held against.
        "" if comparison.get("task") == "modes" else cost_section(comparison),
        tables.baselines_section(comparison),
        pictured.training_section(metrics),
        details_section(folder, data),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{_STYLE.read_text()}</style>\n</head>\n<body>\n"
        + "\n".join(one for one in sections if one)
        + "\n</body>\n</html>\n"
    )
