"""A process of a scaling study: it makes the data, or measures one count of devices.

    python -m experiments.scaling.child JOB.json

What it found is written beside the job. An error of the user is one sentence on stderr and exit code 2.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.errors import EXIT_USER, sentence

if TYPE_CHECKING:
    from experiments.config import ExperimentConfig
    from experiments.experiment import Experiment
    from experiments.scaling.records import Point


@dataclass(frozen=True)
class Count:
    """One count of devices to measure, with the batch of all of them.

    Attributes:
        devices: all together.
        processes: over which they are spread.
        batch: samples of an update.
    """

    devices: int
    processes: int
    batch: int

    @property
    def label(self) -> str:
        """Name in files, that of the point."""
        return f"{self.devices}-devices-{self.processes}-processes-batch-{self.batch}"


@dataclass(frozen=True)
class Job:
    """What a process is to do.

    Attributes:
        experiment: its name, or a user's file.
        preset: to start from.
        settings: that differ from it, as text.
        devices: of all processes; 0: only make the data.
        batch: samples of an update.
        processes: over which the devices are spread.
        process: number of this one.
        coordinator: address at which several processes meet; empty for one.
        found: file for what was found.
        trace: folder for a trace; empty for none.
        started: time at which the process was started, as `time.time` has it.
    """

    experiment: str
    preset: str
    settings: Mapping[str, str]
    devices: int
    batch: int
    processes: int
    process: int
    coordinator: str
    found: str
    trace: str
    started: float


def main(path: str) -> int:
    """Do what a file says; returns the exit code."""
    from experiments.scaling.records import structured

    try:
        job = structured(json.loads(Path(path).read_text()), Job, path, "start the study again")
        work_on(job)
    except Exception as error:
        said = sentence(error)
        if said is None:
            raise
        sys.stderr.write(f"{said}\n")
        return EXIT_USER
    return 0


def work_on(job: Job) -> None:
    """Make the data, or measure."""
    from experiments import catalog, environment
    from experiments.files import write_json

    environment.prepare()
    experiment = catalog.load(job.experiment)
    config = experiment.presets[job.preset].with_overrides(job.settings)
    from gan.training import processes

    if job.coordinator:
        processes.join(job.coordinator, job.processes, job.process)
    from experiments import pipeline
    from experiments.progress import Progress

    if not job.devices:
        pipeline.check(experiment, config)
        with Progress() as progress:
            experiment.learnt().data(config, progress.data())
        write_json(Path(job.found), {"about": about()})
        return
    point = measured_here(experiment, config, Count(job.devices, job.processes, job.batch), job)
    if processes.is_first():
        write_json(Path(job.found), {"about": about(), "point": asdict(point)})
    processes.leave()


def measured_here(experiment: Experiment, config: ExperimentConfig, count: Count, job: Job) -> Point:
    """Measure a count of devices in this process, and in those that it has joined.

    Args:
        experiment: whose training is measured.
        config: of the training, but for devices and batch.
        count: devices and batch.
        job: where to, and since when.
    """
    from experiments.reporting import silent
    from experiments.scaling.measuring import Measurement

    changes = {
        "training.batch": str(count.batch),
        "training.devices": str(count.devices),
        "training.parallel": "shard_map",
    }
    own: ExperimentConfig = config.with_overrides(changes)
    task = experiment.learnt()
    problem = task.problem(own, task.data(own, silent))
    folder = Path(job.found).parent
    return Measurement(own, problem, folder, job.started).point(Path(job.trace) if job.trace else None)


def about() -> dict[str, object]:
    """Return kind and platform of the devices, and the versions of what matters."""
    from importlib.metadata import version

    import jax

    device = jax.local_devices()[0]
    versions = {name: version(name) for name in ("jax", "jaxlib", "flax", "optax", "diffrax")}
    return {"device": device.device_kind, "platform": device.platform, "versions": versions}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
