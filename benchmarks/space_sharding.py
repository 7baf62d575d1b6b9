"""Fields that one device cannot hold: the memory of a device where `physics.sharded` cuts a field over several.

Three tables of docs/scaling.md, and benchmarks/results/space_sharding.json behind them:

- **planned**: what XLA plans for a device, argument, result and temporaries together, for ETDRK4 steps of large fields
  and for gradients through them. The programs are compiled for forced devices of a CPU and not run.
- **refused**: processes of one device each, every one with the same limit on the memory that it may allocate, solve one
  field together, as hosts of a cluster do.
- **timed**: the time of a step on forced devices that share the processor's cores, and the largest difference from
  the solve on one device without a mesh.

Some ten minutes:

    python benchmarks/space_sharding.py
    python benchmarks/space_sharding.py --times       # the third table alone
    python benchmarks/space_sharding.py --page        # fill the page alone
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import resource
import socket
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS, PAGE = ROOT / "benchmarks" / "results" / "space_sharding.json", ROOT / "docs" / "scaling.md"
BLOCK = re.compile(r"(<!-- space: (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
GIB = 2**30

DEVICES = (1, 2, 4, 8)
LIMIT = 16 * GIB
PLANNED = (("plane", 8192), ("plane", 16384), ("box", 512), ("box", 768))
# Of the gradient's steps, as many are kept as there are: the memory of a longer solve depends on its `adjoint`.
STEPS_PLANNED, STEPS_OF_GRADIENT = 100, 4

PROCESSES = (1, 2, 4)
PROCESS_LIMIT = GIB
REFUSED = (("plane", 4096), ("box", 192))

TIMED = (("plane", 512), ("box", 64))
STEPS_TIMED, REPEATS = 10, 7


def system_of(kind: str, points: int) -> Any:
    """Decaying flow in a plane or a box."""
    import numpy as np

    from physics import Grid, NavierStokes2D, NavierStokes3D

    axes = 2 if kind == "plane" else 3
    grid = Grid((points,) * axes, (2 * np.pi,) * axes)
    return NavierStokes2D(grid, 1e-4) if kind == "plane" else NavierStokes3D(grid, 1e-3)


def start(system: Any) -> Any:
    """A smooth initial field, written part by part on the devices that hold it."""
    import jax
    import numpy as np

    grid = system.grid

    def part(index: tuple[slice, ...]) -> np.ndarray:
        lines = [line[one].astype(np.float32) for line, one in zip(grid.coordinates(), index)]
        x, y, *z = np.meshgrid(*lines, indexing="ij")
        if not z:
            return (np.sin(3 * x) * np.cos(4 * y) + 0.5 * np.cos(5 * x + 2 * y))[..., None]
        u, v = np.sin(x) * np.cos(y) * np.cos(z[0]), -np.cos(x) * np.sin(y) * np.cos(z[0])
        return np.stack([u, v, 0 * u], -1)

    if grid.on_host:
        return part(tuple(slice(None) for _ in system.field_shape))
    return jax.make_array_from_callback(system.field_shape, grid.sharding, part)


def planned() -> list[dict[str, Any]]:
    """The plans of this process's number of devices."""
    import jax
    import jax.numpy as jnp

    from physics import advance, sharded

    rows = []
    for kind, points in PLANNED:
        system = sharded(system_of(kind, points))
        u0 = jax.ShapeDtypeStruct(system.field_shape, jnp.float32, sharding=system.grid.sharding)
        programs = {
            "solve": lambda u, system=system: advance(system, u, 1e-3, STEPS_PLANNED),
            "gradient": jax.grad(lambda u, system=system: advance(system, u, 1e-3, STEPS_OF_GRADIENT).sum()),
        }
        row: dict[str, Any] = {"kind": kind, "points": points, "devices": jax.device_count()}
        for name, program in programs.items():
            begun = time.perf_counter()
            compiled = jax.jit(program).lower(u0).compile()
            memory = compiled.memory_analysis()
            parts = (memory.argument_size_in_bytes, memory.output_size_in_bytes, memory.temp_size_in_bytes)
            text = compiled.as_text()
            row[name] = {
                "bytes": sum(parts),
                "argument": parts[0],
                "result": parts[1],
                "temporary": parts[2],
                "all_to_alls": text.count(" all-to-all("),
                "all_gathers": text.count(" all-gather("),
                "compile_seconds": round(time.perf_counter() - begun, 1),
            }
        rows.append(row)
    return rows


