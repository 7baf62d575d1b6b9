"""Generated snapshots against the solver: distances, scores, refinement, cost and a verdict in words.

This module takes arrays and functions and knows no experiment. Whatever it says of the generator it says of
the solver too: every number stands beside what a second set of solver fields would get.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from experiments.comparison.baselines import baseline_rows
from experiments.comparison.cost import CostInputs, cost_table
from experiments.comparison.figures import snapshot_figures
from experiments.comparison.refinement import (
    Refine,
    Start,
    curve_band,
    gaussian_fields,
    refinement_curves,
    spin_up_saved,
)
from experiments.comparison.verdict import snapshot_verdict
from gan.augmentation import Symmetries
from gan.metrics import FieldFeatures, Yardstick, diversity, memorising

Progress = Callable[[int, int, str], None]
Evolve = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class RefinementInputs:
    """What a refinement study needs.

    Attributes:
        refine: ``(fields, duration) -> fields``: the solver, in physical units.
        times: solver times at which all starts are compared.
        initial: ``n`` fields from the system's own initial condition, or None.
        gaussian: ``n`` Gaussian fields with the data's spectrum; made from the training fields where left
            out.

    """

    refine: Refine
    times: Sequence[float]
    initial: np.ndarray | None = None
    gaussian: np.ndarray | None = None


@dataclass(frozen=True)
class Sizes:
    """Sizes of a snapshot comparison; see `gan.metrics.Yardstick` for each.

    ``draws`` must allow Holm's test to reject: at least the number of distances over ``level``, 180 for nine
    at 5%.
    """

    n: int = 2048
    draws: int = 600
    resamples: int = 200
    level: float = 0.05
    separations: tuple[int, ...] | None = None
    quantiles: tuple[float, ...] = (0.001, 0.01, 0.99, 0.999)
    directions: int = 128
    resolved: float = 1e-6
    seed: int = 0
    shown: int = field(default=8, metadata={"help": "fields shown side by side"})

    def yardstick(
        self,
        pool: np.ndarray,
        extent: tuple[float, ...],
        progress: Progress | None = None,
    ) -> Yardstick:
        """The yardstick of these sizes for a pool of solver fields."""
        return Yardstick(
            pool,
            n=self.n,
            draws=self.draws,
            level=self.level,
            extent=extent,
            separations=self.separations,
            quantiles=self.quantiles,
            directions=self.directions,
            resolved=self.resolved,
            seed=self.seed,
            progress=progress,
        )


def compare_snapshot(
    samples: Float[np.ndarray, "s *grid c"],
    solver_pool: Float[np.ndarray, "p *grid c"],
    training: Float[np.ndarray, "b *grid c"],
    *,
    channels: Sequence[str],
    extent: tuple[float, ...],
    units: Mapping[str, str] | None = None,
    symmetries: Any = None,
    carry_time: float = 0.0,
    sizes: Sizes | None = None,
    refinement: RefinementInputs | None = None,
    cost: CostInputs | None = None,
    residuals: Mapping[str, tuple[np.ndarray, np.ndarray]] | None = None,
    evolve: Evolve | None = None,
    yardstick: Yardstick | None = None,
    baselines: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Hold generated fields against solver fields.

    Args:
        samples: generated fields, carry included, physical units; at least ``sizes.n`` finite ones. Those
            that are not finite are left out and their share is a score.
        solver_pool: held-out solver fields, one per independent trajectory, at least ``2 sizes.n``; four
            times as many make every ratio less noisy.
        training: the training fields, for memorising and for the Gaussian start.
        channels, extent, units: names of the channels, lengths of the box, units by channel or coordinate.
        symmetries: ``shift_axes`` and ``reflections`` modulo which neighbours are sought.
        carry_time: solver time that the samples already contain.
        sizes: of sets, draws and resamplings.
        refinement, cost: left out where None.
        residuals: by name, the values per field of the generator and of the solver, for example a residual
            norm.
        evolve: ``fields (2, *grid, c) -> (times, trajectories (2, time, *grid, c))``: carries a sample and a
            solver field on, for the pictures.
        yardstick: one made earlier for this pool and these sizes, to save its draws.
        baselines: name -> ``gan.baselines.Baseline``, fitted to the training fields.
        progress: called with (done, total, what).

    Returns:
        The content of ``comparison.json`` and the arrays of ``figures.npz``.

    Raises:
        ValueError: too few finite samples, too small a pool, or too few draws.

    """
    sizes = sizes or Sizes()
    symmetries = symmetries if symmetries is not None else Symmetries()
    samples, invalid = finite_fields(samples, sizes.n)
    yardstick = yardstick or sizes.yardstick(solver_pool, extent, progress)
    features = yardstick.frame(samples)
    distances = yardstick.compare(features, resamples=sizes.resamples, seed=sizes.seed)
    scores = _scores(
        samples, features, solver_pool, training, yardstick, symmetries, sizes, channels, progress=progress
    )
    scores["invalid"] = {"value": invalid, "target": 0.0, "null": [0.0, 0.0]}
    for name, (own, reference) in (residuals or {}).items():
        scores[name] = _mean_score(own, reference, sizes.seed)
    comparison: dict[str, Any] = {
        "task": "snapshot",
        "n": sizes.n,
        "draws": yardstick.draws,
        "level": yardstick.level,
        "references": yardstick.references,
        "channels": list(channels),
        "units": dict(units or {}),
        "carry_time": carry_time,
        "distances": distances,
        "definitions": yardstick.definitions(),
        "scores": scores,
        "baselines": {},
    }
    if len(training) >= sizes.n:
        chosen = np.random.default_rng((sizes.seed, 8)).choice(len(training), sizes.n, replace=False)
        comparison["baselines"]["training_fields"] = _ratios(yardstick, np.asarray(training[np.sort(chosen)]))
    comparison["baselines"] |= baseline_rows(
        baselines or {},
        lambda sample: sample(jax.random.key(sizes.seed), sizes.n),
        lambda fields: _ratios(yardstick, fields),
        sizes.n,
    )
    if refinement is not None:
        curves = _refinement(samples, training, yardstick, refinement, carry_time, sizes.seed, progress)
        comparison["refinement"] = curves
        comparison["refinement_null"] = curve_band(yardstick, len(curves["gaussian"]["time"]))
        for start in ("gaussian", "initial"):
            if start in curves:
                at = curves[start]["time"].index(carry_time)
                rows = {0: start} if at == 0 else {0: start, at: f"{start}_carried_on_for_{carry_time:g}"}
                for i, name in rows.items():
                    comparison["baselines"][name] = {d: curves[start][d][i] for d in yardstick.names}
    if cost is not None:
        table = cost_table(cost, yardstick, distances, progress=progress)
        if refinement is not None:
            table["spin_up_saved"] = spin_up_saved(comparison["refinement"])
        comparison["cost"] = table
    comparison["verdict"] = snapshot_verdict(comparison)
    figures = snapshot_figures(yardstick, features, samples, solver_pool, channels, shown=sizes.shown)
    if evolve is not None:
        times, trajectories = evolve(np.stack([samples[0], solver_pool[0]]))
        figures["evolution/times"] = np.asarray(times)
        figures["evolution/generator"], figures["evolution/solver"] = np.asarray(trajectories)
    return comparison, figures


