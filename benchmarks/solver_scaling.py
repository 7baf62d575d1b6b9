"""How a forward solve's time grows with the points and with the fields: lines of N log N and N are shown beside.

Growth is the time per N log2 N, or per field, over the least of it at this and the smaller sizes of the sweep: the goal
is at most 1.3. Big sizes leave the processor's caches, and are printed all the same. float32, ETDRK4, medians of
interleaved runs. One table on the terminal, the same numbers with machine and versions in
benchmarks/results/solver_scaling.json; some three minutes on a quiet machine:

    python benchmarks/solver_scaling.py [--repeats 9] [--largest 65536]
"""

import argparse
import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import jax
import numpy as np

from experiments.files import write_json
from physics import Grid, KuramotoSivashinsky, NavierStokes2D, System, advance

RESULTS = Path(__file__).parent / "results" / "solver_scaling.json"
GOAL = 1.3


def runs(system: System, dt: float, batch: int, steps: int) -> Callable[[], jax.Array]:
    """A compiled solve of a batch of initial fields."""
    fields = jax.vmap(system.sample_initial)(jax.random.split(jax.random.key(0), batch))
    solve = jax.jit(jax.vmap(lambda u: advance(system, u, dt, steps)))
    return lambda: solve(fields)


def sweeps(largest: int) -> dict[str, dict[int, tuple[float, Callable[[], jax.Array]]]]:
    """By sweep and size, the work that a run should cost and the run."""

    def ks(points: int, batch: int) -> Callable[[], jax.Array]:
        return runs(KuramotoSivashinsky(Grid((points,), (points / 4,))), 0.1, batch, 100)

    def flow(points: int, batch: int) -> Callable[[], jax.Array]:
        return runs(NavierStokes2D(Grid((points, points), (2 * np.pi, 2 * np.pi)), 1e-3), 0.002, batch, 20)

    lines = [2**n for n in range(8, 17) if 2**n <= largest]
    squares = [n for n in (32, 64, 128, 256) if n * n <= largest]
    batches = [1, 2, 4, 8, 16, 32, 64]
    return {
        "KS, points": {n: (n * np.log2(n), ks(n, 4)) for n in lines},
        "KS of 256 points, fields": {b: (float(b), ks(256, b)) for b in batches},
        "Navier-Stokes, points per axis": {n: (n * n * np.log2(n * n), flow(n, 1)) for n in squares},
        "Navier-Stokes of 64 x 64 points, fields": {b: (float(b), flow(64, b)) for b in batches[:5]},
    }


def main() -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9, help="timed runs of every size (at least 7 to publish)")
    parser.add_argument("--largest", type=int, default=65536, help="the most points of one field")
    arguments = parser.parse_args()
    rows: dict[str, dict[str, dict[str, float]]] = {}
    missed = []
    for sweep, sizes in sweeps(arguments.largest).items():
        seconds: dict[int, list[float]] = {size: [] for size in sizes}
        for turn in range(-1, arguments.repeats):
            for size in list(sizes)[:: -1 if turn % 2 else 1]:
                start = time.perf_counter()
                jax.block_until_ready(sizes[size][1]())
                if turn >= 0:
                    seconds[size].append(time.perf_counter() - start)
        per_work = {size: float(np.median(s)) / sizes[size][0] for size, s in seconds.items()}
        print(f"\n{sweep:40s} {'seconds (quartiles)':>28s} {'growth over the work':>21s}")
        rows[sweep] = {}
        for number, (size, s) in enumerate(seconds.items()):
            low, middle, high = np.quantile(s, [0.25, 0.5, 0.75]).tolist()
            growth = per_work[size] / min(list(per_work.values())[: number + 1])
            rows[sweep][str(size)] = {"q25": low, "median": middle, "q75": high, "growth": growth}
            print(f"{size:40d} {middle:12.5f} ({low:.5f}-{high:.5f}) {growth:14.2f}")
            missed += [f"{sweep} {size} ({growth:.2f})"] if growth > GOAL else []
    print(f"\nmore than {GOAL} times the work: " + (", ".join(missed) or "none"))
    machine = {"cpus": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
    machine |= {"device": str(jax.devices()[0].device_kind), "precision": "float32", "repeats": arguments.repeats}
    versions = {package: version(package) for package in ("jax", "jaxlib", "diffrax", "numpy")}
    RESULTS.parent.mkdir(exist_ok=True)
    write_json(RESULTS, {"machine": machine, "versions": versions, "sweeps": rows})


if __name__ == "__main__":
    main()
