"""The command ``sweep``: runs at every point of a grid, as processes of this machine, and a page that compares them."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence

from experiments import catalog, environment
from experiments.cli.console import terminal
from experiments.cli.settings import chosen_preset, given_settings, known_options, number, time_limit
from experiments.errors import EXIT_USER
from experiments.experiment_file import is_file_name
from gan.training.stopping import Stopped, StopRequest


def sweep(
    arguments: argparse.Namespace,
    rest: Sequence[str],
    argv: Sequence[str],
    resumable: list[str],
    parser: argparse.ArgumentParser,
) -> int:
    """Check all points, run what is not finished, and write the summary; returns 2 where a run has failed."""
    limit = None if arguments.time_limit is None else time_limit(arguments.time_limit)
    jobs = number(arguments.jobs, "--jobs", int, 1, 1000)
    with StopRequest(limit) as stop:
        environment.prepare()
        experiment = catalog.load(arguments.name)
        source = arguments.name if is_file_name(arguments.name) else None
        preset = chosen_preset(experiment, arguments.preset)
        fixed = given_settings(arguments, rest, known_options(experiment.presets[preset], parser), "sweep")
        from experiments.sweeps import checking, grid, outcome, page, processes

        points = grid.points_of(experiment.presets[preset], fixed, arguments.grid)
        name = experiment.name if source else arguments.name
        found = grid.Sweep(name, arguments.name, source, preset, arguments.runs_dir, fixed, points)
        checking.check(found)
        command = shlex.join(["python", "-m", "experiments", *argv])
        resumable.append(command)

        out = terminal()
        failed: dict[int, str] = {}

        def renew() -> list[outcome.Outcome]:
            became = outcome.outcomes_of(found, failed)
            page.write(found, became, command)
            return became

        def began(point: grid.Point) -> None:
            out.print(f"run {point.number} of {len(points)} begins: {point.label()}", markup=False)

        def ended(point: grid.Point, reason: str) -> bool:
            if reason:
                failed[point.number] = reason
            one = renew()[point.number - 1]
            what = f"failed: {reason}" if one.state is outcome.State.FAILED else f"is {one.state.value}"
            out.print(f"run {point.number} of {len(points)} {what}", markup=False)
            # Unfinished without a failure: it was stopped, and so is the sweep.
            return one.state is not outcome.State.UNFINISHED

        before = renew()
        todo = [one.point for one in before if one.state is not outcome.State.FINISHED]
        already = f", {len(points) - len(todo)} of them finished already" if len(todo) < len(points) else ""
        out.print(f"{len(points)} runs{already}; what they print is in {found.folder}", markup=False)
        try:
            processes.work(found, todo, jobs, stop, began, ended)
        finally:
            result = renew()
            out.print(f"{page.tally(result)}.\nsummary: {found.page}", markup=False)
    states = [one.state for one in result]
    if outcome.State.UNFINISHED in states or outcome.State.WAITING in states:
        raise Stopped("stopped, because a run of the sweep was stopped")
    return EXIT_USER if outcome.State.FAILED in states else 0
