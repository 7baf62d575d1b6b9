"""Histories of populations, inferred by a game whose generator is the simulator, on known truths beside its rivals.

For every truth an observation is drawn, and one game is played on it: the simulator's parameters against a
discriminator. All games are played side by side. Intervals come from the estimate's asymptotic covariance, for which
the simulator gives the derivatives.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from experiments.config import ExperimentConfig, SystemConfig
from experiments.errors import UserError
from experiments.reporting import Report
from gan.settings import setting

if TYPE_CHECKING:
    from experiments.evaluation.results import Comparison
    from experiments.studies.population_models import UnlinkedSites
    from experiments.studies.rival_estimates import Estimates
    from gan.simulator_game import Inference


@dataclass(frozen=True)
class EvolutionConfig(SystemConfig):
    """What is observed of how many truths, and what the estimators may spend on each."""

    truths: int = setting(50, "known truths, each with an observation of its own", minimum=2, maximum=10_000)
    regions: int = setting(1024, "independent regions of one observation", minimum=100)
    simulations: int = setting(10_000, "observations that approximate Bayesian computation simulates", minimum=500)
    products: bool = setting(False, "the discriminator is linear in the products of two counts too")
    hidden: bool = setting(False, "add the network of the section network to the linear discriminator")
    together: int = setting(64, "games that are vectorised; bounds the memory, not the result", minimum=1)


@dataclass(frozen=True)
class Evolution:
    """The study. Its truths are drawn from ``data.seed``, all else from ``training.seed``."""

    unread: ClassVar[tuple[str, ...]] = (
        "data.samples",
        "solver_layer",
        "compare",
        "optimizer.average_half_life",
        *(
            f"training.{name}"
            for name in (
                "parallel",
                "devices",
                "cpu_devices",
                "precision",
                "steps_per_call",
                "log_every",
                "checkpoint_every",
                "alarm_after",
                "diagnose_every",
                "keep",
                "validation_samples",
                "sample_history",
                "sample_chunk",
                "loss_limit",
                "gradient_limit",
            )
        ),
        *(
            f"game.{name}"
            for name in (
                "label_smoothing",
                "real_weight",
                "fake_weight",
                "weight_clip",
                "penalty_final",
                "penalty_until",
                "penalty_every",
                "gamma_rule",
                "gradient_penalty",
                "evaluations",
                "ensemble_weight",
                "ensemble_draws",
                "transport",
                "transport_until",
                "conflict",
                "augment_target",
                "augment_speed",
                "symmetrize",
            )
        ),
    )

    def own_settings(self, config: ExperimentConfig) -> EvolutionConfig:
        """Return the section ``system``, which is this study's own."""
        assert isinstance(config.system, EvolutionConfig)
        return config.system

    def check(self, config: ExperimentConfig) -> None:
        """Refuse what cannot be played."""
        from gan.config import FLOW_MATCHING
        from gan.optimizers.selection import game_optimizer

        if config.game.objective == FLOW_MATCHING:
            raise UserError(
                f"--game.objective {FLOW_MATCHING} has no discriminator, which a simulator needs: choose minimax."
            )
        if config.network.kind not in ("mlp", "residual_mlp"):
            raise UserError(
                f"--network.kind {config.network.kind} needs a grid, and counts have none: choose mlp or residual_mlp."
            )
        own = self.own_settings(config)
        if config.training.batch > own.regions:
            raise UserError(f"--training.batch {config.training.batch} is above --system.regions {own.regions}.")
        try:
            game_optimizer(config.optimizer, config.game, config.training.steps)
        except ValueError as error:
            raise UserError(str(error)) from None

    def run(self, config: ExperimentConfig, report: Report) -> tuple[Comparison, dict[str, np.ndarray]]:
        """Draw truths and observations, estimate by every method, and compare.

        Args:
            config: of the run.
            report: called with (done, total, what).

        Returns:
            What was found, and truths and estimates under ``recovery/METHOD/...``, each (truths, parameters), in the
            parameters' own units (logarithms where they are estimated).
        """
        import jax

        from experiments.evaluation.results import Comparison
        from experiments.evaluation.verdict import verdict
        from experiments.studies.population_models import UnlinkedSites

        own = self.own_settings(config)
        model = UnlinkedSites()
        rng = np.random.default_rng(np.random.SeedSequence([config.data.seed, 0x65766F]))
        truth = rng.uniform(-1.0, 1.0, (own.truths, len(model.parameters)))
        data = np.stack([model.observe(one, rng, own.regions) for one in truth])
        keys = iter(jax.random.split(jax.random.key(config.training.seed), 8))
        found: dict[str, tuple[Estimates, float, float]] = {}
        methods = _methods(own, model, config)
        for done, (name, method) in enumerate(methods.items()):
            report(done, len(methods), name)
            began = perf_counter()
            estimates, shared = method(data, next(keys))
            spent = perf_counter() - began
            found[name] = (estimates, (spent - shared) / own.truths, shared)
        report(len(methods), len(methods), "compared")
        recoveries, figures = _compared(own, model, truth, found)
        return Comparison(_TITLE, verdict((recoveries,)), 0, (recoveries,)), figures


