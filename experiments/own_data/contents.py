"""What lies in a data file: named arrays with named axes, units and attributes, read block by block."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

_BLOCK = 2**20
_SAMPLED = 64
"""Blocks of a large file that its checksum looks at, beside its size."""
_WHOLE = 2**28
"""Bytes up to which the checksum looks at all of a file."""


@dataclass(frozen=True)
class Variable:
    """One array of a file.

    Attributes:
        name: as in the file; of a group of groups with slashes.
        dims: name of each axis; empty where the file gives none.
        shape: of the array.
        dtype: as stored.
        attrs: attributes, as the CF conventions name them (``units``, ``axis``, ``standard_name``, ``_FillValue``).
        read: ``slice of the first axis -> array`` as stored.
    """

    name: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype
    attrs: Mapping[str, Any]
    read: Callable[[slice], np.ndarray]

    @property
    def numeric(self) -> bool:
        """Whether it holds real numbers."""
        return self.dtype.kind in "fiub"

    @property
    def units(self) -> str:
        """Its unit; empty where it has none or is said to be without one."""
        found = str(self.attrs.get("units", "")).strip()
        return "" if found in ("1", "None") else found

    def values(self, rows: slice = slice(None)) -> np.ndarray:
        """Return float64 values: scale and offset applied, NaN where missing."""
        raw = np.asarray(self.read(rows))
        values = raw.astype(np.float64)
        for name in ("_FillValue", "missing_value"):
            for one in np.atleast_1d(self.attrs.get(name, [])):
                if np.asarray(one).dtype.kind in "fiu":
                    # As stored: 1e20 in float32 is another number than in float64.
                    values[raw == np.asarray(one).astype(raw.dtype)] = np.nan
        return values * float(self.attrs.get("scale_factor", 1.0)) + float(self.attrs.get("add_offset", 0.0))


@dataclass(frozen=True)
class Contents:
    """A file with its variables.

    Attributes:
        path: of the file or, for zarr, of the folder.
        kind: of the file, in a word.
        variables: by name, in the order of the file.
    """

    path: Path
    kind: str
    variables: Mapping[str, Variable] = field(default_factory=dict)

    def coordinate(self, dim: str) -> Variable | None:
        """Return the one-dimensional variable that has the name of an axis, or None."""
        found = self.variables.get(dim)
        return found if found is not None and len(found.shape) == 1 and found.dims in ((), (dim,)) else None


def checksum(path: Path) -> str:
    """Return a SHA-256 of the names, sizes and contents of a file or folder.

    Of a file of more than 256 MiB, `_SAMPLED` blocks of 1 MiB, evenly spaced and the last one included, stand for the
    whole: the same size with other contents there is found, and nobody waits for gigabytes to be read twice.
    """
    said = hashlib.sha256()
    files = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
    for one in files:
        size = one.stat().st_size
        said.update(f"{one.relative_to(path) if path.is_dir() else ''} {size}\n".encode())
        with one.open("rb") as file:
            if size <= _WHOLE:
                while block := file.read(_BLOCK):
                    said.update(block)
            else:
                for start in np.linspace(0, size - _BLOCK, _SAMPLED).astype(np.int64):
                    file.seek(int(start))
                    said.update(file.read(_BLOCK))
    return said.hexdigest()
