"""Sweeps: which points there are, how their processes begin and end, and what the summary says of each."""

import csv
import dataclasses
import html
import io
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from experiments import cli, runs
from experiments.errors import UserError
from experiments.evaluation import results_file
from experiments.sweeps import grid, outcome, page, processes
from experiments.sweeps.outcome import State
from gan.training.stopping import Stopped, StopRequest


@pytest.fixture
def sweep(toy, tmp_path):
    """Two seeds of the toy experiment at two rates, with nothing run yet."""
    points = grid.points_of(
        toy.presets["demo"],
        {"training.batch": "4"},
        ["optimizer.generator_rate=1e-3,2e-3", "training.seed=1,2"],
    )
    found = grid.Sweep("toy", "toy", None, "demo", str(tmp_path / "runs"), {"training.batch": "4"}, points)
    found.folder.mkdir(parents=True)
    return found


def test_the_points_are_all_combinations_of_the_values(sweep):
    rates = [(one.config.optimizer.generator_rate, one.config.seed, one.config.training.batch) for one in sweep.points]
    assert rates == [(1e-3, 1, 4), (1e-3, 2, 4), (2e-3, 1, 4), (2e-3, 2, 4)]
    assert [one.number for one in sweep.points] == [1, 2, 3, 4]
    assert sweep.points[1].label() == "optimizer.generator_rate=1e-3, training.seed=2"


def test_semicolons_separate_values_that_have_commas(toy):
    points = grid.points_of(toy.presets["demo"], {}, ["system.viscosity=0.1,0.2;0.3,0.4"])
    assert [one.config.system.viscosity for one in points] == [(0.1, 0.2), (0.3, 0.4)]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["training.steps"], "needs values: write --grid training.steps=VALUE,VALUE."),
        (["training.steps=3,"], "needs values"),
        (["training.stepz=3"], "training.stepz is not a setting; did you mean --training.steps"),
        (["training.steps=3,0"], "--training.steps must be at least 1, found 0."),
        (["training.steps=3", "training.steps=4"], "--grid training.steps is given twice"),
        (["training.batch=3,4"], "--grid training.batch varies what all runs are given as 8; leave one of them out."),
        (["optimizer.generator_rate=1e-3,0.001"], "are the same settings; give one of them."),
        (["system.viscosity=0.1,0.2"], "takes 2 values"),
    ],
)
def test_a_grid_that_is_none_is_refused(toy, texts, expected):
    with pytest.raises(UserError) as caught:
        grid.points_of(toy.presets["demo"], {"training.batch": "8"}, texts)
    assert expected in str(caught.value)


def test_the_folder_of_a_sweep_is_its_own_and_found_again(sweep):
    again = dataclasses.replace(sweep)
    assert again.folder == sweep.folder and sweep.folder.name.startswith("sweep-generator_rate-seed-")
    others = [dataclasses.replace(sweep, **change) for change in ({"points": sweep.points[:2]}, {"fixed": {}})]
    assert len({sweep.folder, *(one.folder for one in others)}) == 3


def test_the_command_of_a_point_goes_on_with_its_run_within_what_is_left(sweep):
    words = processes.command(sweep, sweep.points[1], 600.0)
    assert words[1:5] == ["-m", "experiments", "run", "toy"]
    assert "--time-limit=570.0" in words and words[words.index("--resume") + 1] == "auto"
    assert words[-3:] == ["--training.batch=4", "--optimizer.generator_rate=1e-3", "--training.seed=2"]
    assert not any(one.startswith("--time-limit") for one in processes.command(sweep, sweep.points[1], float("inf")))


@pytest.fixture
def scripts(sweep, monkeypatch):
    """Let every point run a few lines of Python in place of an experiment."""
    written = {}

    def command(_, point, left):
        return [sys.executable, "-c", written[point.number]]

    monkeypatch.setattr(processes, "command", command)
    monkeypatch.setattr(processes, "_LOOK", 0.02)
    return written


WAIT = "import time\nprint('ready', flush=True)\ntime.sleep(60)"
SAVE = (
    """
import signal, sys, time
def save(number, frame):
    print("saved after", signal.Signals(number).name)
    sys.exit(130 if number == signal.SIGINT else 0)
signal.signal(signal.SIGINT, save)
signal.signal(signal.SIGTERM, save)
"""
    + WAIT
)


def when_ready(logs, do):
    """Do something as soon as every log has a line, from a thread of its own."""
    import threading

    def wait():
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and not all(one.exists() and "ready" in one.read_text() for one in logs):
            time.sleep(0.02)
        do()

    threading.Thread(target=wait, daemon=True).start()


