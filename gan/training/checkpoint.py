"""Checkpoints: the latest few and the best, written by Orbax, behind the few calls that training needs.

``FOLDER/checkpoints/STEP/`` holds the state; ``FOLDER/gan.json`` says what it belongs to (format version,
recipe, shapes, normalisers). A folder of another format or recipe is refused with one sentence.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers as policies

FORMAT = 2
DESCRIPTION = "gan.json"
METRIC = "validation"

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


class Checkpoints:
    """The checkpoints of one training.

    Args:
        folder: of the training.
        keep: latest checkpoints to keep beside the best by the validation metric (lower is better).
    """

    def __init__(self, folder: Path, keep: int):
        def best(metrics: dict[str, Any]) -> float:
            value = metrics.get(METRIC)
            return float("inf") if value is None or not np.isfinite(value) else float(value)

        policy = policies.preservation_policy
        self._best = best
        self._manager = ocp.CheckpointManager(
            Path(folder).resolve() / "checkpoints",
            options=ocp.CheckpointManagerOptions(
                best_fn=best,
                best_mode="min",
                preservation_policy=policy.AnyPreservationPolicy(
                    [
                        policy.LatestN(n=keep),
                        policy.BestN(get_metric_fn=best, reverse=True, n=1),
                    ]
                ),
                enable_async_checkpointing=True,
            ),
        )

    def save(self, step: int, state: Any, metrics: dict[str, float]) -> None:
        """Write the state of a step in the background."""
        self._manager.save(step, args=ocp.args.StandardSave(state), metrics=metrics, force=True)

    def latest(self) -> int | None:
        """Return the last step saved."""
        return self._manager.latest_step()

    def best(self) -> int | None:
        """Return the step with the best validation metric."""
        return self._manager.best_step()

    def steps(self) -> list[int]:
        """Return every step kept."""
        return sorted(self._manager.all_steps())

    def restore(self, step: int, like: Any) -> Any:
        """Read the state of a step into the shapes and types of ``like``, replicated on its devices.

        Raises:
            ValueError: the checkpoint cannot be read.
        """
        target = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
        try:
            return self._manager.restore(step, args=ocp.args.StandardRestore(target))
        except (ValueError, FileNotFoundError, KeyError) as error:
            raise ValueError(
                f"The checkpoint of step {step} in {self._manager.directory} cannot be read: {error}"
            ) from error

    def wait(self) -> None:
        """Block until what is being written is on disk."""
        self._manager.wait_until_finished()

    def close(self) -> None:
        """Finish writing and release the folder."""
        self._manager.wait_until_finished()
        self._manager.close()