_TITLE = "Independent sites under drift, selection and a change of size"
MEANINGS = {
    "game": "the simulator against a discriminator, intervals by the covariance of moments with the best weights",
    "likelihood": "maximum likelihood with the exact spectrum, intervals by Fisher's information",
    "bayesian_computation": "approximate Bayesian computation with semi-automatic summaries and local regression; it "
    "knows the range of the truths",
    "prior": "the middle of the range, whatever was observed",
}


def inference_of(own: EvolutionConfig, model: UnlinkedSites, config: ExperimentConfig) -> Inference:
    """Return how the games of a configuration are played."""
    from gan.simulator_game import Inference, with_products

    return Inference(
        model.simulate,
        len(model.parameters),
        config.network if own.hidden else None,
        config.game,
        config.optimizer,
        config.training.steps,
        config.training.batch,
        with_products if own.products else None,
    )


def _methods(own: EvolutionConfig, model: UnlinkedSites, config: ExperimentConfig) -> dict[str, Any]:
    """Name -> (data, key) -> (estimates, seconds shared by all data sets)."""
    from functools import partial

    from experiments.studies import rival_estimates as rivals

    count = len(model.parameters)

    def alone(estimate: Any) -> Any:
        return lambda data, key: (estimate(data), 0.0)

    # A whole observation from one simulation of sites needs more of them than a batch of the game.
    finer = replace(model, paths=8 * model.paths)
    return {
        "game": partial(game_estimates, own, model, config),
        "likelihood": alone(partial(rivals.maximum_likelihood, model)),
        "bayesian_computation": lambda data, key: (
            rivals.bayesian_computation(finer, data, key, own.simulations),
            0.0,
        ),
        "prior": alone(lambda data: rivals.of_the_prior(len(data), count)),
    }


def game_estimates(
    own: EvolutionConfig, model: UnlinkedSites, config: ExperimentConfig, data: np.ndarray, key: Any
) -> tuple[Estimates, float]:
    """Play a game on every observation; intervals by the standard errors of `gan.simulator_game.Inference.spread`."""
    from experiments.studies.rival_estimates import Estimates

    played = inference_of(own, model, config).estimates(data, key, config.training.seed, own.together)
    value, spread = (np.asarray(part, float) for part in (played.estimate, played.spread))
    return Estimates.normal(value, spread), 0.0


def _compared(
    own: EvolutionConfig, model: UnlinkedSites, truth: np.ndarray, found: Mapping[str, tuple[Estimates, float, float]]
) -> tuple[Any, dict[str, np.ndarray]]:
    from experiments.evaluation.entries import EstimatorRow
    from experiments.evaluation.recovery import recovery
    from experiments.evaluation.results import Recoveries
    from experiments.studies.rival_estimates import LEVEL, Estimates

    middle, half = (np.array([getattr(one, name) for one in model.parameters]) for name in ("middle", "half"))
    rows, figures = {}, {"recovery/truth": middle + half * truth}
    for name, (estimates, seconds, shared) in found.items():
        value, low, high = (middle + half * part for part in estimates)
        each = {
            one.label: recovery(middle[i] + half[i] * truth[:, i], value[:, i], low[:, i], high[:, i])
            for i, one in enumerate(model.parameters)
        }
        rows[name] = EstimatorRow(MEANINGS[name], each, seconds, shared)
        figures |= {f"recovery/{name}/{part}": array for part, array in zip(Estimates._fields, (value, low, high))}
    ranges = {one.label: (one.middle - one.half, one.middle + one.half) for one in model.parameters}
    return Recoveries("unlinked", own.truths, own.regions, LEVEL, ranges, rows), figures
