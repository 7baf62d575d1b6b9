"""The verdict of a comparison in plain sentences; losing is said as plainly as winning."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import TypeVar

from experiments.evaluation.entries import Curve, Score, SolverRow, Test, Timing
from experiments.evaluation.results import (
    AgainstTruth,
    Cost,
    Distances,
    Forecasts,
    ImportanceWeights,
    ModeShares,
    Orbits,
    Planning,
    Recoveries,
    Refinement,
    Regions,
    Scores,
    Section,
    Tests,
    Worth,
)
from experiments.wording import approximate, capital, duration, is_finite, listed, words

S = TypeVar("S")


def verdict(sections: Sequence[Section]) -> str:
    """Say what a comparison found, in a few sentences, from whichever sections there are.

    Args:
        sections: of the comparison, in any order; the sentences go from tests over distances and scores to cost.
    """
    said: list[str] = []
    scores = {name: score for one in _of(sections, Scores) for name, score in one.entries.items()}
    for orbits in _of(sections, Orbits):
        said += orbits_sentences(orbits)
    for recoveries in _of(sections, Recoveries):
        said += recoveries_sentences(recoveries)
    for tests in _of(sections, Tests):
        said += tests_sentences(tests)
    # A score that has a sentence of its own is not named again among those outside their bands.
    for modes in _of(sections, ModeShares):
        said += modes_sentences(modes, scores)
        scores = {name: one for name, one in scores.items() if name not in _MODES}
    if _of(sections, Forecasts):
        said += crps_sentences(scores)
        scores = {name: one for name, one in scores.items() if name not in ("crps", "energy_score")}
    for distances in _of(sections, Distances):
        said += distances_sentences(distances)
    for one in _of(sections, Scores):
        said += scores_sentences(scores, one.reference)
    for regions in _of(sections, Regions):
        said += regions_sentences(regions)
    for scored in _of(sections, AgainstTruth):
        said += truth_sentences(scored)
    for weights in _of(sections, ImportanceWeights):
        said += weights_sentences(weights)
    for refinement in _of(sections, Refinement):
        said += refinement_sentences(refinement)
    for cost in _of(sections, Cost):
        said += cost_sentences(cost)
    for worth in _of(sections, Worth):
        said += worth_sentences(worth)
    for planning in _of(sections, Planning):
        said += planning_sentences(planning)
    return " ".join(said)


def _of(sections: Sequence[Section], kind: type[S]) -> list[S]:
    return [one for one in sections if isinstance(one, kind)]


def tests_sentences(tests: Tests) -> list[str]:
    """Whether the joint test distinguishes the samples from the reference, by what, and what it would have missed."""
    joint = f"joint p = {tests.p_value:.2g}"
    # Of the members, the strongest, and the first that has an interval: the classifier whose area is easily read.
    first = next((name for name, one in tests.entries.items() if one.interval is not None), tests.strongest)
    if tests.distinguished:
        named = [name for name in dict.fromkeys((tests.strongest, first)) if name in tests.entries]
        by = [member_clause(name, tests.entries[name]) for name in named]
        return [f"The samples are distinguished from {tests.reference} ({joint}){': ' if by else ''}{'; '.join(by)}."]
    power = {name: one for name, one in tests.entries.items() if is_finite(one.missed)}
    name = first if first in power else next(iter(power), None)
    found = ""
    if name is not None:
        found = (
            f": {member_clause(name, power[name])}, and a value beyond {power[name].missed:.3g} would have been found "
            "with a probability of 80%"
        )
    sentences = [f"The samples are not distinguished from {tests.reference} ({joint}){found}."]
    bounds = [one for one in tests.bounds if is_finite(one.missed)]
    if bounds:
        loosest = max(bounds, key=lambda one: abs(one.missed))
        sentences.append(
            f"Of {len(bounds)} quantities bounded, the loosest is that of {loosest.quantity}: a relative error of "
            f"{abs(loosest.missed):.2g} would have been missed."
        )
    return sentences


def member_clause(name: str, member: Test) -> str:
    """A member of the joint test with its value, interval, null band and unit."""
    interval = f" [{member.interval[0]:.3g}, {member.interval[1]:.3g}]" if member.interval else ""
    unit = f" ({member.unit})" if member.unit else ""
    chance = f"where chance gives {member.null[0]:.3g} to {member.null[1]:.3g}"
    return f"the test “{words(name)}” finds {member.statistic:.3g}{interval}{unit}, {chance}"


def distances_sentences(distances: Distances) -> list[str]:
    """Which distances distinguish the samples from the reference, and by how much."""
    ratios = {name: one.ratio for name, one in distances.entries.items()}
    if not ratios:
        return []
    outside = sorted((n for n, one in distances.entries.items() if not one.inside), key=lambda n: -ratios[n])
    worst = max(ratios, key=lambda name: ratios[name])
    size = (
        f"Between {distances.between}, the median distance is {statistics.median(ratios.values()):.2f} times its floor"
        f", the largest {ratios[worst]:.2f} times ({words(worst)})."
    )
    if not outside:
        return [f"None of the {len(ratios)} distances distinguishes the samples from {distances.reference}.", size]
    named = ", ".join(f"{words(name)} ({ratios[name]:.1f} times the floor)" for name in outside)
    verb = "distinguishes" if len(outside) == 1 else "distinguish"
    return [f"{len(outside)} of {len(ratios)} distances {verb} the samples from {distances.reference}: {named}.", size]


def scores_sentences(scores: Mapping[str, Score], reference: str) -> list[str]:
    """The scores outside the band of the reference's own values: a sentence for each, or one for more than two."""
    off = {name: one for name, one in scores.items() if not one.inside}
    invalid = off.pop("invalid", None)
    sentences = [] if invalid is None else [f"{invalid.value:.2%} of the samples were not finite and were left out."]
    if len(off) > 2:
        named = listed([words(name.replace("/", " of ")) for name in off])
        return [*sentences, f"{len(off)} of {len(scores)} scores lie outside the band of {reference}: {named}."]
    sentences += [
        f"{capital(words(name.replace('/', ' of ')))} is {one.value:.3g}{_unit(one.unit)}; of {reference} it lies, "
        f"95 times in 100, between {one.null[0]:.3g} and {one.null[1]:.3g}."
        for name, one in off.items()
    ]
    return sentences or ([f"Every score lies within the band of {reference}."] if scores else [])


