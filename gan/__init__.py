"""Generative adversarial networks over fields: networks, games, training.

This wing knows no equation: data reach it as arrays in physical units, a solver as a plain ``solver_layer``
function of samples, an equation as a penalty. Public names live here and are loaded when first asked for,
so that ``import gan`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

# Public name -> module that defines it. A new public name is one line here.
WRITTEN_IN = {
    "NetworkConfig": "gan.config",
    "GameConfig": "gan.config",
    "OptimizerConfig": "gan.config",
    "SolverLayerConfig": "gan.config",
    "TrainingConfig": "gan.config",
    "Recipe": "gan.config",
    "Normalizer": "gan.normalizer",
    "Penalty": "gan.penalties",
    "LinearRamp": "gan.penalties",
    "fair_energy_score": "gan.penalties",
    "fair_ensemble_score": "gan.penalties",
    "ArraySymmetries": "gan.augmentation",
    "ArrayReflection": "gan.augmentation",
    "ArrayMove": "gan.augmentation",
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
    "Stopped": "gan.training.stopping",
    "StopRequest": "gan.training.stopping",
    "Trained": "gan.training.trained",
    "Samples": "gan.training.trained",
    "load": "gan.training.trained",
    "fit_baselines": "gan.baselines.table",
}

__all__ = sorted(WRITTEN_IN)

# The same names for type checkers and editors; tests/test_packaging.py compares the two.

# The same names for type checkers and editors; tests/test_packaging.py compares the two.
if TYPE_CHECKING:
    from gan.adversarial import adversarial_game as adversarial_game
    from gan.augmentation import ArrayMove as ArrayMove
    from gan.augmentation import ArrayReflection as ArrayReflection
    from gan.augmentation import ArraySymmetries as ArraySymmetries
    from gan.baselines.table import fit_baselines as fit_baselines
    from gan.config import GameConfig as GameConfig
    from gan.config import NetworkConfig as NetworkConfig
    from gan.config import OptimizerConfig as OptimizerConfig
    from gan.config import Recipe as Recipe
    from gan.config import SolverLayerConfig as SolverLayerConfig
    from gan.config import TrainingConfig as TrainingConfig
    from gan.game import Batch as Batch
    from gan.game import DiscriminatorLoss as DiscriminatorLoss
    from gan.game import Game as Game
    from gan.game import GeneratedBatch as GeneratedBatch
    from gan.game import Player as Player
    from gan.game import Players as Players
    from gan.guard import guarded as guarded
    from gan.guard import guarded_penalty as guarded_penalty
    from gan.networks.counts import network_counts as network_counts
    from gan.networks.players import Networks as Networks
    from gan.networks.players import SampleSpec as SampleSpec
    from gan.networks.players import build as build
    from gan.normalizer import Normalizer as Normalizer
    from gan.objectives import Objective as Objective
    from gan.objectives import objective as objective
    from gan.optimizers.adjusted import Adjusted as Adjusted
    from gan.optimizers.alternating import Alternating as Alternating
    from gan.optimizers.competitive import Competitive as Competitive
    from gan.optimizers.extragradient import Extragradient as Extragradient
    from gan.optimizers.lookahead import Lookahead as Lookahead
    from gan.optimizers.selection import game_optimizer as game_optimizer
    from gan.optimizers.simultaneous import Simultaneous as Simultaneous
    from gan.penalties import LinearRamp as LinearRamp
    from gan.penalties import Penalty as Penalty
    from gan.penalties import fair_energy_score as fair_energy_score
    from gan.penalties import fair_ensemble_score as fair_ensemble_score
    from gan.training.checks import check_recipe as check_recipe
    from gan.training.divergence import Diverged as Diverged
    from gan.training.loop import train as train
    from gan.training.problem import Problem as Problem
    from gan.training.stopping import Stopped as Stopped
    from gan.training.stopping import StopRequest as StopRequest
    from gan.training.trained import Samples as Samples
    from gan.training.trained import Trained as Trained
    from gan.training.trained import load as load
else:

    def __getattr__(name: str) -> Any:
        """Import a public name where it is first used."""
        if name not in WRITTEN_IN:
            raise AttributeError(f"module 'gan' has no attribute {name!r}")
        return getattr(import_module(WRITTEN_IN[name]), name)


def __dir__() -> list[str]:
    return __all__
