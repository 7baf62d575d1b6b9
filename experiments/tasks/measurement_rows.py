"""The one table of a comparison of virtual runs: every method's figures, and the sentences that sum them up."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count as numbers
from typing import TYPE_CHECKING

import numpy as np

from experiments.evaluation.cost import in_turn
from experiments.evaluation.entries import BaselineRow
from experiments.evaluation.results import Baselines
from experiments.evaluation.run_rivals import RIVALS
from experiments.evaluation.virtual_runs import LEVEL, POWER, all_figures, pilot_figures, trial_figures
from experiments.reporting import Report
from experiments.tasks.apparatus import Apparatus, fitted_equation
from experiments.tasks.measurements import PILOTS
from experiments.wording import words

if TYPE_CHECKING:
    from experiments.evaluation.baselines import Fitted
    from experiments.evaluation.virtual_runs import Held, Sample, Trial
    from experiments.own_data.tables import Table
    from gan.training.trained import Trained

GENERATOR, TRUTH, ALONE = "generator", "true_law", "real_runs_alone"
EXACT = (TRUTH, ALONE, *(f"pilot_of_{runs}" for runs in PILOTS))
"""Rows that no method could make: of the true law itself, and of new real runs."""
_PILOTS_DRAWN = 50
_SHOWN, _POINTS = 6, 200
_TIMED = 1024


@dataclass(frozen=True)
class Method:
    """A way to make virtual runs.

    Attributes:
        meaning: in one sentence.
        draw: makes them; None where it could not be fitted.
        training_seconds: of the fit; None where nothing was fitted.
        evaluations: of a network for one run; None without one.
        failed: why it could not be fitted.
    """

    meaning: str
    draw: Sample | None
    training_seconds: float | None = None
    evaluations: int | None = None
    failed: str | None = None


def compared_rows(
    table: Table,
    held: Mapping[str, Held],
    trial: Trial | None,
    trained: Trained,
    baselines: Mapping[str, Fitted],
    apparatus: Apparatus | None,
    *,
    count: int,
    repeats: int,
    seed: int,
    report: Report,
) -> tuple[dict[str, BaselineRow], dict[str, np.ndarray]]:
    """Compare every method at the held-out settings.

    Args:
        table: real runs that all methods learn from.
        held: others, by place.
        trial: a planned test; None where the true law is not known.
        trained: the generator.
        baselines: networks that were trained on the same runs, by name.
        apparatus: whose law is known; None for a file.
        count: virtual runs at each setting.
        repeats: timings.
        seed: of draws and fits.
        report: called with (done, total, what).

    Returns:
        Rows by name, that of the generator among them, and arrays for the pictures.
    """
    methods = {
        GENERATOR: Method("the generator", _by_network(trained.sample, seed), evaluations=1),
        **{
            name: Method(one.meaning, _by_network(one.sample, seed), one.training_seconds, one.evaluations)
            for name, one in baselines.items()
        },
    }
    for name, (meant, fit) in RIVALS.items():
        report(len(methods), len(methods) + 1, words(name))
        methods[name] = fitted(meant, partial(fit, table.settings, table.values, seed))
    if apparatus is not None:
        for name, simplified in (("fitted_equation", False), ("fitted_wrong_equation", True)):
            report(len(methods), len(methods) + 1, words(name))
            meant = "the equation of the apparatus, parameters of its population fitted to the same runs"
            meant += f"; {apparatus.mistake}" if simplified else ""
            methods[name] = fitted(meant, partial(fitted_equation, apparatus, table, seed, simplified=simplified))
        stream = np.random.default_rng((seed, 94))
        methods[TRUTH] = Method("the true law, which no method knows", lambda at, n: apparatus.runs(at, n, stream))
    one_setting = next(iter(held.values())).settings[:1]
    timed = {name: partial(one.draw, one_setting, _TIMED) for name, one in methods.items() if one.draw is not None}
    timings = in_turn(timed, repeats=repeats, count=_TIMED)
    rows: dict[str, BaselineRow] = {}
    for name, one in methods.items():
        report(len(rows), len(methods), words(name))
        values, failed = {}, one.failed
        if one.draw is not None:
            try:
                values = all_figures(one.draw, held, trial, count, seed)
            except ValueError as error:
                failed = str(error)
        timing = timings.get(name)
        rows[name] = BaselineRow(one.meaning, values, one.evaluations, timing, one.training_seconds, failed)
    if trial is not None:
        rows |= _real_rows(tuple(held), trial, seed)
    return rows, _pictures(held, methods[GENERATOR].draw)


def fitted(meaning: str, fit: Callable[[], Sample]) -> Method:
    """Fit a method, or say why it cannot be fitted."""
    began = time.monotonic()
    try:
        draw = fit()
    except (ValueError, np.linalg.LinAlgError) as error:
        return Method(meaning, None, failed=" ".join(str(error).split()))
    return Method(meaning, draw, time.monotonic() - began)


def _by_network(sample: Callable[..., np.ndarray], seed: int) -> Sample:
    """Call a network for all settings at once, each time with other random numbers."""
    import jax

    calls, key = numbers(), jax.random.key(seed)

    def draw(settings: np.ndarray, count: int) -> np.ndarray:
        given = np.repeat(settings.astype(np.float32), count, axis=0)
        made = sample(jax.random.fold_in(key, next(calls)), len(given), {"setting": given})
        return np.asarray(made, np.float64).reshape(len(settings), count, -1)

    return draw


def _real_rows(places: Sequence[str], trial: Trial, seed: int) -> dict[str, BaselineRow]:
    """Return the rows of new real runs: a planned test with them alone, and plans by pilots."""
    meant = f"{trial.real} new real runs in each group, and no virtual ones"
    found = {ALONE: BaselineRow(meant, trial_figures(None, trial, seed))}
    for runs in PILOTS:
        values = {f"worth_{place}": float(runs) for place in places}
        values |= pilot_figures(runs, trial.apart, _PILOTS_DRAWN, seed)
        found[f"pilot_of_{runs}"] = BaselineRow(f"{runs} new real runs at each setting that is asked for", values)
    return found


def _pictures(held: Mapping[str, Held], draw: Sample | None) -> dict[str, np.ndarray]:
    """Return responses at a few held-out settings, real and virtual."""
    assert draw is not None
    place = held.get("between") or next(iter(held.values()))
    chosen = np.linspace(0, len(place.settings) - 1, min(_SHOWN, len(place.settings))).astype(int)
    least = min(min(len(place.runs[one]) for one in chosen), _POINTS)
    return {
        "runs/settings": place.settings[chosen],
        "runs/real": np.stack([place.runs[one][:least] for one in chosen]),
        "runs/generator": draw(place.settings[chosen], max(least, _POINTS)),
    }


def other_methods(section: Baselines) -> dict[str, BaselineRow]:
    """Return the rows of other methods than the generator, without those of the true law and of new real runs."""
    return {name: row for name, row in section.rows.items() if name not in EXACT}


def meaning(table: Table, held: Sequence[str], trial: Trial | None) -> str:
    """Say what the figures of the table are."""
    places = {"at_design": "at settings of the design", "between": "halfway between them", "beyond": "outside them"}
    where = ", ".join(places[one] for one in held if one in places) or "at the held-out settings"
    said = (
        f"Virtual runs {where}, by methods that learned from the same {len(table):,} real runs. Worth: the "
        "number of real runs at each setting whose empirical law is as near to the true one, by the energy distance. "
        "CRPS: in standard deviations of the real runs at a setting; smaller is better."
    )
    if trial is None:
        return said
    return (
        f"{said} False alarms: how often Welch's test at {LEVEL:.0%} rejects at pairs of one law, where {trial.real} "
        f"real and {trial.virtual} virtual runs are pooled in each group as if all were real. Power, known: the same "
        "where the means differ by a step of a factor. Power, new: the same where the real runs of the second group, "
        "and they alone, are a standard deviation larger. Plan factor: the median factor by which the number of real "
        f"runs that is planned from virtual runs misses the one that is needed for a power of {POWER:.0%}. Plan power: "
        "the true power that one plan in ten stays under. Such a test is made with real runs alone, and its false "
        "alarms are theirs."
    )


def verdict(section: Baselines, table: Table) -> str:
    """Say in sentences what the table shows."""
    own, rows = section.generator.values, section.rows
    place = "between" if "worth_between" in own else "held_out"
    key = f"worth_{place}"
    where = "between the settings of the design" if place == "between" else "at held-out settings"
    ranked = {name: row.values[key] for name, row in other_methods(section).items() if key in row.values}
    ahead = [name for name, value in ranked.items() if value > own[key]]
    best = max(ranked, key=lambda name: ranked[name])
    per = len(table) / len(table.grouped()[0])
    said = [
        f"The generator is worth {own[key]:.3g} real runs at each setting {where}, where nothing was measured; the "
        f"table has {per:.3g} at each of its settings.",
        f"Of {len(ranked)} other methods {len(ahead)} are worth more; the best is {words(best)} with "
        f"{ranked[best]:.3g}.",
    ]
    if ALONE in rows:
        said += _trial_sentences(own, rows)
    return " ".join(said)


def _trial_sentences(own: Mapping[str, float], rows: Mapping[str, BaselineRow]) -> list[str]:
    """Say what pooling does to a test, and which pilot a plan by virtual runs is as good as."""
    alone = rows[ALONE].values
    pilots = {runs: rows[f"pilot_of_{runs}"].values["plan_factor"] for runs in PILOTS}
    as_good = [runs for runs, factor in pilots.items() if factor >= own["plan_factor"]]
    equal = f"no worse than from {as_good[-1]}" if as_good else f"worse than from {PILOTS[0]}"
    return [
        f"Pooled with real runs, virtual ones make {own['false_alarms']:.1%} false alarms in a test at {LEVEL:.0%} "
        f"(real runs alone: {alone['false_alarms']:.1%}), and take its power for a difference that they do not know "
        f"from {alone['power_new']:.0%} to {own['power_new']:.0%}.",
        f"The number of runs of a test that is planned from virtual runs misses the needed one by a factor of "
        f"{own['plan_factor']:.2f} in the median, {equal} real runs at each setting.",
    ]
