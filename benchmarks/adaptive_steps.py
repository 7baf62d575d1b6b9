"""Work against precision of adaptive steps: the Kuramoto-Sivashinsky equation to t = 20 in float64.

Every solver runs over a range of tolerances; its error is the relative root mean square distance to a solve with many
fixed steps. Runs are compiled and interleaved, times are medians with quartiles. Prints one row per solver at the
loosest tolerance that reaches the asked error, and writes every run to benchmarks/results/adaptive_steps.json:

    python benchmarks/adaptive_steps.py [--repeats 7] [--solvers ETD53 Tsit5]
"""

import argparse
import os
import platform
import time
from importlib.metadata import version
from pathlib import Path

import diffrax
import jax
import jax.numpy as jnp
import numpy as np

from experiments.files import write_json
from physics import ERK43, ETD53, ETDRK4, IFRK4, Grid, KuramotoSivashinsky, advance, solve

RESULTS = Path(__file__).parent / "results" / "adaptive_steps.json"
SOLVERS = {
    **{solver.__name__: solver for solver in (ETD53, ERK43, ETDRK4, IFRK4)},
    **{name: getattr(diffrax, name) for name in ("Tsit5", "Dopri8", "Kvaerno5")},
}
TIME, ASKED = 20.0, 1e-6


def main() -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7, help="timed runs of every solver and tolerance")
    parser.add_argument("--solvers", nargs="+", default=list(SOLVERS), choices=list(SOLVERS))
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    system = KuramotoSivashinsky(Grid((64,), (22.0,)))
    u0 = advance(system, system.sample_initial(jax.random.key(0)), 0.1, 1000)
    exact = advance(system, u0, TIME / 8000, 8000, solver=ETD53())
    size = float(jnp.sqrt(jnp.mean(exact**2)))
    tolerances = 10.0 ** -np.arange(4, 10.5, 0.5)

    def solved(name):
        solver = SOLVERS[name]()

        @jax.jit
        def run(tolerance):
            controller = diffrax.PIDController(rtol=tolerance, atol=tolerance * size)
            return solve(system, u0, [TIME], solver=solver, stepsize_controller=controller, max_steps=2**17)[-1]

        return run

    found, runs = {}, {name: solved(name) for name in options.solvers}
    for name, run in runs.items():
        for tolerance in tolerances:
            error = float(jnp.sqrt(jnp.mean((run(tolerance) - exact) ** 2))) / size
            found[name] = {"tolerance": float(tolerance), "error": error}
            if error <= ASKED:
                break
    seconds: dict[str, list[float]] = {name: [] for name in found}
    for _ in range(options.repeats + 1):
        for name, row in found.items():
            start = time.perf_counter()
            jax.block_until_ready(runs[name](row["tolerance"]))
            seconds[name].append(time.perf_counter() - start)
    print(f"KS, 64 points, t = {TIME:g}, float64, relative error at most {ASKED:g}\n")
    print("| solver | tolerance | error | time [ms] | quartiles |")
    print("|---|---|---|---|---|")
    for name, row in found.items():
        low, median, high = np.percentile(seconds[name][1:], [25, 50, 75]) * 1e3
        row |= {"milliseconds": median, "quartiles": [low, high], "reached": row["error"] <= ASKED}
        shown = f"{row['tolerance']:.1e} | {row['error']:.1e} | {median:.2f} | {low:.2f} to {high:.2f}"
        print(f"| {name} | {shown} |" + ("" if row["reached"] else " not reached"))
    stock = [row["milliseconds"] for name, row in found.items() if hasattr(diffrax, name) and row["reached"]]
    if stock and "ETD53" in found:
        print(f"\nETD53 takes {found['ETD53']['milliseconds'] / min(stock):.3f} of the fastest of diffrax.")
    versions = {package: version(package) for package in ("jax", "jaxlib", "diffrax", "numpy")}
    machine = {"cpus": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
    RESULTS.parent.mkdir(exist_ok=True)
    write_json(RESULTS, {"machine": machine, "versions": versions, "solvers": found})


if __name__ == "__main__":
    main()
