"""The report's section on cost: the generator against the cheapest solver that is as good."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

from experiments import plots
from experiments.plots.style import is_finite
from experiments.report.pieces import gallery, given, number, seconds, table


def cost_section(comparison: Mapping[str, Any]) -> str:
    """The costs, the break-even and the search; nothing where no cost was measured."""
    cost = comparison.get("cost") or {}
    if not cost:
        return ""
    cheapest = cost.get("cheapest") or {}
    carry = cost.get("carry_seconds_per_sample")
    rows = [
        ["generator, carry included" if carry else "generator", seconds(cost.get("generator_seconds_per_sample"))],
        ["of which the carry", seconds(carry or None)],
        ["solver, as the reference", seconds(cost.get("reference_seconds_per_sample"))],
        [
            f"cheapest solver as good ({html.escape(_setting(cheapest))})",
            seconds(cheapest.get("seconds_per_sample")),
        ],
        ["making the training fields, once", seconds(cost.get("data_seconds"))],
        ["training, once", seconds(cost.get("training_seconds"))],
    ]
    if is_finite(cost.get("spin_up_saved")):
        other = (comparison.get("refinement") or {}).get("gaussian") or {}
        least = "more than " if other.get("enters_all", 0) is None else ""
        saved = f"{least}{given(cost['spin_up_saved'])}"
        rows.append(["spin-up saved against the Gaussian start, in solver time", saved])
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
    against = (
        "Against the strongest solver: of all settings tried, the cheapest that comes as close to the reference as the "
        "generator does."
        if len(cost.get("search") or ()) > 1
        else "Against the reference solver: no cheaper setting was searched."
    )
    return (
        f"<section><h2>Cost</h2><p>{against} {says}</p>"
        f"{table(['per sample, unless it says once', 'time'], rows)}"
        f"{_search(cost)}{gallery(plots.search(comparison))}</section>"
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
    return f"<details open><summary>{title}</summary>{table(head, lines, marked)}</details>"
