"""The report's first and last words: verdict and key figures, and what is needed to repeat the run."""

from __future__ import annotations

import html
import statistics
from collections.abc import Mapping, Sequence

import yaml

from experiments.evaluation.results import Comparison, Cost, Distances, Tests
from experiments.files import JsonObject
from experiments.report.pieces import number, p_value, seconds
from experiments.runs import RunFolder
from experiments.wording import is_finite, words


def head_section(folder: RunFolder, comparison: Comparison | None, metrics: Sequence[JsonObject], title: str) -> str:
    """Verdict, key figures, and which run this is."""
    record = folder.record
    if comparison is None:
        verdict = f"This run has not been compared yet. Go on with: {folder.resume_command()}"
    else:
        verdict = comparison.verdict
    facts = [] if comparison is None else _facts(comparison)
    if metrics and is_finite(metrics[-1].get("step")):
        facts.append((number(metrics[-1]["step"]), "generator updates"))
    devices = record.get("devices")
    below = [f"preset {folder.preset}", f"seed {folder.config.seed}"]
    if comparison is not None:
        below.append(f"held-out data of seed {comparison.data_seed}{', sealed' if comparison.sealed else ''}")
    if isinstance(devices, Mapping):
        below.append(f"{devices.get('count')} × {devices.get('kind') or devices.get('platform')}")
    below.append(str(record.get("created", "")).replace("T", " "))
    which = html.escape(", ".join(filter(None, below)))
    boxes = "".join(f"<div><b>{value}</b><span>{html.escape(label)}</span></div>" for value, label in facts)
    return (
        f'<header><h1>{html.escape(title)}</h1><p class="soft">{which}</p></header>'
        f'<div class="verdict"><p>{html.escape(verdict)}</p></div>'
        + (f'<div class="facts">{boxes}</div>' if boxes else "")
    )


def _facts(comparison: Comparison) -> list[tuple[str, str]]:
    """The key figures of a comparison, each as markup and label."""
    facts: list[tuple[str, str]] = []
    if (tests := comparison.get(Tests)) is not None:
        facts.append(
            (
                p_value(tests.p_value),
                f"p of the joint test: {'distinguished' if tests.distinguished else 'not distinguished'}",
            )
        )
        if (best := tests.entries.get(tests.strongest)) is not None:
            facts.append((number(best.statistic), f"{best.unit or 'statistic'}, {words(tests.strongest)}"))
    if (distances := comparison.get(Distances)) is not None and distances.entries:
        entries = distances.entries.values()
        facts.append((number(statistics.median(one.ratio for one in entries)), "median ratio to the floor"))
        facts.append((f"{sum(one.inside for one in entries)} of {len(entries)}", "distances inside the null band"))
    if comparison.n:
        facts.append((number(comparison.n), "samples in each set of a distance"))
    if (cost := comparison.get(Cost)) is not None:
        layer = "" if cost.layer is None else ", solver layer included"
        facts += [
            (seconds(cost.generator.seconds), f"per sample{layer}"),
            (seconds(cost.training_seconds), "training"),
            ("never" if cost.break_even is None else number(cost.break_even), "samples from which it pays off"),
        ]
    return facts


def details_section(folder: RunFolder) -> str:
    """The command that repeats the run, with its configuration, networks, data and versions folded away."""
    record = {key: value for key, value in folder.record.items() if key != "config"}
    blocks = [
        ("Configuration", folder.record["config"]),
        ("Networks", folder.networks()),
        ("Training fields and their certificate", folder.data()),
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


def _yaml(content: object) -> str:
    return html.escape(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100))
