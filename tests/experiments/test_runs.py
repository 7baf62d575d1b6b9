"""Run folders: what is read back is what was written, and a folder that is no run is recognised."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

import experiments
from experiments import files, pipeline, runs
from experiments.cli import main
from experiments.errors import UserError
from experiments.evaluation import results_file
from experiments.export import Fields


def rewrite(path, **changes):
    record = yaml.safe_load((path / "config.yaml").read_text())
    (path / "config.yaml").write_text(yaml.safe_dump({**record, **changes}))


def test_a_created_run_is_read_back_with_its_overrides(tmp_path, toy):
    config = toy.presets["demo"].with_overrides({"training.steps": "70", "training.seed": "3"})
    made = runs.create(tmp_path / "runs", "toy", "demo", config, ["python", "-m", "experiments", "run", "toy"])
    read = runs.open_folder(made.path)
    assert read.config == config
    assert read.config.seed == 3
    assert (read.experiment, read.preset) == ("toy", "demo")
    assert read.record["devices"]["count"] == 4
    assert {"python", "jax", "numpy"} <= read.record["versions"].keys()


def test_a_run_that_cannot_begin_leaves_nothing(tmp_path, toy, monkeypatch):
    def full(path, text):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("experiments.runs.folder.write_text", full)
    with pytest.raises(OSError, match="No space left"):
        runs.create(tmp_path, "toy", "demo", toy.presets["demo"])
    assert list((tmp_path / "toy").iterdir()) == []


@pytest.mark.parametrize("what", ["compare", "report"])
def test_a_read_only_run_folder_is_reported_before_anything_is_computed(what, finished_run, monkeypatch, capsys):
    monkeypatch.setattr("experiments.runs.folder.os.access", lambda path, mode: False)
    (finished_run / "checkpoints" / "100").mkdir(parents=True)
    before = sorted(finished_run.rglob("*"))
    assert main([what, str(finished_run)]) == 2
    assert f"{finished_run} is read-only; copy it to where you may write" in capsys.readouterr().err
    assert sorted(finished_run.rglob("*")) == before


def test_a_lock_that_another_user_made_is_reported(finished_run, monkeypatch):
    def foreign(lock, timeout):
        raise PermissionError(13, "Permission denied", lock.lock_file)

    monkeypatch.setattr("filelock.FileLock.acquire", foreign)
    with pytest.raises(UserError, match="is read-only"), runs.open_folder(finished_run).claimed():
        pass


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("metrics.jsonl", b"\xff\xfe\n[1, 2]\n3\n{}\n" + b'{"step": "x"}\n{"step": 5, "generator_loss": 1.0}\n{"st'),
        ("metrics.jsonl", b'{"step": 5, "generator_loss": 1.0}\n{"step": 5, "generator_loss": 1.0}'),
    ],
)
def test_lines_of_the_record_that_are_no_records_are_left_out(run_path, file, content):
    (run_path / file).write_bytes(content)
    assert runs.open_folder(run_path).metrics() == [{"step": 5, "generator_loss": 1.0}]


@pytest.mark.parametrize(
    "row",
    ['{"step": Infinity}', '{"step": NaN}', '{"step": "5"}', '{"step": 5.5}', '{"step": true}', '{"step": null}',
     '{"step": [1]}', "null", '"step"', "[" * 10**5, '{"step":' * 10**5, '{"step": 1' + "0" * 5000 + "}"],
)  # fmt: skip
def test_a_row_whose_step_is_no_count_is_left_out(run_path, row):
    (run_path / "metrics.jsonl").write_text(f'{row}\n{{"step": 1, "loss": 2.0}}\n')
    assert runs.open_folder(run_path).metrics() == [{"step": 1, "loss": 2.0}]


@pytest.mark.parametrize(
    ("rows", "seconds"),
    [
        ([], 0.0),
        ([{"step": 1}], 0.0),
        ([{"step": 1, "seconds": 2}, {"step": 2, "seconds": None}], 2.0),
        ([{"step": 1, "seconds": 2.5}, {"step": 2, "seconds": "long"}, {"step": 3, "alarms": ["a"]}], 2.5),
    ],
)
def test_the_time_of_the_training_is_the_last_that_is_known(run_path, rows, seconds):
    (run_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert runs.open_folder(run_path).training_seconds() == seconds


def test_a_sample_history_is_in_the_order_of_its_steps_and_whatever_else_lies_there_is_not_of_it(run_path):
    sample_history = run_path / "sample_history"
    sample_history.mkdir()
    for step in (100, 20, 3):
        np.savez(sample_history / f"{step}.npz", samples=np.full(2, step))
    for name in ("1a.npz", "2 (copy).npz", "-4.npz", "5.5.npz", "notes.npz", "7.txt", "\u0664.npz", ".8.npz"):
        (sample_history / name).write_bytes(b"not ours")
    frames = runs.open_folder(run_path).sample_history()
    assert [step for step, _ in frames] == [3, 20, 100]
    assert [int(samples[0]) for _, samples in frames] == [3, 20, 100]


def test_a_frame_that_cannot_be_read_is_reported(run_path):
    sample_history = run_path / "sample_history"
    sample_history.mkdir()
    np.savez(sample_history / "1.npz", other=np.zeros(2))
    with pytest.raises(UserError, match="holds no samples; remove it"):
        runs.open_folder(run_path).sample_history()
    (sample_history / "1.npz").write_bytes(b"PK")
    with pytest.raises(UserError, match="is damaged; remove it"):
        runs.open_folder(run_path).sample_history()


def test_arrays_that_are_no_archive_are_damage(run_path):
    with (run_path / "figures.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(UserError, match="is damaged; `python -m experiments compare"):
        runs.open_folder(run_path).figures()
    whole = run_path / "whole.npz"
    np.savez_compressed(whole, a=np.random.default_rng(0).normal(size=1000))
    content = bytearray(whole.read_bytes())
    content[200:300] = b"\0" * 100
    (run_path / "figures.npz").write_bytes(content)
    with pytest.raises(UserError, match="is damaged"):
        runs.open_folder(run_path).figures()


def test_the_comparison_is_read_as_typed_results(finished_run, plausible):
    assert runs.open_folder(finished_run).comparison() == plausible.compared()
    assert experiments.load_run(finished_run).comparison == plausible.compared()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"[]", "damaged"),
        (b"\xff\xfe", "damaged"),
        (b'{"verdict"', "damaged"),
        (b'{"format": 3, "distances": {"spectrum": 3}}', "damaged"),
        (b'{"task": "snapshot", "distances": {}}', "of format 1, which this version does not read"),
    ],
)
def test_a_comparison_that_cannot_be_read_is_reported_with_what_makes_it_again(run_path, content, expected):
    (run_path / "comparison.json").write_bytes(content)
    with pytest.raises(UserError, match=rf"comparison\.json is {expected}; `python -m experiments compare"):
        runs.open_folder(run_path).comparison()


@pytest.mark.parametrize("name", ["data", "networks"])
def test_a_description_that_is_no_json_is_reported(run_path, name):
    for content in ("[1]", "{", "[" * 10**5):
        (run_path / f"{name}.json").write_text(content)
        with pytest.raises(UserError, match=rf"{name}\.json is damaged; remove it"):
            getattr(runs.open_folder(run_path), name)()


@pytest.mark.parametrize("changes", [{"preset": ["demo"]}, {"experiment": None}, {"config": [1]}])
def test_a_configuration_of_the_wrong_form_is_reported(run_path, changes):
    rewrite(run_path, **changes)
    with pytest.raises(UserError, match=r"config\.yaml (is incomplete|does not fit)"):
        runs.open_folder(run_path)


def test_two_runs_started_in_one_second_have_folders_of_their_own(tmp_path, toy):
    folders = [runs.create(tmp_path, "toy", "demo", toy.presets["demo"]) for _ in range(3)]
    assert len({one.path for one in folders}) == 3


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"format": 99}, "has run format 99 and this version reads 2"),
        ({"preset": "huge"}, "preset 'huge' is not one of smoke, demo"),
        ({"experiment": "toi"}, "experiment 'toi' is unknown; did you mean toy?"),
        ({"config": {"training": {"stepz": 1}}}, "training.stepz is not a setting; did you mean steps?"),
        ({"config": {"training": {"steps": 0}}}, "training.steps must be at least 1"),
    ],
)
def test_a_run_of_another_version_says_what_does_not_fit(run_path, changes, expected):
    rewrite(run_path, **changes)
    with pytest.raises(UserError) as caught:
        runs.open_folder(run_path)
    assert expected in str(caught.value)


@pytest.mark.parametrize("text", ["format: 1\nexperi", "{", "- 1\n- 2\n", "", "[" * 5000, "{a: " * 5000])
def test_a_half_written_configuration_is_refused(run_path, text):
    (run_path / "config.yaml").write_text(text)
    with pytest.raises(UserError, match="incomplete or not YAML"):
        runs.open_folder(run_path)


def test_a_folder_above_the_run_names_the_newest_run_in_it(run_path):
    with pytest.raises(UserError, match=f"the newest run there is {run_path}"):
        runs.open_folder(run_path.parent)
    with pytest.raises(UserError, match=f"does not exist; the newest run there is {run_path}"):
        runs.open_folder(run_path.parent / "20260101-130000")


def test_metrics_cut_short_by_a_kill_are_read_up_to_the_cut_and_each_step_once(run_path):
    lines = [{"step": 10, "loss": 1.0}, {"step": 20, "loss": 2.0}, {"step": 10, "loss": 3.0}]
    (run_path / "metrics.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines) + '{"step": 30, "lo')
    assert runs.open_folder(run_path).metrics() == [{"step": 10, "loss": 3.0}, {"step": 20, "loss": 2.0}]


def test_a_missing_comparison_says_how_to_make_it(run_path):
    with pytest.raises(UserError, match=r"no comparison\.json yet; `python -m experiments compare"):
        runs.open_folder(run_path).comparison()


@pytest.mark.parametrize("left", [[], ["checkpoints"], ["checkpoints", "checkpoints/50.orbax-checkpoint-tmp"]])
def test_a_run_stopped_before_its_first_checkpoint_says_how_to_go_on(run_path, left):
    for name in left:
        (run_path / name).mkdir()
    run = experiments.load_run(run_path)
    with pytest.raises(UserError, match="holds no checkpoint yet; go on with it by `python -m experiments run toy"):
        run.sample(1)
    with pytest.raises(UserError, match="holds no checkpoint yet"):
        pipeline.compare(run.folder)


def test_json_keeps_arrays_and_turns_what_is_not_finite_into_null(tmp_path):
    path = tmp_path / "a.json"
    files.write_json(path, {"a": np.float32(0.5), "b": np.arange(2), "c": float("nan"), "d": (1, None, True)})
    assert json.loads(path.read_text()) == {"a": 0.5, "b": [0, 1], "c": None, "d": [1, None, True]}


def test_a_write_that_fails_leaves_the_old_file_alone(tmp_path):
    path = tmp_path / "a.json"
    files.write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        files.write_json(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1}
    assert [one.name for one in tmp_path.iterdir()] == ["a.json"]


def test_sampling_from_python_reaches_the_sampler_with_key_and_refinement(run_path, monkeypatch, key):
    asked = []

    def open_sampler(run, progress):
        def sample(count, *, key, refine, **condition):
            asked.append((run.path, count, key, refine, condition))
            return Fields(np.zeros((count, 4, 1)), ("sample", "x", "channel"), {}, ("u",))

        return sample

    monkeypatch.setitem(sys.modules, "experiments.pipeline", SimpleNamespace(open_sampler=open_sampler))
    monkeypatch.setattr(experiments, "pipeline", SimpleNamespace(open_sampler=open_sampler), raising=False)
    run = experiments.load_run(run_path)
    fields = run.sample(7, key=key, refine=2.0, viscosity=0.1)
    assert fields.shape == (7, 4, 1)
    assert asked == [(run_path, 7, key, 2.0, {"viscosity": 0.1})]
    with pytest.raises(UserError, match="count must be at least 1"):
        run.sample(0)
    with pytest.raises(UserError, match="refine must be a solver time"):
        run.sample(1, refine=-1.0)


def test_a_folder_that_one_process_writes_is_refused_to_another(run_path):
    with (
        runs.open_folder(run_path).claimed(),
        pytest.raises(UserError, match="is being written by another process"),
        runs.open_folder(run_path).claimed(),
    ):
        pass
    with runs.open_folder(run_path).claimed():
        pass


def test_the_object_that_holds_a_folder_may_claim_it_again(run_path):
    folder = runs.open_folder(run_path)
    with folder.claimed():
        with folder.claimed():
            pass
        with pytest.raises(runs.BusyError), runs.open_folder(run_path).claimed():
            pass


@pytest.mark.parametrize(
    ("steps", "left_out", "finished"),
    [
        (100, None, True),
        (60, None, False),
        (0, None, True),
        (100, "report.html", False),
        (100, "comparison.json", False),
    ],
)
def test_a_run_is_finished_once_its_last_step_is_compared_and_reported(run_path, plausible, steps, left_out, finished):
    results_file.write(plausible.compared(step=steps), run_path / "comparison.json")
    (run_path / "report.html").touch()
    if left_out:
        (run_path / left_out).unlink()
    assert runs.open_folder(run_path).is_finished() is finished


def test_a_run_with_a_damaged_comparison_is_not_finished(run_path):
    (run_path / "comparison.json").write_text("{")
    (run_path / "report.html").touch()
    assert not runs.open_folder(run_path).is_finished()


def test_the_same_runs_are_those_of_equal_settings_newest_first(tmp_path, toy):
    def begin(preset, **training):
        return runs.create(tmp_path, "toy", preset, toy.presets[preset].with_overrides(training))

    begin("smoke")
    ours = [begin("demo", **{"training.seed": "3"}).path for _ in range(3)]
    begin("demo", **{"training.seed": "4"})
    (tmp_path / "toy" / "broken").mkdir()
    (tmp_path / "toy" / "broken" / "config.yaml").write_text("{")
    known = runs.runs_of(tmp_path, "toy", "demo")
    assert len(known) == 4
    config = toy.presets["demo"].with_overrides({"training.seed": "3"})
    assert [one.path for one in runs.same_runs(known, config)] == ours[::-1]
    assert runs.runs_of(tmp_path / "nowhere", "toy", "demo") == []


def test_a_damaged_checkpoint_is_named_with_the_newest_whole_one(run_path, tmp_path, capsys):
    from gan.training.checkpoint import Checkpoints

    checkpoints = Checkpoints(run_path, 2)
    for step in (10, 20):
        checkpoints.save(step, {"a": np.ones(3)}, {})
    checkpoints.close()
    for file in (run_path / "checkpoints" / "20" / "default" / "d").iterdir():
        file.write_bytes(b"")
    out = tmp_path / "a.npz"
    for command in (["compare", str(run_path)], ["sample", str(run_path), "--count", "1", "--out", str(out)]):
        assert main(command) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and "step 20" in said and "step 10" in said and "--resume" in said
    assert not out.exists()
