"""The game optimizer that a configuration names: the one place where plays, transforms and games are matched."""

from __future__ import annotations

from typing import Any

from gan.config import COMPETITIVE, GameConfig, OptimizerConfig
from gan.objectives import TABLE, objective
from gan.optimizers.adjusted import Adjusted
from gan.optimizers.alternating import Alternating
from gan.optimizers.competitive import Competitive
from gan.optimizers.extragradient import Extragradient
from gan.optimizers.gradients import refuse_critic_steps
from gan.optimizers.lookahead import Lookahead
from gan.optimizers.simultaneous import Simultaneous
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
    optimizer = _play(config, game, steps)
    if config.lookahead_steps:
        return Lookahead(optimizer, config.lookahead_steps, config.lookahead_share)
    return optimizer


def _play(config: OptimizerConfig, game: GameConfig, steps: int) -> Any:
    critic = game.critic_steps
    if config.play != "alternating":
        refuse_critic_steps(critic, config.play)
    if config.play in COMPETITIVE:
        return _competitive(config, game, steps)
    # Extragradient asks each transform twice in an update.
    asked = steps * (2 if config.play == "extragradient" else 1)
    generator = player_transform(config, config.generator_rate, asked)
    discriminator = clipped_weights(
        player_transform(config, config.discriminator_rate, asked * critic), game.weight_clip
    )
    if config.play == "alternating":
        return Alternating(generator, discriminator, critic)
    if config.play == "extragradient":
        return Extragradient(generator, discriminator)
    if config.play in ("consensus", "symplectic"):
        return Adjusted(generator, discriminator, config.adjustment, config.play, config.adjustment_limit)
    return Simultaneous(generator, discriminator)


def _competitive(config: OptimizerConfig, game: GameConfig, steps: int) -> Competitive:
    general = config.play == "competitive_general_sum"
    if not general and not objective(game.objective).zero_sum:
        usable = ", ".join(name for name, entry in TABLE.items() if entry.zero_sum)
        raise ValueError(
            f"game.objective = {game.objective!r} cannot be played with optimizer.play = 'competitive', because its "
            f"two losses do not add up to zero: choose one of {usable}, or optimizer.play = 'competitive_general_sum'."
        )
    if game.weight_clip > 0:
        raise ValueError(
            f"game.weight_clip = {game.weight_clip} cannot be played with optimizer.play = {config.play!r}, whose "
            "steps are solved for, not clipped: set it to 0 and use game.gradient_penalty."
        )
    return Competitive(
        diagonal_steps(config, config.generator_rate, steps),
        diagonal_steps(config, config.discriminator_rate, steps),
        general_sum=general,
        iterations=config.inner_iterations,
        tolerance=config.inner_tolerance,
        warm_start=config.inner_warm_start,
        half=config.inner_half,
        limit=config.update_limit if config.transform == "adam" else 0.0,
        clip=config.clip,
    )
