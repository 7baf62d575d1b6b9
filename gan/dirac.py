"""The Dirac game: the smallest game that circles, with a linearisation known in closed form.

The data are the point 0, the generator is one point theta, the discriminator is D(x) = psi x. The equilibrium is
(0, 0), and there the vector field of gradient updates with an R1 penalty of weight gamma has the eigenvalues
-gamma/2 +- sqrt(gamma^2/4 - f'(0)^2), f'(0) the slope of the loss (Mescheder, Geiger and Nowozin 2018, lemma 3.3):
imaginary without a penalty, so that whatever follows the field circles or spirals outwards. R2 has the same ones: the
gradient of D is psi everywhere. The penalty of Wasserstein GANs asks for |psi| = 1, so (0, 0) is no equilibrium with it
and nothing converges there (ibid.).
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from gan import regularizers
from gan.game import Batch, DiscriminatorLoss, Game, GeneratedBatch, Player, Players
from gan.objectives import objective


def dirac_game(name: str, gamma: float, penalty: str = "r1") -> Game:
    """Return the game with an objective of that name and a penalty of weight ``gamma``; parameters are scalars.

    Args:
        name: of the objective.
        gamma: weight of the penalty.
        penalty: "r1" at the data, "r2" at the sample, "gradient_penalty" half way between them.
    """
    losses, share = objective(name), {"r1": 0.0, "r2": 1.0, "gradient_penalty": 0.5}[penalty]
    one = jnp.ones(1)

    def draw(theta: Array, network_state: Any, batch: Batch, key: Array) -> tuple[GeneratedBatch, Any]:
        valid = jnp.ones((1, 1), bool)
        return GeneratedBatch(
            theta[None, None, None], batch.real, {}, valid, batch.place, batch.progress
        ), network_state

    def logits(psi: Array, x: Array) -> Array:
        return psi * x[:, 0]

    def discriminator_loss(psi: Array, network_state: Any, seen: GeneratedBatch, key: Array) -> DiscriminatorLoss:
        real, fake = seen.real, seen.samples[0]
        _, gradient = regularizers.logits_and_gradient(lambda x: logits(psi, x), real + share * (fake - real))
        if penalty == "gradient_penalty":
            own = gamma * regularizers.one_centred(gradient, one)
        else:
            own = regularizers.zero_centred(gradient, gamma, one)
        return DiscriminatorLoss(
            losses.discriminator(logits(psi, real), logits(psi, fake), one), own, {}, network_state
        )

    def generator_loss(psi: Array, network_state: Any, seen: GeneratedBatch, key: Array) -> Array:
        return losses.generator(logits(psi, seen.real), logits(psi, seen.samples[0]), one)

    return Game(draw, discriminator_loss, generator_loss, {}, losses.zero_sum)


def _players(point: Array) -> Players:
    return Players(Player(point[0], {}), Player(point[1], {}))


def _updated(game: Game, optimizer: Any, point: Array, state: Any) -> tuple[Array, Any]:
    batch = Batch(jnp.zeros((1, 1, 1), point.dtype), {}, jnp.zeros((1, 1), int), jnp.zeros(1, point.dtype))
    players, state, _ = optimizer.update(game, _players(point), state, batch, jax.random.key(0))
    return jnp.stack([players.generator.params, players.discriminator.params]), state


def orbit(game: Game, optimizer: Any, start: Float[Array, "2"], steps: int) -> Float[Array, "steps_and_one 2"]:
    """Return (theta, psi) before and after each of ``steps`` updates from ``start``."""

    def step(carry: tuple[Array, Any], _: None) -> tuple[tuple[Array, Any], Array]:
        point, state = _updated(game, optimizer, *carry)
        return (point, state), point

    first = (start, optimizer.init(_players(start)))
    _, points = jax.lax.scan(step, first, length=steps)
    return jnp.concatenate([start[None], points])


def eigenvalues(game: Game, optimizer: Any) -> Complex[np.ndarray, " numbers"]:
    """Return the eigenvalues of one update, linearised at the equilibrium, largest modulus first.

    The optimizer's memory (a previous gradient, say) moves too and is part of the map; what does not depend on the
    past has the eigenvalue 0. Only for optimizers that have a linearisation there, which adaptive ones have not.
    Central differences: a linear solve that stops at a tolerance has a linearisation there, but no derivative that
    could be traced.
    """
    point = jnp.zeros(2)
    _, state = jax.jit(lambda at: _updated(game, optimizer, at, optimizer.init(_players(at))))(point)
    paths, structure = jax.tree_util.tree_flatten_with_path(state)
    leaves = [leaf for _, leaf in paths]
    moving = [
        i
        for i, (path, leaf) in enumerate(paths)
        # Hyper-parameters are kept in the state, but they are no memory.
        if jnp.issubdtype(leaf.dtype, jnp.floating) and "hyperparams" not in jax.tree_util.keystr(path)
    ]
    sizes = np.cumsum([2] + [np.size(leaves[i]) for i in moving])

    def update(flat: Array) -> Array:
        given = list(leaves)
        for place, part in zip(moving, jnp.split(flat[2:], sizes[:-1] - 2)[1:]):
            given[place] = part.reshape(jnp.shape(leaves[place]))
        after, memory = _updated(game, optimizer, flat[:2], jax.tree.unflatten(structure, given))
        kept = jax.tree.leaves(memory)
        return jnp.concatenate([after, *(jnp.ravel(kept[place]) for place in moving)])

    at = jnp.concatenate([point, *(jnp.ravel(jnp.asarray(leaves[i])) for i in moving)])
    distance = float(jnp.finfo(at.dtype).eps) ** (1 / 3)
    steps = distance * jnp.eye(at.size, dtype=at.dtype)
    columns = jax.jit(jax.vmap(lambda step: (update(at + step) - update(at - step)) / (2 * distance)))(steps)
    found = np.linalg.eigvals(np.asarray(columns).T)
    return found[np.argsort(-np.abs(found))].astype(complex)
