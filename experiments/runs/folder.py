"""A run's folder, ``runs/NAME/STAMP/``: what a training leaves behind, and how to come back to it.

    config.yaml        everything needed to repeat the run
    experiment.py      the experiment, where it is a file of the user
    data.json          where the training fields lie in the cache, and their certificate
    checkpoints/       the players
    gan.json           what the checkpoints belong to
    metrics.jsonl      one line per logged step
    comparison.json    generator against solver
    figures.npz        arrays behind the report's pictures
    samples.npz        a few samples
    sample_history/    samples and the generator's weights along the training, where asked for
    report.html        the report
    preview.png        the run at a glance

``config.yaml`` is written whole before anything is made, so a folder with it is a run and a folder without it is none.
"""

from __future__ import annotations

import datetime
import json
import os
import shlex
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml
from filelock import FileLock, Timeout

from experiments import catalog
from experiments.config import ExperimentConfig
from experiments.errors import UserError
from experiments.files import JsonObject, write_bytes, write_text
from experiments.options import to_mapping
from experiments.python_file import digest
from experiments.runs.provenance import provenance
from experiments.wording import is_finite

if TYPE_CHECKING:
    from experiments.evaluation.results import Comparison
    from experiments.experiment import Experiment

FORMAT_VERSION = 2
SOURCE = "experiment.py"
"""Name of the copy of a user's file."""


class BusyError(UserError):
    """Another process writes into the folder."""


