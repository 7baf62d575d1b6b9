"""The cache: equal descriptions meet, what is in use stays, the interrupted is never taken for complete."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from physics.data.cache import (
    Cache,
    DiskFullError,
    UnwritableCacheError,
    canonical_json,
    content_key,
    default_directory,
    default_limit,
    disk_errors_in_one_sentence,
    usage,
    write_atomically,
)
from physics.data.trajectory_files import TrajectoryFiles


def _make(cache: Cache, key: str, size: int = 1000, used: float | None = None):
    with cache.making(key) as partial:
        (partial / "array.npy").write_bytes(b"\0" * size)
        (partial / "dataset.json").write_text('{"name": "thing"}')
        path, lease = cache.publish(key)
    if used is not None:
        os.utime(path, (used, used))
    return path, lease


def test_equal_descriptions_have_one_key_whatever_their_order():
    assert content_key({"a": 1, "b": [0.1, 2]}) == content_key({"b": [0.1, 2], "a": 1})
    assert content_key({"a": 1.0}) != content_key({"a": 1.0 + 2**-52})
    assert canonical_json({"b": 1, "a": None}) == '{"a":null,"b":1}'
    with pytest.raises(ValueError):
        canonical_json({"a": float("nan")})


def test_the_directory_follows_the_environment(monkeypatch):
    monkeypatch.delenv("SOLVERGAN_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert default_directory() == Path("/somewhere/solvergan/datasets")
    monkeypatch.setenv("SOLVERGAN_CACHE", "/elsewhere")
    assert default_directory() == Path("/elsewhere")
    monkeypatch.setenv("SOLVERGAN_CACHE_GB", "0.5")
    assert default_limit() == 5 * 10**8
    for wrong in ("much", "inf", "-1"):
        monkeypatch.setenv("SOLVERGAN_CACHE_GB", wrong)
        with pytest.raises(ValueError, match=f"SOLVERGAN_CACHE_GB is '{wrong}'"):
            default_limit()


def test_an_entry_appears_only_when_published(tmp_path):
    cache = Cache(tmp_path, limit=10**6)
    assert cache.open("a") is None
    with cache.making("a") as partial:
        (partial / "dataset.json").write_text("{}")
        assert cache.open("a") is None
        path, lease = cache.publish("a")
    assert cache.open("a") is not None and (path / "dataset.json").is_file()
    assert not cache.partial("a").exists()
    lease.release()


def test_what_an_interrupted_run_left_is_handed_to_the_next(tmp_path):
    cache = Cache(tmp_path)
    with pytest.raises(KeyboardInterrupt), cache.making("a") as partial:
        (partial / "half").write_text("1")
        raise KeyboardInterrupt
    assert cache.open("a") is None
    with cache.making("a") as partial:
        assert (partial / "half").read_text() == "1"


def test_the_least_recently_used_entry_goes_first_and_one_in_use_never(tmp_path):
    cache = Cache(tmp_path, limit=3500)
    _, oldest = _make(cache, "oldest", used=1.0)
    for number, key in enumerate(("b", "c"), start=2):
        _make(cache, key, used=float(number))[1].release()
    _make(cache, "d")[1].release()
    assert {entry.key for entry in cache.entries()} == {"oldest", "c", "d"}
    oldest.release()
    _make(cache, "e")[1].release()
    assert {entry.key for entry in cache.entries()} == {"c", "d", "e"}


def test_opening_an_entry_makes_it_recent(tmp_path):
    cache = Cache(tmp_path, limit=2500)
    _make(cache, "a", used=1.0)[1].release()
    _make(cache, "b", used=2.0)[1].release()
    opened = cache.open("a")
    assert opened is not None
    opened[1].release()
    _make(cache, "c")[1].release()
    assert {entry.key for entry in cache.entries()} == {"a", "c"}


def test_clear_keeps_what_is_in_use_and_tells_what_went(tmp_path):
    cache = Cache(tmp_path)
    _, lease = _make(cache, "a")
    _make(cache, "b", size=2000)[1].release()
    with cache.making("c") as partial:
        (partial / "half").write_text("1")
        assert [entry.key for entry in cache.clear()] == ["b"]
    assert [entry.key for entry in cache.clear()] == ["c"]
    assert [(entry.key, entry.in_use, entry.name) for entry in usage(tmp_path)] == [("a", True, "thing")]
    lease.release()
    assert [entry.size for entry in cache.clear()] == [1017]
    assert not list(tmp_path.glob("*.use-*"))


def test_an_entry_that_is_taken_up_while_the_cache_is_cleared_stays(tmp_path, monkeypatch):
    cache = Cache(tmp_path)
    with cache.making("a") as partial:
        (partial / "half").write_text("1")
    listed = cache.entries()
    assert [entry.in_use for entry in listed] == [False]
    monkeypatch.setattr(cache, "_entries", lambda: listed)
    with cache.making("a"):
        assert cache.clear() == [] and (partial / "half").is_file()
    assert [entry.key for entry in cache.clear()] == ["a"]


def test_a_killed_process_keeps_nothing_in_use(tmp_path):
    cache = Cache(tmp_path)
    _make(cache, "a")[1].release()
    code = (
        f"import sys, time; from physics.data.cache import Cache; held = Cache({str(tmp_path)!r}).open('a');"
        "print('open', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"open\n"
        assert [entry.in_use for entry in cache.entries()] == [True]
        assert cache.clear() == []
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert [entry.key for entry in cache.clear()] == ["a"]


def test_a_second_maker_waits_for_the_first(tmp_path):
    cache = Cache(tmp_path)
    code = (
        f"import time; from physics.data.cache import Cache; maker = Cache({str(tmp_path)!r}).making('a');"
        "maker.__enter__(); print('making', flush=True); time.sleep(60)"
    )
    calls = []
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"making\n"

        def waiting():
            calls.append(time.monotonic())
            process.kill()
            process.wait()

        with cache.making("a", waiting):
            pass
    assert len(calls) == 1


def test_a_full_disk_is_told_in_one_sentence(tmp_path):
    with pytest.raises(DiskFullError) as caught, disk_errors_in_one_sentence(tmp_path, "the data set 'thing'"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert str(caught.value).startswith(f"the disk of {tmp_path} is full while writing the data set 'thing'")
    assert caught.value.errno == errno.ENOSPC and "\n" not in str(caught.value)
    with pytest.raises(IsADirectoryError), disk_errors_in_one_sentence(tmp_path, "x"):
        raise IsADirectoryError(errno.EISDIR, "no")


@pytest.fixture(params=["a disk that is read-only", "no right to lock"])
def read_only(request, tmp_path, monkeypatch):
    """A cache with the complete entry "a" that must not be written to."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = request.param == "a disk that is read-only"
    if mounted and subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], capture_output=True).returncode:
        pytest.skip("no right to mount a disk")
    cache = Cache(place)
    with cache.making("a") as partial:
        (partial / "dataset.json").write_text("{}")
        cache.publish("a")[1].release()
    if mounted:
        subprocess.run(["mount", "-o", "remount,ro", place], check=True)
    else:

        def forbidden(path, **_):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))

        monkeypatch.setattr("physics.data.cache.FileLock", forbidden)
    yield cache
    if mounted:
        subprocess.run(["umount", place], check=True)


