"""The generator without a discriminator: its network is trained by the fair ensemble score alone.

Several draws for each condition are scored against the sample that belongs to it (`gan.penalties.fair_ensemble_score`,
normalised units, a mean over all numbers of a sample). The score is proper number by number: it is smallest in
expectation where every number of the draws has the law of the data's, whatever their dependence.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from gan.baselines.fitting import Baseline, Fit
from gan.penalties import fair_ensemble_score


def ensemble_score(fit: Fit) -> Baseline:
    """Fit the generator's network by the fair score of ``game.ensemble_draws`` draws per condition.

    Raises:
        ValueError: the problem has no condition.
    """
    if not fit.problem.condition:
        raise ValueError("An ensemble score needs a condition: leave it out for an unconditional problem.")
    networks, start, network_state = fit.network({}, fit.recipe.training.seed)
    draws = fit.recipe.game.ensemble_draws

    def generate(params: PyTree, latents: Array, condition: dict[str, Array]) -> Array:
        return networks.generate(params, network_state, latents, condition)

    def loss(params: PyTree, real: Array, condition: dict[str, Array], key: Array) -> Array:
        latents = jax.random.normal(key, (draws * len(real), *networks.latent))
        repeated = {name: jnp.concatenate([value] * draws) for name, value in condition.items()}
        made = generate(params, latents, repeated).reshape(draws, *real.shape)
        return fair_ensemble_score(made, real, jnp.ones((draws, len(real))))

    params, seconds = fit.minimise(loss, start, "ensemble score")

    def draw(keys: Array, condition: dict[str, Array]) -> Array:
        return generate(params, jax.vmap(lambda key: jax.random.normal(key, networks.latent))(keys), condition)

    return fit.baseline(draw, seconds, "the generator's network trained by the fair ensemble score, no discriminator")
