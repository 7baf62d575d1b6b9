"""Data sets: made of the solver's own trajectories, the same bytes however made, never half there."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from physics import (
    Burgers,
    DatasetSpec,
    DiskFullError,
    Draw,
    FixedSystem,
    Grid,
    KuramotoSivashinsky,
    Limits,
    LogUniform,
    Sampler,
    VaryingParameters,
    dataset_key,
    generate,
    open_dataset,
    solve,
)
from physics.data.block_checksums import block_checksums, is_unchanged
from physics.data.cache import Cache
from physics.data.drawing import _HEAD_START
from physics.data.trajectory_files import TrajectoryFiles

SYSTEM = KuramotoSivashinsky(Grid((32,), (22.0,)))
SAMPLER = FixedSystem(SYSTEM)
SPEC = DatasetSpec("waves", (10, 3, 5), snapshots=2, spin_up=2.0, stride=1.0, chunk=4, limits=Limits(trajectories=4))


def _bytes(dataset) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(dataset.path.glob("*.npy"))}


def _one_device(**options: Any) -> dict[str, Any]:
    return {"devices": jax.local_devices()[:1], **options}


@pytest.fixture(scope="module")
def waves(tmp_path_factory):
    with jax.enable_x64(False):
        yield generate(SAMPLER, SPEC, cache_dir=tmp_path_factory.mktemp("cache"), **_one_device())


def test_every_trajectory_is_the_solvers_own_from_its_own_initial_field(waves):
    assert (waves.train.shape, waves.validation.shape, waves.test.shape) == tuple(
        (count, 2, 32, 1) for count in SPEC.trajectories
    )
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(0), 2), 4)
    alone = solve(SYSTEM, SYSTEM.sample_initial(key), waves.times, dt=waves.dt)
    np.testing.assert_allclose(waves.test[4], alone, atol=1e-4)
    np.testing.assert_allclose(waves.times, [2.0, 3.0])


def test_arrays_are_read_only_maps_of_the_disk(waves):
    assert isinstance(waves.train, np.memmap) and not waves.train.flags.writeable


def test_no_two_trajectories_are_alike(waves):
    first = np.concatenate([waves.train[:, 0], waves.validation[:, 0], waves.test[:, 0]]).reshape(18, -1)
    apart = np.linalg.norm(first[:, None] - first, axis=-1) + 1e9 * np.eye(18)
    assert apart.min() > 1.0


@pytest.mark.parametrize("count", [2, 4])
def test_the_bytes_do_not_depend_on_the_number_of_devices(waves, tmp_path, count):
    made = generate(SAMPLER, SPEC, cache_dir=tmp_path, devices=jax.local_devices()[:count])
    assert _bytes(made) == _bytes(waves)


def test_a_larger_split_keeps_the_trajectories_of_the_smaller_and_of_the_others(waves, tmp_path):
    larger = generate(SAMPLER, replace(SPEC, trajectories=(14, 3, 5)), cache_dir=tmp_path, **_one_device())
    np.testing.assert_array_equal(larger.train[:10], waves.train)
    np.testing.assert_array_equal(larger.test, waves.test)


def test_a_data_set_is_found_again_and_opens_without_solving(waves):
    calls = []
    again = generate(
        SAMPLER, replace(SPEC, name="other"), cache_dir=waves.path.parent, progress=lambda *c: calls.append(c)
    )
    assert again.path == waves.path and not calls
    assert open_dataset(waves.path).key == waves.key == dataset_key(SAMPLER, SPEC)


def test_the_key_tells_apart_all_that_the_data_depend_on():
    variants = [
        (SAMPLER, SPEC),
        (SAMPLER, replace(SPEC, seed=1)),
        (SAMPLER, replace(SPEC, stride=1.1)),
        (SAMPLER, replace(SPEC, limits=Limits(trajectories=5))),
        (FixedSystem(KuramotoSivashinsky(Grid((32,), (22.1,)))), SPEC),
        (VaryingParameters(Burgers(Grid((32,), (6.0,))), {"viscosity": LogUniform(0.1, 0.2)}), SPEC),
        (VaryingParameters(Burgers(Grid((32,), (6.0,))), {"viscosity": LogUniform(0.1, 0.3)}), SPEC),
    ]
    assert len({dataset_key(*variant) for variant in variants}) == len(variants)


def test_the_description_says_what_the_numbers_mean(waves):
    described = json.loads((waves.path / "dataset.json").read_text())
    assert described["axes"] == ["trajectory", "time", "x", "channel"]
    assert described["units"] == "non-dimensional" and described["channels"] == ["u"]
    about = described["files"]["train"]
    assert about.pop("checksums")["crc32"]
    assert about == {
        "shape": [10, 2, 32, 1],
        "dtype": "float32",
        "bytes": (waves.path / "train.npy").stat().st_size,
    }
    assert described["identity"]["sampler"]["system"]["class"].endswith("KuramotoSivashinsky")
    assert described["versions"]["jax"] == jax.__version__
    assert waves.grid == SYSTEM.grid and waves.channels == ("u",)


def test_varying_parameters_stay_in_their_range_and_solve_their_own_equation(tmp_path):
    system = Burgers(Grid((32,), (2 * np.pi,)))
    sampler = VaryingParameters(system, {"viscosity": LogUniform(0.2, 2.0)})
    spec = DatasetSpec(
        "fronts",
        (16, 0, 2),
        2,
        spin_up=0.0,
        stride=0.5,
        dt=0.05,
        keep_initial=True,
        limits=Limits(trajectories=4),
    )
    fronts = generate(sampler, spec, cache_dir=tmp_path, **_one_device())
    viscosity = fronts.parameters["train"]["viscosity"]
    assert viscosity.shape == (16,) and viscosity.min() >= 0.2 and viscosity.max() <= 2.0
    assert np.std(np.log(viscosity)) == pytest.approx(np.log(10) / np.sqrt(12), rel=0.3)
    np.testing.assert_array_equal(fronts.initial["train"], fronts.train[:, 0])
    own = replace(system, viscosity=float(viscosity[3]))
    np.testing.assert_allclose(fronts.train[3, 1], solve(own, fronts.initial["train"][3], [0.5], dt=0.05)[0], atol=1e-5)
    assert fronts.certificate["start"] == "initial field" and "steady_share" not in fronts.certificate
    assert fronts.validation.shape == (0, 2, 32, 1)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    spec = DatasetSpec("measured", (4, 0, 0), snapshots=2, keep_initial=True, limits=Limits(trajectories=4))
    return generate(SAMPLER, spec, cache_dir=tmp_path_factory.mktemp("measured"), **_one_device())


def test_spin_up_and_stride_are_measured_where_they_are_left_open(measured):
    settled, forgotten = measured.measured["settling_time"], measured.measured["decorrelation_time"]
    # Cells at L = 22 drift for tens of time units before they are forgotten.
    assert 20 < forgotten < 80
    assert measured.times[0] == pytest.approx(settled + 5 * forgotten, abs=0.11)
    assert measured.times[1] - measured.times[0] == pytest.approx(forgotten, abs=0.11)


def test_trajectories_of_a_measured_spin_up_have_ages_of_their_own(measured):
    """Started together, an ensemble keeps swinging as a whole: every trajectory first runs ahead for its own time."""
    longest = measured.description["head_start"]
    assert longest == pytest.approx(2 * measured.measured["decorrelation_time"], abs=1.01)
    base = jax.random.fold_in(jax.random.key(0), 0)
    ages = np.arange(0.0, longest + 0.5)
    found = []
    for number, initial in enumerate(measured.initial["train"]):
        drawn = SAMPLER.draw(jax.random.fold_in(base, number)).u0
        apart = np.sqrt(np.mean((solve(SAMPLER.system, drawn, ages, dt=0.1) - initial) ** 2, axis=(1, 2)))
        # Rounding grows as exp(0.05 t) over up to 110 time units; the next ages are further off still.
        assert apart.min() < 0.01 and np.partition(apart, 1)[1] > 5 * apart.min()
        found.append(ages[apart.argmin()])
    # A window of steps is one time unit here. Two of four may be the same by chance: the draws themselves are known.
    trajectory = [jax.random.fold_in(base, number) for number in range(4)]
    drawn = [jax.random.randint(jax.random.fold_in(key, _HEAD_START), (), 0, round(longest) + 1) for key in trajectory]
    assert found == [float(age) for age in drawn] and len(set(found)) > 1


class _StopError(Exception):
    pass


def test_an_interrupted_generation_continues_and_ends_with_the_same_bytes(waves, tmp_path):
    def stop(done, total, what):
        if done >= 8:
            raise _StopError

    with pytest.raises(_StopError):
        generate(SAMPLER, SPEC, cache_dir=tmp_path, progress=stop, **_one_device())
    assert Cache(tmp_path).open(waves.key) is None
    calls: list[Any] = []
    made = generate(SAMPLER, SPEC, cache_dir=tmp_path, progress=lambda *c: calls.append(c), **_one_device())
    assert calls[0][0] == 8 and _bytes(made) == _bytes(waves)
    assert sorted(file.name for file in made.path.iterdir() if file.suffix != ".npy") == ["dataset.json"]


def test_a_killed_generation_continues_and_ends_with_the_same_bytes(waves, tmp_path):
    code = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import jax
from physics import *
sampler = FixedSystem(KuramotoSivashinsky(Grid((32,), (22.0,))))
limits = Limits(trajectories=4)
spec = DatasetSpec("waves", (10, 3, 5), snapshots=2, spin_up=2.0, stride=1.0, chunk=4, limits=limits)
def kill(done, total, what):
    if what == "trajectories" and done >= 8:
        os.kill(os.getpid(), signal.SIGKILL)
generate(sampler, spec, cache_dir={str(tmp_path)!r}, progress=kill, devices=jax.local_devices()[:1])
"""
    finished = subprocess.run([sys.executable, "-c", code], env=os.environ, capture_output=True, timeout=120)
    assert finished.returncode == -signal.SIGKILL, finished.stderr.decode()[-2000:]
    assert [entry.complete for entry in Cache(tmp_path).entries()] == [False]
    calls: list[Any] = []
    made = generate(SAMPLER, SPEC, cache_dir=tmp_path, progress=lambda *c: calls.append(c), **_one_device())
    assert calls[0][0] == 8 and _bytes(made) == _bytes(waves)


