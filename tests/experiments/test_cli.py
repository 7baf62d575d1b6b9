"""The command line: what it does, and that a mistake is one sentence, code 2, and leaves nothing on disk."""

import errno
import io
import json
import resource
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

import experiments
from experiments import catalog, runs
from experiments.cli import main
from experiments.cli.settings import time_limit
from experiments.errors import UserError
from experiments.evaluation import results, results_file
from experiments.export import Fields
from experiments.progress import Progress, brief, duration, rate
from experiments.tasks.observations import observe
from gan import Diverged, Stopped


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """Work in an empty folder with a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOLVERGAN_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def pipeline(monkeypatch):
    """A pipeline whose ``run`` records its call and returns a verdict, unless it is to fail."""
    calls = SimpleNamespace(run=[], sample=[], fail=None, refuse=None)

    def check(experiment, config):
        if calls.refuse is not None:
            raise calls.refuse

    def run(experiment, config, folder, *, resume, progress, stop, watch):
        calls.run.append((experiment.name, config, folder.path, resume))
        if calls.fail is not None:
            raise calls.fail
        results_file.write(results.Comparison("toy", "The generator wins.", 0, ()), folder.comparison_file)
        return folder.comparison()

    def open_sampler(run, progress):
        def sample(count, *, key, refine):
            calls.sample.append((count, refine))
            return Fields(
                np.zeros((count, 4, 1), np.float32), ("sample", "x", "channel"), {"x": np.arange(4.0)}, ("u",)
            )

        return sample

    fake = SimpleNamespace(check=check, run=run, open_sampler=open_sampler)
    monkeypatch.setitem(sys.modules, "experiments.pipeline", fake)
    monkeypatch.setattr(experiments, "pipeline", fake, raising=False)
    return calls


def refusal(argv, capsys):
    """Run a command that must fail as the user's mistake; return the one line it says."""
    assert main(argv) == 2
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    return line


def test_help_takes_less_than_a_second_and_a_half_and_imports_no_jax():
    code = (
        "import sys; from experiments.cli import main; main(['--help']); main(['list'])\n"
        "assert not {'jax', 'flax', 'matplotlib', 'scipy'} & set(sys.modules), 'heavy import'"
    )
    # Time of the processor, which other processes do not change.
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=Path(experiments.__file__).parents[1],
    )
    assert done.returncode == 0, done.stderr
    assert "examples:" in done.stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.5


def test_the_list_names_every_experiment_with_its_system_and_task(capsys):
    assert main(["list"]) == 0
    said = capsys.readouterr().out
    for name, summary in catalog.names().items():
        assert name in said and summary.system in said and summary.task in said


def test_help_of_run_shows_every_setting_with_the_presets_value_and_unit(toy, capsys):
    assert main(["run", "toy", "--preset", "smoke", "--help"]) == 0
    said = capsys.readouterr().out
    assert "--training.steps int" in said
    assert "[10 updates]" in said
    assert "--system.viscosity float,float" in said
    assert "[0.01,0.1 length^2/time]" in said
    assert main(["run", "--preset", "smoke", "toy", "--help"]) == 0
    assert capsys.readouterr().out == said
    assert main(["run", "--help"]) == 0
    assert "kuramoto_sivashinsky" in capsys.readouterr().out


def test_a_run_ends_with_the_verdict_and_the_place_of_the_report(toy, pipeline, capsys):
    asked = ["--preset", "smoke", "--seed", "5", "--training.steps=7", "--training.batch", "4"]
    assert main(["run", "toy", *asked]) == 0
    verdict, where = capsys.readouterr().out.splitlines()[-2:]
    assert verdict == "The generator wins."
    page = where.removeprefix("report: ")
    assert Path(page).exists()
    ((name, config, path, resume),) = pipeline.run
    assert (name, resume) == ("toy", False)
    assert (config.seed, config.training.steps, config.training.batch) == (5, 7, 4)
    record = yaml.safe_load((path / "config.yaml").read_text())
    assert record["command"].startswith("python -m experiments run toy --preset smoke")


