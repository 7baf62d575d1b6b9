"""Work against precision of adaptive steps, in float64, at a relative error of at most 1e-6.

Every solver runs over tolerances a quarter of a decade apart until its error, the relative root mean square distance to
a solve with many fixed steps, is what is asked. Runs are compiled and interleaved, times are medians with quartiles,
evaluations of the nonlinearity are counted as they run. Our own solvers take four systems; on the
Kuramoto-Sivashinsky equation stand beside them the best of diffrax's explicit and implicit ones (KenCarp4, left out by
default, takes a minute a run). Writes benchmarks/results/adaptive_steps.json and the marked part of docs/physics.md;
about five minutes:

    python benchmarks/adaptive_steps.py [--repeats 7] [--solvers ETD53 Tsit5]
"""

import argparse
import os
import platform
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import numpy as np

from experiments.files import write_json, write_text
from physics import (
    ERK43,
    ETD53,
    ETDRK4,
    IFRK4,
    AllenCahn,
    Grid,
    KortewegDeVries,
    KuramotoSivashinsky,
    NavierStokes2D,
    System,
    advance,
    solve,
)

RESULTS = Path(__file__).parent / "results" / "adaptive_steps.json"
PAGE = Path(__file__).parents[1] / "docs" / "physics.md"
MARKS = ("<!-- adaptive steps: written by benchmarks/adaptive_steps.py -->", "<!-- adaptive steps: end -->")
OURS = {solver.__name__: solver for solver in (ETD53, ERK43, ETDRK4, IFRK4)}
STOCK = {name: getattr(diffrax, name) for name in ("Tsit5", "Dopri8", "Kvaerno5", "KenCarp4")}
USUAL = [*OURS, "Tsit5", "Dopri8", "Kvaerno5"]
ASKED, GOAL, KS = 1e-6, 0.1, "Kuramoto-Sivashinsky, 64 points, t = 20"
TOLERANCES = 10.0 ** -np.arange(3, 10.5, 0.25)


def problems() -> dict[str, tuple[System, jax.Array, float, float]]:
    """By name: system, initial field, end, and the step of the reference."""
    ks = KuramotoSivashinsky(Grid((64,), (22.0,)))
    kdv = KortewegDeVries(Grid((128,), (40.0,)))
    phases = AllenCahn(Grid((64,), (2 * np.pi,)), 0.1)
    flow = NavierStokes2D(Grid((32, 32), (2 * np.pi, 2 * np.pi)), 1e-2)
    key = jax.random.key(0)
    return {
        KS: (ks, advance(ks, ks.sample_initial(key), 0.1, 1000), 20.0, 1 / 400),
        "Korteweg-de Vries, 128 points, t = 2": (kdv, kdv.sample_initial(key), 2.0, 1 / 4000),
        "Allen-Cahn, 64 points, t = 4": (phases, phases.sample_initial(key), 4.0, 1 / 1000),
        "Navier-Stokes, 32 x 32 points, t = 1": (flow, flow.sample_initial(key), 1.0, 1 / 2000),
    }


def counting(system: System) -> tuple[System, list[int]]:
    """The same system, and a list that grows by one with every evaluation of its nonlinearity."""
    seen: list[int] = []
    kind = type(system)

    def nonlinear(self: Any, t: Any, u_hat: Any, args: Any = None) -> Any:
        jax.debug.callback(lambda: seen.append(1))
        return kind.nonlinear(self, t, u_hat, args)

    counted = type(kind.__name__, (kind,), {"nonlinear": nonlinear, "__module__": __name__})
    copy = object.__new__(counted)
    for name, value in vars(system).items():
        object.__setattr__(copy, name, value)
    return copy, seen


def runner(system: System, u0: jax.Array, end: float, solver: Any) -> Any:
    """Compiled solve as a function of the tolerance."""
    size = float(jnp.sqrt(jnp.mean(u0**2)))

    @jax.jit
    def run(tolerance: float) -> jax.Array:
        controller = diffrax.PIDController(rtol=tolerance, atol=tolerance * size)
        return solve(system, u0, [end], solver=solver, stepsize_controller=controller, max_steps=2**17)[-1]

    return run


