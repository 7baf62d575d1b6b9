"""The report's section on a planned study: what it would find with real fields alone, and with generated ones."""

from __future__ import annotations

import html

from experiments.evaluation.results import Planning
from experiments.evaluation.verdict import planning_sentences
from experiments.report.page import Page
from experiments.report.pieces import given, interval, number, table


def planning_section(planning: Planning, page: Page) -> str:
    """The smallest difference that a second group shows, for every quantity."""
    text = (
        f"<p>A second group of {number(planning.planned)} independent fields, of another condition, is held against "
        f"the {number(planning.trained_on)} that the generator was trained on. Each row says from which difference of "
        f"the mean on a two-sided test at {given(100 * planning.level)}% finds it with a power of "
        f"{given(100 * planning.power)}%. Generated fields count as many as held-out fields show them to be worth, and "
        "in place of the training fields they come from, not on top. The last column is what endless perfect fields "
        "of the first group would reach.</p>"
    )
    rows = [
        [
            html.escape(f"{name} ({plan.unit})" if plan.unit else name),
            number(plan.spread),
            interval(plan.bias_interval),
            number(plan.worth),
            f"<b>{number(plan.real)}</b>",
            f"<b>{number(plan.generated)}</b>",
            number(plan.bound),
        ]
        for name, plan in planning.plans.items()
    ]
    head = [
        "quantity",
        "spread between fields",
        "error of the generated mean, 95%",
        "worth at least",
        "found from, real fields",
        "with generated ones",
        "at best",
    ]
    said = html.escape(" ".join(planning_sentences(planning)))
    return f"<section><h2>A planned study</h2><p>{said}</p>{text}{table(head, rows)}</section>"