@pytest.mark.parametrize(
    ("sent", "kind", "passed"),
    [(signal.SIGINT, KeyboardInterrupt, "SIGINT"), (signal.SIGUSR1, Stopped, "SIGTERM")],
)
def test_what_ends_a_sweep_is_passed_on_and_waited_for(sweep, scripts, sent, kind, passed):
    scripts |= dict.fromkeys(range(1, 5), SAVE)
    when_ready([sweep.log(one) for one in sweep.points[:2]], lambda: os.kill(os.getpid(), sent))
    began, ended = [], []
    with pytest.raises(kind), StopRequest() as stop:
        processes.work(
            sweep, sweep.points, 2, stop, began.append, lambda point, why: ended.append((point.number, why)) or False
        )
    assert [one.number for one in began] == [1, 2] and sorted(ended) == [(1, ""), (2, "")]
    for point in sweep.points[:2]:
        assert sweep.log(point).read_text().split("\n")[:2] == ["ready", f"saved after {passed}"]


def test_a_process_that_is_told_to_end_while_it_starts_has_not_failed(sweep, scripts):
    scripts[1] = WAIT
    when_ready([sweep.log(sweep.points[0])], lambda: os.kill(os.getpid(), signal.SIGTERM))
    ended = []
    with pytest.raises(Stopped), StopRequest() as stop:
        processes.work(sweep, sweep.points[:1], 1, stop, lambda _: None, lambda point, why: ended.append(why) or False)
    assert ended == [""]


def test_a_failed_run_leaves_its_reason_and_the_others_go_on(sweep, scripts):
    scripts[1] = "import sys; print('training 1/5'); sys.exit('--data.dt is too long; halve it.')"
    scripts[2] = "raise ValueError('cannot reshape')"
    scripts[3] = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    scripts[4] = "print('done')"
    ended, most, running = {}, [0], set()

    def begin(point):
        running.add(point.number)
        most[0] = max(most[0], len(running))

    def end(point, why):
        running.discard(point.number)
        ended[point.number] = why
        return True

    with StopRequest() as stop:
        processes.work(sweep, sweep.points, 2, stop, begin, end)
    assert most == [2]
    assert ended == {
        1: "--data.dt is too long; halve it.",
        2: "ValueError: cannot reshape",
        3: "ended by SIGKILL, for example for lack of memory",
        4: "",
    }


def test_the_summary_names_every_point_with_its_figures_its_reason_and_its_report(sweep, plausible):
    done, begun, failed, _ = sweep.points
    for point in (done, begun):
        folder = runs.create(sweep.runs_dir, "toy", "demo", point.config)
        if point is done:
            results_file.write(plausible.compared(step=100), folder.comparison_file)
            folder.report_file.touch()
            finished = folder
        else:
            folder.metrics_file.write_text('{"step": 40}\n')
    found = outcome.outcomes_of(sweep, {failed.number: "a loss <b> is not finite."})
    assert [one.state for one in found] == [State.FINISHED, State.UNFINISHED, State.FAILED, State.WAITING]
    page.write(sweep, found, "python -m experiments sweep toy")

    shown = sweep.page.read_text()
    assert "1 of 4 runs is finished, 1 is unfinished, 1 failed and 1 is not begun." in shown
    assert "unfinished, step 40 of 100" in shown and "a loss &lt;b&gt; is not finite." in shown
    assert html.escape(plausible.compared().verdict) in shown
    assert f'<a href="../{finished.path.name}/report.html">' in shown
    assert (sweep.folder / f"../{finished.path.name}/report.html").resolve() == finished.report_file.resolve()

    rows = list(csv.DictReader(io.StringIO(sweep.table.read_text())))
    assert [row["training.seed"] for row in rows] == ["1", "2", "1", "2"]
    assert [row["state"] for row in rows] == ["finished", "unfinished", "failed", "not begun"]
    assert rows[2]["reason"] == "a loss <b> is not finite."
    assert [row["step"] for row in rows] == ["0", "40", "", ""]
    assert float(rows[0]["joint_test_p"]) == 2e-4 and float(rows[0]["score/diversity"]) == 0.98
    assert rows[1]["joint_test_p"] == ""


@pytest.mark.slow
def test_a_sweep_checks_first_runs_what_is_missing_and_does_nothing_once_it_is_done(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(Path(cli.__file__).parents[2])
    words = ["sweep", "dirac", "--preset", "smoke", "--runs-dir", str(tmp_path), "--system.updates", "20"]
    assert cli.main([*words, "--grid", "system.gamma=0.5,1", "--grid", "training.steps=7"]) == 2
    assert "training.steps=7 cannot work: --training.steps 7 has no effect" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []

    assert cli.main([*words, "--system.gamma", "0.5", "--grid", "training.seed=0"]) == 0
    assert cli.main([*words, "--grid", "system.gamma=0.5,1", "--jobs", "2"]) == 0
    said = capsys.readouterr().out
    assert "2 runs, 1 of them finished already" in said and "2 of 2 runs are finished." in said
    folders = sorted(one.parent for one in (tmp_path / "dirac").glob("*/config.yaml"))
    assert len(folders) == 2
    before = [(one / "report.html").stat().st_mtime_ns for one in folders]
    assert cli.main([*words, "--grid", "system.gamma=0.5,1", "--jobs", "2"]) == 0
    assert [(one / "report.html").stat().st_mtime_ns for one in folders] == before
    assert len(list((tmp_path / "dirac").glob("*/config.yaml"))) == 2
