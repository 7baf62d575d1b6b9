"""The viscous Burgers equation: steepening against diffusion."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, PRNGKeyArray, PyTree

from physics.arguments import Scalar, check_parameter, parameter
from physics.grid import Grid
from physics.random_fields import BandLimitedField
from physics.spectral import derivative, derivative_of_square
from physics.system import Reflection, SemilinearSystem, Symmetries


class Burgers(SemilinearSystem):
    r"""u_t = -u u_x + nu u_xx on a periodic interval, non-dimensional (Burgers, 1948).

    State: ``(N, 1)``, the channel ``u`` (velocity). The mean is conserved.

    What one sees: slopes steepen into fronts about nu / (jump of u) wide, which run into each other and
    merge while the energy decays. The Cole-Hopf transformation solves it exactly.

    Good values to start with: L = 2 pi, 128 points, viscosity 0.02 to 0.1, |u| near 1, dt = 0.01. A front
    narrower than two grid spacings rings: raise the viscosity or the number of points.

    Source: Burgers (1948), Adv. Appl. Mech. 1; solution: Hopf (1950), Comm. Pure Appl. Math. 3; Cole (1951), Quart.
    Appl. Math. 9.
    """

    grid: Grid = eqx.field(static=True)
    viscosity: Float[Array, ""] | float = eqx.field(converter=parameter, default=0.05)
    name: ClassVar[str] = "burgers"
    channels: ClassVar[tuple[str, ...]] = ("u",)
    dissipative: ClassVar[bool] = True
    example_grid: ClassVar[Grid] = Grid((128,), (2 * np.pi,))

    def __check_init__(self):
        if self.grid.ndim != 1:
            raise ValueError(f"Burgers needs a grid with 1 axis, not {self.grid.ndim}: Grid((128,), (6.2832,)).")
        check_parameter("viscosity", self.viscosity, sign="non_negative")

    def linear_symbol(self) -> Array | np.ndarray:
        """-nu k^2."""
        return -self.viscosity * self.grid.wavenumber_squared[None]

    def nonlinear(
        self, t: Scalar, u_hat: Complex[Array, " c *spectrum"], args: PyTree = None
    ) -> Complex[Array, " c *spectrum"]:
        """-(u^2 / 2)_x."""
        return derivative_of_square(u_hat, self.grid, -0.5)

    def sample_initial(self, key: PRNGKeyArray) -> Float[Array, "*shape c"]:
        """Zero-mean Gaussian waves with modes 1 to 4 and standard deviation 0.5."""
        return BandLimitedField(self.grid, 4, std=0.5).sample(key)

    def invariants(self, u: Float[Array | np.ndarray, "*shape c"]) -> dict[str, Float[Array, ""]]:
        """The mean."""
        return {"mean": jnp.mean(u)}

    def budgets(self, u: Float[Array | np.ndarray, "*shape c"]) -> dict[str, dict[str, Float[Array, ""]]]:
        """Energy u^2/2 per unit length: dissipation -nu <u_x^2>."""
        dissipation = -self.viscosity * jnp.mean(derivative(u, self.grid) ** 2)
        return {"energy": {"value": 0.5 * jnp.mean(jnp.asarray(u) ** 2), "dissipation": dissipation}}

    @property
    def symmetries(self) -> Symmetries:
        """Shifts, and x -> -x with u -> -u."""
        return Symmetries(shift_axes=(0,), reflections=(Reflection(axis=0, signs=(-1.0,)),))

    @property
    def recommended_dt(self) -> float:
        """Half a spacing at unit speed, at most 0.01."""
        return min(0.01, 0.5 * self.grid.spacing[0])
