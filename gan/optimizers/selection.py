"""The game optimizer that a configuration names: the one place where plays, transforms and games are matched."""

from __future__ import annotations

from typing import Any

from gan.config import GameConfig, OptimizerConfig
from gan.optimizers.adjusted import Adjusted
from gan.optimizers.alternating import Alternating
from gan.optimizers.extragradient import Extragradient
from gan.optimizers.lookahead import Lookahead
from gan.optimizers.simultaneous import Simultaneous
from gan.optimizers.transforms import player_transform


def game_optimizer(config: OptimizerConfig, game: GameConfig, steps: int) -> Any:
    """Return the game optimizer of a training of ``steps`` generator updates.

    Raises:
        ValueError: the play cannot make critic steps.
    """
    optimizer = _play(config, game, steps)
    if config.lookahead_steps:
        return Lookahead(optimizer, config.lookahead_steps, config.lookahead_share)
    return optimizer


def _play(config: OptimizerConfig, game: GameConfig, steps: int) -> Any:
    critic = game.critic_steps
    if critic != 1 and config.play != "alternating":
        raise ValueError(
            f"game.critic_steps = {critic} cannot be played with optimizer.play = {config.play!r}, in which both "
            "players move at once: set it to 1, or choose optimizer.play = 'alternating'."
        )
    # Extragradient asks each transform twice in an update.
    asked = steps * (2 if config.play == "extragradient" else 1)
    generator = player_transform(config, config.generator_rate, asked)
    discriminator = player_transform(config, config.discriminator_rate, asked * critic)
    if config.play == "alternating":
        return Alternating(generator, discriminator, critic)
    if config.play == "extragradient":
        return Extragradient(generator, discriminator)
    if config.play in ("consensus", "symplectic"):
        return Adjusted(generator, discriminator, config.adjustment, config.play)
    return Simultaneous(generator, discriminator)
