"""What is set before jax is imported, and how many devices a CPU is split into."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from experiments import environment
from physics.resolution import UnresolvedFieldWarning

COUNT = "from experiments import environment; environment.split_cpu(3); import jax; print(jax.local_device_count())"


@pytest.mark.parametrize(("said", "count"), [({}, "3"), ({"JAX_NUM_CPU_DEVICES": "1"}, "1")])
def test_a_cpu_is_split_unless_the_user_said_otherwise(said, count):
    inherited = {k: v for k, v in os.environ.items() if k not in ("XLA_FLAGS", "JAX_NUM_CPU_DEVICES")}
    ran = subprocess.run(
        [sys.executable, "-c", COUNT],
        env={**inherited, "JAX_PLATFORMS": "cpu", **said},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.strip() == count


def test_devices_that_jax_has_found_stay():
    before = jax.local_device_count()
    environment.split_cpu(before + 1)
    assert jax.local_device_count() == before


def test_flags_for_xla_leave_what_the_user_has_set_and_what_a_version_does_not_know():
    flags = environment.xla_flags("", "0.10.2").split()
    assert len(flags) == len(environment.XLA_FLAGS) and all(flag.startswith("--xla_cpu_") for flag in flags)
    said = "--xla_dump_to=x"
    kept = environment.xla_flags(said, "0.10.2")
    assert kept.startswith(said) and kept.count("ynn") == 1
    assert environment.xla_flags(kept, "0.10.2") == kept
    assert environment.xla_flags(said, "0.12.0") == said
    assert environment.xla_flags("", "0.9.1") == ""


def test_a_file_of_flags_for_xla_stays_one(tmp_path):
    file = tmp_path / "flags"
    file.write_text("--xla_force_host_platform_device_count=3")
    program = "from experiments import environment; environment.prepare(); import jax; print(jax.device_count())"
    inherited = {**os.environ, "XLA_FLAGS": str(file), "JAX_PLATFORMS": "cpu"}
    ran = subprocess.run([sys.executable, "-c", program], env=inherited, capture_output=True, text=True)
    assert (ran.returncode, ran.stdout.strip()) == (0, "3"), ran.stderr


def test_this_version_of_jaxlib_takes_the_flags():
    """A flag that it does not know would end the process."""
    program = "from experiments import environment; environment.prepare(); import jax; print(jax.numpy.ones(3).sum())"
    inherited = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}
    ran = subprocess.run(
        [sys.executable, "-c", program], env={**inherited, "JAX_PLATFORMS": "cpu"}, capture_output=True, text=True
    )
    assert (ran.returncode, ran.stdout.strip()) == (0, "3.0"), ran.stderr


def test_a_warning_of_ours_is_one_line_without_source_and_others_are_as_python_writes_them():
    source = str(Path(environment.__file__))
    assert environment.one_line("too few", UserWarning, source, 1) == "warning: too few\n"
    assert environment.one_line("rough", UnresolvedFieldWarning, "elsewhere.py", 1) == "warning: rough\n"
    assert "elsewhere.py:7" in environment.one_line("other", UserWarning, "elsewhere.py", 7)


def test_a_damaged_compiled_program_is_made_anew_without_a_word(tmp_path):
    program = (
        "from experiments import environment; environment.prepare(); import jax\n"
        "def tripled(x): return 3 * x\n"
        "print(jax.jit(tripled)(jax.numpy.ones(())))"
    )
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("JAX_")}
    inherited |= {"JAX_PLATFORMS": "cpu", "XDG_CACHE_HOME": str(tmp_path)}

    def run():
        return subprocess.run([sys.executable, "-c", program], env=inherited, capture_output=True, text=True)

    def entries():
        return sorted((tmp_path / "solvergan" / "xla").glob("jit_tripled-*-cache"))

    assert run().returncode == 0
    (entry,) = entries()
    whole = entry.read_bytes()
    for _ in range(2):
        entry.write_bytes(whole[: len(whole) // 2])
        damaged = run()
        assert (damaged.returncode, damaged.stdout.strip(), damaged.stderr) == (0, "3.0", "")
    assert entries() == [entry] and len(entry.read_bytes()) > len(whole) // 2
