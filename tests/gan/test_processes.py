"""Several processes train as one: what they share, what they do when one is lost, and how the training goes on."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from gan.training import processes
from gan.training.batches import Batches
from gan.training.checkpoint import Checkpoints
from gan.training.loop import Trainer
from gan.training.processes import EXIT_LOST, Together

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def three():
    """Three ends in one process, with what each says when another is lost."""
    listening = socket.create_server(("127.0.0.1", 0))
    address = listening.getsockname()[:2]
    ends, said = {}, {}

    def make(number):
        def end(sentence):
            said[number] = sentence

        ends[number] = Together(number, 3, listening if number == 0 else None, address, end)

    threads = [threading.Thread(target=make, args=(number,)) for number in range(3)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(10)
    yield [ends[number] for number in range(3)], said
    for one in ends.values():
        one._stopped.set()
        for line in one._lines:
            line.close()


def each(ends, function):
    """Call a function of every end at the same time; returns what they return."""
    found = {}
    threads = [
        threading.Thread(target=lambda i=i, one=one: found.update({i: function(i, one)})) for i, one in enumerate(ends)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join(10)
    return [found[i] for i in range(len(ends))]


def test_all_get_the_first_value_in_order_and_the_first_gets_all(three):
    ends, said = three
    assert each(ends, lambda i, one: [one.share([i, "a"]), one.share(i + 5)]) == [[[0, "a"], 5]] * 3
    assert each(ends, lambda i, one: one.gather(i * i)) == [[0, 1, 4], None, None]
    each(ends, lambda i, one: one.leave())
    time.sleep(0.2)
    assert said == {}


@pytest.mark.parametrize("gone", [0, 1])
def test_the_loss_of_one_is_told_by_all_others_with_how_to_go_on(three, gone):
    ends, said = three
    for one in ends:
        one.remedy = "go on with: again"
    for line in ends[gone]._lines:
        line.close()
    others = {0, 1, 2} - {gone}
    deadline = time.monotonic() + 5
    while not others <= said.keys() and time.monotonic() < deadline:
        time.sleep(0.02)
    for number in others:
        assert said[number].startswith(f"process {gone} has ended, so that process {number} of 3 ends too")
        assert said[number].endswith("go on with: again")


def test_one_process_shares_with_itself():
    assert not processes.joined() and processes.is_first()
    assert processes.share([1]) == [1] and processes.any_of(True) and not processes.any_of(False)


@pytest.mark.parametrize("own", [[0], [1, 3], [0, 1, 2, 3]])
def test_a_process_reads_its_own_rows_of_the_same_batch(own):
    batches = Batches(np.arange(40.0)[:, None], {"c": np.arange(40.0)[:, None]}, 3)
    whole, condition = batches.take((0, 30), (2, 1, 4, 3))
    part, of_it = batches.take((0, 30), (2, 1, 4, 3), (2, own))
    np.testing.assert_array_equal(part, whole[:, :, own])
    np.testing.assert_array_equal(of_it["c"], condition["c"][:, :, own])


WORKER = """
import importlib.util, sys, time
from gan.training import processes
toy_file, folder, mode, port, count, own = sys.argv[1:]
if int(count) > 1:
    processes.join(f"127.0.0.1:{port}", int(count), int(own))
    processes.tell("go on with: the same command")
from gan.training.loop import train
spec = importlib.util.spec_from_file_location("toy", toy_file)
toy = importlib.util.module_from_spec(spec)
spec.loader.exec_module(toy)
slowly = (lambda *_: time.sleep(0.3)) if mode == "slow" else None
train(toy.problem(), toy.many(), folder, resume=mode == "resume", progress=slowly)
processes.leave()
"""


@pytest.fixture
def start(tmp_path):
    """Start processes that train together: (folder, how, count, devices, seconds apart) -> processes, their output."""
    running = []

    def begin(folder, mode, count, devices=1, apart=0.0):
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            port = str(found.getsockname()[1])
        flags = re.sub(r"--xla_force_host_platform_device_count=\d+", "", os.environ["XLA_FLAGS"])
        flags += f" --xla_force_host_platform_device_count={devices}"
        environment = {**os.environ, "XLA_FLAGS": flags, "PYTHONPATH": str(ROOT)}
        toy = str(Path(__file__).with_name("toy.py"))
        made = []
        for own in range(count):
            time.sleep(apart if own else 0.0)
            output = (tmp_path / f"{folder.name}-{len(running)}.log").open("w+")
            command = [sys.executable, "-c", WORKER, toy, str(folder), mode, port, str(count), str(own)]
            made.append((subprocess.Popen(command, env=environment, cwd=ROOT, stdout=output, stderr=output), output))
            running.append(made[-1])
        return made

    yield begin
    for process, output in running:
        process.kill()
        process.wait()
        output.close()


def finished(made, seconds=300):
    """Wait for processes and return their exit codes and output."""
    codes = [process.wait(seconds) for process, _ in made]
    texts = []
    for _, output in made:
        output.seek(0)
        texts.append(output.read())
    return codes, texts


def final_state(toy, folder, step=60):
    """The state that a folder holds, read by this process with its four devices."""
    trainer = Trainer(toy.problem(), toy.many(), folder)
    checkpoints = Checkpoints(folder, 2)
    return jax.device_get(checkpoints.restore(step, trainer.state))


def record(folder):
    """The record without its times."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in one.items() if key not in ("seconds", "step_seconds")} for one in lines]


