"""A training killed with SIGKILL goes on, bit for bit, as the training that was never interrupted."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

SCRIPT = """
import importlib.util, sys, time
import numpy as np, jax
from gan.training.loop import Trainer, train
spec = importlib.util.spec_from_file_location("toy", sys.argv[1])
toy = importlib.util.module_from_spec(spec)
spec.loader.exec_module(toy)
recipe = toy.recipe(training={"steps": 60, "devices": 2, "log_every": 5, "checkpoint_every": 10})
killed, whole, how = sys.argv[2:]
if how == "start":
    train(toy.problem(), recipe, killed, progress=lambda *_: time.sleep(0.2))
else:
    states = []
    for folder, resume in ((killed, True), (whole, False)):
        train(toy.problem(), recipe, folder, resume=resume)
        trainer = Trainer(toy.problem(), recipe, folder)
        from gan.training.checkpoint import Checkpoints
        checkpoints = Checkpoints(trainer.folder, 2)
        states.append(jax.device_get(checkpoints.restore(60, trainer.state)))
        checkpoints.close()
    for ours, theirs in zip(*map(jax.tree.leaves, states)):
        np.testing.assert_array_equal(ours, theirs)
    assert jax.tree.structure(states[0]) == jax.tree.structure(states[1])
"""


def test_a_killed_training_resumes_bit_for_bit(tmp_path):
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    root = Path(__file__).resolve().parents[2]
    flags = os.environ["XLA_FLAGS"] + " --xla_force_host_platform_device_count=2"
    environment = {**os.environ, "XLA_FLAGS": flags, "PYTHONPATH": str(root)}
    toy = Path(__file__).with_name("toy.py")
    command = [sys.executable, "-c", SCRIPT, str(toy), str(killed), str(whole)]
    process = subprocess.Popen([*command, "start"], env=environment, cwd=root)
    record, deadline = killed / "metrics.jsonl", time.monotonic() + 300
    try:
        # Killed between two checkpoints, with steps done that the last checkpoint does not hold.
        while not record.exists() or record.read_text().count("\n") < 5:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    steps = [json.loads(line)["step"] for line in record.read_text().splitlines()]
    assert 25 <= steps[-1] < 60
    subprocess.run([*command, "compare"], env=environment, cwd=root, check=True)
    seen = [json.loads(line) for line in record.read_text().splitlines()]
    expected = [json.loads(line) for line in (whole / "metrics.jsonl").read_text().splitlines()]
    for line in (*seen, *expected):
        # Nor has the line after a new start to say how long updates take.
        del line["seconds"]
        line.pop("step_seconds", None)
    assert seen == expected
