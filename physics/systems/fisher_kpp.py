"""The Fisher-KPP equation: a population that grows, spreads, and invades at a speed of its own."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact, PRNGKeyArray, PyTree

from physics.arguments import Scalar, check_axes, check_parameter, parameter
from physics.grid import Grid
from physics.random_fields import RandomBumps
from physics.spectral import dealias, polynomial
from physics.system import SemilinearSystem, Symmetries


class FisherKPP(SemilinearSystem):
    r"""u_t = D laplacian(u) + r u (1 - u) on 1, 2 or 3 axes, non-dimensional.

    State: ``(*grid.shape, 1)``, the channel ``u`` (population over its capacity, 0 to 1); ``diffusivity`` is D,
    ``growth`` is r. Boundaries: periodic, or without flux (Neumann).

    What one sees: every seed grows to 1 and spreads as a front of width sqrt(D / r) whose speed tends to 2 sqrt(D r);
    the fronts meet and u = 1 everywhere. With the speed 5 sqrt(D r / 6) the front has the closed form
    (1 + exp((x - c t) sqrt(r / (6 D))))^-2.

    Good values to start with: L = 50, 128 points per axis, D = 1, r = 1, dt = 0.05, times up to 20. u = 0 is unstable,
    to round-off too: in single precision it has grown to a hundredth after 10 / r, so the fronts should have filled
    the box soon after.

    Source: Fisher (1937), Ann. Eugenics 7; Kolmogorov, Petrovsky and Piskunov (1937); closed form: Ablowitz and
    Zeppetella (1979), Bull. Math. Biol. 41.
    """

    grid: Grid = eqx.field(static=True)
    diffusivity: Float[Array, ""] | float = eqx.field(converter=parameter, default=1.0)
    growth: Float[Array, ""] | float = eqx.field(converter=parameter, default=1.0)
    name: ClassVar[str] = "fisher_kpp"
    channels: ClassVar[tuple[str, ...]] = ("u",)
    dissipative: ClassVar[bool] = True
    boundaries: ClassVar[tuple[str, ...]] = ("periodic", "neumann")
    example_grid: ClassVar[Grid] = Grid((128,), (50.0,))

    def __check_init__(self):
        check_axes("FisherKPP", self.grid.ndim)
        check_parameter("diffusivity", self.diffusivity, sign="non_negative")
        check_parameter("growth", self.growth, sign="non_negative")

    def linear_symbol(self) -> Array | np.ndarray:
        """r - D k^2."""
        return self.growth - self.diffusivity * self.grid.wavenumber_squared[None]

    def nonlinear(
        self, t: Scalar, u_hat: Inexact[Array, " c *spectrum"], args: PyTree = None
    ) -> Inexact[Array, " c *spectrum"]:
        """-r u^2."""
        return -self.growth * polynomial(jnp.square, u_hat, self.grid, 2)

    def sample_initial(self, key: PRNGKeyArray) -> Float[Array, "*shape c"]:
        """Three seeds of height up to 1 at random places, a thirty-second of the shortest side wide."""
        return RandomBumps(self.grid, 3, width=min(self.grid.extent) / 32).sample(key)

    def budgets(self, u: Float[Array | np.ndarray, "*shape c"]) -> dict[str, dict[str, Float[Array, ""]]]:
        """Mean population: growth r <u>, saturation -r <u^2> (of the dealiased field)."""
        mean = jnp.mean(jnp.asarray(u))
        saturation = -self.growth * jnp.mean(dealias(u, self.grid) ** 2)
        return {"population": {"value": mean, "growth": self.growth * mean, "saturation": saturation}}

    @property
    def symmetries(self) -> Symmetries:
        """Shifts and mirror images."""
        return Symmetries.of_scalars(self.grid)

    @property
    def recommended_dt(self) -> float:
        """0.05: a twentieth of the growth time."""
        return 0.05
