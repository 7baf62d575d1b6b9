"""What spreading, several processes, data making and the disk cost beside the work itself; every side timed in turn.

*Step*: the training step on one device as ``pmap`` and ``shard_map`` run it, over the bare jitted one, called in turn.

*Processes*: updates per second of two processes with one device each, over one process with two devices, at the same
total batch, by ``python -m experiments scale --hosts 2``, each study with processes of its own.

*Data*: making a data set on two forced devices, over one; each in a process of its own, in turn, without compiling.

*Samples*: three million fields of 64 points into a zarr store: the share of the time that is spent inside the
generator, and how much the process grows in the second half.

    python benchmarks/overheads.py [--only step processes data samples] [--repeats 3]
    python benchmarks/overheads.py --page

Writes benchmarks/results/overheads.json after every part. ``--page`` writes the marked table of docs/scaling.md.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from experiments import environment

environment.prepare()

import jax
from demo_seeds import small_comparison

from experiments import catalog
from experiments.files import write_json, write_text
from experiments.reporting import silent
from gan.training.loop import Trainer

ROOT = Path(__file__).resolve().parents[1]
RESULTS, PAGE = ROOT / "benchmarks" / "results" / "overheads.json", ROOT / "docs" / "scaling.md"
MARKS = ("<!-- figures: lost beside -->", "<!-- end -->")
MISSING = "Not measured on a quiet machine yet."
CASES = (("kuramoto_sivashinsky", "demo"), ("gaussians", "demo"))
WAYS = ("jit", "pmap", "shard_map")
SAMPLES = 3_000_000
WARM_UP, STEP_SECONDS = 5, 30.0
"""Calls of a step that do not count, and seconds for each repeat of a case."""
AIMS = {
    "step": "at most 2%",
    "processes": "at least 0.95",
    "data": "at least 1.8",
    "samples": "at least 80%, memory flat",
}
MAKE = """
import sys, time
from experiments import environment
environment.prepare()
import jax, physics
folder, seed = sys.argv[1:]
system = physics.KuramotoSivashinsky(physics.Grid((64,), (22.0,)))
def make(seed):
    spec = physics.DatasetSpec(
        "timed", trajectories=(4096, 64, 64), snapshots=4, spin_up=100.0, stride=10.0, dt=0.1, seed=seed
    )
    began, busy = time.perf_counter(), time.process_time()
    physics.generate(physics.FixedSystem(system), spec, cache_dir=folder)
    seconds = time.perf_counter() - began
    return seconds, (time.process_time() - busy) / seconds
