"""A content-addressed cache of folders: written once, shared between processes, bounded in size.

An entry is a folder named by the hash of the description of what it holds, so equal descriptions meet and
nothing in it is ever rewritten. In the cache directory lie

    KEY/             a complete entry, made visible by one rename
    KEY.partial/     an entry being made, or left behind by an interrupted run, which the next one continues
    KEY.lock         held by the process that makes the entry
    KEY.use-*        one locked file for every open data set: the operating system drops the lock when its
                     process ends, however it ends, so a killed process keeps nothing in use
    cache.lock       held for an instant while entries are opened, published or evicted

Past its size limit the cache drops the entries that were used longest ago, never one in use.

A cache that this process may not write to, such as one that a group shares, is read all the same: complete entries
are opened without a lock. Nothing keeps another machine from removing such an entry meanwhile.
"""

import errno
import hashlib
import json
import os
import shutil
import uuid
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout

from physics.user_warning import warn_user

DEFAULT_LIMIT = 20 * 10**9
DESCRIPTION = "dataset.json"
_LOCK = "cache.lock"
_UNWRITABLE = (errno.EROFS, errno.EACCES, errno.EPERM)
Entry = TypeVar("Entry")


class DamagedEntryError(ValueError):
    """A folder that does not hold what its description says, or in another format."""


class CacheDiskError(OSError):
    """The disk that holds the cache hinders; the message is one sentence with the remedy."""

    def __str__(self) -> str:
        return str(self.strerror)


class DiskFullError(CacheDiskError):
    """The disk that holds the cache is full."""


class UnwritableCacheError(CacheDiskError):
    """What is wanted is not in the cache, and cannot be made there."""


@dataclass(frozen=True)
class CacheEntry:
    """One folder of the cache: key, name, size in bytes, last use in seconds since the epoch."""

    key: str
    name: str
    path: Path
    size: int
    last_used: float
    complete: bool
    in_use: bool


class Lease:
    """Keeps an entry from being evicted until it is released or its process ends; without a path it keeps nothing."""

    def __init__(self, path: Path | None):
        self._finalizer: weakref.finalize[..., Lease] | None = None
        if path is not None:
            lock = FileLock(path, thread_local=False)
            lock.acquire(timeout=0)
            self._finalizer = weakref.finalize(self, _release_and_unlink, lock, path)

    def release(self) -> None:
        """Give the entry free; doing it twice is harmless."""
        if self._finalizer is not None:
            self._finalizer()


def _release_and_unlink(lock: FileLock, path: Path) -> None:
    with suppress(OSError):
        path.unlink(missing_ok=True)
        lock.release(force=True)


