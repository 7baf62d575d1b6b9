"""Data sets in a zarr store: the same arrays as without one, made by any number of processes, and no damage unseen."""

import errno
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from physics import (
    Burgers,
    CertificateRefusedError,
    DatasetSpec,
    DiskFullError,
    FixedSystem,
    Grid,
    KuramotoSivashinsky,
    Limits,
    LogUniform,
    VaryingParameters,
    generate,
)
from physics.data.cache import Cache
from physics.data.zarr_store import ZarrStore
from physics.data.zarr_trajectories import StoreError, ZarrTrajectories

SAMPLER = FixedSystem(KuramotoSivashinsky(Grid((32,), (22.0,))))
SPEC = DatasetSpec("waves", (10, 3, 5), snapshots=2, spin_up=2.0, stride=1.0, chunk=4, limits=Limits(trajectories=4))


def make(folder: Path, store: str | None, **options: Any):
    """Make the data set with a cache of its own."""
    options = {"devices": jax.local_devices()[:1], **options}
    return generate(SAMPLER, SPEC, cache_dir=folder, store=store, **options)


def content(folder: Path, pattern: str) -> dict[str, bytes]:
    """Return the files of a data set, by their names."""
    return {str(one.relative_to(folder)): one.read_bytes() for one in sorted(folder.glob(pattern)) if one.is_file()}


@pytest.fixture(scope="module")
def waves(tmp_path_factory):
    """The data set without a store, and the shards of one with a store."""
    with jax.enable_x64(False):
        plain = make(tmp_path_factory.mktemp("plain"), None)
        place = tmp_path_factory.mktemp("store")
        stored = make(tmp_path_factory.mktemp("copy"), str(place))
        yield plain, stored, content(place / plain.key, "*/**/*")


def test_a_copy_of_a_store_is_what_is_made_without_one(waves):
    plain, stored, shards = waves
    assert content(stored.path, "*.npy") == content(plain.path, "*.npy")
    assert isinstance(stored.train, np.memmap)
    same = {*plain.description} - {"seconds", "certificate_seconds"}
    assert {name: stored.description[name] for name in same} == {name: plain.description[name] for name in same}
    assert stored.certificate == plain.certificate
    # Three chunks of four, one of three, two of five: a shard of fields and one of changes for each.
    assert sum("/c/" in name for name in shards) == 2 * (3 + 1 + 2)


def test_other_readers_of_zarr_find_the_arrays(waves, tmp_path):
    import tensorstore

    plain, _, shards = waves
    for name, one in shards.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(one)
    found = tensorstore.open({"driver": "zarr3", "kvstore": f"file://{tmp_path}/test/"}).result()
    assert found.domain.labels == ("trajectory", "time", "x", "channel")
    np.testing.assert_array_equal(found.read().result(), plain.test)


def test_a_store_in_memory_serves_by_its_url(waves, tmp_path):
    plain, _, _ = waves
    url = f"memory://{tmp_path.name}/data"
    made = make(tmp_path / "one", url)
    assert content(made.path, "*.npy") == content(plain.path, "*.npy")
    calls: list[Any] = []
    make(tmp_path / "two", url, progress=lambda *one: calls.append(one))
    assert {what for _, _, what in calls} == {"trajectories copied"}


@pytest.mark.parametrize("count", [2, 4])
def test_the_shards_do_not_depend_on_the_number_of_devices(waves, tmp_path, count):
    plain, _, shards = waves
    make(tmp_path / "cache", str(tmp_path / "store"), devices=jax.local_devices()[:count])
    assert content(tmp_path / "store" / plain.key, "*/**/*") == shards


def test_varying_parameters_and_initial_fields_are_kept_and_an_empty_split_stays_empty(tmp_path):
    sampler = VaryingParameters(Burgers(Grid((32,), (2 * np.pi,))), {"viscosity": LogUniform(0.2, 2.0)})
    spec = DatasetSpec("fronts", (6, 0, 2), 2, spin_up=0.0, stride=0.5, dt=0.05, keep_initial=True, chunk=4)
    spec = replace(spec, limits=Limits(trajectories=4))
    made = [
        generate(sampler, spec, cache_dir=tmp_path / name, store=store, devices=jax.local_devices()[:1])
        for name, store in (("plain", None), ("stored", f"memory://{tmp_path.name}-fronts/"))
    ]
    assert content(made[0].path, "*.npy") == content(made[1].path, "*.npy")
    assert made[1].validation.shape == (0, 2, 32, 1) and made[1].parameters["test"]["viscosity"].shape == (2,)


class _StopError(Exception):
    pass


