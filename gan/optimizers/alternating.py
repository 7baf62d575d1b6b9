"""Alternating gradient play over any two optax transforms.

One update is a number of discriminator (critic) steps, each on its own slice of the batch, then one
generator step that already sees the new discriminator. Gradients, not losses, are averaged over devices:
under ``shard_map`` the transpose of a mean of losses would otherwise be counted again.

Reference for the difference to simultaneous play: Mescheder, Geiger and Nowozin 2018, section 2 and
appendix B.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

from gan.game import Batch, Draw, Game, Player, Players, slice_batch


class AlternatingState(NamedTuple):
    """Optax states of both players."""

    generator: Any
    discriminator: Any


def mean_over_devices(tree: Any, axis_name: str | None) -> Any:
    """Average a pytree over the devices of a mapped axis; unchanged without one."""
    return tree if axis_name is None else jax.lax.pmean(tree, axis_name)


def pulled_back_terms(
    game: Game, players: Players, batch: Batch, key: Array, axis_name: str | None
) -> tuple[dict[str, Any], dict[str, Array], Draw, Any]:
    """Return the gradient of every term of the generator's loss by itself, averaged over devices.

    One pass of the generator and its solver serves all terms; each term costs one pull-back.

    Returns:
        gradients by term name ("adversarial" and the penalties), values by name, the draw, the new rest.
    """
    generator, discriminator = players
    draw_key, judge_key = jax.random.split(key)

    def play(params: Any) -> tuple[Any, tuple[Draw, Any]]:
        draw, rest = game.draw(params, generator.rest, batch, draw_key)
        return draw.samples, (draw, rest)

    samples, pull, (draw, rest) = jax.vjp(play, generator.params, has_aux=True)

    def adversarial(seen: Draw) -> Array:
        return game.fool(discriminator.params, discriminator.rest, seen, judge_key)

    gradients, values = {}, {}
    for name, term in {"adversarial": adversarial, **game.generator_terms}.items():
        value, cotangent = jax.value_and_grad(lambda s, term=term: term(draw._replace(samples=s)))(samples)
        (gradient,) = pull(cotangent)
        gradients[name], values[name] = mean_over_devices(gradient, axis_name), value
    return gradients, values, draw, rest


@dataclass(frozen=True)
class Alternating:
    """Alternating play.

    Attributes:
        generator: optax transform of the generator.
        discriminator: optax transform of the discriminator.
        critic_steps: discriminator steps for each generator step.
    """

    generator: optax.GradientTransformation
    discriminator: optax.GradientTransformation
    critic_steps: int = 1

    def init(self, players: Players) -> AlternatingState:
        """Return the first state of both transforms."""
        return AlternatingState(
            self.generator.init(players.generator.params),
            self.discriminator.init(players.discriminator.params),
        )

    def update(
        self,
        game: Game,
        players: Players,
        state: AlternatingState,
        batch: Batch,
        key: Array,
        axis_name: str | None = None,
    ) -> tuple[Players, AlternatingState, dict[str, Array]]:
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
            draw_key, judge_key = jax.random.split(step_key)
            draw, _ = game.draw(generator.params, generator.rest, part, draw_key)

            def loss(
                params: Any, seen: Draw = draw, judge_key: Array = judge_key, rest: Any = discriminator.rest
            ) -> tuple[Array, Any]:
                judgement = game.judge(params, rest, seen, judge_key)
                return judgement.adversarial + judgement.own, judgement

            (value, judgement), gradient = jax.value_and_grad(loss, has_aux=True)(discriminator.params)
            gradient = mean_over_devices(gradient, axis_name)
            updates, opt_d = self.discriminator.update(gradient, opt_d, discriminator.params)
            discriminator = Player(optax.apply_updates(discriminator.params, updates), judgement.rest)
            metrics = {f"discriminator_{name}": item for name, item in judgement.metrics.items()}
            metrics |= {
                "discriminator_loss": value,
                "discriminator_adversarial": judgement.adversarial,
                "gradient_discriminator": optax.global_norm(gradient),
            }
        last = slice_batch(batch, self.critic_steps - 1)
        gradients, values, draw, rest = pulled_back_terms(
            game,
            Players(generator, discriminator),
            last,
            jax.random.fold_in(key, self.critic_steps),
            axis_name,
        )
        total = jax.tree.map(lambda *parts: sum(parts), *gradients.values())
        updates, opt_g = self.generator.update(total, opt_g, generator.params)
        generator = Player(optax.apply_updates(generator.params, updates), rest)
        metrics |= {f"generator_{name}": value for name, value in values.items()}
        metrics["generator_loss"] = sum(values.values(), jnp.zeros(()))
        metrics |= {f"gradient_{name}": optax.global_norm(item) for name, item in gradients.items()}
        metrics["gradient_generator"] = optax.global_norm(total)
        metrics["invalid"] = 1.0 - jnp.mean(draw.valid.astype(jnp.float32))
        return (
            Players(generator, discriminator),
            AlternatingState(opt_g, opt_d),
            mean_over_devices(metrics, axis_name),
        )