def canonical_json(description: object) -> str:
    """The one JSON text of a description: sorted keys, no spaces, shortest exact floats, NaN refused."""
    return json.dumps(description, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def content_key(description: object) -> str:
    """Key of a description: the first 128 bits of the SHA-256 of its canonical JSON, in hexadecimal."""
    return hashlib.sha256(canonical_json(description).encode()).hexdigest()[:32]


def default_directory() -> Path:
    """``$SOLVERGAN_CACHE``, else ``solvergan/datasets`` below ``$XDG_CACHE_HOME`` or ``~/.cache``."""
    if chosen := os.environ.get("SOLVERGAN_CACHE"):
        return Path(chosen).expanduser()
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "solvergan" / "datasets"


def default_limit() -> int:
    """Size limit in bytes: ``$SOLVERGAN_CACHE_GB`` times 1e9, else 20 GB.

    Raises:
        ValueError: the variable is not a positive number.
    """
    text = os.environ.get("SOLVERGAN_CACHE_GB")
    if text is None:
        return DEFAULT_LIMIT
    with suppress(ValueError, OverflowError):
        if (gigabytes := float(text)) > 0:
            return int(gigabytes * 1e9)
    raise ValueError(f"SOLVERGAN_CACHE_GB is {text!r}: it must be a positive number of gigabytes, such as 20")


def write_atomically(path: Path, text: str) -> None:
    """Replace a small text file as a whole: readers see the old or the new, also after a power cut."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def held(path: Path, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold a lock file, whose folder is made; ``waiting`` is called about twice a second while another process does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, thread_local=False)
    while True:
        try:
            lock.acquire(timeout=0.5)
            break
        except Timeout:
            if waiting is not None:
                waiting()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def disk_errors_in_one_sentence(directory: Path, what: str) -> Iterator[None]:
    """Turn errors of the disk inside the block into a :class:`CacheDiskError`."""
    try:
        yield
    except OSError as error:
        if isinstance(error, CacheDiskError) or error.errno not in (errno.ENOSPC, errno.EDQUOT, *_UNWRITABLE):
            raise
        if error.errno in _UNWRITABLE:
            message = (
                f"the cache {directory} does not hold {what}, which has to be made, and may not be written to: set "
                "SOLVERGAN_CACHE to a directory of your own"
            )
            raise UnwritableCacheError(error.errno, message) from error
        message = (
            f"the disk of {directory} is full while writing {what}: free some space there or set "
            "SOLVERGAN_CACHE to a directory on another disk; the part already made is continued from"
        )
        raise DiskFullError(errno.ENOSPC, message) from error


class Cache:
    """The entries under one directory.

    Arguments:
        directory: where they lie; :func:`default_directory` when None. Created at the first write.
        limit: total bytes past which the least recently used entries go; :func:`default_limit` when None.
    """

    def __init__(self, directory: str | os.PathLike[str] | None = None, limit: int | None = None):
        self.directory = default_directory() if directory is None else Path(directory).expanduser()
        self.limit = default_limit() if limit is None else limit

    def entry(self, key: str) -> Path:
        """Where the complete entry lies, once there is one."""
        return self.directory / key

    def partial(self, key: str) -> Path:
        """Where the entry is being made."""
        return self.directory / f"{key}.partial"

    def obtain(
        self,
        key: str,
        what: str,
        read: Callable[[Path, Lease], Entry],
        make: Callable[[Path], None],
        waiting: Callable[[], None] | None = None,
    ) -> Entry:
        """What lies under a key, made first where it does not, by one of the processes that request it.

        Arguments:
            key: of the entry.
            what: it is, for messages.
            read: takes a complete entry and the lease on it; a `DamagedEntryError` becomes a warning, and the entry is
                made again.
            make: fills the partial folder, the description last; its ``ValueError`` removes what was made.
            waiting: called while another process makes the entry.

        Raises:
            ValueError: by ``make``.
            DiskFullError: the disk is full; what is made so far is continued from.
            UnwritableCacheError: there is no whole entry, and none can be made.
        """
        if (found := self._read(key, read)) is not None:
            return found
        with disk_errors_in_one_sentence(self.directory, what), self.making(key, waiting) as partial:
            if (found := self._read(key, read)) is not None:
                return found
            if not (partial / DESCRIPTION).is_file():
                try:
                    make(partial)
                except ValueError:
                    self.discard(key)
                    raise
            return read(*self.publish(key))

    def _read(self, key: str, read: Callable[[Path, Lease], Entry]) -> Entry | None:
        opened = self.open(key)
        if opened is None:
            return None
        try:
            return read(*opened)
        except DamagedEntryError as error:
            warn_user(f"{error} (this is done now)")
            opened[1].release()
            return None

    def open(self, key: str) -> tuple[Path, Lease] | None:
        """The complete entry and a lease on it, or None where there is none."""
        path = self.entry(key)
        if not (path / DESCRIPTION).is_file():
            return None
        try:
            with self._locked():
                if not (path / DESCRIPTION).is_file():
                    return None
                with suppress(OSError):
                    os.utime(path)
                return path, Lease(self.directory / f"{key}.use-{uuid.uuid4().hex}")
        except OSError as error:
            if error.errno not in _UNWRITABLE:
                raise
            return path, Lease(None)

    @contextmanager
    def making(self, key: str, waiting: Callable[[], None] | None = None) -> Iterator[Path]:
        """Hold the right to make one entry; yields its partial folder, with what an earlier run left there.

        A second process waits here and calls ``waiting`` about twice a second.
        """
        with held(self.directory / f"{key}.lock", waiting):
            partial = self.partial(key)
            partial.mkdir(exist_ok=True)
            yield partial

    def publish(self, key: str) -> tuple[Path, Lease]:
        """Make the finished partial folder the complete entry, by one rename; keep the cache to its limit.

        Call it inside :meth:`making`. An entry of that key that is already there is damaged, and replaced.
        """
        path = self.entry(key)
        with self._locked():
            self._remove(path)
            self.partial(key).rename(path)
            _synchronize(self.directory)
            lease = Lease(self.directory / f"{key}.use-{uuid.uuid4().hex}")
            self._evict(self.limit)
        return path, lease

    def discard(self, key: str) -> None:
        """Remove what an unfinished run left of an entry; call it inside :meth:`making`."""
        with self._locked():
            self._remove(self.partial(key))

    def entries(self) -> list[CacheEntry]:
        """Every entry, complete or partial, least recently used first."""
        if not self.directory.is_dir():
            return []
        with self._locked():
            return self._entries()

    def clear(self) -> list[CacheEntry]:
        """Remove every entry that is not in use; returns those removed."""
        if not self.directory.is_dir():
            return []
        with self._locked():
            return self._evict(0)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with FileLock(self.directory / _LOCK, thread_local=False):
            yield

    def _entries(self) -> list[CacheEntry]:
        found = []
        for path in self.directory.iterdir():
            if path.name.startswith(".removed-"):
                shutil.rmtree(path, ignore_errors=True)
                continue
            key, _, suffix = path.name.partition(".")
            if not path.is_dir() or suffix not in ("", "partial"):
                continue
            complete = not suffix and (path / DESCRIPTION).is_file()
            files = _stat_files(path)
            size = sum(file.st_size for file in files)
            last_used = path.stat().st_mtime if complete else max([path.stat().st_mtime, *(f.st_mtime for f in files)])
            in_use = self._in_use(key) if complete else _is_locked(self.directory / f"{key}.lock")
            found.append(CacheEntry(key, _name(path), path, size, last_used, complete, in_use))
        return sorted(found, key=lambda entry: entry.last_used)

    def _in_use(self, key: str) -> bool:
        held = [_is_locked(lease, remove=True) for lease in list(self.directory.glob(f"{key}.use-*"))]
        return any(held)

    def _evict(self, limit: int) -> list[CacheEntry]:
        entries = self._entries()
        total = sum(entry.size for entry in entries)
        removed = []
        for entry in entries:
            if total <= limit and limit > 0:
                break
            if not entry.in_use and self._remove_unused(entry):
                total -= entry.size
                removed.append(entry)
        return removed

    def _remove_unused(self, entry: CacheEntry) -> bool:
        """Remove an entry; not one that a process has begun to make since it was listed."""
        if entry.complete:
            self._remove(entry.path)
            return True
        # Making does not wait for the cache's lock, so the entry's own is held while its folder goes.
        lock = FileLock(self.directory / f"{entry.key}.lock", thread_local=False)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            return False
        try:
            self._remove(entry.path)
        finally:
            lock.release()
        return True

    def _remove(self, path: Path) -> None:
        # The rename makes the removal whole: interrupted, it leaves a folder that nobody takes for an entry.
        if path.exists():
            doomed = self.directory / f".removed-{uuid.uuid4().hex}"
            path.rename(doomed)
            shutil.rmtree(doomed, ignore_errors=True)


def _stat_files(folder: Path) -> list[os.stat_result]:
    """Sizes and times of the files of an entry; the process that makes it may replace some meanwhile."""
    found = []
    for file in folder.iterdir():
        with suppress(FileNotFoundError):
            if file.is_file():
                found.append(file.stat())
    return found


def _is_locked(path: Path, remove: bool = False) -> bool:
    if not path.exists():
        return False
    lock = FileLock(path, thread_local=False)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return True
    if remove:
        path.unlink(missing_ok=True)
    lock.release()
    return False


def _name(path: Path) -> str:
    with suppress(OSError, ValueError):
        return str(json.loads((path / DESCRIPTION).read_text(encoding="utf-8")).get("name", ""))
    return ""


def _synchronize(directory: Path) -> None:
    # Makes the rename itself survive a power cut; not every platform lets a directory be opened.
    with suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def usage(directory: str | os.PathLike[str] | None = None) -> list[CacheEntry]:
    """What the cache holds, least recently used first (see :class:`Cache` for ``directory``)."""
    return Cache(directory).entries()


def clear(directory: str | os.PathLike[str] | None = None) -> list[CacheEntry]:
    """Empty the cache of everything that no running process uses; returns what was removed."""
    return Cache(directory).clear()
