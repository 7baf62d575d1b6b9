"""``report.html``: one self-contained page on a run, from what lies in its folder and nothing else.

It reads ``config.yaml``, ``data.json``, ``metrics.jsonl``, ``comparison.json`` and ``figures.npz``, and shows
what is there. Pictures are embedded, without scripts or addresses, so the file can be mailed and printed.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from experiments import catalog, plots
from experiments.page import MARKS, definitions, gallery, given, number, seconds, table
from experiments.plots.course import refined_distances, starts_legend
from experiments.plots.style import Arrays, is_finite
from experiments.report_cost import cost_section
from experiments.runs import RunFolder, write_text

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
        _head(folder, comparison, metrics, title),
        _modes(folder, comparison, figures, metrics),
        _orbits(comparison, figures),
        _distances(comparison),
        _fields(comparison, figures),
        _refinement(comparison),
        _statistics(comparison, figures),
        _forecast(comparison, figures),
        _scores(comparison),
        _regions(comparison),
        # A law that is sampled exactly has no cheaper solver to be held against.
        "" if comparison.get("task") == "modes" else cost_section(comparison),
        _baselines(comparison),
        _training(metrics),
        _details(folder, data),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{_STYLE.read_text()}</style>\n</head>\n<body>\n"
        + "\n".join(one for one in sections if one)
        + "\n</body>\n</html>\n"
    )


def _head(folder: RunFolder, comparison: Mapping[str, Any], metrics: Sequence[Mapping[str, Any]], title: str) -> str:
    record = folder.record
    verdict = comparison.get("verdict") or (
        f"This run has not been compared with the solver yet. Go on with: {folder.resume_command()}"
    )
    cost = comparison.get("cost") or {}
    ratios = sorted(one["ratio"] for one in (comparison.get("distances") or {}).values() if is_finite(one.get("ratio")))
    inside = [plots.is_inside(one) for one in (comparison.get("distances") or {}).values()]
    facts: list[tuple[str, str]] = []
    if ratios:
        middle = (ratios[(len(ratios) - 1) // 2] + ratios[len(ratios) // 2]) / 2
        facts += [(number(middle), "median ratio to the floor"), (number(ratios[-1]), "largest ratio")]
        facts.append((f"{sum(map(bool, inside))} of {len(inside)}", "distances inside the null band"))
    if comparison.get("n"):
        what = f"members in each of {comparison['cases']} cases" if comparison.get("cases") else "fields compared"
        facts.append((number(comparison["n"]), f"{what} on each side"))
    if metrics and is_finite(metrics[-1].get("step")):
        facts.append((number(metrics[-1]["step"]), "generator updates"))
    if is_finite(cost.get("training_seconds")):
        facts.append((seconds(cost["training_seconds"]), "training"))
    if is_finite(cost.get("generator_seconds_per_sample")):
        carried = ", carry included" if cost.get("carry_seconds_per_sample") else ""
        facts.append((seconds(cost["generator_seconds_per_sample"]), f"per sample{carried}"))
    devices = record.get("devices") or {}
    below = ", ".join(
        one
        for one in (
            f"task {comparison.get('task')}" if comparison.get("task") else "",
            f"preset {folder.preset}",
            f"seed {folder.config.seed}",
            f"{devices.get('count')} × {devices.get('kind') or devices.get('platform')}" if devices else "",
            str(record.get("created", "")).replace("T", " "),
        )
        if one
    )
    boxes = "".join(f"<div><b>{value}</b><span>{html.escape(label)}</span></div>" for value, label in facts)
    return (
        f'<header><h1>{html.escape(title)}</h1><p class="soft">{html.escape(below)}</p></header>'
        f'<div class="verdict"><p>{html.escape(str(verdict))}</p></div>'
        + (f'<div class="facts">{boxes}</div>' if boxes else "")
    )


def _distances(comparison: Mapping[str, Any]) -> str:
    distances = comparison.get("distances") or {}
    if not distances:
        return ""
    draws = f" over {number(comparison['draws'])} draws" if comparison.get("draws") else ""
    n = f" of {number(comparison['n'])} fields" if comparison.get("n") else ""
    between, against = f"two sets{n} from independent trajectories", "solver sets against solver sets"
    if comparison.get("task") == "forecast":
        between = f"ensembles of {number(comparison.get('n'))} members, over {number(comparison.get('cases'))} cases"
        against = "two halves of the solver's posterior ensemble"
    told = "the solver"
    if comparison.get("task") == "modes":
        between, told = f"two sets of {number(comparison['n'])} samples", "exact samples"
        against = "exact sets against exact sets"
    level = comparison.get("level") or 0.05
    text = (
        f"<p>Every distance is between {between}. Its floor is the median, its null band ends at the 95% quantile, "
        f"of {against}{draws}; a ratio of 1 is what a second such set has. <b>Inside</b> means: it cannot be told "
        f"from {told}, at the {100 * level:g}% level corrected over all distances (Holm).</p>"
    )
    more, forest = definitions(comparison.get("definitions") or {}), gallery(plots.forest(comparison), "one")
    return f"<section><h2>Distances</h2>{text}{_distance_table(distances)}{more}{forest}</section>"


def _distance_table(distances: Mapping[str, Any]) -> str:
    rows = []
    for name, one in distances.items():
        low, high = (one.get("ratio_ci") or [None, None])[:2]
        inside = plots.is_inside(one)
        rows.append(
            [
                html.escape(plots.words(name)),
                number(one.get("value")),
                number(one.get("floor")),
                number(one.get("null95")),
                f"<b>{number(one.get('ratio'))}</b>",
                f"{number(low)} to {number(high)}" if low is not None else "–",
                MARKS[inside],
            ]
        )
    head = ["distance", "value", "floor", "null 95%", "ratio", "95% interval", "null band"]
    return table(head, rows)


def _fields(comparison: Mapping[str, Any], figures: Arrays) -> str:
    shown = plots.evolution(figures, comparison) + plots.samples(figures, comparison)
    return f"<section><h2>Fields</h2>{gallery(shown, 'one')}</section>" if shown else ""


def _modes(
    folder: RunFolder, comparison: Mapping[str, Any], figures: Arrays, metrics: Sequence[Mapping[str, Any]]
) -> str:
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


def _orbits(comparison: Mapping[str, Any], figures: Arrays) -> str:
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


_DASHES = {"-": "none", "--": "7 4", ":": "2 3"}


def _refinement(comparison: Mapping[str, Any]) -> str:
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
        rows.append(["all together (Holm)", *(_entry(one, "all") for one in together)])
    marked = [False] * (len(rows) - 1) + [rows[-1][0] == "all together (Holm)"]
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


def _entry(curve: Mapping[str, Any], name: str) -> str:
    entered = (curve.get("enters") or {}).get(name)
    return given(entered) if is_finite(entered) else f"not by {given(curve['time'][-1])}"


def _statistics(comparison: Mapping[str, Any], figures: Arrays) -> str:
    shown = (
        plots.spectrum(figures, comparison)
        + plots.histograms(figures, comparison)
        + plots.correlation(figures, comparison)
    )
    return f"<section><h2>Statistics</h2>{gallery(shown)}</section>" if shown else ""


def _forecast(comparison: Mapping[str, Any], figures: Arrays) -> str:
    shown = plots.forecasts(figures, comparison) + plots.rank_histogram(figures, comparison)
    return f"<section><h2>Forecasts</h2>{gallery(shown)}</section>" if shown else ""


_SCORES = {
    "modes_found": "modes to which at least one sample of high quality belongs",
    "high_quality": "share of samples within their mode: within three standard deviations of a Gaussian's centre, or "
    "recognised by the classifier with confidence",
    "total_variation": "half the sum over the modes of |share of the samples - true weight|",
    "kl": "relative entropy of the samples' shares of the modes with respect to the true weights, in nats",
    "diversity": "distance of a field to its nearest neighbour in its own set, over the same for solver fields; "
    "copies and clumps bring it towards 0, noise lifts it above 1",
    "memorising": "share of samples nearer to the training fields, at whatever shift or reflection, than all but 5% "
    "of held-out solver fields are; a generator that repeats its training data has more",
    "amplitude": "root mean square of the fields over that of the solver's",
    "unresolved_energy": "share of the energy beyond the wavenumbers that the spectrum's distance compares",
    "invalid": "share of samples that were not finite, or that the solver refused",
    "crps": "continuous ranked probability score against the truth, fair in the number of members, in standard "
    "deviations; smaller is better",
    "energy_score": "the same for whole trajectories at once",
    "spread_skill": "spread of the ensemble over the error of its mean; below 1 it is too sure of itself",
    "rank_flatness": "chi-square per degree of freedom of the rank histogram; neighbouring points are not independent, "
    "so the solver's own band is what to compare with, not 1",
    "coverage_90": "share of truths within the ensemble's central 90%",
    "defect": "root mean square mismatch, per unit of time, between a field and the solver's step from the one before",
}


def _scores(comparison: Mapping[str, Any]) -> str:
    scores = comparison.get("scores") or {}
    if not scores:
        return ""
    text = (
        f"<p>Each score has a target, which {_reference(comparison)} meet only within chance: <b>inside</b> means "
        "within the band that holds 95% of their own values, score by score.</p>"
    )
    meanings = {name: meaning for name, meaning in _SCORES.items() if any(one.split("/")[0] == name for one in scores)}
    return f"<section><h2>Scores</h2>{text}{_score_table(scores)}{definitions(meanings)}</section>"


def _reference(comparison: Mapping[str, Any]) -> str:
    return "exact samples" if comparison.get("task") == "modes" else "the solver's own fields"


def _target(value: Any) -> str:
    """A target that was chosen stands as it was chosen, one that was measured with as many digits as the value."""
    return given(value) if is_finite(value) and float(f"{value:.2g}") == value else number(value)


def _score_table(scores: Mapping[str, Any]) -> str:
    rows = []
    for name, one in scores.items():
        low, high = (one.get("null") or [None, None])[:2]
        value = one.get("value")
        if is_finite(value) and is_finite(low) and is_finite(high):
            inside = low <= value <= high
        else:
            inside = None
        band = f"{number(low)} to {number(high)}" if low is not None else "–"
        rows.append(
            [
                html.escape(plots.words(name)),
                f"<b>{number(value)}</b>",
                _target(one.get("target")),
                band,
                MARKS[inside],
            ]
        )
    head = ["score", "value", "target", "the reference's own", "null band"]
    return table(head, rows)


def _regions(comparison: Mapping[str, Any]) -> str:
    """Outside the range of training: the same tables, region by region."""
    regions = comparison.get("regions") or {}
    if not regions:
        return ""
    inside = f", {html.escape(str(comparison['range']).partition(',')[0])}" if comparison.get("range") else ""
    parts = [
        f"<h3>{html.escape(plots.words(label))}</h3>{_distance_table(one.get('distances') or {})}"
        f"{_score_table(one.get('scores') or {})}"
        for label, one in regions.items()
    ]
    text = (
        f"<p>All else on this page is within the range of training{inside}. Here the generator is asked for what it "
        "was never trained on, against exact posteriors of its own at each value.</p>"
    )
    return f"<section><h2>Outside the range of training</h2>{text}{''.join(parts)}</section>"


def _baselines(comparison: Mapping[str, Any]) -> str:
    baselines = comparison.get("baselines") or {}
    names = [name for name, one in baselines.items() if isinstance(one, Mapping)]
    if not names:
        return ""
    baselines = {"generator": _as_baseline(comparison), **baselines}
    keys = list(dict.fromkeys(key for name in names for key in baselines[name]))
    names = ["generator", *names]
    marked = [name == "generator" for name in names]
    rows = [[html.escape(plots.words(name)), *(_plain(baselines[name].get(key)) for key in keys)] for name in names]
    head = ["baseline", *(html.escape(plots.words(key)) for key in keys)]
    text = (
        "<p>The same distances, as ratios to the floor, of what the generator did not make: training data; where there "
        "is a solver, a Gaussian field with their spectrum and the system's own initial field, also carried on by the "
        "solver for as long as a generated sample is; and, where asked for by <code>--baselines</code>, samples of "
        "models trained on the same data with the generator's own network, updates and batches.</p>"
    )
    return f"<section><h2>Baselines</h2>{text}{table(head, rows, marked)}</section>"


def _as_baseline(comparison: Mapping[str, Any]) -> dict[str, Any]:
    """The generator in the form of a baseline's row."""
    cost = comparison.get("cost") or {}
    ratios = {name: one.get("ratio") for name, one in (comparison.get("distances") or {}).items()}
    scores = {name: one.get("value") for name, one in (comparison.get("scores") or {}).items()}
    seconds_each = {"seconds_per_sample": cost.get("generator_seconds_per_sample")}
    return {**scores, **ratios, "evaluations": 1, **seconds_each, "training_seconds": cost.get("training_seconds")}


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return number(value.get("ratio", value.get("value")))
    return ", ".join(map(number, value)) if isinstance(value, list) else number(value)


