"""The runs of a sweep as processes of this machine, so many at a time."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from experiments.sweeps.grid import Point, Sweep
from gan.training.stopping import Interruption, Reserve, StopRequest, kept_of

_LOOK = 0.2
"""Seconds between two looks at the processes."""
_TELLING = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, eq=False)
class _Running:
    point: Point
    process: subprocess.Popen[bytes]


def work(
    sweep: Sweep,
    points: Iterable[Point],
    jobs: int,
    stop: StopRequest,
    began: Callable[[Point], None],
    ended: Callable[[Point, str], bool],
) -> None:
    """Run points, each as a process of its own that goes on with its unfinished run.

    Ctrl-C and ``stop`` are passed on to the processes, which save; a second Ctrl-C kills them.

    Args:
        sweep: whose points they are.
        points: to run.
        jobs: processes at a time.
        stop: signals and a time limit.
        began: called when a process begins.
        ended: called when one has ended, with why it failed (empty where it did not); returns whether to begin others.

    Raises:
        KeyboardInterrupt: Ctrl-C.
        Stopped: by ``stop``.
    """
    waiting, running = list(points), list[_Running]()
    told = False
    with Interruption(stop) as asked:
        try:
            while running or (waiting and not told):
                if not told and asked.requested(Reserve()):
                    told = True
                    for one in running:
                        one.process.send_signal(signal.SIGINT if asked.interrupted else signal.SIGTERM)
                while waiting and len(running) < jobs and not told:
                    point = waiting.pop(0)
                    began(point)
                    running.append(_Running(point, _start(sweep, point, stop.left)))
                time.sleep(_LOOK)
                for one in [one for one in running if one.process.poll() is not None]:
                    running.remove(one)
                    code = one.process.returncode
                    # A process that is told to end while it starts dies of it, and has nothing to save.
                    why = "" if told and -code in _TELLING else _reason(code, sweep.log(one.point))
                    if not ended(one.point, why):
                        waiting.clear()
        finally:
            for one in running:
                one.process.kill()
            for one in running:
                one.process.wait()


def command(sweep: Sweep, point: Point, left: float) -> list[str]:
    """Return the command of a point's run.

    Args:
        sweep: with what all runs share.
        point: with what is its own.
        left: seconds that it may take; infinite for no limit.
    """
    given = {**sweep.fixed, **point.values}
    limit = [] if left == float("inf") else [f"--time-limit={max(left - kept_of(left), 1):.1f}"]
    options = ["--preset", sweep.preset, "--runs-dir", sweep.runs_dir, "--resume", "auto", *limit]
    words = [f"--{name}={value}" for name, value in given.items()]
    return [sys.executable, "-m", "experiments", "run", sweep.argument, *options, *words]


def _start(sweep: Sweep, point: Point, left: float) -> subprocess.Popen[bytes]:
    with sweep.log(point).open("wb") as log:
        # A group of its own: Ctrl-C in a terminal reaches this process alone, which passes it on once.
        return subprocess.Popen(
            command(sweep, point, left),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            process_group=0,
        )


def _reason(code: int, log: Path) -> str:
    """Say why a process failed: its last line, or the signal that ended it; empty where it did not fail."""
    # 130: interrupted, as asked for.
    if code in (0, 130):
        return ""
    if code < 0:
        name = signal.Signals(-code).name
        return f"ended by {name}{', for example for lack of memory' if name == 'SIGKILL' else ''}"
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip() if lines else f"exit code {code}"
