"""The report's sections of numbers: distances, scores, both outside the range of training, and baselines."""

from __future__ import annotations

import html

import numpy as np

from experiments import plots
from experiments.evaluation.entries import TruthRow
from experiments.evaluation.results import (
    AgainstTruth,
    Baselines,
    Distances,
    ImportanceWeights,
    Recoveries,
    Regions,
    Scores,
)
from experiments.report.page import Page
from experiments.report.pieces import (
    MARKS,
    definitions,
    gallery,
    given,
    interval,
    name,
    number,
    seconds,
    table,
    timing,
)
from experiments.wording import is_finite, words


def distances_section(distances: Distances, page: Page) -> str:
    """Every distance beside its floor and null band."""
    text = (
        f"<p>Every distance is between {html.escape(distances.between)}. Its floor is the median, its null band ends "
        f"at the 95% quantile, of {html.escape(distances.against)} over {number(distances.draws)} draws; a ratio of 1 "
        "is what a second such set has. <b>Inside</b> means: this distance does not distinguish the samples from "
        f"{html.escape(distances.reference)}, at the {given(100 * distances.level)}% level corrected over all "
        "distances (Holm).</p>"
    )
    forest = gallery(plots.forest(distances), "one")
    meanings = definitions({key: one.definition for key, one in distances.entries.items()})
    return f"<section><h2>Distances</h2>{text}{forest}{_distance_table(distances)}{meanings}</section>"


def _distance_table(distances: Distances) -> str:
    rows = [
        [
            _with_unit(key, one.unit),
            number(one.value),
            number(one.floor),
            number(one.null95),
            f"<b>{number(one.ratio)}</b>",
            interval(one.ratio_interval),
            MARKS[one.inside],
        ]
        for key, one in distances.entries.items()
    ]
    return table(["distance", "value", "floor", "null 95%", "ratio", "95% interval", "null band"], rows)


def scores_section(scores: Scores, page: Page) -> str:
    """Every score beside its target and the reference's own band."""
    text = (
        "<p>A score has a target, which even the reference meets only within chance: <b>inside</b> means within the "
        f"band that holds the values of {html.escape(scores.reference)} 95 times in 100, score by score.</p>"
    )
    meanings = definitions({key: one.definition for key, one in scores.entries.items()})
    return f"<section><h2>Scores</h2>{text}{_score_table(scores)}{meanings}</section>"


def _score_table(scores: Scores) -> str:
    rows = [
        [
            _with_unit(key, one.unit),
            f"<b>{number(one.value)}</b>",
            _target(one.target),
            interval(one.null),
            MARKS[one.inside] if all(map(is_finite, (one.value, *one.null))) else "–",
        ]
        for key, one in scores.entries.items()
    ]
    return table(["score", "value", "target", "the reference's own", "null band"], rows)


def _with_unit(key: str, unit: str) -> str:
    return html.escape(f"{words(key)} ({unit})" if unit else words(key))


def _target(value: float | None) -> str:
    """A target that was chosen stands as it was chosen, one that was measured with as many digits as the value."""
    return given(value) if is_finite(value) and float(f"{value:.2g}") == value else number(value)


def regions_section(regions: Regions, page: Page) -> str:
    """Outside the range of training: the same tables, region by region."""
    if not regions.regions:
        return ""
    parts = [
        f"<h3>{name(label)}</h3>{_distance_table(one.distances)}{_score_table(one.scores)}"
        for label, one in regions.regions.items()
    ]
    text = (
        f"<p>All else on this page is within the range of training, {html.escape(regions.within)}. Here the generator "
        "is asked for what it was never trained on, against references of their own.</p>"
    )
    return f"<section><h2>Outside the range of training</h2>{text}{''.join(parts)}</section>"


def weights_section(weights: ImportanceWeights, page: Page) -> str:
    """The samples as proposals of importance sampling."""
    low, middle, high = np.quantile(weights.effective, (0, 0.5, 1))
    rows = [
        ["effective sample size over the number of draws, median of the cases", f"{middle:.1%}"],
        ["lowest and highest of the cases", f"{low:.1%} to {high:.1%}"],
        ["draws for each case", number(weights.draws)],
        ["draws at which the generator folds space, so that its density is not known", f"{weights.folded:.2%}"],
    ]
    text = (
        "<p>The density of the generator's samples is known. Weighted by the posterior's density over it, their "
        "averages tend to those of the exact posterior as more are drawn. The effective sample size (Kong 1992) says "
        "how many independent posterior draws they are worth.</p>"
    )
    return f"<section><h2>Importance weights</h2>{text}{table(['quantity', 'value'], rows)}</section>"


