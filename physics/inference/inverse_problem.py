r"""A Bayesian inverse problem: standard normal unknowns, a simulation, what is observed of it, and the noise.

The unknowns theta are *whitened*: their prior is N(0, I), and the simulation maps them to fields and parameters.
With observations y = h(simulate(theta)) + e, e ~ N(0, noise^2 I), the posterior density is proportional to
exp(-|theta|^2 / 2 - |y - h(simulate(theta))|^2 / (2 noise^2)).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

IMPOSSIBLE = -1e30
"""Log-likelihood of unknowns whose simulation is not finite."""


@dataclass(frozen=True)
class InverseProblem:
    """What is asked, for one observation of one truth; samplers take many observations at once.

    Attributes:
        dimension: count of the unknowns.
        simulate: unknowns (dimension,) -> trajectory or any array; one call of it is one *solver call*.
        observe: that array -> what would be observed without noise, (m,).
        noise: standard deviation of every observation's error, in its unit.

    Example:
        >>> problem = InverseProblem(2, lambda theta: theta, lambda u: jnp.abs(u), noise=0.1)
        >>> problem.log_likelihood(jnp.zeros(2), jnp.zeros(2))
        Array(-0., dtype=float32)
    """

    dimension: int
    simulate: Callable[[Array], Array]
    observe: Callable[[Array], Array]
    noise: float

    def __post_init__(self) -> None:
        if self.dimension < 1:
            raise ValueError(f"dimension must be at least 1, not {self.dimension}.")
        if not 0 < self.noise < float("inf"):
            raise ValueError(f"noise must be a positive standard deviation, not {self.noise}.")

    def predict(self, theta: Float[Array, " d"]) -> Float[Array, " m"]:
        """Return what would be observed without noise; one solver call."""
        return self.observe(self.simulate(theta))

    def log_likelihood(self, theta: Float[Array, " d"], observed: Float[Array, " m"]) -> Float[Array, ""]:
        """Return the log-density of the observations up to a constant; very low where the simulation fails."""
        misfit = (observed - self.predict(theta)) / self.noise
        value = -0.5 * jnp.sum(misfit**2)
        return jnp.where(jnp.isfinite(value), value, IMPOSSIBLE)


class PosteriorSample(NamedTuple):
    """Ensembles that a sampler drew.

    Attributes:
        unknowns: (cases, members, d).
        solver_calls: for one member of one case, those of the burn-in counted; a gradient counts as three.
    """

    unknowns: Float[Array, "cases members d"]
    solver_calls: float
