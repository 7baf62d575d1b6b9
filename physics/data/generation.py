"""Making data sets: draw, solve, certify and store trajectories, in chunks, over all devices, resumably.

Every trajectory has its own random key, folded from seed, split and its index in the split. A chunk is one
fixed program per device, and devices take different chunks side by side, so neither the number of devices nor
an interruption changes a bit of the result. The first chunks are certified before the others are made.
"""

import json
import os
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import binom

from physics.data.block_checksums import block_checksums
from physics.data.cache import DESCRIPTION, Cache, canonical_json, content_key, write_atomically
from physics.data.certificate import WINDOW, certify, enforce_limits, steadiness
from physics.data.dataset import FORMAT, SPLITS, Dataset, DatasetSpec
from physics.data.description import describe, versions
from physics.data.drawing import Drawing
from physics.data.pilot import Progress
from physics.data.planning import Plan, chunk_size, chunks_of, planned
from physics.data.samplers import Sampler
from physics.data.trajectory_files import TrajectoryFiles
from physics.statistics import steady_share

_CHANCE = 1e-4
"""Probability of so many steady trajectories among the first, at the limit, below which the data are refused early."""


def dataset_key(sampler: Sampler, spec: DatasetSpec) -> str:
    """The cache key of the data that ``generate`` would make: hash of all that they depend on."""
    return content_key(_identity(sampler, spec))


def generate(
    sampler: Sampler,
    spec: DatasetSpec,
    *,
    cache_dir: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    devices: Sequence[jax.Device] | None = None,
) -> Dataset:
    """The data set of a specification, from the cache or made now.

    Interrupted at any moment, the next call continues and ends with the same bytes. Several processes that
    request one data set make it once.

    Arguments:
        sampler: draws trajectories, as `FixedSystem` or `VaryingParameters`.
        spec: what to make.
        cache_dir: where; `physics.data.cache.default_directory` when None.
        progress: called often as ``progress(done, total, what)``.
        devices: the JAX devices to work on; all of this process when None.

    Raises:
        CertificateRefusedError: the data break a limit of the specification.
        ValueError: the specification does not fit the system, or a trajectory does not stay finite.
        DiskFullError: the disk is full; what is made so far is continued from.
    """
    report: Progress = progress if progress is not None else lambda done, total, what: None
    key = dataset_key(sampler, spec)

    def make(directory: Path) -> None:
        with jax.enable_x64(spec.dtype == "float64"):
            files = TrajectoryFiles(directory, _circumstances(sampler, spec))
            _make(files, sampler, spec, key, report, list(devices or jax.local_devices()))

    waiting = partial(report, 0, 1, "waiting for another process")
    return Cache(cache_dir).obtain(key, f"the data set {spec.name!r}", Dataset, make, waiting)


def _make(
    files: TrajectoryFiles, sampler: Sampler, spec: DatasetSpec, key: str, report: Progress, devices: list[Any]
) -> None:
    started = time.perf_counter()
    system = sampler.system
    plan = planned(files, sampler, spec, report)
    chunks = list(chunks_of(spec, plan.chunk))
    draw = Drawing(sampler, spec, plan, devices)
    files.reserve(draw.arrays())
    total = sum(spec.trajectories)
    missing = [chunk for chunk, done in zip(chunks, files.done(len(chunks))) if not done]
    made = total - sum(chunk.length for chunk in missing)
    # The training split is made first, and chunks in order.
    certified = min(spec.limits.trajectories, spec.trajectories[0])
    report(made, total, "trajectories")
    rounds = [missing[i : i + len(devices)] for i in range(0, len(missing), len(devices))]
    pending = draw.start(rounds[0]) if rounds else None
    changes: list[np.ndarray] = []
    for number, group in enumerate(rounds):
        results = pending
        # The devices work on the next round while this one is checked and written.
        pending = draw.start(rounds[number + 1]) if number + 1 < len(rounds) else None
        for chunk, arrays in zip(group, draw.collect(results, group)):
            for name, values in arrays.items():
                files.write(f"{SPLITS[chunk.split]}{name}", chunk.start, values)
            files.mark(chunk.number)
            made += chunk.length
            report(made, total, "trajectories")
            changes += [arrays["-change"][: chunk.length]] if system.chaotic else []
        if "certificate" not in files.notes and made >= certified:
            report(made, total, "certificate")
            _certify(files, sampler, spec, plan, certified, draw)
        if changes and _certainly_steady(np.concatenate(changes), spec.limits.steady_share):
            # Before the others are made for nothing.
            found = dict(files.notes.get("certificate", {})) | steadiness(np.concatenate(changes), plan.dt)
            enforce_limits(found, spec.limits, name=spec.name, shape=system.grid.shape, dt=plan.dt)
    if "certificate" not in files.notes:
        _certify(files, sampler, spec, plan, certified, draw)
    certificate = dict(files.notes["certificate"])
    if system.chaotic:
        change = np.concatenate([files.read(f"{split}-change") for split in SPLITS])
        certificate |= steadiness(change, plan.dt)
        enforce_limits(certificate, spec.limits, name=spec.name, shape=system.grid.shape, dt=plan.dt)
    described = _description(files, draw, sampler, spec, plan, key, certificate, time.perf_counter() - started)
    write_atomically(files.directory / DESCRIPTION, described)
    files.finish()


