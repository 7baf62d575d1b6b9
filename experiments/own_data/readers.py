"""Readers of data files: .npy, .npz, .h5/.hdf5, .nc (netCDF 3 and 4), .zarr (formats 2 and 3) and .csv.

Only names, shapes and attributes are read here. Values are read later, a block of the first axis at a time, where the
format allows it: an .npz member and a .csv file are read whole.
"""

from __future__ import annotations

import csv
import json
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from experiments.errors import UserError
from experiments.own_data.contents import Contents, Variable
from gan.settings import nearest


def read(path: str | Path) -> Contents:
    """Return what lies in a data file.

    Raises:
        UserError: the file is missing, of an unknown format, damaged, or holds no numbers.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path} does not exist; give a file of numbers, ending in one of {', '.join(_READERS)}.")
    suffix = path.suffix.lower()
    if suffix not in _READERS:
        hint = nearest(suffix, _READERS) if suffix else ""
        raise UserError(f"{path} has the ending {suffix!r}, and {', '.join(_READERS)} are read{hint or '.'}")
    try:
        variables = {one.name: one for one in _READERS[suffix](path)}
    except UserError:
        raise
    except (OSError, ValueError, KeyError, EOFError, TypeError, csv.Error, zipfile.BadZipFile, zlib.error) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise UserError(f"{path} cannot be read as {suffix} ({reason}); is it damaged, or of another format?") from None
    if not any(one.numeric and one.shape for one in variables.values()):
        raise UserError(f"{path} holds no array of real numbers; give a file that does.")
    return Contents(path, suffix.lstrip("."), variables)


def _npy(path: Path) -> Iterator[Variable]:
    def array() -> np.ndarray:
        return np.load(path, mmap_mode="r", allow_pickle=False)

    found = array()
    yield Variable(path.stem, (), found.shape, found.dtype, {}, lambda rows: array()[rows])


def _npz(path: Path) -> Iterator[Variable]:
    """Arrays of an archive; ``attributes`` may hold JSON with ``dims`` and ``units``, as the command sample writes."""

    def member(name: str) -> np.ndarray:
        with np.load(path, allow_pickle=False) as archive:
            return np.asarray(archive[name])

    def rows_of(name: str, rows: slice) -> np.ndarray:
        return member(name)[rows]

    attributes: dict[str, Any] = {}
    with zipfile.ZipFile(path) as archive:
        names = [one.removesuffix(".npy") for one in archive.namelist() if one.endswith(".npy")]
        headers = {}
        for name in names:
            with archive.open(f"{name}.npy") as file:
                headers[name] = _npy_header(file)
    if "attributes" in headers and headers["attributes"][1].kind == "U":
        content = json.loads(str(member("attributes")))
        attributes = content if isinstance(content, dict) else {}
    dims, units = tuple(map(str, attributes.get("dims", ()))), attributes.get("units", {})
    for name in names:
        shape, dtype = headers[name]
        own: tuple[str, ...] = (name,) if len(shape) == 1 and name in dims else ()
        attrs = {"units": units[name]} if isinstance(units, Mapping) and name in units else {}
        yield Variable(
            name,
            dims if len(dims) == len(shape) and len(shape) > 1 else own,
            shape,
            dtype,
            attrs,
            partial(rows_of, name),
        )


def _npy_header(file: Any) -> tuple[tuple[int, ...], np.dtype]:
    version = np.lib.format.read_magic(file)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"its arrays are of .npy version {version}")
    shape, _, dtype = readers[version](file)
    return shape, dtype


def _netcdf(path: Path) -> Iterator[Variable]:
    with path.open("rb") as file:
        magic = file.read(4)
    yield from _netcdf3(path) if magic[:3] == b"CDF" else _hdf5(path)


def _netcdf3(path: Path) -> Iterator[Variable]:
    from scipy.io import netcdf_file

    def block(name: str, rows: slice) -> np.ndarray:
        # Mapped, so that a block is read and no more; copied, so that the file can be closed.
        with netcdf_file(path, "r", mmap=True) as file:
            variable = file.variables[name]
            values = np.array(variable[rows] if variable.shape else variable.getValue())
            del variable
        return values.astype(values.dtype.newbyteorder("="))

    with netcdf_file(path, "r", mmap=True) as file:
        found = [
            (
                name,
                tuple(one.dimensions),
                tuple(map(int, one.shape)),
                np.dtype(one.typecode()),
                _netcdf3_attributes(one),
            )
            for name, one in file.variables.items()
        ]
    for name, dims, shape, dtype, attrs in found:
        yield Variable(name, dims, shape, dtype, attrs, partial(block, name))


def _netcdf3_attributes(variable: Any) -> dict[str, Any]:
    return _plain(variable._attributes)


def _hdf5(path: Path) -> Iterator[Variable]:
    import h5py

    def block(name: str, rows: slice) -> np.ndarray:
        with h5py.File(path, "r") as file:
            dataset = file[name]
            return np.asarray(dataset[rows] if dataset.shape else dataset[()])

    found: list[Variable] = []

    def visit(name: str, one: Any) -> None:
        if not isinstance(one, h5py.Dataset) or one.shape is None or one.dtype.kind not in "fiubSO":
            return
        attrs = _plain({key: one.attrs[key] for key in one.attrs if key not in _HDF5_OWN})
        scale = h5py.h5ds.is_scale(one.id)
        if scale and str(_text(one.attrs.get("NAME", b""))).startswith("This is a netCDF dimension but not"):
            return
        dims = (name.rpartition("/")[2],) if scale and one.ndim == 1 else tuple(map(_axis_name, one.dims))
        found.append(
            Variable(
                name,
                dims if all(dims) else (),
                one.shape,
                one.dtype,
                attrs,
                partial(block, name),
            )
        )

    with h5py.File(path, "r") as file:
        file.visititems(visit)
    yield from found


_HDF5_OWN = {
    "DIMENSION_LIST",
    "REFERENCE_LIST",
    "CLASS",
    "NAME",
    "_Netcdf4Dimid",
    "_Netcdf4Coordinates",
}


def _axis_name(dimension: Any) -> str:
    """Name of one axis of an HDF5 data set: that of its dimension scale, else its label."""
    if len(dimension):
        return str(dimension[0].name).rpartition("/")[2]
    return str(dimension.label)


def _zarr(path: Path) -> Iterator[Variable]:
    import tensorstore

    def block(place: Path, driver: str, rows: slice) -> np.ndarray:
        spec = {"driver": driver, "kvstore": {"driver": "file", "path": str(place)}}
        array = tensorstore.open(spec, read=True).result()
        start, stop, _ = rows.indices(array.shape[0])
        return np.asarray(array[start:stop].read().result())

    found = sorted({one.parent for name in (".zarray", "zarr.json") for one in path.rglob(name)})
    for place in found:
        second, third = place / ".zarray", place / "zarr.json"
        if second.exists():
            about = json.loads(second.read_text())
            beside = place / ".zattrs"
            attrs = json.loads(beside.read_text()) if beside.exists() else {}
            dims, driver, kind = attrs.pop("_ARRAY_DIMENSIONS", ()), "zarr", about["dtype"]
            # 0 is what writers put there by default: it is a value, not a mark of what is missing.
            if about.get("fill_value") and np.dtype(kind).kind in "fiu":
                attrs.setdefault("_FillValue", float(about["fill_value"]))
        else:
            about = json.loads(third.read_text())
            if about.get("node_type") != "array":
                continue
            attrs = dict(about.get("attributes", {}))
            dims, driver, kind = about.get("dimension_names") or (), "zarr3", about["data_type"]
        shape, name = tuple(about["shape"]), place.relative_to(path).as_posix()
        yield Variable(
            path.stem if name == "." else name,
            tuple(map(str, dims)) if len(dims) == len(shape) and all(dims) else (),
            shape,
            np.dtype(kind),
            attrs,
            partial(block, place, driver),
        )


def _csv(path: Path) -> Iterator[Variable]:
    """Columns of a table with a line of names: one variable each along the axis of the rows.

    The rows are an axis of time where a column is called time, date or t; else they are samples.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        sample = file.read(65536)
        file.seek(0)
        delimiter = csv.Sniffer().sniff(sample.partition("\n")[0] or ",", ",;\t").delimiter if sample else ","
        rows = [row for row in csv.reader(file, delimiter=delimiter) if row and not row[0].lstrip().startswith("#")]
    if len(rows) < 2:
        raise ValueError("it needs a line of names and lines of numbers")
    names = ["_".join(name.split()) for name in rows[0]]
    if all(map(_is_number, names)) or len(set(names)) < len(names) or not all(names):
        raise ValueError("its first line must name every column, each by another name")
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(names):
            raise ValueError(f"line {number} has {len(row)} columns and the first has {len(names)}")
    dim = next((name for name in names if name.lower() in ("time", "date", "datetime", "t")), "sample")
    for name, column in zip(names, zip(*rows[1:])):
        try:
            values = np.array([float(one) if one.strip().lower() not in _EMPTY else np.nan for one in column])
        except ValueError:
            values = np.array([one.strip() for one in column])
        yield Variable(name, (dim,), values.shape, values.dtype, {}, values.__getitem__)


_EMPTY = ("", "nan", "na", "n/a", "null", "none")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _text(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _plain(attrs: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes as text, numbers or small arrays."""
    found = {}
    for name, value in attrs.items():
        value = _text(value)
        if isinstance(value, np.ndarray) and value.size == 1:
            value = _text(value.reshape(()).item())
        found[_text(name)] = value
    return found


_READERS: dict[str, Callable[[Path], Iterator[Variable]]] = {
    ".npy": _npy,
    ".npz": _npz,
    ".h5": _hdf5,
    ".hdf5": _hdf5,
    ".nc": _netcdf,
    ".nc4": _netcdf,
    ".zarr": _zarr,
    ".csv": _csv,
}
