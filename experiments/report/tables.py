"""The report's sections of numbers: distances, scores, both outside the range of training, and baselines."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

from experiments import plots
from experiments.plots.style import is_finite
from experiments.report.pieces import MARKS, definitions, gallery, given, number, table


def distances_section(comparison: Mapping[str, Any]) -> str:
    """Every distance beside its floor and null band."""
    distances = comparison.get("distances") or {}
    if not distances:
        return ""
    draws = f" over {number(comparison['draws'])} draws" if comparison.get("draws") else ""
    n = f" of {number(comparison['n'])} fields" if comparison.get("n") else ""
    between, against = f"two sets{n} from independent trajectories", "solver sets against solver sets"
    if comparison.get("task") == "forecast":
        between = f"ensembles of {number(comparison.get('n'))} members, over {number(comparison.get('cases'))} cases"
        against = "two halves of the solver's posterior ensemble"
    told = "the solver"
    if comparison.get("task") == "modes":
        between, told = f"two sets of {number(comparison['n'])} samples", "exact samples"
        against = "exact sets against exact sets"
    level = comparison.get("level") or 0.05
    text = (
        f"<p>Every distance is between {between}. Its floor is the median, its null band ends at the 95% quantile, "
        f"of {against}{draws}; a ratio of 1 is what a second such set has. <b>Inside</b> means: it cannot be told "
        f"from {told}, at the {100 * level:g}% level corrected over all distances (Holm).</p>"
    )
    more, forest = definitions(comparison.get("definitions") or {}), gallery(plots.forest(comparison), "one")
    return f"<section><h2>Distances</h2>{text}{_distance_table(distances)}{more}{forest}</section>"


def _distance_table(distances: Mapping[str, Any]) -> str:
    rows = []
    for name, one in distances.items():
        low, high = (one.get("ratio_ci") or [None, None])[:2]
        inside = plots.is_inside(one)
        rows.append(
            [
                html.escape(plots.words(name)),
                number(one.get("value")),
                number(one.get("floor")),
                number(one.get("null95")),
                f"<b>{number(one.get('ratio'))}</b>",
                f"{number(low)} to {number(high)}" if low is not None else "–",
                MARKS[inside],
            ]
        )
    head = ["distance", "value", "floor", "null 95%", "ratio", "95% interval", "null band"]
    return table(head, rows)


def scores_section(comparison: Mapping[str, Any]) -> str:
    """Every score beside its target and the reference's own band."""
    scores = comparison.get("scores") or {}
    if not scores:
        return ""
    text = (
        f"<p>Each score has a target, which {_reference(comparison)} meet only within chance: <b>inside</b> means "
        "within the band that holds 95% of their own values, score by score.</p>"
    )
    meanings = {name: meaning for name, meaning in _SCORES.items() if any(one.split("/")[0] == name for one in scores)}
    return f"<section><h2>Scores</h2>{text}{_score_table(scores)}{definitions(meanings)}</section>"


_SCORES = {
    "modes_found": "modes to which at least one sample of high quality belongs",
    "high_quality": "share of samples within their mode: within three standard deviations of a Gaussian's centre, or "
    "recognised by the classifier with confidence",
    "total_variation": "half the sum over the modes of |share of the samples - true weight|",
    "kl": "relative entropy of the samples' shares of the modes with respect to the true weights, in nats",
    "diversity": "distance of a field to its nearest neighbour in its own set, over the same for solver fields; "
    "copies and clumps bring it towards 0, noise lifts it above 1",
    "memorising": "share of samples nearer to the training fields, at whatever shift or reflection, than all but 5% "
    "of held-out solver fields are; a generator that repeats its training data has more",
    "amplitude": "root mean square of the fields over that of the solver's",
    "unresolved_energy": "share of the energy beyond the wavenumbers that the spectrum's distance compares",
    "invalid": "share of samples that were not finite, or that the solver refused",
    "crps": "continuous ranked probability score against the truth, fair in the number of members, in standard "
    "deviations; smaller is better",
    "energy_score": "the same for whole trajectories at once",
    "spread_skill": "spread of the ensemble over the error of its mean; below 1 it is too sure of itself",
    "rank_flatness": "chi-square per degree of freedom of the rank histogram; neighbouring points are not independent, "
    "so the solver's own band is what to compare with, not 1",
    "coverage_90": "share of truths within the ensemble's central 90%",
    "defect": "root mean square mismatch, per unit of time, between a field and the solver's step from the one before",
}


