"""The verdict of a comparison in plain sentences; losing is said as plainly as winning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def snapshot_verdict(comparison: Mapping[str, Any]) -> str:
    """Distances, scores, refinement and cost of a snapshot comparison, in a few sentences."""
    sentences = [distances_sentence(comparison), *scores_sentences(comparison)]
    if "refinement" in comparison:
        sentences.append(refinement_sentence(comparison))
    if "cost" in comparison:
        sentences += cost_sentences(comparison["cost"])
    return " ".join(s for s in sentences if s)


def forecast_verdict(comparison: Mapping[str, Any]) -> str:
    """Distances to the solver's posterior ensemble, scores against the truth, and cost, in a few
    sentences."""
    scores = comparison["scores"]
    own, reference = scores["crps"]["value"], scores["crps"]["target"]
    against = (
        f"The generator's CRPS is {own:.3g} standard deviations where the exact posterior has {reference:.3g} "
        f"({own / reference - 1:+.0%})."
    )
    rest = {**comparison, "scores": {n: s for n, s in scores.items() if n not in ("crps", "energy_score")}}
    what = f"members in each of {comparison['cases']} cases"
    sentences = [distances_sentence(comparison, what), against, *scores_sentences(rest)]
    sentences += outside_sentences(comparison.get("regions", {}))
    if "cost" in comparison:
        sentences += cost_sentences(comparison["cost"])
    return " ".join(sentences)


def outside_sentences(regions: Mapping[str, Any]) -> list[str]:
    """One sentence for each region outside the range of training."""
    sentences = []
    for label, part in regions.items():
        own, best = (part["scores"]["crps"][name] for name in ("value", "target"))
        told = sum(not entry["inside"] for entry in part["distances"].values())
        sentences.append(
            f"Outside the range of training, at {label}, its CRPS is {own:.3g} where the exact posterior has "
            f"{best:.3g} ({own / best - 1:+.0%}), and {told or 'none'} of {len(part['distances'])} distances "
            f"{'tells' if told <= 1 else 'tell'} it from the solver."
        )
    return sentences


def modes_verdict(comparison: Mapping[str, Any]) -> str:
    """Modes, quality and weights beside exact samples, then distances and cost."""
    scores = comparison["scores"]
    found, high, weights = (scores[name] for name in ("modes_found", "high_quality", "total_variation"))
    sentences = [
        f"Over {comparison['counted']:,} samples, {found['value']:.0f} of {comparison['modes']} modes are found "
        f"(exact samples: {found['target']:.0f}), {high['value']:.1%} of the samples are of high quality "
        f"({high['target']:.1%}), and the total variation of the weights is {weights['value']:.3f} "
        f"({weights['target']:.3f}).",
        distances_sentence(comparison, "samples", "exact samples"),
    ]
    return " ".join(sentences)


def distances_sentence(comparison: Mapping[str, Any], what: str = "fields", reference: str = "the solver") -> str:
    """Which distances tell the generator from the solver, or another reference, and by how much."""
    distances = comparison["distances"]
    ratios = {name: entry["ratio"] for name, entry in distances.items()}
    outside = sorted((n for n, e in distances.items() if not e["inside"]), key=lambda n: -ratios[n])
    median, worst = float(np.median(list(ratios.values()))), max(ratios, key=lambda n: ratios[n])
    size = (
        f"Over {comparison['n']} {what}, the median distance is {median:.2f} times {_own(reference)} floor, "
        f"the largest {ratios[worst]:.2f} times ({_words(worst)})."
    )
    if not outside:
        return f"The samples cannot be told from {reference} by any of the {len(distances)} distances. {size}"
    named = ", ".join(f"{_words(n)} ({ratios[n]:.1f} times the floor)" for n in outside)
    share = f"{len(outside)} of {len(distances)} distances"
    return f"The samples can be told from {reference} by {share}: {named}. {size}"


def _own(reference: str) -> str:
    return f"{reference}' own" if reference.endswith("s") else f"{reference}'s own"


def scores_sentences(comparison: Mapping[str, Any]) -> list[str]:
    """One sentence for each score that lies outside the band of the solver's own values; one if none does."""
    scores = comparison.get("scores", {})
    off = {n: s for n, s in scores.items() if not s["null"][0] <= s["value"] <= s["null"][1]}
    left_out = off.pop("invalid", None)
    if not scores:
        return []
    share = f"{left_out['value']:.2%} of the samples were not finite and were left out." if left_out else ""
    if not off:
        return [share] if share else ["Every score lies where the solver's own values lie."]
    return [share] * bool(share) + [
        f"{_words(name).capitalize()} is {s['value']:.3g}; the solver's own lies, 95 times in 100, between "
        f"{s['null'][0]:.3g} and {s['null'][1]:.3g}."
        for name, s in off.items()
    ]


