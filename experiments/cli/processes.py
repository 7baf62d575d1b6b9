"""The options with which several processes train together."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from experiments.cli.settings import number
from experiments.errors import UserError
from gan.training import processes

if TYPE_CHECKING:
    from experiments.experiment import Experiment

AUTO = "auto"
_MOST = 2**20


def join(arguments: argparse.Namespace, experiment: Experiment) -> None:
    """Join the other processes of the training where the options ask for it.

    Raises:
        UserError: an option is missing or makes no sense, or the experiment has no training.
    """
    coordinator, count, own = arguments.coordinator, arguments.num_processes, arguments.process_id
    if coordinator is None:
        for option, value in (("--num-processes", count), ("--process-id", own)):
            if value is not None:
                raise UserError(f"{option} {value} needs --coordinator HOST:PORT, or --coordinator auto without it.")
        return
    if experiment.task is None:
        raise UserError(f"--coordinator {coordinator}: {experiment.name} is a study without a training; leave it out.")
    if coordinator == AUTO:
        if count is not None or own is not None:
            raise UserError(
                "--coordinator auto takes --num-processes and --process-id from the environment; leave them out."
            )
        processes.join()
        return
    host, colon, port = coordinator.rpartition(":")
    if not (colon and host and port.isdecimal() and 0 < int(port) < 2**16):
        raise UserError(f"--coordinator {coordinator} is no address: write HOST:PORT, such as node1:12345, or auto.")
    if count is None or own is None:
        raise UserError(f"--coordinator {coordinator} needs --num-processes and --process-id too.")
    several = number(count, "--num-processes", int, 1, _MOST)
    processes.join(coordinator, several, number(own, "--process-id", int, 0, several))
