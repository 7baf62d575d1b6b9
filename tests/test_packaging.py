"""The packages as their users meet them: types that checkers see, and a wheel that runs in another environment."""

import ast
import importlib
import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("physics", "gan", "experiments")


def _names_for_type_checkers(package):
    """The names that the TYPE_CHECKING block of a package imports, with their modules."""
    names = {}
    for node in ast.walk(ast.parse((ROOT / package / "__init__.py").read_text())):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            for line in node.body:
                # `name as name` is what makes an import public for type checkers.
                names |= {entry.asname: line.module for entry in line.names if entry.asname == entry.name}
    return names


@pytest.mark.parametrize("package", PACKAGES)
def test_type_checkers_see_the_public_names_that_are_imported_on_first_use(package):
    module = importlib.import_module(package)
    modules = module.WRITTEN_IN
    assert _names_for_type_checkers(package) == modules and sorted(module.__all__) == sorted(modules)
    assert (ROOT / package / "py.typed").exists()


def _mypy(folder, program):
    (folder / "program.py").write_text(program)
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--cache-dir",
        str(ROOT / ".cache" / "mypy-program"),
        "--follow-imports=silent",
    ]
    command += ["--ignore-missing-imports", "--config-file", os.devnull, "program.py"]
    environment = os.environ | {"MYPYPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True).stdout


@pytest.mark.slow
def test_a_type_checker_knows_the_types_of_a_users_program(tmp_path):
    lines = [
        "import physics",
        "system = physics.Burgers(physics.Grid((16,), (1.0,)), 0.1)",
        "reveal_type(physics.solve)",
        "reveal_type(physics.solve(system, system.sample_initial(physics.Lorenz63), [0.1], dt=0.1))",
        "physics.solve(system, 'a field', [0.1])",
        "physics.solve(system, system.sample_initial, [0.1], time_step=0.1)",
        "physics.sovle",
        "import gan, experiments",
        "reveal_type(gan.train)",
        "reveal_type(experiments.load_run('runs/burgers/1'))",
        "gan.tarin, experiments.lode_run",
    ]
    said = _mypy(tmp_path, "\n".join(lines))
    by_line = {number: [] for number in range(1, len(lines) + 1)}
    for line in said.splitlines()[:-1]:
        by_line[int(line.split(":")[1])].append(line)
    assert not by_line[1] and not by_line[2], said
    assert "def (system: physics.system.System" in by_line[3][0]
    assert any("Revealed type" in line and "Array" in line for line in by_line[4])
    assert any("arg-type" in line for line in by_line[5]) and any("call-arg" in line for line in by_line[6])
    assert "attr-defined" in by_line[7][0]
    assert "def (" in by_line[9][0] and "experiments.run.Run" in by_line[10][0]
    assert [line.rpartition("[")[2] for line in by_line[11]] == ["attr-defined]"] * 2


@pytest.mark.slow
def test_the_wheel_of_the_source_distribution_runs_in_a_clean_environment(tmp_path):
    """Built without the repository, installed without a network, run from a folder that holds none of its files."""
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", tmp_path], cwd=ROOT, check=True)
    (archive,) = tmp_path.glob("solvergan-*.tar.gz")
    assert archive.stat().st_size < 10 * 2**20
    with tarfile.open(archive) as files:
        files.extractall(tmp_path / "source", filter="data")
    (source,) = (tmp_path / "source").iterdir()
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path], cwd=source, check=True)
    (wheel,) = tmp_path.glob("solvergan-*.whl")

    venv.create(tmp_path / "environment", with_pip=False)
    scheme = {"base": str(tmp_path / "environment"), "platbase": str(tmp_path / "environment")}
    site = Path(sysconfig.get_path("purelib", "venv", scheme))
    # The dependencies of the interpreter that runs the tests; editable installs there are not followed.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    python = Path(sysconfig.get_path("scripts", "venv", scheme)) / "python"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    install = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-cache-dir", "--prefix"]
    install += [str(tmp_path / "environment"), "--ignore-installed", str(wheel)]
    subprocess.run([sys.executable, *install], env=environment, check=True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    listed = subprocess.run(
        [python.with_name("solvergan"), "list"], cwd=elsewhere, env=environment, capture_output=True, text=True
    )
    assert listed.returncode == 0 and "kuramoto_sivashinsky" in listed.stdout, listed.stderr
    where = "import gan, physics, experiments; print(gan.__file__, physics.__file__, experiments.__file__)"
    found = subprocess.run([python, "-c", where], cwd=elsewhere, env=environment, capture_output=True, text=True)
    assert all(Path(path).is_relative_to(site) for path in found.stdout.split()) and len(found.stdout.split()) == 3
    assert all((site / package / "py.typed").exists() for package in PACKAGES)
    assert (site / "experiments" / "report" / "report.css").exists()
