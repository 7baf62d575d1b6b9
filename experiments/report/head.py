"""The report's first and last words: verdict and key figures, and what is needed to repeat the run."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from experiments import plots
from experiments.plots.style import is_finite
from experiments.report.pieces import number, seconds
from experiments.runs import RunFolder


def head_section(
    folder: RunFolder, comparison: Mapping[str, Any], metrics: Sequence[Mapping[str, Any]], title: str
) -> str:
    """Verdict, key figures, and which run this is."""
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


def details_section(folder: RunFolder, data: Mapping[str, Any]) -> str:
    """The command that repeats the run, with its configuration, networks, data and versions folded away."""
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


def _yaml(content: Any) -> str:
    return html.escape(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100))
