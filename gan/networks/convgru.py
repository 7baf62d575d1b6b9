"""A recurrent convolutional generator of sequences: gated recurrent units whose maps are convolutions.

    z, r = sigmoid(conv([x, h])),   h' = (1 - z) h + z tanh(conv([x, r h]))

(Ballas et al. 2016, arXiv:1511.06432.) The latent is a random field like a sample, one for each time;
the state begins as a map of the condition alone. The recurrence is unrolled: convolution gradients inside a
compiled loop run about 100 times slower on a CPU.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from gan.networks.blueprint import Blueprint, Training
from gan.networks.conditions import Joins
from gan.networks.layers import Convolution, activation, fold_time, unfold_time


class ConvolutionalGRU(nnx.Module):
    """One gated recurrent unit on fields of ``width`` channels."""

    def __init__(self, inputs: int, width: int, kernel: int, rules: tuple[str, ...], rng: np.random.Generator):
        self.gates = Convolution(inputs + width, 2 * width, kernel, rules, rng)
        self.candidate = Convolution(inputs + width, width, kernel, rules, rng)

    def __call__(
        self, x: Float[Array, "batch *grid inputs"], state: Float[Array, "batch *grid width"]
    ) -> Float[Array, "batch *grid width"]:
        """Return the next state."""
        update, reset = jnp.split(jax.nn.sigmoid(self.gates(jnp.concatenate([x, state], axis=-1))), 2, axis=-1)
        candidate = jnp.tanh(self.candidate(jnp.concatenate([x, reset * state], axis=-1)))
        return (1.0 - update) * state + update * candidate


class RecurrentGenerator(nnx.Module):
    """A random field for each time (and the condition) to a sequence of fields, in normalised units.

    ``blocks`` units are stacked. Without a time axis it is a sequence of length one.
    """

    def __init__(self, plan: Blueprint):
        config, rules, rng = plan.config, plan.rules, plan.rng
        self.times, self.width = plan.times, config.width
        inputs = (plan.latent[-1] // plan.times, *(config.width,) * (config.blocks - 1))
        self.units = nnx.List([ConvolutionalGRU(n, config.width, config.kernel, rules, rng) for n in inputs])
        self.start = Joins(plan, (config.width,) * config.blocks)
        self.mix = Convolution(config.width, config.width, config.kernel, rules, rng)
        self.head = Convolution(config.width, plan.channels // plan.times, 1, rules, rng, last=True)

    def __call__(
        self,
        latent: Float[Array, "batch *grid numbers"],
        vector: Float[Array, "batch vector"] | None,
        field: Float[Array, "batch *coarse k"] | None,
        training: Training | None = None,
    ) -> Float[Array, "batch *grid channels"]:
        """Return a batch of normalised sequences, times folded into the channels."""
        noise = unfold_time(latent, self.times)
        zero = jnp.zeros((*latent.shape[:-1], self.width), latent.dtype)
        states = [jnp.tanh(self.start(level, zero, vector, field)) for level in range(len(self.units))]
        made = []
        for time in range(self.times):
            x = noise[:, time]
            for level, unit in enumerate(self.units):
                x = states[level] = unit(x, states[level])
            made.append(self.head(activation(self.mix(x))))
        return fold_time(jnp.stack(made, axis=1))
