"""2D Navier-Stokes here against exponax (ETDRK4) and jax-cfd's spectral solver, in 64, 128 and 256 points per axis.

The same decaying vorticity equation, grid, step, float32 and process, timed in turn; the field stays a spectrum
between the steps of jax-cfd, as it does here, and its steps are Carpenter and Kennedy's fourth-order Runge-Kutta in
five stages with Crank-Nicolson for viscosity. The relative difference of the fields after 10 steps shows that all solve
one equation. A peer that is not installed is left out and named. One table on the terminal, the same numbers with
machine and versions in benchmarks/results/navier_stokes_against_peers.json; some three minutes on a quiet machine:

    pip install "exponax>=0.2,<0.3"; pip install --no-deps jax-cfd tree-math
    python benchmarks/navier_stokes_against_peers.py [--repeats 9] [--points 64 128 256]
"""

import argparse
import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from experiments.files import write_json
from physics import Grid, NavierStokes2D, advance

RESULTS = Path(__file__).parent / "results" / "navier_stokes_against_peers.json"
GOALS = {"exponax": 0.8, "jax-cfd": 0.5}
STEPS = {64: 400, 128: 200, 256: 50}
VISCOSITY, DT, BATCH = 1e-3, 0.01, 4


def ours(points: int, steps: int) -> Callable:
    """Vorticity ``(x, y, 1)`` to vorticity."""
    system = NavierStokes2D(Grid((points, points), (2 * np.pi, 2 * np.pi)), VISCOSITY)
    return lambda u: advance(system, u, DT, steps)


def with_exponax(points: int, steps: int) -> Callable:
    """The same by exponax, channels first, whose vorticity turns with the axes exchanged."""
    import exponax

    stepper = exponax.stepper.NavierStokesVorticity(2, 2 * np.pi, points, DT, diffusivity=VISCOSITY, order=4)
    repeat = exponax.repeat(stepper, steps)
    return lambda u: jnp.moveaxis(repeat(jnp.moveaxis(u, -1, 0).mT).mT, 0, -1)


def with_jax_cfd(points: int, steps: int) -> Callable:
    """The same by jax-cfd."""
    import jax_cfd.base as cfd
    from jax_cfd import spectral

    grid = cfd.grids.Grid((points, points), domain=((0, 2 * np.pi), (0, 2 * np.pi)))
    equation = spectral.equations.NavierStokes2D(VISCOSITY, grid, smooth=True)
    step = cfd.funcutils.repeated(spectral.time_stepping.crank_nicolson_rk4(equation, DT), steps)
    return lambda u: jnp.fft.irfftn(step(jnp.fft.rfftn(u[..., 0])), s=u.shape[:2])[..., None]


SIDES = {"ours": ours, "exponax": with_exponax, "jax-cfd": with_jax_cfd}


def in_turn(sides: dict[str, Callable[[], object]], repeats: int) -> dict[str, dict[str, float]]:
    """Quartiles of the seconds of every side, each run once unmeasured; the order turns round every time."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(-1, repeats):
        for name in list(sides)[:: -1 if turn % 2 else 1]:
            start = time.perf_counter()
            jax.block_until_ready(sides[name]())
            if turn >= 0:
                seconds[name].append(time.perf_counter() - start)
    return {
        n: dict(zip(("q25", "median", "q75"), np.quantile(s, [0.25, 0.5, 0.75]).tolist())) for n, s in seconds.items()
    }


def measure(points: int, names: list[str], repeats: int) -> dict:
    """Seconds of every side, its ratio to ours, and how far apart the fields are after 10 steps."""
    system = NavierStokes2D(Grid((points, points), (2 * np.pi, 2 * np.pi)), VISCOSITY)
    fields = jax.vmap(system.sample_initial)(jax.random.split(jax.random.key(0), BATCH))
    runs = {name: jax.jit(jax.vmap(SIDES[name](points, STEPS[points]))) for name in names}
    row: dict = {"seconds": in_turn({n: lambda r=run: r(fields) for n, run in runs.items()}, repeats)}
    short = {name: jax.jit(jax.vmap(SIDES[name](points, 10)))(fields) for name in names}
    for name in names[1:]:
        row[name] = {
            "ratio": row["seconds"]["ours"]["median"] / row["seconds"][name]["median"],
            "difference": float(jnp.abs(short["ours"] - short[name]).max() / jnp.abs(short[name]).max()),
            "goal": GOALS[name],
        }
    return row | {"steps": STEPS[points], "batch": BATCH, "repeats": repeats}


def main() -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9, help="timed runs of every side (at least 7 to publish)")
    parser.add_argument("--points", type=int, nargs="+", choices=sorted(STEPS), default=sorted(STEPS))
    arguments = parser.parse_args()
    versions, names = {package: version(package) for package in ("jax", "jaxlib", "diffrax", "numpy")}, ["ours"]
    for peer in GOALS:
        try:
            versions[peer] = version(peer)
            names.append(peer)
        except PackageNotFoundError:
            print(f"{peer} is not installed and left out")
    rows, missed = {}, []
    head = f"{'points':>7s} {'side':>8s} {'seconds (quartiles)':>28s}"
    print(f"{head} {'ours / side':>12s} {'goal':>5s} {'difference':>10s}")
    for points in arguments.points:
        rows[str(points)] = row = measure(points, names, arguments.repeats)
        for name in names:
            spread = "{median:.4f} ({q25:.4f}-{q75:.4f})".format(**row["seconds"][name])
            rest = "" if name == "ours" else "{ratio:12.2f} {goal:5.2f} {difference:10.1e}".format(**row[name])
            print(f"{points:7d} {name:>8s} {spread:>28s} {rest}")
        missed += [f"{points} against {n}" for n in names[1:] if row[n]["ratio"] > row[n]["goal"]]
    print("goals missed: " + (", ".join(missed) or "none"))
    machine = {"cpus": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
    machine |= {"device": str(jax.devices()[0].device_kind), "precision": "float32"}
    RESULTS.parent.mkdir(exist_ok=True)
    write_json(RESULTS, {"machine": machine, "versions": versions, "cases": rows})


if __name__ == "__main__":
    main()
