"""A zarr store of fields that is filled part by part: format 2, consolidated metadata, written by tensorstore."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from experiments.export import Fields

CHUNK_BYTES = 2**22
"""Size of a chunk of a channel, uncompressed."""


def rows_of(fields: Fields) -> int:
    """Return how many samples of a channel make one chunk."""
    first = next(values for _, values in fields.variables())
    return max(1, CHUNK_BYTES // max(1, first[:1].nbytes))


class ZarrStore:
    """Arrays of ``count`` samples in a folder, of which parts are written in any order.

    Args:
        path: of the folder, which may hold an unfinished store of the same arrays.
        like: fields that say names, dimensions, types and units; its samples are not written.
        count: samples in all.
        rows: samples in a chunk; a part that begins and ends between chunks is written without reading.

    Example:
        >>> store = ZarrStore(path, first, count=1_000_000, rows=rows_of(first))
        >>> store.write(0, first)
        >>> store.finish(first.attrs)
    """

    def __init__(self, path: Path, like: Fields, count: int, rows: int) -> None:
        self._path, self._dims, self._units, self._channels = path, like.dims[:-1], like.units, like.channels
        self._along = {name: (like.coordinate_dimension(name),) for name in like.coordinates}
        self._growing: dict[str, Any] = {}
        path.mkdir(exist_ok=True)
        for name, values in like.coordinates.items():
            if self._along[name] == ("sample",):
                self._growing[name] = self._array(name, np.asarray(values), count, rows)
            else:
                known = np.asarray(values)
                self._array(name, known, len(known), max(1, len(known))).write(known).result()
        for name, values in like.variables():
            self._growing[name] = self._array(name, values, count, rows)

    def _array(self, name: str, values: np.ndarray, size: int, rows: int) -> Any:
        import tensorstore

        spec = {
            "driver": "zarr",
            "kvstore": {"driver": "file", "path": str(self._path / name)},
            "metadata": {
                "shape": [size, *values.shape[1:]],
                "chunks": [max(1, min(size, rows)), *values.shape[1:]],
                "dtype": values.dtype.str,
            },
        }
        return tensorstore.open(spec, open=True, create=True).result()

    def start(self, first: int, fields: Fields) -> list[Any]:
        """Begin to write samples from number ``first`` on; return the futures of what is written."""
        parts = {**dict(fields.variables()), **fields.coordinates}
        last = first + len(fields)
        return [array[first:last].write(np.ascontiguousarray(parts[name])) for name, array in self._growing.items()]

    def write(self, first: int, fields: Fields) -> None:
        """Write samples from number ``first`` on."""
        for future in self.start(first, fields):
            future.result()

    def finish(self, attributes: Mapping[str, int | float | str]) -> None:
        """Write what readers open first: the attributes, the dimensions of every array, and all of it in one file."""
        beside = " ".join(name for name in self._along if name not in self._dims)
        metadata: dict[str, Any] = {".zgroup": {"zarr_format": 2}, ".zattrs": dict(attributes)}
        for name, dims in {**self._along, **dict.fromkeys(self._channels, self._dims)}.items():
            known: dict[str, Any] = {"_ARRAY_DIMENSIONS": list(dims), "units": self._units.get(name) or "1"}
            if beside and name in self._channels:
                known["coordinates"] = beside
            metadata[f"{name}/.zattrs"] = known
            metadata[f"{name}/.zarray"] = json.loads((self._path / name / ".zarray").read_text())
        for name, content in metadata.items():
            (self._path / name).write_text(json.dumps(content))
        (self._path / ".zmetadata").write_text(json.dumps({"zarr_consolidated_format": 1, "metadata": metadata}))
