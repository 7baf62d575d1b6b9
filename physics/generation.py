"""Making data sets: draw, solve, certify and store trajectories, in chunks, over all devices, resumably.

Every trajectory has its own random key, folded from seed, split and its index in the split. A chunk is one
fixed program per device, and devices take different chunks side by side, so neither the number of devices nor
an interruption changes a bit of the result. The first chunks are certified before the others are made.

Spin-up and stride, where not given, come from a pilot: an ensemble followed until its statistics have settled
and its decorrelation time is resolved (`physics.statistics`).

Trajectories of a measured spin-up are not all of one age. Started together, an ensemble keeps swinging as a whole
about its invariant measure long after no single statistic of a pilot shows it (Kuramoto-Sivashinsky at L = 22: mean
energies of 8192 fields still swing by three standard errors after 180 time units, with a period of 40). So every
trajectory first runs ahead for a time of its own, uniform over a few decorrelation times, and phases average out.
"""

import json
import math
import os
import platform
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from physics.cache import (
    DESCRIPTION,
    Cache,
    canonical_json,
    content_key,
    disk_full_in_one_sentence,
    write_atomically,
)
from physics.certificate import WINDOW, certify, judge, steadiness
from physics.dataset import FORMAT, SPLITS, DamagedDatasetError, Dataset, DatasetSpec
from physics.description import describe
from physics.evolution import advance, solve
from physics.noise import own_noise
from physics.pilot import Progress, follow_pilot
from physics.statistics import amplitude_change
from physics.system import StochasticSystem
from physics.trajectory_files import TrajectoryFiles

# Numbers solved together on one device: what a processor's cache holds, and what keeps an accelerator busy.
_NUMBERS_PER_CHUNK = {"cpu": 2**14}
_NUMBERS_ELSEWHERE = 2**21
_LONGEST_CHUNK = 4096
_CHUNK_BYTES = 2**29
# Decorrelation times that follow the settling time of a pilot, whose 256 members do not show the last of it: the mean
# energies of 16384 Kuramoto-Sivashinsky fields at L = 32 pi, settled after 40 and forgotten after 13 time units by
# their pilot, still rise by 0.3 % from age 80 to 107 and by less than their standard error after that.
_SPIN_UP = 5
# Decorrelation times over which the ages of trajectories are spread: a swing of that period is damped sixfold.
_AGES = 2
_HEAD_START = 1  # folded into a trajectory's key for its age


class _Plan(NamedTuple):
    dt: float
    times: np.ndarray
    chunk: int
    measured: dict[str, Any]
    ages: int  # windows of steps over which the head starts of trajectories are spread


class _Chunk(NamedTuple):
    number: int
    split: int
    start: int
    length: int


def dataset_key(sampler: Any, spec: DatasetSpec) -> str:
    """The cache key of the data that ``generate`` would make: hash of all that they depend on."""
    return content_key(_identity(sampler, spec))


def generate(
    sampler: Any,
    spec: DatasetSpec,
    *,
    cache_dir: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    devices: Sequence[Any] | None = None,
) -> Dataset:
    """The data set of a specification, from the cache or made now.

    Interrupted at any moment, the next call continues and ends with the same bytes. Several processes that
    ask for one data set make it once.

    Arguments:
        sampler: draws trajectories, as `FixedSystem` or `VaryingParameters`.
        spec: what to make.
        cache_dir: where; `physics.cache.default_directory` when None.
        progress: called often as ``progress(done, total, what)``.
        devices: the JAX devices to work on; all of this process when None.

    Raises:
        CertificateRefusedError: the data break a limit of the specification.
        ValueError: the specification does not fit the system, or a trajectory does not stay finite.
        DiskFullError: the disk is full; what is made so far is continued from.
    """
    report: Progress = progress if progress is not None else lambda done, total, what: None
    cache = Cache(cache_dir)
    key = dataset_key(sampler, spec)
    if (found := _open(cache, key)) is not None:
        return found
    what = f"the data set {spec.name!r}"
    with (
        disk_full_in_one_sentence(cache.directory, what),
        cache.making(key, lambda: report(0, 1, "waiting for another process")) as directory,
    ):
        if (found := _open(cache, key)) is not None:
            return found
        if not (directory / DESCRIPTION).is_file():
            try:
                with jax.enable_x64(spec.dtype == "float64"):
                    files = TrajectoryFiles(directory, _circumstances(sampler, spec))
                    _make(files, sampler, spec, key, report, list(devices or jax.local_devices()))
            except ValueError:
                cache.discard(key)
                raise
        return Dataset(*cache.publish(key))


