"""A generator of states on a ring, given what was observed of them; trained by flow matching on the solver's windows.

Sites are grouped so that every group holds one observed site. A shift by a group is a symmetry of equation and
observations, and the network is built so that it commutes with it: dense layers that read a group and its neighbours.
It learns the velocity that carries noise to the state at the beginning of a window, given the window's observations
(Lipman et al. 2023, arXiv:2210.02747). Training windows are drawn without end from trajectories on the attractor.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PyTree
from window_cycles import SIZE, Climate, Window, attractor, trajectory

WIDTH, BLOCKS, REACH = 64, 4, 2
BATCH, RATE, BLOCK, WARMUP = 64, 2e-3, 64, 200
STATES = BATCH * BLOCK
"""States whose windows serve one block of updates."""
AVERAGE = 500
"""Updates over which parameters are averaged."""
TIMES = 4
"""Frequencies that say the time of flow matching to the network."""


def start_parameters(window: Window, key: Array) -> PyTree:
    """Return parameters; the last layer of every block, and of the network, begins small."""
    inputs = window.every + window.count + 2 * TIMES
    keys = iter(jax.random.split(key, 2 + 2 * BLOCKS))

    def dense(rows: int, columns: int, scale: float = 1.0) -> dict[str, Array]:
        return {
            "w": scale / np.sqrt(rows) * jax.random.normal(next(keys), (rows, columns)),
            "b": jnp.zeros(columns),
        }

    return {
        "entry": dense(inputs, WIDTH),
        "blocks": [
            {"first": dense((2 * REACH + 1) * WIDTH, WIDTH, 1.4), "second": dense(WIDTH, WIDTH, 0.1)}
            for _ in range(BLOCKS)
        ],
        "head": dense(WIDTH, window.every, 0.1),
    }


def velocity(
    parameters: PyTree, x: Float[Array, "n groups every"], time: Float[Array, " n"], seen: Float[Array, "n groups k"]
) -> Float[Array, "n groups every"]:
    """Return the velocity of normalised states, in groups of sites."""
    angle = np.pi * time[:, None] * 2.0 ** jnp.arange(TIMES)
    clock = jnp.concatenate([jnp.sin(angle), jnp.cos(angle)], axis=1)
    clock = jnp.broadcast_to(clock[:, None], (*x.shape[:2], 2 * TIMES))

    def dense(layer: dict[str, Array], x: Array) -> Array:
        return x @ layer["w"] + layer["b"]

    x = dense(parameters["entry"], jnp.concatenate([x, seen, clock], axis=-1))
    for block in parameters["blocks"]:
        near = jax.nn.silu(x)
        near = jnp.concatenate([jnp.roll(near, shift, axis=1) for shift in range(-REACH, REACH + 1)], axis=-1)
        x = x + dense(block["second"], jax.nn.silu(dense(block["first"], near)))
    return dense(parameters["head"], jax.nn.silu(x))


def grouped(window: Window, observed: Float[Array, "n count groups"]) -> Float[Array, "n groups count"]:
    """Observations of a window for the network: those of a group together, of order one."""
    return jnp.swapaxes(observed, 1, 2) / 4.0


def train(
    window: Window,
    climate: Climate,
    seconds: float,
    seed: int = 0,
    say: Callable[[str], None] = print,
    most: int | None = None,
) -> tuple[PyTree, dict[str, float]]:
    """Train for a time.

    Args:
        window: what is observed.
        climate: whose mean and standard deviation normalise the states.
        seconds: of wall time, over which the rate falls.
        seed: of parameters, windows and noise.
        say: where to write the course.
        most: updates, over which the rate falls where they are done in less time.

    Returns:
        Averaged parameters, and what was spent: updates, seconds and the loss of the last updates.
    """
    spread = float(np.sqrt(climate.covariance[0, 0]))
    optimizer = optax.chain(
        optax.clip_by_global_norm(1.0), optax.adam(optax.linear_schedule(0.0, RATE, WARMUP), b2=0.99)
    )

    def loss(parameters: PyTree, states: Array, seen: Array, key: Array) -> Array:
        keys = jax.random.split(key)
        data = ((states - climate.mean) / spread).reshape(len(states), -1, window.every)
        noise = jax.random.normal(keys[0], data.shape)
        time = jax.nn.sigmoid(jax.random.normal(keys[1], (len(states),)))
        t = time[:, None, None]
        found = velocity(parameters, (1 - t) * noise + t * data, time, seen)
        return jnp.mean((found - (data - noise)) ** 2)

    @jax.jit
    def block(carry: PyTree, index: Array) -> tuple[PyTree, Array]:
        parameters, average, state, states, rate = carry
        window_key, key = jax.random.split(jax.random.fold_in(jax.random.key(seed), index))
        path = trajectory(states, window.steps * window.count)
        exact = jnp.swapaxes(window.seen(path[window.steps - 1 :: window.steps]), 0, 1)
        observed = exact + window.noise * jax.random.normal(window_key, exact.shape)
        seen = grouped(window, observed)

        def update(carry: PyTree, given: PyTree) -> tuple[PyTree, Array]:
            parameters, average, state = carry
            value, slope = jax.value_and_grad(loss)(parameters, *given)
            change, state = optimizer.update(slope, state)
            parameters = optax.apply_updates(parameters, jax.tree.map(lambda one: rate * one, change))
            average = jax.tree.map(lambda old, new: old + (new - old) / AVERAGE, average, parameters)
            return (parameters, average, state), value

        order = jax.random.permutation(key, STATES).reshape(BLOCK, BATCH)
        batches = (states[order], seen[order], jax.random.split(key, BLOCK))
        (parameters, average, state), values = jax.lax.scan(update, (parameters, average, state), batches)
        return (parameters, average, state, path[-1], rate), values.mean()

    parameters = start_parameters(window, jax.random.key(seed))
    carry = (parameters, parameters, optimizer.init(parameters), jnp.asarray(attractor()[:STATES]), jnp.float32(1.0))
    jax.block_until_ready(block(carry, jnp.int32(0)))
    begin, index, last = time.perf_counter(), 0, []
    while True:
        spent = time.perf_counter() - begin
        done = max(spent / seconds, index * BLOCK / most if most else 0.0)
        if done >= 1:
            break
        # Half a cosine over the time, or the updates, that there are.
        carry = (*carry[:4], jnp.float32(0.5 + 0.5 * np.cos(np.pi * done)))
        carry, value = block(carry, jnp.int32(index))
        last = [*last, float(value)][-8:]
        index += 1
        if index % 16 == 0:
            say(f"{spent:6.0f} s, {index * BLOCK} updates, loss {np.mean(last):.4f}")
    return carry[1], {"updates": index * BLOCK, "seconds": spent, "loss": float(np.mean(last))}


def sampler(window: Window, climate: Climate, parameters: PyTree, steps: int = 8) -> Callable[[Array, Array], Array]:
    """Return ``(observed (n, count, groups), key) -> states (n, 40)``, by the midpoint rule."""
    spread = float(np.sqrt(climate.covariance[0, 0]))

    @jax.jit
    def draw(observed: Array, key: Array) -> Array:
        seen = grouped(window, observed)
        x = jax.random.normal(key, (len(observed), SIZE // window.every, window.every))
        field = partial(velocity, parameters, seen=seen)

        def midpoint(x: Array, index: Array) -> tuple[Array, None]:
            time = jnp.full(len(x), index / steps)
            half = x + field(x, time) / (2 * steps)
            return x + field(half, time + 0.5 / steps) / steps, None

        x = jax.lax.scan(midpoint, x, jnp.arange(steps))[0]
        return climate.mean + spread * x.reshape(len(observed), SIZE)

    return draw


def save(path: Path, parameters: PyTree) -> None:
    """Write parameters as arrays in the order of their tree."""
    np.savez(path, *[np.asarray(one) for one in jax.tree.leaves(parameters)])


def load(path: Path, window: Window) -> PyTree:
    """Read parameters that `save` wrote."""
    tree = jax.tree.structure(start_parameters(window, jax.random.key(0)))
    with np.load(path, allow_pickle=False) as stored:
        return jax.tree.unflatten(tree, [jnp.asarray(stored[f"arr_{index}"]) for index in range(tree.num_leaves)])
