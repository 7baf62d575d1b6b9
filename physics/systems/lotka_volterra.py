"""Predator and prey: cycles whose averages do not depend on how wide they are."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from physics.arguments import Scalar, check_parameter, check_point, parameter
from physics.grid import Grid
from physics.system import System


class LotkaVolterra(System):
    r"""x' = growth x - predation x y, y' = conversion x y - death y, non-dimensional (Lotka, 1925; Volterra, 1926).

    State: ``(2,)``, the channels ``prey`` and ``predator``, both positive, at the one point of ``Grid((), ())``.

    What one sees: closed orbits around (death / conversion, growth / predation), slow growth of prey and
    short outbreaks of predators. Averages over a cycle are the fixed point, whatever the orbit (Volterra's
    principle); narrow ones take 2 pi / sqrt(growth death).
    conversion x - death log x + predation y - growth log y is conserved.

    Good values to start with: growth 1.1, predation 0.4, conversion 0.1, death 0.4, dt = 0.05 with
    `diffrax.Tsit5`.

    Source: Murray, Mathematical Biology I, 3rd edition, 2002, section 3.1.
    """

    growth: Float[Array, ""] | float = eqx.field(converter=parameter, default=1.1)
    predation: Float[Array, ""] | float = eqx.field(converter=parameter, default=0.4)
    conversion: Float[Array, ""] | float = eqx.field(converter=parameter, default=0.1)
    death: Float[Array, ""] | float = eqx.field(converter=parameter, default=0.4)
    grid: Grid = eqx.field(static=True, default=Grid((), ()))
    name: ClassVar[str] = "lotka_volterra"
    channels: ClassVar[tuple[str, ...]] = ("prey", "predator")

    def __check_init__(self):
        check_point(self)
        for name in ("growth", "predation", "conversion", "death"):
            check_parameter(name, getattr(self, name), sign="positive")

    def vector_field(self, t: Scalar, u: Float[Array, " c"], args: PyTree = None) -> Float[Array, " c"]:
        """The two right-hand sides."""
        prey, predator = u
        eaten = prey * predator
        return jnp.stack([self.growth * prey - self.predation * eaten, self.conversion * eaten - self.death * predator])

    def sample_initial(self, key: PRNGKeyArray) -> Float[Array, " c"]:
        """The fixed point times log-normal factors of standard deviation 0.5."""
        fixed = jnp.stack([self.death / self.conversion, self.growth / self.predation])
        return fixed * jnp.exp(0.5 * jax.random.normal(key, (2,)))

    def invariants(self, u: Float[Array | np.ndarray, " c"]) -> dict[str, Float[Array, ""]]:
        """Volterra's constant of motion."""
        prey, predator = jnp.asarray(u)
        of_prey = self.conversion * prey - self.death * jnp.log(prey)
        return {"volterra": of_prey + self.predation * predator - self.growth * jnp.log(predator)}

    @property
    def recommended_dt(self) -> float:
        """0.05."""
        return 0.05