def _open(cache: Cache, key: str) -> Dataset | None:
    opened = cache.open(key)
    if opened is None:
        return None
    try:
        return Dataset(*opened)
    except DamagedDatasetError:
        opened[1].release()
        return None


def _make(
    files: TrajectoryFiles, sampler: Any, spec: DatasetSpec, key: str, report: Progress, devices: list[Any]
) -> None:
    started = time.perf_counter()
    system = sampler.system
    plan = _plan(files, sampler, spec, report)
    chunks = list(_chunks(spec, plan.chunk))
    draw = _Drawing(sampler, spec, plan, devices)
    files.reserve(draw.arrays())
    total = sum(spec.trajectories)
    missing = [chunk for chunk, done in zip(chunks, files.done(len(chunks))) if not done]
    made = total - sum(chunk.length for chunk in missing)
    # The training split is made first, and chunks in order.
    certified = min(spec.limits.trajectories, spec.trajectories[0])
    report(made, total, "trajectories")
    rounds = [missing[i : i + len(devices)] for i in range(0, len(missing), len(devices))]
    pending = draw.start(rounds[0]) if rounds else None
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
        if "certificate" not in files.notes and made >= certified:
            report(made, total, "certificate")
            _certify(files, sampler, spec, plan, certified, draw)
    if "certificate" not in files.notes:
        _certify(files, sampler, spec, plan, certified, draw)
    certificate = dict(files.notes["certificate"])
    if system.chaotic:
        change = np.concatenate([files.read(f"{split}-change") for split in SPLITS])
        certificate |= steadiness(change, plan.dt)
        judge(certificate, spec.limits, name=spec.name, shape=system.grid.shape, dt=plan.dt)
    described = _description(files, draw, sampler, spec, plan, key, certificate, time.perf_counter() - started)
    write_atomically(files.directory / DESCRIPTION, described)
    files.finish()


def _certify(files: TrajectoryFiles, sampler: Any, spec: DatasetSpec, plan: _Plan, count: int, draw: Any) -> None:
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
    judge(certificate, spec.limits, name=spec.name, shape=sampler.system.grid.shape, dt=plan.dt)
    files.note(certificate=certificate, certificate_seconds=time.perf_counter() - started)


