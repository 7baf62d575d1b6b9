"""The certificate of a data set: how well its trajectories solve the equation they are said to solve.

It states, on the first trajectories and over a stated horizon,

- the **defect**, the relative mismatch of a snapshot and the discrete solver applied to the snapshot before
  it: round-off, when the data were made by the operator that generated fields will be compared with;
- the **step error** and the **grid error**: the worst trajectory's relative difference from half the step,
  and from twice the points on every axis, at each time relative to the field (a state of a single number, which may
  pass zero: relative to the largest of all times);
- the **residual level**, the equation applied to consecutive solver steps from the last snapshot on, relative to the
  size of du/dt; beside it the same for the zero field and for fields shrunk by 10% (`physics.data.residual_level`);
- the **drift** of every invariant, relative to the size that the invariant has for the field's magnitude;
- the **unresolved** share of the fields' variance, in the last third of the waves that the solver uses
  (`physics.resolution`): a warning, and no refusal;

and for chaotic systems, over all trajectories, the **share gone steady**: near L = 32 the
Kuramoto-Sivashinsky equation falls onto a steady state and would fill a data set with copies of it.

Stochastic systems are compared along one and the same noise path, so that the step error is that of the path.
There is no grid error without a grid, where sites are no points of a continuum, and where every point has a
noise of its own: the certificate then says why in ``grid_error_omitted``.

A number past its limit refuses the data set, and the message says which limit and what to change.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from physics.data.residual_level import FIELDS, no_residual_level, residual_level, residual_squares
from physics.data.samplers import Sampler
from physics.noise import own_noise
from physics.residuals import defect
from physics.resolution import unresolved_share, warn_if_unresolved
from physics.solving.evolution import solve
from physics.spectral import resample
from physics.statistics import STEADY, steady_share
from physics.system import StochasticSystem

WINDOW = 10  # solver steps over which a trajectory must change to count as alive
_HORIZON = 100  # solver steps over which chaotic systems are compared: growth stays of order one
_LONGEST_PAIR = 1000  # steps between two stored snapshots over which chaos leaves round-off small
_COMPARED = 4  # times within the horizon


class CertificateRefusedError(ValueError):
    """A data set breaks one of its limits; the message is one sentence: which, by how much, what to change."""


@dataclass(frozen=True)
class Limits:
    """What a data set may not exceed; all dimensionless.

    Arguments:
        step_error: relative difference from half the step, worst trajectory.
        grid_error: relative difference from twice the points on every axis, worst trajectory.
        defect: relative mismatch with the discrete solver; round-off, grown over the interval.
        drift: change of an invariant relative to its size.
        steady_share: share of trajectories gone steady, chaotic systems only.
        trajectories: on how many, the first for training, all but the steady share are measured.
        horizon: time span of the comparison; when None 100 steps for chaotic systems, else all the data's time.

    Raises:
        ValueError: a limit is not positive, fewer than one trajectory, or a horizon that is no finite time.
    """

    step_error: float = 1e-2
    grid_error: float = 1e-2
    defect: float = 1e-3
    drift: float = 1e-3
    steady_share: float = 5e-3
    trajectories: int = 16
    horizon: float | None = None

    def __post_init__(self):
        for field in ("step_error", "grid_error", "defect", "drift", "steady_share"):
            if not getattr(self, field) > 0:
                raise ValueError(f"limit {field} is {getattr(self, field)}: it must be positive")
        if self.trajectories < 1:
            raise ValueError(f"limit trajectories is {self.trajectories}: certify at least 1")
        if self.horizon is not None and not 0 < self.horizon < np.inf:
            raise ValueError(f"limit horizon is {self.horizon}: it must be a positive, finite time, or None")


def certify(
    sampler: Sampler,
    keys: Key[Array, " trajectories"],
    snapshots: Float[np.ndarray, "trajectories time *shape c"],
    times: Float[np.ndarray, " time"],
    *,
    dt: float,
    solver: diffrax.AbstractSolver | None,
    limits: Limits,
) -> dict[str, Any]:
    """Measure everything but the steady share on a few trajectories; applies no limit.

    Chaotic systems start from the first snapshot, all others from the initial field, so that what is compared
    is what was stored.

    Arguments:
        sampler: what the trajectories were drawn from.
        keys: their random keys, ``(trajectories,)``.
        snapshots: what was stored of them.
        times: when, from the initial field on.
        dt: solver step.
        solver: diffrax solver, or None for the system's own.
        limits: gives the horizon.
    """
    system = sampler.system
    # Data of the initial fields alone span no time.
    span = 0.0 if system.chaotic else float(times[-1])
    horizon = (span or _HORIZON * dt) if limits.horizon is None else limits.horizon
    first = round(times[0] / dt)
    since = float(times[0]) if system.chaotic else 0.0
    last = round(times[-1] / dt)
    omitted, unread = _no_finer_grid(system), no_residual_level(system)
    steps = np.unique(np.maximum(1, np.rint(np.linspace(0, horizon / dt, _COMPARED + 1)[1:]).astype(int)))
    gap = round((times[1] - times[0]) / dt) if len(times) > 1 else 0
    pairs = 0 < gap <= max(int(steps[-1]), _LONGEST_PAIR)
    substeps = 1 if omitted else _substeps(system)

    def measure(key, stored):
        draw = sampler.draw(key)
        path = own_noise(draw.system, key)
        stored_path = None if path is None else path.after(first)
        start, start_path = (stored[0], stored_path) if system.chaotic else (draw.u0, path)
        run = partial(solve, dt=dt, solver=solver, t0=since)
        result = _refinement(draw.system, start, start_path, since + steps * dt, run, dt, 0 if omitted else substeps)
        before, after, own = (stored[0], stored[1], stored_path) if pairs else (start, None, start_path)
        if after is None:
            after = run(draw.system, before, [since + dt], noise=own)[0]
        t0, span = (float(times[0]), gap) if pairs else (since, 1)
        mismatch = defect(draw.system, before, after, dt, solver=solver, steps=span, noise=own, t0=t0) * (span * dt)
        result["defect"] = _norm(mismatch) / _norm(after)
        result["drift"] = _drift(draw.system, start, jnp.concatenate([result.pop("base"), stored[-1:]]))
        if not unread:
            t0, own = float(times[-1]), None if path is None else path.after(last)
            row = solve(draw.system, stored[-1], t0 + dt * np.arange(FIELDS), dt=dt, solver=solver, noise=own, t0=t0)
            result["residual"] = residual_squares(draw.system, row, dt, own, t0)
        return result | {"start": start}

    result = jax.device_get(jax.jit(jax.vmap(measure))(keys, jnp.asarray(snapshots)))
    certificate: dict[str, Any] = {
        "trajectories": len(snapshots),
        "horizon": float(steps[-1] * dt),
        "start": "first snapshot" if system.chaotic else "initial field",
        "dt": dt,
        "defect": float(np.max(result["defect"])),
        "defect_over": f"{gap if pairs else 1} steps of dt between " + ("snapshots" if pairs else "re-solved fields"),
        "step_error": _worst(result["step"]),
        "step_error_median": float(np.median(result["step"].max(axis=1))),
        "drift": {
            name: float(np.max(change) / max(np.max(size), np.finfo(np.float32).tiny))
            for name, (change, size) in result["drift"].items()
        },
    }
    certificate |= {"residual_level_omitted": unread} if unread else residual_level(result["residual"])
    if system.grid.ndim and system.refinable:
        seen = np.concatenate([result["start"][:, None], snapshots[:, -1:]])
        certificate["unresolved"] = unresolved_share(seen, system, dealiased=True)
        warn_if_unresolved("a field of the data set", certificate["unresolved"], "the waves that the solver uses")
    if omitted is not None:
        certificate["grid_error_omitted"] = omitted
    else:
        certificate["grid_error"] = _worst(result["grid"])
        certificate["grid_dt"] = dt if isinstance(system, StochasticSystem) else dt / _substeps(system)
        certificate["grid_error_median"] = float(np.median(result["grid"].max(axis=1)))
    return certificate


def _no_finer_grid(system: Any) -> str | None:
    """Why a system is not compared with twice the points; None where it is."""
    if not system.grid.ndim:
        return "a single point has no grid"
    if not system.refinable:
        return "its sites are no points of a continuum"
    if isinstance(system, StochasticSystem):
        finer = system.refined(2)
        assert isinstance(finer, StochasticSystem)
        if finer.noise_shape != system.noise_shape:
            return "every point has a noise of its own"
    return None


def _substeps(system: Any) -> int:
    """Into how many a step is divided with twice the points: as many as the recommended step is.

    Explicit solvers would be unstable with one. Exponential solvers recommend about the same step.
    """
    return max(1, math.ceil(system.recommended_dt / system.refined(2).recommended_dt * (1 - 1e-9)))


def _refinement(
    system: Any, start: Any, noise: Any, times: Any, run: Callable, dt: float, substeps: int
) -> dict[str, Any]:
    """The fields at ``times``, and how they differ from half the step and, with ``substeps``, twice the points."""
    base = run(system, start, times, noise=noise)
    half = run(system, start, times, dt=dt / 2, noise=None if noise is None else noise.halved())
    result: dict[str, Any] = {"base": base, "step": _relative(base, half)}
    if substeps:
        finer = system.refined(2)

        def onto_finer(u: Array) -> Array:
            # What is given at a boundary is no sine or cosine series.
            return resample(u - system.boundary_lift(), system.grid, finer.grid) + finer.boundary_lift()

        # A path has no other steps than its own.
        step = dt / substeps if noise is None else dt
        fine = run(finer, onto_finer(start), times, dt=step, noise=noise)
        # Both on the finer grid: what the coarse one lacks counts, down to the last resolved wave.
        result["grid"] = _relative(jax.vmap(onto_finer)(base), fine)
    return result


def _drift(system: Any, start: Any, later: Any) -> dict[str, tuple[Array, Array]]:
    """The largest change of every invariant, and its size."""
    first = system.invariants(start)
    values = jax.vmap(system.invariants)(later)
    # Of the later fields too: at rest a momentum has no size.
    magnitudes = jax.vmap(system.invariants)(jnp.abs(jnp.concatenate([start[None], later])))
    return {
        name: (
            jnp.max(jnp.abs(values[name] - first[name])),
            jnp.maximum(jnp.abs(first[name]), jnp.max(jnp.abs(magnitudes[name]))),
        )
        for name in first
    }


def enforce_limits(
    certificate: dict[str, Any], limits: Limits, *, name: str, shape: tuple[int, ...], dt: float
) -> None:
    """Refuse a data set whose certificate passes a limit.

    Raises:
        CertificateRefusedError: one sentence that names every limit broken and its remedy.
    """
    doubled = "x".join(str(2 * size) for size in shape)
    # The step that was taken with twice the points; where that did not stay finite it was too long.
    finer_dt = certificate.get("grid_dt", dt) / (1 if math.isfinite(certificate.get("grid_error", 0.0)) else 2)
    remedies = {
        "step_error": f"halve dt to {dt / 2:g}",
        "grid_error": f"use {doubled} points with dt = {finer_dt:g}",
        "defect": "make the data with the solver and step of the comparison",
        "steady_share": "change the domain or the parameters, since this system does not stay chaotic",
    }
    drifts = [
        f"drift of invariant {invariant!r} {value:.1e} > {limits.drift:.1e}: halve dt to {dt / 2:g} or use float64"
        for invariant, value in certificate.get("drift", {}).items()
        if not value <= limits.drift
    ]
    refuse(f"data set {name!r} is", certificate, limits, remedies, drifts)


def refuse(
    what: str, certificate: dict[str, Any], limits: Any, remedies: dict[str, str], others: Sequence[str] = ()
) -> None:
    """Refuse data of which a figure that has a remedy passes its limit, or that break others.

    Arguments:
        what: the data and their verb, as "the data set is".
        certificate: what was measured; what is not in it has no limit.
        limits: has a limit under the name of every remedy.
        remedies: by the name of the figure what to change.
        others: limits broken beside these, one phrase for each.

    Raises:
        CertificateRefusedError: one sentence that names every limit broken and its remedy.
    """
    broken = [
        f"{name.replace('_', ' ')} {_against(certificate[name], getattr(limits, name))}: {remedy}"
        for name, remedy in remedies.items()
        if name in certificate and not certificate[name] <= getattr(limits, name)
    ]
    if broken or others:
        raise CertificateRefusedError(f"{what} refused, " + "; ".join([*broken, *others]))


def _against(value: float, limit: float) -> str:
    return f"{value:.1e} > {limit:.1e}" if math.isfinite(value) else "is not finite"


def steadiness(change: Float[np.ndarray, " trajectories"], dt: float) -> dict[str, Any]:
    """The certificate's entry on steady states, from each trajectory's `amplitude_change` over ten steps."""
    return {
        "steady_share": steady_share(change),
        "steady_means": f"amplitudes change by less than {STEADY:g} of their norm in {WINDOW * dt:g} time",
        "steadiness_median": float(np.median(change)),
    }


def _relative(one: Float[Array, " time *field"], other: Float[Array, " time *field"]) -> Float[Array, " time"]:
    size = jax.vmap(_norm)(other)
    # A single number passes zero now and then, where nothing is small beside it: its size is the largest of all times.
    return jax.vmap(_norm)(one - other) / (jnp.max(size) if other[0].size == 1 else size)


def _norm(field: Any) -> Array:
    return jnp.sqrt(jnp.sum(field**2))


def _worst(errors: Float[np.ndarray, "trajectories time"]) -> float:
    return float(np.max(errors))