@pytest.mark.parametrize("call", ["reserve", "write"])
def test_a_full_disk_leaves_nothing_that_looks_complete_and_is_continued_from(waves, tmp_path, monkeypatch, call):
    calls = []
    whole = getattr(TrajectoryFiles, call)

    def full(self, *arguments):
        calls.append(call)
        if len(calls) == (1 if call == "reserve" else 5):
            raise OSError(errno.ENOSPC, "No space left on device")
        return whole(self, *arguments)

    monkeypatch.setattr(TrajectoryFiles, call, full)
    with pytest.raises(DiskFullError, match=r"is full while writing the data set 'waves': free some space"):
        generate(SAMPLER, SPEC, cache_dir=tmp_path, **_one_device())
    assert not any(entry.complete for entry in Cache(tmp_path).entries())
    assert _bytes(generate(SAMPLER, SPEC, cache_dir=tmp_path, **_one_device())) == _bytes(waves)


def test_an_array_with_a_flipped_bit_is_refused_and_one_without_checksums_is_read(waves, tmp_path):
    folder = tmp_path / "copy"
    for name in waves.description["files"]:
        shutil.copytree(waves.path, folder)
        file = folder / f"{name}.npy"
        content = bytearray(file.read_bytes())
        content[-3] ^= 4
        file.write_bytes(content)
        with pytest.raises(ValueError, match=rf"{name}\.npy has changed .* generate"):
            open_dataset(folder)
        described = json.loads((folder / "dataset.json").read_text())
        for entry in described["files"].values():
            del entry["checksums"]
        (folder / "dataset.json").write_text(json.dumps(described))
        assert open_dataset(folder).train.shape == waves.train.shape
        shutil.rmtree(folder)


