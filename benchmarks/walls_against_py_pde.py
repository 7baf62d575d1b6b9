"""Allen-Cahn between walls without flux, here against py-pde: time and error of the same problem on 64 x 64 points.

Both start from the same smooth random field and end at t = 2; the error is relative to a solve here with 256 x 256
points and half the step, both seen on the coarse points by the cosine series. py-pde takes finite differences of second
order with adaptive explicit steps; its stepping function is compiled by numba once, before the timing. One table on the
terminal, the same numbers with machine and versions in benchmarks/results/walls_against_py_pde.json; about a minute on
a quiet machine:

    pip install py-pde
    python benchmarks/walls_against_py_pde.py [--repeats 9]
"""

import argparse
import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pde

from experiments.files import write_json
from physics import AllenCahn, BandLimitedField, Grid, advance, resample

RESULTS = Path(__file__).parent / "results" / "walls_against_py_pde.json"
SIZE, LENGTH, WIDTH, END, DT = 64, 2 * np.pi, 0.3, 2.0, 0.1


def with_py_pde(start: np.ndarray) -> Callable[[], np.ndarray]:
    """py-pde's field at the end, ``(x, y)``."""
    grid = pde.CartesianGrid([[0, LENGTH], [0, LENGTH]], [SIZE, SIZE], periodic=False)
    state = pde.ScalarField(grid, start)
    equation = pde.AllenCahnPDE(interface_width=WIDTH**2, bc={"derivative": 0})
    solver = pde.RungeKuttaSolver(equation, backend="numba", adaptive=True, tolerance=1e-4)
    # Not through pde.Controller, which would make and compile this anew in every run.
    stepper = solver.make_stepper(state, dt=1e-3)

    def run() -> np.ndarray:
        moving = state.copy()
        stepper(moving, 0.0, END)
        return moving.data

    return run


def main() -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9, help="timed runs of either side (at least 7 to publish)")
    repeats = parser.parse_args().repeats
    grids = [Grid((n, n), (LENGTH, LENGTH), "neumann") for n in (SIZE, 4 * SIZE)]
    u0 = 0.5 * BandLimitedField(grids[0], 4).sample(jax.random.key(0))
    solve = jax.jit(lambda u: advance(AllenCahn(grids[0], WIDTH), u, DT, round(END / DT)))
    peer = with_py_pde(np.asarray(u0[..., 0], np.float64))
    sides: dict[str, Callable[[], np.ndarray]] = {"ours": lambda: np.asarray(solve(u0))[..., 0], "py-pde": peer}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(-1, repeats):
        for name in list(sides)[:: -1 if turn % 2 else 1]:
            start = time.perf_counter()
            sides[name]()
            if turn >= 0:
                seconds[name].append(time.perf_counter() - start)
    fine = advance(AllenCahn(grids[1], WIDTH), resample(u0, *grids), DT / 2, round(2 * END / DT))
    reference = np.asarray(resample(jnp.asarray(fine), grids[1], grids[0]))[..., 0]
    rows = {}
    print(f"{'side':8s} {'seconds (quartiles)':>28s} {'error':>9s}")
    for name, run in sides.items():
        low, middle, high = np.quantile(seconds[name], [0.25, 0.5, 0.75]).tolist()
        error = float(np.linalg.norm(run() - reference) / np.linalg.norm(reference))
        rows[name] = {"q25": low, "median": middle, "q75": high, "error": error}
        print(f"{name:8s} {f'{middle:.5f} ({low:.5f}-{high:.5f})':>28s} {error:9.1e}")
    lost = [kind for kind in ("median", "error") if rows["ours"][kind] > rows["py-pde"][kind]]
    print("worse than py-pde in: " + (", ".join(lost) or "neither time nor error"))
    machine = {"cpus": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
    machine |= {"device": str(jax.devices()[0].device_kind), "precision": "float32 here, float64 there"}
    versions = {package: version(package) for package in ("jax", "jaxlib", "diffrax", "numpy", "py-pde", "numba")}
    RESULTS.parent.mkdir(exist_ok=True)
    out = {"machine": machine, "versions": versions, "repeats": repeats, "sides": rows}
    write_json(RESULTS, out)


if __name__ == "__main__":
    main()
