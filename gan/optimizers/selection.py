"""The game optimizer that a configuration names: the one place where update schemes, transforms and games are
matched."""

from __future__ import annotations

from typing import Any

from gan.config import FLOW_MATCHING, GameConfig, OptimizerConfig
from gan.objectives import TABLE as OBJECTIVES
from gan.objectives import objective
from gan.optimizers.gradients import Pair, refuse_critic_steps
from gan.optimizers.lookahead import Lookahead
from gan.optimizers.schemes import TABLE, Scheme
from gan.optimizers.step_sizes import diagonal_steps
from gan.optimizers.transforms import clipped_weights, player_transform


def game_optimizer(config: OptimizerConfig, game: GameConfig, steps: int) -> Any:
    """Return the game optimizer that a configuration names.

    Args:
        config: the update scheme, its options, and the transform and step sizes of both players.
        game: its critic steps, objective and weight clipping, which the update scheme must allow.
        steps: generator updates of the whole training, over which step sizes decay.

    Returns:
        An object with ``init(players)`` and ``update(game, players, state, batch, key, axis_name=None)``.

    Raises:
        ValueError: the update scheme cannot make critic steps, needs a zero-sum objective, or cannot clip weights.
    """
    scheme = TABLE[config.scheme]
    _refuse(scheme, config, game)
    optimizer = scheme.load()(*_moves(scheme, config, game, steps), **scheme.options(config, game))
    if config.lookahead_steps:
        return Lookahead(optimizer, config.lookahead_steps, config.lookahead_share)
    return optimizer


def _refuse(scheme: Scheme, config: OptimizerConfig, game: GameConfig) -> None:
    if not scheme.critic_steps:
        refuse_critic_steps(game.critic_steps, config.scheme)
    if scheme.zero_sum and (game.objective == FLOW_MATCHING or not objective(game.objective).zero_sum):
        usable = ", ".join(name for name, entry in OBJECTIVES.items() if entry.zero_sum)
        raise ValueError(
            f"game.objective = {game.objective!r} cannot be played with optimizer.scheme = {config.scheme!r}, "
            f"because its "
            f"two losses do not add up to zero: choose one of {usable}, or optimizer.scheme = "
            f"'competitive_general_sum'."
        )
    if scheme.solved and game.weight_clip > 0:
        raise ValueError(
            f"game.weight_clip = {game.weight_clip} cannot be played with optimizer.scheme = {config.scheme!r}, whose "
            "steps are solved for, not clipped: set it to 0 and use game.gradient_penalty."
        )


def _moves(scheme: Scheme, config: OptimizerConfig, game: GameConfig, steps: int) -> Pair:
    if scheme.solved:
        rates = (config.generator_rate, config.discriminator_rate)
        return Pair(*(diagonal_steps(config, rate, steps) for rate in rates))
    applied = steps * scheme.transforms
    discriminator = player_transform(config, config.discriminator_rate, applied * game.critic_steps)
    return Pair(
        player_transform(config, config.generator_rate, applied), clipped_weights(discriminator, game.weight_clip)
    )
