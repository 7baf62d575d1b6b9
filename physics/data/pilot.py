"""The pilot: a small ensemble that measures how long a chaotic system needs to settle and to forget.

It is followed from the sampler's initial fields until its statistics are stationary and its decorrelation
time is resolved (`physics.statistics`). Spin-up and stride of a data set that leaves them open come from
here.

Observed every ten steps are the field at a few points, its energy, and the logarithms of its energy in
octaves of wavenumber, which settle last.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from physics.data.certificate import WINDOW, CertificateRefusedError
from physics.data.dataset import SPLITS, DatasetSpec
from physics.data.samplers import Sampler
from physics.grid import Grid
from physics.noise import own_noise
from physics.solving.evolution import advance
from physics.statistics import amplitude_change, decorrelation_time, settling_time, steady_share
from physics.system import System

Progress = Callable[[int, int, str], Any]

_MEMBERS = 256
_MOST_NUMBERS = 2**23
_SAVES = 100
_LONGEST = 40
_ENOUGH = 10  # decorrelation times in a record that resolves one
_POINTS = 8
_FAINT = 1e-6


def least_steps(system: System) -> int:
    """The solver steps of single fields that a pilot makes at least, before it first reports what it has made."""
    return _members(system) * _SAVES * WINDOW


def _members(system: System) -> int:
    return max(32, min(_MEMBERS, _MOST_NUMBERS // math.prod(system.field_shape)))


def follow_pilot(sampler: Sampler, spec: DatasetSpec, dt: float, report: Progress) -> dict[str, Any]:
    """Settling and decorrelation time of an ensemble, in time units, and what they were measured on.

    Raises:
        CertificateRefusedError: the ensemble goes steady before its times are resolved.
        ValueError: it does not stay finite, or nothing is resolved within 40000 steps.
    """
    system, interval = sampler.system, WINDOW * dt
    members = _members(system)

    def follow(key, u, save):
        own = sampler.draw(key).system
        noise = own_noise(own, key)

        def one_save(before, number):
            windows = save + number
            rest = None if noise is None else noise.after(windows * WINDOW)
            after = advance(own, before, dt, WINDOW, solver=spec.solver, noise=rest, t0=windows * interval)
            change = amplitude_change(before, after, system.grid.ndim)
            return after, (*observe(after, system.grid), change)

        return jax.lax.scan(one_save, u, jnp.arange(_SAVES))

    # A split of its own: the pilot is no part of the data.
    base = jax.random.fold_in(jax.random.key(spec.seed), len(SPLITS))
    keys = jax.random.split(base, members)
    fields = jax.jit(jax.vmap(lambda key: sampler.draw(key).u0))(keys)
    segment = jax.jit(jax.vmap(follow, (0, 0, None)))
    segments: list[Any] = []
    for number in range(1, _LONGEST + 1):
        report((number - 1) * _SAVES, _LONGEST * _SAVES, "pilot")
        fields, observed = segment(keys, fields, (number - 1) * _SAVES)
        segments.append(jax.device_get(observed))
        points, bands, change = (np.concatenate(parts, axis=1) for parts in zip(*segments))
        duration = number * _SAVES * interval
        if not np.isfinite(points[:, -1]).all():
            raise ValueError(
                f"data set {spec.name!r}: the pilot ensemble is not finite before time {duration:g}: "
                f"halve dt to {dt / 2:g} or use more points"
            )
        settled = settling_time(np.log(bands + _FAINT * bands.sum(axis=2, keepdims=True)), interval)
        first = min(round(settled.time / interval), points.shape[1] // 2)
        channels = np.moveaxis(points[:, first:], -1, 0)
        forgotten = decorrelation_time([*channels, bands[:, first:].sum(axis=2)], interval)
        if settled.resolved and forgotten.resolved and duration >= settled.time + _ENOUGH * forgotten.time:
            return {
                "settling_time": settled.time,
                "decorrelation_time": forgotten.time,
                "pilot_members": members,
                "pilot_time": duration,
                "pilot_interval": interval,
            }
        if (share := steady_share(change[:, -1])) > max(spec.limits.steady_share, 4 / members):
            raise CertificateRefusedError(
                f"data set {spec.name!r} is refused, steady share {share:.1e} > "
                f"{spec.limits.steady_share:.1e} at time {duration:g} of the pilot: change the domain or the "
                "parameters, since this system does not stay chaotic"
            )
    raise ValueError(
        f"data set {spec.name!r}: no decorrelation time within {_LONGEST * _SAVES * interval:g} time units "
        "of the pilot: give spin_up and stride yourself"
    )


def observe(u: Float[Array, "*shape c"], grid: Grid) -> tuple[Float[Array, "*points c"], Float[Array, " bands"]]:
    """A field at about eight points per axis, and its energy in octaves of wavenumber, channel by channel.

    The octaves are |n| = 0, 1, 2 to 3, 4 to 7, ... waves per box; on a single point the squares.
    """
    points = u[tuple(slice(None, None, max(1, size // _POINTS)) for size in grid.shape)]
    if not grid.ndim:
        return points, u**2 / 2
    axes = tuple(range(grid.ndim))
    power = jnp.abs(jnp.fft.rfftn(u, axes=axes) / grid.size) ** 2 * jnp.asarray(grid.parseval_weights)[..., None] / 2
    waves = np.sqrt(np.sum([n**2 for n in np.broadcast_arrays(*grid.mode_numbers)], axis=0))
    octave = np.floor(np.log2(np.maximum(waves, 0.5)) + 1e-9).astype(int) + 1
    bands = jnp.stack([jnp.sum(power * (octave == o)[..., None], axis=axes) for o in range(octave.max() + 1)])
    return points, bands.ravel().astype(u.dtype)
