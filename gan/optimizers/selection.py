"""The game optimizer that a configuration names: the one place where plays, transforms and games are matched."""

from __future__ import annotations

from typing import Any

from gan.config import GameConfig, OptimizerConfig
from gan.objectives import TABLE as OBJECTIVES
from gan.objectives import objective
from gan.optimizers.gradients import Pair, refuse_critic_steps
from gan.optimizers.lookahead import Lookahead
from gan.optimizers.plays import TABLE, Play
from gan.optimizers.step_sizes import diagonal_steps
from gan.optimizers.transforms import clipped_weights, player_transform


def game_optimizer(config: OptimizerConfig, game: GameConfig, steps: int) -> Any:
    """Return the game optimizer that a configuration names.

    Args:
        config: the play, its options, and the transform and step sizes of both players.
        game: its critic steps, objective and weight clipping, which the play must allow.
        steps: generator updates of the whole training, over which step sizes decay.

    Returns:
        An object with ``init(players)`` and ``update(game, players, state, batch, key, axis_name=None)``.

    Raises:
        ValueError: the play cannot make critic steps, needs a zero-sum objective, or cannot clip weights.
    """
    play = TABLE[config.play]
    _refuse(play, config, game)
    optimizer = play.load()(*_moves(play, config, game, steps), **play.options(config, game))
    if config.lookahead_steps:
        return Lookahead(optimizer, config.lookahead_steps, config.lookahead_share)
    return optimizer


def _refuse(play: Play, config: OptimizerConfig, game: GameConfig) -> None:
    if not play.critic_steps:
        refuse_critic_steps(game.critic_steps, config.play)
    if play.zero_sum and not objective(game.objective).zero_sum:
        usable = ", ".join(name for name, entry in OBJECTIVES.items() if entry.zero_sum)
        raise ValueError(
            f"game.objective = {game.objective!r} cannot be played with optimizer.play = {config.play!r}, because its "
            f"two losses do not add up to zero: choose one of {usable}, or optimizer.play = 'competitive_general_sum'."
        )
    if play.solved and game.weight_clip > 0:
        raise ValueError(
            f"game.weight_clip = {game.weight_clip} cannot be played with optimizer.play = {config.play!r}, whose "
            "steps are solved for, not clipped: set it to 0 and use game.gradient_penalty."
        )


def _moves(play: Play, config: OptimizerConfig, game: GameConfig, steps: int) -> Pair:
    if play.solved:
        rates = (config.generator_rate, config.discriminator_rate)
        return Pair(*(diagonal_steps(config, rate, steps) for rate in rates))
    asked = steps * play.asked
    discriminator = player_transform(config, config.discriminator_rate, asked * game.critic_steps)
    return Pair(
        player_transform(config, config.generator_rate, asked), clipped_weights(discriminator, game.weight_clip)
    )
