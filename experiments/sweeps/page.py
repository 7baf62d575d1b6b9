"""The summary of a sweep: one page with links to the reports of its runs, and its table as CSV."""

from __future__ import annotations

import csv
import html
import io
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from experiments.evaluation.results import Scores
from experiments.files import write_text
from experiments.report.head import Fact, facts
from experiments.report.pieces import document, number, table
from experiments.sweeps.grid import Sweep
from experiments.sweeps.outcome import Outcome, State
from experiments.wording import listed, words

_STATES = (State.FINISHED, State.UNFINISHED, State.FAILED, State.WAITING)
"""In the order of a page's first sentence."""


def write(sweep: Sweep, outcomes: Sequence[Outcome], command: str) -> Path:
    """Write page and table into the sweep's folder; returns the page.

    Args:
        sweep: whose summary it is.
        outcomes: of every point, in order.
        command: that makes or continues the sweep.
    """
    sweep.folder.mkdir(parents=True, exist_ok=True)
    write_text(sweep.table, csv_of(sweep, outcomes))
    write_text(sweep.page, page_of(sweep, outcomes, command))
    return sweep.page


def tally(outcomes: Sequence[Outcome]) -> str:
    """Say how many runs are how far: ``4 of 6 runs are finished, 1 failed and 1 is not begun``."""
    counts = Counter(one.state for one in outcomes)
    parts = [f"{counts[State.FINISHED]} of {len(outcomes)} runs {_are(counts[State.FINISHED])} finished"]
    parts += [
        f"{counts[state]} {'failed' if state is State.FAILED else f'{_are(counts[state])} {state.value}'}"
        for state in _STATES[1:]
        if counts[state]
    ]
    return listed(parts)


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def csv_of(sweep: Sweep, outcomes: Sequence[Outcome]) -> str:
    """Return the table: one row for each point, with its settings, state and every figure of its comparison."""
    figures = [_figures(one) for one in outcomes]
    keys = list(dict.fromkeys(key for found in figures for key in found))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["point", *sweep.names, "state", "reason", "run", "step", *keys, "verdict"])
    for one, found in zip(outcomes, figures):
        writer.writerow(
            [
                one.point.number,
                *one.point.values.values(),
                one.state.value,
                one.reason,
                "" if one.folder is None else _relative(one.folder.path, sweep),
                "" if one.folder is None else one.folder.steps_done(),
                *(("" if found[key].value is None else found[key].value) if key in found else "" for key in keys),
                "" if one.comparison is None else one.comparison.verdict,
            ]
        )
    return text.getvalue()


def page_of(sweep: Sweep, outcomes: Sequence[Outcome], command: str) -> str:
    """Return the page as text."""
    varied = listed([f"<code>{html.escape(one)}</code>" for one in sweep.names])
    fixed = ", ".join([f"preset {sweep.preset}", *(f"{key} = {value}" for key, value in sweep.fixed.items())])
    head = (
        f"<header><h1>Sweep of {html.escape(sweep.experiment)}</h1>"
        f'<p class="soft">{varied} varied; {html.escape(fixed)}</p></header>'
        f'<div class="verdict"><p>{html.escape(tally(outcomes))}.</p></div>'
    )
    return document(
        f"Sweep of {sweep.experiment}",
        [head, _table_section(sweep, outcomes), _verdict_section(sweep, outcomes), _repeat_section(command)],
    )


def _table_section(sweep: Sweep, outcomes: Sequence[Outcome]) -> str:
    figures = [_figures(one) for one in outcomes]
    # Behind the colon stands what came out of one run.
    labels = {key: fact.label.partition(":")[0] for found in figures for key, fact in found.items()}
    rows = []
    for one, found in zip(outcomes, figures):
        rows.append(
            [
                str(one.point.number),
                *(html.escape(value) for value in one.point.values.values()),
                _link(one, sweep),
                _state(one),
                *(found[key].shown if key in found else "–" for key in labels),
            ]
        )
    head = ["run", *map(html.escape, sweep.names), "report", "state", *map(html.escape, labels.values())]
    text = (
        "<p>Every figure is that of the run's own report, which defines it. Differences between settings that are not "
        "larger than those between seeds say nothing: sweep <code>training.seed</code> too.</p>"
    )
    return f"<section><h2>Runs</h2>{text}{table(head, rows, text=[2 + len(sweep.names)])}</section>"


def _state(one: Outcome) -> str:
    said = one.state.value
    if one.state is State.UNFINISHED and one.folder is not None:
        said += f", step {number(one.folder.steps_done())} of {number(one.folder.config.training.steps)}"
    if one.state is State.FAILED:
        return f'<span class="mark outside">▲ {said}</span>: {html.escape(one.reason)}'
    return html.escape(said)


def _link(one: Outcome, sweep: Sweep) -> str:
    if one.folder is None:
        return "–"
    if not one.folder.report_file.exists():
        return html.escape(one.folder.path.name)
    to = html.escape(_relative(one.folder.report_file, sweep), quote=True)
    return f'<a href="{to}">{html.escape(one.folder.path.name)}</a>'


def _relative(path: Path, sweep: Sweep) -> str:
    return Path(os.path.relpath(path, sweep.folder)).as_posix()


def _verdict_section(sweep: Sweep, outcomes: Sequence[Outcome]) -> str:
    items = "".join(
        f"<li><b>{html.escape(one.point.label())}</b> ({_link(one, sweep)}): {html.escape(one.comparison.verdict)}</li>"
        for one in outcomes
        if one.comparison is not None
    )
    return f"<section><h2>Verdicts</h2><ul>{items}</ul></section>" if items else ""


def _repeat_section(command: str) -> str:
    text = "<p>The same command goes on with what is unfinished, tries again what failed, and renews this page.</p>"
    return f"<section><h2>To go on</h2>{text}<pre>{html.escape(command)}</pre></section>"


def _figures(one: Outcome) -> dict[str, Fact]:
    """Key figures and scores of a finished run."""
    if one.comparison is None:
        return {}
    found = {fact.key: fact for fact in facts(one.comparison)}
    scores = one.comparison.get(Scores)
    for key, score in {} if scores is None else scores.entries.items():
        unit = f" ({score.unit})" if score.unit else ""
        found[f"score/{key}"] = Fact(f"score/{key}", score.value, number(score.value), f"{words(key)}{unit}")
    return found
