"""The command ``run``: a new run, or one that goes on where it stopped."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from contextlib import ExitStack, closing, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from experiments import catalog, environment
from experiments.cli.console import show_verdict, terminal
from experiments.cli.processes import join
from experiments.cli.settings import chosen_preset, given_settings, known_options, time_limit
from experiments.errors import UserError
from experiments.experiment_file import is_file_name
from experiments.python_file import digest
from experiments.tensorboard import Events
from gan.training import processes
from gan.training.stopping import StopRequest

if TYPE_CHECKING:
    from experiments.config import ExperimentConfig
    from experiments.experiment import Experiment
    from experiments.runs import RunFolder


AUTO = "auto"


def run(
    arguments: argparse.Namespace,
    rest: Sequence[str],
    argv: Sequence[str],
    resumable: list[str],
    parser: argparse.ArgumentParser,
) -> int:
    """Run from data to report; once there is a folder, the command that goes on with it is put on ``resumable``."""
    with StopRequest(None if arguments.time_limit is None else time_limit(arguments.time_limit)) as stop:
        return _run(arguments, rest, argv, resumable, parser, stop)


def _run(
    arguments: argparse.Namespace,
    rest: Sequence[str],
    argv: Sequence[str],
    resumable: list[str],
    parser: argparse.ArgumentParser,
    stop: StopRequest,
) -> int:
    environment.prepare()
    experiment = catalog.load(arguments.name)
    source = arguments.name if is_file_name(arguments.name) else None
    # An installed experiment goes by the name that finds it again.
    name = experiment.name if source else arguments.name
    preset = chosen_preset(experiment, arguments.preset)
    overrides = given_settings(arguments, rest, known_options(experiment.presets[preset], parser))
    from experiments import pipeline, runs

    command = ["python", "-m", "experiments", *argv]
    asked = Asked(arguments.runs_dir, name, preset, experiment.presets[preset].with_overrides(overrides), source)
    with ExitStack() as claims:
        resume = arguments.resume is not None
        if arguments.resume in (None, AUTO):
            environment.split_cpu(asked.config.training.cpu_devices)
            join(arguments, experiment)
            # Before the folder is made: what cannot work leaves nothing behind.
            pipeline.check(experiment, asked.config)
            if not processes.is_first():
                return _accompany(experiment, stop)
            chosen = _next(asked, command, claims) if resume else Chosen(_new(asked, command, claims), resume=False)
            if chosen.finished:
                processes.share(None)
                processes.leave()
                terminal().print(f"{chosen.folder.path} is a finished run of these settings.", markup=False)
                show_verdict(chosen.folder.comparison(), chosen.folder.report_file)
                return 0
            folder, resume = chosen.folder, chosen.resume
        else:
            folder = _resumed(runs.open_folder(arguments.resume), name, arguments, overrides)
            environment.split_cpu(folder.config.training.cpu_devices)
            join(arguments, experiment)
            pipeline.check(experiment, folder.config)
            if not processes.is_first():
                return _accompany(experiment, stop)
            claims.enter_context(folder.claimed())
        processes.share([str(folder.path.resolve()), resume])
        processes.tell(f"go on with: {shlex.join(command) if arguments.resume == AUTO else folder.resume_command()}")
        resumable.append(shlex.join(command) if arguments.resume == AUTO else folder.resume_command())

        from experiments import report
        from experiments.progress import Progress

        events = claims.enter_context(closing(Events(folder.path))) if arguments.tensorboard else None
        with Progress() as progress:
            progress.note(f"run folder: {folder.path}{_how(arguments.resume, resume)}")
            comparison = pipeline.run(
                experiment, folder.config, folder, resume=resume, progress=progress, stop=stop, watch=events
            )
            page = report.write(folder)
    show_verdict(comparison, page)
    return 0


def _accompany(experiment: Experiment, stop: StopRequest) -> int:
    """Train with the first process, in the folder that it has chosen."""
    from experiments import pipeline, runs

    chosen = processes.share()
    if chosen is None:
        # A finished run of the same settings.
        processes.leave()
        return 0
    path, resume = chosen
    folder = runs.open_folder(path)
    pipeline.accompany(experiment, folder.config, folder, resume=resume, stop=stop)
    return 0


class Asked(NamedTuple):
    """The run that a command asks for."""

    runs_dir: str
    name: str
    preset: str
    config: ExperimentConfig
    source: str | None


class Chosen(NamedTuple):
    """A run folder: to begin, to go on with, or finished."""

    folder: RunFolder
    resume: bool
    finished: bool = False


def _next(asked: Asked, command: Sequence[str], claims: ExitStack) -> Chosen:
    """Choose what ``--resume auto`` does, and claim the folder.

    Raises:
        BusyError: another process works on a run of the same settings.
    """
    from experiments import runs

    # Equal settings give equal results: a second run of them would be a waste, so the second process is refused.
    with runs.choosing(asked.runs_dir, asked.name):
        found = runs.same_runs(runs.runs_of(asked.runs_dir, asked.name, asked.preset, asked.source), asked.config)
        for one in found:
            if one.is_finished():
                return Chosen(one, resume=True, finished=True)
        if not found:
            return Chosen(_new(asked, command, claims), resume=False)
        try:
            claims.enter_context(found[0].claimed())
        except runs.BusyError:
            raise runs.BusyError(
                f"--resume auto: another process works on {found[0].path}, a run of these very settings; wait for it, "
                "or change a setting, such as --seed."
            ) from None
        return Chosen(found[0], resume=True)


def _new(asked: Asked, command: Sequence[str], claims: ExitStack) -> RunFolder:
    """Make a run folder, and claim it."""
    from experiments import runs

    while True:
        folder = runs.create(asked.runs_dir, asked.name, asked.preset, asked.config, command, asked.source)
        # Somebody's --resume auto may have taken it in the moment since; then it is his.
        with suppress(runs.BusyError):
            claims.enter_context(folder.claimed())
            return folder


def _how(asked: str | None, resume: bool) -> str:
    """Say what ``--resume auto`` chose, after the folder's name."""
    if asked != AUTO:
        return ""
    return ", an unfinished run of these settings: it goes on" if resume else ", a new run: none was unfinished"


def _resumed(folder: Any, name: str, arguments: argparse.Namespace, overrides: dict[str, str]) -> Any:
    """Check that nothing on the command line contradicts the run to go on with."""
    if folder.experiment != name or (folder.source is None) is is_file_name(arguments.name):
        raise UserError(
            f"--resume {folder.path} is a run of {folder.experiment}, not of {arguments.name}; "
            f"go on with `{folder.resume_command()}`."
        )
    if folder.source is not None and digest(arguments.name) != digest(folder.source):
        raise UserError(
            f"{arguments.name} has changed since --resume {folder.path} was started with it; start a new run, "
            f"or go on with the copy that the run kept: `{folder.resume_command()}`."
        )
    if arguments.preset not in (None, folder.preset):
        raise UserError(
            f"--preset {arguments.preset} contradicts --resume {folder.path}, "
            f"whose preset is {folder.preset}; leave --preset out."
        )
    if folder.config.with_overrides(overrides) != folder.config:
        from experiments.options import settings
        from gan.settings import show

        before = {name: value for name, _, value, _ in settings(folder.config)}
        changed = {name: value for name, _, value, _ in settings(folder.config.with_overrides(overrides))}
        name = next(name for name in before if before[name] != changed[name])
        raise UserError(
            f"--{name} {show(changed[name])} contradicts --resume {folder.path}, "
            f"whose value is {show(before[name])}; leave it out, or start a new run."
        )
    return folder
