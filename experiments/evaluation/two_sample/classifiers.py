"""Classifiers that are trained to distinguish samples from reference fields, and what they come to on others.

A classifier two-sample test (Lopez-Paz and Oquab 2017, arXiv:1610.06545): train on one part of both sets, look at the
area under the ROC curve (AUC) on the rest. 0.5 is chance; the area is the probability that of a sample and a reference
field the sample is rated the more sample-like. Two classifiers look: gradient boosting on physical features, and a
small convolutional network on the fields themselves, moved at random by the system's symmetries.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float
from scipy.special import expit, ndtri
from scipy.stats import rankdata

from gan.augmentation import SymmetriesLike, transform_batch

ROUNDS = 120
WIDTH = 24
STEPS = 250
BATCH = 256
EPOCHS = 64
"""How often every field is seen at most: few fields are learnt by heart in fewer updates."""
COARSE = 16
"""Points along an axis of a plane or a space after the first convolution."""
RATED = 2**20
"""Grid points that are rated at once."""


class ClassifierScores(NamedTuple):
    """How sample-like a classifier rates samples and reference fields that it was not trained on."""

    samples: np.ndarray
    reference: np.ndarray


def boosted_scores(
    fit: tuple[Float[np.ndarray, "a d"], Float[np.ndarray, "b d"]],
    held: tuple[Float[np.ndarray, "n d"], Float[np.ndarray, "m d"]],
    *,
    rounds: int = ROUNDS,
    seed: int = 0,
) -> ClassifierScores:
    """Rate held-out features by gradient boosting trained on ``fit``; arguments as of `boosted_rating`.

    Args:
        fit: features of samples and of reference fields to train on.
        held: features of samples and of reference fields to rate.
        rounds: trees.
        seed: of the trees.
    """
    rate = boosted_rating(fit, rounds=rounds, seed=seed)
    return ClassifierScores(*map(rate, held))


def boosted_rating(
    fit: tuple[Float[np.ndarray, "a d"], Float[np.ndarray, "b d"]], *, rounds: int = ROUNDS, seed: int = 0
) -> Callable[[Float[np.ndarray, "n d"]], Float[np.ndarray, " n"]]:
    """Train gradient boosting (scikit-learn's histogram trees) and return what rates features by it.

    Args:
        fit: features of both classes; the larger set is cut to the smaller. The first class is rated high.
        rounds: trees.
        seed: of the trees.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    count = min(map(len, fit))
    model = HistGradientBoostingClassifier(
        max_iter=rounds,
        learning_rate=0.1,
        max_leaf_nodes=15,
        max_bins=63,
        min_samples_leaf=min(40, max(2, count // 20)),
        l2_regularization=1.0,
        early_stopping=False,
        random_state=seed,
    )
    labels = np.repeat([1, 0], count)
    # One thread: where others share the cores, threads that wait for one another take a hundred times as long.
    with threadpool_limits(1):
        model.fit(np.concatenate([one[:count] for one in fit]), labels)

    def rate(features: np.ndarray) -> np.ndarray:
        with threadpool_limits(1):
            return model.decision_function(features)

    return rate


def convolutional_scores(
    fit: tuple[Float[np.ndarray, "a *grid c"], Float[np.ndarray, "b *grid c"]],
    held: tuple[Float[np.ndarray, "n *grid c"], Float[np.ndarray, "m *grid c"]],
    *,
    symmetries: SymmetriesLike | None = None,
    periodic: bool = True,
    steps: int = STEPS,
    seed: int = 0,
) -> ClassifierScores:
    """Rate held-out fields by a small convolutional network, trained on ``fit`` by Adam.

    Three convolutions of width 5 on a line and 3 beyond, then the mean and the mean square of every channel over the
    grid, which are blind to shifts, and a linear map. Reflections are met by moving the training fields at random.
    Beyond one dimension the channels of the first convolution are averaged over blocks, so that at most `COARSE` points
    are left along an axis: all that is learnt of shorter waves is what one convolution makes of them.

    Args:
        fit: samples and reference fields to train on; the larger set is cut to the smaller.
        held: samples and reference fields to rate.
        symmetries: ``shift_axes`` and ``reflections``.
        periodic: whether the grid is; otherwise convolutions are padded with zeros.
        steps: updates at most.
        seed: of parameters and batches.
    """
    samples, reference = (np.asarray(one, np.float32) for one in fit)
    count = min(len(samples), len(reference))
    axes = tuple(range(samples.ndim - 1))
    mean, std = reference.mean(axis=axes), np.maximum(reference.std(axis=axes), 1e-30)
    fields = (np.concatenate([samples[:count], reference[:count]]) - mean) / std
    labels = np.repeat([1.0, 0.0], count).astype(np.float32)
    ndim, channels = samples.ndim - 2, samples.shape[-1]
    rng = np.random.default_rng((seed, 21))
    parameters = _initial(rng, ndim, channels)
    batch = min(BATCH, 2 * count)
    steps = min(steps, EPOCHS * 2 * count // batch)
    optimizer = optax.adam(optax.cosine_decay_schedule(3e-3, steps))
    state = optimizer.init(parameters)

    @jax.jit
    def step(parameters: Any, state: Any, x: Array, y: Array, keys: Array) -> tuple[Any, Any]:
        moved = transform_batch(x, keys, symmetries, ndim)

        def loss(p: Any) -> Array:
            return optax.sigmoid_binary_cross_entropy(_logits(p, moved, periodic), y).mean()

        updates, state = optimizer.update(jax.grad(loss)(parameters), state)
        return optax.apply_updates(parameters, updates), state

    keys = jax.random.split(jax.random.key(seed), (steps, batch))
    for i in range(steps):
        pick = rng.integers(0, len(fields), batch)
        parameters, state = step(parameters, state, fields[pick], labels[pick], keys[i])
    rate = jax.jit(lambda x: _logits(parameters, x, periodic))

    chunk = int(np.clip(RATED // max(1, fields[0, ..., 0].size), 1, 1024))

    def rated(many: np.ndarray) -> np.ndarray:
        many = (np.asarray(many, np.float32) - mean) / std
        parts = []
        for start in range(0, len(many), chunk):
            part = many[start : start + chunk]
            full = np.concatenate([part, np.repeat(part[-1:], chunk - len(part), axis=0)])
            parts.append(np.asarray(rate(full))[: len(part)])
        return np.concatenate(parts)

    return ClassifierScores(*(rated(one) for one in held))


def _initial(rng: np.random.Generator, ndim: int, channels: int) -> list[Any]:
    size, parameters, before = 5 if ndim == 1 else 3, [], channels
    for width in (WIDTH, WIDTH, WIDTH):
        scale = np.sqrt(2 / (before * size**ndim))
        kernel = rng.standard_normal((*[size] * ndim, before, width)) * scale
        parameters.append((jnp.asarray(kernel, jnp.float32), jnp.zeros(width)))
        before = width
    parameters.append((jnp.zeros(2 * before), jnp.zeros(())))
    return parameters


def _logits(parameters: list[Any], x: Array, periodic: bool) -> Array:
    ndim = x.ndim - 2
    letters = "xyz"[:ndim]
    grid = tuple(range(1, 1 + ndim))
    for i, (kernel, bias) in enumerate(parameters[:-1]):
        pad = kernel.shape[0] // 2
        if periodic:
            # A circular pad, a SAME convolution and a crop: on the CPU far faster to differentiate than VALID.
            x = jnp.pad(x, [(0, 0), *[(pad, pad)] * ndim, (0, 0)], mode="wrap")
        x = jax.lax.conv_general_dilated(
            x, kernel, (1,) * ndim, "SAME", dimension_numbers=(f"N{letters}C", f"{letters}IO", f"N{letters}C")
        )
        if periodic:
            x = x[(slice(None), *[slice(pad, -pad)] * ndim)]
        x = x + bias
        if i < len(parameters) - 2:
            x = jax.nn.leaky_relu(x, 0.1)
        if i == 0 and ndim > 1:
            blocks = (1, *(-(-size // COARSE) for size in x.shape[1:-1]), 1)
            x = jax.lax.reduce_window(x, 0.0, jax.lax.add, blocks, blocks, "VALID") / float(np.prod(blocks))
    weights, offset = parameters[-1]
    x = jnp.tanh(x)
    return jnp.concatenate([x.mean(axis=grid), (x**2).mean(axis=grid)], axis=-1) @ weights + offset


def auc(scores: ClassifierScores) -> float:
    """The area under the ROC curve: how often a sample is rated above a reference field, ties counted half."""
    n, m = len(scores.samples), len(scores.reference)
    ranks = rankdata(np.concatenate(scores))
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * m))


def auc_interval(scores: ClassifierScores, level: float = 0.95) -> tuple[float, float]:
    """A confidence interval of the area for this classifier.

    The method of DeLong, DeLong and Clarke-Pearson (1988, Biometrics 44, 837). The variance is that of the placement
    values of both sets; the interval is symmetric in the logit of the area, so that it stays within 0 and 1.
    """
    value = auc(scores)
    n, m = len(scores.samples), len(scores.reference)
    pooled = rankdata(np.concatenate(scores))
    above = (pooled[:n] - rankdata(scores.samples)) / m
    below = 1 - (pooled[n:] - rankdata(scores.reference)) / n
    variance = above.var(ddof=1) / n + below.var(ddof=1) / m
    # Where the sets are apart altogether no placement varies: half a field on the wrong side is taken for the bound.
    least = 0.5 / (min(n, m) + 1)
    inside = float(np.clip(value, least, 1 - least))
    if inside != value:
        variance = inside * (1 - inside) / min(n, m)
    half = float(ndtri(0.5 + level / 2)) * np.sqrt(variance) / (inside * (1 - inside))
    centre = np.log(inside / (1 - inside))
    low, high = (float(expit(centre + sign * half)) for sign in (-1, 1))
    return min(low, value), max(high, value)
