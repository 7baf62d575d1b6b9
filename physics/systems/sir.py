"""An epidemic: susceptible, infected, recovered."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from physics.arguments import Scalar, check_parameter, check_point, parameter
from physics.grid import Grid
from physics.system import System


class SIR(System):
    r"""S' = -contact S I, I' = contact S I - recovery I, R' = recovery I (Kermack and McKendrick, 1927).

    State: ``(3,)``, the channels ``susceptible``, ``infected``, ``recovered`` as shares of the population, at
    the one point of ``Grid((), ())``. Times in days, rates in 1/day.

    What one sees: one wave if contact / recovery = R0 exceeds 1 / S(0), then extinction with some never
    infected: S(inf) = S(0) exp(-R0 (1 - R(0) - S(inf))). The total and S + I - log(S) / R0 are conserved.

    Good values to start with: contact 0.3 /day, recovery 0.1 /day (R0 = 3), dt = 0.5 days with
    `diffrax.Tsit5`.

    Source: Murray, Mathematical Biology I, 3rd edition, 2002, section 10.2.
    """

    contact: Float[Array, ""] | float = eqx.field(converter=parameter, default=0.3)
    recovery: Float[Array, ""] | float = eqx.field(converter=parameter, default=0.1)
    grid: Grid = eqx.field(static=True, default=Grid((), ()))
    name: ClassVar[str] = "sir"
    channels: ClassVar[tuple[str, ...]] = ("susceptible", "infected", "recovered")
    dissipative: ClassVar[bool] = True
    units: ClassVar[str] = "shares of the population; days"

    def __check_init__(self):
        check_point(self)
        check_parameter("contact", self.contact, sign="positive")
        check_parameter("recovery", self.recovery, sign="non_negative")

    def vector_field(self, t: Scalar, u: Float[Array, " c"], args: PyTree = None) -> Float[Array, " c"]:
        """The three right-hand sides."""
        susceptible, infected, _ = u
        falling_ill, recovering = self.contact * susceptible * infected, self.recovery * infected
        return jnp.stack([-falling_ill, falling_ill - recovering, recovering])

    def sample_initial(self, key: PRNGKeyArray) -> Float[Array, " c"]:
        """Between 0.1% and 5% infected, uniform in the logarithm, all others susceptible."""
        infected = 10 ** jax.random.uniform(key, minval=-3.0, maxval=jnp.log10(0.05))
        return jnp.stack([1 - infected, infected, jnp.zeros_like(infected)])

    def invariants(self, u: Float[Array | np.ndarray, " c"]) -> dict[str, Float[Array, ""]]:
        """The population, and the first integral S + I - recovery / contact log(S)."""
        susceptible, infected, _ = jnp.asarray(u)
        integral = susceptible + infected - self.recovery / self.contact * jnp.log(susceptible)
        return {"population": jnp.sum(jnp.asarray(u)), "first integral": integral}

    @property
    def recommended_dt(self) -> float:
        """0.5."""
        return 0.5