def test_a_run_goes_on_with_its_own_configuration(toy, pipeline, capsys):
    main(["run", "toy", "--training.steps", "7"])
    path = pipeline.run[0][2]
    assert main(["run", "toy", "--resume", str(path)]) == 0
    assert pipeline.run[1] == (*pipeline.run[0][:3], True)
    assert len(list(path.parent.iterdir())) == 1


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["rnu", "toy"], "command 'rnu' is unknown; did you mean run?"),
        (["run"], "required: NAME"),
        (["run", "toyy"], "experiment 'toyy' is unknown; did you mean toy?"),
        (["run", "toy", "--preset", "dmeo"], "--preset 'dmeo' is unknown; did you mean demo?"),
        (["run", "toy", "--presett", "demo"], "--presett is not an option of run; did you mean --preset?"),
        (["run", "toy", "--training.stepps", "3"], "did you mean --training.steps?"),
        (["run", "toy", "--training.steps"], "--training.steps needs a value"),
        (["run", "toy", "--training.steps", "--seed", "1"], "--training.steps needs a value"),
        (["run", "toy", "--training.steps", "1", "--training.steps", "2"], "is given twice"),
        (["run", "toy", "--training.steps", "-1"], "--training.steps must be at least 1, found -1."),
        (["run", "toy", "--seed", "x"], "--seed must be a whole number, found 'x'."),
        (["run", "toy", "--seed", "-1"], "--seed must be at least 0, found -1."),
        (["run", "toy", "--seed", "1", "--training.seed", "1"], "say the same thing"),
        (["run", "toy", "--resume", "nowhere"], "run folder nowhere does not exist"),
        (["run", "toy", "--time-limit", "soon"], "--time-limit must be a length of time such as 45s, 30m or 1h30m"),
        (["run", "toy", "--time-limit", "0m"], "--time-limit must be above 0, found '0m'."),
        (["run", "toy", "--time-limit", "inf"], "--time-limit must be a length of time"),
        (["sweep", "toy"], "required: --grid"),
        (["sweep", "toy", "--grid", "training.stepz=3"], "training.stepz is not a setting; did you mean"),
        (["sweep", "toy", "--grid", "training.steps=3", "--jobs", "0"], "--jobs must be at least 1, found 0."),
        (["sweep", "toy", "--grid", "training.seed=3", "--seed", "1"], "--grid training.seed varies what all runs are"),
        (["sample", "nowhere", "--count", "0", "--out", "a.npz"], "--count must be at least 1, found 0."),
        (["sample", "nowhere", "--count", "3", "--out", "a.png"], "must end in one of .npz, .nc, .h5, .zarr"),
        (["sample", "x", "--count", "3", "--refine", "-2", "--out", "a.nc"], "--refine must be at least 0"),
        (["sample", "x", "--count", "3", "--refine", "inf", "--out", "a.nc"], "--refine must be finite, found inf."),
        (["sample", "x", "--count", "3", "--refin", "2", "--out", "a.nc"], "did you mean --refine?"),
        (["sample", "x", "--count", "3", "--seed", "1e10", "--out", "a.nc"], "--seed must be below 4294967296"),
        (["sample", "nowhere", "--count", "3", "--out", "a.nc"], "run folder nowhere does not exist"),
        (["sample", "x", "--count", "2147483648", "--out", "a.nc"], "--count must be below 2147483648"),
        (["compare", "nowhere"], "run folder nowhere does not exist"),
        (["compare", "nowhere", "--fresh", "7"], "run folder nowhere does not exist"),
        (["compare", "nowhere", "--fresh", "-1"], "--fresh must be at least 0, found -1."),
        (["compare", "nowhere", "--fresh", "new"], "--fresh must be a whole number, found 'new'."),
        (["report", "."], "is not a run folder"),
        (["cache", "burn"], "choose show or clear"),
    ],
)
def test_a_mistake_is_one_sentence_with_a_remedy_and_leaves_nothing_on_disk(
    argv, expected, toy, pipeline, capsys, tmp_path
):
    assert expected in refusal(argv, capsys)
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_cannot_work_is_refused_before_it_leaves_a_folder(toy, pipeline, capsys, tmp_path):
    pipeline.refuse = UserError("training.batch = 63 does not divide over 2 devices.")
    assert refusal(["run", "toy"], capsys) == "training.batch = 63 does not divide over 2 devices."
    assert pipeline.run == [] and list(tmp_path.iterdir()) == []


