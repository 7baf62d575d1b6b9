"""What the loop of a training does between two lines of its record: it neither compiles nor reads from the devices."""

import itertools
import json
import time

import jax
import numpy as np
import pytest

from gan.training.loop import Trainer

LOG, STEPS = 5, 20


@pytest.fixture
def compiled():
    """The list of the programs compiled so far, which grows while the test runs."""
    found = []

    def listen(event: str, seconds: float, **more) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            found.append(seconds)

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield found
    jax.monitoring.unregister_event_duration_listener(listen)


@pytest.mark.parametrize("parallel", ["pmap", "jit", "shard_map"])
def test_between_lines_nothing_is_compiled_and_nothing_is_read_from_the_devices(
    toy, tmp_path, monkeypatch, compiled, parallel
):
    training = {"steps": STEPS, "log_every": LOG, "checkpoint_every": STEPS, "parallel": parallel}
    trainer = Trainer(toy.problem(validation=None), toy.recipe(training=training), tmp_path)
    reads, at_line, calls = [], [], []
    device_get, step = jax.device_get, trainer.step

    def counted(x):
        reads.append(len(calls))
        return device_get(x)

    def called(*given):
        calls.append(len(compiled))
        # On devices with a memory of their own, an implicit read raises here too.
        with jax.transfer_guard_device_to_host("disallow"):
            return step(*given)

    monkeypatch.setattr(jax, "device_get", counted)
    trainer.step = trainer.step_between = called
    trainer.run(False, lambda step, steps, line: at_line.append((step, len(compiled))))
    assert [step for step, _ in at_line] == [5, 10, 15, 20] and len(calls) == STEPS
    # The only reads are those of the metrics at every line, and of the result after the last.
    assert [count for count in reads if count < STEPS] == [5, 10, 15]
    # The step is compiled in the first call; the first line may compile what it needs by itself.
    assert compiled and calls[1:LOG] == [calls[1]] * (LOG - 1)
    assert len(set(calls[LOG:])) == 1


def test_a_clock_that_is_set_back_changes_neither_the_training_nor_its_times(toy, tmp_path, monkeypatch):
    def trained(folder):
        training = {"steps": STEPS, "log_every": LOG, "checkpoint_every": 10}
        made = Trainer(toy.problem(validation=None), toy.recipe(training=training), folder).run(False, None)
        lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        return made.sample(jax.random.key(0), 16), lines

    samples, lines = trained(tmp_path / "usual")
    # An hour earlier at every look.
    now = itertools.count(time.time(), -3600)
    monkeypatch.setattr(time, "time", lambda: float(next(now)))
    later, found = trained(tmp_path / "back")
    np.testing.assert_array_equal(later, samples)
    seconds = [line["seconds"] for line in found]
    assert seconds[0] >= 0 and seconds == sorted(seconds) and seconds[-1] < 3600
    assert [line["step"] for line in found] == [line["step"] for line in lines]
