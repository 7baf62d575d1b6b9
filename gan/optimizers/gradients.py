"""Gradients of a game: of every term of the generator's loss, of the discriminator's loss, and both at one point.

Gradients, not losses, are averaged over devices: under ``shard_map`` the transpose of a mean of losses would
otherwise be counted again.

The vector field of the game at a point w = (theta, psi) is F(w) = (grad_theta L_G, grad_psi L_D), each player's
gradient of its own loss; both players go against it (Mescheder, Nowozin and Geiger 2017, section 2, write v = -F).
"""

from __future__ import annotations

from itertools import accumulate
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, PyTree

from gan.game import Batch, Game, GeneratedBatch, Player, Players, slice_batch

Scalars = dict[str, Array]


class Pair(NamedTuple):
    """One pytree for each player: parameters, gradients or steps."""

    generator: PyTree
    discriminator: PyTree


class GradientField(NamedTuple):
    """Both players' gradients at one point, with the same samples.

    Attributes:
        gradients: of each player's own loss, averaged over devices.
        network_states: new state of each player's network.
        metrics: scalars to log, not yet averaged over devices.
    """

    gradients: Pair
    network_states: Pair
    metrics: Scalars


def mean_over_devices(tree: PyTree, axis_name: str | None) -> PyTree:
    """Average a pytree over the devices of a mapped axis; unchanged without one."""
    if axis_name is None:
        return tree
    return jax.lax.pmean(tree, axis_name) if jax.process_count() == 1 else mean_in_vectors(tree, axis_name)


def mean_in_vectors(tree: PyTree, axis_name: str) -> PyTree:
    """Average a pytree over the devices of a mapped axis, all arrays of a type as one vector.

    Between processes on CPUs, every message has a latency of its own, and the compiler does not join them.
    """
    leaves, structure = jax.tree.flatten(tree)
    arrays = [jnp.asarray(leaf) for leaf in leaves]
    means = dict[int, Array]()
    # In the order in which they come, which is the same in all processes.
    for kind in dict.fromkeys(one.dtype for one in arrays):
        places = [i for i, one in enumerate(arrays) if one.dtype == kind]
        vector = jax.lax.pmean(jnp.concatenate([arrays[i].reshape(-1) for i in places]), axis_name)
        ends = list(accumulate(arrays[i].size for i in places))
        for i, part in zip(places, jnp.split(vector, ends[:-1])):
            means[i] = part.reshape(arrays[i].shape)
    return jax.tree.unflatten(structure, [means[i] for i in range(len(arrays))])


def parameters(players: Players) -> Pair:
    """Return both players' parameters."""
    return Pair(players.generator.params, players.discriminator.params)


def with_parameters(players: Players, params: Pair, network_states: Pair | None = None) -> Players:
    """Return the players with other parameters and, if given, another state of their networks."""
    network_states = network_states or Pair(players.generator.state, players.discriminator.state)
    return Players(
        Player(params.generator, network_states.generator), Player(params.discriminator, network_states.discriminator)
    )


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


def refuse_critic_steps(count: int, scheme: str) -> None:
    """Refuse more than one critic step in an update scheme in which both players move at once.

    Raises:
        ValueError: ``count`` is not 1.
    """
    if count != 1:
        raise ValueError(
            f"game.critic_steps = {count} cannot be played with optimizer.scheme = {scheme!r}, in which both "
            f"players move "
            "at once: set it to 1, or choose optimizer.scheme = 'alternating'."
        )


def only_slice(batch: Batch, scheme: str) -> Batch:
    """Return the batch of an update scheme in which both players move at once.

    Raises:
        ValueError: the batch holds several critic steps.
    """
    refuse_critic_steps(batch.progress.shape[0], scheme)
    return slice_batch(batch, 0)


def pulled_back_terms(
    game: Game, players: Players, batch: Batch, key: Array, axis_name: str | None
) -> tuple[dict[str, PyTree], Scalars, GeneratedBatch, PyTree]:
    """Return the gradient of every term of the generator's loss by itself, averaged over devices.

    One pass of the generator and its solver serves all terms; each term costs one pull-back.

    Returns:
        gradients by term name ("adversarial" and the penalties), values by name, the draw, the new state.
    """
    generator, discriminator = players
    draw_key, discriminator_key = jax.random.split(key)

    def generate(params: PyTree) -> tuple[Any, tuple[GeneratedBatch, Any]]:
        draw, network_state = game.draw(params, generator.state, batch, draw_key)
        return draw.samples, (draw, network_state)

    samples, pull, (draw, network_state) = jax.vjp(generate, generator.params, has_aux=True)

    def adversarial(seen: GeneratedBatch) -> Array:
        return game.generator_loss(discriminator.params, discriminator.state, seen, discriminator_key)

    gradients, values = {}, {}
    for name, term in {"adversarial": adversarial, **game.generator_terms}.items():
        value, cotangent = jax.value_and_grad(lambda s, term=term: term(draw._replace(samples=s)))(samples)
        (gradient,) = pull(cotangent)
        gradients[name], values[name] = mean_over_devices(gradient, axis_name), value
    return gradients, values, draw, network_state


def generator_gradient(
    game: Game, players: Players, batch: Batch, key: Array, axis_name: str | None
) -> tuple[PyTree, Scalars, GeneratedBatch, PyTree]:
    """Return the gradient of the generator's whole loss, scalars to log, the draw and the new state."""
    gradients, values, draw, network_state = pulled_back_terms(game, players, batch, key, axis_name)
    total = game.combine(gradients, batch.progress)
    metrics = {f"generator_{name}": value for name, value in values.items()}
    metrics["generator_loss"] = sum(values.values(), jnp.zeros(()))
    metrics |= {f"gradient_{name}": optax.global_norm(item) for name, item in gradients.items()}
    metrics["gradient_generator"] = optax.global_norm(total)
    metrics["invalid"] = 1.0 - jnp.mean(draw.valid.astype(jnp.float32))
    return total, metrics, draw, network_state


def discriminator_gradient(
    game: Game, discriminator: Player, draw: GeneratedBatch, discriminator_key: Array, axis_name: str | None
) -> tuple[PyTree, Scalars, PyTree]:
    """Return the gradient of the discriminator's whole loss, scalars to log and the new state."""

    def loss(params: PyTree) -> tuple[Array, Any]:
        evaluated = game.discriminator_loss(params, discriminator.state, draw, discriminator_key)
        return evaluated.adversarial + evaluated.own, evaluated

    (value, evaluated), gradient = jax.value_and_grad(loss, has_aux=True)(discriminator.params)
    gradient = mean_over_devices(gradient, axis_name)
    metrics = {f"discriminator_{name}": item for name, item in evaluated.metrics.items()}
    metrics |= {
        "discriminator_loss": value,
        "discriminator_adversarial": evaluated.adversarial,
        "gradient_discriminator": optax.global_norm(gradient),
    }
    return gradient, metrics, evaluated.state


def vector_field(game: Game, players: Players, batch: Batch, key: Array, axis_name: str | None) -> GradientField:
    """Return both players' gradients at one point; the discriminator judges the very samples that are pulled back."""
    _, discriminator_key = jax.random.split(key)
    generator, metrics, draw, generator_state = generator_gradient(game, players, batch, key, axis_name)
    discriminator, more, discriminator_state = discriminator_gradient(
        game, players.discriminator, draw, discriminator_key, axis_name
    )
    return GradientField(Pair(generator, discriminator), Pair(generator_state, discriminator_state), more | metrics)