def test_a_cache_that_may_not_be_written_to_is_read_and_asked_for_no_more(read_only):
    def read(path, lease):
        lease.release()
        return (path / "dataset.json").read_text()

    assert read_only.obtain("a", "the data set 'a'", read, make=pytest.fail) == "{}"
    with pytest.raises(UnwritableCacheError) as caught:
        read_only.obtain("b", "the data set 'b'", read, make=pytest.fail)
    said = str(caught.value)
    assert said.startswith(f"the cache {read_only.directory} does not hold the data set 'b'")
    assert "SOLVERGAN_CACHE" in said and "\n" not in said


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    write_atomically(path, "old")

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError):
        write_atomically(path, "new")
    assert path.read_text() == "old" and [file.name for file in tmp_path.iterdir()] == ["a.json"]


def test_an_empty_file_is_not_taken_for_a_reserved_one(tmp_path):
    arrays = {"train": ((4, 2), np.dtype(np.float32))}
    (tmp_path / "train.npy").touch()
    files = TrajectoryFiles(tmp_path, {})
    (tmp_path / "train.npy").touch()
    files.mark(0)
    files.reserve(arrays)
    np.testing.assert_array_equal(files.read("train"), np.zeros((4, 2)))
    assert not files.done(1).any()


@pytest.mark.parametrize("how", ["told before", "noticed while reserving"])
def test_files_that_do_not_fit_on_the_disk_do_not_keep_it_full(tmp_path, monkeypatch, how):
    def full(descriptor, offset, size):
        os.ftruncate(descriptor, size // 2)
        raise OSError(errno.ENOSPC, "No space left on device")

    free = 100 if how == "told before" else 2**40
    monkeypatch.setattr("physics.data.trajectory_files.shutil.disk_usage", lambda _: SimpleNamespace(free=free))
    monkeypatch.setattr("physics.data.trajectory_files.os.posix_fallocate", full)
    files = TrajectoryFiles(tmp_path, {})
    with pytest.raises(OSError, match="No space left on device"):
        files.reserve({"train": ((64, 64), np.dtype(np.float32))})
    assert not (tmp_path / "train.npy").exists()
