"""Gradients of a game: of every term of the generator's loss, of the discriminator's loss, and both at one point.

Gradients, not losses, are averaged over devices: under ``shard_map`` the transpose of a mean of losses would
otherwise be counted again.

The vector field of the game at a point w = (theta, psi) is F(w) = (grad_theta L_G, grad_psi L_D), each player's
gradient of its own loss; both players go against it (Mescheder, Nowozin and Geiger 2017, section 2, write v = -F).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

from gan.game import Batch, Draw, Game, Player, Players, slice_batch

Scalars = dict[str, Array]


class Pair(NamedTuple):
    """One pytree for each player: parameters, gradients or steps."""

    generator: Any
    discriminator: Any


class Field(NamedTuple):
    """Both players' gradients at one point, with the same samples.

    Attributes:
        gradients: of each player's own loss, averaged over devices.
        rests: new rest of each player's network.
        metrics: scalars to log, not yet averaged over devices.
    """

    gradients: Pair
    rests: Pair
    metrics: Scalars


def mean_over_devices(tree: Any, axis_name: str | None) -> Any:
    """Average a pytree over the devices of a mapped axis; unchanged without one."""
    return tree if axis_name is None else jax.lax.pmean(tree, axis_name)


def parameters(players: Players) -> Pair:
    """Return both players' parameters."""
    return Pair(players.generator.params, players.discriminator.params)


def with_parameters(players: Players, params: Pair, rests: Pair | None = None) -> Players:
    """Return the players with other parameters and, if given, another rest of their networks."""
    rests = rests or Pair(players.generator.rest, players.discriminator.rest)
    return Players(Player(params.generator, rests.generator), Player(params.discriminator, rests.discriminator))


def first_states(
    generator: optax.GradientTransformation, discriminator: optax.GradientTransformation, players: Players
) -> Pair:
    """Return the first state of each player's optax transform."""
    return Pair(generator.init(players.generator.params), discriminator.init(players.discriminator.params))


def stepped(transforms: Pair, gradients: Pair, states: Pair, params: Pair) -> tuple[Pair, Pair]:
    """Move each player from ``params`` by its optax transform of its gradient; return new parameters and states."""
    moved, new = [], []
    for transform, gradient, state, point in zip(transforms, gradients, states, params):
        updates, state = transform.update(gradient, state, point)
        moved.append(optax.apply_updates(point, updates))
        new.append(state)
    return Pair(*moved), Pair(*new)


def refuse_critic_steps(count: int, play: str) -> None:
    """Refuse more than one critic step in a play in which both players move at once.

    Raises:
        ValueError: ``count`` is not 1.
    """
    if count != 1:
        raise ValueError(
            f"game.critic_steps = {count} cannot be played with optimizer.play = {play!r}, in which both players move "
            "at once: set it to 1, or choose optimizer.play = 'alternating'."
        )


def only_slice(batch: Batch, play: str) -> Batch:
    """Return the batch of a play in which both players move at once.

    Raises:
        ValueError: the batch holds several critic steps.
    """
    refuse_critic_steps(batch.progress.shape[0], play)
    return slice_batch(batch, 0)


def pulled_back_terms(
    game: Game, players: Players, batch: Batch, key: Array, axis_name: str | None
) -> tuple[dict[str, Any], Scalars, Draw, Any]:
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


def generator_gradient(
    game: Game, players: Players, batch: Batch, key: Array, axis_name: str | None
) -> tuple[Any, Scalars, Draw, Any]:
    """Return the gradient of the generator's whole loss, scalars to log, the draw and the new rest."""
    gradients, values, draw, rest = pulled_back_terms(game, players, batch, key, axis_name)
    total = game.combine(gradients, batch.progress)
    metrics = {f"generator_{name}": value for name, value in values.items()}
    metrics["generator_loss"] = sum(values.values(), jnp.zeros(()))
    metrics |= {f"gradient_{name}": optax.global_norm(item) for name, item in gradients.items()}
    metrics["gradient_generator"] = optax.global_norm(total)
    metrics["invalid"] = 1.0 - jnp.mean(draw.valid.astype(jnp.float32))
    return total, metrics, draw, rest


def discriminator_gradient(
    game: Game, discriminator: Player, draw: Draw, judge_key: Array, axis_name: str | None
) -> tuple[Any, Scalars, Any]:
    """Return the gradient of the discriminator's whole loss, scalars to log and the new rest."""

    def loss(params: Any) -> tuple[Array, Any]:
        judgement = game.judge(params, discriminator.rest, draw, judge_key)
        return judgement.adversarial + judgement.own, judgement

    (value, judgement), gradient = jax.value_and_grad(loss, has_aux=True)(discriminator.params)
    gradient = mean_over_devices(gradient, axis_name)
    metrics = {f"discriminator_{name}": item for name, item in judgement.metrics.items()}
    metrics |= {
        "discriminator_loss": value,
        "discriminator_adversarial": judgement.adversarial,
        "gradient_discriminator": optax.global_norm(gradient),
    }
    return gradient, metrics, judgement.rest


def vector_field(game: Game, players: Players, batch: Batch, key: Array, axis_name: str | None) -> Field:
    """Return both players' gradients at one point; the discriminator judges the very samples that are pulled back."""
    _, judge_key = jax.random.split(key)
    generator, metrics, draw, generator_rest = generator_gradient(game, players, batch, key, axis_name)
    discriminator, more, discriminator_rest = discriminator_gradient(
        game, players.discriminator, draw, judge_key, axis_name
    )
    return Field(Pair(generator, discriminator), Pair(generator_rest, discriminator_rest), more | metrics)