@pytest.mark.parametrize(("what", "there"), [("trajectories", 8), ("trajectories copied", 13)])
def test_what_is_interrupted_goes_on_where_it_stopped(waves, tmp_path, what, there):
    plain, _, shards = waves
    store = str(tmp_path / "store")

    def stop(done, total, said):
        if said == what and done >= 8:
            raise _StopError

    with pytest.raises(_StopError):
        make(tmp_path / "cache", store, progress=stop)
    calls: list[Any] = []
    made = make(tmp_path / "cache", store, progress=lambda *one: calls.append(one))
    # Of a copy, the whole training split is there, and the next is reported once it is too.
    assert next(done for done, _, said in calls if said == what) == there
    assert content(made.path, "*.npy") == content(plain.path, "*.npy")
    assert content(tmp_path / "store" / plain.key, "*/**/*") == shards
    assert not (tmp_path / "store" / plain.key / "progress.json").exists()


PROGRAM = """
import os, signal, socket, sys
sys.path.insert(0, {root!r})
import jax
from physics import *
from gan.training.processes import Together
sampler = FixedSystem(KuramotoSivashinsky(Grid((32,), (22.0,))))
limits = Limits(trajectories=4)
spec = DatasetSpec("waves", (10, 3, 5), snapshots=2, spin_up=2.0, stride=1.0, chunk=4, limits=limits)
process, processes, port, store, cache, killed, devices = sys.argv[1:]
process, processes = int(process), int(processes)
crew = None
if processes > 1:
    address = ("127.0.0.1", int(port))
    listening = socket.create_server(address) if process == 0 else None
    crew = Together(process, processes, listening, address)
calls = []
def progress(done, total, what):
    calls.append(what)
    if process == int(killed) and what == "trajectories" and calls.count("trajectories") == 3:
        os.kill(os.getpid(), signal.SIGKILL)
devices = jax.local_devices()[: int(devices)]
made = generate(
    sampler, spec, cache_dir=cache, store=store or None, crew=crew, progress=progress, devices=devices
)
print(calls.count("trajectories") - 1, flush=True)
if crew is not None:
    crew.leave()
"""


