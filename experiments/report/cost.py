"""The report's sections on cost: the generator against the cheapest solver that is as good, and its worth in fields."""

from __future__ import annotations

import html

from experiments import plots
from experiments.evaluation.entries import Plain, SolverRow
from experiments.evaluation.results import Baselines, Cost, Worth
from experiments.evaluation.verdict import setting, worth_sentences
from experiments.report.page import Page
from experiments.report.pieces import folded, gallery, given, name, number, seconds, table, timing
from experiments.wording import approximate, is_finite, words


def cost_section(cost: Cost, page: Page) -> str:
    """The costs with their spread, the break-even, and the search."""
    rows = [["generator" if cost.layer is None else "generator, solver layer included", timing(cost.generator)]]
    if cost.layer is not None:
        rows.append(["of which the solver layer", timing(cost.layer)])
    rows.append([f"reference ({html.escape(setting(cost.reference))})", timing(cost.reference.timing)])
    if cost.cheapest is not cost.reference:
        label = f"cheapest solver as good ({html.escape(setting(cost.cheapest))})"
        rows.append([label, timing(cost.cheapest.timing)])
        if cost.cheapest.start_seconds > 0:
            rows.append(["its spin-up, once", seconds(cost.cheapest.start_seconds)])
    rows += [
        ["making the training fields, once", seconds(cost.data_seconds)],
        ["training, once", seconds(cost.training_seconds)],
    ]
    against = f"Against the reference ({html.escape(setting(cost.reference))}): nothing cheaper was searched."
    if len(cost.search) > 1:
        strongest = (
            f"the strongest of {len(cost.search)} solver settings"
            if cost.matched
            else f"the reference's own sampler, because <b>none of {len(cost.search)} settings is as good</b>"
        )
        against = (
            f"Against {strongest}. A setting counts as good as the generator where "
            f"{html.escape(cost.criterion.rstrip('.'))}."
        )
    baselines = page.comparison.get(Baselines)
    own = baselines.generator.values if baselines is not None else {}
    return (
        f"<section><h2>Cost</h2><p>{against}</p><p>{_outcome(cost)}</p>"
        f"{table(['per sample, unless it says once', 'time (smallest to largest)'], rows)}"
        f"{gallery(plots.search(cost, own), 'one')}{_search(cost)}</section>"
    )


def _outcome(cost: Cost) -> str:
    """Who is cheaper, by how much, and from how many samples on it pays off."""
    if not cost.rivals:
        even = "From when on it pays off is not known, because nothing that was tried is as good."
    elif cost.break_even is None:
        even = "Data and training counted, it <b>never pays off</b>, however many samples are drawn."
    else:
        even = f"Data and training counted, it pays off from about <b>{approximate(cost.break_even)}</b> samples on."
    if cost.cheapest.timing is None or not is_finite(cost.advantage) or cost.advantage <= 0:
        return even
    factor, word = (cost.advantage, "cheaper") if cost.advantage >= 1 else (1 / cost.advantage, "dearer")
    tie = ", which is within the scatter of the times" if cost.tied else ""
    return f"A sample of the generator is <b>{number(factor)}</b> times {word} than one of that solver{tie}. {even}"


def _search(cost: Cost) -> str:
    """Every setting that was tried, failed ones with their reason; nothing where none was."""
    if not cost.search:
        return ""
    named = list(dict.fromkeys(key for row in cost.search for key in row.setting))
    # What all settings share is said once, so that the table fits the page.
    shared = {key for key in named if len(cost.search) > 1 and len({row.setting.get(key) for row in cost.search}) == 1}
    keys = [key for key in named if key not in shared]
    merits = list(dict.fromkeys(key for row in cost.search for key in row.values))
    started = any(row.start_seconds > 0 for row in cost.search)
    rows = [
        [
            *(_plain(row.setting[key]) if key in row.setting else "–" for key in keys),
            timing(row.timing),
            *([seconds(row.start_seconds) if row.timing is not None else "–"] if started else []),
            *(number(row.values[key]) if key in row.values else "–" for key in merits),
            _as_good(row),
        ]
        for row in cost.search
    ]
    head = [*map(name, keys), "per sample", *(["once"] if started else []), *map(name, merits), "as good"]
    marked = [row is cost.cheapest for row in cost.search]
    listing = table(head, rows, marked, text=[len(head) - 1])
    common = setting(SolverRow({key: cost.search[0].setting[key] for key in named if key in shared}, None, None, {}))
    about = f" (all: {html.escape(common)})" if shared else ""
    return folded(f"The search, {len(rows)} solver settings{about}", listing, shown=True)


def _as_good(row: SolverRow) -> str:
    if row.failed is not None:
        return f"failed: {html.escape(row.failed)}"
    if row.reaches is None:
        return "not judged: dearer than one that is"
    if row.reaches:
        return "yes"
    return f"no, worse in: {html.escape(words(row.worse))}" if row.worse else "no"


def _plain(value: Plain) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return html.escape(value) if isinstance(value, str) else given(value)


def worth_section(worth: Worth, page: Page) -> str:
    """How many solver fields come as close to the distribution as the generator does, in a sentence and a picture."""
    said = html.escape(" ".join(worth_sentences(worth)))
    distribution = f"Distance from the distribution: {html.escape(worth.distance.rstrip('.'))}."
    title = f"Worth in {html.escape(worth.fields)}"
    return f"<section><h2>{title}</h2><p>{said} {distribution}</p>{gallery(plots.worth(worth), 'one')}</section>"
