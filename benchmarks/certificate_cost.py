"""What the certificate of 10,000 Kuramoto-Sivashinsky fields costs of the time to make them: the goal is at most 15 %.

Everything is made from nothing every time, one snapshot of each of 10,000 trajectories after the spin-up that a pilot
ensemble measures, and certified on 16 trajectories over 100 steps; the share is the certificate's of all, compiling
included on both sides, as a user meets it. With a warm compilation cache (JAX_COMPILATION_CACHE_DIR) compiling leaves
both. Medians and quartiles with machine and versions in benchmarks/results/certificate_cost.json; some 15 minutes on a
quiet machine:

    python benchmarks/certificate_cost.py [--repeats 7] [--fields 10000]
"""

import argparse
import os
import platform
import tempfile
from importlib.metadata import version
from pathlib import Path

import jax
import numpy as np

from experiments.files import write_json
from physics import Grid, KuramotoSivashinsky, default_dataset, generate

RESULTS = Path(__file__).parent / "results" / "certificate_cost.json"
GOAL = 0.15


def main() -> None:
    """Measure, print, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7, help="data sets made (at least 7 to publish)")
    parser.add_argument("--fields", type=int, default=10_000, help="fields of a data set")
    arguments = parser.parse_args()
    machine = {"cpus": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
    machine |= {"device": str(jax.devices()[0].device_kind)}
    versions = {package: version(package) for package in ("jax", "jaxlib", "diffrax", "numpy")}
    rows, missed = {}, []
    print(f"{'system':26s} {'all [s] (quartiles)':>28s} {'certificate [s]':>26s} {'share':>6s} {'goal':>5s}")
    for name, grid in (
        ("L = 22, 64 points", Grid((64,), (22.0,))),
        ("L = 32 pi, 128 points", Grid((128,), (32 * np.pi,))),
    ):
        sampler, spec = default_dataset(KuramotoSivashinsky(grid), (arguments.fields, 0, 0), snapshots=1)
        seconds, parts = [], []
        for _ in range(arguments.repeats):
            with tempfile.TemporaryDirectory() as folder:
                description = generate(sampler, spec, cache_dir=folder).description
            seconds.append(description["seconds"])
            parts.append(description["certificate_seconds"])
        share = float(np.median(np.divide(parts, seconds)))
        quartiles = [np.quantile(values, [0.25, 0.5, 0.75]).tolist() for values in (seconds, parts)]
        rows[name] = {"seconds": seconds, "certificate_seconds": parts, "share": share, "goal": GOAL}
        spread = [f"{middle:.2f} ({low:.2f}-{high:.2f})" for low, middle, high in quartiles]
        print(f"{name:26s} {spread[0]:>28s} {spread[1]:>26s} {share:6.1%} {GOAL:5.0%}")
        missed += [name] if share > GOAL else []
    print("goals missed: " + (", ".join(missed) or "none"))
    RESULTS.parent.mkdir(exist_ok=True)
    write_json(RESULTS, {"machine": machine, "versions": versions, "fields": arguments.fields, "cases": rows})


if __name__ == "__main__":
    main()
