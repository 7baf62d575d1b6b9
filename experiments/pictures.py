"""Labelled pictures from a file in one of the forms that MNIST comes in, or scikit-learn's handwritten digits.

- IDX (LeCun, Cortes and Burges 1998): an images file whose labels lie beside it under the same name with ``labels`` for
  ``images`` and ``idx1`` for ``idx3``; either may be compressed (``.gz``).
- NPZ: arrays ``x_train`` and ``y_train`` (and perhaps ``x_test``, ``y_test``), or ``images`` and ``labels``.

Everything is checked while it is read, so that nothing is compiled for data that cannot work.
"""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from experiments.errors import UserError

_IDX_TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


class Pictures(NamedTuple):
    """Pictures (n, y, x, C) with values in [0, 1] and labels (n,) from 0 to the number of classes less one."""

    images: np.ndarray
    labels: np.ndarray
    source: str


def load(path: str) -> Pictures:
    """Read pictures and their labels; an empty path means scikit-learn's digits, 8 x 8, embedded in the package.

    Raises:
        UserError: a file that is missing or damaged, or arrays whose shapes, labels or range do not fit.
    """
    if not path:
        return _shipped()
    file = Path(path)
    if not file.is_file():
        raise UserError(f"--system.file {path} is no file; give an IDX images file or an .npz of the MNIST form.")
    images, labels = _npz(file) if file.suffix == ".npz" else _idx_pair(file)
    return checked(images, labels, path)


def checked(images: np.ndarray, labels: np.ndarray, source: str) -> Pictures:
    """Bring pictures to (n, y, x, C) and [0, 1], labels to 0, 1, ...

    Raises:
        UserError: shapes, labels or range that do not fit.
    """
    where = f"--system.file {source}"
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or not 1 <= images.shape[-1] <= 4:
        raise UserError(
            f"{where}: pictures of shape {images.shape} cannot be read; give (n, y, x) or (n, y, x, channels) with "
            "1 to 4 channels."
        )
    if labels.shape != (len(images),) or not np.issubdtype(labels.dtype, np.integer):
        raise UserError(f"{where}: {labels.dtype} labels of shape {labels.shape}; give {len(images)} whole numbers.")
    classes, labels = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise UserError(f"{where} holds {len(classes)} class; modes can be counted from 2 classes on.")
    if not np.isfinite(images).all():
        raise UserError(f"{where} holds values that are not finite; clean the pictures first.")
    low, high = float(images.min()), float(images.max())
    top = 255.0 if high > 1 else 1.0
    if low < 0 or high > 255 or high <= 0:
        raise UserError(f"{where} has values from {low:g} to {high:g}; give 0 to 1, or 0 to 255.")
    return Pictures((images / top).astype(np.float32), labels.reshape(-1).astype(np.int64), source)


def _shipped() -> Pictures:
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError:
        raise UserError(
            "the shipped digits need scikit-learn; install it with `pip install scikit-learn`, or give --system.file."
        ) from None
    digits = load_digits()
    images = (digits.images / 16.0).astype(np.float32)[..., None]
    return Pictures(images, digits.target.astype(np.int64), "scikit-learn, load_digits")


def _npz(file: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        with np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"--system.file {file} cannot be read as .npz ({error}).") from None
    if {"x_train", "y_train"} <= arrays.keys():
        parts = [("x_train", "y_train"), ("x_test", "y_test")]
        found = [(arrays[x], arrays[y].reshape(-1)) for x, y in parts if {x, y} <= arrays.keys()]
        return np.concatenate([x for x, _ in found]), np.concatenate([y for _, y in found])
    if {"images", "labels"} <= arrays.keys():
        return arrays["images"], arrays["labels"].reshape(-1)
    raise UserError(
        f"--system.file {file} holds {', '.join(sorted(arrays)) or 'nothing'}; give x_train and y_train, or images and "
        "labels."
    )


def _idx_pair(file: Path) -> tuple[np.ndarray, np.ndarray]:
    beside = file.with_name(file.name.replace("images", "labels").replace("idx3", "idx1"))
    if beside == file or not beside.is_file():
        raise UserError(f"--system.file {file} needs its labels in {beside.name} beside it.")
    return read_idx(file), read_idx(beside).astype(np.int64)


def read_idx(file: Path) -> np.ndarray:
    """Read one IDX file.

    Raises:
        UserError: it is not one, or it is cut short.
    """
    try:
        raw = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    except (OSError, EOFError) as error:
        raise UserError(f"--system.file {file} cannot be read ({error}).") from None
    if len(raw) < 4 or raw[:2] != b"\0\0" or raw[2] not in _IDX_TYPES:
        raise UserError(f"--system.file {file} is no IDX file and no .npz; give one of the MNIST form.")
    axes, kind = raw[3], np.dtype(_IDX_TYPES[raw[2]])
    shape = tuple(np.frombuffer(raw, ">i4", axes, 4)) if len(raw) >= 4 + 4 * axes else ()
    if not shape or len(raw) != 4 + 4 * axes + int(np.prod(shape)) * kind.itemsize:
        raise UserError(f"--system.file {file} is cut short or not IDX; fetch it again.")
    return np.frombuffer(raw, kind, offset=4 + 4 * axes).reshape(shape)
