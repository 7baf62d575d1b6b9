"""Every count of devices of a study in processes of its own, which see as many devices as they are to use."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from experiments.errors import UserError
from experiments.files import write_text
from experiments.scaling.child import Count, Job
from experiments.scaling.records import Point, structured

_FORCED = "xla_force_host_platform_device_count"
_LOOK = 0.1


def counts_of(devices: Sequence[int], processes: Sequence[int], batch: int) -> list[Count]:
    """Return what weak and strong scaling measure: the same batch on every device, and on all together.

    Args:
        devices: counts, each with one process.
        processes: counts of processes; each takes the largest count of devices.
        batch: of the configuration.

    Raises:
        UserError: a count that does not divide the batch, or one of processes that does not divide the devices.
    """
    for count in devices:
        if batch % count:
            raise UserError(
                f"--devices {count} does not divide --training.batch {batch}, which strong scaling spreads over all "
                "devices: choose another count, or a batch that is a multiple of it."
            )
    most = max(devices)
    for count in processes:
        if most % count:
            raise UserError(f"--hosts {count} does not divide --devices {most}, the most devices of the study.")
    found = [Count(one, 1, size) for one in devices for size in dict.fromkeys((batch * one, batch))]
    found += [Count(most, one, size) for one in processes if one > 1 for size in dict.fromkeys((batch * most, batch))]
    return found


class Failed(Exception):
    """A process of the study failed; the message is its last line."""


def environment_of(count: Count, before: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a process: a CPU is split into its devices, and programs are compiled anew.

    Args:
        count: what the process measures.
        before: environment to start from.
    """
    kept = [one for one in before.get("XLA_FLAGS", "").split() if _FORCED not in one]
    share = count.devices // count.processes
    flags = " ".join([*kept, f"--{_FORCED}={share}"])
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join([root, *filter(None, [before.get("PYTHONPATH")])])
    found = {**before, "XLA_FLAGS": flags, "PYTHONPATH": path, "JAX_ENABLE_COMPILATION_CACHE": "false"}
    found.pop("JAX_NUM_CPU_DEVICES", None)
    return found


def prepared(job: Job, folder: Path) -> Mapping[str, Any]:
    """Make the data in a process of its own; returns what it says of the devices.

    Raises:
        Failed: it could not.
    """
    return _work([replace(job, devices=0, found=str(folder / "data.found.json"))], Count(1, 1, 1), folder, "data")[
        "about"
    ]


def measured(job: Job, count: Count, folder: Path, trace: bool) -> tuple[Point, Mapping[str, Any]]:
    """Measure one count of devices; returns the point, and what its process says of the devices.

    Args:
        job: experiment and settings.
        count: of devices, processes and the batch.
        folder: of the study, in which what the processes print is kept.
        trace: whether to write a trace of the profiler.

    Raises:
        Failed: a process could not.
    """
    coordinator = f"127.0.0.1:{_free_port()}" if count.processes > 1 else ""
    common = replace(
        job,
        devices=count.devices,
        batch=count.batch,
        processes=count.processes,
        coordinator=coordinator,
        found=str(folder / f"{count.label}.found.json"),
        trace=str(folder / f"trace-{count.label}") if trace else "",
    )
    jobs = [replace(common, process=number) for number in range(count.processes)]
    found = _work(jobs, count, folder, count.label)
    return structured(found["point"], Point, count.label, "start the study again"), found["about"]


def _work(jobs: Sequence[Job], count: Count, folder: Path, label: str) -> Mapping[str, Any]:
    """Run the processes of one count together; where one fails, the others are ended."""
    result = Path(jobs[0].found)
    result.unlink(missing_ok=True)
    logs = [folder / f"{label}{'' if len(jobs) == 1 else f'.{number}'}.log" for number in range(len(jobs))]
    running: list[subprocess.Popen[bytes]] = []
    try:
        for job, log in zip(jobs, logs):
            running.append(_start(job, count, log))
        while any(one.poll() is None for one in running):
            if any(one.poll() not in (None, 0) for one in running):
                break
            time.sleep(_LOOK)
        codes = [one.poll() for one in running]
        for code, log in zip(codes, logs):
            if code not in (None, 0):
                raise Failed(_reason(code, log))
    finally:
        for one in running:
            one.kill()
        for one in running:
            one.wait()
        for job in jobs:
            _job_file(job).unlink(missing_ok=True)
    found: Mapping[str, Any] = json.loads(result.read_text())
    result.unlink()
    return found


def _job_file(job: Job) -> Path:
    return Path(job.found).with_suffix(f".{job.process}.job")


def _start(job: Job, count: Count, log: Path) -> subprocess.Popen[bytes]:
    file = _job_file(job)
    write_text(file, json.dumps({**asdict(job), "settings": dict(job.settings), "started": time.time()}))
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "experiments.scaling.child", str(file)],
            env=environment_of(count, os.environ),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def _reason(code: int | None, log: Path) -> str:
    """Say why a process failed: its last line, or the signal that ended it."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    if code is not None and code < 0:
        import signal

        return f"ended by {signal.Signals(-code).name}; see {log}"
    said = lines[-1] if lines else f"exit code {code}"
    return said if code == 2 else f"{re.sub(r'[.]$', '', said)}; see {log}"


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
