"""Data of steady systems: pairs of parameter fields and their solutions, certified by residual and twice the grid.

A sampler draws a system from a key, and knows itself on a finer grid, where the same key draws the same functions. The
certificate states, on the first pairs,

- the **residual level**: the mean magnitude of A u - f over that of f, on the stored fields; beside it the same for the
  zero field and for fields shrunk by 10%, without which no residual can be read (`physics.steady`);
- the **grid error**: the worst pair's relative difference from the solution on twice the cells of every axis.

A number past its limit refuses the data, and the message says which and what to change.

An entry of the cache holds ``parameters.npy``, ``fields.npy`` and the certificate in its description.
"""

import abc
import json
import os
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from physics.data.block_checksums import is_unchanged
from physics.data.cache import DESCRIPTION, Cache, DamagedEntryError, Lease, content_key
from physics.data.certificate import refuse
from physics.data.description import describe, versions
from physics.data.pilot import Progress
from physics.data.trajectory_files import TrajectoryFiles
from physics.grid import Grid
from physics.steady import SteadySystem, solve_steady, steady_residual

_CHUNK = 64
_FORMAT = "steady pairs 1"
_ARRAYS = ("parameters", "fields")


class SteadySampler(abc.ABC):
    """Draws steady systems. Subclasses are frozen dataclasses."""

    @property
    @abc.abstractmethod
    def grid(self) -> Grid:
        """The grid of every system drawn."""

    @abc.abstractmethod
    def draw(self, key: Key[Array, ""]) -> SteadySystem:
        """One system; runs under ``jit`` and ``vmap``."""

    @abc.abstractmethod
    def parameters(self, system: SteadySystem) -> Float[Array, "*shape p"]:
        """The fields of a system that its solution belongs to, ``(*grid.shape, P)``."""

    @abc.abstractmethod
    def refined(self, factor: int) -> "SteadySampler":
        """The same functions on ``factor`` times the cells of every axis."""


@dataclass(frozen=True)
class SteadyLimits:
    """What steady data may not exceed; dimensionless.

    Arguments:
        residual: mean magnitude of the residual over that of the right-hand side.
        grid_error: relative difference from twice the cells on every axis, worst pair.
        pairs: how many the certificate is measured on.

    Raises:
        ValueError: a limit is not positive, or fewer than one pair.
    """

    residual: float = 1e-2
    grid_error: float = 1e-2
    pairs: int = 8

    def __post_init__(self):
        for name in ("residual", "grid_error", "pairs"):
            if not getattr(self, name) > 0:
                raise ValueError(f"limit {name} is {getattr(self, name)}: it must be positive")


class SteadyData(NamedTuple):
    """Parameter fields ``(n, *grid.shape, P)``, solutions ``(n, *grid.shape, C)``, and what is certified of them.

    ``path`` is the entry of the cache that holds them, and ``seconds`` the wall time that made them; an interrupted
    making counts from its last beginning.
    """

    parameters: Float[np.ndarray, "n *shape p"]
    fields: Float[np.ndarray, "n *shape c"]
    certificate: dict[str, Any]
    path: Path
    seconds: float