def crps_sentences(scores: Mapping[str, Score]) -> list[str]:
    """The ensemble's CRPS beside that of the exact posterior."""
    if (crps := scores.get("crps")) is None or not crps.target:
        return []
    return [
        f"The generator's CRPS is {crps.value:.3g}{_unit(crps.unit)} where the reference has {crps.target:.3g} "
        f"({crps.value / crps.target - 1:+.0%})."
    ]


def modes_sentences(modes: ModeShares, scores: Mapping[str, Score]) -> list[str]:
    """Modes found, quality and weights, each beside exact samples."""
    if not scores.keys() >= set(_MODES):
        return []
    found, high, weights = (scores[name] for name in _MODES)
    return [
        f"Over {modes.counted:,} samples, {found.value:.0f} of {modes.modes} modes are found "
        f"({_exact(found, '.0f')}), {high.value:.1%} of the samples are of high quality ({_exact(high, '.1%')}), and "
        f"the total variation of the weights is {weights.value:.3f} ({_exact(weights, '.3f')})."
    ]


_MODES = ("modes_found", "high_quality", "total_variation")


def _exact(score: Score, form: str) -> str:
    return "exact samples: unknown" if score.target is None else f"exact samples: {score.target:{form}}"


def regions_sentences(regions: Regions) -> list[str]:
    """One sentence for each region outside the range of training."""
    sentences = []
    for label, region in regions.regions.items():
        entries = region.distances.entries
        count = sum(not one.inside for one in entries.values())
        parts = [
            f"{count or 'none'} of {len(entries)} distances {'distinguishes' if count <= 1 else 'distinguish'} "
            f"the samples"
        ]
        area = region.scores.entries.get("auc")
        if area is not None:
            chance = f"{area.null[0]:.3g} to {area.null[1]:.3g}"
            parts.insert(0, f"the area under the ROC curve is {area.value:.3g}, where chance gives {chance},")
        crps = region.scores.entries.get("crps")
        if crps is not None and crps.target:
            parts.insert(
                0,
                f"the CRPS is {crps.value:.3g}{_unit(crps.unit)} where the reference has {crps.target:.3g} "
                f"({crps.value / crps.target - 1:+.0%})",
            )
        sentences.append(f"Outside the range of training, at {label}, {' and '.join(parts)}.")
    return sentences


