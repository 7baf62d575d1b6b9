"""Checkpoints: the latest few and the best, written by Orbax, behind the few calls that training needs.

``FOLDER/checkpoints/STEP/`` holds the state and the checksums of its files; ``FOLDER/gan.json`` says what it belongs
to (format version, recipe, shapes, normalisers). A folder of another format or recipe is refused with one sentence.

A damaged checkpoint is never read. Loading a generator refuses it and names the newest whole one; a resumed training
removes it, says so, and goes on from the newest whole one.
"""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from jaxtyping import PyTree
from orbax.checkpoint import checkpoint_managers as policies

from gan.training import processes
from gan.training.checksums import damage, write_checksums
from gan.training.orbax_noise import silence

FORMAT = 3
DESCRIPTION = "gan.json"
METRIC = "validation"
_METRICS = "metrics/metrics"
_OVERHEAD = 2**17  # bytes of a checkpoint beside its arrays, roughly
_STAMP = "_CHECKPOINT_METADATA"  # gets the time of the rename, and is not read here

# Recipe entries that may change when a training is resumed: they leave its results alone.
FREE = (
    ("training", "log_every"),
    ("training", "checkpoint_every"),
    ("training", "keep"),
    ("training", "alarm_after"),
    ("training", "diagnose_every"),
    ("training", "sample_chunk"),
)


