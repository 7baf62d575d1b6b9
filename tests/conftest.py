"""Test-wide settings: four forced host devices, shapes checked by beartype, a persistent compilation cache."""

import os
from importlib.metadata import version
from pathlib import Path

os.environ["JAX_PLATFORMS"] = "cpu"
# Compiling costs far more than running here, so the compiler tries less hard, for the fast tests least of all (see
# `pytest_configure`): gradients of networks and of solves compile in a quarter of the time. XLA ends the process at a
# flag that it does not know, and jax 0.11 no longer knows the one for emitters.
QUICK_COMPILATION = ["--xla_llvm_disable_expensive_passes=true", "--xla_backend_optimization_level=1"]
QUICK_COMPILATION += ["--xla_cpu_parallel_codegen_split_count=1"]
if version("jax").startswith("0.10."):
    QUICK_COMPILATION += ["--xla_cpu_use_fusion_emitters=false"]
os.environ["XLA_FLAGS"] = " ".join(
    ["--xla_force_host_platform_device_count=4", *QUICK_COMPILATION, os.environ.get("XLA_FLAGS", "")]
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
    """Let small grids and rough fields pass, which tests take on purpose; choose how hard the compiler tries."""
    config.addinivalue_line("filterwarnings", "ignore::physics.resolution.UnresolvedFieldWarning")
    # Slow tests run for long enough to have their loops optimised. Whatever runs beside them compiles in the same way,
    # and so do processes that tests start: tests compare bit for bit.
    quick = config.getoption("markexpr") == "not slow"
    jax.config.update("jax_disable_most_optimizations", quick)
    os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = str(quick).lower()


@pytest.fixture(autouse=True)
def _precision(request):
    """Tests marked ``float64`` run with 64-bit floats, all others without: neither leaks into the other."""
    with jax.enable_x64(request.node.get_closest_marker("float64") is not None):
        yield


@pytest.fixture
def key():
    """A fixed JAX random key; a test that needs several splits it."""
    return jax.random.key(0)
