"""A run that is killed at any moment, copied elsewhere or damaged goes on, and ends with the same parameters."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

import experiments
from experiments import runs
from gan import load

ROOT = Path(experiments.__file__).parents[1]
SMOKE = ["run", "kuramoto_sivashinsky", "--preset", "smoke", "--compare.search", "false", "--training.log_every", "2"]
SMOKE += ["--training.checkpoint_every", "4", "--training.sample_history", "1"]


def start(words, folder):
    """Start a command with a cache and run folders below a folder; what it prints goes to ``output`` there."""
    environment = {**os.environ, "SOLVERGAN_CACHE": str(folder / "cache"), "PYTHONPATH": str(ROOT)}
    folder.mkdir(exist_ok=True)
    with (folder / "output").open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "experiments", *words], env=environment, cwd=folder, stdout=output, stderr=output
        )


def finish(words, folder):
    """Run a command to its end; return what it printed."""
    assert start(words, folder).wait() == 0, (folder / "output").read_text()
    return (folder / "output").read_text()


def killed(words, folder, moment):
    """Run a command, and kill it as soon as ``moment`` holds."""
    process, deadline = start(words, folder), time.monotonic() + 600
    try:
        while not moment():
            assert process.poll() is None and time.monotonic() < deadline, (folder / "output").read_text()
            time.sleep(0.002)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def parameters(folder):
    """Every number of the averaged generator of a run's last checkpoint."""
    with jax.enable_x64(False):
        trained = load(folder, solver_layer=lambda samples, *_: (samples, np.ones(len(samples), bool)))
    return [np.asarray(leaf) for leaf in jax.tree.leaves(trained.generator)]


def newest(folder):
    """The step of a run's newest checkpoint, 0 before the first."""
    return max((int(one.name) for one in folder.glob("checkpoints/*") if one.name.isdecimal()), default=0)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The parameters of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    finish(SMOKE, folder)
    (run,) = (folder / "runs" / "kuramoto_sivashinsky").iterdir()
    return parameters(run)


def holds(folder, pattern):
    """Whether anything below a folder has a path that ends like this."""
    return lambda: next(folder.glob(pattern), None) is not None


@pytest.mark.slow
def test_a_run_killed_at_every_stage_ends_as_the_one_that_was_not(whole, tmp_path):
    run = "runs/kuramoto_sivashinsky/*"
    again = [*SMOKE, "--resume", "auto"]
    moments = {
        "while the data are made": holds(tmp_path, "cache/*.partial/train.npy"),
        "before anything is trained": holds(tmp_path, f"{run}/networks.json"),
        "while it trains": holds(tmp_path, f"{run}/sample_history/00000004.npz"),
        "while it saves": holds(tmp_path, f"{run}/checkpoints/*.orbax-checkpoint-tmp*"),
        "after a save": holds(tmp_path, f"{run}/checkpoints/12/*"),
        "while it compares": holds(tmp_path, f"{run}/checkpoints/20/*"),
        "before the report": holds(tmp_path, f"{run}/comparison.json"),
    }
    for moment in moments.values():
        killed(again, tmp_path, moment)
    said = finish(again, tmp_path)
    assert "an unfinished run of these settings: it goes on" in said
    folders = [one for one in (tmp_path / "runs" / "kuramoto_sivashinsky").iterdir() if one.is_dir()]
    assert len(folders) == 1 and runs.open_folder(folders[0]).is_finished()
    for ours, theirs in zip(parameters(folders[0]), whole, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    # A job that is submitted once more has nothing to do.
    assert "is a finished run of these settings" in finish(again, tmp_path)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of its own, and a function that sets its size in kilobytes; needs the right to mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.name != "posix" or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", place]).returncode:
        pytest.skip("no right to mount a disk of limited size")
    try:
        yield place, lambda size: subprocess.run(["mount", "-o", f"remount,size={size}k", place], check=True)
    finally:
        subprocess.run(["umount", place], check=True)


@pytest.mark.slow
def test_a_run_whose_disk_is_full_again_and_again_ends_as_the_one_that_had_room(whole, tmp_path, small_disk):
    place, resize = small_disk
    environment = {**os.environ, "SOLVERGAN_CACHE": str(place / "cache"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "experiments", *SMOKE, "--resume", "auto"]
    size, stages = 128, set()
    while True:
        resize(size)
        ended = subprocess.run(command, env=environment, cwd=place, capture_output=True, text=True)
        if ended.returncode == 0:
            break
        assert ended.returncode == 2 and "Traceback" not in ended.stderr, ended.stderr
        assert "full" in ended.stderr.splitlines()[-1], ended.stderr
        run = next(place.glob("runs/*/*/config.yaml"), place / "none").parent
        stages.add("before training" if newest(run) == 0 else "training" if newest(run) < 20 else "comparison")
        size = size * 5 // 4
        assert size < 10_000
    assert stages == {"before training", "training", "comparison"}
    for ours, theirs in zip(parameters(run), whole, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.slow
def test_a_run_that_is_copied_elsewhere_with_a_damaged_checkpoint_goes_on_there(whole, tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    killed(SMOKE, here, holds(here, "runs/kuramoto_sivashinsky/*/checkpoints/8/*"))
    (run,) = (here / "runs" / "kuramoto_sivashinsky").iterdir()
    kept = newest(run)
    assert 4 < kept < 20
    shutil.copytree(run, there / "moved")
    shutil.rmtree(here)
    for file in (there / "moved" / "checkpoints" / str(kept) / "default" / "d").iterdir():
        file.write_bytes(b"")
    said = finish(["run", "kuramoto_sivashinsky", "--resume", "moved"], there)
    assert f"step {kept}" in said and "damaged" in said and "It is removed." in said
    assert "are no longer in" in said
    for ours, theirs in zip(parameters(there / "moved"), whole, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.slow
def test_signals_and_limits_end_a_run_with_code_zero_so_that_it_ends_as_the_one_that_was_not(whole, tmp_path):
    again = [*SMOKE, "--resume", "auto"]
    for sent, pattern in (
        (signal.SIGUSR1, "cache/*.partial/train.npy"),
        (signal.SIGTERM, "runs/*/*/sample_history/*4.npz"),
    ):
        process = start(again, tmp_path)
        while not holds(tmp_path, pattern)():
            assert process.poll() is None, (tmp_path / "output").read_text()
            time.sleep(0.002)
        process.send_signal(sent)
        assert process.wait() == 0
        assert f"stopped by {sent.name}; go on with: python -m experiments run" in (tmp_path / "output").read_text()
    (run,) = [one for one in (tmp_path / "runs" / "kuramoto_sivashinsky").iterdir() if one.is_dir()]
    assert 4 <= newest(run) < 20
    finish(again, tmp_path)
    for ours, theirs in zip(parameters(run), whole, strict=True):
        np.testing.assert_array_equal(ours, theirs)
