"""Memory and time of the gradient through a fixed-step solve, by what the reverse pass keeps.

Memory is what the compiled gradient allocates beside its arguments and result (XLA's own figure, so it does not depend
on the machine's load); time is the median of interleaved runs. Prints the table of docs/adjoint_memory.md and writes
benchmarks/results/adjoint_memory.json:

    python benchmarks/adjoint_memory.py [--repeats 5]
"""

import argparse
import os
import platform
import time
from importlib.metadata import version
from pathlib import Path

import jax
import numpy as np

from experiments.files import write_json
from physics import Grid, KuramotoSivashinsky, NavierStokes2D, advance

RESULTS = Path(__file__).parent / "results" / "adjoint_memory.json"
CHOICES: tuple[str | int, ...] = ("stages", "steps", "sqrt", 50)


def main() -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5, help="timed runs of every choice")
    repeats = parser.parse_args().repeats
    ks = KuramotoSivashinsky(Grid((64,), (22.0,)))
    flow = NavierStokes2D(Grid((128, 128), (2 * np.pi, 2 * np.pi)), 1e-3)
    table: dict[str, dict] = {}
    print("| gradient through | `adjoint` | memory [MiB] | time [s] | time / forward solve |")
    print("|---|---|---|---|---|")
    for name, system, dt, steps, batch in (
        ("KS, 64 points, 64 fields, 20 steps", ks, 0.1, 20, 64),
        ("KS, 64 points, 64 fields, 1000 steps", ks, 0.1, 1000, 64),
        ("Navier-Stokes, 128 x 128, 4 fields, 200 steps", flow, 0.01, 200, 4),
    ):
        fields = jax.vmap(system.sample_initial)(jax.random.split(jax.random.key(0), batch))

        def solve(u, adjoint="stages", system=system, dt=dt, steps=steps):
            return jax.vmap(lambda v: advance(system, v, dt, steps, adjoint=adjoint))(u)

        runs = {"forward": jax.jit(solve).lower(fields).compile()}
        for choice in CHOICES:
            loss = jax.jit(jax.grad(lambda u, a=choice, s=solve: (s(u, a) ** 2).mean()))
            runs[str(choice)] = loss.lower(fields).compile()
        seconds: dict[str, list[float]] = {key: [] for key in runs}
        for _ in range(repeats + 1):
            for key, run in runs.items():
                start = time.perf_counter()
                jax.block_until_ready(run(fields))
                seconds[key].append(time.perf_counter() - start)
        medians = {key: float(np.median(values[1:])) for key, values in seconds.items()}
        table[name] = {}
        for choice in map(str, CHOICES):
            memory = runs[choice].memory_analysis().temp_size_in_bytes
            row = table[name][choice] = {"bytes": memory, "seconds": medians[choice]}
            row["forward_solves"] = medians[choice] / medians["forward"]
            shown = choice if choice.isdigit() else f'"{choice}"'
            print(f"| {name} | `{shown}` | {memory / 2**20:.1f} | {row['seconds']:.4f} | {row['forward_solves']:.1f} |")
    versions = {package: version(package) for package in ("jax", "jaxlib", "diffrax", "numpy")}
    machine = {"cpus": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
    RESULTS.parent.mkdir(exist_ok=True)
    write_json(RESULTS, {"machine": machine, "versions": versions, "cases": table})


if __name__ == "__main__":
    main()