def generate_steady(
    sampler: SteadySampler,
    count: int,
    *,
    seed: int = 0,
    limits: SteadyLimits | None = None,
    dtype: str = "float32",
    cache_dir: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> SteadyData:
    """``count`` pairs from the cache or made now, each from its own key, folded from the seed and its number.

    They are certified before more than a chunk is made. Interrupted at any moment, the next call continues and ends
    with the same bytes.

    Arguments:
        sampler: what is drawn, as `physics.LogNormalDarcy`.
        count: how many pairs.
        seed: of all random draws.
        limits: what the certificate may not exceed; `SteadyLimits` when None.
        dtype: "float32" or "float64", of the computation and of the arrays.
        cache_dir: where they are kept; `physics.data.cache.default_directory` when None.
        progress: called often as ``progress(done, total, what)``.

    Raises:
        CertificateRefusedError: the data break a limit.
        ValueError: a count below 1, another dtype, or a system that was not solved.
        DiskFullError: the disk is full; what is made so far is continued from.
    """
    limits = SteadyLimits() if limits is None else limits
    if count < 1:
        raise ValueError(f"count is {count}: generate at least 1 pair")
    if dtype not in ("float32", "float64"):
        raise ValueError(f"dtype is {dtype!r}: use 'float32' or 'float64'")
    report: Progress = progress if progress is not None else lambda done, total, what: None
    settings = {"count": count, "seed": seed, "limits": describe(limits), "dtype": dtype}
    identity = {"format": _FORMAT, "sampler": describe(sampler), **settings}
    name = f"steady pairs of {type(sampler).__name__}"

    def make(directory: Path) -> None:
        started = time.perf_counter()
        with jax.enable_x64(dtype == "float64"):
            files = TrajectoryFiles(directory, versions())
            _make(files, sampler, count, seed, limits, report)
        described = {"name": name, "certificate": files.notes["certificate"], **identity, "versions": versions()}
        described["checksums"] = {array: files.described(array)["checksums"] for array in _ARRAYS}
        described["seconds"] = time.perf_counter() - started
        files.finish(json.dumps(described, indent=1))

    waiting = partial(report, 0, 1, "waiting for another process")
    return Cache(cache_dir).obtain(content_key(identity), name, _read, make, waiting)


def _read(path: Path, lease: Lease) -> SteadyData:
    # Pairs are read whole, so the entry need not stay in use.
    try:
        description = json.loads((path / DESCRIPTION).read_text(encoding="utf-8"))
        certificate = description["certificate"]
        # Entries that an earlier version made have neither seconds nor checksums.
        seconds = float(description.get("seconds", 0.0))
        for name, checksums in description.get("checksums", {}).items():
            if not is_unchanged(path / f"{name}.npy", checksums):
                raise ValueError(f"{name}.npy has changed since it was made")
        parameters, fields = (np.load(path / f"{name}.npy", allow_pickle=False) for name in _ARRAYS)
    except (OSError, EOFError, TypeError, ValueError, KeyError) as error:
        raise DamagedEntryError(f"{path} does not hold steady pairs: generate them again") from error
    lease.release()
    return SteadyData(parameters, fields, certificate, path, seconds)


def _make(
    files: TrajectoryFiles,
    sampler: SteadySampler,
    count: int,
    seed: int,
    limits: SteadyLimits,
    report: Progress,
) -> None:
    def pair(index: Any) -> tuple[Array, Array]:
        system = sampler.draw(_key(seed, index))
        return sampler.parameters(system), solve_steady(system)

    shapes = jax.eval_shape(pair, 0)
    files.reserve({name: ((count, *one.shape), one.dtype) for name, one in zip(_ARRAYS, shapes)})
    # Every chunk has one size, so that it compiles once; what is over is cut off.
    size = min(_CHUNK, count)
    chunk = jax.jit(jax.vmap(pair))
    starts = range(0, count, size)
    for number, (start, done) in enumerate(zip(starts, files.done(len(starts)))):
        report(start, count, "pairs")
        if not done:
            made = jax.device_get(chunk(start + jnp.arange(size)))
            if not np.isfinite(made[1]).all():
                raise ValueError(f"a system of the pairs from {start} on was not solved: its operator is near singular")
            for name, values in zip(_ARRAYS, made):
                files.write(name, start, values[: count - start])
            files.mark(number)
        if "certificate" not in files.notes:
            certificate = _certify(sampler, seed, np.asarray(files.read("fields")[: min(limits.pairs, size)]))
            _enforce_limits(certificate, limits, sampler.grid)
            files.note(certificate=certificate)
    report(count, count, "pairs")


def _key(seed: int, index: Any) -> Key[Array, ""]:
    return jax.random.fold_in(jax.random.key(seed), index)


def _certify(sampler: SteadySampler, seed: int, fields: np.ndarray) -> dict[str, Any]:
    finer = sampler.refined(2)

    def measure(index: Any, u: Array) -> dict[str, Array]:
        system = sampler.draw(_key(seed, index))
        size = jnp.mean(jnp.abs(system.right_hand_side()))
        levels = {
            name: jnp.mean(jnp.abs(steady_residual(system, share * u))) / size
            for name, share in (("residual", 1.0), ("residual_of_shrunk", 0.9), ("residual_of_zero", 0.0))
        }
        fine = _restricted(solve_steady(finer.draw(_key(seed, index))), sampler.grid)
        return levels | {"grid_error": jnp.linalg.norm((u - fine).ravel()) / jnp.linalg.norm(fine.ravel())}

    measured = jax.device_get(jax.jit(jax.vmap(measure))(jnp.arange(len(fields)), jnp.asarray(fields)))
    worst = {name: float(np.max(values)) for name, values in measured.items()}
    return worst | {"grid_error_median": float(np.median(measured["grid_error"])), "pairs": len(fields)}


def _restricted(fine: Array, grid: Grid) -> Array:
    """A field on twice the cells at the points of ``grid``: every second one on periodic axes, else the mean of two."""
    for axis, kind in enumerate(grid.boundary):
        even, odd = (jnp.take(fine, np.arange(first, fine.shape[axis], 2), axis) for first in (0, 1))
        fine = even if kind == "periodic" else (even + odd) / 2
    return fine


def _enforce_limits(certificate: dict[str, Any], limits: SteadyLimits, grid: Grid) -> None:
    remedies = {
        "residual": "use float64",
        "grid_error": f"use {'x'.join(str(2 * size) for size in grid.shape)} cells or smoother parameters",
    }
    refuse("the steady data are", certificate, limits, remedies)
