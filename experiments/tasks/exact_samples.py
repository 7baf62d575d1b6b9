"""Generated samples of a law with known modes against exact samples: modes, weights, distances, cost, a verdict.

Every number stands beside what exact samples of the same number come to: the scores over sets as large as the one
counted, the distances over disjoint halves of a pool, as for a solver's fields (`gan.metrics.distribution`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from experiments.comparison.baselines import baseline_rows
from experiments.comparison.cost import cost_section, timed
from experiments.comparison.verdict import modes_verdict
from experiments.config import ExperimentConfig
from experiments.tasks.modes import NULL_DRAWS, Drawn, Modes
from experiments.tasks.task import NONE, Report
from gan.metrics import Yardstick, mode_scores

SHOWN = 4000
"""Points of a scatter plot; of samples with a grid, `PICTURES` are shown."""
PICTURES = 64


@dataclass(frozen=True)
class ModesComparison:
    """One trained generator against its law.

    Attributes:
        task, config, dataset: of the run; only the test samples and fresh ones of the law are used.
        trained: a ``gan.Trained``.
        report: called with (done, total, what).
    """

    task: Modes
    config: ExperimentConfig
    dataset: Drawn
    trained: Any
    report: Report

    def run(
        self, seconds: Mapping[str, float], baselines: Mapping[str, Any] = NONE
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return ``comparison.json``'s content and the arrays behind the pictures."""
        law, asked = self.dataset.law, self.config.compare
        counted = self.task.told(self.config).counted
        samples = self.trained.sample(jax.random.key(asked.seed), max(counted, asked.fields))
        yardstick = self.yardstick()
        distances = yardstick.compare(samples[: asked.fields], resamples=asked.resamples, seed=asked.seed)
        comparison: dict[str, Any] = {
            "task": "modes",
            "title": f"{law.name}: generator against exact samples",
            "law": law.name,
            "n": asked.fields,
            "counted": counted,
            "modes": len(law.weights),
            "draws": yardstick.draws,
            "level": yardstick.level,
            "references": yardstick.references,
            "channels": list(law.channels),
            "distances": distances,
            "definitions": yardstick.definitions(),
            "scores": self.scores(samples[:counted]),
            "baselines": self.baselines(yardstick, baselines),
            "cost": self.cost(seconds),
        }
        comparison["verdict"] = modes_verdict(comparison)
        return comparison, self.figures(samples[:counted])

    def yardstick(self) -> Yardstick:
        """The yardstick of exact samples."""
        asked = self.config.compare
        return Yardstick(
            self.dataset.test,
            n=asked.fields,
            draws=asked.draws,
            level=asked.level,
            quantiles=asked.quantiles,
            directions=asked.projections,
            homogeneous=False,
            seed=asked.seed,
            progress=self.report,
        )

    def baselines(self, yardstick: Yardstick, fitted: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Distances and modes of training samples, and of the baselines' samples."""
        law, asked = self.dataset.law, self.config.compare
        count = max(self.task.told(self.config).counted, asked.fields)

        def row(samples: np.ndarray) -> dict[str, float]:
            values = yardstick.distances(samples[: asked.fields])
            ratios = {name: values[name] / yardstick.floor[name] for name in yardstick.names}
            return {**ratios, **mode_scores(law.label(samples), law.weights)}

        known = {"training_samples": row(self.dataset.train)} if len(self.dataset.train) >= asked.fields else {}
        return known | baseline_rows(fitted, lambda sample: sample(jax.random.key(asked.seed), count), row, count)

    def scores(self, samples: np.ndarray) -> dict[str, Any]:
        """What the modes come to, beside median and 95% band over sets of exact samples of the same size."""
        law = self.dataset.law
        rng = np.random.default_rng((self.config.compare.seed, 11))
        exact = []
        for done in range(NULL_DRAWS):
            exact.append(mode_scores(law.exact(len(samples), rng), law.weights))
            self.report(done + 1, NULL_DRAWS, "counting modes of exact samples")
        own = mode_scores(law.label(samples), law.weights)
        scores: dict[str, Any] = {}
        for name, value in own.items():
            drawn = np.array([one[name] for one in exact])
            low, high = np.quantile(drawn, [0.025, 0.975])
            scores[name] = {"value": value, "target": float(np.median(drawn)), "null": [float(low), float(high)]}
        return scores

    def cost(self, seconds: Mapping[str, float]) -> dict[str, Any]:
        """Seconds per sample of the generator and of the exact sampler."""
        law, count = self.dataset.law, min(self.config.compare.fields, 2048)
        key, rng = jax.random.key(self.config.compare.seed), np.random.default_rng(0)
        own = timed(lambda: self.trained.draw(key, count).fields, repeats=3)[1] / count
        exact = timed(lambda: law.draw("test", count, rng), repeats=3)[1] / count
        reference = {"setting": "exact sampler", "seconds_per_sample": exact, "error": 1.0}
        return cost_section(
            generator=own,
            carry=None,
            reference=reference,
            rows=[],
            data=seconds["data"],
            training=seconds["training"],
        )

    def figures(self, samples: np.ndarray) -> dict[str, Any]:
        """Samples beside exact ones, and the weights of the modes with the band of exact sets."""
        law = self.dataset.law
        count = PICTURES if samples.ndim > 2 else SHOWN
        kind = "pictures" if samples.ndim > 2 else "points"
        rng = np.random.default_rng((self.config.compare.seed, 12))
        exact = law.draw("test", len(samples), rng)
        spread = 2 * np.sqrt(law.weights * (1 - law.weights) / len(samples))
        return {
            f"modes/{kind}_generator": samples[:count],
            f"modes/{kind}_exact": exact[:count],
            "modes/weights": law.weights,
            "modes/shares": np.bincount(law.label(samples).mode, minlength=len(law.weights)) / len(samples),
            "modes/spread": spread,
        }
