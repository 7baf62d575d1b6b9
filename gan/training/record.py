"""What a training writes down while it runs: ``metrics.jsonl``, and samples along the way."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree

from gan.training.alarms import ALARMS

RECORD = "metrics.jsonl"
SAMPLE_HISTORY = "sample_history"


def rewind(folder: Path, latest: int | None) -> list[dict[str, Any]]:
    """Cut the record of a training back to a checkpoint, or to nothing, and return the lines that stay.

    A kill can leave half a line, and lines of steps after the checkpoint are about to be run again. What a training
    does not write is left out too: only the alarms of a line are no numbers.

    Args:
        folder: of the training.
        latest: step of the checkpoint.
    """
    path = folder / RECORD
    kept: list[dict[str, Any]] = []
    if path.exists() and latest is not None:
        for text in path.read_text(errors="replace").splitlines():
            with suppress(ValueError, RecursionError):
                line = json.loads(text)
                if _is_record(line) and line["step"] <= latest:
                    kept.append(line)
    # At once or not at all: a full disk must not cost the record of what has been trained.
    partial = path.with_name(path.name + ".partial")
    partial.write_text("".join(json.dumps(line) + "\n" for line in kept))
    partial.replace(path)
    return kept


def _is_record(line: Any) -> bool:
    if not isinstance(line, dict) or type(line.get("step")) is not int:
        return False
    return all(type(value) in (int, float) for name, value in line.items() if name != ALARMS)


def write_frame(path: Path, samples: np.ndarray, params: PyTree) -> None:
    """Write samples and the generator's parameters, each by its place in the tree, as an .npz file."""
    path.parent.mkdir(exist_ok=True)
    leaves, _ = jax.tree_util.tree_flatten_with_path(params)
    arrays = {f"generator{jax.tree_util.keystr(where)}": np.asarray(leaf) for where, leaf in leaves}
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, samples=samples, **arrays)
    partial.replace(path)
