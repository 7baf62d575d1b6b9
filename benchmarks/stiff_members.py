"""A batch whose members differ in stiffness: all under one vmap, in groups, and each group alone.

Fifteen easy members and one stiff member of Burgers' equation with adaptive steps. The batch solved in groups should
cost at most 1.5 times the sum of its groups alone. Runs are compiled and interleaved, times are medians with quartiles.
Prints the table and writes benchmarks/results/stiff_members.json:

    python benchmarks/stiff_members.py [--repeats 7]
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

RESULTS = Path(__file__).parent / "results" / "stiff_members.json"
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
        "one vmap over all members": lambda: together(fields),
        "in groups": lambda: solve_batch(system, fields, TIMES, tolerance=TOLERANCE, max_steps=2**14),
        "the easy group alone": lambda: together(fields[:EASY]),
        "the stiff group alone": lambda: together(fields[EASY:]),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats + 1):
        for name, way in ways.items():
            start = time.perf_counter()
            jax.block_until_ready(way())
            seconds[name].append(time.perf_counter() - start)
    rows = {name: np.percentile(values[1:], [25, 50, 75]).tolist() for name, values in seconds.items()}
    print("| batch | time [s] | quartiles |")
    print("|---|---|---|")
    for name, (low, median, high) in rows.items():
        print(f"| {name} | {median:.4f} | {low:.4f} to {high:.4f} |")
    alone = rows["the easy group alone"][1] + rows["the stiff group alone"][1]
    whole, everything = rows["in groups"][1] / alone, rows["one vmap over all members"][1] / alone
    print(f"\nIn groups: {whole:.2f} of the sum of the groups alone; under one vmap: {everything:.2f}.")
    versions = {package: version(package) for package in ("jax", "jaxlib", "diffrax", "numpy")}
    machine = {"cpus": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
    RESULTS.parent.mkdir(exist_ok=True)
    write_json(RESULTS, {"machine": machine, "versions": versions, "seconds": rows})


if __name__ == "__main__":
    main()
