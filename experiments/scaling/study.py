"""A scaling study: what is measured one after the other, and the files that it leaves in its folder.

scaling.json       all points, what is derived from them, and the fitted model
scaling.csv        one row for each point
scaling.html       the page
trace-*/           traces of the profiler, where asked for
*.log              what the processes printed
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.config import ExperimentConfig
from experiments.errors import UserError
from experiments.files import write_text
from experiments.scaling import child, page, processes, records
from experiments.scaling.child import Job
from experiments.scaling.fit import fitted, left_out
from experiments.scaling.goodput import goodput
from experiments.scaling.records import Point, Study

if TYPE_CHECKING:
    from experiments.experiment import Experiment


@dataclass(frozen=True)
class Asked:
    """A study that a command asks for.

    Attributes:
        experiment: its name, which is that of the folder of its runs.
        argument: the name on the command line: the same, or the user's file.
        preset: to start from.
        settings: that differ from it, as text.
        config: preset and settings together.
        runs_dir: where folders of runs and studies go.
        failure_hours: of one device between two failures.
    """

    experiment: str
    argument: str
    preset: str
    settings: Mapping[str, str]
    config: ExperimentConfig
    runs_dir: str
    failure_hours: float

    @property
    def folder(self) -> Path:
        """The study's folder: beside the runs, and the same for the same preset and settings."""
        identity = json.dumps([self.preset, sorted(self.settings.items())])
        digest = hashlib.sha256(identity.encode()).hexdigest()[:8]
        return Path(self.runs_dir) / self.experiment / f"scale-{self.preset}-{digest}"

    @property
    def job(self) -> Job:
        """What all processes of the study share."""
        return Job(self.argument, self.preset, dict(self.settings), 0, 0, 1, 0, "", "", "", 0.0)


def run(
    asked: Asked,
    counts: Sequence[processes.Count],
    command: str,
    say: Callable[[str], None],
    *,
    trace: bool = False,
) -> Study:
    """Measure, and write the files after every count; points of an earlier command in the folder stay.

    Args:
        asked: the study.
        counts: of devices, processes and batches.
        command: that makes the study.
        say: takes a line for whoever waits.
        trace: whether to write traces of the profiler.

    Raises:
        UserError: the data could not be made, or nothing could be measured.
    """
    folder = asked.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "scaling.json"
    earlier = records.read(file) if file.exists() else None
    load = os.getloadavg()[0]
    say(f"making or finding the data; what the processes print is in {folder}")
    try:
        about = processes.prepared(asked.job, folder)
    except processes.Failed as error:
        raise UserError(str(error)) from None
    found: list[Point] = []
    failures: dict[str, str] = {}
    study = earlier
    for number, count in enumerate(counts, start=1):
        shared = "" if count.processes == 1 else f" in {count.processes} processes"
        say(f"{number} of {len(counts)}: {_devices(count.devices)}{shared}, batch {count.batch}")
        try:
            point, about = processes.measured(asked.job, count, folder, trace)
            found.append(point)
        except processes.Failed as error:
            failures[count.label] = str(error)
            say(f"could not be measured: {error}")
        study = records.merged(earlier, study_of(asked, about, load, found, failures))
        if study.points:
            write(study, folder, command, asked.failure_hours)
    if study is None or not found:
        raise UserError(f"nothing could be measured: {next(iter(failures.values()), 'no count was given')}")
    return study


def run_together(asked: Asked, experiment: Experiment, command: str, say: Callable[[str], None], trace: bool) -> Study:
    """Measure weak and strong scaling on all devices of the processes that train together; each of them calls this.

    The points are added to the study in the first process's folder, which all processes must see.

    Args:
        asked: the study.
        experiment: whose training is measured.
        command: that makes the study.
        say: takes a line for whoever waits.
        trace: whether to write traces of the profiler.
    """
    import jax

    from experiments import pipeline
    from experiments.reporting import silent
    from gan.training import processes as together

    load, folder = os.getloadavg()[0], Path(together.share(str(asked.folder.resolve())))
    file = folder / "scaling.json"
    if together.is_first():
        pipeline.check(experiment, asked.config)
        folder.mkdir(parents=True, exist_ok=True)
        say("making or finding the data")
    # Those that a solver makes are made by all processes together.
    experiment.learnt().data(asked.config, silent)
    together.share()
    # Neither the data nor the way here are part of a start.
    started = time.time()
    devices, batch = len(jax.devices()), asked.config.training.batch
    found = []
    for size in dict.fromkeys((batch * devices, batch)):
        count = child.Count(devices, jax.process_count(), size)
        say(f"{_devices(devices)} in {count.processes} processes, batch {size}")
        place = str(folder / f"trace-{count.label}-{jax.process_index()}") if trace else ""
        job = replace(asked.job, found=str(file), trace=place, started=started)
        found.append(child.measured_here(experiment, asked.config, count, job))
        started = time.time()
    earlier = records.read(file) if file.exists() else None
    study = records.merged(earlier, study_of(asked, child.about(), load, found, {}))
    if together.is_first():
        write(study, folder, command, asked.failure_hours)
    together.leave()
    return study


def _devices(count: int) -> str:
    return f"{count} device{'s' if count > 1 else ''}"


def study_of(
    asked: Asked,
    about: Mapping[str, object],
    load: float,
    points: Sequence[Point],
    failures: Mapping[str, str],
) -> Study:
    """Return the record of a study.

    Args:
        asked: what was asked for.
        about: the devices, as a process says it.
        load: of the machine before.
        points: that were measured.
        failures: why others were not, by label.
    """
    versions = about["versions"]
    assert isinstance(versions, Mapping)
    training = asked.config.training
    return Study(
        experiment=asked.experiment,
        preset=asked.preset,
        settings=dict(asked.settings),
        batch=training.batch,
        updates=training.steps,
        saving_every=training.checkpoint_every,
        device=str(about["device"]),
        forced=about["platform"] == "cpu",
        cores=len(os.sched_getaffinity(0)),
        load=load,
        versions=dict(versions),
        points=tuple(points),
        failures=dict(failures),
    )


def write(study: Study, folder: Path, command: str, hours: float) -> None:
    """Write record, table and page into the study's folder."""
    records.write(study, folder / "scaling.json", derived(study, hours))
    write_text(folder / "scaling.csv", page.csv_of(study, hours))
    write_text(folder / "scaling.html", page.page_of(study, command, hours))


def derived(study: Study, hours: float) -> dict[str, object]:
    """Return what follows from a study's points, for whoever reads its file."""
    model = fitted(study)
    return {
        "model": None if model is None else asdict(model),
        "left_out": [{**asdict(one), "error": one.error} for one in left_out(study)],
        "points": {
            one.label: {
                "samples_per_second": one.samples_per_second,
                "operations": one.operations,
                "utilisation": one.utilisation,
                "goodput": goodput(one, study.updates, study.saving_every, hours).share,
            }
            for one in study.points
        },
    }
