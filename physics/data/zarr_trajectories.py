"""The arrays of a data set in a zarr store (format 3, sharded), on a disk or in an object store, through tensorstore.

A shard holds the trajectories of one chunk of the generation, so that one process writes it, whole, by one write.
Within a shard lie groups of whole trajectories of about a mebibyte, each with its checksum (CRC-32C), which every
reader verifies. A chunk whose shards are all there is complete, and needs no other mark.

    NAME/zarr.json, NAME/c/0/0/...    an array of `physics.data.dataset`, and its shards
    progress.json                     what an unfinished data set needs
    dataset.json                      the description, written last
"""

import errno
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

from physics.data.cache import DESCRIPTION, DamagedEntryError, DiskFullError
from physics.data.dataset import SPLITS
from physics.data.planning import Chunk, chunks_of

PROGRESS = "progress.json"
_GROUP_BYTES = 2**20
_FULL = ("No space left on device", "Disk quota exceeded")
_DAMAGED = ("DATA_LOSS", "is missing", "OUT_OF_RANGE")


class StoreError(ValueError):
    """A zarr store that cannot be opened, read or written; the message is one sentence with the remedy."""


def cannot_be(doing: str, place: str, reason: str) -> StoreError:
    """The error of a store that cannot be "read" or "written"."""
    remedy = "choose a place that exists and that you may write to, and check the network and your credentials"
    return StoreError(f"the store {place} cannot be {doing} ({reason}): {remedy}")


@cache
def context() -> Any:
    """What all accesses of this process share; nothing is cached, since everything is read once."""
    # It takes half a second, which those do not wait for who use no store.
    import tensorstore

    return tensorstore.Context()


@contextmanager
def told(place: str, doing: str) -> Iterator[None]:
    """Turn an error of tensorstore inside the block into one sentence.

    Arguments:
        place: the store.
        doing: "read" or "written".

    Raises:
        DiskFullError: the disk of a local store is full.
        StoreError: anything else.
    """
    try:
        yield
    except (StoreError, DamagedEntryError):
        raise
    except (ValueError, NotImplementedError) as error:
        reason = " ".join(str(error).split())
        if any(text in reason for text in _FULL):
            remedy = "free some space there or choose another store; the part already made is continued from"
            raise DiskFullError(errno.ENOSPC, f"the disk of the store {place} is full: {remedy}") from error
        raise cannot_be(doing, place, reason) from error


