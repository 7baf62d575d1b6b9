"""Refinement: how far the solver has to carry a set of fields on until nothing tells it from the solver's
own.

The generator proposes, the solver finishes. Whether the proposal was worth anything shows only beside starts
that cost nothing: a Gaussian field with the data's spectrum, and the system's own initial condition. Each
start is carried on along one axis of *solver time*, the carry that the generator already contains included,
and every distance is drawn against it.

A curve *enters* the null band at the first time from which it stays there for good, that is to the end of
the measured times: ensembles of slowly mixing systems come close and swing away again. A band that holds 95% of
solver sets at one time would lose even a perfect start at one time in twenty, so the band of a curve is wider:
over T times, each holds a share ``1 - level / T`` (Bonferroni), and a perfect start stays inside at *all*
times with a probability of at least ``1 - level``. The same band serves all starts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from gan.metrics import Yardstick

Progress = Callable[[int, int, str], None]
Refine = Callable[[np.ndarray, float], np.ndarray]


@dataclass(frozen=True)
class Start:
    """Fields to carry on, and the solver time that is already in them (the carry of a generator; 0 else)."""

    fields: np.ndarray
    solver_time: float = 0.0


def gaussian_fields(fields: Float[np.ndarray, "n *grid c"], count: int, *, seed: int) -> Float[np.ndarray, "m *grid c"]:
    """Gaussian fields ``(count, *grid, channels)`` with the mean and the spectra, cross-spectra included, of
    the given ones.

    White noise is coloured by the Cholesky factor of the cross-spectral matrix ``<u_c^ u_d^*>`` of each
    wavenumber: the closest start that knows the second moments and nothing else. Statistically homogeneous,
    as the spectrum is all it knows.
    """
    fields = np.asarray(fields, np.float32)
    axes = tuple(range(1, fields.ndim - 1))
    shape, channels = fields.shape[1:-1], fields.shape[-1]
    mean = fields.mean(axis=(0, *axes), dtype=np.float64).astype(np.float32)
    cross: np.ndarray | float = 0.0
    for start in range(0, len(fields), 1024):
        hat = np.fft.rfftn(fields[start : start + 1024] - mean, axes=axes)
        cross = cross + np.einsum("n...c,n...d->...cd", hat, np.conj(hat), dtype=np.complex128)
    cross = np.asarray(cross) / len(fields) / np.prod(shape)
    scale = np.trace(cross, axis1=-2, axis2=-1).real[..., None, None]
    factor = np.linalg.cholesky(cross + (1e-12 * scale + 1e-30) * np.eye(channels))
    noise = np.random.default_rng((seed, 6)).standard_normal((count, *shape, channels), dtype=np.float32)
    coloured = np.einsum("...cd,n...d->n...c", factor, np.fft.rfftn(noise, axes=axes))
    return (np.fft.irfftn(coloured, s=shape, axes=axes) + mean).astype(np.float32)


def enters(times: Sequence[float], inside: Sequence[bool]) -> float | None:
    """The first time from which a curve is inside at every later time too; None if it ends outside.

    The last time alone is no "for good": a curve that is inside only there has not entered, unless nothing
    else was measured.
    """
    last_outside = max((i for i, ok in enumerate(inside) if not ok), default=-1)
    first = last_outside + 1
    if first >= len(times) or (first == len(times) - 1 and len(times) > 1):
        return None
    return float(times[first])


def refinement_curves(
    yardstick: Yardstick,
    starts: Mapping[str, Start],
    refine: Refine,
    times: Sequence[float],
    *,
    progress: Progress | None = None,
) -> dict[str, dict[str, Any]]:
    """Every distance of every start against solver time.

    Args:
        yardstick: of the solver's own fields.
        starts: by name; ``yardstick.n`` fields each, physical units.
        refine: ``(fields, duration) -> fields``: the solver. Called for the gaps between successive times.
        times: solver times, the same for all starts. A start joins at its own ``solver_time``, which is
            added to the times of all, so that starts are compared at equal times.
        progress: called with (done, total, what).

    Returns:
        ``{start: {"time", distance: ratios..., "p_value", "inside", "enters", "enters_all"}}``. A ratio is
        None, and outside, where fields were no longer finite. ``enters`` holds the time of each distance,
        judged against `curve_band`, or None. ``p_value`` is that of all distances together at each time
        (`gan.metrics.Yardstick.joint_p_value`), ``inside`` whether it exceeds ``level / T``, and
        ``enters_all`` the time from which it does so for good.

    Raises:
        ValueError: no time, or a negative one.

    """
    if not len(times) or min(times) < 0:
        raise ValueError(f"refinement times {list(times)} must be one or more times of at least 0.")
    grid = sorted({float(t) for t in times} | {float(s.solver_time) for s in starts.values()})
    total = sum(t >= s.solver_time for s in starts.values() for t in grid)
    limits = curve_band(yardstick, len(grid))
    curves: dict[str, dict[str, Any]] = {}
    done = 0
    for name, start in starts.items():
        fields, now = np.asarray(start.fields), start.solver_time
        own = [t for t in grid if t >= start.solver_time]
        ratios: dict[str, list[float | None]] = {d: [] for d in yardstick.names}
        together: list[float] = []
        for t in own:
            if t > now:
                fields, now = np.asarray(refine(fields, t - now)), t
            finite = bool(np.isfinite(fields).all())
            values = yardstick.distances(fields) if finite else {}
            for d in yardstick.names:
                ratios[d].append(values[d] / yardstick.floor[d] if finite else None)
            together.append(yardstick.joint_p_value(values) if finite else 0.0)
            done += 1
            if progress is not None:
                progress(done, total, f"refining {name}")
        inside = [p > yardstick.level / len(grid) for p in together]
        curves[name] = {
            "time": own,
            **ratios,
            "p_value": together,
            "inside": inside,
            "enters": {d: enters(own, [r is not None and r <= limits[d] for r in ratios[d]]) for d in yardstick.names},
            "enters_all": enters(own, inside),
        }
    return curves


def curve_band(yardstick: Yardstick, times: int) -> dict[str, float]:
    """Upper edge of the null band of a whole curve of ratios, by distance, for a number of measured times.

    Raises:
        ValueError: so few draws that no share ``1 - level / times`` can be told from all of them.

    """
    least = int(np.ceil(times / yardstick.level))
    if yardstick.draws < least:
        raise ValueError(
            f"draws={yardstick.draws} are too few for a curve over {times} times at level {yardstick.level}; "
            f"at least {least} are needed."
        )
    edge = yardstick.edge(1 - yardstick.level / times)
    return {name: edge[name] / yardstick.floor[name] for name in yardstick.names}


def spin_up_saved(curves: Mapping[str, Mapping[str, Any]], other: str = "gaussian") -> float | None:
    """Solver time that the generator saves against another start until neither can be told from the solver.

    Negative where it costs time. Where the other start never enters, the saving is at least the time from the
    generator's entry to the end of the measured times, and that is returned; None where the generator itself
    never enters, or a start was not measured.
    """
    if "generator" not in curves or other not in curves or curves["generator"]["enters_all"] is None:
        return None
    theirs = curves[other]["enters_all"]
    return float((curves[other]["time"][-1] if theirs is None else theirs) - curves["generator"]["enters_all"])