def _training(metrics: Sequence[Mapping[str, Any]]) -> str:
    shown = plots.training(metrics)
    alarms = [(row.get("step"), text) for row in metrics for text in row.get("alarms", ())]
    if not shown and not alarms:
        return ""
    said = "".join(f"<li>Step {number(step)}: {html.escape(str(text))}.</li>" for step, text in alarms)
    return f"<section><h2>Training</h2>{f'<ul>{said}</ul>' if said else ''}{gallery(shown)}</section>"


def _yaml(content: Any) -> str:
    return html.escape(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100))


def _details(folder: RunFolder, data: Mapping[str, Any]) -> str:
    record = {key: value for key, value in folder.record.items() if key != "config"}
    blocks = [
        ("Configuration", folder.record["config"]),
        ("Networks", folder.networks()),
        ("Training fields and their certificate", data),
        ("Versions, devices, command", record),
    ]
    shown = "".join(
        f"<details><summary>{title}</summary><pre>{_yaml(content)}</pre></details>"
        for title, content in blocks
        if content
    )
    again = f"python -m experiments run {folder.experiment} --preset {folder.preset} --seed {folder.config.seed}"
    command = html.escape(str(record.get("command") or again))
    return f"<section><h2>To repeat it</h2><pre>{command}</pre>{shown}</section>"
