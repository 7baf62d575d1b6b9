"""Test-wide settings: four forced host devices, shapes checked by beartype, a persistent compilation cache."""

import os
from pathlib import Path

os.environ["JAX_PLATFORMS"] = "cpu"
# Compiling costs more than running here, so the compiler tries less hard.
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "")
    + " --xla_force_host_platform_device_count=4"
    + " --xla_llvm_disable_expensive_passes=true --xla_backend_optimization_level=1"
)
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).resolve().parents[1] / ".cache" / "xla-tests"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "0")
os.environ.setdefault("MPLBACKEND", "Agg")

from jaxtyping import install_import_hook

# Every annotated public array function of the three wings has its shapes and dtypes checked while tests run.
install_import_hook(["physics", "gan", "experiments"], "beartype.beartype")

import jax
import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "solvergan", deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
settings.load_profile("solvergan")


def pytest_configure(config):
    """Tests take small grids and rough fields on purpose; `pytest.warns` sees the warning all the same."""
    config.addinivalue_line("filterwarnings", "ignore::physics.resolution.UnresolvedFieldWarning")


@pytest.fixture(autouse=True)
def _precision(request):
    """Tests marked ``float64`` run with 64-bit floats, all others without: neither leaks into the other."""
    with jax.enable_x64(request.node.get_closest_marker("float64") is not None):
        yield


@pytest.fixture
def key():
    """A fixed JAX random key; a test that needs several splits it."""
    return jax.random.key(0)
