"""Making data sets: draw, solve, certify and store trajectories, in chunks, over all devices, resumably.

Every trajectory has its own random key, folded from seed, split and its index in the split. A chunk is one
fixed program per device, and the devices of one process or several take different chunks side by side, so neither
their number nor an interruption changes a bit of the result. The first chunks are certified before the others are made.
"""

import json
import os
import time
import uuid
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import binom

from physics.data.cache import DESCRIPTION, Cache, canonical_json, content_key
from physics.data.certificate import WINDOW, certify, enforce_limits, steadiness
from physics.data.crew import Alone, Crew, rounds_of
from physics.data.dataset import FORMAT, SPLITS, Dataset, DatasetSpec
from physics.data.description import describe, versions
from physics.data.drawing import Drawing
from physics.data.pilot import Progress
from physics.data.planning import Chunk, Plan, chunk_size, chunks_of, planned
from physics.data.samplers import Sampler
from physics.data.trajectory_files import TrajectoryFiles
from physics.data.unfinished import Unfinished
from physics.data.zarr_store import ZarrStore
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
    store: str | None = None,
    crew: Crew | None = None,
    progress: Progress | None = None,
    devices: Sequence[jax.Device] | None = None,
) -> Dataset:
    """The data set of a specification, from the cache or made now.

    Interrupted at any moment, the next call continues and ends with the same bytes. Several processes that
    request one data set make it once; those of a crew make it together.

    Arguments:
        sampler: draws trajectories, as `FixedSystem` or `VaryingParameters`.
        spec: what to make.
        cache_dir: where; `physics.data.cache.default_directory` when None.
        store: a zarr store in which the data set is made and kept, a folder or a URL as ``gs://BUCKET/data``
            (`physics.data.zarr_store`); the cache then holds a copy. The cache alone when None.
        crew: the processes that call this together; this one alone when None.
        progress: called often as ``progress(done, total, what)``.
        devices: the JAX devices to work on; all of this process when None.

    Raises:
        CertificateRefusedError: the data break a limit of the specification.
        ValueError: the specification does not fit the system, a trajectory does not stay finite, or the store cannot
            be used or is damaged.
        DiskFullError: the disk is full; what is made so far is continued from.
    """
    report: Progress = progress if progress is not None else lambda done, total, what: None
    order = _Order(sampler, spec, report, devices)
    cache, zarr = Cache(cache_dir), None if store is None else ZarrStore(store)
    crew = Alone() if crew is None else crew
    if crew.process == 0:
        return _obtain(order, cache, zarr, crew)
    if (session := crew.share(None)) is not None:
        with jax.enable_x64(spec.dtype == "float64"):
            place = cache.partial(order.key)
            begun = (
                TrajectoryFiles.begun(place, order.circumstances, session)
                if zarr is None
                else zarr.begun(order.key, order.circumstances, session)
            )
            _accompany(begun, order, crew)
        crew.share(None)
    # Complete now, but where this process does not see the files of the first one: then it makes its own.
    return _obtain(order, cache, zarr, Alone())


class _Order:
    """What is to be made, for whom and on what."""

    def __init__(self, sampler: Sampler, spec: DatasetSpec, report: Progress, devices: Sequence[jax.Device] | None):
        self.sampler, self.spec, self.report, self._devices = sampler, spec, report, devices
        self.key = dataset_key(sampler, spec)
        self.what = f"the data set {spec.name!r}"

    @cached_property
    def devices(self) -> list[jax.Device]:
        """The devices to work on; they are not looked for where the data set is found."""
        return list(self._devices or jax.local_devices())

    @cached_property
    def circumstances(self) -> dict[str, Any]:
        """What changes the data by round-off."""
        return {**versions(), "chunk": chunk_size(self.sampler, self.spec)}

    def waiting(self) -> None:
        """Say that another process makes it."""
        self.report(0, 1, "waiting for another process")


def _obtain(order: _Order, cache: Cache, zarr: ZarrStore | None, crew: Crew) -> Dataset:
    """Open a data set, made first where it is not complete, as the first process of a crew."""

    def make(files: Unfinished) -> None:
        with jax.enable_x64(order.spec.dtype == "float64"):
            _lead(files, order, crew)

    def make_files(directory: Path) -> None:
        make(TrajectoryFiles(directory, order.circumstances))

    def copy(directory: Path) -> None:
        assert zarr is not None
        zarr.copy(order.key, directory, order.report)

    if zarr is None:
        dataset = cache.obtain(order.key, order.what, Dataset, make_files, order.waiting)
        crew.share(None)
        return dataset
    # The other processes may need the store where this one has a copy.
    if not isinstance(crew, Alone) or not (cache.entry(order.key) / DESCRIPTION).is_file():
        zarr.obtain(order.key, lambda: order.circumstances, make, order.waiting)
    crew.share(None)
    return cache.obtain(order.key, order.what, Dataset, copy, order.waiting)


