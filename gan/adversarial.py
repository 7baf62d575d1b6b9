"""The game that generator and discriminator networks play over fields.

    sample = S(solver_layer(G(z, c), c, tau)),    judged against S(data),    S a random symmetry

with the adversarial objective on logits of normalised fields, gradient penalties on the discriminator, and
physics penalties and the fair ensemble score on the generator.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from gan import regularizers
from gan.adaptive_augmentation import adapted, augmentation
from gan.augmentation import SymmetriesLike, has_symmetries, transform_batch, transform_pairs
from gan.config import GameConfig, SolverLayerConfig
from gan.conflict import RULES, balanced
from gan.game import Batch, DiscriminatorLoss, Game, GeneratedBatch
from gan.guard import SolverLayer, guarded
from gan.networks.blueprint import Training
from gan.networks.players import Networks
from gan.objectives import objective
from gan.penalties import LinearRamp, Penalty, fair_ensemble_score, transport_cost

REAL, FAKE, MIDDLE, AUGMENTED_REAL, AUGMENTED_FAKE = range(5)
"""Sides of the discriminator's random numbers."""

SATURATED = 4.6
"""Difference of two logits at which a discriminator is certain: its probability is 0.99."""


def solver_layer_time(config: SolverLayerConfig) -> Callable[[Float[Array, ""]], Float[Array, ""]]:
    """Return the curriculum: progress -> solver-layer time, rising linearly from ``start * tau`` to ``tau``."""
    ramp = LinearRamp(0.0, config.ramp, low=config.start, high=1.0)
    return lambda progress: config.tau * jnp.asarray(ramp(progress), jnp.float32)


class Sampled(NamedTuple):
    """What the whole generator makes of random keys.

    Attributes:
        samples: (batch, *shape), physical units, after the solver.
        valid: (batch,), False where the solver refused.
        latent: (batch, *latent), moved by the same random symmetry as its sample where it is a field.
        state: of the generator, for the next step.
    """

    samples: Array
    valid: Array
    latent: Array
    state: PyTree


def sampler(
    networks: Networks,
    solver_layer: SolverLayer | None,
    config: SolverLayerConfig,
    symmetries: SymmetriesLike | None,
    symmetrize: bool,
) -> Callable[..., Sampled]:
    """Return the whole generator: (params, state, one key per sample, condition, tau, training) -> Sampled.

    This one function makes the samples of the training and those that a user draws.
    """
    run = (
        guarded(solver_layer, networks.normalizer, config.limit)
        if solver_layer is not None and config.tau > 0
        else None
    )
    ndim = len(networks.spec.grid)

    def sample(
        params: PyTree,
        network_state: PyTree,
        keys: Array,
        condition: dict[str, Any],
        tau: Any,
        training: Training | None = None,
    ) -> Sampled:
        pairs = jax.vmap(jax.random.split)(keys)
        latent = jax.vmap(lambda key: jax.random.normal(key, networks.latent))(pairs[:, 0])
        samples, network_state = networks.generate_with_state(params, network_state, latent, condition, training)
        valid = jnp.ones(samples.shape[:1], bool)
        if run is not None:
            samples, valid = run(samples, condition, tau)
        if symmetrize:
            samples = transform_batch(samples, pairs[:, 1], symmetries, ndim)
            if len(networks.latent) > 1:
                latent = transform_batch(latent, pairs[:, 1], symmetries, ndim)
        return Sampled(samples, valid, latent, network_state)

    return sample


