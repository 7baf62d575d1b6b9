"""The report's section on refinement: every start against solver time."""

from __future__ import annotations

import html

from experiments import plots
from experiments.evaluation.entries import Curve, Interval
from experiments.evaluation.results import Refinement
from experiments.plots.style import LineStyle
from experiments.report.page import Page
from experiments.report.pieces import gallery, given, interval, number, table
from experiments.wording import is_finite


def refinement_section(refinement: Refinement, page: Page) -> str:
    """The classifier, the joint test and every distance against solver time, from each start."""
    looks = plots.looks(refinement)
    legend = "".join(
        '<li><svg width="34" height="10" aria-hidden="true"><line x1="1" x2="33" y1="5" y2="5" '
        f'stroke="{look.colour}" stroke-width="2.4" stroke-dasharray="{_dashes(look.line)}"/></svg>'
        f"{html.escape(look.label)}</li>"
        for look in looks.values()
    )
    text = (
        "<p>What a start is worth shows in the solver time after which its fields are no longer distinguished "
        "from the solver's, "
        f"by the joint test at level {given(refinement.level)} over that time and all later ones. Solver time counts "
        "the solver layer that a generated sample already contains.</p>"
    )
    rows = [
        [
            html.escape(curve.label),
            _entry(curve),
            *(_area(curve, place) for place in (0, -1)),
            given(curve.time[0]) if curve.time else "–",
            given(curve.time[-1]) if curve.time else "–",
        ]
        for curve in refinement.curves.values()
    ]
    head = [
        "start",
        "no longer distinguished from solver time",
        "AUC at its first time",
        "AUC at its last time",
        "first",
        "last",
    ]
    marked = [key == "generator" for key in refinement.curves]
    followed = gallery(plots.refined_distances(refinement, page.comparison))
    named = f'<h3>Distances</h3><ul class="legend">{legend}</ul>{followed}' if followed else ""
    return (
        f"<section><h2>Refinement</h2>{text}{gallery(plots.refined_tests(refinement, page.comparison), 'one')}"
        f"{table(head, rows, marked)}{_saved(refinement)}{named}</section>"
    )


def _entry(curve: Curve) -> str:
    if curve.enters is not None:
        return given(curve.enters)
    return f"not by {given(curve.time[-1])}" if curve.time else "never"


def _area(curve: Curve, place: int) -> str:
    if not curve.auc:
        return "–"
    ends: Interval | None = curve.auc_interval[place] if curve.auc_interval else None
    around = "" if ends is None or not is_finite(ends[0]) else f" ({interval(ends)})"
    return f"{number(curve.auc[place])}{around}"


def _saved(refinement: Refinement) -> str:
    """What the generator saves against each start that gets there."""
    parts = [
        f"{given(saved)} against “{html.escape(curve.label)}”"
        for key, curve in refinement.curves.items()
        if key != "generator" and (saved := refinement.saved(key)) is not None
    ]
    return f"<p>Solver time that the generator saves: {'; '.join(parts)}.</p>" if parts else ""


def _dashes(line: LineStyle) -> str:
    """Turn a line style of matplotlib into an SVG dash pattern."""
    if isinstance(line, tuple):
        return " ".join(str(3 * one) for one in line[1])
    return {"-": "none", "--": "7 4", ":": "2 3", "-.": "7 3 2 3"}[line]
