"""The command ``advise``: is a generator worth it for a system, from a pilot of about a minute."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from experiments import catalog, environment
from experiments.cli.console import terminal
from experiments.cli.settings import chosen_preset, known_options, number, read_overrides
from experiments.errors import UserError
from experiments.wording import duration

if TYPE_CHECKING:
    from experiments.evaluation.advice import Advice, GeneratorPrice, Once
    from experiments.evaluation.posterior_advice import PosteriorAdvice

_FIELDS = {
    "none": "an independent field",
    "little": "a field of little correlation",
    "some": "a correlated field",
}


def advise(arguments: argparse.Namespace, rest: Sequence[str], parser: argparse.ArgumentParser) -> int:
    """Measure, print a table and the verdict, and write both to a file where one is asked for."""
    fields = None if arguments.fields is None else number(arguments.fields, "--fields", int, 1, 2**63)
    budget = number(arguments.budget_seconds, "--budget-seconds", float, 1)
    target = None if arguments.json is None else _writable(Path(arguments.json))
    environment.prepare()
    experiment = catalog.load(arguments.name)
    preset = chosen_preset(experiment, arguments.preset)
    config = experiment.presets[preset]
    config = config.with_overrides(read_overrides(rest, known_options(config, parser), "advise"))
    from experiments.advising.advise import advisable
    from experiments.advising.advise import advise as measure

    advisable(experiment)
    environment.split_cpu(config.training.cpu_devices)
    from experiments import pipeline
    from experiments.evaluation import advice, posterior_advice
    from experiments.evaluation.posterior_advice import PosteriorAdvice
    from experiments.progress import Progress

    pipeline.check(experiment, config)
    with Progress() as progress:
        found = measure(experiment, preset, config, fields=fields, budget=budget, report=progress.task("pilot"))
    if isinstance(found, PosteriorAdvice):
        rows, caveat, write = posterior_table(found), posterior_advice.CAVEAT, partial(posterior_advice.write, found)
    else:
        rows, caveat, write = table(found), advice.CAVEAT, partial(advice.write, found)
    if target is not None:
        write(target)
    _show(found, rows, caveat)
    if target is not None:
        terminal().print(f"written: {target}", markup=False)
    return 0


def _writable(path: Path) -> Path:
    """Refuse a file that cannot be written before a minute is spent."""
    if path.is_dir():
        raise UserError(f"--json {path} is a folder: give the name of a file.")
    if not path.parent.is_dir():
        raise UserError(f"--json {path}: there is no folder {path.parent}; make it first, or choose another place.")
    return path


def _show(found: Advice | PosteriorAdvice, rows: list[tuple[str, str]], caveat: str) -> None:
    """Print a table in plain words, the verdict and what it leaves open."""
    out = terminal()
    width = max(len(name) for name, _ in rows)
    out.print(f"{found.experiment}, preset {found.preset}, on {found.device}", markup=False)
    for name, value in rows:
        out.print(f"  {name:<{width}}  {value}", markup=False)
    out.print()
    out.print(found.verdict, markup=False)
    out.print(caveat, markup=False)


def table(found: Advice) -> list[tuple[str, str]]:
    """Return what was measured, as rows of a name and a value with its unit."""
    times, price, once = found.times, found.generator, found.once
    forget = "" if times.stride is None else f", then one every {times.stride:.4g}"
    rows = [
        ("a step of the solver", f"{duration(times.step_seconds)} per field, {times.width} fields at once"),
        ("solver time to an independent field", f"{times.spin_up:.4g} from the start{forget} ({times.source})"),
    ]
    for one in found.solvers:
        counted = "" if one.measured else ", by the count of its steps"
        rows.append((_FIELDS[one.correlation], f"{duration(one.seconds)} by {one.way}{counted}"))
    rows += [
        *_generator_rows(price, once),
        ("principal numbers of a field", _principal(found)),
        ("numbers left to a generator", _left(found)),
    ]
    rivals = {"independent fields": found.independent, "the cheapest of little correlation": found.rival}
    if found.closer is not None:
        rivals["the cheapest correlated ones"] = found.closer
    for name, rival in rivals.items():
        least = found.pays_from(rival)
        rows.append((f"pays against {name}", "never" if least is None else f"from about {least:.2g} fields on"))
    rows.append(("the pilot took", duration(found.seconds)))
    return rows


def posterior_table(found: PosteriorAdvice) -> list[tuple[str, str]]:
    """Return what was measured for a posterior, as rows of a name and a value with its unit."""
    good = found.rival
    rows = [
        ("a solver call", f"{duration(found.call_seconds)}, {found.cases * found.members} at once"),
        (
            "reference",
            f"two tempered runs for each of {found.cases} cases of {found.unknowns} unknowns, which agree to a "
            f"potential scale reduction of {found.agreement:.3f}",
        ),
    ]
    for one in sorted(found.samplers, key=lambda one: one.seconds):
        name = "the cheapest that is as good" if one is good else "a member"
        rows.append(
            (name, f"{duration(one.seconds)}, {one.calls:.3g} calls, CRPS {100 * one.excess:+.1f}%, by {one.way}")
        )
    least = found.pays_from
    return [
        *rows,
        *_generator_rows(found.generator, found.once),
        ("pays against the cheapest", "never" if least is None else f"from about {least:.2g} samples on"),
        ("the pilot took", duration(found.seconds)),
    ]


def _generator_rows(price: GeneratorPrice, once: Once) -> list[tuple[str, str]]:
    evaluations = "evaluation" if price.evaluations == 1 else "evaluations"
    return [
        (
            "a sample of the generator",
            f"{duration(price.sample.seconds)} ({duration(price.sample.low)} to {duration(price.sample.high)}), of "
            f"which {duration(price.network.seconds)} for {price.evaluations} {evaluations} of the network",
        ),
        (
            "spent once",
            f"{duration(once.data_seconds)} for the data, {duration(once.training_seconds)} for {once.updates} updates "
            f"of {duration(once.update_seconds)}",
        ),
    ]


def _principal(found: Advice) -> str:
    thick = found.thickness
    least = "at least " if thick.few else ""
    return (
        f"{least}{thick.variance_99} hold 99% of the variance, {least}{thick.variance_999} hold 99.9%, of "
        f"{thick.numbers} (from {thick.fields} fields)"
    )


def _left(found: Advice) -> str:
    thick = found.thickness
    if thick.skipped:
        return f"not estimated: {thick.skipped}"
    before, after = (
        f"more than {thick.parts} can say" if one is None else str(one)
        for one in (thick.without_solver, thick.with_solver)
    )
    what = "the longest waves" if thick.parts == "waves" else thick.parts
    return (
        f"{after} of {what}, the solver making the rest within {thick.tau:g} to {100 * thick.share:g}% of the spread; "
        f"{before} without it"
    )