def write_description(folder: Path, description: dict[str, Any]) -> None:
    """Write what the checkpoints belong to, at once or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / (DESCRIPTION + ".partial")
    partial.write_text(json.dumps({"format": FORMAT, **description}, indent=1))
    partial.replace(folder / DESCRIPTION)


def read_description(folder: Path) -> dict[str, Any]:
    """Read what the checkpoints of a folder belong to.

    Raises:
        ValueError: no training there, half-written, or of another format.
    """
    path = Path(folder) / DESCRIPTION
    if not path.is_file():
        raise ValueError(f"{folder} holds no training: there is no {DESCRIPTION} in it.")
    try:
        description = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}): train again into an empty folder.") from error
    if not isinstance(description, dict):
        raise ValueError(f"{path} is damaged (it describes nothing): train again into an empty folder.")
    found = description.get("format")
    if found != FORMAT:
        raise ValueError(
            f"{path} has format {found!r}, this version reads format {FORMAT}: use the version that wrote it."
        )
    if missing := {"recipe", "sample", "normalizer", "condition_normalizers"} - description.keys():
        raise ValueError(f"{path} is damaged (it has no {min(missing)}): train again into an empty folder.")
    return description


def difference(old: dict[str, Any], new: dict[str, Any]) -> str | None:
    """Name the first entry in which two descriptions differ, apart from those that leave results alone."""
    old, new = json.loads(json.dumps(old)), json.loads(json.dumps(new))
    for section, name in FREE:
        for description in (old, new):
            description.get("recipe", {}).get(section, {}).pop(name, None)

    def walk(a: Any, b: Any, path: str) -> str | None:
        if isinstance(a, dict) and isinstance(b, dict):
            for key in sorted(a.keys() | b.keys()):
                found = walk(a.get(key), b.get(key), f"{path}.{key}" if path else str(key))
                if found:
                    return found
            return None
        return None if a == b else f"{path} was {a!r} and is now {b!r}"

    old.pop("format", None)
    new.pop("format", None)
    return walk(old, new, "")


class DamagedCheckpointError(ValueError):
    """A checkpoint whose files are missing or have changed since they were written."""


class Checkpoints:
    """The checkpoints of one training.

    Args:
        folder: of the training.
        keep: latest checkpoints to keep beside the best by the validation metric (lower is better).

    Raises:
        ValueError: a file stands where their folder belongs.
    """

    def __init__(self, folder: Path, keep: int):
        self._folder, self._keep = Path(folder).resolve() / "checkpoints", keep
        if self._folder.exists() and not self._folder.is_dir():
            raise ValueError(f"{self._folder} is a file where the folder of the checkpoints belongs: move it away.")
        silence()
        self._manager: ocp.CheckpointManager | None = None
        self._saving = 0

    def save(self, step: int, state: PyTree, metrics: dict[str, float]) -> None:
        """Write the state of a step in the background.

        Raises:
            OSError: the disk cannot hold it, or could not hold the one before.
        """
        if self._manager is None:
            self._manager = self._writer()
        self.wait()
        self._saving = step
        _need_room(self._folder, state)
        self._manager.save(step, args=ocp.args.StandardSave(state), metrics=metrics, force=True)

    def _writer(self) -> ocp.CheckpointManager:
        def best(metrics: dict[str, Any]) -> float:
            return _finite(metrics.get(METRIC))

        policy = policies.preservation_policy
        kept = [policy.LatestN(n=self._keep), policy.BestN(get_metric_fn=best, reverse=True, n=1)]
        return ocp.CheckpointManager(
            self._folder,
            options=ocp.CheckpointManagerOptions(
                best_fn=best,
                best_mode="min",
                preservation_policy=policy.AnyPreservationPolicy(kept),
                enable_async_checkpointing=True,
                async_options=ocp.AsyncOptions(
                    post_finalization_callback=self._add_checksums,
                    # Where no folder can be made, threads that wait for it would hold the end of the process.
                    create_directories_asynchronously=False,
                ),
            ),
        )

    def _add_checksums(self) -> None:
        """Add checksums to the checkpoint being written; Orbax calls this just before it renames its folder, on the
        first of several processes."""
        if not processes.is_first():
            return
        for unfinished in self._folder.glob(f"{self._saving}.orbax-checkpoint-tmp*"):
            write_checksums(unfinished, without=(_STAMP,))

    def latest(self) -> int | None:
        """Return the last step saved."""
        self.wait()
        return max(self.steps(), default=None)

    def best(self) -> int | None:
        """Return the step with the best validation metric.

        Raises:
            DamagedCheckpointError: a metric cannot be read.
        """
        return min(self.steps(), key=lambda step: (self._metric(step), -step), default=None)

    def _metric(self, step: int) -> float:
        try:
            return _finite(json.loads((self._folder / str(step) / _METRICS).read_text()).get(METRIC))
        except FileNotFoundError:
            return _finite(None)
        except (ValueError, AttributeError):
            raise DamagedCheckpointError(self._damaged(step, f"{_METRICS} cannot be read")) from None

    def steps(self) -> list[int]:
        """Return every step kept."""
        return sorted(int(one.name) for one in self._folder.glob("*") if one.name.isdecimal() and one.is_dir())

    def check(self, step: int) -> None:
        """Compare the files of a step with their checksums, where it has any.

        Raises:
            DamagedCheckpointError: they differ; it names the newest step that is whole.
        """
        if found := damage(self._folder / str(step)):
            raise DamagedCheckpointError(self._damaged(step, found))
        self._metric(step)

    def _damaged(self, step: int, found: str) -> str:
        whole = [one for one in self.steps() if one != step and damage(self._folder / str(one)) is None]
        newest = f"the newest whole one is of step {max(whole)}" if whole else "there is no other that is whole"
        return f"The checkpoint of step {step} in {self._folder} is damaged ({found}); {newest}."

    def restore(self, step: int, like: PyTree) -> PyTree:
        """Read the state of a step into the shapes and types of ``like``, replicated on its devices.

        Raises:
            DamagedCheckpointError: its files are missing or have changed.
            ValueError: it does not fit ``like``.
        """
        self.check(step)
        return self._read(step, like)

    def _read(self, step: int, like: PyTree) -> PyTree:
        target = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
        try:
            with ocp.Checkpointer(ocp.StandardCheckpointHandler()) as reader:
                return reader.restore(self._folder / str(step) / "default", args=ocp.args.StandardRestore(target))
        except MemoryError:
            raise
        except Exception as error:
            # Readers fail in many ways at what is damaged, which a checkpoint without checksums may still be.
            said = (str(error).splitlines() or [type(error).__name__])[0]
            raise DamagedCheckpointError(self._damaged(step, f"it cannot be read: {said}")) from error

    def restore_newest(self, like: PyTree, note: Callable[[str], Any]) -> tuple[int, PyTree] | None:
        """Read the newest state that is whole, and remove every damaged checkpoint; None where there is none at all.

        Args:
            like: as for :meth:`restore`.
            note: called with one line for each checkpoint that is removed.

        Raises:
            DamagedCheckpointError: there are checkpoints, and none is whole; nothing is removed.
        """
        if processes.joined():
            return self._restore_together(like, note)
        damaged: dict[int, DamagedCheckpointError] = {}
        found: tuple[int, Any] | None = None
        for step in reversed(self.steps()):
            try:
                if found is None:
                    found = step, self.restore(step, like)
                else:
                    self.check(step)
            except DamagedCheckpointError as error:
                damaged[step] = error
        if damaged and found is None:
            raise damaged[max(damaged)]
        for step, reason in damaged.items():
            shutil.rmtree(self._folder / str(step))
            note(f"{reason} It is removed.")
        return found

    def _restore_together(self, like: PyTree, note: Callable[[str], Any]) -> tuple[int, PyTree] | None:
        """Do the same with several processes: the first looks for what is damaged, all read the same step."""
        newest = None
        if processes.is_first():
            damaged = {}
            for step in reversed(self.steps()):
                try:
                    self.check(step)
                    newest = step if newest is None else newest
                except DamagedCheckpointError as error:
                    damaged[step] = error
            if damaged and newest is None:
                raise damaged[max(damaged)]
            for step, reason in damaged.items():
                shutil.rmtree(self._folder / str(step))
                note(f"{reason} It is removed.")
        newest = processes.share(newest)
        return None if newest is None else (newest, self._read(newest, like))

    def wait(self) -> None:
        """Block until what is being written is on disk."""
        if self._manager is not None:
            self._manager.wait_until_finished()

    def close(self) -> None:
        """Finish writing and release the folder."""
        if self._manager is None:
            return
        try:
            self.wait()
        finally:
            # Its threads end, whatever became of the last checkpoint.
            manager, self._manager = self._manager, None
            manager.close()


def _need_room(folder: Path, state: Any) -> None:
    """Refuse to begin what the disk cannot hold: Orbax fails with hundreds of lines from its threads."""
    needed = _OVERHEAD + sum(leaf.nbytes for leaf in jax.tree.leaves(state))
    free = shutil.disk_usage(folder).free
    if free < needed:
        said = f"No space left on device for a checkpoint of up to {needed / 1e6:.1f} MB"
        raise OSError(errno.ENOSPC, said, str(folder))


def _finite(metric: Any) -> float:
    return float(metric) if isinstance(metric, int | float) and np.isfinite(metric) else float("inf")
