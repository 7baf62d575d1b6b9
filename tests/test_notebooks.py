"""The notebooks run as they stand."""

import re
import runpy
from pathlib import Path

import jupytext
import pytest

from experiments import catalog

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "notebooks").glob("*.py"))


@pytest.mark.filterwarnings("ignore:FigureCanvasAgg is non-interactive")
@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(notebook, tmp_path, monkeypatch):
    monkeypatch.setenv("SOLVERGAN_CACHE", str(tmp_path))
    runpy.run_path(str(notebook))


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_rendered_notebook_is_that_of_the_script(notebook):
    script, rendered = jupytext.read(notebook), jupytext.read(notebook.with_suffix(".ipynb"))
    assert [(c.cell_type, c.source) for c in script.cells] == [(c.cell_type, c.source) for c in rendered.cells]
    outputs = [output for cell in rendered.cells for output in cell.get("outputs", ())]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert not any(output.output_type == "error" for output in outputs)


def test_an_equation_of_ones_own_takes_one_file_of_at_most_sixty_lines(tmp_path):
    import physics

    (notebook,) = (path for path in NOTEBOOKS if path.stem == "own_equation")
    (text,) = re.findall(r"^FILE = '''(.*?)'''$", notebook.read_text(), re.DOTALL | re.MULTILINE)
    assert len(text.splitlines()) <= 60
    path = tmp_path / "own.py"
    path.write_text(text)
    experiment = catalog.load(str(path))
    config = experiment.presets["smoke"]
    experiment.check(config)
    system = experiment.task.system(config)
    assert type(system).__module__.startswith("python_file_")
    assert type(system).__name__ not in physics.__all__
