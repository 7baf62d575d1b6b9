"""Experiments outside the package: a user's file, kept with its run, and entry points of installed packages."""

import shutil
import sys
import textwrap
from importlib.metadata import EntryPoint
from types import SimpleNamespace

import pytest

from experiments import catalog, cli, runs
from experiments.errors import UserError
from experiments.experiment import Experiment

STUDY = '''"""Counts to three."""

import numpy as np

from experiments.config import ExperimentConfig
from experiments.evaluation.results import Comparison, Score, Scores
from experiments.experiment import Experiment


class Counting:
    unread = ()

    def check(self, config):
        pass

    def run(self, config, report):
        score = Score("how far it counts", "", 3.0, 3.0, (3.0, 3.0))
        return Comparison("counting", "It counts to three.", 0, (Scores("nothing", {"far": score}),)), {"x": np.ones(3)}


EXPERIMENT = Experiment(name="counting", study=Counting(), presets={"smoke": ExperimentConfig()})
'''


@pytest.fixture
def written(tmp_path, monkeypatch):
    """``written(name, text) -> path`` of a file in an empty folder, in which the test runs."""
    monkeypatch.chdir(tmp_path)

    def write(name, text=STUDY):
        path = tmp_path / name
        path.write_text(textwrap.dedent(text))
        return path

    return write


@pytest.fixture
def started(written):
    """A finished run of a user's file: the file, and the run's folder."""
    path = written("counting.py")
    assert cli.main(["run", "counting.py"]) == 0
    (folder,) = (path.parent / "runs" / "counting").iterdir()
    return path, folder


def test_a_run_keeps_the_file_and_needs_no_other_copy_of_it(started, capsys):
    path, folder = started
    assert (folder / "experiment.py").read_text() == STUDY
    path.unlink()
    for command in (["report", str(folder)], ["compare", str(folder)]):
        assert cli.main(command) == 0
    opened = runs.open_folder(folder)
    assert opened.definition().name == "counting" and opened.comparison().verdict == "It counts to three."
    command = opened.resume_command().split()[3:]
    assert cli.main(command) == 0
    assert len(list((path.parent / "runs" / "counting").iterdir())) == 1


def test_a_copied_run_goes_on_where_it_lies(started, tmp_path):
    _, folder = started
    moved = tmp_path / "elsewhere"
    shutil.copytree(folder, moved)
    assert cli.main(["run", str(moved / "experiment.py"), "--resume", str(moved)]) == 0


@pytest.mark.parametrize("edited", ["counting.py", "experiment.py"])
def test_a_run_goes_on_with_no_other_file_than_its_own(started, edited, capsys):
    path, folder = started
    (path if edited == path.name else folder / edited).write_text(STUDY + "\n# changed\n")
    assert cli.main(["run", "counting.py", "--resume", str(folder)]) == 2
    said = capsys.readouterr().err
    assert edited in said and said.count("\n") == 1


def test_a_run_of_a_file_is_none_of_an_installed_experiment(started, capsys):
    assert cli.main(["run", "dirac", "--resume", str(started[1])]) == 2
    assert "counting" in capsys.readouterr().err


def test_help_and_list_know_a_file(written, capsys):
    written("counting.py")
    written("broken.py", "EXPERIMENT = 1 / 0\n")
    written("other.py", "x = 1\n")
    assert cli.main(["run", "counting.py", "--help"]) == 0
    assert "--training.steps" in capsys.readouterr().out
    assert cli.main(["list", "."]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "Counts to three" in out and "line 1: ZeroDivisionError" in out and "other.py" not in out


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", "EXPERIMENT"),
        ("EXPERIMENT = 3\n", "EXPERIMENT"),
        ("import nothing_of_this_name\n", "line 1: ModuleNotFoundError"),
        ("x = 1\ny = (\n", "line 2"),
        ("def f():\n    return 1 / 0\n\n\nf()\n", "line 2: ZeroDivisionError"),
        (STUDY.replace('name="counting"', 'name="../counting"'), "'../counting'"),
        (STUDY.replace('name="counting"', 'name="dirac"'), "dirac"),
        (STUDY.replace('presets={"smoke": ExperimentConfig()}', "presets={}"), "presets"),
        (STUDY.replace("ExperimentConfig()}", "3}"), "presets"),
        ("raise SystemExit(3)\n", "line 1: SystemExit"),
    ],
)
def test_a_file_that_is_no_experiment_is_refused_with_one_sentence_and_leaves_nothing(written, capsys, text, names):
    path = written("mine.py", text)
    assert cli.main(["run", "mine.py"]) == 2
    said = capsys.readouterr().err
    assert names in said and said.count("\n") == 1
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("name", ["missing.py", "."])
def test_what_is_no_file_is_refused(written, capsys, name):
    (written("x.txt", "").parent / "folder.py").mkdir()
    assert cli.main(["run", name if name != "." else "folder.py"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_equal_files_are_one_module_so_that_their_classes_are_the_same(written):
    one, two = catalog.load(str(written("a.py"))), catalog.load(str(written("b.py")))
    assert type(one.study) is type(two.study)


def test_an_installed_package_offers_experiments_but_replaces_none(monkeypatch, capsys):
    own = Experiment(name="flow", study=catalog.load("dirac").study, presets=catalog.load("dirac").presets)
    monkeypatch.setitem(sys.modules, "lab_package", SimpleNamespace(FLOW=own, NOTHING=3))
    offered = [
        EntryPoint("flow", "lab_package:FLOW", catalog.GROUP),
        EntryPoint("nothing", "lab_package:NOTHING", catalog.GROUP),
        EntryPoint("gone", "package_that_is_gone:X", catalog.GROUP),
        EntryPoint("dirac", "lab_package:NOTHING", catalog.GROUP),
    ]
    monkeypatch.setattr(catalog, "entry_points", lambda group: offered)
    assert catalog.load("flow") is own and catalog.load("dirac") is not own
    for name in ("nothing", "gone"):
        with pytest.raises(UserError, match=name):
            catalog.load(name)
    assert cli.main(["list"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "flow" in out and "package_that_is_gone" in out
