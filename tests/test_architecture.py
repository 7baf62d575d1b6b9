"""The three wings point one way, and stay light to import."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def test_wings_import_in_one_direction_only():
    from importlinter.cli import lint_imports

    assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True) == 0


@pytest.mark.parametrize("module", ["physics", "gan", "experiments", "gan.config", "experiments.config"])
def test_importing_a_wing_does_not_import_jax(module):
    code = f"import sys, {module}; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_every_public_name_of_the_wings_can_be_imported():
    import gan
    import physics

    for wing in (physics, gan):
        for name in wing.__all__:
            assert getattr(wing, name) is not None
