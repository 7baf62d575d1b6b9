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

from experiments import plots
from experiments.plots.course import refined_distances, starts_legend
from experiments.plots.style import Arrays, is_finite
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
    title = f"{plots.words(folder.experiment).capitalize()}, generator against solver"
    sections = [
        _head(folder, comparison, metrics, title),
        _distances(comparison),
        _fields(comparison, figures),
        _refinement(comparison),
        _statistics(comparison, figures),
        _forecast(comparison, figures),
        _scores(comparison),
        _cost(comparison),
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


def number(value: Any) -> str:
    """Write a measured number for people: three digits, zeros kept; counts whole, with thin spaces."""
    if not is_finite(value):
        return "–" if value is None or isinstance(value, float) else html.escape(str(value))
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}".replace(",", "&#8239;") if abs(value) < 1e12 else _power(value)
    return f"{value:#.3g}".rstrip(".") if not value or abs(value) >= 1e-4 else _power(value)


def given(value: Any) -> str:
    """Write a number that somebody chose, a target or a setting, as it was chosen."""
    return f"{value:g}" if is_finite(value) else number(value)


def _power(value: float) -> str:
    mantissa, _, exponent = f"{value:.2e}".partition("e")
    return f"{mantissa}&#8239;×&#8239;10<sup>{int(exponent)}</sup>"


def seconds(value: Any) -> str:
    """Write a duration in the unit that suits it, from microseconds to hours."""
    if not is_finite(value):
        return "–"
    for limit, factor, unit in ((1e-3, 1e6, "µs"), (1, 1e3, "ms"), (120, 1, "s"), (7200, 1 / 60, "min")):
        if abs(value) < limit:
            return f"{number(value * factor)} {unit}"
    return f"{number(value / 3600)} h"


def _table(
    head: Sequence[str], rows: Sequence[Sequence[str]], marked: Sequence[bool] = (), text: Sequence[int] = ()
) -> str:
    columns = "".join(f'<th scope="col">{one}</th>' for one in head)
    lines = []
    for index, row in enumerate(rows):
        cells = "".join(f'<td class="text">{one}</td>' if i in text else f"<td>{one}</td>" for i, one in enumerate(row))
        chosen = ' class="chosen"' if index < len(marked) and marked[index] else ""
        lines.append(f"<tr{chosen}>{cells}</tr>")
    body = "".join(lines)
    return f'<div class="wide"><table><thead><tr>{columns}</tr></thead><tbody>{body}</tbody></table></div>'


def _figures(pictures: Sequence[plots.Picture], kind: str = "cards") -> str:
    if not pictures:
        return ""
    shown = "".join(
        f'<figure><img alt="{html.escape(one.caption, quote=True)}" src="{one.data_uri()}">'
        + (f"<figcaption>{html.escape(one.caption_shown)}</figcaption>" if one.caption_shown else "")
        + "</figure>"
        for one in pictures
    )
    return f'<div class="{kind}">{shown}</div>'


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
        facts.append((number(comparison["n"]), "fields compared on each side"))
    if metrics and is_finite(metrics[-1].get("step")):
        facts.append((number(metrics[-1]["step"]), "generator updates"))
    if is_finite(cost.get("training_seconds")):
        facts.append((seconds(cost["training_seconds"]), "training"))
    if is_finite(cost.get("generator_seconds_per_sample")):
        facts.append((seconds(cost["generator_seconds_per_sample"]), "per sample, carry included"))
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


_MARKS = {
    True: '<span class="mark">○ inside</span>',
    False: '<span class="mark outside">▲ outside</span>',
    None: "–",
}


def _distances(comparison: Mapping[str, Any]) -> str:
    distances = comparison.get("distances") or {}
    if not distances:
        return ""
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
                _MARKS[inside],
            ]
        )
    head = ["distance", "value", "floor", "null 95%", "ratio", "95% interval", "null band"]
    draws = f" over {number(comparison['draws'])} draws" if comparison.get("draws") else ""
    n = f" of {number(comparison['n'])} fields" if comparison.get("n") else ""
    text = (
        f"<p>Every distance is between two sets{n} from independent trajectories. Its floor is the median, "
        f"its null band ends at the 95% quantile, of solver sets against solver sets{draws}; a ratio of 1 is "
        "what a second solver set has. <b>Inside</b> means: it cannot be told from the solver, at the 5% "
        "level corrected over all distances (Holm).</p>"
    )
    definitions = comparison.get("definitions") or {}
    items = "".join(
        f"<li><b>{html.escape(plots.words(name))}</b>: {html.escape(str(meaning))}</li>"
        for name, meaning in definitions.items()
    )
    more = f"<details><summary>What each is</summary><ul>{items}</ul></details>" if items else ""
    forest = _figures(plots.forest(comparison), "one")
    return f"<section><h2>Distances</h2>{text}{_table(head, rows)}{more}{forest}</section>"


def _fields(comparison: Mapping[str, Any], figures: Arrays) -> str:
    shown = plots.evolution(figures, comparison) + plots.samples(figures, comparison)
    return f"<section><h2>Fields</h2>{_figures(shown, 'one')}</section>" if shown else ""


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
        f'<section><h2>Refinement</h2>{text}<ul class="legend">{legend}</ul>{_figures(pictures)}'
        f"{_table(head, rows, marked)}</section>"
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
    return f"<section><h2>Statistics</h2>{_figures(shown)}</section>" if shown else ""