def truth_sentences(scored: AgainstTruth) -> list[str]:
    """The generator's CRPS against the truth, and which rows are distinguished from it on either side."""
    own = scored.generator
    if "crps" not in own.values:
        return [scored.why, f"The generator has no scores: {own.failed or 'none were taken'}."]
    low, high = own.intervals["crps"]
    unit = _unit(scored.scores["crps"][1])
    sentences = [
        scored.why,
        f"Against the truth of {scored.cases} cases the generator's CRPS is {own.values['crps']:.3g}{unit} "
        f"({low:.3g} to {high:.3g}).",
    ]
    for names, what in ((scored.ahead, "Smaller"), (scored.behind, "Larger")):
        if names:
            rows = listed([f"{words(one)} ({scored.rows[one].values['crps']:.3g})" for one in names])
            sentences.append(f"{what} by an interval over the cases: {rows}.")
    return sentences


def weights_sentences(weights: ImportanceWeights) -> list[str]:
    """How much of the samples is left when they are weighted to the posterior."""
    folds = f"; the density is not known at {weights.folded:.1%} of the samples" if weights.folded else ""
    return [
        f"Weighted to the posterior, the generator's samples have an effective size of "
        f"{statistics.median(weights.effective):.0%} of their number (median of {len(weights.effective)} cases, lowest "
        f"{min(weights.effective):.1%}). With many draws the weighted answer tends to the posterior where the "
        f"generator reaches{folds}."
    ]


def refinement_sentences(refinement: Refinement) -> list[str]:
    """From which solver time each start is no longer distinguished, and what the generator saves against the others."""
    curves = refinement.curves
    if not curves:
        return []
    parts = [
        f"{one.label} from solver time {one.enters:g} on"
        if one.enters is not None
        else f"{one.label} never{f' within {one.time[-1]:g}' if one.time else ''}"
        for one in curves.values()
    ]
    sentences = [f"Advanced by the solver, a start can no longer be distinguished from it: {'; '.join(parts)}."]
    own = curves.get("generator")
    others = [one for name, one in curves.items() if name != "generator"]
    if own is None or not others:
        return sentences
    if own.enters is None:
        there = [one.label for one in others if one.enters is not None]
        if there:
            says = f"The generator never gets there; {listed(there)} {'do' if len(there) > 1 else 'does'}."
        else:
            says = "Neither the generator nor any other start gets there in the time measured."
        return [*sentences, says]
    saved = [f"{_saved(own.enters, one)} against {one.label}" for one in others]
    return [*sentences, f"The generator saves {'; '.join(saved)}."]


def _saved(enters: float, other: Curve) -> str:
    """The solver time that entering at ``enters`` saves against another start."""
    if other.enters is None:
        if other.time and other.time[-1] <= enters:
            return "an unknown amount of solver time, beyond what was measured,"
        return f"more than {other.time[-1] - enters:g} of solver time" if other.time else "solver time"
    return f"{other.enters - enters:g} of solver time" if other.enters > enters else "no solver time"


def cost_sentences(cost: Cost) -> list[str]:
    """The generator against the cheapest solver that is as good, and from how many samples on it pays off."""
    theirs = cost.cheapest.timing
    sentences = [f"A sample costs {spread(cost.generator)}."]
    if theirs is not None:
        searched = len(cost.search) > 1
        solver = f"{'the cheapest solver that is as good' if searched else 'the reference'} ({setting(cost.cheapest)})"
        if not cost.matched:
            solver = f"the reference's own sampler ({setting(cost.cheapest)})"
        factor = cost.advantage
        says = f"{factor:.3g} times cheaper" if factor >= 1 else f"{1 / max(factor, 1e-12):.3g} times dearer"
        start = cost.cheapest.start_seconds
        once = f", after {duration(start)} that are spent once" if start > 0 else ""
        beside = ", which is within the scatter of the times" if cost.tied else ""
        sentences = [
            *([] if cost.matched else ["Nothing that was tried is as good as the generator by every distance."]),
            f"A sample costs {spread(cost.generator)}; from {solver} it costs {spread(theirs)}{once}: the generator is "
            f"{says}{beside}{'' if searched else ' (nothing cheaper was searched)'}.",
        ]
    by_score = cost.cheapest_by("crps")
    if by_score is not None and by_score is not cost.cheapest and by_score.timing is not None:
        factor = by_score.timing.seconds / cost.generator.seconds
        sentences.append(
            f"By its CRPS alone, within 5% of the generator's, the cheapest is {setting(by_score)}: "
            f"{duration(by_score.timing.seconds)}, {factor:.3g} times the generator's cost."
        )
    fixed = duration(cost.data_seconds + cost.training_seconds)
    even = cost.break_even
    if not cost.rivals:
        return [*sentences, f"Data and training take {fixed}; from when on that pays is not known, without a rival."]
    if even is None:
        return [*sentences, f"With {fixed} of data and training on top, it never pays off."]
    return [
        *sentences,
        f"With {fixed} of data and training counted, it pays off from about {approximate(even)} samples on.",
    ]


