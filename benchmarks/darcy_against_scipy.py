"""Darcy flow here against SciPy's sparse direct solver: same discrete equation, 64 x 64 cells, timed in turn.

Both sides start from the permeability and end with the pressure. SciPy assembles its matrix by whole arrays and
factorises it by SuperLU, with the column ordering for symmetric matrices, the faster of its orderings; the ratio to
that without the assembly is printed too. Here conjugate gradients end at the default tolerance of the precision; the
difference from SciPy's pressure is printed. A batch is one ``jax.vmap``; SciPy takes its members one by one. One
table on the terminal, the same numbers with machine and versions in benchmarks/results/darcy_against_scipy.json:

    python benchmarks/darcy_against_scipy.py [--repeats 9]
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
import scipy.sparse
import scipy.sparse.linalg

from experiments.files import write_json
from physics import Darcy, Grid, KarhunenLoeveField, corner_wells, count_iterations, solve_steady

RESULTS = Path(__file__).parent / "results" / "darcy_against_scipy.json"
SIZE, BATCH, GOAL = 64, 64, 0.5


def assemble(a: np.ndarray, walls: str) -> scipy.sparse.csc_matrix:
    """The matrix of -div(a grad) on the unit square; the first cell is left out where constants are free."""
    size, h = a.shape[0], 1 / a.shape[0]
    index = np.arange(size**2).reshape(size, size)
    diagonal = np.zeros_like(a)
    rows, columns, values = [], [], []
    for near, far in ((np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:])):
        face = 2 * a[near] * a[far] / (a[near] + a[far])
        diagonal[near] += face
        diagonal[far] += face
        rows += [index[near].ravel(), index[far].ravel()]
        columns += [index[far].ravel(), index[near].ravel()]
        values += [-face.ravel(), -face.ravel()]
    if walls == "dirichlet":
        for edge in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
            diagonal[edge] += 2 * a[edge]
    entries = np.concatenate([diagonal.ravel(), *values])
    places = [np.concatenate([index.ravel(), *which]) for which in (rows, columns)]
    matrix = scipy.sparse.csc_matrix((entries / h**2, places))
    return matrix if walls == "dirichlet" else matrix[1:, 1:]


def factorise_and_solve(matrix: scipy.sparse.csc_matrix, f: np.ndarray) -> np.ndarray:
    """SuperLU's solution."""
    factors = scipy.sparse.linalg.splu(matrix, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True})
    return factors.solve(f)


def direct(a: np.ndarray, f: np.ndarray, walls: str) -> np.ndarray:
    """SciPy's pressure from the permeability."""
    if walls == "dirichlet":
        return factorise_and_solve(assemble(a, walls), f.ravel()).reshape(a.shape)
    p = np.concatenate([[0.0], factorise_and_solve(assemble(a, walls), f.ravel()[1:])])
    return (p - p.mean()).reshape(a.shape)


def in_turn(sides: dict[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Seconds of every side, each run once unmeasured; the order turns round from one repetition to the next."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(-1, repeats):
        for name in list(sides)[:: -1 if turn % 2 else 1]:
            start = time.perf_counter()
            jax.block_until_ready(sides[name]())
            if turn >= 0:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def measure(walls: str, dtype: str, members: int, repeats: int) -> dict:
    """Seconds per sample of both sides, and how far apart their pressures are."""
    grid = Grid((SIZE, SIZE), (1.0, 1.0), walls)
    rock = KarhunenLoeveField(grid)
    a = np.exp(np.asarray(jax.vmap(rock.sample)(jax.random.split(jax.random.key(1), members)), np.float64))
    f = corner_wells(grid) if walls == "neumann" else np.ones((SIZE, SIZE, 1))
    with jax.enable_x64(dtype == "float64"):
        fields, source = jnp.asarray(a, dtype), jnp.asarray(f, dtype)

        def one(a):
            return solve_steady(Darcy(grid, a, source))

        ours = jax.jit(jax.vmap(one) if members > 1 else lambda a: one(a[0])[None])
        matrices = [assemble(member[..., 0], walls) for member in a]
        right = f.ravel() if walls == "dirichlet" else f.ravel()[1:]
        seconds = in_turn(
            {
                "ours": lambda: ours(fields),
                "scipy": lambda: [direct(member[..., 0], f[..., 0], walls) for member in a],
                "scipy without assembly": lambda: [factorise_and_solve(matrix, right) for matrix in matrices],
            },
            repeats,
        )
        pressures = np.asarray(ours(fields), np.float64)[..., 0]
        expected = np.stack([direct(member[..., 0], f[..., 0], walls) for member in a])
        iterations = np.asarray(jax.vmap(lambda a: count_iterations(Darcy(grid, a, source)))(fields))
    row: dict = {
        name: dict(zip(("q25", "median", "q75"), (np.quantile(s, [0.25, 0.5, 0.75]) / members).tolist()))
        for name, s in seconds.items()
    }
    row["ratio"] = row["ours"]["median"] / row["scipy"]["median"]
    row["ratio without assembly"] = row["ours"]["median"] / row["scipy without assembly"]["median"]
    row["difference"] = float(np.abs(pressures - expected).max() / np.abs(expected).max())
    row["iterations"] = [int(iterations.min()), int(iterations.max())]
    return row | {"goal": GOAL, "repeats": repeats, "batch": members}


def main() -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9, help="timed runs of either side (at least 7 to publish)")
    parser.add_argument("--only", help="cases whose name holds this text, printed and not written")
    arguments = parser.parse_args()
    rows = {}
    print(
        f"{'case':26s} {'ours [ms]':>22s} {'scipy [ms]':>22s} {'ratio':>6s} {'goal':>5s} {'no asm.':>8s} "
        f"{'difference':>10s} iterations"
    )
    for walls in ("neumann", "dirichlet"):
        for dtype in ("float32", "float64"):
            for members in (1, BATCH):
                name = f"{walls} {dtype} x {members}"
                if arguments.only and arguments.only not in name:
                    continue
                row = rows[name] = measure(walls, dtype, members, arguments.repeats)
                spread = [
                    f"{1e3 * row[side]['median']:.2f} ({1e3 * row[side]['q25']:.2f}-{1e3 * row[side]['q75']:.2f})"
                    for side in ("ours", "scipy")
                ]
                print(
                    f"{name:26s} {spread[0]:>22s} {spread[1]:>22s} {row['ratio']:6.2f} {GOAL:5.2f} "
                    f"{row['ratio without assembly']:8.2f} {row['difference']:10.1e} {row['iterations']}"
                )
    missed = [name for name, row in rows.items() if row["ratio"] > GOAL]
    print("goals missed: " + (", ".join(missed) or "none"))
    if arguments.only:
        return
    machine = {
        "cpus": os.cpu_count(),
        "machine": platform.machine(),
        "device": str(jax.devices()[0].device_kind),
        "python": platform.python_version(),
    }
    versions = {name: version(name) for name in ("jax", "jaxlib", "numpy", "scipy")}
    RESULTS.parent.mkdir(exist_ok=True)
    write_json(RESULTS, {"machine": machine, "versions": versions, "cases": rows})


if __name__ == "__main__":
    main()
