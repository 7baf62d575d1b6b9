"""The pendulum: the simplest nonlinear oscillation, with an exact period."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from physics.arguments import Scalar, check_parameter, check_point, is_concrete, parameter
from physics.grid import Grid
from physics.system import System


class Pendulum(System):
    r"""angle' = rate, rate' = -gravity / length sin(angle) - damping rate, in SI units.

    State: ``(2,)``, the channels ``angle`` (rad, from hanging) and ``rate`` (rad/s) at the one point of
    ``Grid((), ())``. (angle, rate) -> (-angle, -rate) is a symmetry.

    What one sees: swings that take longer the wider they are, 4 sqrt(length / gravity) K(sin^2(a / 2)) for
    the amplitude a with the complete elliptic integral K, and turns over the top above the energy
    2 gravity length. Without damping the energy is conserved.

    Good values to start with: gravity 9.81 m/s^2, length 1 m, damping 0 (1/s), dt = 0.02 s with
    `diffrax.Tsit5`.

    Source: Landau and Lifshitz, Mechanics, 3rd edition, 1976, section 11 (the period at any amplitude).
    """

    gravity: Float[Array, ""] | float = eqx.field(converter=parameter, default=9.81)
    length: Float[Array, ""] | float = eqx.field(converter=parameter, default=1.0)
    damping: Float[Array, ""] | float = eqx.field(converter=parameter, default=0.0)
    grid: Grid = eqx.field(static=True, default=Grid((), ()))
    name: ClassVar[str] = "pendulum"
    channels: ClassVar[tuple[str, ...]] = ("angle", "rate")
    units: ClassVar[str] = "SI: rad, rad/s, s"

    def __check_init__(self):
        check_point(self)
        check_parameter("length", self.length, sign="positive")
        for name in ("gravity", "damping"):
            check_parameter(name, getattr(self, name), sign="non_negative")

    def vector_field(self, t: Scalar, u: Float[Array, " c"], args: PyTree = None) -> Float[Array, " c"]:
        """The two right-hand sides."""
        angle, rate = u
        return jnp.stack([rate, -self.gravity / self.length * jnp.sin(angle) - self.damping * rate])

    def sample_initial(self, key: PRNGKeyArray) -> Float[Array, " c"]:
        """At rest at an angle between -0.9 pi and 0.9 pi."""
        angle = jax.random.uniform(key, minval=-0.9 * jnp.pi, maxval=0.9 * jnp.pi)
        return jnp.stack([angle, jnp.zeros_like(angle)])

    def invariants(self, u: Float[Array | np.ndarray, " c"]) -> dict[str, Float[Array, ""]]:
        """The energy per mass, where there is no damping."""
        conserved = is_concrete(self.damping) and not np.any(self.damping)
        return {"energy": self.budgets(u)["energy"]["value"]} if conserved else {}

    def budgets(self, u: Float[Array | np.ndarray, " c"]) -> dict[str, dict[str, Float[Array, ""]]]:
        """Energy per mass (m^2/s^2), counted from the hanging state, and what friction takes."""
        angle, rate = jnp.asarray(u)
        moving = 0.5 * (self.length * rate) ** 2
        value = moving + self.gravity * self.length * (1 - jnp.cos(angle))
        return {"energy": {"value": value, "friction": -2 * self.damping * moving}}

    @property
    def recommended_dt(self) -> float:
        """0.02."""
        return 0.02