def measure(name: str, names: list[str], repeats: int) -> dict[str, dict[str, Any]]:
    """One row for every solver on one problem."""
    system, u0, end, dt = problems()[name]
    exact = advance(system, u0, dt, round(end / dt), solver=ETD53())
    size, rows, runs = float(jnp.sqrt(jnp.mean(exact**2))), {}, {}
    for solver in names:
        make = (OURS | STOCK)[solver]
        runs[solver] = runner(system, u0, end, make())
        for tolerance in TOLERANCES:
            error = float(jnp.sqrt(jnp.mean((runs[solver](tolerance) - exact) ** 2))) / size
            if error <= ASKED:
                break
        rows[solver] = {"tolerance": float(tolerance), "error": error, "reached": error <= ASKED}
        if solver in OURS:
            counted, seen = counting(system)
            jax.block_until_ready(runner(counted, u0, end, make())(tolerance))
            jax.effects_barrier()
            rows[solver]["evaluations"] = len(seen)
    seconds: dict[str, list[float]] = {solver: [] for solver in names}
    for turn in range(-1, repeats):
        for solver in names:
            start = time.perf_counter()
            jax.block_until_ready(runs[solver](rows[solver]["tolerance"]))
            if turn >= 0:
                seconds[solver].append(time.perf_counter() - start)
    for solver, row in rows.items():
        row["milliseconds"] = (1e3 * np.quantile(seconds[solver], [0.25, 0.5, 0.75])).tolist()
    return rows


def page(found: dict[str, dict[str, dict[str, Any]]], machine: dict, versions: dict, repeats: int) -> list[str]:
    """The outcome as lines of the documentation."""
    lines = [
        f"Relative error of at most {ASKED:g}, float64, {machine['cpus']} {machine['machine']} cores, jax "
        f"{versions['jax']}, diffrax {versions['diffrax']}; median and quartiles of {repeats} interleaved runs. "
        "`python benchmarks/adaptive_steps.py`",
        "",
        "| | solver | tolerance | error | evaluations of N | time [ms] |",
        "|---|---|---|---|---|---|",
    ]
    for name, rows in found.items():
        for solver, row in rows.items():
            low, median, high = row["milliseconds"]
            reached = "" if row["reached"] else " (not reached)"
            cells = [name, solver, f"{row['tolerance']:.1e}", f"{row['error']:.1e}{reached}"]
            lines.append(
                f"| {' | '.join(cells)} | {row.get('evaluations', '')} | {median:.2f} ({low:.2f}-{high:.2f}) |"
            )
    rows = found.get(KS, {})
    stock = {name: rows[name]["milliseconds"][1] for name in rows if name in STOCK and rows[name]["reached"]}
    if stock:
        best = min(stock, key=lambda name: stock[name])
        shares = [f"{name} {rows[name]['milliseconds'][1] / stock[best]:.3f}" for name in OURS if name in rows]
        lines += ["", f"{KS}, over the time of {best}, the fastest of diffrax's: {', '.join(shares)} (goal: {GOAL})."]
    return lines


def main() -> None:
    """Measure, print, write JSON and page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7, help="timed runs of every solver (at least 7 to publish)")
    parser.add_argument("--solvers", nargs="+", default=USUAL, choices=[*OURS, *STOCK])
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    found = {}
    for name in problems():
        found[name] = measure(name, [s for s in options.solvers if name == KS or s in OURS], options.repeats)
        print(name, {solver: round(row["milliseconds"][1], 2) for solver, row in found[name].items()}, flush=True)
    versions = {package: version(package) for package in ("jax", "jaxlib", "diffrax", "numpy")}
    machine = {"cpus": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
    RESULTS.parent.mkdir(exist_ok=True)
    about = {"machine": machine, "versions": versions, "repeats": options.repeats}
    write_json(RESULTS, {**about, "problems": found})
    lines = page(found, machine, versions, options.repeats)
    print("\n".join(lines))
    before, _, rest = PAGE.read_text().partition(MARKS[0])
    write_text(PAGE, before + "\n".join([MARKS[0], *lines, MARKS[1]]) + rest.partition(MARKS[1])[2])


if __name__ == "__main__":
    main()
