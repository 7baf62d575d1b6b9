"""The generator without a discriminator: its network is trained by a fair score of ensembles alone.

With a condition, several draws for each are scored against the sample that belongs to it
(`gan.penalties.fair_ensemble_score`, normalised units, a mean over all numbers of a sample). That score is proper
number by number: it is smallest in expectation where every number of the draws has the distribution of the data's,
whatever their dependence. Without a condition a whole batch of samples is scored against the batch of data by the
energy score (`gan.penalties.fair_energy_score`), which sees the dependence too.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from gan.baselines.fitting import Baseline, Fit
from gan.penalties import fair_energy_score, fair_ensemble_score


def ensemble_score(fit: Fit) -> Baseline:
    """Fit the generator's network by the fair score of ``game.ensemble_draws`` draws per condition, or of the batch."""
    conditional = bool(fit.problem.condition)
    networks, start, network_state = fit.network({}, fit.recipe.training.seed)
    draws = fit.recipe.game.ensemble_draws if conditional else 1

    def generate(params: PyTree, latents: Array, condition: dict[str, Array]) -> Array:
        return networks.generate(params, network_state, latents, condition)

    def loss(params: PyTree, real: Array, condition: dict[str, Array], key: Array) -> Array:
        latents = jax.random.normal(key, (draws * len(real), *networks.latent))
        repeated = {name: jnp.concatenate([value] * draws) for name, value in condition.items()}
        made = generate(params, latents, repeated).reshape(draws, *real.shape)
        if not conditional:
            return fair_energy_score(made[0], real)
        return fair_ensemble_score(made, real, jnp.ones((draws, len(real))))

    params, seconds = fit.minimise(loss, start, "ensemble score")

    def draw(keys: Array, condition: dict[str, Array]) -> Array:
        return generate(params, jax.vmap(lambda key: jax.random.normal(key, networks.latent))(keys), condition)

    score = "ensemble" if conditional else "energy"
    return fit.baseline(draw, seconds, f"the generator's network trained by the fair {score} score, no discriminator")
