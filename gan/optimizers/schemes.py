"""The game optimizers, by the name of their update scheme. A new scheme is one file and one line here.

This module imports no array library: configurations check names against it.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple


class Scheme(NamedTuple):
    """Where an update scheme is written, and what it allows.

    Attributes:
        module: that defines it; imported when a training is set up.
        optimizer: class name, built from the moves of generator and discriminator and the ``options``.
        options: (:class:`gan.config.OptimizerConfig`, :class:`gan.config.GameConfig`) -> what else the class takes.
        transforms: how often one update applies a player's transform (the discriminator's: in every critic step).
        critic_steps: whether the discriminator may move several times in an update, or both players move at once.
        solved: whether steps are solved for from diagonal step sizes, without a memory of gradients and without
            clipped weights (competitive), or made by optax transforms.
        zero_sum: whether the two losses must add up to zero.
    """

    module: str
    optimizer: str
    options: Callable[[Any, Any], dict[str, Any]] = lambda config, game: {}
    transforms: int = 1
    critic_steps: bool = False
    solved: bool = False
    zero_sum: bool = False

    def load(self) -> Any:
        """Import and return the class."""
        return getattr(import_module(self.module), self.optimizer)


def _critic_steps(config: Any, game: Any) -> dict[str, Any]:
    return {"critic_steps": game.critic_steps}


def _adjustment(config: Any, game: Any) -> dict[str, Any]:
    return {"weight": config.adjustment, "adjustment": config.scheme, "limit": config.adjustment_limit}


def _solve(config: Any, game: Any) -> dict[str, Any]:
    return {
        "general_sum": not TABLE[config.scheme].zero_sum,
        "iterations": config.inner_iterations,
        "tolerance": config.inner_tolerance,
        "warm_start": config.inner_warm_start,
        "half": config.inner_half,
        "limit": config.update_limit if config.transform == "adam" else 0.0,
        "clip": config.clip,
    }


TABLE = {
    "alternating": Scheme("gan.optimizers.alternating", "Alternating", _critic_steps, critic_steps=True),
    "simultaneous": Scheme("gan.optimizers.simultaneous", "Simultaneous"),
    # Simultaneous updates of transforms that are optimistic by its name.
    "optimistic": Scheme("gan.optimizers.simultaneous", "Simultaneous"),
    "extragradient": Scheme("gan.optimizers.extragradient", "Extragradient", transforms=2),
    "consensus": Scheme("gan.optimizers.adjusted", "Adjusted", _adjustment),
    "symplectic": Scheme("gan.optimizers.adjusted", "Adjusted", _adjustment),
    "competitive": Scheme("gan.optimizers.competitive", "Competitive", _solve, solved=True, zero_sum=True),
    "competitive_general_sum": Scheme("gan.optimizers.competitive", "Competitive", _solve, solved=True),
}
