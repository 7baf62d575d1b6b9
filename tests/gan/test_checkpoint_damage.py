"""Damaged checkpoints are noticed: never read, removed when a training is resumed, and named when it is loaded."""

import json
import shutil
import threading
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from gan.training.checkpoint import Checkpoints, DamagedCheckpointError
from gan.training.checksums import CHECKSUMS, damage, write_checksums
from gan.training.loop import train
from gan.training.trained import load

TRAINING = {"steps": 15, "log_every": 5, "checkpoint_every": 5}


@pytest.fixture(scope="module")
def whole(toy, tmp_path_factory):
    """A training with three checkpoints, one of them the best."""
    folder = tmp_path_factory.mktemp("whole")
    with jax.enable_x64(False):
        trained = train(toy.problem(), toy.recipe(training=TRAINING), folder)
    return trained, folder


@pytest.fixture
def copied(whole, tmp_path):
    return shutil.copytree(whole[1], tmp_path / "run")


def files_of(folder, step):
    return sorted(one for one in (folder / "checkpoints" / str(step)).rglob("*") if one.is_file())


def resumed(toy, folder):
    said = []
    trained = train(toy.problem(), toy.recipe(training=TRAINING), folder, resume=True, note=said.append)
    return trained, said


def leaves_of(trained):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(trained.params)]