def test_a_place_that_takes_no_folder_is_reported(toy, pipeline, capsys):
    assert refusal(["run", "toy", "--runs-dir", "/proc/x"], capsys).startswith(
        "/proc/x/toy: no folder can be made there"
    )


def test_an_option_without_a_command_is_refused(capsys):
    assert "--bogus is not an option" in refusal(["--bogus"], capsys)


def test_a_file_in_the_place_of_the_runs_is_reported(toy, pipeline, capsys, tmp_path):
    (tmp_path / "notes").write_text("mine")
    assert "notes/toy: a file stands where a folder is needed" in refusal(["run", "toy", "--runs-dir", "notes"], capsys)
    assert (tmp_path / "notes").read_text() == "mine"


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (["--preset", "smoke"], "whose preset is demo; leave --preset out."),
        (["--training.steps", "9"], "--training.steps 9 contradicts --resume"),
        (["--seed", "9"], "--training.seed 9 contradicts --resume"),
    ],
)
def test_resuming_with_other_settings_is_refused(run_path, pipeline, capsys, more, expected):
    assert expected in refusal(["run", "toy", "--resume", str(run_path), *more], capsys)
    assert pipeline.run == []


def test_resuming_another_experiments_run_is_refused(run_path, monkeypatch, capsys):
    monkeypatch.setitem(catalog._SUMMARIES, "other", catalog._SUMMARIES["toy"])
    monkeypatch.setitem(sys.modules, "experiments.catalog.other", sys.modules["experiments.catalog.toy"])
    assert "is a run of toy, not of other" in refusal(["run", "other", "--resume", str(run_path)], capsys)


def test_interrupting_a_run_prints_the_command_that_resumes_it(toy, pipeline, capsys):
    pipeline.fail = KeyboardInterrupt()
    assert main(["run", "toy"]) == 130
    path = pipeline.run[0][2]
    last = capsys.readouterr().err.splitlines()[-1]
    command = last.removeprefix("interrupted; go on with: python -m experiments ")
    pipeline.fail = None
    assert main(command.split()) == 0
    assert pipeline.run[1][2] == runs.open_folder(path).path


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("45s", 45), ("30m", 1800), ("1h30m", 5400), ("1d 12h", 129_600), ("1.5H", 5400), ("0.5", 0.5)],
)
def test_a_time_limit_is_read_in_its_units(text, seconds):
    assert time_limit(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "1m1h", "-3", "3 m 4", "1h-3m", "nan", "30min"])
def test_what_is_no_time_limit_is_refused(text):
    with pytest.raises(UserError, match="--time-limit must be"):
        time_limit(text)


def test_a_stopped_run_exits_with_zero_and_the_command_that_goes_on(toy, pipeline, capsys):
    pipeline.fail = Stopped("stopped by SIGTERM")
    assert main(["run", "toy", "--time-limit", "1h"]) == 0
    path = pipeline.run[0][2]
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == f"stopped by SIGTERM; go on with: python -m experiments run toy --resume {path}"
    # Of the same command as often as it takes, that is the command.
    assert main(["run", "toy", "--resume", "auto", "--time-limit", "1h"]) == 0
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.endswith("go on with: python -m experiments run toy --resume auto --time-limit 1h")


def test_a_stop_before_there_is_a_run_says_so(toy, pipeline, capsys):
    pipeline.refuse = Stopped("stopped by SIGTERM")
    assert main(["run", "toy"]) == 0
    assert capsys.readouterr().err == "stopped by SIGTERM; nothing was begun yet; give the same command again.\n"


def test_resume_auto_begins_a_run_goes_on_with_it_and_leaves_it_alone_once_it_is_finished(toy, pipeline, capsys):
    asked = ["run", "toy", "--resume", "auto", "--training.steps", "7"]
    pipeline.fail = Stopped("stopped by SIGTERM")
    assert main(asked) == 0
    assert "a new run: none was unfinished" in capsys.readouterr().err
    # Others are no reason to wait, and are not taken: another setting, another preset.
    assert main(["run", "toy", "--resume", "auto", "--training.steps", "8"]) == 0
    assert main(["run", "toy", "--resume", "auto", "--preset", "smoke", "--training.steps", "7"]) == 0
    pipeline.fail = None
    assert main(asked) == 0
    assert "an unfinished run of these settings: it goes on" in capsys.readouterr().err
    first, *others, last = pipeline.run
    assert last == (*first[:3], True)
    assert [one[3] for one in others] == [False, False] and len({one[2] for one in pipeline.run}) == 3
    assert main(asked) == 0
    said = capsys.readouterr().out
    assert f"{first[2]} is a finished run of these settings." in said and "The generator wins." in said
    assert len(pipeline.run) == 4


