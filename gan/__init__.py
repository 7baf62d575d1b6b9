"""Generative adversarial networks over fields: networks, games, training.

This wing knows no equation: data reach it as arrays in physical units, a solver as a plain ``solver_layer``
function of samples, an equation as a penalty. Public names live here and are loaded when first asked for,
so that ``import gan`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

# Public name -> module that defines it. A new public name is one line here.
_HOME = {
    "NetworkConfig": "gan.config",
    "GameConfig": "gan.config",
    "OptimizerConfig": "gan.config",
    "SolverLayerConfig": "gan.config",
    "TrainingConfig": "gan.config",
    "Recipe": "gan.config",
    "Normalizer": "gan.normalizer",
    "Penalty": "gan.penalties",
    "LinearRamp": "gan.penalties",
    "fair_ensemble_score": "gan.penalties",
    "ArraySymmetries": "gan.augmentation",
    "ArrayReflection": "gan.augmentation",
    "Objective": "gan.objectives",
    "objective": "gan.objectives",
    "Game": "gan.game",
    "Player": "gan.game",
    "Players": "gan.game",
    "Batch": "gan.game",
    "GeneratedBatch": "gan.game",
    "DiscriminatorLoss": "gan.game",
    "adversarial_game": "gan.adversarial",
    "guarded": "gan.guard",
    "guarded_penalty": "gan.guard",
    "Networks": "gan.networks.players",
    "SampleSpec": "gan.networks.players",
    "build": "gan.networks.players",
    "network_counts": "gan.networks.counts",
    "Alternating": "gan.optimizers.alternating",
    "Simultaneous": "gan.optimizers.simultaneous",
    "Extragradient": "gan.optimizers.extragradient",
    "Adjusted": "gan.optimizers.adjusted",
    "Competitive": "gan.optimizers.competitive",
    "Lookahead": "gan.optimizers.lookahead",
    "game_optimizer": "gan.optimizers.selection",
    "Problem": "gan.training.problem",
    "check_recipe": "gan.training.checks",
    "train": "gan.training.loop",
    "Diverged": "gan.training.divergence",
    "Trained": "gan.training.trained",
    "Samples": "gan.training.trained",
    "load": "gan.training.trained",
    "fit_baselines": "gan.baselines.table",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