def flip(file, bit):
    content = bytearray(file.read_bytes())
    content[bit // 8 % len(content)] ^= 1 << bit % 8
    file.write_bytes(content)


def test_a_flipped_bit_in_any_file_of_a_checkpoint_is_noticed_or_does_no_harm(toy, whole, copied):
    trained, _ = whole
    for number, file in enumerate(files_of(copied, 15)):
        content = file.read_bytes()
        for bit in (0, 8 * (len(content) // 2) + number % 8, 8 * len(content) - 1):
            flip(file, bit)
            # What Orbax writes last, beside the arrays, is no part of the state.
            if file.parent.name == "15" and file.name != CHECKSUMS:
                loaded = load(copied, solver_layer=toy.decay)
                for ours, theirs in zip(leaves_of(loaded), leaves_of(trained)):
                    np.testing.assert_array_equal(ours, theirs)
            else:
                with pytest.raises(DamagedCheckpointError, match=r"step 15 .* damaged .* whole one is of step 10"):
                    load(copied, solver_layer=toy.decay)
            file.write_bytes(content)


@pytest.mark.parametrize(
    ("pattern", "damaged"),
    [
        ("d/*", "deleted"),
        pytest.param("d/*", "emptied", marks=pytest.mark.slow),
        pytest.param("d/*", "truncated", marks=pytest.mark.slow),
        pytest.param("manifest.ocdbt", "truncated", marks=pytest.mark.slow),
        pytest.param("metrics", "truncated", marks=pytest.mark.slow),
        ("metrics", "flipped"),
        (CHECKSUMS, "emptied"),
        ("_CHECKPOINT_METADATA", "deleted"),
        ("_CHECKPOINT_METADATA", "truncated"),
    ],
)
def test_a_resumed_training_goes_on_from_the_newest_whole_checkpoint(toy, whole, copied, pattern, damaged):
    for file in files_of(copied, 15):
        if file.match(pattern):
            if damaged == "deleted":
                file.unlink()
            elif damaged == "flipped":
                flip(file, 9)
            else:
                file.write_bytes(file.read_bytes()[: 0 if damaged == "emptied" else file.stat().st_size // 2])
    trained, said = resumed(toy, copied)
    if pattern != "_CHECKPOINT_METADATA":
        assert len(said) == 1 and "step 15" in said[0] and "step 10" in said[0]
    for ours, theirs in zip(leaves_of(trained), leaves_of(whole[0])):
        np.testing.assert_array_equal(ours, theirs)
    for ours, theirs in zip(leaves_of(load(copied, solver_layer=toy.decay)), leaves_of(whole[0])):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    "pattern",
    ["d/*", *(pytest.param(one, marks=pytest.mark.slow) for one in ("manifest.ocdbt", "metrics")), "_METADATA"],
)
def test_damage_that_hinders_reading_is_noticed_without_checksums_too(toy, whole, copied, pattern):
    for step in (10, 15):
        (copied / "checkpoints" / str(step) / CHECKSUMS).unlink()
    assert load(copied, solver_layer=toy.decay).step == 15
    for file in files_of(copied, 15):
        if file.match(pattern):
            file.write_bytes(b"")
    with pytest.raises(DamagedCheckpointError, match="step 15"):
        load(copied, solver_layer=toy.decay)
    trained, said = resumed(toy, copied)
    assert len(said) == 1 and trained.step == 15
    for ours, theirs in zip(leaves_of(trained), leaves_of(whole[0])):
        np.testing.assert_array_equal(ours, theirs)


def test_an_older_damaged_checkpoint_does_not_hinder_the_training(toy, copied):
    (copied / "checkpoints" / "10").rename(copied / "checkpoints" / "4")
    (copied / "checkpoints" / "4" / "metrics" / "metrics").write_text('{"val')
    trained, said = resumed(toy, copied)
    assert trained.step == 15 and len(said) == 1 and "step 4" in said[0]
    assert 4 not in Checkpoints(copied, 2).steps()


def test_nothing_is_removed_where_no_checkpoint_is_whole(toy, copied):
    for file in (copied / "checkpoints").glob("*/default/d/*"):
        file.unlink()
    before = sorted(copied.rglob("*"))
    with pytest.raises(DamagedCheckpointError, match="no other that is whole"):
        resumed(toy, copied)
    assert sorted(copied.rglob("*")) == before


def test_a_file_in_the_place_of_the_checkpoints_is_reported_and_holds_nothing(toy, tmp_path):
    (tmp_path / "checkpoints").touch()
    with pytest.raises(ValueError, match="is a file where the folder of the checkpoints belongs"):
        train(toy.problem(), toy.recipe(training=TRAINING), tmp_path)
    with pytest.raises(ValueError, match="is a file"):
        Checkpoints(tmp_path, 1)


def test_a_checkpoint_that_does_not_fit_on_the_disk_is_not_begun(tmp_path, monkeypatch):
    checkpoints, state = Checkpoints(tmp_path, 1), {"a": np.zeros(2**20)}
    free = SimpleNamespace(free=2**23)
    monkeypatch.setattr("gan.training.checkpoint.shutil.disk_usage", lambda _: free)
    with pytest.raises(OSError, match="No space left on device"):
        checkpoints.save(1, state, {})
    assert list((tmp_path / "checkpoints").iterdir()) == []
    free.free = 2**24
    checkpoints.save(1, state, {})
    checkpoints.close()
    assert checkpoints.steps() == [1]


def test_a_checkpoint_that_cannot_be_written_is_one_error_and_leaves_no_thread(tmp_path, monkeypatch, caplog):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gan.training.checkpoint.write_checksums", full)
    before = set(threading.enumerate())
    checkpoints = Checkpoints(tmp_path, 1)
    checkpoints.save(1, {"a": np.zeros(3)}, {})
    with pytest.raises(OSError, match="No space left"):
        checkpoints.close()
    assert checkpoints.steps() == []
    assert not [record for record in caplog.records if "orbax" in record.pathname]
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
        assert thread.daemon or not thread.is_alive(), thread


def test_checksums_are_of_all_files_below(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_text("content")
    (tmp_path / "late").touch()
    assert damage(tmp_path) is None
    write_checksums(tmp_path, without=("late",))
    assert set(json.loads((tmp_path / CHECKSUMS).read_text())) == {"a/b"}
    assert damage(tmp_path) is None
    (tmp_path / "a" / "b").write_text("Content")
    assert "a/b has changed" in damage(tmp_path)


def test_a_record_with_odd_lines_does_not_hinder_the_training(toy, whole, copied):
    odd = ['{"step": 7, "seconds": null}', '{"step": 8}', '{"step": "9", "a": [1]}', "3", "[" * 10**5, '{"step": true}']
    shutil.rmtree(copied / "checkpoints" / "15")
    record = copied / "metrics.jsonl"
    *own, last = record.read_text().splitlines()
    odd.append(json.dumps({**json.loads(own[-1]), "seconds": None}))
    record.write_text("\n".join([*own[:1], *odd]))
    trained, _ = resumed(toy, copied)
    for ours, theirs in zip(leaves_of(trained), leaves_of(whole[0])):
        np.testing.assert_array_equal(ours, theirs)
    assert [json.loads(line)["step"] for line in record.read_text().splitlines()] == [5, 8, 15]
    assert json.loads(record.read_text().splitlines()[-1])["validation"] == json.loads(last)["validation"]
