"""Random batches from a data set as memory-mapped .npy files and as a zarr store, and what a copy of the store costs.

Every reader takes the same batches of fields at random places of all trajectories, as a training does. "Cold" is the
first batch after the files have been opened anew and dropped from the page cache (what a disk keeps itself stays),
"warm" are batches after all of the file has been read once. Readers take turns. The zarr arrays are those of a store,
in groups of trajectories of about a mebibyte, and two that would suit random reading better: one field in a chunk, and
one trajectory in a chunk with a cache of decoded chunks that holds all of them. The copy is that which
`physics.generate` makes of a store; beside it, a plain copy of the .npy files. The table goes to docs/clusters.md, all
times to benchmarks/results/data_reading.json; a few minutes:

    python benchmarks/data_reading.py [--repeats 7] [--batches 10]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from experiments.files import write_json, write_text
from physics.data.zarr_store import ZarrStore
from physics.data.zarr_trajectories import array_metadata

ROOT = Path(__file__).resolve().parents[1]
RESULTS, PAGE = ROOT / "benchmarks" / "results" / "data_reading.json", ROOT / "docs" / "clusters.md"
BATCH = 256
CASES = {
    "lines of 128 points": ((4096, 32, 128, 1), 64),
    "planes of 64 x 64 points": ((512, 32, 64, 64, 1), 16),
}
"""Shape of the training fields (trajectories, time, *grid, C), and trajectories in a chunk of the generation."""
MAP, STORE = "memory map", "zarr, as stored"
FIELD, CACHED = "zarr, a field in a chunk", "zarr, a trajectory in a chunk, chunks cached"
Read = Callable[[np.ndarray], np.ndarray]


def main() -> None:
    """Measure, print, write the JSON and the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7, help="times that every reader opens its files (7 to publish)")
    parser.add_argument("--batches", type=int, default=10, help="warm batches after each opening")
    arguments = parser.parse_args()
    machine = {"cores": len(os.sched_getaffinity(0)), "machine": platform.machine(), "load": os.getloadavg()[0]}
    found: dict[str, Any] = {"machine": machine, "batch": BATCH, "cases": {}}
    found["versions"] = {package: version(package) for package in ("tensorstore", "numpy")}
    for name, (shape, shard) in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            found["cases"][name] = measured(Path(folder), shape, shard, arguments.repeats, arguments.batches)
    write_json(RESULTS, found)
    write_text(PAGE, with_figures(PAGE.read_text(), found))
    print("\n".join(lines(found)))


def measured(folder: Path, shape: tuple[int, ...], shard: int, repeats: int, batches: int) -> dict[str, Any]:
    """Return the seconds of every reader for cold and warm batches, and those of the copies."""
    make(folder, shape, shard)
    readers = dict.fromkeys((MAP, STORE, FIELD, CACHED))
    times: dict[str, dict[str, list[float]]] = {name: {"cold": [], "warm": []} for name in readers}
    rng = np.random.default_rng(0)
    truth = np.load(folder / "plain" / "train.npy", mmap_mode="r").reshape(-1, *shape[2:])
    copies: dict[str, list[float]] = {"store": [], "plain": []}
    for _ in range(repeats):
        chosen = rng.integers(shape[0] * shape[1], size=(1 + batches, BATCH))
        for name in readers:
            read = opened(folder, name, shape)
            forget(folder)
            for number, one in enumerate(chosen):
                began = time.perf_counter()
                batch = read(one)
                times[name]["warm" if number else "cold"].append(time.perf_counter() - began)
                assert np.array_equal(batch, truth[one])
                if not number:
                    remember(folder)
                    if name == CACHED:
                        read(np.arange(shape[0] * shape[1]))
        for name, seconds in copies.items():
            forget(folder)
            seconds.append(copied(folder, name))
    about = {"shape": shape, "shard": shard, "bytes": 4 * int(np.prod(shape))}
    return {**about, "readers": times, "copies": copies}


def make(folder: Path, shape: tuple[int, ...], shard: int) -> None:
    """Write random fields as .npy files, as a store, and in the two other divisions into chunks."""
    import tensorstore

    float32, small = np.dtype(np.float32), (1, *shape[1:])
    arrays = {"train": (shape, float32), "validation": (small, float32), "test": (small, float32)}
    trajectories = ZarrStore(str(folder / "store")).trajectories("key", shard)
    trajectories.begin({})
    trajectories.reserve(arrays)
    others = [tensorstore.open(_spec(folder, name, shape, shard), create=True).result() for name in (FIELD, CACHED)]
    (folder / "plain").mkdir()
    rng = np.random.default_rng(1)
    files = {}
    for name, (size, _) in arrays.items():
        plain = np.lib.format.open_memmap(folder / "plain" / f"{name}.npy", "w+", float32, size)
        for start in range(0, len(plain), shard):
            part = rng.standard_normal((min(shard, len(plain) - start), *shape[1:]), np.float32)
            plain[start : start + shard] = part
            trajectories.write(name, start, part)
            for other in others if name == "train" else ():
                other[start : start + len(part)].write(part).result()
        plain.flush()
        files[name] = {"shape": size, "dtype": "float32", **trajectories.described(name)}
    trajectories.finish(json.dumps({"files": files}))