def adversarial_game(
    networks: Networks,
    game: GameConfig,
    solver_layer_config: SolverLayerConfig,
    *,
    solver_layer: SolverLayer | None = None,
    symmetries: SymmetriesLike | None = None,
    penalties: Mapping[str, Penalty] | None = None,
    elsewhere: Mapping[str, np.ndarray] | None = None,
    gamma_scale: float | None = None,
    axis_name: str | None = None,
) -> Game:
    """Assemble the game from its configuration.

    Args:
        networks: both players as functions.
        game: objective, weights of the discriminator's penalties and the generator's further terms.
        solver_layer_config: how long the solver advances samples, and its limits.
        solver_layer: (samples, condition, tau) -> (samples, valid), physical units; ``None`` for no solver.
        symmetries: shifts and reflections of the data's distribution, through which data pass at random.
        penalties: name -> term of the generator's loss in physical units.
        elsewhere: name -> (M, ...), conditions without data at which the penalties are taken too, with equal weight.
        gamma_scale: what stands in gamma in the place of the count of numbers (``game.gamma_rule``).
        axis_name: mapped axis of devices over which statistics of a whole batch are taken, ``None`` for one device.

    Returns:
        The game as pure functions of both players' parameters, for any game optimizer.

    Raises:
        ValueError: the ensemble score without a condition, a transport cost without latents like samples, or
            gradient penalties of a discriminator that judges whole batches, or samples that are moved by symmetries
            away from conditions that are fields.
    """
    losses = objective(
        game.objective,
        label_smoothing=game.label_smoothing,
        real_weight=game.real_weight,
        fake_weight=game.fake_weight,
        axis_name=axis_name,
    )
    spec = networks.spec
    if game.symmetrize and has_symmetries(symmetries) and spec.field_numbers():
        raise ValueError(
            "game.symmetrize moves samples by symmetries, but not their conditions, which are fields: set it to false."
        )
    if game.ensemble_weight > 0 and not spec.conditions:
        raise ValueError(
            "game.ensemble_weight compares several draws for one condition: set it to 0 for an unconditional task."
        )
    if game.transport > 0 and networks.latent != spec.shape:
        raise ValueError(
            f"game.transport = {game.transport} compares samples with latents of their shape: set network.latent to 0, "
            "or network.kind to unet, fno or convgru."
        )
    if networks.coupled and (game.r1 > 0 or game.r2 > 0 or game.gradient_penalty > 0):
        raise ValueError(
            "network.batch_norm = 'both' makes the discriminator judge whole batches, where the penalties game.r1, "
            "game.r2 and game.gradient_penalty of single samples have no meaning: set these to 0, or "
            "network.batch_norm to 'generator'."
        )
    draws = game.ensemble_draws if game.ensemble_weight > 0 else 1
    others = {name: jnp.asarray(value, jnp.float32) for name, value in (elsewhere or {}).items()}
    every_draw = draws + bool(others)
    tau_at = solver_layer_time(solver_layer_config)
    layer = solver_layer if solver_layer_config.in_training else None
    generate = sampler(networks, layer, solver_layer_config, symmetries, game.symmetrize)
    normalize = networks.normalizer.normalize
    scale = regularizers.gamma_of(1.0, spec.shape) if gamma_scale is None else gamma_scale
    r1, r2 = game.r1 * scale, game.r2 * scale
    augment = augmentation(spec) if game.augment_target > 0 else None

    def fall(progress: Float[Array, ""]) -> Float[Array, ""]:
        return game.penalty_final ** jnp.clip(progress / game.penalty_until, 0.0, 1.0)

    def draw(params: PyTree, network_state: PyTree, batch: Batch, key: Array) -> tuple[GeneratedBatch, Any]:
        keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(batch.place)
        pairs = jax.vmap(lambda k: jax.random.split(k, every_draw + 1))(keys)
        real, given = transform_pairs(batch.real, batch.condition, pairs[:, 0], symmetries, len(spec.grid))
        latent_keys = jnp.swapaxes(pairs[:, 1:], 0, 1).reshape(-1)
        condition = {name: jnp.concatenate([value] * draws) for name, value in given.items()}
        without_data: dict[str, Array] | None = None
        if others:
            count = len(next(iter(others.values())))
            rows = jax.vmap(lambda k: jax.random.randint(jax.random.fold_in(k, every_draw + 1), (), 0, count))(keys)
            without_data = {name: value[rows] for name, value in others.items()}
            condition = {name: jnp.concatenate([value, without_data[name]]) for name, value in condition.items()}
        dropping = jax.vmap(lambda k: jax.random.fold_in(k, 2))(latent_keys)
        made = generate(
            params, network_state, latent_keys, condition, tau_at(batch.progress), Training(dropping, axis_name)
        )
        samples = made.samples.reshape((every_draw, -1, *made.samples.shape[1:]))
        valid = made.valid.reshape((every_draw, -1))[:draws]
        latent = made.latent.reshape((every_draw, -1, *made.latent.shape[1:])) if game.transport > 0 else None
        drawn = GeneratedBatch(samples, real, given, valid, batch.place, batch.progress, latent, without_data)
        return drawn, made.state

    def training_pass(key: Array, place: Array, side: int) -> Training:
        keys = jax.vmap(lambda i: jax.random.fold_in(jax.random.fold_in(key, i), side))(place)
        return Training(keys, axis_name)

    def shown(network_state: PyTree, seen: GeneratedBatch, key: Array) -> tuple[Array, Array]:
        """Data and samples as the discriminator sees them: normalised, and augmented where that is asked for."""
        real, fake = normalize(seen.real), normalize(seen.samples[0])
        if augment is None:
            return real, fake
        keys = [training_pass(key, seen.place, side).keys for side in (AUGMENTED_REAL, AUGMENTED_FAKE)]
        return augment(real, keys[0], network_state["augment"]), augment(fake, keys[1], network_state["augment"])

    def discriminator_loss(
        params: PyTree, network_state: PyTree, seen: GeneratedBatch, key: Array
    ) -> DiscriminatorLoss:
        real, fake = shown(network_state, seen, key)
        weight = seen.valid[0].astype(fake.dtype)
        count = real.shape[0]
        both = {name: jnp.concatenate([value, value]) for name, value in seen.condition.items()}
        sides = [training_pass(key, seen.place, side) for side in (REAL, FAKE)]
        joined = Training(jnp.concatenate([side.keys for side in sides]), axis_name)
        metrics: dict[str, Array] = {}
        own = jnp.zeros(())
        if networks.coupled:
            # Statistics of data and samples apart: together they would tell the two from each other.
            real_logits, after = networks.classify_with_state(params, network_state, real, seen.condition, sides[0])
            between = {**network_state, "variables": after["variables"]}
            fake_logits, after = networks.classify_with_state(params, between, fake, seen.condition, sides[1])
        else:
            stacked = jnp.concatenate([real, fake])
            logits, pull, after = jax.vjp(
                lambda x: networks.classify_with_state(params, network_state, x, both, joined), stacked, has_aux=True
            )
            real_logits, fake_logits = logits[:count], logits[count:]
            if r1 > 0 or r2 > 0:
                (gradient,) = pull(jnp.ones_like(logits))
                left = fall(seen.progress)
                metrics["r1"] = left * regularizers.zero_centred(gradient[:count], r1, jnp.ones_like(weight))
                metrics["r2"] = left * regularizers.zero_centred(gradient[count:], r2, weight)
                own = own + metrics["r1"] + metrics["r2"]
        if game.gradient_penalty > 0:
            keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(seen.place)
            share = jax.vmap(lambda k: jax.random.uniform(k, (), fake.dtype))(keys)
            middle = regularizers.between(real, fake, share)
            dropping = training_pass(key, seen.place, MIDDLE)
            _, gradient = regularizers.logits_and_gradient(
                lambda x: networks.classify_with_state(params, network_state, x, seen.condition, dropping)[0], middle
            )
            metrics["gradient_penalty"] = game.gradient_penalty * regularizers.one_centred(gradient, weight)
            own = own + metrics["gradient_penalty"]
        adversarial = losses.discriminator(real_logits, fake_logits, weight)
        metrics["logit_real"] = jnp.mean(real_logits)
        metrics["logit_fake"] = jnp.mean(weight * fake_logits)
        metrics["accuracy"] = jnp.mean((real_logits > fake_logits).astype(fake.dtype))
        metrics["saturated"] = jnp.mean((jnp.abs(real_logits - fake_logits) > SATURATED).astype(fake.dtype))
        if augment is not None:
            metrics["augment"] = network_state["augment"]
            after = {**after, "augment": adapted(network_state["augment"], metrics["accuracy"], count, game, axis_name)}
        return DiscriminatorLoss(adversarial, own, metrics, after)

    def generator_loss(params: PyTree, network_state: PyTree, seen: GeneratedBatch, key: Array) -> Array:
        real, fake = shown(network_state, seen, key)
        real_side, fake_side = (training_pass(key, seen.place, side) for side in (REAL, FAKE))
        fake_logits, _ = networks.classify_with_state(params, network_state, fake, seen.condition, fake_side)
        if losses.real_in_generator:
            real_logits, _ = networks.classify_with_state(params, network_state, real, seen.condition, real_side)
        else:
            real_logits = jnp.zeros_like(fake_logits)
        return losses.generator(real_logits, fake_logits, seen.valid[0].astype(fake.dtype))

    terms: dict[str, Callable[[GeneratedBatch], Array]] = {}
    shares: dict[str, Callable[[Array], Array]] = {}
    for name, penalty in (penalties or {}).items():

        def term(seen: GeneratedBatch, penalty: Penalty = penalty) -> Array:
            factor = 1.0 if penalty.balanced else penalty.factor(seen.progress)
            value = penalty.function(seen.samples[0], seen.condition)
            if seen.elsewhere is not None:
                value = 0.5 * (value + penalty.function(seen.samples[-1], seen.elsewhere))
            return factor * value

        terms[name] = term
        if penalty.balanced:
            shares[name] = penalty.factor
    if draws > 1:

        def ensemble(seen: GeneratedBatch) -> Array:
            weight = seen.valid.astype(seen.real.dtype)
            score = fair_ensemble_score(normalize(seen.samples[:draws]), normalize(seen.real), weight)
            return game.ensemble_weight * score

        terms["ensemble"] = ensemble
    if game.transport > 0:
        fading = LinearRamp(0.0, game.transport_until, low=game.transport, high=0.0)
        shares["transport"] = lambda progress: fading(progress)

        def transport(seen: GeneratedBatch) -> Array:
            weight = seen.valid[0].astype(seen.real.dtype)
            return fading(seen.progress) * transport_cost(normalize(seen.samples[0]), seen.latent[0], weight)

        terms["transport"] = transport

    def combine(gradients: Mapping[str, Any], progress: Array) -> Any:
        scaled = balanced(gradients, {name: share(progress) for name, share in shares.items()})
        return RULES[game.conflict](scaled)

    return Game(draw, discriminator_loss, generator_loss, terms, losses.zero_sum, combine)
