"""Event files of TensorBoard: the numbers of the record, also of a training that was resumed."""

import builtins
import json
import struct

import pytest
from tensorboardX.proto.event_pb2 import Event

from experiments.cli import main
from experiments.errors import UserError
from experiments.tensorboard import FOLDER, Events


def scalars(folder):
    """Read (step, name) -> value of all event files, later files over earlier ones from their first step on."""
    found = {}
    for path in sorted(folder.glob("events.*"), key=lambda one: one.stat().st_mtime_ns):
        data = path.read_bytes()
        while data:
            # A record: length, its checksum, the event, its checksum.
            (length,) = struct.unpack("<Q", data[:8])
            event = Event.FromString(data[12 : 12 + length])
            data = data[16 + length :]
            if event.HasField("session_log"):
                found = {key: value for key, value in found.items() if key[0] < event.step}
            found |= {(event.step, one.tag): one.simple_value for one in event.summary.value}
    return found


def test_numbers_are_written_and_those_of_steps_that_are_run_again_replaced(tmp_path):
    first = Events(tmp_path)
    for step in (5, 10, 15):
        first(step, 20, {"step": step, "loss": 0.5 * step, "alarms": ["too quiet"], "validation": None})
    first.close()
    again = Events(tmp_path)
    for step in (15, 20):
        again(step, 20, {"step": step, "loss": 100.0 + step})
    again.close()
    assert scalars(tmp_path / FOLDER) == {(5, "loss"): 2.5, (10, "loss"): 5.0, (15, "loss"): 115.0, (20, "loss"): 120.0}


def test_nothing_is_written_before_there_is_a_number(tmp_path):
    Events(tmp_path).close()
    assert not list(tmp_path.iterdir())


def test_a_run_writes_them_where_it_is_asked_to(tmp_path):
    options = ["--preset", "smoke", "--runs-dir", str(tmp_path), "--tensorboard"]
    assert main(["run", "gaussians", *options]) == 0
    (run,) = (tmp_path / "gaussians").iterdir()
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    found = scalars(run / FOLDER)
    assert {step for step, _ in found} == {line["step"] for line in lines}
    for line in lines:
        assert found[line["step"], "generator_loss"] == pytest.approx(line["generator_loss"], rel=1e-6)


def test_a_missing_package_is_one_sentence(tmp_path, monkeypatch):
    usual = builtins.__import__

    def without(name, *others):
        if name == "tensorboardX":
            raise ImportError(name)
        return usual(name, *others)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match="needs the package tensorboardX"):
        Events(tmp_path)
