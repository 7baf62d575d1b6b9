"""Tables of docs/data_assimilation.md from the result file of ``data_assimilation.py``."""

from __future__ import annotations

import re
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[1] / "docs" / "data_assimilation.md"
PUBLISHED = {
    "0.05-1-value": {
        "climatology": "3.6",
        "optimal interpolation": "0.95",
        "LETKF": "0.22 (7 members)",
        "EnKF-N": "0.18 to 0.21",
    },
    "0.2-1-value": {"iEnKS": "0.31", "4D-Var": "0.37 to 0.46"},
}
"""Errors of the analysis in DAPPER's sources, dapper/mods/Lorenz96/sakov2008.py."""
TITLES = {
    f"{gap}-{every}-{kind}": f"{'x' if kind == 'value' else '|x|'.replace('|', chr(92) + '|')} at {where}, every {gap}"
    for every, where in ((1, "all sites"), (4, "a quarter"))
    for kind in ("value", "magnitude")
    for gap in ("0.05", "0.2", "0.4")
    if every == 4 or (kind == "value" and gap != "0.4")
}
"""The cases in words."""


def spanned(row: Mapping[str, Any], key: str, digits: int = 2) -> str:
    """The range over the truths."""
    values = [one[key] for one in row["seeds"].values()]
    low, high = f"{min(values):.{digits}f}", f"{max(values):.{digits}f}"
    return low if low == high else f"{low} to {high}"


def table(name: str, study: Mapping[str, Any]) -> list[str]:
    """One case: every method, with the range over the truths."""
    if name not in study["cases"]:
        return ["Not measured."]
    rows, published = study["cases"][name]["rows"], PUBLISHED.get(name, {})
    head = "| method | RMSE | CRPS | energy score | spread over error | coverage of 90% | ms a cycle |"
    lines = [head + (" published RMSE |" if published else ""), "|---" * (8 if published else 7) + "|"]
    for method, row in rows.items():
        if row["seeds"]:
            kinds = (("rmse", 2), ("crps", 3), ("energy_score", 2), ("spread_skill", 2), ("coverage_90", 2))
            values = [spanned(row, key, digits) for key, digits in kinds]
            values.append(f"{1000 * row['seconds']:.1f}")
            failed = f" ({len(row['failed'])} of the truths failed)" if row.get("failed") else ""
        else:
            values, failed = ["failed"] * 6, ""
        cells = [f"{method}{failed}", *values, *([published.get(method, "")] if published else [])]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def best(case: Mapping[str, Any], ours: bool, arms: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """The row with the lowest mean CRPS over the truths, among arms or rivals that failed on none."""
    whole = {name: row for name, row in case["rows"].items() if row["seeds"] and not row.get("failed")}
    some = {name: row for name, row in whole.items() if (name in arms) is ours}
    return min(some.items(), key=lambda item: statistics.mean(one["crps"] for one in item[1]["seeds"].values()))


def summary(study: Mapping[str, Any]) -> list[str]:
    """The best rival and the best arm of every case that has both, and on how many truths the arm's CRPS is lower."""
    lines = [
        "| case | best of DAPPER | its RMSE | its CRPS | best of here | its RMSE | its CRPS | lower CRPS on |",
        "|---" * 8 + "|",
    ]
    for name, title in TITLES.items():
        case = study["cases"].get(name, {"rows": {}})
        if not {row in study["arms"] for row in case["rows"]} >= {True, False}:
            continue
        (rival, theirs), (arm, own) = (best(case, ours, study["arms"]) for ours in (False, True))
        ahead = sum(own["seeds"][seed]["crps"] < theirs["seeds"][seed]["crps"] for seed in own["seeds"])
        figures = [
            cell
            for one, row in ((rival, theirs), (arm, own))
            for cell in (one, spanned(row, "rmse"), spanned(row, "crps", 3))
        ]
        lines.append("| " + " | ".join([title, *figures, f"{ahead} of {len(own['seeds'])} truths"]) + " |")
    return lines


def filled(page: str, study: Mapping[str, Any]) -> str:
    """Return the page with its marked tables from the study."""

    def fill(block: re.Match[str]) -> str:
        lines = summary(study) if block[2] == "summary" else table(block[2], study)
        return "\n".join([block[1], "", *lines, "", "<!-- end -->"])

    return re.sub(r"(<!-- assimilation: (\S+) -->)\n.*?<!-- end -->", fill, page, flags=re.DOTALL)
