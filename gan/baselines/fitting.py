"""What all baselines share: the generator's network on other inputs, one optimisation loop, samples in chunks."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, PyTree

from gan import normalizer
from gan.augmentation import transform_pairs
from gan.config import NetworkConfig, Recipe
from gan.game import Player
from gan.networks.players import Networks, build
from gan.normalizer import Normalizer, SampleNormalizer
from gan.short_waves import fields_of, fit_samples
from gan.training.batches import advance, batches_of
from gan.training.problem import Problem
from gan.training.step import averaged

Progress = Callable[[int, int, str], None]
Loss = Callable[[Any, Array, dict[str, Array], Array], Array]
"""(params, normalised samples, conditions in physical units, key) -> mean loss of the batch."""

RATE = 1e-3


@dataclass(frozen=True)
class Baseline:
    """A fitted baseline.

    Attributes:
        draw: (keys of the samples, conditions) -> normalised samples; jitted.
        normalizer: of the samples.
        meaning: how its samples are made, in one sentence.
        training_seconds: wall time of the fit.
        evaluations: of the network for one sample.
        chunk: samples drawn at once.
    """

    draw: Callable[[Array, dict[str, Array]], Array]
    normalizer: SampleNormalizer
    meaning: str
    training_seconds: float
    evaluations: int = 1
    chunk: int = 256

    def sample(self, key: Array, n: int, condition: Mapping[str, Any] | None = None) -> np.ndarray:
        """Draw n samples in physical units, (n, *shape); conditions have n rows."""
        parts = []
        for start in range(0, n, self.chunk):
            index = np.minimum(np.arange(start, start + self.chunk), n - 1)
            keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.asarray(index))
            given = {name: jnp.asarray(value[index], jnp.float32) for name, value in (condition or {}).items()}
            parts.append(np.asarray(self.draw(keys, given))[: n - start])
        return np.asarray(fields_of(self.normalizer, jnp.asarray(np.concatenate(parts))))


class Fit:
    """One problem with one recipe, ready for baselines to be fitted.

    Args:
        problem: as for the training of the generator; solver layer and penalties are not used.
        recipe: its network, batch, updates, seed and averaging.
        progress: called with (done, total, what).
    """

    def __init__(self, problem: Problem, recipe: Recipe, progress: Progress | None = None):
        self.problem, self.recipe, self.progress = problem, recipe, progress
        self.normalizer = fit_samples(recipe.network, problem.train, problem.held, problem.symmetries)
        # What the networks see: fields, or the vector of their amplitudes, for which the network has no use of waves.
        self.spec, self.network_config = problem.spec, recipe.network
        if (shape := self.normalizer.normalized_shape(self.spec.shape)) != self.spec.shape:
            self.spec = self.spec._replace(shape=shape, extent=None)
            self.network_config = replace(
                recipe.network, kind="residual_mlp", waves=NetworkConfig.waves, short_waves=NetworkConfig.short_waves
            )
        self.conditions = {name: normalizer.fit(value) for name, value in (problem.condition or {}).items()}

    def network(self, more: Mapping[str, tuple[int, ...]], seed: int) -> tuple[Networks, PyTree, PyTree]:
        """Build the generator's network for normalised samples, with further conditions by name.

        Returns:
            the functions, the parameters, and the state of the network.
        """
        spec = self.spec
        spec = spec._replace(conditions={**spec.conditions, **more})
        normalizers = {**self.conditions, **{name: Normalizer.identity(shape[-1]) for name, shape in more.items()}}
        unchanged = Normalizer.identity(spec.channels)
        networks, players = build(self.network_config, spec, unchanged, normalizers, seed=seed)
        return networks, players.generator.params, players.generator.state

    def minimise(self, loss: Loss, params: PyTree, what: str) -> tuple[PyTree, float]:
        """Minimise a loss by Adam with a cosine decay; return the averaged parameters and the seconds it took."""
        training, problem = self.recipe.training, self.problem
        transform = optax.adam(optax.cosine_decay_schedule(RATE, training.steps))
        several, ndim = training.steps_per_call, len(problem.spec.grid)
        half_life, base = self.recipe.optimizer.average_half_life, jax.random.key(training.seed)

        def step(state: tuple[Any, Any, Any, Array], data: Any) -> tuple[Any, Array]:
            params, optimizer, average, count = state
            moves, draws = jax.random.split(jax.random.fold_in(base, count))
            keys = jax.random.split(moves, training.batch)
            real, given = transform_pairs(data[0], data[1], keys, problem.symmetries, ndim)
            value, gradient = jax.value_and_grad(loss)(params, self.normalizer.normalize(real), given, draws)
            updates, optimizer = transform.update(gradient, optimizer, params)
            params = optax.apply_updates(params, updates)
            average = averaged(average, Player(params, {}), count, training.batch, half_life)
            return (params, optimizer, average, count + 1), value

        run = jax.jit(lambda state, data: jax.lax.scan(step, state, data)) if several > 1 else jax.jit(step)
        batches = batches_of(problem, training.seed)
        state: Any = (params, transform.init(params), Player(params, {}), jnp.zeros((), jnp.int32))
        cursor, began = (0, 0), time.monotonic()
        for done in range(0, training.steps, several):
            lead = (several, training.batch) if several > 1 else (training.batch,)
            state, value = run(state, batches.take(cursor, lead))
            cursor = advance(cursor, several * training.batch, len(problem.train))
            if self.progress is not None and (done // several) % 50 == 0:
                self.progress(done, training.steps, f"{what}, loss {float(jnp.mean(value)):.3g}")
        average = jax.block_until_ready(state[2].params)
        if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(jax.device_get(average))):
            raise ValueError(f"The baseline {what} diverged: it cannot be compared; leave --baselines out.")
        return average, time.monotonic() - began

    def baseline(self, draw: Callable[..., Array], seconds: float, meaning: str, evaluations: int = 1) -> Baseline:
        """Wrap a function of keys and conditions that makes normalised samples."""
        chunk = self.recipe.training.sample_chunk
        return Baseline(jax.jit(draw), self.normalizer, meaning, seconds, evaluations, chunk)
