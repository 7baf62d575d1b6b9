"""Two published statistics that let wrong fields pass, measured on Kuramoto-Sivashinsky fields (L = 22, 64 points).

- The L1 distance of histograms of (value, advection, tendency), with the state reset to the truth at every other step:
  half of the states that are compared are then the truth itself, and the other half are one step away from it.
- The energy spectrum from complex coefficients that are summed over the fields before the modulus is taken.

Both stand beside the same statistic taken properly, each with its floor: the median between two sets of solver fields.

    python benchmarks/misleading_statistics.py

Prints two tables and writes benchmarks/results/misleading_statistics.json.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

from experiments import environment

environment.prepare()

import jax
import numpy as np

from experiments import catalog
from experiments.evaluation.distances import Frame
from experiments.evaluation.distances.literature import (
    BINS,
    cells,
    histogram_distance,
    local_features,
    log_energy_ratio,
)
from experiments.files import write_json
from physics import Grid, KuramotoSivashinsky, solve

RESULTS = Path(__file__).resolve().parent / "results" / "misleading_statistics.json"
SET, LENGTH, POINTS, STEP, DRAWS = 2048, 22.0, 64, 0.25, 50
WAVES = 2 * np.pi / LENGTH * np.fft.rfftfreq(POINTS, 1 / POINTS)


def tendency(fields: np.ndarray) -> np.ndarray:
    """Return du/dt by the equation."""
    hat, square = (np.fft.rfft(x[..., 0], axis=1) for x in (fields, fields**2))
    rate = (WAVES**2 - WAVES**4) * hat - 0.5j * WAVES * square
    return np.fft.irfft(rate, n=POINTS, axis=1)[..., None].astype(np.float32)


def shuffled(rng: np.random.Generator, fields: np.ndarray) -> np.ndarray:
    """Return fields with the same amplitudes and random phases."""
    hat = np.fft.rfft(fields, axis=1)
    phases = np.exp(2j * np.pi * rng.random(hat.shape))
    phases[:, [0, -1]] = 1
    return np.fft.irfft(hat * phases, n=POINTS, axis=1).astype(np.float32)


def floor(pool: np.ndarray, distance: Callable[[np.ndarray, np.ndarray], float]) -> float:
    """Return the median distance of two disjoint sets of solver fields."""
    rng = np.random.default_rng(0)
    orders = (rng.permutation(len(pool)) for _ in range(DRAWS))
    return float(np.median([distance(pool[o[:SET]], pool[o[SET : 2 * SET]]) for o in orders]))


def main() -> None:
    """Measure both and write the results."""
    experiment = catalog.load("kuramoto_sivashinsky")
    pool = np.asarray(experiment.task.data(experiment.presets["demo"], lambda *_: None).test[:, 0])
    rng, half = np.random.default_rng(1), SET // 2
    truth, fresh = pool[:SET], pool[SET : 2 * SET]
    wrong = shuffled(rng, fresh)

    ruler = local_features(pool, tendency(pool), (LENGTH,))

    def histogram(fields: np.ndarray) -> np.ndarray:
        local = local_features(fields, tendency(fields), (LENGTH,))
        return np.bincount(cells(local, ruler).ravel(), minlength=BINS**3)

    def by_histogram(one: np.ndarray, two: np.ndarray) -> float:
        return histogram_distance(histogram(one), histogram(two))

    system = KuramotoSivashinsky(Grid((POINTS,), (LENGTH,)))
    carry = jax.jit(jax.vmap(lambda u: solve(system, u, np.array([STEP]), dt=0.05)[-1]))
    start = truth[:half]
    followed = np.concatenate([start, np.asarray(carry(start))])  # the truth at two steps in turn
    rows: dict[str, dict[str, Any]] = {
        "histogram": {
            "floor": floor(pool, by_histogram),
            "random phases": by_histogram(wrong, truth),
            "random phases, every other state reset": by_histogram(np.concatenate([start, wrong[:half]]), truth),
            "no change, every other state reset": by_histogram(np.concatenate([start, start]), followed),
        }
    }
    frame = Frame(pool, extent=(LENGTH,))
    top = int(frame.resolved[0])
    spectra = {
        "spectrum": lambda u: frame.energy(u)[:, 0].mean(axis=0)[1 : top + 1],
        "modulus of the sum": lambda u: np.abs(np.fft.rfft(u[..., 0], axis=1).sum(axis=0))[1 : top + 1] ** 2,
    }
    noise = (pool.std() * rng.standard_normal(truth.shape)).astype(np.float32)
    others = {"random phases": wrong, "amplitude 1.3": 1.3 * fresh, "amplitude 0.7": 0.7 * fresh, "white noise": noise}
    for name, spectrum in spectra.items():

        def by_spectrum(one: np.ndarray, two: np.ndarray, spectrum: Any = spectrum) -> float:
            return log_energy_ratio(spectrum(one), spectrum(two))

        values = {label: by_spectrum(fields, truth) for label, fields in others.items()}
        rows[name] = {"floor": floor(pool, by_spectrum), **values}
    for name, values in rows.items():
        for label, value in values.items():
            print(f"{name:20} {label:40} {value:8.3f} {value / values['floor']:8.2f} floors")
    about = {
        "machine": {"platform": f"{platform.system()} {platform.machine()}"},
        "versions": {"python": platform.python_version(), "numpy": np.__version__, "jax": jax.__version__},
        "settings": {"n": SET, "length": LENGTH, "points": POINTS, "step": STEP, "draws": DRAWS},
    }
    write_json(RESULTS, {**about, "rows": rows})


if __name__ == "__main__":
    main()