def _lead(files: Unfinished, order: _Order, crew: Crew) -> None:
    """Make a data set as the first process: prepare it, make the own chunks, certify all and describe them."""
    started = time.perf_counter()
    sampler, spec, report = order.sampler, order.spec, order.report
    plan = planned(files, sampler, spec, report)
    chunks = list(chunks_of(spec.trajectories, plan.chunk))
    draw = Drawing(sampler, spec, plan, order.devices)
    files.reserve(draw.arrays())
    session = uuid.uuid4().hex
    files.note(session=session)
    crew.share(session)
    devices = crew.gather(len(order.devices)) or []
    missing = [chunk for chunk, done in zip(chunks, files.done(len(chunks))) if not done]
    crew.share([devices, [chunk.number for chunk in missing], "certificate" in files.notes])
    _make(files, order, plan, draw, missing, devices, crew, "certificate" in files.notes)
    crew.gather(None)
    if not files.done(len(chunks)).all():
        raise OSError(
            f"chunks of {order.what} that other processes have made are not seen by the first one: use a cache or a "
            "store that all hosts see in the same state"
        )
    certificate = dict(files.notes["certificate"])
    if sampler.system.chaotic:
        change = np.concatenate([np.asarray(files.read(f"{split}-change")) for split in SPLITS])
        certificate |= steadiness(change, plan.dt)
        enforce_limits(certificate, spec.limits, name=spec.name, shape=sampler.system.grid.shape, dt=plan.dt)
    seconds = time.perf_counter() - started
    files.finish(_description(files, draw, order, plan, certificate, sum(devices), seconds))


def _accompany(files: Unfinished | None, order: _Order, crew: Crew) -> None:
    """Make chunks of a data set that the first process has begun; none where its files are not seen."""
    crew.gather(0 if files is None else len(order.devices))
    devices, numbers, certified = crew.share(None)
    if files is None:
        if not certified:
            _certify_once(lambda: None, crew)
    else:
        plan = planned(files, order.sampler, order.spec, order.report)
        draw = Drawing(order.sampler, order.spec, plan, order.devices)
        files.reserve(draw.arrays())
        chunks = list(chunks_of(order.spec.trajectories, plan.chunk))
        _make(files, order, plan, draw, [chunks[number] for number in numbers], devices, crew, certified)
    crew.gather(None)


def _make(
    files: Unfinished,
    order: _Order,
    plan: Plan,
    draw: Drawing,
    missing: list[Chunk],
    devices: list[int],
    crew: Crew,
    certified: bool,
) -> None:
    """Make this process's share of the missing chunks; ``devices`` are the numbers of those of all processes."""
    spec, system, report = order.spec, order.sampler.system, order.report
    total = sum(spec.trajectories)
    made = total - sum(chunk.length for chunk in missing)
    count = min(spec.limits.trajectories, spec.trajectories[0])
    # The training split is made first, and chunks in order.
    first = sum(chunk.split == 0 and chunk.start < count for chunk in missing)

    def certify() -> None:
        if crew.process == 0:
            report(made, total, "certificate")
            _certify(files, order.sampler, spec, plan, count, draw)

    report(made, total, "trajectories")
    rounds = list(rounds_of(missing, devices, crew.process))
    if not certified and not first:
        _certify_once(certify, crew)
    pending = draw.start(rounds[0].own) if rounds and rounds[0].own else None
    changes: list[np.ndarray] = []
    for number, (own, elsewhere) in enumerate(rounds):
        results = pending
        # The devices work on the next round while this one is checked and written.
        following = rounds[number + 1].own if number + 1 < len(rounds) else []
        pending = draw.start(following) if following else None
        for chunk, arrays in zip(own, draw.collect(results, own)):
            for name, values in arrays.items():
                files.write(f"{SPLITS[chunk.split]}{name}", chunk.start, values)
            files.mark(chunk.number)
            made += chunk.length
            report(made, total, "trajectories")
            changes += [arrays["-change"][: chunk.length]] if system.chaotic else []
        made += elsewhere
        if not certified and number * sum(devices) < first <= (number + 1) * sum(devices):
            _certify_once(certify, crew)
        if crew.process == 0 and changes and _certainly_steady(np.concatenate(changes), spec.limits.steady_share):
            # Before the others are made for nothing.
            found = dict(files.notes.get("certificate", {})) | steadiness(np.concatenate(changes), plan.dt)
            enforce_limits(found, spec.limits, name=spec.name, shape=system.grid.shape, dt=plan.dt)


def _certify_once(certify: Callable[[], None], crew: Crew) -> None:
    """Certify the first chunks on the first process once all have written theirs, before others are made."""
    crew.gather(None)
    certify()
    crew.share(None)


def _certainly_steady(change: np.ndarray, limit: float) -> bool:
    """Whether so many of the first trajectories went steady that their share in all of them surely passes the limit."""
    steady = round(steady_share(change) * len(change))
    return bool(binom.sf(steady - 1, len(change), limit) < _CHANCE)


def _certify(files: Unfinished, sampler: Sampler, spec: DatasetSpec, plan: Plan, count: int, draw: Drawing) -> None:
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


def _description(
    files: Unfinished,
    draw: Drawing,
    order: _Order,
    plan: Plan,
    certificate: dict[str, Any],
    devices: int,
    seconds: float,
) -> str:
    sampler, spec = order.sampler, order.spec
    system = sampler.system
    spatial = ["x", "y", "z"][: system.grid.ndim]
    arrays = draw.arrays()
    description = {
        "format": FORMAT,
        "name": spec.name,
        "key": order.key,
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
            name: {"shape": list(shape), "dtype": str(dtype), **files.described(name)}
            for name, (shape, dtype) in arrays.items()
        },
        "identity": _identity(sampler, spec),
        "versions": versions(),
        "devices": devices,
        "seconds": seconds,
        "certificate_seconds": files.notes["certificate_seconds"],
    }
    canonical_json(description)
    return json.dumps(description, indent=2)