class ZarrTrajectories:
    """The arrays of one data set below a prefix of a key-value store; see the module.

    Arguments:
        store: the ``tensorstore.KvStore`` of the data set.
        place: its name, for messages.
        shard: trajectories in a chunk.
    """

    def __init__(self, store: Any, place: str, shard: int):
        self.place = place
        self._store, self._shard = store, shard
        self._arrays: dict[str, Any] = {}
        self._chunks: list[Chunk] = []
        self.notes: dict[str, Any] = self.json(PROGRESS) or {}

    def json(self, name: str) -> dict[str, Any] | None:
        """One of the two JSON files; None where it is not there, or is none."""
        with told(self.place, "read"):
            content = self._store.read(name).result().value
        try:
            found = json.loads(content)
        except ValueError:
            return None
        return found if isinstance(found, dict) else None

    def begin(self, circumstances: dict[str, Any]) -> None:
        """Keep what an earlier run left where it was made under the same circumstances, and discard it otherwise."""
        if self.notes.get("circumstances") != circumstances:
            self.discard()
            self.note(circumstances=circumstances)

    def discard(self) -> None:
        """Remove everything."""
        import tensorstore

        with told(self.place, "written"):
            self._store.delete_range(tensorstore.KvStore.KeyRange()).result()
        self.notes = {}

    def note(self, **facts: object) -> None:
        """Remember JSON facts across interruptions."""
        self.notes.update(facts)
        self._put(PROGRESS, json.dumps(self.notes))

    def _put(self, name: str, text: str | None) -> None:
        with told(self.place, "written"):
            self._store.write(name, text).result()

    def reserve(self, arrays: dict[str, tuple[tuple[int, ...], np.dtype]]) -> None:
        """Write or read the metadata of the arrays, by name the shape and dtype; data that are there already stay."""
        import tensorstore

        self._chunks = list(chunks_of([arrays[split][0][0] for split in SPLITS], self._shard))
        for name, (shape, dtype) in arrays.items():
            spec = {
                "driver": "zarr3",
                "kvstore": (self._store / f"{name}/").spec().to_json(),
                "metadata": array_metadata(name, shape, dtype, self._shard),
                # Zeros where a shard is missing would be taken for data.
                "fill_missing_data_reads": False,
                "store_data_equal_to_fill_value": True,
            }
            with told(self.place, "written"):
                opened = tensorstore.open(spec, open=True, create=True, context=context())
                self._arrays[name] = opened.result()

    def write(self, name: str, start: int, values: np.ndarray) -> None:
        """Write the shard whose rows begin at ``start``."""
        import tensorstore

        array = self._arrays[name]
        with told(self.place, "written"):
            # One write of the whole shard: readers see all of it or nothing.
            transaction = tensorstore.Transaction()
            part = array.with_transaction(transaction)[start : start + len(values)]
            part.write(np.ascontiguousarray(values, array.dtype.numpy_dtype)).result()
            transaction.commit_async().result()

    def mark(self, chunk: int) -> None:
        """Do nothing: a chunk is complete once its shards are there."""

    def done(self, chunks: int) -> np.ndarray:
        """Which of so many chunks have all their shards, as booleans."""
        with told(self.place, "read"):
            there = {key.decode() for key in self._store.list().result()}
        return np.array([set(self._shards_of(chunk)) <= there for chunk in self._chunks[:chunks]], bool)

    def _shards_of(self, chunk: Chunk) -> Iterator[str]:
        split = SPLITS[chunk.split]
        for name, array in self._arrays.items():
            if name == split or name.startswith(f"{split}-"):
                yield self._key(name, array.rank, chunk.start)

    def _key(self, name: str, rank: int, start: int) -> str:
        return "/".join([name, "c", str(start // self._shard), *"0" * (rank - 1)])

    def read(self, name: str) -> "Rows":
        """One array, of which slices of rows are read when they are asked for."""
        return Rows(self, name)

    def start_reading(self, name: str, start: int, stop: int) -> Any:
        """The future of some rows, for `finish_reading`."""
        return self._arrays[name][start:stop].read()

    def finish_reading(self, future: Any, name: str, start: int) -> np.ndarray:
        """The rows of a future, which begin at ``start`` and end in the same shard.

        Raises:
            DamagedEntryError: the shard is damaged or missing; the message says which.
        """
        with told(self.place, "read"):
            try:
                return future.result()
            except ValueError as error:
                if not any(text in str(error) for text in _DAMAGED):
                    raise
                shard = f"{self.place.rstrip('/')}/{self._key(name, self._arrays[name].rank, start)}"
                raise DamagedEntryError(
                    f"{shard} is missing or has changed since it was made: remove this shard and give the same command "
                    "again, which makes it alone anew"
                ) from error

    def described(self, name: str) -> dict[str, Any]:
        """What the description says of an array beside shape and type: the trajectories of a shard."""
        return {"shard": self._shard}

    def finish(self, description: str) -> None:
        """Write the description, which makes the data set a complete one."""
        kept = {name: value for name, value in self.notes.items() if name != "session"}
        self._put("zarr.json", json.dumps({"zarr_format": 3, "node_type": "group", "attributes": {}}))
        self._put(DESCRIPTION, json.dumps({**json.loads(description), "notes": kept}, indent=2))
        self._put(PROGRESS, None)

    def reopen(self) -> None:
        """Make a complete data set an unfinished one, of which missing chunks are made again."""
        found = self.json(DESCRIPTION) or {}
        self.note(**found.get("notes", {}))
        self._put(DESCRIPTION, None)


class Rows:
    """The rows of an array in a store, read by slices and never past the end of a shard at once."""

    def __init__(self, trajectories: ZarrTrajectories, name: str):
        self._trajectories, self._name = trajectories, name
        self._count = int(trajectories._arrays[name].shape[0])

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, rows: slice) -> np.ndarray:
        start, stop, step = rows.indices(self._count)
        shard = self._trajectories._shard
        edges = [start, *range((start // shard + 1) * shard, stop, shard), max(stop, start)]
        parts = list(pairwise(edges))
        futures = [self._trajectories.start_reading(self._name, *part) for part in parts]
        found = [self._trajectories.finish_reading(one, self._name, part[0]) for one, part in zip(futures, parts)]
        return np.concatenate(found)[::step]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)


def array_metadata(name: str, shape: tuple[int, ...], dtype: np.dtype, shard: int) -> dict[str, Any]:
    """The metadata of an array whose first axis is cut into shards, and these into groups with a checksum each."""
    row = dtype.itemsize * math.prod(shape[1:])
    # Shards are cut evenly.
    group = max(one for one in range(1, shard + 1) if shard % one == 0 and (one == 1 or one * row <= _GROUP_BYTES))
    rest = list(shape[1:])
    checked = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}]
    sharding = {"chunk_shape": [group, *rest], "codecs": checked, "index_codecs": checked}
    metadata = {
        "shape": list(shape),
        "data_type": dtype.name,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [shard, *rest]}},
        "fill_value": "NaN",
        "codecs": [{"name": "sharding_indexed", "configuration": sharding}],
    }
    if name in SPLITS:
        metadata["dimension_names"] = ["trajectory", "time", *"xyz"[: len(shape) - 3], "channel"]
    return metadata
