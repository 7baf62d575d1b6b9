"""Flow matching: the generator's network learns the velocity that carries noise to data along straight lines.

With x_0 standard normal, x_1 data and x_t = (1 - t) x_0 + t x_1, the network regresses x_1 - x_0 on (x_t, t) (Lipman et
al. 2023, eq. 23 with vanishing end width; Liu, Gong and Liu 2023, eq. 1), and Euler's method with a number of equal
steps from t = 0 to 1 makes the samples.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from gan.baselines.fitting import Baseline, Fit

EVALUATIONS = (1, 4, 20)


def flow_matching(fit: Fit) -> dict[str, Baseline]:
    """Fit one velocity field; return a baseline for each number of evaluations."""
    shape = fit.spec.shape
    networks, start, network_state = fit.network({"noised": shape, "time": (1,)}, fit.recipe.training.seed)

    def velocity(params: PyTree, x: Array, time: Array, condition: dict[str, Array]) -> Array:
        # Time from -1 to 1, as large as the other inputs; the latent is not needed.
        given = {**condition, "noised": x, "time": 2.0 * time[:, None] - 1.0}
        return networks.generate(params, network_state, jnp.zeros((len(x), *networks.latent)), given)

    def loss(params: PyTree, real: Array, condition: dict[str, Array], key: Array) -> Array:
        noise_key, time_key = jax.random.split(key)
        noise, time = jax.random.normal(noise_key, real.shape), jax.random.uniform(time_key, (len(real),))
        t = time.reshape((-1,) + (1,) * (real.ndim - 1))
        predicted = velocity(params, (1 - t) * noise + t * real, time, condition)
        return jnp.mean((predicted - (real - noise)) ** 2)

    params, seconds = fit.minimise(loss, start, "flow matching")

    def drawer(steps: int) -> Any:
        def draw(keys: Array, condition: dict[str, Array]) -> Array:
            x = jax.vmap(lambda key: jax.random.normal(key, shape))(keys)

            def euler(x: Array, index: Array) -> tuple[Array, None]:
                time = jnp.full(len(x), index / steps)
                return x + velocity(params, x, time, condition) / steps, None

            return jax.lax.scan(euler, x, jnp.arange(steps))[0]

        return draw

    return {
        f"flow_matching_{steps}": fit.baseline(
            drawer(steps), seconds, f"flow matching, integrated in {steps} step{'s' if steps > 1 else ''}", steps
        )
        for steps in EVALUATIONS
    }
