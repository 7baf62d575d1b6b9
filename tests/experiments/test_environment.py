"""How many devices a CPU is split into."""

import os
import subprocess
import sys

import jax
import pytest

from experiments import environment

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
