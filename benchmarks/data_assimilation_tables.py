"""Tables of docs/data_assimilation.md from the result file of ``data_assimilation.py``."""

from __future__ import annotations

import re
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


def filled(page: str, study: Mapping[str, Any]) -> str:
    """Return the page with its marked tables from the study."""

    def fill(block: re.Match[str]) -> str:
        return "\n".join([block[1], "", *table(block[2], study), "", "<!-- end -->"])

    return re.sub(r"(<!-- assimilation: (\S+) -->)\n.*?<!-- end -->", fill, page, flags=re.DOTALL)
