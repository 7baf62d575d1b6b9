r"""A game whose generator is a simulator with a few unknown parameters, for inference rather than sampling.

The generator has no network: it draws data sets from a simulator, and its parameters are what is asked for (Wang et
al., Mol. Ecol. Resour. 21, 2021, pg-gan; Kaji, Manresa and Pouliot, Econometrica 91, 2023). At the equilibrium no
discriminator tells the simulator's draws from the data. The discriminator is linear in statistics t(x),

    D(x) = w . y,      y = (t(x) - m) V,

with m and V a mean of the statistics and a matrix that makes their covariance the identity; a network of y may be
added. R1 and R2 are taken by y, so that they depend neither on units nor on correlations. A game has two rounds: in
the first mean and covariance are those of the data, in the second those of the simulator at the first estimate. From
the data alone, classes of counts that happen to be small would weigh too much, as in Neyman's chi-square.

With the logistic loss and such a discriminator the estimate is, for many cases, that of the method of moments with the
best weights, and as efficient as maximum likelihood where the log-likelihood is linear in t (ibid.). Its covariance is
then that of `spread`, which takes the derivatives of the mean statistics from the simulator. A network can see what the
statistics do not, but it also learns single cases by heart where there are few.

Parameters are in units of half the width of the range that is thought possible, 0 in its middle. The simulator gets
``2 tanh(z / 2)``, so that nothing is simulated beyond twice the range.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from gan import regularizers
from gan.config import GameConfig, NetworkConfig, OptimizerConfig
from gan.game import Batch, DiscriminatorLoss, Game, GeneratedBatch, Player, Players
from gan.networks.players import Networks, SampleSpec, build
from gan.normalizer import Normalizer
from gan.objectives import objective
from gan.optimizers.selection import game_optimizer

Simulate = Callable[[Float[Array, " parameters"], PRNGKeyArray, int], Float[Array, "batch numbers"]]
Statistics = Callable[[Float[Array, "batch numbers"]], Float[Array, "batch statistics"]]
RIDGE = 1e-3
"""Share of the mean variance that is added to each variance before the data are whitened."""
CALLS = 32


class Whitening(NamedTuple):
    """Affine map to mean 0 and covariance 1."""

    mean: Float[Array, " numbers"]
    matrix: Float[Array, "numbers numbers"]

    @classmethod
    def of(cls, data: Float[Array, "cases numbers"]) -> Whitening:
        """Return the map that whitens data, by the inverse root of their covariance."""
        covariance = jnp.atleast_2d(jnp.cov(data, rowvar=False))
        count = data.shape[1]
        values, vectors = jnp.linalg.eigh(covariance + RIDGE * jnp.trace(covariance) / count * jnp.eye(count))
        return cls(jnp.mean(data, axis=0), vectors / jnp.sqrt(values) @ vectors.T)

    def __call__(self, x: Float[Array, "batch numbers"]) -> Float[Array, "batch numbers"]:
        """Map samples."""
        return (x - self.mean) @ self.matrix


def bounded(z: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return ``2 tanh(z / 2)``: z near 0, within -2 and 2 everywhere."""
    return 2.0 * jnp.tanh(0.5 * z)


def simulator_game(simulate: Simulate, see: Statistics, networks: Networks | None, config: GameConfig) -> Game:
    """Return the game between a simulator and a discriminator.

    Args:
        simulate: (parameters, key, count) -> samples, differentiable by the parameters.
        see: samples -> whitened statistics.
        networks: whose discriminator is added to the linear one; None for none.
        config: objective and weights of R1 and R2, which are taken per statistic.
    """
    losses = objective(config.objective)

    def classify(params: PyTree, y: Array) -> Array:
        linear = y @ params["linear"]
        return linear if networks is None else linear + networks.classify(params["network"], {}, y)

    def draw(params: Array, state: PyTree, batch: Batch, key: Array) -> tuple[GeneratedBatch, PyTree]:
        count = batch.real.shape[0]
        samples = simulate(bounded(params), key, count)[None]
        valid = jnp.ones((1, count), bool)
        return GeneratedBatch(samples, batch.real, {}, valid, batch.place, batch.progress), state

    def discriminator_loss(params: PyTree, state: PyTree, seen: GeneratedBatch, key: Array) -> DiscriminatorLoss:
        y = jnp.concatenate([see(seen.real), see(seen.samples[0])])
        logits, gradient = regularizers.logits_and_gradient(lambda at: classify(params, at), y)
        half, one = len(seen.real), jnp.ones(len(seen.real))
        r1, r2 = (regularizers.gamma_of(weight, y.shape[1:]) for weight in (config.r1, config.r2))
        own = regularizers.zero_centred(gradient[:half], r1, one) + regularizers.zero_centred(gradient[half:], r2, one)
        adversarial = losses.discriminator(logits[:half], logits[half:], one)
        accuracy = 0.5 * (jnp.mean(logits[:half] > 0) + jnp.mean(logits[half:] < 0))
        return DiscriminatorLoss(adversarial, own, {"accuracy": accuracy}, state)

    def generator_loss(params: PyTree, state: PyTree, seen: GeneratedBatch, key: Array) -> Array:
        real, fake = (classify(params, see(x)) for x in (seen.real, seen.samples[0]))
        return losses.generator(real, fake, jnp.ones(len(fake)))

    return Game(draw, discriminator_loss, generator_loss, {}, losses.zero_sum)