def test_resume_auto_takes_the_newest(toy, pipeline):
    pipeline.fail = Stopped("stopped by SIGTERM")
    for _ in range(3):
        main(["run", "toy"])
    main(["run", "toy", "--resume", "auto"])
    assert pipeline.run[3][2] == pipeline.run[2][2]


def test_a_run_that_another_process_works_on_is_refused_to_a_second(toy, pipeline, capsys):
    pipeline.fail = Stopped("stopped by SIGTERM")
    main(["run", "toy"])
    path = pipeline.run[0][2]
    capsys.readouterr()
    with runs.open_folder(path).claimed():
        assert f"another process works on {path}" in refusal(["run", "toy", "--resume", "auto"], capsys)
        assert "is being written by another process" in refusal(["run", "toy", "--resume", str(path)], capsys)
    assert len(pipeline.run) == 1 and len([one for one in path.parent.iterdir() if one.is_dir()]) == 1


def test_a_new_run_that_another_process_takes_at_once_is_left_to_it(toy, pipeline, monkeypatch):
    create, taken = runs.create, []

    def adopted(*arguments):
        folder = create(*arguments)
        if not taken:
            other = runs.open_folder(folder.path).claimed()
            other.__enter__()
            taken.append((folder.path, other))
        return folder

    monkeypatch.setattr(runs, "create", adopted)
    assert main(["run", "toy"]) == 0
    path, other = taken[0]
    other.__exit__(None, None, None)
    assert pipeline.run[0][2] not in (None, path)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "x/y"), "x/y: the disk is full"),
        (ValueError("RESOURCE_EXHAUSTED: write: No space left on device"), "the disk is full"),
        (PermissionError(errno.EACCES, "Permission denied", "x"), "x: permission is denied"),
        (MemoryError(), "the memory does not suffice; lower"),
        (UserError("batch 64 does not divide by 3 devices."), "batch 64 does not divide by 3 devices."),
        (Diverged("The training diverged at step 3: r1 = nan."), "The training diverged at step 3"),
    ],
)
def test_what_the_user_can_mend_while_running_is_one_sentence(toy, pipeline, capsys, error, expected):
    pipeline.fail = error
    assert main(["run", "toy"]) == 2
    said = capsys.readouterr().err
    assert any(line.startswith(expected) for line in said.splitlines())
    assert "Traceback" not in said
    # Going on helps where the disk was full; a training that diverged would diverge again at the same step.
    assert ("go on with: python -m experiments run toy --resume" in said) == ("disk" in said or "permission" in said)


def test_a_value_error_that_a_wing_raises_is_a_sentence_and_one_of_a_library_is_a_bug(
    toy, pipeline, capsys, monkeypatch
):
    def from_our_code():
        return Fields(np.zeros((2, 4, 1)), ("sample", "channel"), {}, ("u",))

    fake = sys.modules["experiments.pipeline"]
    monkeypatch.setattr(fake, "run", lambda *a, **k: from_our_code())
    assert main(["run", "toy"]) == 2
    assert "must name all 3 axes" in capsys.readouterr().err
    monkeypatch.setattr(fake, "run", lambda *a, **k: np.zeros(3).reshape(2, 2))
    with pytest.raises(ValueError, match="cannot reshape"):
        main(["run", "toy"])
    # An operation that fails within a wing is a bug too: nobody wrote that message for users.
    monkeypatch.setattr(fake, "run", lambda *a, **k: observe(np.zeros(3), 1.0, 1, 0.1, np.random.default_rng(0)))
    with pytest.raises(ValueError, match="unpack"):
        main(["run", "toy"])


