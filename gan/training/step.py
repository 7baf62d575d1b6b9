"""The training step, written once per device, and the state that it moves on.

The same function runs under ``pmap`` (one host, the default), ``jit(shard_map)`` (across processes),
``vmap`` (the oracle of the tests) and plain ``jit`` (one device, or fields cut over several; without an axis).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from gan.adversarial import solver_layer_time
from gan.config import Recipe
from gan.game import Batch, Game, Player, Players
from gan.networks.players import average_state
from gan.networks.space import fields_cut_over
from gan.training.devices import AXIS


class TrainingState(NamedTuple):
    """Everything that a resumed training needs, as one pytree.

    Attributes:
        players: both players.
        optimizer: state of the game optimizer.
        average: the averaged generator, its state included; it makes the samples.
        key: data of the random key that all steps' keys are folded from.
        step: generator updates made.
        cursor: epoch and position in the data.
    """

    players: Players
    optimizer: PyTree
    average: Player
    key: Array
    step: Int[Array, ""]
    cursor: Int[Array, " 2"]


def first_state(players: Players, game_optimizer: Any, seed: int) -> TrainingState:
    """Return the state before the first step."""
    return TrainingState(
        players=players,
        optimizer=game_optimizer.init(players),
        average=jax.tree.map(jnp.array, players.generator),
        key=jax.random.key_data(jax.random.key(np.uint32(seed))),
        step=jnp.zeros((), jnp.int32),
        cursor=jnp.zeros((2,), jnp.int32),
    )


def averaged(average: Player, player: Player, step: Int[Array, ""], batch: int, half_life: float) -> Player:
    """Return the exponential average after one more step.

    Its half-life is counted in samples, and early in the training limited to a twentieth of the samples
    seen, so that the first random parameters are soon forgotten.
    """
    if half_life <= 0:
        return player
    seen = jnp.asarray((step + 1) * batch, jnp.float32)
    decay = 0.5 ** (batch / jnp.minimum(half_life, 0.05 * seen))
    share = 1.0 - decay
    params = jax.tree.map(lambda a, p: a + share.astype(p.dtype) * (p - a), average.params, player.params)
    return Player(params, average_state(params, average.state, player.state, share))


def make_step(
    game: Game, game_optimizer: Any, recipe: Recipe, samples: int, axis_name: str | None = AXIS
) -> Callable[[TrainingState, Any, dict[str, Any]], tuple[TrainingState, dict[str, Array]]]:
    """Return the step of one device: (state, fields, conditions) -> (state, metrics).

    Args:
        game: the two losses.
        game_optimizer: moves both players.
        recipe: lengths, curriculum and averaging.
        samples: count of training samples, for the data's cursor.
        axis_name: mapped axis, ``None`` on a single device.

    Fields come as (critic steps, share of the batch, *shape), physical units.
    """
    total, whole = recipe.training.steps, recipe.training.batch
    tau_at = solver_layer_time(recipe.solver_layer)

    def step(
        state: TrainingState, real: Float[Array, "critic batch *shape"], condition: dict[str, Any]
    ) -> tuple[TrainingState, dict[str, Array]]:
        critic_steps, share = real.shape[:2]
        device = 0 if axis_name is None else jax.lax.axis_index(axis_name)
        progress = state.step.astype(jnp.float32) / total
        place = jnp.broadcast_to(device * share + jnp.arange(share), (critic_steps, share))
        batch = Batch(real, condition, place, jnp.broadcast_to(progress, (critic_steps,)))
        key = jax.random.fold_in(jax.random.wrap_key_data(state.key), state.step)
        # Read while tracing: without it an accelerator may silently multiply in fewer bits.
        with jax.default_matmul_precision(recipe.training.precision):
            players, optimizer, metrics = game_optimizer.update(
                game, state.players, state.optimizer, batch, key, axis_name=axis_name
            )
        metrics["tau"] = tau_at(progress)
        position = state.cursor[1] + critic_steps * whole
        return (
            TrainingState(
                players=players,
                optimizer=optimizer,
                average=averaged(
                    state.average,
                    players.generator,
                    state.step,
                    whole,
                    recipe.optimizer.average_half_life,
                ),
                key=state.key,
                step=state.step + 1,
                cursor=jnp.stack([state.cursor[0] + position // samples, position % samples]).astype(jnp.int32),
            ),
            metrics,
        )

    return step


def repeated(step: Callable[..., Any], count: int) -> Callable[..., Any]:
    """Return ``count`` steps as one: data with a further first axis of steps, metrics stacked along one.

    One step of small dense networks takes about as long as calling it. Not for convolutions on a CPU, whose
    gradients are about 100 times slower inside a compiled loop.
    """
    if count == 1:
        return lambda state, real, condition: step(state, real[0], jax.tree.map(lambda x: x[0], condition))

    def run(state: TrainingState, real: Array, condition: dict[str, Any]) -> tuple[TrainingState, dict[str, Array]]:
        return jax.lax.scan(lambda state, data: step(state, *data), state, (real, condition))

    return run


def parallel(step: Callable[..., Any], how: str, devices: Sequence[jax.Device]) -> Callable[..., Any]:
    """Spread a step over devices: (state, fields, conditions) with a first axis of devices on the data alone.

    The state is replicated and donated. ``how`` is "pmap", "shard_map", "space" or "jit"; the last two take a step
    without an axis, and data with a device axis of length one. "space" cuts fields, "jit" runs on one device.
    """
    if how == "pmap":
        return jax.pmap(
            step,
            axis_name=AXIS,
            in_axes=(None, 0, 0),
            out_axes=None,
            devices=list(devices),
            donate_argnums=(0,),
        )

    def single(state: PyTree, real: Any, condition: Any) -> Any:
        return step(state, real[0], jax.tree.map(lambda x: x[0], condition))

    if how == "jit":
        return jax.jit(single, donate_argnums=(0,))
    mesh = jax.make_mesh((len(devices),), (AXIS,), devices=devices, axis_types=(jax.sharding.AxisType.Auto,))
    spec = jax.sharding.PartitionSpec
    if how == "space":

        def together(state: PyTree, real: Any, condition: Any) -> Any:
            with fields_cut_over(mesh):
                return single(state, real, condition)

        return jax.jit(together, donate_argnums=(0,), out_shardings=jax.sharding.NamedSharding(mesh, spec()))
    # The check would turn the transpose of a replicated value into a sum and make gradients too large.
    mapped = jax.shard_map(
        single, mesh=mesh, in_specs=(spec(), spec(AXIS), spec(AXIS)), out_specs=spec(), check_vma=False
    )
    return jax.jit(mapped, donate_argnums=(0,))