def _certainly_steady(change: np.ndarray, limit: float) -> bool:
    """Whether so many of the first trajectories went steady that their share in all of them surely passes the limit."""
    steady = round(steady_share(change) * len(change))
    return bool(binom.sf(steady - 1, len(change), limit) < _CHANCE)


def _certify(files: TrajectoryFiles, sampler: Sampler, spec: DatasetSpec, plan: Plan, count: int, draw: Any) -> None:
    started = time.perf_counter()
    certificate = certify(
        sampler,
        draw.keys(0, jnp.arange(count)),
        np.asarray(files.read("train")[:count]),
        plan.times,
        dt=plan.dt,
        solver=spec.solver,
        limits=spec.limits,
    )
    enforce_limits(certificate, spec.limits, name=spec.name, shape=sampler.system.grid.shape, dt=plan.dt)
    files.note(certificate=certificate, certificate_seconds=time.perf_counter() - started)


def _identity(sampler: Sampler, spec: DatasetSpec) -> dict[str, Any]:
    described = describe(spec)
    described.pop("name")
    return {"format": FORMAT, "sampler": describe(sampler), "spec": described}


def _circumstances(sampler: Sampler, spec: DatasetSpec) -> dict[str, Any]:
    return {**versions(), "chunk": chunk_size(sampler, spec)}


def _description(
    files: TrajectoryFiles,
    draw: Drawing,
    sampler: Sampler,
    spec: DatasetSpec,
    plan: Plan,
    key: str,
    certificate: dict[str, Any],
    seconds: float,
) -> str:
    system = sampler.system
    spatial = ["x", "y", "z"][: system.grid.ndim]
    arrays = draw.arrays()
    description = {
        "format": FORMAT,
        "name": spec.name,
        "key": key,
        "system": type(system).__name__,
        "channels": list(system.channels),
        "units": system.units,
        "axes": ["trajectory", "time", *spatial, "channel"],
        "grid": {
            "shape": list(system.grid.shape),
            "extent": list(system.grid.extent),
            "boundary": list(system.grid.boundary),
        },
        "times": plan.times.tolist(),
        "head_start": plan.ages * WINDOW * plan.dt,
        "dt": plan.dt,
        "solver": describe(system.default_solver if spec.solver is None else spec.solver),
        "measured": plan.measured,
        "parameters": [n.removeprefix("train-parameter-") for n in arrays if n.startswith("train-parameter-")],
        "certificate": certificate,
        "files": {
            name: {
                "shape": list(shape),
                "dtype": str(dtype),
                "bytes": (files.directory / f"{name}.npy").stat().st_size,
                "checksums": block_checksums(files.directory / f"{name}.npy"),
            }
            for name, (shape, dtype) in arrays.items()
        },
        "identity": _identity(sampler, spec),
        "versions": versions(),
        "devices": len(draw.devices),
        "seconds": seconds,
        "certificate_seconds": files.notes["certificate_seconds"],
    }
    canonical_json(description)
    return json.dumps(description, indent=2)
