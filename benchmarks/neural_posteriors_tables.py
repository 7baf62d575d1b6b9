"""The tables of docs/neural_posteriors.md, from the file that `neural_posteriors.py` writes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[1] / "docs" / "neural_posteriors.md"
MISSING = ""
TRUTH = {
    "CRPS of fields": ("fields", "crps", ".3f"),
    "energy score": ("fields", "energy_score", ".3f"),
    "coverage of 90%": ("fields", "coverage_90", ".1%"),
    "CRPS of unknowns": ("unknowns", "crps", ".3f"),
    "energy score of unknowns": ("unknowns", "energy_score", ".3f"),
    "coverage of unknowns": ("unknowns", "coverage_90", ".1%"),
}


def spanned(values: list[float], form: str) -> str:
    """The smallest and the largest of some numbers; one of them where they look alike."""
    if not values:
        return MISSING
    low, high = (format(one, form) for one in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


def lines(head: list[str], rows: list[list[str]]) -> list[str]:
    """A table."""
    return ["| " + " | ".join(one) + " |" for one in [head, ["---"] * len(head), *rows]]


def arms_of(study: Mapping[str, Any], name: str, seconds: str) -> dict[str, list[Mapping[str, Any]]]:
    """The seeds of every arm of an experiment, in the order of the study."""
    rows = study["experiments"].get(name, {}).get("rows", {}).get(seconds, {})
    return {arm: list(rows[arm].values()) for arm in study.get("arms", ()) if rows.get(arm)}


def against_truth(study: Mapping[str, Any], name: str, seconds: str) -> list[str]:
    """Scores against the truth, every arm with the range over its seeds."""
    rows = []
    for arm, seeds in with_reference(study, name, seconds).items():
        scores = [spanned([one[of][key] for one in seeds], form) for of, key, form in TRUTH.values()]
        rows.append([arm, *scores])
    return lines(["arm", *TRUTH], rows)


def with_reference(study: Mapping[str, Any], name: str, seconds: str) -> dict[str, list[Mapping[str, Any]]]:
    """The seeds of every arm, and the reference's other members as a further one."""
    found = arms_of(study, name, seconds)
    if reference := study["experiments"].get(name, {}).get("reference"):
        found[list(study["arms"])[-1]] = [reference]
    return found


def against_reference(study: Mapping[str, Any], name: str, seconds: str) -> list[str]:
    """Distances from the posterior, densities and cost, every arm with the range over its seeds."""
    kept, rows = study["experiments"].get(name, {}), []
    for arm, seeds in with_reference(study, name, seconds).items():
        c2st, taken = (kept.get(kind, {}).get(arm) for kind in ("c2st", "microseconds"))
        rows.append(
            [
                arm,
                str(sum("updates" in one for one in seeds) or MISSING),
                spanned([one["updates"] for one in seeds if "updates" in one], ",d"),
                spanned([one["fields"]["crps_divergence"] for one in seeds], ".1f"),
                MISSING if c2st is None else format(c2st, ".3f"),
                spanned([one["log_density"] for one in seeds if "log_density" in one], ".2f"),
                spanned([one["effective"] for one in seeds if "effective" in one], ".1%"),
                MISSING if taken is None else format(taken, ".3g" if taken < 1000 else ",.0f"),
            ]
        )
    head = [
        "arm",
        "seeds",
        "updates",
        "CRPS divergence over floor",
        "C2ST",
        "log density of the truth",
        "effective size",
        "µs a sample",
    ]
    return lines(head, rows)


def pilots(study: Mapping[str, Any]) -> list[str]:
    """What was tried for sbi's estimators; the best by the validation loss in bold."""
    rows = []
    for arm, tried in study.get("pilot", {}).items():
        best = min(one["validation_loss"] for one in tried)
        for one in tried:
            settings = dict(one["settings"])
            model, batch, rate = settings.pop("model"), settings.pop("batch"), settings.pop("rate")
            schedule = settings.pop("schedule")
            more = ", ".join(f"{name} {value}" for name, value in settings.items()) or "sbi's default"
            loss = format(one["validation_loss"], ".4g")
            loss = f"**{loss}**" if one["validation_loss"] == best else loss
            rows.append([arm, model, more, str(batch), f"{rate:g}, {schedule}", f"{one['updates']:,d}", loss])
    return lines(["arm", "network", "size", "batch", "step size", "updates", "validation loss"], rows)


TABLES: dict[str, Callable[..., list[str]]] = {
    "truth": against_truth,
    "reference": against_reference,
    "pilot": pilots,
}


def filled(page: str, study: Mapping[str, Any]) -> str:
    """Return the page with its marked tables from the study."""

    def fill(block: re.Match[str]) -> str:
        kind, *where = block[2].split()
        return "\n".join([block[1], "", *TABLES[kind](study, *where), "", "<!-- end -->"])

    return re.sub(r"(<!-- posteriors: ([^>]+?) -->)\n.*?<!-- end -->", fill, page, flags=re.DOTALL)
