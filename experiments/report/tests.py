"""The report's section on the joint two-sample test: whether the samples are distinguished from the reference."""

from __future__ import annotations

import html

from experiments import plots
from experiments.evaluation.results import Tests
from experiments.report.page import Page
from experiments.report.pieces import definitions, folded, gallery, given, interval, name, number, p_value, table
from experiments.wording import is_finite


def tests_section(tests: Tests, page: Page) -> str:
    """The joint test and its outcome in plain words, its members, and what it would have missed."""
    reference = html.escape(tests.reference)
    if tests.distinguished:
        outcome = f"The samples <b>are distinguished</b> from {reference}"
        strongest = f" The strongest of its members is {name(tests.strongest)}."
    else:
        outcome, strongest = f"The samples are <b>not distinguished</b> from {reference}", ""
    text = (
        f"<p>{outcome}: the joint test over {len(tests.entries)} tests has <b>p = {p_value(tests.p_value)}</b>, where "
        f"{given(tests.level)} is the level.{strongest} It ranks the largest standardised statistic of "
        f"{number(tests.samples)} samples and {number(tests.references)} fields of the reference among those of "
        f"{number(tests.draws)} relabellings, so that it is wrong about samples of the same distribution in at most "
        f"{given(100 * tests.level)}% of cases, however many tests are joined.</p>"
    )
    rows = [
        [
            name(key),
            html.escape(one.unit),
            f"<b>{number(one.statistic)}</b>",
            interval(one.interval),
            interval(one.null),
            p_value(one.p_value),
            number(one.missed),
        ]
        for key, one in tests.entries.items()
    ]
    head = ["test", "statistic", "value", "95% interval", "null band, 95%", "p alone", "missed at 80% power"]
    members = table(head, rows, [tests.distinguished and key == tests.strongest for key in tests.entries], text=[1])
    return (
        f"<section><h2>Tests</h2>{text}{gallery(plots.tests(tests), 'one')}{members}{_bounds(tests)}"
        f"{definitions({key: one.definition for key, one in tests.entries.items()})}</section>"
    )


def _bounds(tests: Tests) -> str:
    """The equivalence bounds, folded away; nothing where there are none."""
    if not tests.bounds:
        return ""
    rows = [[html.escape(one.quantity), _percent(one.found), _percent(one.missed)] for one in tests.bounds]
    text = (
        "<p>Relative errors: found, and the largest that the test would have missed with a power of 80%. A larger "
        "error of that quantity is excluded in this sense.</p>"
    )
    listing = table(["quantity", "found", "missed at 80% power"], rows)
    return folded(f"Equivalence bounds of {len(rows)} quantities", text + listing)


def _percent(value: float) -> str:
    return f"{number(100 * value)}%" if is_finite(value) else "–"
