"""A store of samples is filled part by part, goes on after a stop, and is refused where it would mix two things."""

import json
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from filelock import FileLock

from experiments import streaming, zarr_store
from experiments.errors import UserError
from experiments.export import Fields
from experiments.streaming import store_samples

POINTS, ROWS, PART = 4, 8, 16


class Stopped(Exception):
    """Stands for a signal."""


class FakeRun:
    """A run whose samples depend on the key alone, and which may be stopped in a part."""

    def __init__(self, path, step=7):
        self.path, self.folder, self.step = path, SimpleNamespace(experiment="toy"), step
        self.drawn, self.stop_at = [], None

    def sample(self, count, *, key, refine):
        if self.stop_at is not None and len(self.drawn) >= self.stop_at:
            raise Stopped
        self.drawn.append(count)
        values = np.asarray(jax.random.normal(key, (count, POINTS, 1)) + refine, np.float32)
        coordinates = {"x": np.arange(POINTS) * 0.5, "viscosity": np.asarray(jax.random.uniform(key, (count,)))}
        return Fields(values, ("sample", "x", "channel"), coordinates, ("u",), {"u": "m/s"}, {"step": self.step})


@pytest.fixture
def run(tmp_path):
    return FakeRun(tmp_path / "run")


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch):
    """Chunks of 8 samples, parts of 16."""
    monkeypatch.setattr(zarr_store, "CHUNK_BYTES", 4 * POINTS * ROWS)
    monkeypatch.setattr(streaming, "PART_BYTES", 4 * POINTS * PART)


def read(store, name="u"):
    import tensorstore

    spec = {"driver": "zarr", "kvstore": {"driver": "file", "path": str(store / name)}}
    return tensorstore.open(spec).result().read().result()


def test_samples_are_those_of_the_keys_of_their_parts_and_no_part_is_larger_than_stated(run, tmp_path):
    out, told = tmp_path / "f.zarr", []
    sizes = store_samples(run, out, 40, seed=3, refine=0.5, report=lambda *said: told.append(said[:2]))
    assert sizes == ("40 sample", "4 x", "1 channel") and run.drawn == [1, 16, 16, 8]
    key = jax.random.key(3)
    keys = [key, jax.random.fold_in(key, 1), jax.random.fold_in(key, 2)]
    parts = [run.sample(n, key=one, refine=0.5) for n, one in zip((16, 16, 8), keys)]
    np.testing.assert_array_equal(read(out), np.concatenate([one.values[..., 0] for one in parts]))
    np.testing.assert_array_equal(
        read(out, "viscosity"), np.concatenate([one.coordinates["viscosity"] for one in parts])
    )
    np.testing.assert_array_equal(read(out, "x"), [0.0, 0.5, 1.0, 1.5])
    assert told == [(0, 40), (16, 40), (32, 40), (40, 40)]
    metadata = json.loads((out / ".zmetadata").read_text())["metadata"]
    assert metadata[".zattrs"] == {"step": 7, "experiment": "toy", "run": str(run.path), "seed": 3}
    assert metadata["u/.zattrs"] == {"_ARRAY_DIMENSIONS": ["sample", "x"], "units": "m/s", "coordinates": "viscosity"}
    assert [one.name for one in tmp_path.iterdir()] == ["f.zarr"]
    assert not (out / streaming.JOURNAL).exists()


@pytest.mark.parametrize("stop_at", [0, 1, 2, 3, 4])
def test_a_stopped_store_has_no_name_and_the_next_call_ends_with_the_same_store(run, tmp_path, stop_at):
    whole, out = tmp_path / "whole.zarr", tmp_path / "f.zarr"
    store_samples(run, whole, 60, seed=1)
    first = FakeRun(run.path)
    first.stop_at = stop_at
    with pytest.raises(Stopped):
        store_samples(first, out, 60, seed=1)
    assert not out.exists()
    second = FakeRun(run.path)
    store_samples(second, out, 60, seed=1)
    for name in ("u", "viscosity"):
        np.testing.assert_array_equal(read(out, name), read(whole, name))
    # A part is known to be written once the one after it is drawn.
    kept = max(0, stop_at - 2)
    assert second.drawn == [1, *(16, 16, 16, 12)[kept:]]


def interrupted(run, out, **given):
    """Leave a partial store of two parts."""
    run.stop_at = 4
    with pytest.raises(Stopped):
        store_samples(run, out, 60, **given)
    run.stop_at = None


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"count": 61}, "was begun with count 60, not 61"),
        ({"seed": 2}, "was begun with seed 1, not 2"),
        ({"refine": 1.0}, r"was begun with refine 0\.0, not 1\.0"),
    ],
)
def test_other_settings_do_not_go_on_with_a_partial_store(run, tmp_path, given, expected):
    interrupted(run, tmp_path / "f.zarr", seed=1)
    with pytest.raises(UserError, match=expected):
        store_samples(run, tmp_path / "f.zarr", **{"count": 60, "seed": 1, **given})


def test_a_run_that_was_trained_on_does_not_go_on_with_a_partial_store(run, tmp_path):
    interrupted(run, tmp_path / "f.zarr")
    with pytest.raises(UserError, match=r"samples of another checkpoint \(step 7\)"):
        store_samples(FakeRun(run.path, step=8), tmp_path / "f.zarr", 60)


def test_two_processes_do_not_fill_one_store(run, tmp_path):
    out = tmp_path / "f.zarr"
    interrupted(run, out)
    with FileLock(tmp_path / ".f.zarr.partial" / streaming.LOCK), pytest.raises(UserError, match="another process"):
        store_samples(run, out, 60)


@pytest.mark.parametrize("content", ["{", "3", "[1]"])
def test_a_damaged_journal_is_one_sentence(run, tmp_path, content):
    interrupted(run, tmp_path / "f.zarr")
    (tmp_path / ".f.zarr.partial" / streaming.JOURNAL).write_text(content)
    with pytest.raises(UserError, match="remove it to begin again"):
        store_samples(run, tmp_path / "f.zarr", 60)


def test_a_store_of_the_same_name_is_replaced_when_the_new_one_is_whole(run, tmp_path):
    out = tmp_path / "f.zarr"
    store_samples(run, out, 20, seed=1)
    before = read(out)
    run.drawn, run.stop_at = [], 2
    with pytest.raises(Stopped):
        store_samples(run, out, 20, seed=2)
    np.testing.assert_array_equal(read(out), before)
    run.stop_at = None
    store_samples(run, out, 20, seed=2)
    assert not np.array_equal(read(out), before)
    # As a call leaves it that is stopped between the two names.
    (tmp_path / ".f.zarr.replaced" / "u").mkdir(parents=True)
    store_samples(run, out, 20, seed=3)
    assert [one.name for one in tmp_path.iterdir()] == ["f.zarr"]


def test_a_generator_that_cannot_draw_leaves_nothing(run, tmp_path):
    run.stop_at = 0
    with pytest.raises(Stopped):
        store_samples(run, tmp_path / "f.zarr", 20)
    assert not list(tmp_path.iterdir())
