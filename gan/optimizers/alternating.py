"""Alternating gradient updates over any two optax transforms.

One update is a number of discriminator (critic) steps, each on its own slice of the batch, then one
generator step that already sees the new discriminator.

Reference for the difference to simultaneous updates: Mescheder, Geiger and Nowozin 2018, lemmas 2.4 and 2.5.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import optax
from jaxtyping import Array

from gan.game import Batch, Game, Player, Players, slice_batch
from gan.optimizers.gradients import Pair, discriminator_gradient, first_states, generator_gradient, mean_over_devices


@dataclass(frozen=True)
class Alternating:
    """Alternating updates.

    Attributes:
        generator: optax transform of the generator.
        discriminator: optax transform of the discriminator.
        critic_steps: discriminator steps for each generator step.
    """

    generator: optax.GradientTransformation
    discriminator: optax.GradientTransformation
    critic_steps: int = 1

    def init(self, players: Players) -> Pair:
        """Return the first state of both transforms."""
        return first_states(self.generator, self.discriminator, players)

    def update(
        self,
        game: Game,
        players: Players,
        state: Pair,
        batch: Batch,
        key: Array,
        axis_name: str | None = None,
    ) -> tuple[Players, Pair, dict[str, Array]]:
        """Make ``critic_steps`` discriminator updates and one generator update.

        Args:
            game: the two losses.
            players: both players.
            state: of both transforms.
            batch: leaves stacked along a first axis of ``critic_steps`` slices; this device's share.
            key: the same on every device.
            axis_name: mapped axis over which gradients and metrics are averaged.

        Returns:
            players, state and scalars to log.
        """
        generator, discriminator = players
        opt_g, opt_d = state
        metrics: dict[str, Array] = {}
        # Unrolled: convolution gradients inside a compiled loop run about 100 times slower on a CPU.
        for index in range(self.critic_steps):
            part, step_key = slice_batch(batch, index), jax.random.fold_in(key, index)
            draw_key, discriminator_key = jax.random.split(step_key)
            draw, _ = game.draw(generator.params, generator.state, part, draw_key)
            gradient, metrics, network_state = discriminator_gradient(
                game, discriminator, draw, discriminator_key, axis_name
            )
            updates, opt_d = self.discriminator.update(gradient, opt_d, discriminator.params)
            discriminator = Player(optax.apply_updates(discriminator.params, updates), network_state)
        last = slice_batch(batch, self.critic_steps - 1)
        gradient, more, _, network_state = generator_gradient(
            game,
            Players(generator, discriminator),
            last,
            jax.random.fold_in(key, self.critic_steps),
            axis_name,
        )
        updates, opt_g = self.generator.update(gradient, opt_g, generator.params)
        generator = Player(optax.apply_updates(generator.params, updates), network_state)
        return (
            Players(generator, discriminator),
            Pair(opt_g, opt_d),
            mean_over_devices(metrics | more, axis_name),
        )
