"""Diagnostics of a game as it is played: gradients layer by layer, and the rotation of its vector field.

Both are taken beside the training, from two states one update apart and the batch of that update, so they work for
every game optimizer and change nothing.

*Rotation.* With F the vector field of the game (:mod:`gan.optimizers.gradients`) and d the update,
``F(w + d) - F(w) = J d`` up to second order, J the Jacobian of the game. Its part along d pulls back or pushes on; the
part across d turns. The rotation is the share of the latter, ``|J d - (d . J d) d / |d|^2| / |J d|`` in [0, 1]: 0 where
both players descend one landscape, 1 where the game only circles. For small steps it does not depend on the length of
d. (Mescheder, Nowozin and Geiger 2017, section 3, on what imaginary parts do; Balduzzi et al. 2018 on the
antisymmetric part.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan.conflict import norm, product
from gan.game import Batch, Game, Player, Players
from gan.optimizers.gradients import parameters, vector_field

TINY = 1e-30


def rotation(update: Any, change: Any) -> Float[Array, ""]:
    """Return the share of the field's change that lies across the update."""
    along = product(update, change) / jnp.maximum(product(update, update), TINY)
    across = jax.tree.map(lambda c, d: c - along * d, change, update)
    return norm(across) / jnp.maximum(norm(change), TINY)


def layer_norms(gradient: Any, player: str) -> dict[str, Float[Array, ""]]:
    """Return the root mean square of every parameter array's gradient by its path, and the extremes over kernels."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(gradient)
    names = ("/".join(str(getattr(key, "key", key)) for key in path) for path, _ in leaves)
    norms = {f"layer/{player}/{name}": jnp.sqrt(jnp.mean(jnp.square(leaf))) for name, (_, leaf) in zip(names, leaves)}
    values = jnp.stack([value for name, value in norms.items() if name.endswith("kernel")] or list(norms.values()))
    return norms | {f"layers_smallest_{player}": jnp.min(values), f"layers_largest_{player}": jnp.max(values)}


def diagnosis(game: Game, precision: str) -> Callable[[Players, Players, Batch, Array], dict[str, Array]]:
    """Return the function (players before, players after, batch, key) -> scalars, for one device."""

    def run(before: Players, after: Players, batch: Batch, key: Array) -> dict[str, Array]:
        # The rest of the earlier state for both, or its change would pass for the field's.
        moved = Players(*(Player(new.params, old.rest) for old, new in zip(before, after)))
        with jax.default_matmul_precision(precision):
            first, second = (vector_field(game, players, batch, key, None).gradients for players in (before, moved))
        change = jax.tree.map(jnp.subtract, second, first)
        update = jax.tree.map(jnp.subtract, parameters(after), parameters(before))
        return {
            "rotation": rotation(update, change),
            **layer_norms(second.generator, "generator"),
            **layer_norms(second.discriminator, "discriminator"),
        }

    return jax.jit(run)
