"""All baselines that a problem allows, by name."""

from __future__ import annotations

from typing import Any

from gan.baselines.autoencoders import autoencoder, variational_autoencoder
from gan.baselines.ensemble_score import ensemble_score
from gan.baselines.fitting import Baseline, Fit, Progress
from gan.baselines.flow_matching import flow_matching
from gan.baselines.regression import regression
from gan.config import Recipe
from gan.training.problem import Problem


def fit_baselines(problem: Problem, config: Any, progress: Progress | None = None) -> dict[str, Baseline]:
    """Fit every baseline that the problem allows, each with the generator's network, updates and batches.

    Args:
        problem: as for `gan.train`.
        config: a :class:`gan.config.Recipe`, or any object with its five sections.
        progress: called with (done, total, what).
    """
    fit = Fit(problem, Recipe.of(config), progress)
    fitted = {"autoencoder": autoencoder(fit), "variational_autoencoder": variational_autoencoder(fit)}
    fitted |= flow_matching(fit)
    if problem.condition:
        fitted |= {"regression": regression(fit)}
    return fitted | {"ensemble_score": ensemble_score(fit)}