def start(number, count, port, store, cache, killed=-1, devices=1):
    """Start one process that makes the data set, with others where there are more."""
    words = [str(one) for one in (number, count, port, store, cache, killed, devices)]
    code = PROGRAM.format(root=str(Path(__file__).resolve().parents[2]))
    return subprocess.Popen([sys.executable, "-c", code, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def outcome(processes, seconds=300):
    """Wait for processes; returns exit codes and what they said."""
    try:
        said = [one.communicate(timeout=seconds) for one in processes]
    finally:
        for one in processes:
            one.kill()
            one.wait()
    return [one.returncode for one in processes], said


def free_port() -> int:
    """Return a port that nothing listens on."""
    import socket

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.mark.parametrize("stored", [False, True])
def test_two_processes_make_one_data_set_and_one_that_is_killed_ends_the_other(waves, tmp_path, stored):
    plain, _, shards = waves
    store = str(tmp_path / "store") if stored else ""
    port, cache = free_port(), tmp_path / "cache"
    # The second one has more devices, so that it makes most, and is killed after its second chunk.
    pair = [start(i, 2, port, store, cache, killed=1, devices=1 + i) for i in range(2)]
    codes, said = outcome(pair)
    assert codes == [3, -signal.SIGKILL], said
    assert b"process 1 has ended, so that process 0 of 2 ends too" in said[0][1]
    assert Cache(cache).open(plain.key) is None

    port = free_port()
    pair = [start(i, 2, port, store, cache) for i in range(2)]
    codes, said = outcome(pair)
    assert codes == [0, 0], said
    # Six chunks; two at least were there already, and both make some of the others.
    made = [int(out) for out, _ in said]
    assert min(made) > 0 and sum(made) <= 4
    assert content(cache / plain.key, "*.npy") == content(plain.path, "*.npy")
    if stored:
        assert content(tmp_path / "store" / plain.key, "*/**/*") == shards


def test_a_process_that_does_not_see_the_files_of_the_first_makes_its_own(waves, tmp_path):
    plain, _, _ = waves
    port = free_port()
    pair = [start(i, 2, port, "", tmp_path / str(i)) for i in range(2)]
    codes, said = outcome(pair)
    assert codes == [0, 0], said
    assert [int(out) for out, _ in said] == [6, 6]
    for i in range(2):
        assert content(tmp_path / str(i) / plain.key, "*.npy") == content(plain.path, "*.npy")


def shard_of(place: Path, waves, name: str = "train", number: int = 1) -> Path:
    """Return a shard of the data set in a store."""
    plain, _, _ = waves
    found = place / plain.key / name / "c" / str(number)
    return next(one for one in [found, *found.rglob("*")] if one.is_file())


@pytest.mark.parametrize("damage", ["truncated", "empty", "flipped field", "flipped index", "flipped change"])
def test_a_damaged_shard_is_named_and_its_removal_has_it_alone_made_again(waves, tmp_path, damage):
    plain, _, shards = waves
    store = tmp_path / "store"
    make(tmp_path / "one", str(store))
    shard = shard_of(store, waves, "train-change" if damage == "flipped change" else "train")
    whole = bytearray(shard.read_bytes())
    if damage.startswith("flipped"):
        whole[-3 if damage == "flipped index" else 2] ^= 4
        shard.write_bytes(whole)
    else:
        shard.write_bytes(whole[: len(whole) // 2 if damage == "truncated" else 0])
    with pytest.raises(ValueError, match=rf"{shard} is missing or has changed since it was made: remove this shard"):
        make(tmp_path / "two", str(store))
    assert Cache(tmp_path / "two").open(plain.key) is None
    shard.unlink()
    before = {one: one.stat().st_mtime_ns for one in (store / plain.key).rglob("c/**/*") if one.is_file()}
    calls: list[Any] = []
    made = make(tmp_path / "two", str(store), progress=lambda *one: calls.append(one))
    assert calls[0][:2] == (14, 18)
    assert content(made.path, "*.npy") == content(plain.path, "*.npy")
    assert content(store / plain.key, "*/**/*") == shards
    # The shards of the same chunk are written again, and no others.
    assert sum(one.stat().st_mtime_ns != was for one, was in before.items()) == 1


def test_a_store_that_other_versions_have_begun_is_made_anew(waves, tmp_path, monkeypatch):
    plain, _, shards = waves
    store = tmp_path / "store"

    def stop(done, total, said):
        if done >= 8:
            raise _StopError

    with monkeypatch.context() as patch:
        patch.setattr("physics.data.generation.versions", lambda: {"jax": "another"})
        with pytest.raises(_StopError):
            make(tmp_path / "cache", str(store), progress=stop)
    shard = shard_of(store, waves, number=0)
    shard.write_bytes(bytes(shard.stat().st_size))
    calls: list[Any] = []
    make(tmp_path / "cache", str(store), progress=lambda *one: calls.append(one))
    assert calls[0][:2] == (0, 18)
    assert content(store / plain.key, "*/**/*") == shards


@pytest.mark.parametrize("call", ["note", "write"])
def test_a_full_disk_is_told_and_what_is_made_is_continued_from(waves, tmp_path, monkeypatch, call):
    plain, _, shards = waves
    calls: list[Any] = []
    whole = getattr(ZarrTrajectories, call)

    def full(self, *arguments, **facts):
        calls.append(call)
        if len(calls) == (1 if call == "note" else 6):
            with_reason = f"RESOURCE_EXHAUSTED: Failed to write: {os.strerror(errno.ENOSPC)} [os_error_code='28']"
            from physics.data.zarr_trajectories import told

            with told(self.place, "written"):
                raise ValueError(with_reason)
        return whole(self, *arguments, **facts)

    monkeypatch.setattr(ZarrTrajectories, call, full)
    with pytest.raises(DiskFullError, match=r"the disk of the store .* is full: free some space there or choose"):
        make(tmp_path / "cache", str(tmp_path / "store"))
    assert not (tmp_path / "store" / plain.key / "dataset.json").exists()
    make(tmp_path / "cache", str(tmp_path / "store"))
    assert content(tmp_path / "store" / plain.key, "*/**/*") == shards


def test_data_that_are_refused_leave_nothing_in_the_store(tmp_path):
    strict = replace(SPEC, limits=Limits(trajectories=4, step_error=1e-12))
    with pytest.raises(CertificateRefusedError):
        generate(SAMPLER, strict, cache_dir=tmp_path / "cache", store=str(tmp_path / "store"))
    assert not [one for one in (tmp_path / "store").rglob("*") if one.is_file() and one.suffix != ".lock"]


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("gs://", "names no place: write a folder, or a URL such as gs://BUCKET/data"),
        ("foo://bucket/data", r"'foo://bucket/data' cannot be opened \(.*foo.*\): write a folder, or a URL"),
        ("gs://no such bucket/data", r"cannot be opened \(.*bucket.*\): write a folder"),
    ],
)
def test_a_place_that_is_none_is_told_in_one_sentence(place, expected):
    with pytest.raises(StoreError, match=expected):
        ZarrStore(place)


def test_a_place_that_cannot_be_written_is_told_in_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    # No folder can be made in /proc, whoever asks.
    for place, folder in (
        (str(tmp_path / "file" / "store"), tmp_path / "file" / "store"),
        ("file:///proc/a", "/proc/a"),
    ):
        with pytest.raises(
            StoreError, match=rf"the store {folder} cannot be written \(.*\): choose a place that exists"
        ):
            make(tmp_path / "cache", place)


def test_no_store_needs_no_tensorstore(tmp_path):
    code = "import sys; import physics; physics.generate; assert 'tensorstore' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_a_second_process_waits_for_the_first_in_a_folder(waves, tmp_path):
    _, _, shards = waves
    store = str(tmp_path / "store")
    pair = [start(0, 1, 0, store, tmp_path / str(i)) for i in range(2)]
    codes, said = outcome(pair)
    assert codes == [0, 0], said
    # Whoever came second has found it, or waited for it.
    assert sorted(int(out) for out, _ in said) == [-1, 6]
    assert content(next(Path(store).glob("*/dataset.json")).parent, "*/**/*") == shards