@pytest.mark.slow
@pytest.mark.parametrize(("count", "devices"), [(2, 1), (4, 1), (2, 2)])
def test_several_processes_train_as_one_does(toy, start, tmp_path, count, devices):
    several, one = tmp_path / "several", tmp_path / "one"
    codes, texts = finished(start(several, "start", count, devices))
    assert codes == [0] * count, texts
    assert finished(start(one, "start", 1))[0] == [0]
    theirs, ours = (final_state(toy, folder) for folder in (one, several))
    for a, b in zip(*map(jax.tree.leaves, (theirs, ours))):
        np.testing.assert_allclose(b, a, rtol=2e-4, atol=2e-5)
    # The first process alone writes, once.
    assert [line["step"] for line in record(several)] == list(range(5, 61, 5))
    for ours, theirs in zip(record(several), record(one)):
        assert ours.keys() == theirs.keys()
        np.testing.assert_allclose(list(ours.values()), list(theirs.values()), rtol=5e-3, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("gone", [0, 1])
def test_a_killed_process_ends_the_others_and_the_training_goes_on_bit_for_bit(toy, start, tmp_path, gone):
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    made = start(killed, "slow", 2)
    rows, deadline = killed / "metrics.jsonl", time.monotonic() + 300
    # Between two checkpoints, with steps done that the last of them does not hold.
    while not rows.exists() or rows.read_text().count("\n") < 5:
        assert all(one.poll() is None for one, _ in made) and time.monotonic() < deadline
        time.sleep(0.02)
    made[gone][0].send_signal(signal.SIGKILL)
    began = time.monotonic()
    other, output = made[1 - gone]
    assert other.wait(30) == EXIT_LOST
    assert time.monotonic() - began < 20
    output.seek(0)
    last = output.read().strip().splitlines()[-1]
    assert last.startswith(f"process {gone} has ended, so that process {1 - gone} of 2 ends too")
    assert last.endswith("What was checkpointed is kept; go on with: the same command")
    assert record(killed)[-1]["step"] < 60

    codes, texts = finished(start(killed, "resume", 2))
    assert codes == [0, 0], texts
    assert finished(start(whole, "start", 2))[0] == [0, 0]
    states = [final_state(toy, folder) for folder in (killed, whole)]
    for ours, theirs in zip(*map(jax.tree.leaves, states)):
        np.testing.assert_array_equal(ours, theirs)
    assert record(killed) == record(whole)


@pytest.mark.slow
def test_a_process_that_begins_late_and_then_answers_late_is_waited_for(start, tmp_path):
    late, whole = tmp_path / "late", tmp_path / "whole"
    made = start(late, "slow", 2, apart=5.0)
    rows, deadline = late / "metrics.jsonl", time.monotonic() + 300
    while not rows.exists() or rows.read_text().count("\n") < 5:
        assert all(one.poll() is None for one, _ in made) and time.monotonic() < deadline
        time.sleep(0.02)
    made[1][0].send_signal(signal.SIGSTOP)
    # The line that was on its way may still come; then nothing goes on without the process that is stopped.
    time.sleep(3.0)
    before = rows.read_text().count("\n")
    time.sleep(5.0)
    assert rows.read_text().count("\n") == before < 12
    made[1][0].send_signal(signal.SIGCONT)
    codes, texts = finished(made)
    assert codes == [0, 0], texts
    assert finished(start(whole, "start", 2))[0] == [0, 0]
    assert record(late) == record(whole)


@pytest.mark.slow
def test_a_training_goes_on_with_another_number_of_processes(toy, start, tmp_path):
    """The state is read exactly, and the order of the data does not depend on the count."""
    folder, whole = tmp_path / "changing", tmp_path / "whole"
    made = start(folder, "slow", 2)
    rows, deadline = folder / "metrics.jsonl", time.monotonic() + 300
    while not rows.exists() or rows.read_text().count("\n") < 5:
        assert all(one.poll() is None for one, _ in made) and time.monotonic() < deadline
        time.sleep(0.02)
    for process, _ in made:
        process.send_signal(signal.SIGKILL)
    for process, _ in made:
        process.wait()
    before = final_state(toy, folder, 20)
    assert finished(start(whole, "start", 1))[0] == [0]
    assert finished(start(folder, "resume", 1, 4))[0] == [0]
    kept = record(folder)
    assert kept[:4] == [line for line in record(folder) if line["step"] <= 20] and int(before.step) == 20
    for ours, theirs in zip(*map(jax.tree.leaves, (final_state(toy, folder), final_state(toy, whole)))):
        np.testing.assert_allclose(ours, theirs, rtol=2e-4, atol=2e-5)