def with_products(x: Float[Array, "batch numbers"]) -> Float[Array, "batch statistics"]:
    """Return samples with the products of all pairs of their numbers, squares included."""
    # By matrices that pick the numbers: the derivative of a gather is slow on CPUs.
    first, second = (np.eye(x.shape[1], dtype=x.dtype)[:, picked] for picked in np.triu_indices(x.shape[1]))
    return jnp.concatenate([x, (x @ first) * (x @ second)], axis=1)


class Played(NamedTuple):
    """The outcome of one game.

    Attributes:
        estimate: parameters, the mean over the last updates.
        spread: their standard errors, by the covariance of the moment estimate with the best weights.
        course: parameters after evenly spaced updates.
        accuracy: of the discriminator over the last updates; 0.5 for one that cannot tell.
    """

    estimate: Float[Array, " parameters"]
    spread: Float[Array, " parameters"]
    course: Float[Array, "kept parameters"]
    accuracy: Float[Array, ""]


@dataclass(frozen=True)
class Inference:
    """How a game is played; `estimates` plays many side by side.

    Attributes:
        simulate: (parameters, key, count) -> samples.
        parameters: how many.
        network: of the discriminator; None for a linear one.
        game: objective and penalties.
        optimizer: of both players.
        updates: of the generator in each round.
        batch: samples of either side in one update.
        statistics: of a sample, in which the discriminator is linear; None for its numbers.
        averaged: share of the updates at the end of a round over which the parameters are averaged.
        drawn: samples from which the second round's covariance and the derivatives of the mean statistics are taken.
    """

    simulate: Simulate
    parameters: int
    network: NetworkConfig | None
    game: GameConfig
    optimizer: OptimizerConfig
    updates: int
    batch: int
    statistics: Statistics | None = None
    averaged: float = 0.5
    drawn: int = 4096

    def estimates(
        self,
        data: Float[Array | np.ndarray, "games cases numbers"],
        key: PRNGKeyArray,
        seed: int = 0,
        together: int = 64,
    ) -> Played:
        """Play one game for each data set, side by side.

        Args:
            data: sets of independent cases.
            key: of all random numbers.
            seed: of the discriminators' first parameters, which all games share.
            together: most games that are vectorised; the others follow.

        Returns:
            What each game came to, stacked along the first axis.
        """
        run = jax.jit(jax.vmap(partial(self.play, seed=seed)))
        sets, keys = jnp.asarray(data, jnp.float32), jax.random.split(key, len(data))
        size = -(-len(sets) // -(-len(sets) // together))
        parts = []
        for start in range(0, len(sets), size):
            # The last part is as long as the others, so that one program serves all; what is played twice is cut off.
            first = min(start, len(sets) - size)
            part = run(sets[first : first + size], keys[first : first + size])
            parts.append(jax.tree.map(lambda leaf, skip=start - first: leaf[skip:], part))
        return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *parts)

    def play(self, data: Float[Array, "cases numbers"], key: PRNGKeyArray, seed: int = 0) -> Played:
        """Play one game, in two rounds; traceable."""
        first = Whitening.of(self._seen(data))
        networks, discriminator = None, {"linear": jnp.zeros(len(first.mean))}
        if self.network is not None:
            spec, identity = SampleSpec(first.mean.shape), Normalizer.identity(len(first.mean))
            networks, players = build(self.network, spec, identity, seed=seed)
            discriminator["network"] = players.discriminator.params
        optimizer = game_optimizer(self.optimizer, self.game, self.updates)
        place = jnp.broadcast_to(jnp.arange(self.batch), (self.game.critic_steps, self.batch))
        last = max(1, round(self.averaged * self.updates))

        def round_of(carry: tuple[Array, Whitening], key: PRNGKeyArray) -> tuple[Any, tuple[Array, Array]]:
            z, whiten = carry
            game = simulator_game(self.simulate, lambda x: whiten(self._seen(x)), networks, self.game)
            order_key, whiten_key, key = jax.random.split(key, 3)

            def update(carry: Any, at: tuple[Array, Array, Array]) -> tuple[Any, tuple[Array, Array]]:
                players, state = carry
                key, rows, progress = at
                batch = Batch(data[rows], {}, place, jnp.full(len(rows), progress))
                players, state, metrics = optimizer.update(game, players, state, batch, key)
                return (players, state), (bounded(players.generator.params), metrics["discriminator_accuracy"])

            players = Players(Player(z, {}), Player(discriminator, {}))
            keys = jax.random.split(key, self.updates)
            rows = _order(order_key, len(data), (self.updates, self.game.critic_steps, self.batch))
            progress = jnp.arange(self.updates) / self.updates
            (players, _), (course, accuracy) = jax.lax.scan(
                update, (players, optimizer.init(players)), (keys, rows, progress)
            )
            estimate = jnp.mean(course[-last:], axis=0)
            simulated = self._calls(lambda key, count: self._seen(self.simulate(estimate, key, count)), whiten_key)
            whiten = Whitening.of(simulated.reshape(-1, simulated.shape[-1]))
            return (players.generator.params, whiten), (course, accuracy)

        round_keys, spread_key = jax.random.split(key)
        start = (jnp.zeros(self.parameters), first)
        (_, whiten), (course, accuracy) = jax.lax.scan(round_of, start, jax.random.split(round_keys))
        estimate = jnp.mean(course[-1, -last:], axis=0)
        samples = last * self.game.critic_steps * self.batch
        return Played(
            estimate,
            self.spread(whiten, estimate, len(data), samples, spread_key),
            course.reshape(-1, self.parameters)[:: max(1, self.updates // 50)],
            jnp.mean(accuracy[-1, -last:]),
        )

    def _seen(self, x: Float[Array, "batch numbers"]) -> Float[Array, "batch statistics"]:
        return x if self.statistics is None else self.statistics(x)

    def _calls(self, function: Callable[[PRNGKeyArray, int], Array], key: PRNGKeyArray) -> Array:
        """Several calls of the simulator, stacked, since all samples of one call may share random numbers."""
        return jax.lax.map(lambda one: function(one, self.drawn // CALLS), jax.random.split(key, CALLS))

    def spread(self, whiten: Whitening, z: Array, cases: int, samples: int, key: PRNGKeyArray) -> Array:
        """Return the standard errors of an estimate by moments with the best weights.

        With J the derivatives of the mean whitened statistics the covariance is (J' J)^-1 (1/cases + 1/samples)
        (Kaji, Manresa and Pouliot 2023).

        Args:
            whiten: the statistics, at the estimate.
            z: the estimate.
            cases: of the data.
            samples: simulated ones that the estimate has seen.
            key: of the samples from which J is taken.
        """

        def mean(at: Array, key: PRNGKeyArray, count: int) -> Array:
            return jnp.mean(whiten(self._seen(self.simulate(at, key, count))), axis=0)

        slope = jnp.mean(self._calls(lambda key, count: jax.jacfwd(mean)(z, key, count), key), axis=0)
        inverse = jnp.linalg.pinv(slope.T @ slope)
        return jnp.sqrt(jnp.diag(inverse) * (1.0 / cases + 1.0 / samples))


def _order(key: PRNGKeyArray, cases: int, shape: tuple[int, ...]) -> Array:
    """Rows of the data for every update: each case once before any comes again."""
    count = math.prod(shape)
    passes = jax.random.split(key, -(-count // cases))
    rows = jax.vmap(lambda one: jax.random.permutation(one, cases))(passes)
    return rows.reshape(-1)[:count].reshape(shape)