@pytest.mark.parametrize("place", [0, 2**20 + 5, 40 * 2**20 - 1])
def test_of_a_large_file_the_ends_and_a_sample_of_blocks_are_checked(tmp_path, place):
    path = tmp_path / "large"
    path.write_bytes(bytes(40 * 2**20))
    checksums = block_checksums(path)
    assert len(checksums["crc32"].split()) == 40 and is_unchanged(path, checksums)
    with path.open("r+b") as file:
        file.seek(place)
        file.write(b"\1")
    found = [not is_unchanged(path, checksums) for _ in range(40)]
    assert all(found) if place != 2**20 + 5 else any(found)


def test_a_damaged_entry_is_made_again(waves, tmp_path):
    made = generate(SAMPLER, SPEC, cache_dir=tmp_path, **_one_device())
    made.close()
    with (made.path / "test.npy").open("r+b") as file:
        file.truncate(200)
    with pytest.raises(ValueError, match=r"test.npy is missing or has not its"):
        open_dataset(made.path)
    with pytest.warns(UserWarning, match="test.npy is missing"):
        again = generate(SAMPLER, SPEC, cache_dir=tmp_path, **_one_device())
    assert _bytes(again) == _bytes(waves)


def test_what_is_no_data_set_is_told_in_one_sentence(tmp_path):
    with pytest.raises(ValueError, match="holds no data set"):
        open_dataset(tmp_path / "nothing")
    (tmp_path / "dataset.json").write_text('{"format": 99}')
    with pytest.raises(ValueError, match="has the data format 99, this version reads"):
        open_dataset(tmp_path)
    (tmp_path / "dataset.json").write_text('{"form')
    with pytest.raises(ValueError, match="is not valid JSON"):
        open_dataset(tmp_path)
    (tmp_path / "dataset.json").write_text("[]")
    with pytest.raises(ValueError, match="does not describe a data set"):
        open_dataset(tmp_path)