def timed() -> list[dict[str, Any]]:
    """The times of this process's number of devices, and how far the fields are from those without a mesh."""
    import jax
    import numpy as np

    from physics import advance, sharded

    rows = []
    for kind, points in TIMED:
        whole = system_of(kind, points)
        cut = sharded(whole)
        solves, fields = {}, {}
        times: dict[str, list[float]] = {"cut": [], "whole": []}
        for name, system in (("cut", cut), ("whole", whole)):
            u0 = jax.device_put(start(system))
            compiled = jax.jit(lambda u, system=system: advance(system, u, 1e-3, STEPS_TIMED))
            solves[name] = lambda u0=u0, compiled=compiled: compiled(u0).block_until_ready()
            fields[name] = np.asarray(solves[name]())
        for _ in range(REPEATS):
            for name, solve in solves.items():
                begun = time.perf_counter()
                solve()
                times[name].append((time.perf_counter() - begun) / STEPS_TIMED)
        medians = {name: [statistics.median(of), min(of), max(of)] for name, of in times.items()}
        difference = np.abs(fields["cut"] - fields["whole"]).max() / np.abs(fields["whole"]).max()
        row = {"kind": kind, "points": points, "devices": jax.device_count(), "difference": float(difference)}
        rows.append({**row, "seconds": medians["cut"], "seconds_without_mesh": medians["whole"]})
    return rows


def together(kind: str, points: int, processes: int, own: int, port: str) -> dict[str, Any]:
    """One process of several, with a limit on what it may allocate after its start."""
    import jax
    import jax.numpy as jnp

    from physics import advance, sharded

    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    if processes > 1:
        jax.distributed.initialize(f"127.0.0.1:{port}", processes, own)
    system = sharded(system_of(kind, points))
    u0 = jax.ShapeDtypeStruct(system.field_shape, jnp.float32, sharding=system.grid.sharding)
    # Compiling takes memory of its own, which is not the field's.
    solve = jax.jit(lambda u: advance(system, u, 1e-3, 1)).lower(u0).compile()
    before = _memory("VmData")
    resource.setrlimit(resource.RLIMIT_DATA, (before + PROCESS_LIMIT, resource.RLIM_INFINITY))
    try:
        end = solve(start(system))
        energy = float(jnp.mean(end**2))
    except (jax.errors.JaxRuntimeError, MemoryError) as error:
        return {"fits": False, "error": str(error).partition("\n")[0]}
    return {"fits": True, "mean_square": energy}


def _memory(what: str) -> int:
    """A line of this process's status, in bytes."""
    text = Path("/proc/self/status").read_text()
    return 1024 * int(re.search(rf"{what}:\s+(\d+) kB", text)[1])


def call(devices: int, *arguments: object) -> subprocess.Popen:
    """This script in a process of its own, on forced devices."""
    flags = re.sub(r"--xla_force_host_platform_device_count=\d+", "", os.environ.get("XLA_FLAGS", ""))
    flags += f" --xla_force_host_platform_device_count={devices}"
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(Path(__file__)), *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def answer(process: subprocess.Popen) -> Any:
    """What a process says in its last line, None where it ended without a word."""
    lines = process.communicate()[0].strip().splitlines()
    return json.loads(lines[-1]) if lines and process.returncode == 0 else None


def refused() -> list[dict[str, Any]]:
    """Which numbers of limited processes solve the fields together."""
    rows = []
    for kind, points in REFUSED:
        for count in PROCESSES:
            with socket.socket() as found:
                found.bind(("127.0.0.1", 0))
                port = found.getsockname()[1]
            running = [call(1, "--own", own, count, kind, points, port) for own in range(count)]
            said = [answer(one) for one in running]
            fits = all(one is not None and one["fits"] for one in said)
            row = {"kind": kind, "points": points, "processes": count, "fits": fits}
            rows.append(row | ({"mean_square": said[0]["mean_square"]} if fits else {"said": said[0]}))
            print(rows[-1], file=sys.stderr)
    return rows


def field(kind: str, points: int) -> str:
    """A field in a table."""
    return " x ".join([f"{points:,}"] * (2 if kind == "plane" else 3)) + f", {'2D' if kind == 'plane' else '3D'}"


def gib(size: float) -> str:
    """Bytes in a table."""
    return f"{size / GIB:.3g} GiB"