def finite_fields(samples: Float[np.ndarray, "s *grid c"], n: int) -> tuple[np.ndarray, float]:
    """The first ``n`` finite fields, and the share of all fields that are not finite.

    Raises:
        ValueError: fewer than ``n`` finite fields.

    """
    samples = np.asarray(samples, np.float32)
    finite = np.isfinite(samples).reshape(len(samples), -1).all(axis=1)
    if finite.sum() < n:
        raise ValueError(
            f"only {int(finite.sum())} of {len(samples)} samples are finite, and n={n} are compared; "
            "draw more or lower n."
        )
    return samples[finite][:n], float(1 - finite.mean())


def _ratios(yardstick: Yardstick, fields: np.ndarray) -> dict[str, float]:
    values = yardstick.distances(fields)
    return {name: values[name] / yardstick.floor[name] for name in yardstick.names}


def _scores(
    samples: np.ndarray,
    features: FieldFeatures,
    solver_pool: np.ndarray,
    training: np.ndarray,
    yardstick: Yardstick,
    symmetries: Any,
    sizes: Sizes,
    channels: Sequence[str],
    *,
    progress: Progress | None,
) -> dict[str, Any]:
    frame = yardstick.frame
    kind = {"scale": frame.std, "symmetries": symmetries, "seed": sizes.seed}
    if progress is not None:
        progress(0, 2, "diversity and memorising")
    scores: dict[str, Any] = {
        "diversity": diversity(samples, solver_pool, **kind),
        "memorising": memorising(samples, solver_pool, training, **kind, progress=progress),
    }

    def amplitude(rows: np.ndarray) -> np.ndarray:
        return np.sqrt(frame.part(rows, "covariance_0")[..., 0])

    def beyond(rows: np.ndarray) -> np.ndarray:
        energy = frame.part(rows, "energy")
        tails = [energy[..., c, top + 1 :].sum(-1) / energy[..., c, :].sum(-1) for c, top in enumerate(frame.resolved)]
        # Shares of this size are float32 round-off and mean nothing.
        return np.maximum(np.stack(tails, axis=-1), 1e-12)

    for name, measure, target in (("amplitude", amplitude, 1.0), ("unresolved_energy", beyond, None)):
        middle, low, high = yardstick.band(measure)
        value = measure(features.rows.mean(axis=0)[None])[0]
        for c, channel in enumerate(channels):
            scale = middle[c] if target is not None else 1.0
            scores[name if len(channels) == 1 else f"{name}/{channel}"] = {
                "value": float(value[c] / scale),
                "target": float(middle[c] / scale),
                "null": [float(low[c] / scale), float(high[c] / scale)],
            }
    return scores


def _mean_score(own: np.ndarray, reference: np.ndarray, seed: int, draws: int = 400) -> dict[str, Any]:
    """Mean of a quantity per field; target and band from solver sets of the same size."""
    own, reference = np.asarray(own, np.float64).ravel(), np.asarray(reference, np.float64).ravel()
    rng = np.random.default_rng((seed, 9))
    means = rng.choice(reference, (draws, len(own))).mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return {"value": float(own.mean()), "target": float(reference.mean()), "null": [float(low), float(high)]}


def _refinement(
    samples: np.ndarray,
    training: np.ndarray,
    yardstick: Yardstick,
    inputs: RefinementInputs,
    carry_time: float,
    seed: int,
    progress: Progress | None,
) -> dict[str, Any]:
    gaussian = inputs.gaussian
    if gaussian is None:
        chosen = np.linspace(0, len(training) - 1, min(len(training), 16384)).astype(int)
        gaussian = gaussian_fields(np.asarray(training[np.unique(chosen)]), yardstick.n, seed=seed)
    starts = {"generator": Start(samples, carry_time), "gaussian": Start(gaussian)}
    if inputs.initial is not None:
        starts["initial"] = Start(inputs.initial)
    times = sorted({0.0, *map(float, inputs.times)})
    return refinement_curves(yardstick, starts, inputs.refine, times, progress=progress)