def test_chunks_of_a_file_that_is_made_anew_do_not_count_as_done(tmp_path):
    arrays = {"train": ((4, 2), np.dtype(np.float32))}
    files = TrajectoryFiles(tmp_path, {})
    files.reserve(arrays)
    files.write("train", 0, np.ones((4, 2), np.float32))
    files.mark(0)
    assert TrajectoryFiles(tmp_path, {}).done(1).all()
    (tmp_path / "train.npy").unlink()
    again = TrajectoryFiles(tmp_path, {})
    again.reserve(arrays)
    assert not again.done(1).any()


@dataclass(frozen=True, eq=False)
class _SometimesHuge(Sampler):
    """Some initial fields are so large that the solution overflows."""

    system: Any

    def draw(self, key):
        size = jax.numpy.where(jax.random.uniform(key) < 0.3, 1e25, 1.0)
        return Draw(self.system, size * self.system.sample_initial(key), {})


def test_a_field_that_is_not_finite_refuses_the_data_and_names_its_trajectory(tmp_path):
    sampler = _SometimesHuge(SYSTEM)
    base = jax.random.fold_in(jax.random.key(0), 0)
    huge = [float(jax.random.uniform(jax.random.fold_in(base, i))) < 0.3 for i in range(10)]
    expected = rf"trajectory {huge.index(True)} of the train split is not finite at time 2: halve dt to 0.05"
    with pytest.raises(ValueError, match=expected):
        generate(sampler, SPEC, cache_dir=tmp_path, **_one_device())
    assert Cache(tmp_path).entries() == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"trajectories": (0, 1, 1)}, "at least one for train"),
        ({"snapshots": 0}, "snapshots is 0"),
        ({"spin_up": -1.0}, "spin_up is -1.0"),
        ({"stride": 0.0}, "stride is 0.0"),
        ({"dtype": "float16"}, "dtype is 'float16'"),
        ({"chunk": 0}, "chunk is 0"),
        ({"seed": -1}, "seed is -1"),
        (
            {"dt": 0.1, "stride": 0.25},
            r"stride is 0.25, not a whole number of steps dt = 0.1: use one of 0.1, 0.2, 0.3",
        ),
        (
            {"dt": 0.1, "spin_up": 0.25},
            r"spin_up is 0.25, not a whole number of steps dt = 0.1: use one of 0.1, 0.2, 0.3",
        ),
    ],
)
def test_a_specification_out_of_range_is_told_in_one_sentence(change, sentence):
    with pytest.raises(ValueError, match=sentence):
        replace(SPEC, **change)


def test_a_specification_that_does_not_fit_the_system_is_told_in_one_sentence(tmp_path):
    step = SAMPLER.system.recommended_dt
    with pytest.raises(ValueError, match=r"stride is .*, not a whole number of steps dt = "):
        generate(SAMPLER, replace(SPEC, spin_up=0.0, stride=1.5 * step), cache_dir=tmp_path)
    burgers = FixedSystem(Burgers(Grid((32,), (2 * np.pi,))))
    with pytest.raises(ValueError, match=r"leaves spin_up open, but Burgers is not chaotic"):
        generate(burgers, replace(SPEC, spin_up=None), cache_dir=tmp_path)
    with pytest.raises(ValueError, match=r"Burgers has no parameter 'viscocity' to vary"):
        VaryingParameters(burgers.system, {"viscocity": LogUniform(0.1, 1.0)})
    with pytest.raises(ValueError, match=r"Burgers has no parameter 'grid' to vary"):
        VaryingParameters(burgers.system, {"grid": LogUniform(0.1, 1.0)})
    with pytest.raises(ValueError, match=r"needs 0 < low < high"):
        LogUniform(0.0, 1.0)

    @dataclass(frozen=True)
    class Local:
        def sample(self, key):
            return SYSTEM.sample_initial(key)

    with pytest.raises(ValueError, match=r"written inside a function"):
        dataset_key(FixedSystem(SYSTEM, initial=Local()), SPEC)