def test_samples_are_written_with_their_shape_told(run_path, pipeline, capsys, tmp_path):
    out = tmp_path / "new" / "fields.npz"
    assert main(["sample", str(run_path), "--count", "3", "--refine", "2.5", "--out", str(out)]) == 0
    assert pipeline.sample == [(3, 2.5)]
    assert capsys.readouterr().out.strip() == f"{out}: 3 sample x 4 x x 1 channel"
    with np.load(out) as file:
        assert file["u"].shape == (3, 4)
        attributes = json.loads(str(file["attributes"]))
    assert (attributes["experiment"], attributes["run"], attributes["seed"]) == ("toy", str(run_path), 0)


def test_a_report_is_rebuilt_from_the_folder_alone(run_path, capsys):
    results_file.write(results.Comparison("toy", "It loses.", 0, ()), run_path / "comparison.json")
    assert main(["report", str(run_path)]) == 0
    assert capsys.readouterr().out.split() == ["It", "loses.", "report:", str(run_path / "report.html")]


def test_the_cache_is_shown_and_cleared(tmp_path, capsys):
    entry = tmp_path / "cache" / ("0" * 32)
    entry.mkdir(parents=True)
    (entry / "dataset.json").write_text(json.dumps({"name": "waves"}))
    (entry / "data.npy").write_bytes(b"0" * 2_000_000)
    assert main(["cache"]) == 0
    assert "2.0 MB" in (said := capsys.readouterr().out) and "waves" in said
    assert main(["cache", "clear"]) == 0
    assert "1 data sets, 2.0 MB removed" in capsys.readouterr().out
    assert not entry.exists()


def test_progress_without_a_terminal_is_a_line_with_rate_and_time_left(monkeypatch):
    stream, now = io.StringIO(), [0.0]
    monkeypatch.setattr("experiments.progress.time", SimpleNamespace(monotonic=lambda: now[0]))
    with Progress(stream=stream, every=5.0) as progress:
        update = progress.training()
        for step in range(100, 201, 10):
            update(step, 200, {"generator_loss": 0.5, "tau": 2.0, "invalid": 0.0})
            now[0] += 1.0
    lines = stream.getvalue().splitlines()
    assert lines[0] == "training 100/200, G 0.5, tau 2"
    # A resumed run: the hundred steps of the run before do not count towards the rate.
    assert lines[1] == "training 150/200, 10.0/s, 5 s left, G 0.5, tau 2"
    assert lines[-1] == "training 200/200, 10.0/s, took 10 s, G 0.5, tau 2"
    assert len(lines) == 3


def test_an_alarm_is_a_line_that_stays():
    stream = io.StringIO()
    with Progress(stream=stream, every=1e9) as progress:
        update = progress.training()
        update(100, 400, {"generator_loss": 0.5})
        update(200, 400, {"generator_loss": 0.5, "alarms": ["the discriminator has won"]})
        update(300, 400, {"generator_loss": 0.5})
    assert stream.getvalue().splitlines() == ["training 100/400, G 0.5", "step 200: the discriminator has won"]


def test_progress_on_a_terminal_draws_bars():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    stream = Terminal()
    with Progress(stream=stream) as progress:
        progress.note("run folder: runs/x")
        update = progress.data()
        update(0, 10, "spinning up")
        update(10, 10, "spinning up")
    assert "10/10" in stream.getvalue() and "runs/x" in stream.getvalue()


def test_silent_progress_says_nothing(capsys):
    with Progress(silent=True) as progress:
        progress.note("x")
        progress.compare()(1, 2, "y")
    assert capsys.readouterr() == ("", "")


def test_rates_durations_and_shares_read_well():
    assert (rate(12.34), rate(0.25), rate(None)) == ("12.3/s", "4.0 s each", "")
    assert (duration(42.4), duration(185), duration(7800)) == ("42 s", "3 min 05 s", "2 h 10 min")
    assert brief({"invalid": 0.031, "tau": 1.0}) == "tau 1, invalid 3.1%"


def test_a_task_of_several_stages_never_shows_a_negative_rate():
    import io

    from experiments.progress import Progress

    stream = io.StringIO()
    with Progress(stream=stream, every=0.0) as progress:
        report = progress.compare()
        for total, what in ((400, "solver against solver"), (8, "refining")):
            for done in range(0, total + 1, total // 4):
                report(done, total, what)
    lines = stream.getvalue().splitlines()
    assert lines[-1].startswith("comparison 8/8")
    assert not any(" -" in line for line in lines)