def planned_lines(found: dict[str, Any]) -> list[str]:
    """The plans of every number of devices."""
    limit = found["limit"]
    lines = ["| field | program | " + " | ".join(f"{n} device{'s' * (n > 1)}" for n in DEVICES) + " | fits from |"]
    lines.append("|---" * (len(DEVICES) + 3) + "|")
    for kind, points in PLANNED:
        of = {row["devices"]: row for row in found["planned"] if (row["kind"], row["points"]) == (kind, points)}
        for program in ("solve", "gradient"):
            sizes = {devices: of[devices][program]["bytes"] for devices in DEVICES}
            enough = [devices for devices in DEVICES if sizes[devices] <= limit]
            cells = [gib(size) + ("" if size <= limit else " (refused)") for size in sizes.values()]
            first = f"{enough[0]} device{'s' * (enough[0] > 1)}" if enough else f"more than {DEVICES[-1]}"
            lines.append(f"| {field(kind, points)} | {program} | {' | '.join(cells)} | {first} |")
    last, alone = DEVICES[-1], DEVICES[0]
    shares = {
        devices: [
            row[program]["bytes"] / one[program]["bytes"]
            for row in found["planned"]
            if row["devices"] == devices
            for one in found["planned"]
            if one["devices"] == alone and (one["kind"], one["points"]) == (row["kind"], row["points"])
            for program in ("solve", "gradient")
        ]
        for devices in (4, last)
    }
    spans = {devices: f"{100 * min(of):.1f}% to {100 * max(of):.1f}%" for devices, of in shares.items()}
    gathers = sum(row[program]["all_gathers"] for row in found["planned"] for program in ("solve", "gradient"))
    return [
        f"The limit of a device is {gib(limit)}. Each of 4 devices needs {spans[4]} of what one device alone needs, "
        f"each of {last} devices {spans[last]}. All-gathers in these programs: {gathers}.",
        "",
        *lines,
    ]


def refused_lines(found: dict[str, Any]) -> list[str]:
    """Which processes had enough memory."""
    limit = gib(found["process_limit"])
    lines = [f"| field | {' | '.join(f'{n} process' + 'es' * (n > 1) for n in PROCESSES)} |", "|---" * 4 + "|"]
    for kind, points in REFUSED:
        of = {row["processes"]: row for row in found["refused"] if (row["kind"], row["points"]) == (kind, points)}
        cells = ["solved" if of[count]["fits"] else "refused" for count in PROCESSES]
        lines.append(f"| {field(kind, points)} | {' | '.join(cells)} |")
    return [f"Each process may allocate {limit} after the program is compiled.", "", *lines]


def timed_lines(found: dict[str, Any]) -> list[str]:
    """The times of a step."""
    lines = ["| field | devices | ms a step | without a mesh | largest difference |", "|---" * 5 + "|"]
    for row in found["timed"]:
        times = [
            f"{1e3 * m:,.1f} ({1e3 * a:,.1f}-{1e3 * b:,.1f})"
            for m, a, b in (row["seconds"], row["seconds_without_mesh"])
        ]
        cells = [field(row["kind"], row["points"]), str(row["devices"]), *times, f"{row['difference']:.1e}"]
        lines.append("| " + " | ".join(cells) + " |")
    machine = found["machine"]
    where = f"{machine['cores']} cores, load {machine['load']:.1f} before; " + ", ".join(
        f"{name} {number}" for name, number in machine["versions"].items()
    )
    return [where + ".", "", *lines]


LINES = {"planned": planned_lines, "refused": refused_lines, "timed": timed_lines}


def filled(page: str, found: dict[str, Any]) -> str:
    """The page with its blocks as the results say."""
    return BLOCK.sub(lambda m: m[1] + "\n" + "\n".join(LINES[m[2]](found)) + "\n\n" + m[4], page)


def known() -> dict[str, Any]:
    """The results that there are."""
    return json.loads(RESULTS.read_text())


def measure(earlier: dict[str, Any] | None) -> dict[str, Any]:
    """Measure everything, or the times alone beside what was measured before."""
    machine = {
        "cores": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("jax", "jaxlib")},
    }
    if earlier is None:
        found = {"limit": LIMIT, "process_limit": PROCESS_LIMIT, "planned": []}
        for devices in DEVICES:
            found["planned"] += answer(call(devices, "--planned"))
            print(f"planned on {devices}", file=sys.stderr)
        found["refused"] = refused()
    else:
        found = earlier
    found |= {"machine": machine, "timed": []}
    for devices in DEVICES[:3]:
        found["timed"] += answer(call(devices, "--timed"))
        print(f"timed on {devices}", file=sys.stderr)
    return found


def main() -> None:
    """Measure, write the results, fill the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--page", action="store_true", help="fill the page alone")
    parser.add_argument("--times", action="store_true", help="measure the times alone again")
    parser.add_argument("--planned", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--timed", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--own", nargs=5, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.own:
        own, count, kind, points, port = arguments.own
        print(json.dumps(together(kind, int(points), int(count), int(own), port)), flush=True)
        # Where one process had no memory, the others wait for it.
        os._exit(0)
    if arguments.planned or arguments.timed:
        print(json.dumps(planned() if arguments.planned else timed()))
        return
    if not arguments.page:
        earlier = known() if arguments.times else None
        RESULTS.write_text(json.dumps(measure(earlier), indent=1) + "\n")
    page = filled(PAGE.read_text(), known())
    PAGE.write_text(page)
    for block in BLOCK.finditer(page):
        print(block[3])


if __name__ == "__main__":
    main()