def _forecast(comparison: Mapping[str, Any], figures: Arrays) -> str:
    shown = plots.forecasts(figures, comparison) + plots.rank_histogram(figures, comparison)
    return f"<section><h2>Forecasts</h2>{_figures(shown)}</section>" if shown else ""


def _scores(comparison: Mapping[str, Any]) -> str:
    scores = comparison.get("scores") or {}
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
                given(one.get("target")),
                band,
                _MARKS[inside],
            ]
        )
    head = ["score", "value", "target", "the solver's own", "null band"]
    return f"<section><h2>Scores</h2>{_table(head, rows)}</section>" if rows else ""


def _cost(comparison: Mapping[str, Any]) -> str:
    cost = comparison.get("cost") or {}
    if not cost:
        return ""
    cheapest = cost.get("cheapest") or {}
    rows = [
        ["generator, carry included", seconds(cost.get("generator_seconds_per_sample"))],
        ["of which the carry", seconds(cost.get("carry_seconds_per_sample"))],
        ["solver, as the reference", seconds(cost.get("reference_seconds_per_sample"))],
        [
            f"cheapest solver as good ({html.escape(_setting(cheapest))})",
            seconds(cheapest.get("seconds_per_sample")),
        ],
        ["making the training fields, once", seconds(cost.get("data_seconds"))],
        ["training, once", seconds(cost.get("training_seconds"))],
    ]
    if is_finite(cost.get("spin_up_saved")):
        rows.append(["spin-up saved, in solver time", number(cost["spin_up_saved"])])
    even = cost.get("break_even")
    says = (
        ""
        if "break_even" not in cost
        else (
            f"Data and training counted, the generator pays off from <b>{number(even)}</b> samples on."
            if even is not None
            else "Against the cheapest solver that is as good, the generator <b>never</b> pays off, however "
            "many samples are drawn."
        )
    )
    rows = [row for row in rows if row[1] != "–"]
    return (
        "<section><h2>Cost</h2><p>Against the strongest solver: of all settings tried, the cheapest that "
        f"comes as close to the reference as the generator does. {says}</p>"
        f"{_table(['per sample, unless it says once', 'time'], rows)}"
        f"{_search(cost)}{_figures(plots.search(comparison))}</section>"
    )


_MEASURED = ("seconds_per_sample", "error", "worst", "ratios", "reaches", "failed")


def _setting(row: Mapping[str, Any]) -> str:
    parts = [
        f"{plots.words(str(key))} {html.unescape(given(value))}"
        for key, value in row.items()
        if key not in _MEASURED and value is not None and not isinstance(value, Mapping | list)
    ]
    return ", ".join(parts).replace("setting ", "") or "none found"


def _search(cost: Mapping[str, Any]) -> str:
    rows = cost.get("search") or []
    if not rows:
        return ""
    keys = list(dict.fromkeys(key for row in rows for key in row if key not in _MEASURED))
    cheapest = cost.get("cheapest") or {}
    lines, marked = [], []
    for row in rows:
        reaches = (
            f"no: {html.escape(str(row['failed']))}" if row.get("failed") else "yes" if row.get("reaches") else "no"
        )
        lines.append(
            [
                *(given(row.get(key)) for key in keys),
                seconds(row.get("seconds_per_sample")),
                number(row.get("error")),
                number(row.get("worst")),
                reaches,
            ]
        )
        marked.append(bool(row.get("reaches")) and all(row.get(key) == cheapest.get(key) for key in keys))
    head = [
        *(html.escape(plots.words(key)) for key in keys),
        "per sample",
        "median ratio",
        "largest ratio",
        "as good",
    ]
    title = f"The search, {len(rows)} solver settings"
    return f"<details open><summary>{title}</summary>{_table(head, lines, marked)}</details>"


def _baselines(comparison: Mapping[str, Any]) -> str:
    baselines = comparison.get("baselines") or {}
    names = [name for name, one in baselines.items() if isinstance(one, Mapping)]
    if not names:
        return ""
    keys = list(dict.fromkeys(key for name in names for key in baselines[name]))
    rows = [[html.escape(plots.words(name)), *(_plain(baselines[name].get(key)) for key in keys)] for name in names]
    head = ["baseline", *(html.escape(plots.words(key)) for key in keys)]
    return f"<section><h2>Baselines</h2>{_table(head, rows)}</section>"


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return number(value.get("ratio", value.get("value")))
    return ", ".join(map(number, value)) if isinstance(value, list) else number(value)


def _training(metrics: Sequence[Mapping[str, Any]]) -> str:
    shown = plots.training(metrics)
    return f"<section><h2>Training</h2>{_figures(shown)}</section>" if shown else ""


def _yaml(content: Any) -> str:
    return html.escape(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100))


def _details(folder: RunFolder, data: Mapping[str, Any]) -> str:
    record = {key: value for key, value in folder.record.items() if key != "config"}
    blocks = [
        ("Configuration", folder.record["config"]),
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
