"""All points of a sweep are checked before the first run begins."""

from __future__ import annotations

import itertools
import multiprocessing
import signal
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor

from experiments import catalog, environment
from experiments.errors import UserError, sentence
from experiments.sweeps.grid import Sweep


def check(sweep: Sweep) -> None:
    """Refuse a sweep of which some run could not work.

    The checks look at the devices, which a process of their own does: the one that starts the runs must not hold
    an accelerator that they need.

    Raises:
        UserError: the first point that is refused, and why.
    """
    # A process can split its CPU into devices once.
    points = sorted(sweep.points, key=lambda point: point.config.training.cpu_devices)
    for devices, group in itertools.groupby(points, lambda point: point.config.training.cpu_devices):
        alike = list(group)
        given = [{**sweep.fixed, **point.values} for point in alike]
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _ignore_interrupts) as pool:
            refused = pool.submit(first_refused, sweep.argument, sweep.preset, given, devices).result()
        if refused is not None:
            number, why = refused
            raise UserError(f"--grid: {alike[number].label()} cannot work: {why} No run was started.")


def _ignore_interrupts() -> None:
    """Leave Ctrl-C to the process that waits."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def first_refused(name: str, preset: str, given: Sequence[Mapping[str, str]], devices: int) -> tuple[int, str] | None:
    """Return the first of several settings with which an experiment cannot run, and the sentence that says why.

    Args:
        name: of the experiment, or a user's file.
        preset: to start from.
        given: settings of each run, as text.
        devices: into which a CPU is split.
    """
    environment.prepare()
    environment.split_cpu(devices)
    from experiments import pipeline

    experiment = catalog.load(name)
    for number, overrides in enumerate(given):
        try:
            pipeline.check(experiment, experiment.presets[preset].with_overrides(overrides))
        except Exception as error:
            why = sentence(error)
            if why is None:
                raise
            return number, why
    return None
