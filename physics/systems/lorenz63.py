"""Lorenz's three equations of convection: chaos without space, through ordinary diffrax solvers."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from physics.arguments import Scalar, check_parameter, check_point, parameter
from physics.grid import Grid
from physics.system import System


class Lorenz63(System):
    r"""x' = sigma (y - x), y' = x (rho - z) - y, z' = x y - beta z, non-dimensional (Lorenz, 1963).

    State: ``(3,)``, the channels ``x``, ``y``, ``z`` at the one point of ``Grid((), ())``. (x, y) -> (-x,
    -y) is a symmetry.

    What one sees: orbits around one of two wings, with irregular changes to the other.

    Good values to start with: sigma 10, rho 28, beta 8/3 (leading Lyapunov exponent 0.906; Sprott, 2003),
    dt = 0.01 with `diffrax.Tsit5`.

    Source: Lorenz (1963), J. Atmos. Sci. 20; exponent: Sprott, Chaos and Time-Series Analysis, 2003.
    """

    sigma: Float[Array, ""] | float = eqx.field(converter=parameter, default=10.0)
    rho: Float[Array, ""] | float = eqx.field(converter=parameter, default=28.0)
    beta: Float[Array, ""] | float = eqx.field(converter=parameter, default=8.0 / 3.0)
    grid: Grid = eqx.field(static=True, default=Grid((), ()))
    name: ClassVar[str] = "lorenz63"
    channels: ClassVar[tuple[str, ...]] = ("x", "y", "z")
    chaotic: ClassVar[bool] = True
    dissipative: ClassVar[bool] = True

    def __check_init__(self):
        check_point(self)
        for name in ("sigma", "rho", "beta"):
            check_parameter(name, getattr(self, name), sign="non_negative")

    def vector_field(self, t: Scalar, u: Float[Array, " c"], args: PyTree = None) -> Float[Array, " c"]:
        """The three right-hand sides."""
        x, y, z = u
        return jnp.stack([self.sigma * (y - x), x * (self.rho - z) - y, x * y - self.beta * z])

    def sample_initial(self, key: PRNGKeyArray) -> Float[Array, " c"]:
        """A normal cloud of standard deviation 5 around (0, 0, rho - 1), between the wings."""
        return 5.0 * jax.random.normal(key, (3,)) + jnp.stack([0.0, 0.0, self.rho - 1.0])

    def budgets(self, u: Float[Array | np.ndarray, " c"]) -> dict[str, dict[str, Float[Array, ""]]]:
        """Lorenz's energy (x^2 + y^2 + (z - sigma - rho)^2) / 2: friction, and input by the offset."""
        x, y, z = jnp.asarray(u)
        top = self.sigma + self.rho
        return {
            "energy": {
                "value": 0.5 * (x**2 + y**2 + (z - top) ** 2),
                "friction": -self.sigma * x**2 - y**2 - self.beta * z**2,
                "input": self.beta * top * z,
            }
        }

    @property
    def recommended_dt(self) -> float:
        """0.01."""
        return 0.01
