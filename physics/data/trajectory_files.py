"""The half-made files of a data set: written a chunk at a time, so that an interrupted run loses one chunk.

All files get their full size first, so that a full disk shows before hours are spent. A chunk counts as done
once its mark is written, after its data; a run that is killed between the two writes the same bytes again.
Several processes may write chunks of their own.
"""

import errno
import json
import math
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from physics.data.block_checksums import block_checksums
from physics.data.cache import DESCRIPTION, write_atomically

_PROGRESS = "progress.json"
_MARKS = "chunks.done"


class TrajectoryFiles:
    """The ``.npy`` files of a data set being made in ``directory``, which must exist.

    What an earlier run left is kept where it was made under the same circumstances (library versions,
    backend, chunks), and discarded otherwise.
    """

    def __init__(self, directory: Path, circumstances: dict[str, Any]):
        self.directory = directory
        self._arrays: dict[str, np.memmap] = {}
        self.notes: dict[str, Any] = {}
        if (found := self._read_notes()).get("circumstances") == circumstances:
            self.notes = found
        else:
            for file in directory.iterdir():
                shutil.rmtree(file) if file.is_dir() else file.unlink()
            self.note(circumstances=circumstances)

    @classmethod
    def begun(cls, directory: Path, circumstances: dict[str, Any], session: str) -> "TrajectoryFiles | None":
        """The files that another process has begun under the same circumstances, where this one sees them.

        Arguments:
            directory: of the files, perhaps on a disk that the other process does not have.
            circumstances: of this process.
            session: what the other process has noted under this name.
        """
        files = cls.__new__(cls)
        files.directory, files._arrays = directory, {}
        files.notes = files._read_notes()
        known = (files.notes.get("circumstances"), files.notes.get("session"))
        return files if known == (circumstances, session) else None

    def note(self, **facts: object) -> None:
        """Remember JSON facts across interruptions."""
        self.notes.update(facts)
        write_atomically(self.directory / _PROGRESS, json.dumps(self.notes))

    def reserve(self, arrays: dict[str, tuple[tuple[int, ...], np.dtype]]) -> None:
        """Create the files at their full size, by name the shape and dtype; those there already stay.

        Raises:
            OSError: the disk has no room for all of them; none is created, and other programs keep their room.
        """
        missing = {}
        for name, (shape, dtype) in arrays.items():
            path = self.directory / f"{name}.npy"
            if not self._fits(path, shape, dtype):
                path.unlink(missing_ok=True)
                missing[path] = shape, dtype
        needed = sum(dtype.itemsize * math.prod(shape) for shape, dtype in missing.values())
        if needed > shutil.disk_usage(self.directory).free:
            raise OSError(errno.ENOSPC, f"No space left on device for {needed / 1e9:.3g} GB", str(self.directory))
        if missing:
            # A file made anew holds zeros, whatever the marks say of the one that it replaces.
            (self.directory / _MARKS).unlink(missing_ok=True)
        for path, (shape, dtype) in missing.items():
            _create(path, shape, dtype)

    def write(self, name: str, start: int, values: np.ndarray) -> None:
        """Write rows from ``start`` on."""
        array = self.read(name)
        row = array[:1].nbytes
        # Not through a memory map: on a full disk that is a signal, not an exception.
        with (self.directory / f"{name}.npy").open("r+b") as file:
            file.seek(array.offset + start * row)
            file.write(np.ascontiguousarray(values, array.dtype).reshape(-1).view(np.uint8).data)
            file.flush()
            os.fsync(file.fileno())

    def read(self, name: str) -> np.memmap:
        """One file as a read-only memory map."""
        if name not in self._arrays:
            self._arrays[name] = np.load(self.directory / f"{name}.npy", mmap_mode="r", allow_pickle=False)
        return self._arrays[name]

    def done(self, chunks: int) -> np.ndarray:
        """Which chunks are complete, as booleans."""
        marks = np.zeros(chunks, bool)
        with suppress(FileNotFoundError):
            found = np.frombuffer((self.directory / _MARKS).read_bytes(), np.uint8)[:chunks]
            marks[: len(found)] = found == 1
        return marks

    def mark(self, chunk: int) -> None:
        """Count a chunk as complete; call it after its last `write`."""
        descriptor = os.open(self.directory / _MARKS, os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            os.lseek(descriptor, chunk, os.SEEK_SET)
            os.write(descriptor, b"\1")
        finally:
            os.close(descriptor)

    def described(self, name: str) -> dict[str, Any]:
        """What the description says of a file beside shape and type: its size and its checksums."""
        path = self.directory / f"{name}.npy"
        return {"bytes": path.stat().st_size, "checksums": block_checksums(path)}

    def finish(self, description: str) -> None:
        """Write the description, and remove what only an unfinished data set needs."""
        write_atomically(self.directory / DESCRIPTION, description)
        self._arrays.clear()
        for name in (_PROGRESS, _MARKS):
            (self.directory / name).unlink(missing_ok=True)

    def _read_notes(self) -> dict[str, Any]:
        try:
            return json.loads((self.directory / _PROGRESS).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}

    def _fits(self, path: Path, shape: tuple[int, ...], dtype: np.dtype) -> bool:
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, EOFError, ValueError):
            return False
        return array.shape == shape and array.dtype == dtype


def _create(path: Path, shape: tuple[int, ...], dtype: np.dtype) -> None:
    try:
        _reserve(path, shape, dtype)
    except OSError:
        # What could be reserved of it would keep the disk full.
        path.unlink(missing_ok=True)
        raise


def _reserve(path: Path, shape: tuple[int, ...], dtype: np.dtype) -> None:
    with path.open("wb") as file:
        header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        size = file.tell() + dtype.itemsize * math.prod(shape)
        file.flush()
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        file.truncate(size)
        file.flush()
        os.fsync(file.fileno())
