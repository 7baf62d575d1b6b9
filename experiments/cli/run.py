"""The command ``run``: a new run, or one that goes on where it stopped."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from experiments import catalog, environment
from experiments.cli.console import show_verdict
from experiments.cli.settings import chosen_preset, known_options, number, read_overrides
from experiments.errors import UserError
from experiments.experiment_file import is_file_name
from experiments.python_file import digest


def run(
    arguments: argparse.Namespace,
    rest: Sequence[str],
    argv: Sequence[str],
    resumable: list[str],
    parser: argparse.ArgumentParser,
) -> int:
    """Run from data to report; once there is a folder, the command that goes on with it is put on ``resumable``."""
    environment.prepare()
    experiment = catalog.load(arguments.name)
    source = arguments.name if is_file_name(arguments.name) else None
    # An installed experiment goes by the name that finds it again.
    name = experiment.name if source else arguments.name
    preset = chosen_preset(experiment, arguments.preset)
    overrides = read_overrides(rest, known_options(experiment.presets[preset], parser))
    if arguments.seed is not None:
        if "training.seed" in overrides:
            raise UserError("--seed and --training.seed say the same thing; give one of them.")
        overrides["training.seed"] = str(number(arguments.seed, "--seed", int, 0))
    if arguments.baselines:
        overrides.setdefault("compare.baselines", "true")
    from experiments import pipeline, runs

    if arguments.resume is not None:
        folder = _resumed(runs.open_folder(arguments.resume), name, arguments, overrides)
        environment.split_cpu(folder.config.training.cpu_devices)
        pipeline.check(experiment, folder.config)
    else:
        config = experiment.presets[preset].with_overrides(overrides)
        environment.split_cpu(config.training.cpu_devices)
        # Before the folder is made: what cannot work leaves nothing behind.
        pipeline.check(experiment, config)
        command = ["python", "-m", "experiments", *argv]
        folder = runs.create(arguments.runs_dir, name, preset, config, command, source)
    resumable.append(folder.resume_command())

    from experiments import report
    from experiments.progress import Progress

    with Progress() as progress:
        progress.note(f"run folder: {folder.path}")
        comparison = pipeline.run(
            experiment, folder.config, folder, resume=arguments.resume is not None, progress=progress
        )
        page = report.write(folder)
    show_verdict(comparison, page)
    return 0


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
