"""Files that ``new`` writes: every pair of system and task passes its checks, and runs (slow)."""

import dataclasses
from importlib.metadata import EntryPoint

import pytest

from experiments import catalog, cli, new_experiment, pipeline, runs
from experiments.new_experiment import TASKS, pairs, source
from experiments.reporting import silent
from experiments.tasks.solver_task import dataset_spec

PAIRS = pairs()


@pytest.fixture
def written(tmp_path, monkeypatch):
    """``written(system, task) -> path`` of a new file in an empty folder, in which the test runs."""
    monkeypatch.chdir(tmp_path)

    def write(system, task):
        assert cli.main(["new", "mine", "--system", system, "--task", task]) == 0
        return tmp_path / "mine.py"

    return write


@pytest.mark.parametrize(
    ("system", "task"),
    [
        ("Heat", "forecast"),
        ("Lorenz63", "snapshot"),
        *(pytest.param(*pair, marks=pytest.mark.slow) for pair in PAIRS if pair[0] not in ("Heat", "Lorenz63")),
    ],
)
def test_a_new_file_is_short_and_passes_every_check(written, system, task):
    path = written(system, task)
    experiment = catalog.load(str(path))
    assert experiment.name == "mine" and experiment.kind == task
    assert len(path.read_text().splitlines()) < 80
    for config in experiment.presets.values():
        pipeline.check(experiment, config)
    assert experiment.learnt().spec(experiment.presets["smoke"]).shape


def test_times_of_every_new_file_are_whole_numbers_of_steps(tmp_path):
    for system, task in PAIRS:
        path = tmp_path / f"{system}_{task}.py"
        path.write_text(source("mine", system, task))
        for config in catalog.load(str(path)).presets.values():
            dataset_spec(config.data)


@pytest.mark.slow
@pytest.mark.parametrize(("system", "task"), PAIRS)
def test_the_data_of_a_new_file_in_earnest_are_certified(written, system, task, monkeypatch, tmp_path):
    monkeypatch.setenv("SOLVERGAN_CACHE", str(tmp_path / "cache"))
    experiment = catalog.load(str(written(system, task)))
    demo = experiment.presets["demo"]
    # The trajectories on which the certificate of all of them rests.
    few = dataclasses.replace(demo, data=dataclasses.replace(demo.data, trajectories=(16, 1, 1)))
    certificate = experiment.learnt().data(few, silent).description["certificate"]
    assert certificate["dt"] == demo.data.dt and certificate["trajectories"] <= 16


@pytest.mark.slow
@pytest.mark.parametrize(("system", "task"), PAIRS)
def test_a_new_file_runs_at_once(written, system, task, monkeypatch, tmp_path):
    monkeypatch.setenv("SOLVERGAN_CACHE", str(tmp_path / "cache"))
    path = written(system, task)
    assert cli.main(["run", path.name, "--preset", "smoke"]) == 0
    (folder,) = (tmp_path / "runs" / "mine").iterdir()
    assert runs.open_folder(folder).comparison().verdict and (folder / "report.html").exists()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["mine", "--system", "Burger"], "Burgers"),
        (["mine", "--system", "Poisson"], "Poisson"),
        (["mine", "--system", "Heat", "--task", "modes"], "modes"),
        (["mine", "--system", "Lorenz63", "--task", "forecast"], "Lorenz63"),
        (["mine", "--system", "Heat", "--task", "forecast", "--parameter", "viscosity"], "diffusivity"),
        (["mine", "--system", "Lorenz63", "--task", "posterior"], "Lorenz63"),
        (["mine", "--system", "KuramotoSivashinsky", "--task", "posterior", "--parameter", "length"], "has none"),
        (["mine", "--system", "Heat", "--parameter", "diffusivity"], "diffusivity"),
        (["dirac", "--system", "Heat"], "dirac"),
        (["3", "--system", "Heat"], "'3'"),
        (["mine"], "--system"),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_is_written(words, named, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["new", *words]) == 2
    said = capsys.readouterr().err
    assert named in said and said.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["mine", "mine.py", "some/where/mine", "some/where/mine.py"])
def test_the_command_that_is_printed_names_the_file(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["new", name, "--system", "Heat"]) == 0
    named = name.removesuffix(".py") + ".py"
    assert (tmp_path / named).is_file() and f"run {named} " in " ".join(capsys.readouterr().out.split())


def test_a_file_that_exists_stays(tmp_path, capsys):
    path = tmp_path / "mine.py"
    path.write_text("precious")
    assert cli.main(["new", str(path), "--system", "Heat"]) == 2
    assert path.read_text() == "precious"


def test_an_installed_package_offers_a_system(monkeypatch, capsys):
    offers = [EntryPoint("OtherHeat", "physics.systems.heat:Heat", new_experiment.GROUP)]
    monkeypatch.setattr(new_experiment, "entry_points", lambda group: offers)
    assert "Heat" in source("mine", "OtherHeat", "snapshot")
    assert cli.main(["list", "--systems"]) == 0
    assert "OtherHeat" in capsys.readouterr().out
    offers[0] = EntryPoint("Nothing", "physics.systems.heat:nothing", new_experiment.GROUP)
    assert cli.main(["list", "--systems"]) == 2


def test_every_task_has_a_system():
    assert {task for _, task in PAIRS} == set(TASKS)
    assert "forecast" in source("mine", "Heat", "forecast").lower()