class _Drawing:
    """The program that draws and solves one chunk on every device, and what comes out of it."""

    def __init__(self, sampler: Any, spec: DatasetSpec, plan: _Plan, devices: list[Any]):
        self.sampler, self.spec, self.plan, self.devices = sampler, spec, plan, devices
        self._chaotic = sampler.system.chaotic
        save = plan.times[plan.times > 0]
        later = [plan.times[-1] + WINDOW * plan.dt] if self._chaotic else []

        def trajectory(key):
            system, u0, parameters = sampler.draw(key)
            if plan.ages:
                u0 = self._run_ahead(system, u0, key)
            fields = u0[None]
            if len(save) or self._chaotic:
                instants = np.asarray([*save, *later])
                noise = own_noise(system, key)
                solved = solve(system, u0, instants, dt=plan.dt, solver=spec.solver, noise=noise)
                fields = jnp.concatenate([fields, solved])
            first = 0 if plan.times[0] == 0 else 1
            last = first + len(plan.times)
            out = {"": fields[first:last]}
            out |= {f"-parameter-{name}": value for name, value in parameters.items()}
            if spec.keep_initial:
                out["-initial"] = u0
            if self._chaotic:
                out["-change"] = amplitude_change(fields[-2], fields[-1], system.grid.ndim)
            return out

        def chunk(split, start):
            indices = start + jnp.arange(plan.chunk, dtype=start.dtype)
            return jax.vmap(trajectory)(self.keys(split, indices))

        if len(devices) == 1:
            self._program = jax.jit(lambda splits, starts: jax.tree.map(lambda x: x[None], chunk(splits[0], starts[0])))
        else:
            mesh = Mesh(np.asarray(devices), ("device",))
            per_device = PartitionSpec("device")
            self._program = jax.jit(
                jax.shard_map(
                    lambda splits, starts: jax.tree.map(lambda x: x[None], chunk(splits[0], starts[0])),
                    mesh=mesh,
                    in_specs=per_device,
                    out_specs=per_device,
                    check_vma=False,
                )
            )

    def _run_ahead(self, system: Any, u0: Any, key: Any) -> Any:
        """The field after a head start of its own, a whole number of windows of steps."""
        windows = jax.random.randint(jax.random.fold_in(key, _HEAD_START), (), 0, self.plan.ages + 1)

        def one_window(number, u):
            after = advance(system, u, self.plan.dt, WINDOW, solver=self.spec.solver)
            return jnp.where(number < windows, after, u)

        return jax.lax.fori_loop(0, self.plan.ages, one_window, u0)

    def keys(self, split: Any, indices: Any) -> Any:
        """One key per trajectory, whatever chunk or device it is made in."""
        base = jax.random.fold_in(jax.random.key(self.spec.seed), split)
        return jax.vmap(lambda index: jax.random.fold_in(base, index))(indices)

    def arrays(self) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
        """By file name the shape and dtype of all that is stored."""
        n = len(self.devices)
        out = jax.eval_shape(self._program, np.zeros(n, np.uint32), np.zeros(n, np.uint32))
        arrays = {}
        for split, count in zip(SPLITS, self.spec.trajectories):
            for name, shape in out.items():
                arrays[f"{split}{name}"] = ((count, *shape.shape[2:]), np.dtype(self.spec.dtype))
        return arrays

    def start(self, group: list[_Chunk]) -> Any:
        """Set the devices to work on a round of chunks; those left over repeat the last."""
        padded = group + [group[-1]] * (len(self.devices) - len(group))
        splits = np.asarray([chunk.split for chunk in padded], np.uint32)
        starts = np.asarray([chunk.start for chunk in padded], np.uint32)
        if len(self.devices) == 1:
            splits, starts = jax.device_put((splits, starts), self.devices[0])
        return self._program(splits, starts)

    def collect(self, results: Any, group: list[_Chunk]) -> Iterator[dict[str, np.ndarray]]:
        """The finished arrays of each chunk, by file name without the split; refuses what is not finite."""
        out = jax.device_get(results)
        for row, chunk in enumerate(group):
            arrays = {name: np.asarray(values[row, : chunk.length]) for name, values in out.items()}
            self._check_finite(arrays, chunk)
            yield arrays

    def _check_finite(self, arrays: dict[str, np.ndarray], chunk: _Chunk) -> None:
        fields = arrays[""]
        finite = np.isfinite(fields).reshape(*fields.shape[:2], -1).all(axis=2)
        if finite.all():
            return
        row, snapshot = np.argwhere(~finite)[0]
        prefix = "-parameter-"
        named = [f"{n.removeprefix(prefix)} = {v[row]:g}" for n, v in arrays.items() if n.startswith(prefix)]
        where = f" ({', '.join(named)})" if named else ""
        raise ValueError(
            f"data set {self.spec.name!r}: trajectory {chunk.start + row} of the {SPLITS[chunk.split]} split"
            f"{where} is not finite at time {self.plan.times[snapshot]:g}: halve dt to {self.plan.dt / 2:g} "
            "or use more points"
        )


