"""The command ``scale``: how an update's time changes with the number of devices, and what a model predicts."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from experiments import catalog, environment
from experiments.cli.console import terminal
from experiments.cli.processes import join
from experiments.cli.settings import chosen_preset, known_options, number, read_overrides
from experiments.errors import UserError
from experiments.experiment_file import is_file_name
from experiments.wording import duration

if TYPE_CHECKING:
    from experiments.experiment import Experiment
    from experiments.scaling.records import Study
    from experiments.scaling.study import Asked

_MOST = 2**20


def scale(
    arguments: argparse.Namespace, rest: Sequence[str], argv: Sequence[str], parser: argparse.ArgumentParser
) -> int:
    """Measure every count of devices in processes of its own, and write record, table and page."""
    devices = counts(arguments.devices, "--devices")
    hosts = counts(arguments.hosts, "--hosts")
    hours = number(arguments.failure_hours, "--failure-hours", float, 0)
    if hours == 0:
        raise UserError("--failure-hours must be above 0, found 0.")
    environment.prepare()
    experiment = catalog.load(arguments.name)
    if experiment.task is None:
        raise UserError(f"{experiment.name} is a study without a training, whose scaling could be measured.")
    source = is_file_name(arguments.name)
    preset = chosen_preset(experiment, arguments.preset)
    given = read_overrides(rest, known_options(experiment.presets[preset], parser), "scale")
    for name in ("training.devices", "training.parallel", "training.cpu_devices"):
        if name in given:
            raise UserError(f"--{name} {given[name]} is what a scaling study varies: leave it out, and use --devices.")
    config = experiment.presets[preset].with_overrides(given)
    from experiments.scaling import processes, study

    name = experiment.name if source else arguments.name
    asked = study.Asked(name, arguments.name, preset, given, config, arguments.runs_dir, hours)
    out = terminal()
    command = shlex.join(["python", "-m", "experiments", *argv])
    if arguments.coordinator is not None:
        return _together(asked, experiment, arguments, command)
    join(arguments, experiment)
    wanted = processes.counts_of(devices, hosts, config.training.batch)
    found = study.run(asked, wanted, command, lambda line: out.print(line, markup=False), trace=arguments.trace)
    _show(found)
    out.print(f"page: {asked.folder / 'scaling.html'}", markup=False)
    return 0


def _together(asked: Asked, experiment: Experiment, arguments: argparse.Namespace, command: str) -> int:
    """Measure all devices of the processes that the options name, of which this is one."""
    for option, value, default in (("--devices", arguments.devices, "1,2,4"), ("--hosts", arguments.hosts, "1")):
        if value != default:
            raise UserError(f"{option} {value} is of no use with --coordinator, where all devices train: leave it out.")
    # Before jax is imported: the time of compiling counts.
    os.environ.setdefault("JAX_ENABLE_COMPILATION_CACHE", "false")
    environment.split_cpu(asked.config.training.cpu_devices)
    join(arguments, experiment)
    from experiments.scaling import study
    from gan.training import processes

    out, first = terminal(), processes.is_first()

    def say(line: str) -> None:
        if first:
            out.print(line, markup=False)

    found = study.run_together(asked, experiment, command, say, arguments.trace)
    if first:
        _show(found)
        out.print(f"page: {asked.folder / 'scaling.html'}", markup=False)
    return 0


def counts(text: str, option: str) -> list[int]:
    """Read increasing counts separated by commas.

    Raises:
        UserError: one is no count, or is given twice.
    """
    found = [number(one.strip(), option, int, 1, _MOST) for one in text.split(",")]
    if len(set(found)) < len(found):
        raise UserError(f"{option} {text} names a count twice; give each once.")
    return sorted(found)


def _show(found: Study) -> None:
    """Print one line for each point, and what came out."""
    from experiments.scaling.page import verdict

    out = terminal()
    out.print("devices  processes    batch     an update  samples/s  of matrix rate", markup=False)
    for one in found.points:
        out.print(
            f"{one.devices:7d}  {one.processes:9d}  {one.batch:7d}  {duration(one.seconds):>12}  "
            f"{one.samples_per_second:9.4g}  {100 * one.utilisation:13.2g}%",
            markup=False,
        )
    out.print(verdict(found), markup=False)
