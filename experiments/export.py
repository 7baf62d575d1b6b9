"""Fields with their names: coordinates, channels, units, attributes; written as .npz, .nc, .h5 or .zarr by
suffix.

Every format holds one array per channel with the dimensions ``(sample, [time,] x[, y[, z]])``, the
coordinates beside it, and the attributes, so that ``xarray.open_dataset`` / ``open_zarr`` finds labelled
dimensions in each of the last three:

- ``.nc``: netCDF with 64-bit offsets (netCDF-3), which every netCDF reader takes; at most 2 GiB per channel.
- ``.h5``: HDF5 with dimension scales, compressed.
- ``.zarr``: zarr format 2 with consolidated metadata and ``_ARRAY_DIMENSIONS``, written by tensorstore.
- ``.npz``: numpy; the attributes as JSON text in ``attributes``.

A file appears under its name only when it is complete: it is written beside it and renamed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.errors import UserError
from experiments.files import replacing
from experiments.zarr_store import ZarrStore, rows_of
from gan.settings import nearest

if TYPE_CHECKING:
    import xarray

_NETCDF_LIMIT = 2**31 - 4


@dataclass(frozen=True, eq=False)
class Fields:
    """Fields in physical units with the names of everything.

    Attributes:
        values: array with dimensions ``dims``; the last one is always ``channel``.
        dims: for example ``("sample", "x", "channel")`` or ``("sample", "time", "x", "channel")``.
        coordinates: one-dimensional arrays for the dimensions that have one (not ``sample``, not ``channel``), and
            arrays of length ``sample`` for what varies with it (the viscosity of each sample).
        channels: a name for each channel.
        units: unit by channel or coordinate; absent or "" where non-dimensional.
        attrs: what else there is to know: experiment, run, seed, solver time of the refinement.
    """

    values: np.ndarray
    dims: tuple[str, ...]
    coordinates: Mapping[str, np.ndarray]
    channels: tuple[str, ...]
    units: Mapping[str, str] = field(default_factory=dict)
    attrs: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.values.ndim != len(self.dims) or self.dims[-1] != "channel":
            raise ValueError(f"dims {self.dims} must name all {self.values.ndim} axes of values and end in 'channel'.")
        if len(self.channels) != self.values.shape[-1]:
            raise ValueError(f"channels {self.channels} must be as many as the last axis, {self.values.shape[-1]}.")
        sizes = dict(zip(self.dims, self.values.shape))
        for name, values in self.coordinates.items():
            wanted = sizes.get(name, sizes.get("sample"))
            if np.shape(values) != (wanted,):
                raise ValueError(f"coordinate {name} must have shape ({wanted},), found {np.shape(values)}.")

    def __len__(self) -> int:
        return self.values.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.values, dtype=dtype) if copy else np.asarray(self.values, dtype=dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of ``values``."""
        return self.values.shape

    def variables(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield each channel's name and its array, without the channel axis."""
        for index, name in enumerate(self.channels):
            yield name, self.values[..., index]

    def coordinate_dimension(self, name: str) -> str:
        """Return the dimension along which coordinate ``name`` runs: its own, else ``sample``."""
        return name if name in self.dims else "sample"

    def to_xarray(self) -> xarray.Dataset:
        """Return an ``xarray.Dataset`` with one variable per channel (needs the extra ``netcdf``)."""
        try:
            import xarray
        except ModuleNotFoundError:
            raise UserError("to_xarray needs xarray; install it with `pip install xarray`.") from None
        coordinates = {
            name: (self.coordinate_dimension(name), np.asarray(values), self._unit(name))
            for name, values in self.coordinates.items()
        }
        variables = {name: (self.dims[:-1], values, self._unit(name)) for name, values in self.variables()}
        return xarray.Dataset(variables, coordinates, dict(self.attrs))

    def _unit(self, name: str) -> dict[str, str]:
        return {"units": self.units.get(name) or "1"}


def writer_for(path: Path) -> Callable[[Fields, Path], None]:
    """Return the writer for a file name's suffix, so that a wrong one is found before anything is computed.

    Raises:
        UserError: the suffix names no format, a folder that is no zarr store is in the way, or nothing may be written
            there.
    """
    suffix = path.suffix.lower()
    if suffix not in _WRITERS:
        hint = nearest(suffix, _WRITERS) or "."
        raise UserError(f"--out {path}: the file must end in one of {', '.join(_WRITERS)}, found {suffix!r}{hint}")
    if path.is_dir() and not ((path / ".zgroup").exists() or (path / "zarr.json").exists()):
        raise UserError(f"--out {path}: this folder is no zarr store; give a name that does not exist yet.")
    place = next(one for one in path.absolute().parents if one.exists())
    if not (place.is_dir() and os.access(place, os.W_OK | os.X_OK)):
        raise UserError(f"--out {path}: nothing can be written into {place}; choose another place.")
    return _WRITERS[suffix]


def write(fields: Fields, path: str | Path) -> Path:
    """Write ``fields`` in the format that ``path``'s suffix names, atomically; returns the path.

    Raises:
        UserError: as for :func:`writer_for`.
    """
    path = Path(path)
    writer = writer_for(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        writer(fields, temporary)
    return path


def plain_attribute(value: object) -> int | float | str:
    """Return an attribute as every format can hold it: a number, or text."""
    if isinstance(value, bool | np.bool_):
        return int(value)
    if isinstance(value, int | float | str):
        return value
    if isinstance(value, np.integer | np.floating):
        return value.item()
    return json.dumps(value, default=str)


def _write_npz(fields: Fields, path: Path) -> None:
    attributes = {"dims": fields.dims[:-1], "units": dict(fields.units), **fields.attrs}
    arrays = {
        **dict(fields.variables()),
        **{name: np.asarray(one) for name, one in fields.coordinates.items()},
    }
    arrays["attributes"] = np.array(json.dumps(attributes, default=str))
    with path.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def _write_netcdf(fields: Fields, path: Path) -> None:
    from scipy.io import netcdf_file

    for name, values in fields.variables():
        if values.size * max(values.itemsize, 4) > _NETCDF_LIMIT:
            size = values.nbytes / 2**30
            raise UserError(
                f"--out {path.name}: netCDF holds 2 GiB per channel and {name} has {size:.1f} GiB; choose .zarr or .h5."
            )
    with netcdf_file(path, "w", version=2) as file:
        for name, size in zip(fields.dims[:-1], fields.values.shape):
            file.createDimension(name, size)
        for name, values in fields.coordinates.items():
            _netcdf_variable(file, name, np.asarray(values), (fields.coordinate_dimension(name),), fields.units)
        for name, values in fields.variables():
            variable = _netcdf_variable(file, name, values, fields.dims[:-1], fields.units)
            if beside := [one for one in fields.coordinates if one not in fields.dims]:
                variable.coordinates = " ".join(beside)
        for name, value in fields.attrs.items():
            plain = plain_attribute(value)
            # netCDF-3 has 32-bit integers only, and scipy would round a Python float to 32 bits.
            if isinstance(plain, int) and abs(plain) >= 2**31:
                plain = str(plain)
            setattr(file, name, np.float64(plain) if isinstance(plain, float) else plain)


def _netcdf_variable(file: Any, name: str, values: np.ndarray, dims: tuple[str, ...], units: Mapping[str, str]) -> Any:
    if values.dtype.kind in "iub":
        values = values.astype(np.int32)
    variable = file.createVariable(name, values.dtype.newbyteorder(">"), dims)
    variable[:] = values
    variable.units = units.get(name) or "1"
    return variable


def _write_hdf5(fields: Fields, path: Path) -> None:
    import h5py

    with h5py.File(path, "w", track_order=True) as file:
        file.attrs.update({name: plain_attribute(value) for name, value in fields.attrs.items()})
        for name, values in fields.coordinates.items():
            file.create_dataset(name, data=np.asarray(values)).attrs["units"] = fields.units.get(name) or "1"
        if "sample" not in fields.coordinates:
            file.create_dataset("sample", data=np.arange(len(fields)))
        for name in fields.dims[:-1]:
            if name in file:
                file[name].make_scale(name)
        for name, values in fields.variables():
            dataset = file.create_dataset(name, data=values, chunks=True, compression="gzip", compression_opts=1)
            dataset.attrs["units"] = fields.units.get(name) or "1"
            for axis, dimension in enumerate(fields.dims[:-1]):
                dataset.dims[axis].label = dimension
                if dimension in file:
                    dataset.dims[axis].attach_scale(file[dimension])


def _write_zarr(fields: Fields, path: Path) -> None:
    store = ZarrStore(path, fields, len(fields), rows_of(fields))
    store.write(0, fields)
    store.finish({name: plain_attribute(value) for name, value in fields.attrs.items()})


_WRITERS: dict[str, Callable[[Fields, Path], None]] = {
    ".npz": _write_npz,
    ".nc": _write_netcdf,
    ".h5": _write_hdf5,
    ".zarr": _write_zarr,
}
