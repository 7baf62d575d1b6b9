"""Diagnostics of a game as it is played: gradients layer by layer, and the rotation of its vector field.

Both are taken beside the training, from the states before and after one call of the compiled step and the last batch in
it, so they work for every game optimizer and change nothing. A call is one update unless ``training.steps_per_call``
says otherwise: with more, the rotation is that over as many updates, of which d is the sum.

*Rotation.* With F the vector field of the game (:mod:`gan.optimizers.gradients`) and d the way between the states,
``F(w + d) - F(w) = J d`` up to second order, J the Jacobian of the game. Its part along d pulls back or pushes on; the
part across d turns. The rotation is the share of the latter, ``|J d - (d . J d) d / |d|^2| / |J d|`` in [0, 1]: 0 where
both players descend one round landscape, 1 where the game only circles. Uneven curvature turns d too, so a high value
alone does not prove that a game circles. For small steps it does not depend on the length of d. (Mescheder, Nowozin and
Geiger 2017, section 3, on what imaginary parts do; Balduzzi et al. 2018 on the antisymmetric part.)
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from gan.conflict import norm, product
from gan.game import Batch, Game, Player, Players
from gan.optimizers.gradients import Pair, parameters, vector_field

TINY = 1e-30


def rotation(update: PyTree, change: PyTree) -> Float[Array, ""]:
    """Return the share of the field's change that lies across the update."""
    along = product(update, change) / jnp.maximum(product(update, update), TINY)
    across = jax.tree.map(lambda c, d: c - along * d, change, update)
    return norm(across) / jnp.maximum(norm(change), TINY)


def layer_norms(gradient: PyTree, player: str) -> dict[str, Float[Array, ""]]:
    """Return the root mean square of every parameter array's gradient by its path, and the extremes over kernels."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(gradient)
    names = ("/".join(str(getattr(key, "key", key)) for key in path) for path, _ in leaves)
    norms = {f"layer/{player}/{name}": jnp.sqrt(jnp.mean(jnp.square(leaf))) for name, (_, leaf) in zip(names, leaves)}
    if not norms:
        # Flow matching has no discriminator.
        return {}
    values = jnp.stack([value for name, value in norms.items() if name.endswith("kernel")] or list(norms.values()))
    return norms | {f"layers_smallest_{player}": jnp.min(values), f"layers_largest_{player}": jnp.max(values)}


def diagnosis(game: Game, precision: str) -> Callable[[Players, Players, Batch, Array], dict[str, Array]]:
    """Return the function (players before, players after, batch, key) -> scalars, for one device."""

    # Called a few times in a training: on a CPU it saves more to compile it quickly than to run it quickly.
    options = {"xla_backend_optimization_level": 0} if jax.default_backend() == "cpu" else None

    @partial(jax.jit, compiler_options=options)
    def gradients(players: Players, batch: Batch, key: Array) -> Pair:
        with jax.default_matmul_precision(precision):
            return vector_field(game, players, batch, key, None).gradients

    @partial(jax.jit, compiler_options=options)
    def scalars(before: Pair, after: Pair, first: Pair, second: Pair) -> dict[str, Array]:
        update, change = jax.tree.map(jnp.subtract, (after, second), (before, first))
        return {
            "rotation": rotation(update, change),
            **layer_norms(second.generator, "generator"),
            **layer_norms(second.discriminator, "discriminator"),
        }

    def run(before: Players, after: Players, batch: Batch, key: Array) -> dict[str, Array]:
        # The networks' state of before for both, or its change would pass for the field's.
        moved = Players(*(Player(new.params, old.state) for old, new in zip(before, after)))
        first, second = (gradients(players, batch, key) for players in (before, moved))
        return scalars(parameters(before), parameters(after), first, second)

    return run
