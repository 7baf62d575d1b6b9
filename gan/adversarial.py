"""The game that generator and discriminator networks play over fields.

    sample = S(carry(G(z, c), c, tau)),    judged against S(data),    S a random symmetry

with the adversarial objective on logits of normalised fields, gradient penalties on the discriminator, and
physics penalties and the fair ensemble score on the generator.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan import regularizers
from gan.augmentation import transform_batch
from gan.config import CarryConfig, GameConfig
from gan.game import Batch, Draw, Game, Judgement
from gan.guard import Carry, guarded
from gan.networks.players import Networks
from gan.objectives import objective
from gan.penalties import LinearRamp, Penalty, fair_ensemble_score


def carry_time(config: CarryConfig) -> Callable[[Float[Array, ""]], Float[Array, ""]]:
    """Return the curriculum: progress -> carry time, rising linearly from ``start * tau`` to ``tau``."""
    ramp = LinearRamp(0.0, config.ramp, low=config.start, high=1.0)
    return lambda progress: config.tau * jnp.asarray(ramp(progress), jnp.float32)


def sampler(
    networks: Networks, carry: Carry | None, config: CarryConfig, symmetries: Any, symmetrize: bool
) -> Callable[..., tuple[Array, Array]]:
    """Return the whole generator: (params, rest, one key per sample, condition, tau) -> (samples, valid).

    This one function makes the samples of the training and those that a user draws.
    """
    run = guarded(carry, networks.normalizer, config.limit) if carry is not None and config.tau > 0 else None
    ndim = len(networks.spec.grid)

    def sample(params: Any, rest: Any, keys: Array, condition: dict[str, Any], tau: Any) -> tuple[Array, Array]:
        pairs = jax.vmap(jax.random.split)(keys)
        latent = jax.vmap(lambda key: jax.random.normal(key, (networks.latent,)))(pairs[:, 0])
        samples = networks.generate(params, rest, latent, condition)
        valid = jnp.ones(samples.shape[:1], bool)
        if run is not None:
            samples, valid = run(samples, condition, tau)
        if symmetrize:
            samples = transform_batch(samples, pairs[:, 1], symmetries, ndim)
        return samples, valid

    return sample


def adversarial_game(
    networks: Networks,
    game: GameConfig,
    carry_config: CarryConfig,
    *,
    carry: Carry | None = None,
    symmetries: Any = None,
    penalties: Mapping[str, Penalty] | None = None,
) -> Game:
    """Assemble the game from its configuration.

    Raises:
        ValueError: the ensemble score without a condition, or a critic step that cannot be.
    """
    losses = objective(game.objective)
    spec = networks.spec
    if game.ensemble_weight > 0 and not spec.conditions:
        raise ValueError(
            "game.ensemble_weight compares several draws for one condition: set it to 0 for an unconditional task."
        )
    draws = game.ensemble_draws if game.ensemble_weight > 0 else 1
    tau_at = carry_time(carry_config)
    generate = sampler(networks, carry, carry_config, symmetries, game.symmetrize)
    normalize = networks.normalizer.normalize
    r1 = regularizers.gamma_of(game.r1, spec.shape)
    r2 = regularizers.gamma_of(game.r2, spec.shape)

    def fall(progress: Float[Array, ""]) -> Float[Array, ""]:
        return game.penalty_final ** jnp.clip(progress / game.penalty_until, 0.0, 1.0)

    def draw(params: Any, rest: Any, batch: Batch, key: Array) -> tuple[Draw, Any]:
        keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(batch.place)
        pairs = jax.vmap(lambda k: jax.random.split(k, draws + 1))(keys)
        real = transform_batch(batch.real, pairs[:, 0], symmetries, len(spec.grid))
        latent_keys = jnp.swapaxes(pairs[:, 1:], 0, 1).reshape(-1)
        condition = {name: jnp.concatenate([value] * draws) for name, value in batch.condition.items()}
        samples, valid = generate(params, rest, latent_keys, condition, tau_at(batch.progress))
        samples = samples.reshape((draws, -1, *samples.shape[1:]))
        valid = valid.reshape((draws, -1))
        return Draw(samples, real, batch.condition, valid, batch.place, batch.progress), rest

    def judge(params: Any, rest: Any, seen: Draw, key: Array) -> Judgement:
        real, fake = normalize(seen.real), normalize(seen.samples[0])
        weight = seen.valid[0].astype(fake.dtype)
        count = real.shape[0]
        both = {name: jnp.concatenate([value, value]) for name, value in seen.condition.items()}
        stacked = jnp.concatenate([real, fake])

        def critic(x: Array) -> Array:
            return networks.judge(params, rest, x, both)

        metrics: dict[str, Array] = {}
        own = jnp.zeros(())
        if r1 > 0 or r2 > 0:
            logits, gradient = regularizers.logits_and_gradient(critic, stacked)
            left = fall(seen.progress)
            metrics["r1"] = left * regularizers.zero_centred(gradient[:count], r1, jnp.ones_like(weight))
            metrics["r2"] = left * regularizers.zero_centred(gradient[count:], r2, weight)
            own = own + metrics["r1"] + metrics["r2"]
        else:
            logits = critic(stacked)
        if game.gradient_penalty > 0:
            keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(seen.place)
            share = jax.vmap(lambda k: jax.random.uniform(k, (), fake.dtype))(keys)
            middle = regularizers.between(real, fake, share)
            _, gradient = regularizers.logits_and_gradient(
                lambda x: networks.judge(params, rest, x, seen.condition), middle
            )
            metrics["gradient_penalty"] = game.gradient_penalty * regularizers.one_centred(gradient, weight)
            own = own + metrics["gradient_penalty"]
        real_logits, fake_logits = logits[:count], logits[count:]
        adversarial = losses.discriminator(real_logits, fake_logits, weight)
        metrics["logit_real"] = jnp.mean(real_logits)
        metrics["logit_fake"] = jnp.mean(weight * fake_logits)
        metrics["accuracy"] = jnp.mean((real_logits > fake_logits).astype(fake.dtype))
        return Judgement(adversarial, own, metrics, rest)

    def fool(params: Any, rest: Any, seen: Draw, key: Array) -> Array:
        fake = normalize(seen.samples[0])
        fake_logits = networks.judge(params, rest, fake, seen.condition)
        if losses.real_in_generator:
            real_logits = networks.judge(params, rest, normalize(seen.real), seen.condition)
        else:
            real_logits = jnp.zeros_like(fake_logits)
        return losses.generator(real_logits, fake_logits, seen.valid[0].astype(fake.dtype))

    terms: dict[str, Callable[[Draw], Array]] = {}
    for name, penalty in (penalties or {}).items():

        def term(seen: Draw, penalty: Penalty = penalty) -> Array:
            return penalty.factor(seen.progress) * penalty.function(seen.samples[0], seen.condition)

        terms[name] = term
    if draws > 1:

        def ensemble(seen: Draw) -> Array:
            weight = seen.valid.astype(seen.real.dtype)
            score = fair_ensemble_score(normalize(seen.samples), normalize(seen.real), weight)
            return game.ensemble_weight * score

        terms["ensemble"] = ensemble
    return Game(draw, judge, fool, terms, losses.zero_sum)