def _plan(files: TrajectoryFiles, sampler: Any, spec: DatasetSpec, report: Progress) -> _Plan:
    system = sampler.system
    dt = float(system.recommended_dt if spec.dt is None else spec.dt)
    stride_needed = spec.snapshots > 1 and spec.stride is None
    measured: dict[str, Any] = {}
    if spec.spin_up is None or stride_needed:
        if not system.chaotic:
            missing = "spin_up" if spec.spin_up is None else "stride"
            raise ValueError(
                f"data set {spec.name!r} leaves {missing} open, but {type(system).__name__} is not chaotic "
                f"and has no decorrelation time to take it from: give {missing} in time units"
            )
        if "measured" not in files.notes:
            files.note(measured=follow_pilot(sampler, spec, dt, report))
        measured = files.notes["measured"]
    spin_up, stride, ages = spec.spin_up, spec.stride, 0
    if spin_up is None:
        # Noise drives the members of an ensemble apart by itself.
        if not isinstance(system, StochasticSystem):
            ages = math.ceil(_AGES * measured["decorrelation_time"] / (WINDOW * dt))
        spin_up = math.ceil((measured["settling_time"] + _SPIN_UP * measured["decorrelation_time"]) / dt) * dt
    if stride is None:
        stride = math.ceil(measured["decorrelation_time"] / dt) * dt if measured else dt
    steps = _whole_steps("spin_up", spin_up, dt) + _whole_steps("stride", stride, dt) * np.arange(spec.snapshots)
    return _Plan(dt, steps * dt, _chunk_size(sampler, spec), measured, ages)


def _whole_steps(name: str, span: float, dt: float) -> int:
    steps = round(span / dt)
    if abs(steps * dt - span) > 1e-6 * max(span, dt):
        near = ", ".join(f"{count * dt:g}" for count in sorted({max(steps - 1, 1), max(steps, 1), steps + 1}))
        raise ValueError(f"{name} is {span:g}, not a whole number of steps dt = {dt:g}: use one of {near}")
    return steps


def _chunk_size(sampler: Any, spec: DatasetSpec) -> int:
    if spec.chunk is not None:
        return spec.chunk
    numbers = math.prod(sampler.system.field_shape)
    busy = _NUMBERS_PER_CHUNK.get(jax.default_backend(), _NUMBERS_ELSEWHERE) // numbers
    stored = _CHUNK_BYTES // (numbers * spec.snapshots * np.dtype(spec.dtype).itemsize)
    largest = max(spec.trajectories)
    return max(1, min(busy, stored, _LONGEST_CHUNK, largest))


def _chunks(spec: DatasetSpec, size: int) -> Iterator[_Chunk]:
    number = 0
    for split, trajectories in enumerate(spec.trajectories):
        for start in range(0, trajectories, size):
            yield _Chunk(number, split, start, min(size, trajectories - start))
            number += 1


def _identity(sampler: Any, spec: DatasetSpec) -> dict[str, Any]:
    described = describe(spec)
    described.pop("name")
    return {"format": FORMAT, "sampler": describe(sampler), "spec": described}


def _circumstances(sampler: Any, spec: DatasetSpec) -> dict[str, Any]:
    return {**_versions(), "chunk": _chunk_size(sampler, spec)}


def _versions() -> dict[str, Any]:
    return {
        "jax": jax.__version__,
        "diffrax": diffrax.__version__,
        "equinox": eqx.__version__,
        "numpy": np.__version__,
        "backend": jax.default_backend(),
        "machine": platform.machine(),
    }


def _description(
    files: TrajectoryFiles,
    draw: _Drawing,
    sampler: Any,
    spec: DatasetSpec,
    plan: _Plan,
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
        "units": getattr(system, "units", "non-dimensional"),
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
            }
            for name, (shape, dtype) in arrays.items()
        },
        "identity": _identity(sampler, spec),
        "versions": _versions(),
        "devices": len(draw.devices),
        "seconds": seconds,
        "certificate_seconds": files.notes["certificate_seconds"],
    }
    canonical_json(description)
    return json.dumps(description, indent=2)
