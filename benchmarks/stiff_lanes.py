"""A batch whose lanes differ in stiffness: all under one vmap, in buckets, and each bucket alone.

Fifteen easy lanes and one stiff lane of Burgers' equation with adaptive steps. The whole in buckets should cost at most
1.5 times the sum of its buckets alone. Runs are compiled and interleaved, times are medians with quartiles. Prints the
table and writes benchmarks/results/stiff_lanes.json:

    python benchmarks/stiff_lanes.py [--repeats 7]
"""

import argparse
import os
import platform
import time
from importlib.metadata import version
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from experiments.files import write_json
from physics import Burgers, Grid, solve, solve_batch

RESULTS = Path(__file__).parent / "results" / "stiff_lanes.json"
EASY, TOLERANCE, TIMES = 15, 1e-6, (0.5, 1.0)


def main() -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7, help="timed runs of every way")
    repeats = parser.parse_args().repeats
    jax.config.update("jax_enable_x64", True)
    system = Burgers(Grid((128,), (2 * np.pi,)), 0.02)
    wave = jnp.asarray(np.sin(system.grid.coordinates()[0]))[:, None]
    amplitudes = jnp.concatenate([jnp.linspace(0.08, 0.1, EASY), jnp.array([30.0])])
    fields = amplitudes[:, None, None] * wave

    def together(fields):
        return jax.vmap(lambda u: solve(system, u, TIMES, tolerance=TOLERANCE, max_steps=2**14))(fields)

    ways = {
        "one vmap over all lanes": lambda: together(fields),
        "in buckets": lambda: solve_batch(system, fields, TIMES, tolerance=TOLERANCE, max_steps=2**14),
        "the easy bucket alone": lambda: together(fields[:EASY]),
        "the stiff bucket alone": lambda: together(fields[EASY:]),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats + 1):
        for name, way in ways.items():
            start = time.perf_counter()
            jax.block_until_ready(way())
            seconds[name].append(time.perf_counter() - start)
    rows = {name: np.percentile(values[1:], [25, 50, 75]).tolist() for name, values in seconds.items()}
    print("| lanes | time [s] | quartiles |")
    print("|---|---|---|")
    for name, (low, median, high) in rows.items():
        print(f"| {name} | {median:.4f} | {low:.4f} to {high:.4f} |")
    alone = rows["the easy bucket alone"][1] + rows["the stiff bucket alone"][1]
    whole, everything = rows["in buckets"][1] / alone, rows["one vmap over all lanes"][1] / alone
    print(f"\nIn buckets: {whole:.2f} of the sum of the buckets alone; under one vmap: {everything:.2f}.")
    versions = {package: version(package) for package in ("jax", "jaxlib", "diffrax", "numpy")}
    machine = {"cpus": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
    RESULTS.parent.mkdir(exist_ok=True)
    write_json(RESULTS, {"machine": machine, "versions": versions, "seconds": rows})


if __name__ == "__main__":
    main()