def setting(row: SolverRow) -> str:
    """What was set in a solver row, in words."""
    parts = [
        f"{'' if name == 'setting' else f'{words(name)} '}{f'{value:g}' if isinstance(value, float) else value}"
        for name, value in row.setting.items()
        if value is not None
    ]
    return ", ".join(parts) or "as the data were made"


def spread(timing: Timing) -> str:
    """A time with its smallest and largest value where it was taken more than once."""
    if timing.repeats <= 1:
        return duration(timing.seconds)
    return f"{duration(timing.seconds)} ({duration(timing.low)} to {duration(timing.high)})"


def worth_sentences(worth: Worth) -> list[str]:
    """To how many independent solver fields the generator comes up, beside the number that it was trained on."""
    low, high = worth.interval
    if low is None:
        return [f"No error of its samples' physical features was found; it was trained on {worth.trained_on:,} fields."]
    upper = "more than these samples can show" if high is None else f"{high:,.0f}"
    if worth.equals is None:
        size = f"at least {low:,.0f} independent {worth.fields}"
    else:
        size = f"{worth.equals:,.0f} independent {worth.fields} (95% interval {low:,.0f} to {upper})"
    than = {
        True: "more than it was trained on",
        False: "less than it was trained on",
        None: "which does not tell whether it adds anything to what it was trained on",
    }[worth.adds]
    return [f"Its samples describe the distribution as well as {size}: {than}, {worth.trained_on:,}."]


def planning_sentences(planning: Planning) -> list[str]:
    """Whether generated fields would make a planned study find more."""
    if not planning.plans:
        return []
    helped = planning.helped
    group = f"a planned second group of {planning.planned:,} fields"
    if not helped:
        return [
            f"For {group}, generated fields are not shown to make any smaller difference of a mean visible than the "
            f"{planning.trained_on:,} real ones do."
        ]
    gains = [f"{name}, from {planning.plans[name].real:.3g} to {planning.plans[name].generated:.3g}" for name in helped]
    return [f"For {group}, generated fields lower the smallest visible difference of the {'; of the '.join(gains)}."]


def orbits_sentences(orbits: Orbits) -> list[str]:
    """Name the update scheme by what becomes of them, adaptive steps without a penalty first."""
    sentences = []
    for transform, penalty, what in (
        ("adam", False, "With Adam's steps and no penalty"),
        ("sgd", False, "With plain steps and no penalty"),
        ("adam", True, "With Adam's steps and R1"),
        ("sgd", True, "With plain steps and R1"),
    ):
        rows = [one for one in orbits.rows if one.transform == transform and bool(one.gamma) is penalty]
        parts = []
        for outcome in ("converges", "circles", "leaves"):
            if schemes := [words(one.scheme) for one in rows if one.outcome == outcome]:
                parts.append(f"{listed(schemes)} {outcome if len(schemes) == 1 else outcome[:-1]}")
        if parts:
            sentences.append(f"{what}: {'; '.join(parts)}.")
    return sentences


def recoveries_sentences(found: Recoveries) -> list[str]:
    """The game's errors over those of the best other method, and how often its intervals hold the truth."""
    if "game" not in found.rows:
        return []
    game = found.rows["game"]
    others = {name: row for name, row in found.rows.items() if name != "game"}
    parts = []
    for parameter, own in game.parameters.items():
        best = min(others, key=lambda name: others[name].parameters[parameter].rmse, default=None)
        beside = ""
        if best is not None:
            least = others[best].parameters[parameter].rmse
            beside = f", {own.rmse / least:.2f} times the least of the others ({words(best)}: {least:.3g})"
        parts.append(f"of {parameter} {own.rmse:.3g}{beside}")
    sentences = [
        f"Over {found.truths} truths the root mean square error of the game's estimates is {listed(parts)}.",
    ]
    if all(is_finite(one.width) for one in game.parameters.values()):
        shares = listed([f"{one.coverage:.0%} ({parameter})" for parameter, one in game.parameters.items()])
        sentences.append(f"Its {found.level:.0%} intervals hold the truth in {shares} of the cases.")
    sentences.append(f"An observation takes it {duration(game.seconds)}.")
    return sentences


def _unit(unit: str) -> str:
    return f" {unit}" if unit else ""
