"""Small files written whole or not at all: beside their place first, then renamed into it."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from experiments.errors import UserError

JsonObject = Mapping[str, object]
"""An object as JSON has it: names, and values that their reader has to check."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name beside ``path`` to write to; on success it takes ``path``'s place, otherwise it
    is removed."""
    try:
        scratch = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except FileNotFoundError:
        raise UserError(f"{path}: no folder there takes new files; choose another place.") from None
    try:
        temporary = scratch / path.name
        yield temporary
        if path.is_dir():
            path.rename(scratch / "replaced")
        temporary.replace(path)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a small file atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a small file atomically, byte by byte as given."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: Path, content: object) -> None:
    """Write JSON atomically; arrays become lists, numbers that are not finite become null."""
    write_text(path, json.dumps(_jsonable(content), indent=2, allow_nan=False) + "\n")


def write_arrays(path: Path, arrays: Mapping[str, ArrayLike]) -> None:
    """Write an .npz atomically; names may hold slashes."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **{name: np.asarray(one) for name, one in arrays.items()})


def _jsonable(content: object) -> object:
    if isinstance(content, Mapping):
        return {str(key): _jsonable(value) for key, value in content.items()}
    if isinstance(content, tuple | list):
        return [_jsonable(value) for value in content]
    if isinstance(content, bool | int | str) or content is None:
        return content
    if isinstance(content, Path):
        return str(content)
    if hasattr(content, "__array__") or isinstance(content, float | np.generic):
        values = np.asarray(content)
        if values.ndim:
            return [_jsonable(value) for value in values]
        value = values.item()
        return None if isinstance(value, float) and not np.isfinite(value) else value
    raise TypeError(f"cannot write {type(content).__name__} as JSON")
