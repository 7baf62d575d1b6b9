"""The certificate of a data set: how well its trajectories solve the equation they are said to solve.

It states, on the first trajectories and over a stated horizon,

- the **defect**, the relative mismatch of a snapshot and the discrete solver applied to the snapshot before
  it: round-off, when the data were made by the operator that will judge generated fields;
- the **step error** and the **grid error**: the worst trajectory's relative difference from half the step,
  and from twice the points on every axis;
- the **drift** of every invariant, relative to the size that the invariant has for the field's magnitude;

and for chaotic systems, over all trajectories, the **share gone steady**: near L = 32 the
Kuramoto-Sivashinsky equation falls onto a steady state and would fill a data set with copies of it.

A number past its limit refuses the data set, and the message says which limit and what to change.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from physics.evolution import solve
from physics.residuals import defect
from physics.samplers import Draw
from physics.spectral import resample
from physics.statistics import STEADY, steady_share

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
        trajectories: how many the first four are measured on.
        horizon: time span of the comparison; when None 100 steps for chaotic systems, else all the data's time.
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
        if self.horizon is not None and not 0 <= self.horizon < np.inf:
            raise ValueError(f"limit horizon is {self.horizon}: it must be a finite time, 0 or more")


def certify(
    sampler: Any,
    keys: Any,
    snapshots: Float[np.ndarray, "trajectories time *shape c"],
    times: Float[np.ndarray, " time"],
    *,
    dt: float,
    solver: Any,
    limits: Limits,
) -> dict[str, Any]:
    """Measure everything but the steady share on a few trajectories; judges nothing.

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
    span = float(times[-1]) if not system.chaotic else _HORIZON * dt
    horizon = limits.horizon or span or _HORIZON * dt
    steps = np.unique(np.maximum(1, np.rint(np.linspace(0, horizon / dt, _COMPARED + 1)[1:]).astype(int)))
    gap = round((times[1] - times[0]) / dt) if len(times) > 1 else 0
    pairs = 0 < gap <= max(int(steps[-1]), _LONGEST_PAIR)

    def measure(key, stored):
        draw = sampler.draw(key)
        start = stored[0] if system.chaotic else draw.u0
        return _measure(draw, start, stored, steps * dt, dt, solver, gap if pairs else 1, pairs)

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
    if "grid" in result:
        certificate["grid_error"] = _worst(result["grid"])
        certificate["grid_error_median"] = float(np.median(result["grid"].max(axis=1)))
    return certificate


def _measure(draw: Draw, start: Any, stored: Any, times: Any, dt: float, solver: Any, gap: int, pairs: bool) -> dict:
    system = draw.system
    base = solve(system, start, times, dt=dt, solver=solver)
    half = solve(system, start, times, dt=dt / 2, solver=solver)
    result: dict[str, Any] = {"step": _relative(base, half)}
    if system.grid.ndim:
        finer = system.grid.refined(2)
        on_finer = dataclasses.replace(system, grid=finer)
        fine = solve(on_finer, resample(start, system.grid, finer), times, dt=dt, solver=solver)
        # Both on the finer grid: what the coarse one lacks counts, down to the last resolved wave.
        result["grid"] = _relative(jax.vmap(lambda u: resample(u, system.grid, finer))(base), fine)
    if pairs:
        before, after = stored[0], stored[1]
    else:
        before, after = start, solve(system, start, [dt], dt=dt, solver=solver)[0]
    mismatch = defect(system, before, after, dt, solver=solver, steps=gap) * (gap * dt)
    result["defect"] = _norm(mismatch) / _norm(after)
    first = system.invariants(start)
    magnitude = system.invariants(jnp.abs(start))
    later = jax.vmap(system.invariants)(jnp.concatenate([base, stored[-1:]]))
    result["drift"] = {
        name: (
            jnp.max(jnp.abs(later[name] - first[name])),
            jnp.maximum(jnp.abs(first[name]), jnp.abs(magnitude[name])),
        )
        for name in first
    }
    return result


def judge(certificate: dict[str, Any], limits: Limits, *, name: str, shape: tuple[int, ...], dt: float) -> None:
    """Refuse a data set whose certificate passes a limit.

    Raises:
        CertificateRefusedError: one sentence that names every limit broken and its remedy.
    """
    doubled = "x".join(str(2 * size) for size in shape)
    remedies = {
        "step_error": f"halve dt to {dt / 2:g}",
        "grid_error": f"use {doubled} points",
        "defect": "make the data with the solver and step that judge them",
        "steady_share": "change the domain or the parameters, since this system does not stay chaotic",
    }
    broken = [
        f"{field.replace('_', ' ')} {certificate[field]:.1e} > {getattr(limits, field):.1e}: {remedy}"
        for field, remedy in remedies.items()
        if field in certificate and not certificate[field] <= getattr(limits, field)
    ]
    broken += [
        f"drift of invariant {invariant!r} {value:.1e} > {limits.drift:.1e}: halve dt to {dt / 2:g} or use float64"
        for invariant, value in certificate.get("drift", {}).items()
        if not value <= limits.drift
    ]
    if broken:
        raise CertificateRefusedError(f"data set {name!r} is refused, " + "; ".join(broken))


def steadiness(change: Float[np.ndarray, " trajectories"], dt: float) -> dict[str, Any]:
    """The certificate's entry on steady states, from each trajectory's `amplitude_change` over ten steps."""
    return {
        "steady_share": steady_share(change),
        "steady_means": f"amplitudes change by less than {STEADY:g} of their norm in {WINDOW * dt:g} time",
        "steadiness_median": float(np.median(change)),
    }


def _relative(one: Float[Array, "time *field"], other: Float[Array, "time *field"]) -> Float[Array, " time"]:
    return jax.vmap(_norm)(one - other) / jax.vmap(_norm)(other)


def _norm(field: Any) -> Array:
    return jnp.sqrt(jnp.sum(field**2))


def _worst(errors: Float[np.ndarray, "trajectories time"]) -> float:
    return float(np.max(errors))
