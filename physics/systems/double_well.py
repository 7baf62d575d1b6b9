"""Noise in a potential with two wells: rare transitions at a rate that is known."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from physics.arguments import Scalar, check_parameter, check_point, parameter
from physics.grid import Grid
from physics.system import StochasticSystem

_FAR = 3.0  # where the density has died out, in distances of a well from the top
_POINTS = 2048


class DoubleWell(StochasticSystem):
    r"""dx = -V'(x) dt + noise dW with V = barrier (x^2 - 1)^2, non-dimensional; additive noise.

    State: ``(1,)``, the channel ``x`` at the one point of ``Grid((), ())``. x -> -x is a symmetry of the
    statistics.

    What one sees: fluctuations around -1 and +1 with sudden changes between them. The stationary density is
    proportional to exp(-2 V / noise^2). Where noise^2 << 2 barrier, a well is left at the rate
    sqrt(8) barrier / pi exp(-2 barrier / noise^2) (Kramers, Physica 7, 1940).

    Good values to start with: barrier 0.25 (the drift is x - x^3), noise 0.5 (one change in about 33 time
    units), dt = 0.05 with `diffrax.ShARK`.

    Source: Gardiner, Stochastic Methods, 4th edition, 2009, chapter 5 (escape over a potential barrier).
    """

    barrier: Float[Array, ""] | float = eqx.field(converter=parameter, default=0.25)
    noise: Float[Array, ""] | float = eqx.field(converter=parameter, default=0.5)
    grid: Grid = eqx.field(static=True, default=Grid((), ()))
    name: ClassVar[str] = "double_well"
    channels: ClassVar[tuple[str, ...]] = ("x",)
    dissipative: ClassVar[bool] = True

    def __check_init__(self):
        check_point(self)
        check_parameter("barrier", self.barrier, sign="non_negative")
        check_parameter("noise", self.noise, sign="positive")

    def vector_field(self, t: Scalar, u: Float[Array, " c"], args: PyTree = None) -> Float[Array, " c"]:
        """-V'(x)."""
        return -4 * self.barrier * u * (u**2 - 1)

    def diffusion(self, t: Scalar, u: Float[Array, " c"], args: PyTree = None) -> Float[Array, " c"]:
        """The same noise wherever x is."""
        return self.noise * jnp.ones_like(u)

    def stationary_density(self, x: Float[Array | np.ndarray, " points"]) -> Float[Array, " points"]:
        """The stationary probability density at ``x``."""
        return self._weight(jnp.asarray(x)) / jnp.sum(self._weight(self._points())) * (_POINTS - 1) / (2 * _FAR)

    def transition_rate(self) -> Float[Array, ""]:
        """Kramers' rate of leaving a well, per unit of time, for noise^2 << 2 barrier."""
        return jnp.sqrt(8.0) * self.barrier / jnp.pi * jnp.exp(-2 * self.barrier / self.noise**2)

    def sample_initial(self, key: PRNGKeyArray) -> Float[Array, " c"]:
        """The stationary distribution, to within x = 3."""
        shares = jnp.cumsum(self._weight(self._points()))
        return jnp.interp(jax.random.uniform(key, (1,)), shares / shares[-1], self._points())

    @property
    def recommended_dt(self) -> float:
        """0.05."""
        return 0.05

    def _weight(self, x: Array) -> Array:
        return jnp.exp(-2 * self.barrier * (x**2 - 1) ** 2 / self.noise**2)

    def _points(self) -> Array:
        return jnp.linspace(-_FAR, _FAR, _POINTS)