make(int(seed))
print(len(jax.devices()), *make(int(seed) + 1))
"""


def quartiles(values: list[float]) -> dict[str, float]:
    """Return the median and the extremes."""
    return {"median": statistics.median(values), "least": min(values), "most": max(values)}


def step(repeats: int) -> dict[str, Any]:
    """Return the time of a mapped step over that of the bare one, call by call."""
    found = {}
    for name, preset in CASES:
        experiment = catalog.load(name)
        config = experiment.presets[preset]
        task = experiment.learnt()
        problem = task.problem(config, task.data(config, silent))
        takers = {}
        for way in WAYS:
            training = replace(config.training, parallel=way, devices=1)
            trainer = Trainer(problem, replace(config, training=training), tempfile.mkdtemp())
            takers[way] = [trainer, trainer.spread.replicate(trainer.state)]
        seconds: dict[str, list[float]] = {way: [] for way in WAYS}
        until = 0.0
        for turn in itertools.count():
            if turn == WARM_UP:
                until = time.perf_counter() + STEP_SECONDS * repeats
            if turn >= WARM_UP + 5 * repeats and time.perf_counter() > until:
                break
            for way, taker in takers.items():
                trainer, state = taker
                batch = trainer.spread.place(trainer.next_batch((0, 0)))
                began = time.perf_counter()
                taker[1], metrics = trainer.step(state, *batch)
                jax.block_until_ready((taker[1], metrics))
                if turn >= WARM_UP:
                    seconds[way].append(time.perf_counter() - began)
        bare = seconds["jit"]
        found[f"{name}-{preset}"] = {
            "seconds": {way: quartiles(values) for way, values in seconds.items()},
            "over": {
                way: quartiles(
                    [
                        statistics.median(seconds[way][k::repeats]) / statistics.median(bare[k::repeats])
                        for k in range(repeats)
                    ]
                )
                for way in WAYS[1:]
            },
        }
        print(name, found[f"{name}-{preset}"], flush=True)
    return found


def processes(repeats: int) -> dict[str, Any]:
    """Return the rate of two processes over that of two devices of one."""
    found: dict[str, Any] = {}
    for name, preset in CASES:
        ratios = []
        for _ in range(repeats):
            with tempfile.TemporaryDirectory() as folder:
                command = [sys.executable, "-m", "experiments", "scale", name, "--preset", preset]
                command += ["--devices", "2", "--hosts", "2", "--runs-dir", folder]
                subprocess.run(command, check=True)
                study = json.loads(next(Path(folder).glob("*/scale-*/scaling.json")).read_text())
            rates = {
                (one["processes"], one["batch"]): one["batch"] / one["seconds"]
                for one in study["points"]
                if one["devices"] == 2
            }
            ratios += [rate / rates[1, batch] for (count, batch), rate in rates.items() if count == 2]
        found[f"{name}-{preset}"] = quartiles(ratios)
        print(name, found[f"{name}-{preset}"], flush=True)
    return found


def data(repeats: int) -> dict[str, Any]:
    """Return the rate of two devices over that of one, and the cores that either keeps busy."""
    ratios: list[float] = []
    cores: dict[int, list[float]] = {1: [], 2: []}
    for turn in range(repeats):
        seconds = {}
        for count in (1, 2):
            flags = f"--xla_force_host_platform_device_count={count}"
            with tempfile.TemporaryDirectory() as folder:
                made = subprocess.run(
                    [sys.executable, "-c", MAKE, folder, str(100 * turn)],
                    env={**os.environ, "XLA_FLAGS": flags},
                    check=True,
                    capture_output=True,
                    text=True,
                )
            devices, spent, busy = made.stdout.split()[-3:]
            assert int(devices) == count
            seconds[count] = float(spent)
            cores[count].append(float(busy))
        ratios.append(seconds[1] / seconds[2])
    print(ratios, cores, flush=True)
    return {**quartiles(ratios), "cores": {str(count): statistics.median(busy) for count, busy in cores.items()}}


def samples(_: int) -> dict[str, Any]:
    """Return the share of the time inside the generator while samples are stored, and the memory."""
    import experiments
    from experiments.streaming import store_samples

    with tempfile.TemporaryDirectory() as folder:
        # The demo's networks; what they have learnt does not matter here.
        command = [sys.executable, "-m", "experiments", "run", "kuramoto_sivashinsky", "--preset", "demo"]
        command += ["--training.steps", "200", *small_comparison("kuramoto_sivashinsky", "demo")]
        subprocess.run([*command, "--runs-dir", folder], check=True)
        run = experiments.load_run(next(Path(folder).glob("kuramoto_sivashinsky/*/config.yaml")).parent)
        inside, sizes = [0.0], []
        draw: Callable[..., Any] = run.sample

        def timed(*given: Any, **named: Any) -> Any:
            began = time.perf_counter()
            made = draw(*given, **named)
            inside[0] += time.perf_counter() - began
            return made

        def report(done: int, total: int, what: str) -> None:
            sizes.append((done / total, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024))

        object.__setattr__(run, "sample", timed)
        began = time.perf_counter()
        store_samples(run, Path(folder) / "samples.zarr", SAMPLES, report=report)
        seconds = time.perf_counter() - began
    early = next(size for done, size in sizes if done >= 0.5)
    return {"count": SAMPLES, "share": inside[0] / seconds, "seconds": seconds, "grown": sizes[-1][1] - early}


PARTS: dict[str, Callable[[int], Any]] = {"step": step, "processes": processes, "data": data, "samples": samples}


def spread(row: dict[str, float]) -> str:
    """Return the median with the extremes."""
    return f"{row['median']:.3f} ({row['least']:.3f} to {row['most']:.3f})"


def table(found: dict[str, Any]) -> str:
    """Return the table of what has been measured."""
    lines = ["| what | case | measured | aim |", "|---|---|---|---|"]
    for case, row in found.get("step", {}).items():
        for way, over in row["over"].items():
            lines.append(f"| step on one device, `{way}` over bare `jit` | {case} | {spread(over)} | {AIMS['step']} |")
    for case, row in found.get("processes", {}).items():
        what = "rate of 2 processes over that of 2 devices of one"
        lines.append(f"| {what} | {case} | {spread(row)} | {AIMS['processes']} |")
    if "data" in found:
        what = "rate of making data, 2 devices over 1"
        row = found["data"]
        said = f"{spread(row)}; one keeps {row['cores']['1']:.2f} cores busy, two {row['cores']['2']:.2f}"
        lines.append(f"| {what} | Kuramoto-Sivashinsky, 64 points | {said} | {AIMS['data']} |")
    if "samples" in found:
        row = found["samples"]
        said = f"{100 * row['share']:.0f}%; the process grew by {row['grown'] / 1e6:.0f} MB in the second half"
        what = f"{row['count']:,} samples to disk, share of time in the generator"
        lines.append(f"| {what} | kuramoto_sivashinsky-demo | {said} | {AIMS['samples']} |")
    where = "; ".join(
        f"{part}: cores {one['cores']}, load {one['load']:.1f} at the end, jax {one['jax']}"
        for part, one in found["machines"].items()
    )
    return "\n".join([f"Measured on: {where}.", "", *lines])


def known() -> dict[str, Any] | None:
    """Return what has been measured; None before."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else None


def with_figures(page: str, found: dict[str, Any] | None) -> str:
    """Return the page with the table between its marks."""
    before, _, rest = page.partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    return f"{before}{MARKS[0]}\n\n{table(found) if found else MISSING}\n\n{MARKS[1]}{after}"


def main() -> None:
    """Measure, or write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--page", action="store_true", help="write the page and measure nothing")
    given = parser.parse_args()
    if not given.page:
        found = known() or {}
        for name in given.only:
            found[name] = PARTS[name](given.repeats)
            cores = len(os.sched_getaffinity(0))
            machine = {"platform": platform.platform(), "cores": cores, "load": os.getloadavg()[0]}
            found.setdefault("machines", {})[name] = {**machine, "jax": jax.__version__}
            write_json(RESULTS, found)
    write_text(PAGE, with_figures(PAGE.read_text(), known()))


if __name__ == "__main__":
    main()