def _reference(comparison: Mapping[str, Any]) -> str:
    return "exact samples" if comparison.get("task") == "modes" else "the solver's own fields"


def _score_table(scores: Mapping[str, Any]) -> str:
    rows = []
    for name, one in scores.items():
        low, high = (one.get("null") or [None, None])[:2]
        value = one.get("value")
        if is_finite(value) and is_finite(low) and is_finite(high):
            inside = low <= value <= high
        else:
            inside = None
        band = f"{number(low)} to {number(high)}" if low is not None else "–"
        rows.append(
            [
                html.escape(plots.words(name)),
                f"<b>{number(value)}</b>",
                _target(one.get("target")),
                band,
                MARKS[inside],
            ]
        )
    head = ["score", "value", "target", "the reference's own", "null band"]
    return table(head, rows)


def _target(value: Any) -> str:
    """A target that was chosen stands as it was chosen, one that was measured with as many digits as the value."""
    return given(value) if is_finite(value) and float(f"{value:.2g}") == value else number(value)


def regions_section(comparison: Mapping[str, Any]) -> str:
    """Outside the range of training: the same tables, region by region."""
    regions = comparison.get("regions") or {}
    if not regions:
        return ""
    inside = f", {html.escape(str(comparison['range']).partition(',')[0])}" if comparison.get("range") else ""
    parts = [
        f"<h3>{html.escape(plots.words(label))}</h3>{_distance_table(one.get('distances') or {})}"
        f"{_score_table(one.get('scores') or {})}"
        for label, one in regions.items()
    ]
    text = (
        f"<p>All else on this page is within the range of training{inside}. Here the generator is asked for what it "
        "was never trained on, against exact posteriors of its own at each value.</p>"
    )
    return f"<section><h2>Outside the range of training</h2>{text}{''.join(parts)}</section>"


def baselines_section(comparison: Mapping[str, Any]) -> str:
    """The generator's row above those of what it did not make."""
    baselines = comparison.get("baselines") or {}
    names = [name for name, one in baselines.items() if isinstance(one, Mapping)]
    if not names:
        return ""
    baselines = {"generator": _as_baseline(comparison), **baselines}
    keys = list(dict.fromkeys(key for name in names for key in baselines[name]))
    names = ["generator", *names]
    marked = [name == "generator" for name in names]
    rows = [[html.escape(plots.words(name)), *(_plain(baselines[name].get(key)) for key in keys)] for name in names]
    head = ["baseline", *(html.escape(plots.words(key)) for key in keys)]
    text = (
        "<p>The same distances, as ratios to the floor, of what the generator did not make: training data; where there "
        "is a solver, a Gaussian field with their spectrum and the system's own initial field, also carried on by the "
        "solver for as long as a generated sample is; and, where asked for by <code>--baselines</code>, samples of "
        "models trained on the same data with the generator's own network, updates and batches.</p>"
    )
    return f"<section><h2>Baselines</h2>{text}{table(head, rows, marked)}</section>"


def _as_baseline(comparison: Mapping[str, Any]) -> dict[str, Any]:
    """The generator in the form of a baseline's row."""
    cost = comparison.get("cost") or {}
    ratios = {name: one.get("ratio") for name, one in (comparison.get("distances") or {}).items()}
    scores = {name: one.get("value") for name, one in (comparison.get("scores") or {}).items()}
    seconds_each = {"seconds_per_sample": cost.get("generator_seconds_per_sample")}
    return {**scores, **ratios, "evaluations": 1, **seconds_each, "training_seconds": cost.get("training_seconds")}


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return number(value.get("ratio", value.get("value")))
    return ", ".join(map(number, value)) if isinstance(value, list) else number(value)