@dataclass(frozen=True)
class RunFolder:
    """A run's folder with its configuration: paths and records, no arrays, no jax.

    Attributes:
        path: the folder.
        experiment: the experiment's name.
        preset: the preset that the configuration started from.
        config: the configuration, overrides included.
        record: all of ``config.yaml``: also versions, devices, git commit, command, time.
    """

    path: Path
    experiment: str
    preset: str
    config: ExperimentConfig
    record: JsonObject = field(repr=False, hash=False, compare=False)
    _lock: FileLock = field(init=False, repr=False, hash=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_lock", FileLock(self.path / ".lock"))

    @property
    def source(self) -> Path | None:
        """The copy of the user's file that defines the experiment; None for an installed experiment."""
        return self.path / SOURCE if self.record.get("source") else None

    def definition(self) -> Experiment:
        """Load the experiment: from the copy in the folder where it is a user's file."""
        return catalog.load(str(self.source or self.experiment))

    def summary(self) -> catalog.Summary:
        """What is said of the experiment."""
        return catalog.summary(str(self.source or self.experiment))

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def metrics_file(self) -> Path:
        """Losses and gradient norms, one JSON object per line."""
        return self.path / "metrics.jsonl"

    @property
    def data_file(self) -> Path:
        """Description of the training fields."""
        return self.path / "data.json"

    @property
    def networks_file(self) -> Path:
        """Parameters and operations of both players."""
        return self.path / "networks.json"

    @property
    def comparison_file(self) -> Path:
        """Outcome of the comparison."""
        return self.path / "comparison.json"

    @property
    def figures_file(self) -> Path:
        """Arrays behind the report's pictures."""
        return self.path / "figures.npz"

    @property
    def samples_file(self) -> Path:
        """A few samples, as ``sample`` writes them."""
        return self.path / "samples.npz"

    @property
    def report_file(self) -> Path:
        """The report."""
        return self.path / "report.html"

    def metrics(self) -> list[dict[str, object]]:
        """Read ``metrics.jsonl``; what a kill cut short is left out, and a step logged twice counts once."""
        rows: dict[int, dict[str, object]] = {}
        if self.metrics_file.exists():
            for line in self.metrics_file.read_text(errors="replace").splitlines():
                with suppress(ValueError, RecursionError):
                    row = json.loads(line)
                    if isinstance(row, dict) and type(row.get("step")) is int:
                        rows[row["step"]] = row
        return [rows[step] for step in sorted(rows)]

    def training_seconds(self) -> float:
        """Return the seconds that the training took, by the last row of ``metrics.jsonl`` that has them; else 0."""
        found = [value for row in self.metrics() if is_finite(value := row.get("seconds"))]
        return float(found[-1]) if found else 0.0

    def comparison(self) -> Comparison:
        """Read ``comparison.json``.

        Raises:
            UserError: there is none yet, or it is damaged or of another format; it says how to make it.
        """
        from experiments.evaluation import results_file

        return results_file.read(self.comparison_file, f"`python -m experiments compare {self.path}` makes it")

    def data(self) -> dict[str, object]:
        """Read ``data.json``; empty where there is none yet."""
        return self._read_json(self.data_file, "") if self.data_file.exists() else {}

    def networks(self) -> dict[str, object]:
        """Read ``networks.json``; empty where there is none yet."""
        return self._read_json(self.networks_file, "") if self.networks_file.exists() else {}

    def figures(self) -> dict[str, np.ndarray]:
        """Read ``figures.npz``; empty where there is none yet."""
        if not self.figures_file.exists():
            return {}
        return _arrays(self.figures_file, f"`python -m experiments compare {self.path}` writes it again")

    def sample_history(self) -> list[tuple[int, np.ndarray]]:
        """Read the samples kept along the training, with their steps, in order; empty where none were kept.

        Raises:
            UserError: a frame cannot be read.
        """
        frames, remedy = {}, "remove it, and the sample history goes on without it"
        for path in (self.path / "sample_history").glob("*.npz"):
            # Whatever else lies there is not ours.
            if path.stem.isascii() and path.stem.isdecimal():
                arrays = _arrays(path, remedy)
                if "samples" not in arrays:
                    raise UserError(f"{path} holds no samples; {remedy}.")
                frames[int(path.stem)] = arrays["samples"]
        return sorted(frames.items())

    def resume_command(self) -> str:
        """Return the command that goes on with this run where it stopped."""
        name = shlex.quote(str(self.source)) if self.source else self.experiment
        return f"python -m experiments run {name} --resume {shlex.quote(str(self.path))}"

    def steps_done(self) -> int:
        """Return the last step of ``metrics.jsonl``; 0 where there is none."""
        steps = [row["step"] for row in self.metrics()]
        return int(str(steps[-1])) if steps else 0

    def is_finished(self) -> bool:
        """Whether the run is trained to its last step, compared and reported."""
        if not (self.report_file.exists() and self.comparison_file.exists()):
            return False
        with suppress(UserError):
            # A study has no steps.
            return self.comparison().step in (0, self.config.training.steps)
        return False

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Hold the folder against any other process that would write into it; the operating system lets go of it
        when the process ends, however it ends. The same object may claim its folder again within.

        Raises:
            BusyError: another process holds it.
            UserError: it is read-only.
        """
        self.check_writable()
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise BusyError(f"{self.path} is being written by another process; wait for it or stop it.") from None
        except PermissionError:
            raise UserError(self._read_only()) from None
        try:
            yield
        finally:
            self._lock.release()

    def check_writable(self) -> None:
        """Refuse what writes into a read-only folder, before it computes what it could not keep.

        Raises:
            UserError: the folder is read-only.
        """
        if not os.access(self.path, os.W_OK | os.X_OK):
            raise UserError(self._read_only())

    def _read_only(self) -> str:
        return f"{self.path} is read-only; copy it to where you may write, or only draw from it (`sample`)."

    def _read_json(self, path: Path, remedy: str) -> dict[str, object]:
        if not path.exists():
            raise UserError(f"{self.path} has no {path.name} yet; {remedy}.")
        try:
            content = json.loads(path.read_text())
        except (ValueError, RecursionError):
            content = None
        if not isinstance(content, dict):
            raise UserError(f"{path} is damaged; {remedy or 'remove it and resume the run'}.")
        return content


def _arrays(path: Path, remedy: str) -> dict[str, np.ndarray]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    # TypeError: a bare array in place of an archive.
    except (ValueError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{path} is damaged; {remedy}.") from error


def create(
    runs_dir: str | Path,
    experiment: str,
    preset: str,
    config: ExperimentConfig,
    command: Sequence[str] = (),
    source: str | Path | None = None,
) -> RunFolder:
    """Make ``runs_dir/experiment/STAMP`` with its ``config.yaml``; the stamp is the time, numbered where it is taken.

    Args:
        runs_dir: where run folders go.
        experiment: its name.
        preset: that the configuration started from.
        config: of the run.
        command: that started it.
        source: the user's file that defines the experiment, of which the folder keeps a copy.
    """
    content = None if source is None else Path(source).read_bytes()
    record = {
        "format": FORMAT_VERSION,
        "experiment": experiment,
        "preset": preset,
        "created": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "command": shlex.join(command),
        **provenance(),
        **({} if source is None else {"source": {"file": str(Path(source).resolve()), "sha256": digest(source)}}),
        "config": to_mapping(config),
    }
    parent = Path(runs_dir) / experiment
    try:
        parent.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError:
        raise UserError(f"{parent}: no folder can be made there; choose another place with --runs-dir.") from None
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    path, number = parent / stamp, 1
    while True:
        try:
            path.mkdir()
            break
        except FileExistsError:
            number += 1
            path = parent / f"{stamp}-{number}"
    try:
        if content is not None:
            write_bytes(path / SOURCE, content)
        write_text(path / "config.yaml", yaml.safe_dump(record, sort_keys=False, allow_unicode=True, width=110))
    except BaseException:
        (path / SOURCE).unlink(missing_ok=True)
        path.rmdir()
        raise
    return RunFolder(path, experiment, preset, config, record)


def open_folder(path: str | Path) -> RunFolder:
    """Read a run's folder.

    Raises:
        UserError: the folder is missing, is no run, was not written completely, or is of another format or
        experiment.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"run folder {path} does not exist{_suggest_run(path)}")
    if not path.is_dir():
        raise UserError(f"run folder {path} is a file; give the folder that holds config.yaml.")
    file = path / "config.yaml"
    if not file.exists():
        raise UserError(f"{path} is not a run folder, it has no config.yaml{_suggest_run(path)}")
    try:
        record = yaml.safe_load(file.read_text())
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
        record = None
    kinds = {"format": int, "experiment": str, "preset": str, "config": dict}
    if not isinstance(record, dict) or not all(isinstance(record.get(name), kind) for name, kind in kinds.items()):
        raise UserError(f"{file} is incomplete or not YAML; this run cannot be read, start it again.")
    if record["format"] != FORMAT_VERSION:
        raise UserError(
            f"{path} has run format {record['format']} and this version reads {FORMAT_VERSION}; "
            "use the version of solvergan that config.yaml names, or run it again."
        )
    experiment = _experiment(path, record)
    if record["preset"] not in experiment.presets:
        known = ", ".join(experiment.presets)
        raise UserError(f"{file}: preset {record['preset']!r} is not one of {known}; start the run again.")
    try:
        config = experiment.presets[record["preset"]].updated_from(record["config"])
    except UserError as error:
        raise UserError(f"{file} does not fit this version's settings: {error}") from error
    return RunFolder(path, record["experiment"], record["preset"], config, record)


def _experiment(path: Path, record: Mapping[str, Any]) -> Experiment:
    """Load the experiment of a run, and refuse another file than the run was started with."""
    source = record.get("source")
    if not source:
        return catalog.load(record["experiment"])
    copy = path / SOURCE
    if not copy.is_file():
        raise UserError(f"{path} lacks {SOURCE}, its copy of the experiment's file; copy it there again.")
    if not isinstance(source, dict) or digest(copy) != source.get("sha256"):
        raise UserError(f"{copy} is not the file that this run was started with; put that one there, or run it anew.")
    return catalog.load(str(copy))


def _suggest_run(path: Path) -> str:
    """Name the newest run below ``path`` or below its parent."""
    for place in (path, path.parent):
        found = sorted(place.glob("*/config.yaml")) or sorted(place.glob("*/*/config.yaml"))
        if found:
            return f"; the newest run there is {max(found, key=lambda one: one.stat().st_mtime).parent}."
    return "; give a folder that `python -m experiments run` made."
