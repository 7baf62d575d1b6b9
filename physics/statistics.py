"""Statistics of trajectories: spectra, correlation in time, numbers of samples, budgets, steady states.

Trajectories are arrays ``(trajectories, time, *grid.shape, C)``, fields ``(..., *grid.shape, C)``, NumPy or
JAX, memory-mapped or not. Everything here is computed on the host in float64: these numbers decide spin-up,
stride and whether a data set is accepted, and none of them is in an inner loop. All quantities keep the
units of the system (non-dimensional where the system is).

The decorrelation time is T = 2 tau_int dt, with the integrated autocorrelation time

    tau_int = 1/2 + sum_{s=1}^{M} rho(s)

and the window M the smallest with M >= c tau_int(M), c = 5 (A. D. Sokal, "Monte Carlo Methods in Statistical
Mechanics", 1996, section 3): a record of length T_total then holds T_total / T independent samples.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from physics.grid import Grid
from physics.system import System

STEADY = 1e-3


class Estimate(NamedTuple):
    """A mean, its standard error, and the number of independent samples it rests on."""

    value: float
    standard_error: float
    effective_samples: float


class CorrelationTime(NamedTuple):
    """A decorrelation time and whether the record was long enough for the window to close."""

    time: float
    resolved: bool


def energy_spectrum(
    fields: Float[Array | np.ndarray, "*axes"], grid: Grid
) -> tuple[Float[np.ndarray, " shells"], Float[np.ndarray, "*out"]]:
    """Energy per shell of wavenumbers, E(k): the sum over shells is half the mean square of the field.

    Shells have the width 2 pi / L of the longest axis; a wave belongs to the shell its |k| rounds to.

    Arguments:
        fields: ``(..., *grid.shape, C)``.
        grid: the grid the fields live on, at least one axis.

    Returns:
        the wavenumber of every shell, ``(shells,)``, and the energies ``(..., shells, C)``.

    Raises:
        ValueError: fields of another shape, or a grid that is a point or not periodic.
    """
    values = _as_float64(fields)
    if grid.ndim == 0 or values.shape[values.ndim - 1 - grid.ndim : -1] != grid.shape:
        raise ValueError(f"fields have shape {values.shape}, which does not end in the grid {grid.shape}, channels")
    if not grid.periodic:
        raise ValueError(f"energy_spectrum needs a periodic grid, but its boundary is {grid.boundary}")
    axes = tuple(range(values.ndim - 1 - grid.ndim, values.ndim - 1))
    power = np.abs(np.fft.rfftn(values, axes=axes) / grid.size) ** 2 * grid.parseval_weights[..., None] / 2
    width = 2 * np.pi / max(grid.extent)
    shell = np.rint(np.sqrt(grid.wavenumber_squared) / width).astype(int).ravel()
    batch, channels = power.shape[: axes[0]], power.shape[-1]
    flat = power.reshape(-1, shell.size, channels)
    energies = np.zeros((flat.shape[0], shell.max() + 1, channels))
    for number, energy in zip(shell, np.moveaxis(flat, 1, 0)):
        energies[:, number] += energy
    return np.arange(shell.max() + 1) * width, energies.reshape(*batch, -1, channels)


def autocorrelation(
    series: Float[Array | np.ndarray, "trajectories time *rest"],
) -> Float[np.ndarray, " time"]:
    """Correlation in time, rho(s) with rho(0) = 1, averaged over trajectories, start times and the rest.

    The mean over trajectories and times is taken away point by point, so a mean flow is not a correlation.
    Each lag is divided by the number of pairs it has (unbiased), by FFT in time.
    """
    values = _as_float64(series)
    values = values - values.mean(axis=(0, 1), keepdims=True)
    steps = values.shape[1]
    flat = np.moveaxis(values, 1, 0).reshape(steps, -1)
    spectrum = np.fft.rfft(flat, n=2 * steps, axis=0)
    power = np.sum(spectrum.real**2 + spectrum.imag**2, axis=1)
    covariance = np.fft.irfft(power)[:steps] / (flat.shape[1] * np.arange(steps, 0, -1))
    if not covariance[0] > 0:
        return np.ones(steps)
    return covariance / covariance[0]


def integrated_time(correlation: Float[np.ndarray, " time"], interval: float, window: float = 5.0) -> CorrelationTime:
    """The decorrelation time 2 tau_int of a correlation sampled every ``interval``, windowed after Sokal.

    Not resolved (and then only a lower bound) where the record ends before the window closes.
    """
    running = 0.5 + np.cumsum(correlation[1:])
    lags = np.arange(1, len(correlation))
    closed = np.flatnonzero(lags >= window * running)
    # Pairs of a short record are few at large lags, so a window past half of it cannot be trusted.
    resolved = closed.size > 0 and 2 * lags[closed[0]] <= len(correlation)
    tau = running[closed[0]] if closed.size else (running[-1] if running.size else 0.5)
    return CorrelationTime(2 * max(0.5, float(tau)) * interval, bool(resolved))


def decorrelation_time(
    observables: Sequence[Float[Array | np.ndarray, "trajectories time ..."]], interval: float
) -> CorrelationTime:
    """The longest of the decorrelation times of several observables of a stationary state.

    Give the field itself (a few points of it are enough) and its energy: in a system that drifts slowly the
    field is the slow one, in one that swings between states the energy.

    Arguments:
        observables: each ``(trajectories, time, ...)``.
        interval: time between two records.
    """
    found = [integrated_time(autocorrelation(observable), interval) for observable in observables]
    return CorrelationTime(max(one.time for one in found), all(one.resolved for one in found))


def effective_sample_size(series: Float[Array | np.ndarray, "trajectories time *rest"]) -> float:
    """How many independent samples the record is worth: trajectories x time / (2 tau_int)."""
    trajectories, steps = np.shape(series)[:2]
    if steps < 2:
        return float(trajectories)
    return trajectories * max(1.0, steps / integrated_time(autocorrelation(series), 1.0).time)


def space_time_average(series: Float[Array | np.ndarray, "trajectories time *rest"]) -> Estimate:
    """Mean over trajectories, times and space with its standard error.

    The error comes from the spread between trajectories, which are independent whatever happens within one;
    for a single trajectory from the spread in time and the effective number of samples.
    """
    values = _as_float64(series)
    per_time = values.reshape(*values.shape[:2], -1).mean(axis=2)
    samples = effective_sample_size(per_time)
    if len(per_time) > 1:
        error = per_time.mean(axis=1).std(ddof=1) / np.sqrt(len(per_time))
    else:
        error = per_time.std(ddof=min(1, per_time.size - 1)) / np.sqrt(samples)
    return Estimate(float(per_time.mean()), float(error), samples)


def settling_time(
    observables: Float[Array | np.ndarray, "trajectories time observables"],
    interval: float,
    deviations: float = 5.0,
) -> CorrelationTime:
    """When an ensemble has become stationary: from then on its statistics stay those of the last half.

    Followed are the ensemble mean and mean square of every observable; each has settled once it stays within
    ``deviations`` standard errors of its average over the last half of the record. Logarithms of band
    energies see more than energies do. Not resolved where it takes longer than half the record.
    """
    values = _as_float64(observables)
    members, steps = values.shape[:2]
    values = values - values[:, steps // 2 :].mean(axis=(0, 1))
    last = 0
    for statistic in (values, values**2):
        late = statistic[:, steps // 2 :]
        error = late.std(axis=(0, 1)) / np.sqrt(members)
        off = np.abs(statistic.mean(axis=0) - late.mean(axis=(0, 1))) > deviations * error
        outside = np.flatnonzero(off.any(axis=1))
        last = max(last, int(outside[-1]) + 1 if outside.size else 0)
    return CorrelationTime(last * interval, 2 * last <= steps)


def amplitude_change(
    before: Float[Array | np.ndarray, "*axes"], after: Float[Array | np.ndarray, "*axes"], ndim: int
) -> Float[Array, "*batch"]:
    """Relative change of Fourier amplitudes, || |b_k| - |a_k| || / ||b_k||: 0 when steady.

    Amplitudes and not the fields, so that a wave that only travels counts as steady as well. Spatial means
    are left out. Runs under ``jit``, in the precision of the fields.

    Arguments:
        before: fields ``(..., *grid.shape, C)``.
        after: the same fields some time later.
        ndim: spatial axes; 0 compares the values themselves.
    """
    first, second = jnp.asarray(before), jnp.asarray(after)
    axes = tuple(range(first.ndim - 1 - ndim, first.ndim - 1))
    if ndim:
        first, second = (jnp.abs(jnp.fft.fftn(u - u.mean(axes, keepdims=True), axes=axes)) for u in (first, second))
    summed = (*axes, first.ndim - 1)
    change, size = jnp.sum((second - first) ** 2, axis=summed), jnp.sum(first**2, axis=summed)
    return jnp.sqrt(change / jnp.maximum(size, jnp.finfo(size.dtype).tiny))


def steady_share(change: Float[np.ndarray, " trajectories"], threshold: float = STEADY) -> float:
    """Share of trajectories whose `amplitude_change` lies below the threshold: gone steady."""
    return float(np.mean(change < threshold))


def budget_closure(
    system: System, trajectory: Float[Array | np.ndarray, " time *rest"], interval: float
) -> dict[str, float]:
    """How well budgets close: for each quantity the mismatch of its rate and the sum of its terms.

    The rate is the fourth-order central difference over snapshots, so the interval must be short against the
    flow. The mismatch is a root mean square over time, relative to that of the terms: 0 when the budget
    closes.

    Arguments:
        system: its ``budgets(u)`` gives for each quantity the value and the terms of its rate of change.
        trajectory: at least five snapshots ``(time, *grid.shape, C)``, ``interval`` apart.

    Returns:
        by the name of the quantity the relative mismatch; empty where the system states no budgets.

    Raises:
        ValueError: fewer than five snapshots.
    """
    if len(trajectory) < 5:
        raise ValueError(f"a budget needs at least 5 snapshots in a row, not {len(trajectory)}")
    records = [system.budgets(np.asarray(u)) for u in trajectory]
    closure = {}
    for quantity in records[0]:
        rows = [{name: float(value) for name, value in record[quantity].items()} for record in records]
        value = np.asarray([row.pop("value") for row in rows])
        terms = np.asarray([list(row.values()) for row in rows])[2:-2]
        rate = (value[:-4] - 8 * value[1:-3] + 8 * value[3:-1] - value[4:]) / (12 * interval)
        closure[quantity] = float(np.sqrt(np.mean((rate - terms.sum(axis=1)) ** 2) / np.mean(np.sum(terms**2, axis=1))))
    return closure


def _as_float64(array: Any) -> np.ndarray:
    return np.asarray(array, np.float64)
