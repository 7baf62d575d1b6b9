"""The report's sections of pictures: fields, modes, orbits, refinement, statistics, forecasts, training."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from experiments import plots
from experiments.plots.course import refined_distances, starts_legend
from experiments.plots.style import Arrays, is_finite
from experiments.report.pieces import gallery, given, number, table
from experiments.runs import RunFolder


def fields_section(comparison: Mapping[str, Any], figures: Arrays) -> str:
    """Generated fields beside the solver's, also in space and time."""
    shown = plots.evolution(figures, comparison) + plots.samples(figures, comparison)
    return f"<section><h2>Fields</h2>{gallery(shown, 'one')}</section>" if shown else ""


def modes_section(
    folder: RunFolder, comparison: Mapping[str, Any], figures: Arrays, metrics: Sequence[Mapping[str, Any]]
) -> str:
    """Samples of a law with known modes beside exact ones, and their course over the training."""
    if comparison.get("task") != "modes":
        return ""
    frames = folder.film()
    kept, steps = [samples for _, samples in frames], [step for step, _ in frames]
    wide = [*plots.beside(figures), *plots.shares(figures), *plots.strip(kept, steps, figures)]
    cards: list[plots.Picture | plots.Film] = [
        *plots.modes_course(metrics, comparison),
        *plots.film(kept, steps, figures),
    ]
    return f"<section><h2>Modes</h2>{gallery(wide, 'one')}{gallery(cards)}</section>"


def orbits_section(comparison: Mapping[str, Any], figures: Arrays) -> str:
    """Phase portraits of every play with the eigenvalues they follow."""
    orbits = comparison.get("orbits") or []
    if not orbits:
        return ""
    head = ["play", "steps", "R1", "largest eigenvalue", "its modulus", "factor per update", "outcome"]
    rows = []
    for one in orbits:
        real, imaginary = one.get("eigenvalue") or (None, None)
        value = f"{number(real)} ± {number(imaginary)}i" if real is not None else "–"
        outcome = html.escape(str(one.get("outcome") or f"refused: {one.get('refused')}"))
        name = html.escape(plots.words(one["play"]))
        cells = [given(one["gamma"]), value, number(one.get("radius")), number(one.get("factor")), outcome]
        rows.append([name, html.escape(str(one["transform"])), *cells])
    text = (
        f"<p>Objective {html.escape(plots.words(comparison['objective']))}, step size {given(comparison['rate'])}. "
        "The eigenvalue is that of one update linearised at the equilibrium, the optimizer's memory included; the "
        "factor is what an update of the orbit's last half multiplied the distance by. Adam's steps have no "
        "linearisation at the equilibrium.</p>"
    )
    shown = gallery(plots.portraits(figures, comparison), "one")
    return f"<section><h2>Orbits</h2>{text}{shown}{table(head, rows, text=[6])}</section>"


def refinement_section(comparison: Mapping[str, Any]) -> str:
    """Every distance against solver time, from each start."""
    curves = comparison.get("refinement") or {}
    pictures = plots.refinement(comparison)
    if not pictures:
        return ""
    legend = "".join(
        '<li><svg width="34" height="10" aria-hidden="true"><line x1="1" x2="33" y1="5" y2="5" '
        f'stroke="{colour}" stroke-width="2.4" stroke-dasharray="{_DASHES.get(line, "7 3 2 3")}"/></svg>'
        f"{html.escape(label)}</li>"
        for label, colour, line in starts_legend(comparison)
    )
    names = list(curves)
    rows = []
    for name in refined_distances(comparison):
        rows.append([html.escape(plots.words(name)), *(_entry(curves[start], name) for start in names)])
    if any("enters_all" in curves[start] for start in names):
        together = [{**curves[start], "enters": {"all": curves[start].get("enters_all")}} for start in names]
        rows.append([_TOGETHER, *(_entry(one, "all") for one in together)])
    marked = [False] * (len(rows) - 1) + [rows[-1][0] == _TOGETHER]
    text = (
        "<p>What a start is worth shows in the solver time after which its fields can no longer be told from "
        "the solver's. Solver time counts the carry that a generated sample already contains. A ring marks "
        "where a curve enters the shaded null band for good.</p>"
    )
    head = ["solver time to enter for good", *(html.escape(plots.words(one)) for one in names)]
    return (
        f'<section><h2>Refinement</h2>{text}<ul class="legend">{legend}</ul>{gallery(pictures)}'
        f"{table(head, rows, marked)}</section>"
    )


_TOGETHER = "all distances together"
_DASHES = {"-": "none", "--": "7 4", ":": "2 3"}


def _entry(curve: Mapping[str, Any], name: str) -> str:
    entered = (curve.get("enters") or {}).get(name)
    return given(entered) if is_finite(entered) else f"not by {given(curve['time'][-1])}"


def statistics_section(comparison: Mapping[str, Any], figures: Arrays) -> str:
    """Spectrum, histograms and correlation with the solver's bands."""
    shown = (
        plots.spectrum(figures, comparison)
        + plots.histograms(figures, comparison)
        + plots.correlation(figures, comparison)
    )
    return f"<section><h2>Statistics</h2>{gallery(shown)}</section>" if shown else ""


def forecast_section(comparison: Mapping[str, Any], figures: Arrays) -> str:
    """Ensembles beside what came true, and the ranks of the truth."""
    shown = plots.forecasts(figures, comparison) + plots.rank_histogram(figures, comparison)
    return f"<section><h2>Forecasts</h2>{gallery(shown)}</section>" if shown else ""


def training_section(metrics: Sequence[Mapping[str, Any]]) -> str:
    """All that was recorded over the training, and its alarms."""
    shown = plots.training(metrics)
    layers = gallery(plots.layers(metrics), "one")
    alarms = [(row.get("step"), text) for row in metrics for text in row.get("alarms", ())]
    if not shown and not layers and not alarms:
        return ""
    said = "".join(f"<li>Step {number(step)}: {html.escape(str(text))}.</li>" for step, text in alarms)
    return f"<section><h2>Training</h2>{f'<ul>{said}</ul>' if said else ''}{gallery(shown)}{layers}</section>"