def _spec(folder: Path, name: str, shape: tuple[int, ...], shard: int) -> dict[str, Any]:
    metadata = array_metadata("train", shape, np.dtype(np.float32), shard)
    place = folder / "store" / "key" / "train"
    if name != STORE:
        inner = [1, 1, *shape[2:]] if name == FIELD else [1, *shape[1:]]
        metadata["codecs"][0]["configuration"]["chunk_shape"] = inner
        place = folder / ("field" if name == FIELD else "trajectory")
    return {"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{place}/"}, "metadata": metadata}


def opened(folder: Path, name: str, shape: tuple[int, ...]) -> Read:
    """Open the files of a reader anew."""
    if name == MAP:
        fields = np.load(folder / "plain" / "train.npy", mmap_mode="r").reshape(-1, *shape[2:])
        return lambda chosen: np.asarray(fields[chosen])
    import tensorstore

    spec = _spec(folder, name, shape, 1)
    del spec["metadata"]
    cache = {"cache_pool": {"total_bytes_limit": 2**31 if name == CACHED else 0}}
    options = {"context": tensorstore.Context(cache), "recheck_cached": False}
    array = tensorstore.open(spec, open=True, read=True, **options).result()
    return lambda chosen: array.vindex[np.divmod(chosen, shape[1])].read().result()


def forget(folder: Path) -> None:
    """Drop all files of a folder from the page cache."""
    os.sync()
    for one in _files(folder):
        descriptor = os.open(one, os.O_RDONLY)
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def remember(folder: Path) -> None:
    """Bring all files of a folder into the page cache."""
    for one in _files(folder):
        with one.open("rb") as file:
            while file.read(2**24):
                pass


def _files(folder: Path) -> Iterator[Path]:
    yield from (one for one in folder.rglob("*") if one.is_file())


def copied(folder: Path, name: str) -> float:
    """Return the seconds of a copy."""
    target = folder / "copy"
    target.mkdir()
    began = time.perf_counter()
    if name == "store":
        ZarrStore(str(folder / "store")).copy("key", target, lambda *said: None)
    else:
        for one in _files(folder / "plain"):
            shutil.copyfile(one, target / one.name)
        os.sync()
    seconds = time.perf_counter() - began
    for one in _files(folder / "plain"):
        with (target / one.name).open("rb") as copy, one.open("rb") as source:
            while part := source.read(2**24):
                assert copy.read(2**24) == part
    shutil.rmtree(target)
    return seconds


def lines(found: dict[str, Any]) -> list[str]:
    """Return the table and the copies as lines of Markdown."""
    machine = found["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    cores = f"{machine['cores']} core{'s' if machine['cores'] > 1 else ''}"
    told = [f"{cores}, load {machine['load']:.1f} before; {versions}; {found['batch']} fields a batch"]
    told += ["", "| fields | reader | cold, ms | warm, ms (quartiles) | of the memory map |", "|---" * 5 + "|"]
    for name, case in found["cases"].items():
        base = statistics.median(case["readers"][MAP]["warm"])
        for reader, times in case["readers"].items():
            low, middle, high = (1e3 * one for one in np.quantile(times["warm"], [0.25, 0.5, 0.75]))
            cold, times_of = 1e3 * statistics.median(times["cold"]), middle / 1e3 / base
            told.append(
                f"| {name} | {reader} | {cold:.3g} | {middle:.3g} ({low:.3g}-{high:.3g}) | {times_of:,.0f} times |"
            )
    told.append("")
    for name, case in found["cases"].items():
        store, plain = (statistics.median(case["copies"][one]) for one in ("store", "plain"))
        size = case["bytes"] / 1e6
        told.append(
            f"- {name}: the copy of {size:.0f} MB from a store on the same disk takes {store:.2g} s "
            f"({size / store:.0f} MB/s), a plain copy of the `.npy` files {plain:.2g} s."
        )
    return told


def with_figures(page: str, found: dict[str, Any]) -> str:
    """Return the page with these figures."""
    begin, end = "<!-- figures: data reading -->", "<!-- end -->"
    told = "\n".join([begin, "", *lines(found), "", end])
    return re.sub(f"{begin}.*?{end}", lambda _: told, page, count=1, flags=re.DOTALL)


if __name__ == "__main__":
    main()