def refinement_sentence(comparison: Mapping[str, Any]) -> str:
    """When each start can no longer be told from the solver, in solver time with the carry counted."""
    curves, carry = comparison["refinement"], comparison.get("carry_time", 0.0)
    labels = {
        "generator": f"the generator (its carry of {carry:g} counted)" if carry else "the generator",
        "gaussian": "a Gaussian field with the data's spectrum",
        "initial": "the system's own initial condition",
    }
    parts = []
    for name, curve in curves.items():
        when = curve["enters_all"]
        says = f"from solver time {when:g} on" if when is not None else f"not within {curve['time'][-1]:g}"
        parts.append(f"{labels.get(name, name)} {says}")
    sentence = "Carried on by the solver, the starts cannot be told from it any more: " + "; ".join(parts) + "."
    own = curves.get("generator", {}).get("enters_all")
    if "generator" not in curves or "gaussian" not in curves:
        return sentence
    other, end = curves["gaussian"]["enters_all"], curves["gaussian"]["time"][-1]
    if own is None and other is None:
        return f"{sentence} Neither the generator nor the Gaussian start gets there in the time measured."
    if own is None:
        return f"{sentence} The Gaussian start, which needs no training, gets there and the generator does not."
    if other is None:
        return f"{sentence} The generator saves more than {end - own:g} of solver time against the Gaussian start."
    if own < other:
        return (
            f"{sentence} The generator needs {own / other:.0%} of the Gaussian start's solver time "
            f"and saves {other - own:g} of it."
        )
    return f"{sentence} The generator saves no solver time against the Gaussian start."


def cost_sentences(cost: Mapping[str, Any]) -> list[str]:
    """The generator against the cheapest solver that is as good, and when it pays off."""
    own, cheapest = cost["generator_seconds_per_sample"], cost["cheapest"]
    theirs = cheapest["seconds_per_sample"]
    measured = {"seconds_per_sample", "error", "worst", "ratios", "reaches", "failed"}
    setting = ", ".join(f"{_words(k)} {_plain(v)}" for k, v in cheapest.items() if k not in measured).replace(
        "setting reference", "the reference itself"
    )
    times = theirs / own if own <= theirs else own / theirs
    # The reference alone, or nothing, was tried where no search was asked for.
    searched = len(cost.get("search") or ()) > 1
    solver = "the reference solver"
    if searched:
        error = f"; median ratio {cheapest['error']:.2f}" if cheapest.get("error") else ""
        solver = f"the cheapest solver setting found that is as good ({setting}{error})"
    sentences = [
        f"A sample costs {seconds(own)}; {solver} costs {seconds(theirs)}: the generator is {times:.3g} times "
        f"{'cheaper' if own <= theirs else 'dearer'}{'' if searched else ' (no cheaper solver was searched)'}."
    ]
    fixed = seconds(cost["data_seconds"] + cost["training_seconds"])
    if cost["break_even"] is None:
        sentences.append(f"With {fixed} of data and training on top, it never pays off.")
    else:
        sentences.append(
            f"With {fixed} of data and training counted, it pays off from {cost['break_even']:,} samples on."
        )
    return sentences


def seconds(value: float) -> str:
    """A time in the unit that suits it."""
    if value >= 7200:
        return f"{value / 3600:.3g} h"
    if value >= 600:
        return f"{value / 60:.3g} min"
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value / 1e-9:.3g} ns"


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _words(name: str) -> str:
    return name.replace("_", " ").replace("/", " of ").replace("crps", "CRPS")