def truth_section(scored: AgainstTruth, page: Page) -> str:
    """Every row's scores against the truth, and by how much its CRPS exceeds the generator's."""
    named = {"generator": scored.generator, **scored.rows}
    failed = any(row.failed is not None for row in named.values())

    def cells(row: TruthRow) -> list[str]:
        values = [
            f"{number(row.values[key])} ({number(row.intervals[key][0])} to {number(row.intervals[key][1])})"
            if key in row.values
            else "–"
            for key in scored.scores
        ]
        beyond = "–" if row.beyond is None else f"{number(row.beyond[0])} to {number(row.beyond[1])}"
        return [*values, beyond, timing(row.timing), *([html.escape(row.failed or "")] if failed else [])]

    head = ["samples", *map(name, scored.scores), "CRPS minus the generator's", "per member", *(["failed"] * failed)]
    listing = table(
        head,
        [[name(key), *cells(row)] for key, row in named.items()],
        [key == "generator" for key in named],
        text=[len(head) - 1] if failed else [],
    )
    text = (
        f"<p>{html.escape(scored.why)} So {number(scored.members)} members for each of {number(scored.cases)} cases "
        "are held against what came true, with 95% intervals over fresh cases. A smaller CRPS is nearer to the "
        "posterior in expectation; how near the best one is remains unknown.</p>"
    )
    meant = {key: f"{definition}{f' [{unit}]' if unit else ''}" for key, (definition, unit) in scored.scores.items()}
    made = definitions({key: row.meaning for key, row in named.items()}, "How each was made")
    return f"<section><h2>Against the truth</h2>{text}{listing}{definitions(meant, 'Scores')}{made}</section>"


def baselines_section(baselines: Baselines, page: Page) -> str:
    """The generator's row above those of what it did not make."""
    named = {"generator": baselines.generator, **baselines.rows}
    merits = list(dict.fromkeys(key for row in named.values() for key in row.values))
    failed = any(row.failed is not None for row in named.values())
    rows = [
        [
            name(key),
            *(number(row.values[merit]) if merit in row.values else "–" for merit in merits),
            number(row.evaluations),
            timing(row.timing),
            seconds(row.training_seconds),
            *([html.escape(row.failed or "")] if failed else []),
        ]
        for key, row in named.items()
    ]
    head = ["samples", *map(name, merits), "network evaluations", "per sample", "training", *(["failed"] * failed)]
    marked = [key == "generator" for key in named]
    listing = table(head, rows, marked, text=[len(head) - 1] if failed else [])
    made = definitions({key: row.meaning for key, row in named.items()}, "How each was made")
    return f"<section><h2>Baselines</h2><p>{html.escape(baselines.meaning)}</p>{listing}{made}</section>"


def recoveries_section(found: Recoveries, page: Page) -> str:
    """Every method's errors and coverage over the known truths, parameter by parameter."""
    rows, marked = [], []
    for parameter in found.ranges:
        for method, row in found.rows.items():
            one = row.parameters[parameter]
            rows.append(
                [
                    html.escape(parameter),
                    name(method),
                    f"{number(one.bias)} ± {number(one.bias_error)}",
                    f"<b>{number(one.rmse)}</b>",
                    f"{one.coverage:.0%} ({one.coverage_interval[0]:.0%} to {one.coverage_interval[1]:.0%})"
                    if is_finite(one.width)
                    else "–",
                    number(one.width),
                    seconds(row.seconds),
                    seconds(row.shared_seconds) if row.shared_seconds else "–",
                ]
            )
            marked.append(method == "game")
    text = (
        f"<p>{number(found.truths)} truths, uniform within their ranges, were each observed through "
        f"{number(found.regions)} regions. Bias is the mean of estimate minus truth with its standard error; coverage "
        f"is the share of the {found.level:.0%} intervals that hold the truth, with the 95% interval of that chance. "
        "Seconds are for one observation, all of them having been estimated together.</p>"
    )
    head = ["parameter", "method", "bias", "RMSE", "coverage", "width", "per observation", "once"]
    made = definitions({key: row.meaning for key, row in found.rows.items()}, "How each estimates")
    shown = gallery(plots.recoveries(page.figures, found), "one")
    return f"<section><h2>Known truths</h2>{text}{shown}{table(head, rows, marked)}{made}</section>"
