"""The report's first and last words: verdict and key figures, and what is needed to repeat the run."""

from __future__ import annotations

import html
import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import yaml

from experiments.evaluation.results import AgainstTruth, Comparison, Cost, Distances, Tests
from experiments.files import JsonObject
from experiments.report.pieces import number, p_value, seconds
from experiments.runs import RunFolder
from experiments.wording import approximate, is_finite, words


def head_section(folder: RunFolder, comparison: Comparison | None, metrics: Sequence[JsonObject], title: str) -> str:
    """Verdict, key figures, and which run this is."""
    record = folder.record
    if comparison is None:
        verdict = f"This run has not been compared yet. Go on with: {folder.resume_command()}"
    else:
        verdict = comparison.verdict
    figures = [] if comparison is None else [(fact.shown, fact.label) for fact in facts(comparison)]
    if metrics and is_finite(metrics[-1].get("step")):
        figures.append((number(metrics[-1]["step"]), "generator updates"))
    devices = record.get("devices")
    below = [f"preset {folder.preset}", f"seed {folder.config.seed}"]
    if comparison is not None:
        below.append(f"held-out data of seed {comparison.data_seed}{', sealed' if comparison.sealed else ''}")
    if isinstance(devices, Mapping):
        below.append(f"{devices.get('count')} × {devices.get('kind') or devices.get('platform')}")
    below.append(str(record.get("created", "")).replace("T", " "))
    which = html.escape(", ".join(filter(None, below)))
    boxes = "".join(f"<div><b>{value}</b><span>{html.escape(label)}</span></div>" for value, label in figures)
    return (
        f'<header><h1>{html.escape(title)}</h1><p class="soft">{which}</p></header>'
        f'<div class="verdict"><p>{html.escape(verdict)}</p></div>'
        + (f'<div class="facts">{boxes}</div>' if boxes else "")
    )


class Fact(NamedTuple):
    """A key figure of a comparison: name in tables, value (None: there is none), markup, and label."""

    key: str
    value: float | str | None
    shown: str
    label: str


def facts(comparison: Comparison) -> list[Fact]:
    """Return the key figures of a comparison."""
    found: list[Fact] = []
    if (tests := comparison.get(Tests)) is not None:
        told = "distinguished" if tests.distinguished else "not distinguished"
        found.append(Fact("joint_test_p", tests.p_value, p_value(tests.p_value), f"p of the joint test: {told}"))
        if (best := tests.entries.get(tests.strongest)) is not None:
            label = f"{best.unit or 'statistic'}, {words(tests.strongest)}"
            found.append(Fact(tests.strongest, best.statistic, number(best.statistic), label))
    if (distances := comparison.get(Distances)) is not None and distances.entries:
        entries = distances.entries.values()
        median = statistics.median(one.ratio for one in entries)
        inside = f"{sum(one.inside for one in entries)} of {len(entries)}"
        found.append(Fact("median_ratio", median, number(median), "median ratio to the floor"))
        found.append(Fact("distances_inside", inside, inside, "distances that do not distinguish the samples"))
    if comparison.n:
        alone = comparison.get(AgainstTruth) is not None
        label = "members for each case" if alone else "samples in each set of a distance"
        found.append(Fact("samples", comparison.n, number(comparison.n), label))
    if (cost := comparison.get(Cost)) is not None:
        layer = "" if cost.layer is None else ", solver layer included"
        each, training, least = cost.generator.seconds, cost.training_seconds, cost.break_even
        found += [
            Fact("sample_seconds", each, seconds(each), f"per sample{layer}"),
            Fact("training_seconds", training, seconds(training), "training"),
            Fact(
                "break_even", least, "never" if least is None else approximate(least), "samples from which it pays off"
            ),
        ]
    return found


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
