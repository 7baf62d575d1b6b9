"""The Ornstein-Uhlenbeck process: the one stochastic system whose every statistic is known."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from physics.arguments import Scalar, check_parameter, check_point, parameter
from physics.grid import Grid
from physics.system import StochasticSystem


class OrnsteinUhlenbeck(StochasticSystem):
    r"""dx = -rate (x - mean) dt + noise dW, non-dimensional (Uhlenbeck and Ornstein, 1930); additive noise.

    State: ``(1,)``, the channel ``x`` at the one point of ``Grid((), ())``.

    What one sees: Gaussian fluctuations of variance noise^2 / (2 rate) around the mean, forgotten like
    exp(-rate t). From x(0) the mean is mean + (x(0) - mean) exp(-rate t) and the variance
    noise^2 (1 - exp(-2 rate t)) / (2 rate).

    Good values to start with: rate 1, mean 0, noise 1, dt = 0.05 with `diffrax.ShARK`.

    Source: Uhlenbeck and Ornstein (1930), Phys. Rev. 36.
    """

    rate: Float[Array, ""] | float = eqx.field(converter=parameter, default=1.0)
    mean: Float[Array, ""] | float = eqx.field(converter=parameter, default=0.0)
    noise: Float[Array, ""] | float = eqx.field(converter=parameter, default=1.0)
    grid: Grid = eqx.field(static=True, default=Grid((), ()))
    name: ClassVar[str] = "ornstein_uhlenbeck"
    channels: ClassVar[tuple[str, ...]] = ("x",)
    dissipative: ClassVar[bool] = True

    def __check_init__(self):
        check_point(self)
        check_parameter("mean", self.mean, sign="any")
        check_parameter("rate", self.rate, sign="positive")
        check_parameter("noise", self.noise, sign="non_negative")

    def vector_field(self, t: Scalar, u: Float[Array, " c"], args: PyTree = None) -> Float[Array, " c"]:
        """The pull towards the mean."""
        return -self.rate * (u - self.mean)

    def diffusion(self, t: Scalar, u: Float[Array, " c"], args: PyTree = None) -> Float[Array, " c"]:
        """The same noise wherever x is."""
        return self.noise * jnp.ones_like(u)

    def sample_initial(self, key: PRNGKeyArray) -> Float[Array, " c"]:
        """The stationary distribution."""
        return self.mean + self.noise * jax.random.normal(key, (1,)) / jnp.sqrt(2.0 * self.rate)

    def moments(
        self, times: Float[Array | np.ndarray, " time"], u0: Float[Array | np.ndarray, " c"]
    ) -> tuple[Float[Array, " time"], Float[Array, " time"]]:
        """Exact mean and variance at ``times`` of the process that starts from ``u0``."""
        memory = jnp.exp(-self.rate * jnp.asarray(times))
        variance = self.noise**2 * (1 - memory**2) / (2 * self.rate)
        return self.mean + (jnp.asarray(u0)[0] - self.mean) * memory, variance

    @property
    def recommended_dt(self) -> float:
        """0.05."""
        return 0.05
