"""The command line in several processes: what it refuses, and a run that they make and end together."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from experiments import cli, runs

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--num-processes", "2"], "--num-processes 2 needs --coordinator"),
        (["--process-id", "0"], "--process-id 0 needs --coordinator"),
        (["--coordinator", "node1"], "--coordinator node1 is no address: write HOST:PORT"),
        (["--coordinator", "node1:70000"], "--coordinator node1:70000 is no address"),
        (["--coordinator", "node1:12345"], "--coordinator node1:12345 needs --num-processes and --process-id too."),
        (["--coordinator", "auto", "--process-id", "1"], "--coordinator auto takes --num-processes and --process-id"),
        (
            ["--coordinator", "node1:12345", "--num-processes", "2", "--process-id", "2"],
            "--process-id must be below 2, found 2.",
        ),
    ],
)
def test_options_that_make_no_sense_are_refused(tmp_path, capsys, words, expected):
    assert cli.main(["run", "gaussians", "--preset", "smoke", "--runs-dir", str(tmp_path), *words]) == 2
    assert expected in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_study_has_no_processes(tmp_path, capsys):
    words = ["--coordinator", "node1:12345", "--num-processes", "2", "--process-id", "0"]
    assert cli.main(["run", "dirac", "--preset", "smoke", "--runs-dir", str(tmp_path), *words]) == 2
    assert "dirac is a study without a training" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("foo://bucket", "--data.store foo://bucket: the store 'foo://bucket' cannot be opened"),
        ("gs://", "--data.store gs://: the store 'gs://' names no place: write a folder, or a URL such as gs://BUCKET"),
    ],
)
def test_a_place_that_is_no_store_is_refused_before_anything_is_made(tmp_path, capsys, place, expected):
    words = ["run", "kuramoto_sivashinsky", "--preset", "smoke", "--runs-dir", str(tmp_path), "--data.store", place]
    assert cli.main(words) == 2
    assert expected in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_cannot_be_written_is_told_in_one_sentence(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("SOLVERGAN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "file").write_text("")
    words = ["run", "kuramoto_sivashinsky", "--preset", "smoke", "--runs-dir", str(tmp_path / "runs")]
    assert cli.main([*words, "--data.store", str(tmp_path / "file" / "store")]) == 2
    said = capsys.readouterr().err
    assert f"the store {tmp_path / 'file' / 'store'} cannot be written (Not a directory): choose a place" in said


def start(words, count, folder, variables=None):
    """Start the same command in several processes; returns them with the files of their output."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    flags = re.sub(r"--xla_force_host_platform_device_count=\d+", "", os.environ["XLA_FLAGS"])
    environment = {**os.environ, "XLA_FLAGS": f"{flags} --xla_force_host_platform_device_count=1", **(variables or {})}
    made = []
    for own in range(count):
        options = ["--coordinator", f"127.0.0.1:{port}", "--num-processes", str(count), "--process-id", str(own)]
        log = folder / f"{own}.log"
        with log.open("w") as output:
            command = [sys.executable, "-m", "experiments", *words, *options]
            made.append((subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output), log))
    return made


@pytest.mark.slow
def test_a_run_of_two_processes_ends_when_one_is_told_to_and_is_finished_by_two(tmp_path):
    words = ["run", "gaussians", "--preset", "smoke", "--runs-dir", str(tmp_path / "runs"), "--resume", "auto"]
    long = ["--training.steps", "20000", "--training.log_every", "20", "--training.checkpoint_every", "10000"]
    made = start([*words, *long], 2, tmp_path)
    try:
        deadline = time.monotonic() + 300
        while not (found := list(tmp_path.glob("runs/gaussians/*/metrics.jsonl"))) or not found[0].read_text():
            assert time.monotonic() < deadline and all(one.poll() is None for one, _ in made)
            time.sleep(0.1)
        # Only the second process is told.
        made[1][0].send_signal(signal.SIGTERM)
        codes = [one.wait(120) for one, _ in made]
        said = [log.read_text() for _, log in made]
        assert codes == [0, 0], said
        assert "stopped with another process of the training; go on with:" in said[0]
        assert "stopped by SIGTERM" in said[1] and "run folder" not in said[1]
        folder = runs.open_folder(found[0].parent)
        assert 0 < folder.steps_done() < 20000 and (folder.checkpoints / str(folder.steps_done())).is_dir()

        made = start(words, 2, tmp_path)
        assert [one.wait(300) for one, _ in made] == [0, 0], [log.read_text() for _, log in made]
        assert "report:" in made[0][1].read_text() and "report:" not in made[1][1].read_text()
        (finished,) = [one for one in (tmp_path / "runs" / "gaussians").iterdir() if (one / "report.html").exists()]
        assert runs.open_folder(finished).is_finished()
        # The third start finds it finished, and both end.
        made = start(words, 2, tmp_path)
        assert [one.wait(120) for one, _ in made] == [0, 0]
        assert "is a finished run of these settings" in made[0][1].read_text()
    finally:
        for one, _ in made:
            one.kill()
            one.wait()


@pytest.mark.slow
def test_two_processes_make_the_data_of_a_run_together_in_a_store_and_train_on_copies(tmp_path):
    words = ["run", "kuramoto_sivashinsky", "--preset", "smoke", "--runs-dir", str(tmp_path / "runs")]
    words += ["--data.store", str(tmp_path / "store"), "--compare.search", "false"]
    made = start(words, 2, tmp_path, {"SOLVERGAN_CACHE": str(tmp_path / "cache")})
    try:
        assert [one.wait(600) for one, _ in made] == [0, 0], [log.read_text() for _, log in made]
    finally:
        for one, _ in made:
            one.kill()
            one.wait()
    (described,) = (tmp_path / "store").glob("*/dataset.json")
    assert json.loads(described.read_text())["devices"] == 2
    (copy,) = (tmp_path / "cache").glob("*/dataset.json")
    assert copy.parent.name == described.parent.name
    assert len(list(tmp_path.glob("runs/*/*/report.html"))) == 1
