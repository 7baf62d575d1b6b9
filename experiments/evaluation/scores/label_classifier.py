"""A small classifier trained on labelled samples, so that modes that are classes can be counted."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

Layers = list[tuple[Array, Array]]


class Classifier(NamedTuple):
    """A dense network of one hidden layer and its softmax.

    Attributes:
        layers: weights and biases.
        mean, std: of the training samples' numbers, by which the input is normalised.
    """

    layers: Layers
    mean: float
    std: float

    def probabilities(self, samples: Float[np.ndarray, " n *shape"], chunk: int = 8192) -> Float[np.ndarray, "n k"]:
        """Return the probability of every class, in chunks of one shape."""
        flat = (np.asarray(samples, np.float32).reshape(len(samples), -1) - self.mean) / self.std
        parts = []
        for start in range(0, len(flat), chunk):
            part = flat[start : start + chunk]
            padded = np.concatenate([part, np.zeros((chunk - len(part), flat.shape[1]), np.float32)])
            parts.append(np.asarray(_softmax(self.layers, padded))[: len(part)])
        return np.concatenate(parts)


def _logits(layers: Layers, x: Array) -> Array:
    (first, shift), (second, offset) = layers
    return jax.nn.relu(x @ first + shift) @ second + offset


@jax.jit
def _softmax(layers: Layers, x: Array) -> Array:
    return jax.nn.softmax(_logits(layers, x))


def train_classifier(
    samples: Float[np.ndarray, " n *shape"],
    labels: Int[np.ndarray, " n"],
    *,
    width: int = 128,
    steps: int = 1500,
    batch: int = 256,
    seed: int = 0,
) -> Classifier:
    """Train a classifier by Adam on the cross-entropy, inputs blurred by a little noise against overconfidence.

    Args:
        samples: of the training split.
        labels: from 0 on.
        width: of the hidden layer.
        steps: updates, of ``batch`` samples each.
        batch: samples in each update.
        seed: of parameters, batches and noise.

    Raises:
        ValueError: as many labels as samples are needed, of two classes or more.
    """
    if len(labels) != len(samples) or len(np.unique(labels)) < 2:
        raise ValueError(
            f"{len(samples)} samples with {len(labels)} labels of {len(np.unique(labels))} classes: "
            "a classifier needs one label for each sample and two classes or more."
        )
    flat = np.asarray(samples, np.float32).reshape(len(samples), -1)
    mean, std = float(flat.mean()), float(flat.std()) or 1.0
    data, classes = jnp.asarray((flat - mean) / std), int(labels.max()) + 1
    target = jnp.asarray(labels)
    rng = np.random.default_rng(seed)

    def drawn(inputs: int, outputs: int) -> tuple[Array, Array]:
        weights = rng.standard_normal((inputs, outputs)) * np.sqrt(2 / inputs)
        return jnp.asarray(weights, jnp.float32), jnp.zeros(outputs)

    layers = [drawn(flat.shape[1], width), drawn(width, classes)]
    transform = optax.adamw(optax.cosine_decay_schedule(2e-3, steps), weight_decay=1e-3)

    def loss(layers: Layers, x: Array, y: Array) -> Array:
        return optax.softmax_cross_entropy_with_integer_labels(_logits(layers, x), y).mean()

    def step(carry: tuple[Any, Any], key: Array) -> tuple[tuple[Any, Any], None]:
        layers, state = carry
        pick, blur = jax.random.split(key)
        index = jax.random.randint(pick, (batch,), 0, len(data))
        noisy = data[index] + 0.1 * jax.random.normal(blur, (batch, data.shape[1]))
        updates, state = transform.update(jax.grad(loss)(layers, noisy, target[index]), state, layers)
        return (optax.apply_updates(layers, updates), state), None

    keys = jax.random.split(jax.random.key(seed), steps)
    (layers, _), _ = jax.jit(lambda first: jax.lax.scan(step, first, keys))((layers, transform.init(layers)))
    return Classifier(layers, mean, std)
