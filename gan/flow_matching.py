"""Flow matching as the generator's training: it learns the velocity that carries noise to data along straight lines.

With x_0 standard normal, x_1 normalised data and x_t = (1 - t) x_0 + t x_1, the network regresses x_1 - x_0 on
(x_t, t) (Lipman et al. 2023, arXiv:2210.02747, eq. 23 with vanishing end width; Liu, Gong and Liu 2023,
arXiv:2209.03003, eq. 1). A sample is what the velocity makes of noise between t = 0 and 1, by the midpoint rule with
steps that shorten towards the data, where a thin distribution bends the paths.

There is no second player: the discriminator has no parameters and no loss. Everything else of a training is as in an
adversarial one: batches, symmetries, averaging, checkpoints, several devices, the solver as the last layer of a sample.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from gan.augmentation import SymmetriesLike, transform_pairs
from gan.game import Batch, DiscriminatorLoss, Game, GeneratedBatch
from gan.networks.layers import fold_time
from gan.networks.players import Networks

TIME_MEAN, TIME_SPREAD = 1.0, 1.3
"""Of the logit of the times at which the velocity is learned (Esser et al. 2024, arXiv:2403.03206, section 3.1): most
lie nearer to the data than to the noise."""


def flow_matching_game(networks: Networks, symmetries: SymmetriesLike | None = None) -> Game:
    """Return the game of one player that regresses the velocity.

    Args:
        networks: built with ``evaluations``.
        symmetries: shifts and reflections of the data's distribution, through which data pass at random.

    Returns:
        The game; its discriminator's loss is zero and has no parameters.
    """
    spec = networks.spec

    def draw(params: PyTree, network_state: PyTree, batch: Batch, key: Array) -> tuple[GeneratedBatch, PyTree]:
        keys = jax.vmap(lambda i: jax.random.split(jax.random.fold_in(key, i), 3))(batch.place)
        real, given = transform_pairs(batch.real, batch.condition, keys[:, 0], symmetries, len(spec.grid))
        data = networks.normalizer.normalize(real)
        noise = jax.vmap(lambda k: jax.random.normal(k, networks.normalized_shape))(keys[:, 1])
        time = jax.nn.sigmoid(TIME_MEAN + TIME_SPREAD * jax.vmap(jax.random.normal)(keys[:, 2]))
        if spec.trajectory:
            data, noise = fold_time(data), fold_time(noise)
        t = time.reshape((-1,) + (1,) * (data.ndim - 1))
        velocity = networks.velocity(params, network_state, (1 - t) * noise + t * data, time, given)
        valid = jnp.ones((1, len(data)), bool)
        seen = GeneratedBatch(velocity[None], data - noise, given, valid, batch.place, batch.progress)
        return seen, network_state

    def error(seen: GeneratedBatch) -> Float[Array, ""]:
        return jnp.mean((seen.samples[0] - seen.real) ** 2)

    def nothing(params: PyTree, network_state: PyTree, seen: GeneratedBatch, key: Array) -> DiscriminatorLoss:
        return DiscriminatorLoss(jnp.zeros(()), jnp.zeros(()), {}, network_state)

    def no_loss(params: PyTree, network_state: PyTree, seen: GeneratedBatch, key: Array) -> Array:
        return jnp.zeros(())

    return Game(draw, nothing, no_loss, {"flow_matching": error})
