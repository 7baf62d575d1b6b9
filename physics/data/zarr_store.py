"""Data sets in a zarr store: a folder or an object store, in which several hosts make and keep them.

Training does not read from the store. It reads a copy in the cache, as ``.npy`` files, because tensorstore takes far
longer than a memory map for a random batch (``benchmarks/data_reading.py``). All checksums are verified when the copy
is made, so that damage is noticed then.
"""

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np

from physics.data.cache import DESCRIPTION, DamagedEntryError, held
from physics.data.dataset import SPLITS
from physics.data.pilot import Progress
from physics.data.planning import Chunk, chunks_of
from physics.data.trajectory_files import TrajectoryFiles
from physics.data.zarr_trajectories import StoreError, ZarrTrajectories, cannot_be, context, told

_WRITTEN_BYTES = 2**24
"""Bytes of a copy between two calls that wait for the disk; twice as many are held in memory."""


class ZarrStore:
    """The data sets below one place, each under its key.

    Arguments:
        place: a folder, or a URL of a key-value store of tensorstore, as ``gs://BUCKET/PATH`` or ``s3://BUCKET/PATH``.

    Raises:
        StoreError: there is no such kind of place.
    """

    def __init__(self, place: str):
        self.place = place
        scheme, separator, rest = place.partition("://")
        self.folder: Path | None = None
        if not separator:
            self.folder = Path(place).expanduser().absolute()
        elif scheme == "file":
            self.folder = Path(unquote(urlsplit(place).path))
        if self.folder is not None:
            self.place = str(self.folder)
        elif not rest.strip("/"):
            raise StoreError(f"the store {place!r} names no place: write a folder, or a URL such as gs://BUCKET/data")
        else:
            self._read_url()

    def _read_url(self) -> None:
        """Refuse a URL that is none; the store itself is not asked."""
        import tensorstore

        try:
            tensorstore.KvStore.Spec(self.place)
        except ValueError as error:
            reason = " ".join(str(error).split())
            raise StoreError(
                f"the store {self.place!r} cannot be opened ({reason}): write a folder, or a URL such as "
                "gs://BUCKET/data or s3://BUCKET/data"
            ) from error

    def _open(self, key: str) -> Any:
        import tensorstore

        root: Any = f"{self.place.rstrip('/')}/"
        if self.folder is not None:
            root = {"driver": "file", "path": root}
        with told(self.place, "read"):
            return tensorstore.KvStore.open(root, context=context()).result() / key

    def trajectories(self, key: str, shard: int) -> ZarrTrajectories:
        """The data set of a key, complete or not, which is made with so many trajectories in a chunk."""
        return ZarrTrajectories(self._open(f"{key}/"), f"{self.place.rstrip('/')}/{key}", shard)

    def begun(self, key: str, circumstances: dict[str, Any], session: str) -> ZarrTrajectories | None:
        """What another process has begun to make under the same circumstances, where this one sees it."""
        found = self.trajectories(key, circumstances["chunk"])
        known = (found.notes.get("circumstances"), found.notes.get("session"))
        return found if known == (circumstances, session) else None

    def obtain(
        self,
        key: str,
        circumstances: Callable[[], dict[str, Any]],
        make: Callable[[ZarrTrajectories], None],
        waiting: Callable[[], None],
    ) -> None:
        """Make a data set where it is not complete: all of it, or the shards that are missing.

        Arguments:
            key: of the data set.
            circumstances: returns those of the making; what was made under others is removed.
            make: makes what is missing; its ``ValueError`` removes what was made.
            waiting: called while another process makes it, which is known of folders alone.
        """
        if self._complete(key):
            return
        with self._held(key, waiting):
            if self._complete(key):
                return
            found = self.trajectories(key, circumstances()["chunk"])
            if found.json(DESCRIPTION) is not None:
                found.reopen()
            found.begin(circumstances())
            try:
                make(found)
            except (StoreError, DamagedEntryError):
                raise
            except ValueError:
                found.discard()
                raise

    @contextmanager
    def _held(self, key: str, waiting: Callable[[], None]) -> Iterator[None]:
        if self.folder is None:
            yield
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_be("written", self.place, str(error.strerror)) from error
        with held(self.folder / f"{key}.lock", waiting):
            yield

    def _complete(self, key: str) -> bool:
        opened = self._described(key)
        return opened is not None and bool(opened[0].done(len(opened[0]._chunks)).all())

    def _described(self, key: str) -> tuple[ZarrTrajectories, dict[str, Any]] | None:
        description = self.trajectories(key, 1).json(DESCRIPTION)
        if description is None:
            return None
        found = self.trajectories(key, description["files"][SPLITS[0]]["shard"])
        found.reserve(_arrays(description))
        return found, description

    def copy(self, key: str, directory: Path, report: Progress) -> None:
        """Copy a complete data set into a folder as ``.npy`` files; an interrupted copy is continued from.

        Raises:
            DamagedEntryError: a shard is damaged; the message names it, with the remedy.
        """
        opened = self._described(key)
        if opened is None:
            raise StoreError(f"the store {self.place} has no data set {key}: give the same command again, to make it")
        source, description = opened
        files = TrajectoryFiles(directory, {"copied from": self.place})
        arrays = _arrays(description)
        files.reserve(arrays)
        counts = [arrays[split][0][0] for split in SPLITS]
        chunks = list(chunks_of(counts, description["files"][SPLITS[0]]["shard"]))
        missing = [chunk for chunk, done in zip(chunks, files.done(len(chunks))) if not done]
        copied = sum(counts) - sum(chunk.length for chunk in missing)

        def start(group: list[Chunk]) -> list[tuple[str, int, Any]]:
            names = [name for name in arrays if name.partition("-")[0] == SPLITS[group[0].split]]
            rows = [(chunk.start, chunk.start + chunk.length) for chunk in group]
            return [(name, first, source.start_reading(name, first, last)) for name in names for first, last in rows]

        size = sum(math.prod(shape) * dtype.itemsize for shape, dtype in arrays.values())
        groups = list(_groups(missing, max(1, size // max(1, sum(counts)))))
        reading = start(groups[0]) if groups else []
        for number, group in enumerate(groups):
            # The next shards are read while these are written.
            pending, reading = reading, start(groups[number + 1]) if number + 1 < len(groups) else []
            parts: dict[str, list[np.ndarray]] = {}
            for name, first, future in pending:
                parts.setdefault(name, []).append(source.finish_reading(future, name, first))
            for name, values in parts.items():
                files.write(name, group[0].start, np.concatenate(values))
            for chunk in group:
                files.mark(chunk.number)
            copied += sum(chunk.length for chunk in group)
            report(copied, sum(counts), "trajectories copied")
        described = {name: {**_plain(about), **files.described(name)} for name, about in description["files"].items()}
        description = {name: value for name, value in description.items() if name != "notes"}
        files.finish(json.dumps({**description, "files": described, "store": self.place}, indent=2))


def _groups(missing: list[Chunk], size: int) -> Iterator[list[Chunk]]:
    """Join chunks that lie side by side, to be written at once; ``size`` is that of a trajectory in bytes."""
    group: list[Chunk] = []
    for chunk in missing:
        length = sum(one.length for one in group)
        beside = group and chunk.split == group[0].split and chunk.start == group[0].start + length
        if group and not (beside and (length + chunk.length) * size <= _WRITTEN_BYTES):
            yield group
            group = []
        group.append(chunk)
    if group:
        yield group


def _arrays(description: dict[str, Any]) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    return {name: (tuple(about["shape"]), np.dtype(about["dtype"])) for name, about in description["files"].items()}


def _plain(about: dict[str, Any]) -> dict[str, Any]:
    return {name: about[name] for name in ("shape", "dtype")}
