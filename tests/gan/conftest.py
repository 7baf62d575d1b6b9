"""Gives the tests of this wing the toy problem of ``toy.py`` as a fixture."""

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def toy():
    """The module ``toy.py`` beside this file."""
    spec = importlib.util.spec_from_file_location("gan_toy", Path(__file__).with_name("toy.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
