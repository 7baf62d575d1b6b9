"""The report's sections of pictures: fields, modes, orbits, statistics, forecasts, training."""

from __future__ import annotations

import html
from collections.abc import Sequence

from experiments import plots
from experiments.evaluation.results import FieldPictures, Forecasts, ModeShares, Orbits, Scores, Statistics
from experiments.files import JsonObject
from experiments.report.page import Page
from experiments.report.pieces import gallery, given, name, number, table


def fields_section(fields: FieldPictures, page: Page) -> str:
    """Generated fields beside the solver's, also in space and time."""
    shown = plots.evolution(page.figures, page.comparison) + plots.samples(page.figures, page.comparison)
    shown += plots.clouds(page.figures, page.comparison)
    return f"<section><h2>Fields</h2>{gallery(shown, 'one')}</section>" if shown else ""


def modes_section(modes: ModeShares, page: Page) -> str:
    """Samples of a distribution with known modes beside exact ones, and their course over the training."""
    frames = page.folder.sample_history()
    kept, steps = [samples for _, samples in frames], [step for step, _ in frames]
    wide = [*plots.beside(page.figures), *plots.shares(page.figures), *plots.strip(kept, steps, page.figures)]
    cards: list[plots.Picture | plots.SampleHistory] = [
        *plots.modes_course(page.metrics, page.comparison.get(Scores)),
        *plots.sample_history(kept, steps, page.figures),
    ]
    name = html.escape(modes.distribution)
    text = f"{name} has {number(modes.modes)} modes, counted over {number(modes.counted)} samples."
    return f"<section><h2>Modes</h2><p>{text}</p>{gallery(wide, 'one')}{gallery(cards)}</section>"


def orbits_section(orbits: Orbits, page: Page) -> str:
    """Phase portraits of every update scheme with the eigenvalues they follow."""
    head = ["scheme", "steps", "R1", "largest eigenvalue", "its modulus", "factor per update", "outcome"]
    rows = []
    for one in orbits.rows:
        value = "–"
        if one.eigenvalue is not None:
            value = f"{number(one.eigenvalue[0])} ± {number(one.eigenvalue[1])}i"
        outcome = one.outcome if one.outcome is not None else f"refused: {one.refused}"
        cells = [given(one.gamma), value, number(one.radius), number(one.factor), html.escape(outcome)]
        rows.append([name(one.scheme), html.escape(one.transform), *cells])
    text = (
        f"<p>Objective {name(orbits.objective)}, step size {given(orbits.rate)}, {number(orbits.updates)} updates. "
        "The eigenvalue is that of one update linearised at the equilibrium, the optimizer's memory included; the "
        "factor is what an update of the orbit's last half multiplied the distance by. Adam's steps have no "
        "linearisation at the equilibrium.</p>"
    )
    shown = gallery(plots.portraits(page.figures, orbits), "one")
    return f"<section><h2>Orbits</h2>{text}{shown}{table(head, rows, text=[6])}</section>"


def statistics_section(statistics: Statistics, page: Page) -> str:
    """Spectrum, histograms and correlation with the reference's bands."""
    shown = [
        *plots.spectrum(page.figures, page.comparison),
        *plots.histograms(page.figures, page.comparison),
        *plots.correlation(page.figures, page.comparison),
    ]
    return f"<section><h2>Statistics</h2>{gallery(shown)}</section>" if shown else ""


def forecasts_section(forecasts: Forecasts, page: Page) -> str:
    """Ensembles beside what came true, and the ranks of the truth."""
    wide = gallery(plots.planes(page.figures, page.comparison), "one")
    shown = plots.forecasts(page.figures, page.comparison) + plots.rank_histogram(page.figures)
    return f"<section><h2>Ensembles</h2>{wide}{gallery(shown)}</section>" if wide or shown else ""


def training_section(metrics: Sequence[JsonObject]) -> str:
    """All that was recorded over the training, and its alarms."""
    shown = plots.training(metrics)
    layers = gallery(plots.layers(metrics), "one")
    alarms = [(row.get("step"), text) for row in metrics for text in _texts(row.get("alarms"))]
    if not shown and not layers and not alarms:
        return ""
    said = "".join(f"<li>Step {number(step)}: {html.escape(str(text))}.</li>" for step, text in alarms)
    return f"<section><h2>Training</h2>{f'<ul>{said}</ul>' if said else ''}{gallery(shown)}{layers}</section>"


def _texts(alarms: object) -> list[str]:
    """The alarms of a row of the record, where it holds any."""
    return [str(one) for one in alarms] if isinstance(alarms, list) else []
