"""The Swift-Hohenberg equation: rolls and hexagons of one length, the model of pattern formation."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact, PRNGKeyArray, PyTree

from physics.arguments import Scalar, check_axes, check_parameter, parameter
from physics.grid import Grid
from physics.random_fields import GaussianField
from physics.spectral import dealias, laplacian, polynomial
from physics.system import SemilinearSystem, Symmetries


class SwiftHohenberg(SemilinearSystem):
    r"""u_t = r u - (1 + laplacian)^2 u + g u^2 - u^3 on 1, 2 or 3 axes, non-dimensional.

    State: ``(*grid.shape, 1)``, the channel ``u`` (the convecting fluid's vertical velocity); ``control`` is r, the
    distance from the onset, ``quadratic`` is g. Boundaries: periodic or free (Neumann). The equation is the steepest
    descent of the energy <((1 + laplacian) u)^2 / 2 - r u^2 / 2 - g u^3 / 3 + u^4 / 4>.

    What one sees: waves with (1 - k^2)^2 < r grow and saturate into rolls 2 pi long, 2 sqrt(r / 3) high near the onset;
    in two dimensions a labyrinth with defects that heal ever more slowly, or with g near 1 hexagons.

    Good values to start with: L = 16 pi, 64 points per axis, r = 0.3, g = 0, dt = 0.1, times up to 200. Waves up to a
    quarter of the points enter the cube.

    Source: Swift and Hohenberg (1977), Phys. Rev. A 15; amplitude: Cross and Hohenberg (1993), Rev. Mod. Phys. 65.
    """

    grid: Grid = eqx.field(static=True)
    control: Float[Array, ""] | float = eqx.field(converter=parameter, default=0.3)
    quadratic: Float[Array, ""] | float = eqx.field(converter=parameter, default=0.0)
    name: ClassVar[str] = "swift_hohenberg"
    channels: ClassVar[tuple[str, ...]] = ("u",)
    dissipative: ClassVar[bool] = True
    boundaries: ClassVar[tuple[str, ...]] = ("periodic", "neumann")
    example_grid: ClassVar[Grid] = Grid((64,), (16 * np.pi,))

    def __check_init__(self):
        check_axes("SwiftHohenberg", self.grid.ndim)
        check_parameter("control", self.control, sign="any")
        check_parameter("quadratic", self.quadratic, sign="any")

    def linear_symbol(self) -> Array | np.ndarray:
        """r - (1 - k^2)^2."""
        return self.control - (1.0 - self.grid.wavenumber_squared[None]) ** 2

    def nonlinear(
        self, t: Scalar, u_hat: Inexact[Array, " c *spectrum"], args: PyTree = None
    ) -> Inexact[Array, " c *spectrum"]:
        """g u^2 - u^3."""
        return polynomial(lambda u: self.quadratic * u**2 - u**3, u_hat, self.grid, 3)

    def sample_initial(self, key: PRNGKeyArray) -> Float[Array, "*shape c"]:
        """Zero-mean Gaussian noise of standard deviation 0.1 around the critical wavenumber 1."""
        return GaussianField(self.grid, lambda k: (k > 0) * np.exp(-2 * (k - 1) ** 2), std=0.1).sample(key)

    def budgets(self, u: Float[Array | np.ndarray, "*shape c"]) -> dict[str, dict[str, Float[Array, ""]]]:
        """Energy per unit volume: dissipation -<u_t^2>.

        The third and fourth powers are those of the dealiased field: the ones whose descent the discrete flow is.
        """
        u, kept = jnp.asarray(u), dealias(u, self.grid, 3)
        bending = 0.5 * jnp.mean((u + laplacian(u, self.grid)) ** 2) - 0.5 * self.control * jnp.mean(u**2)
        powers = 0.25 * jnp.mean(kept**4) - self.quadratic / 3 * jnp.mean(kept**3)
        return {"energy": {"value": bending + powers, "dissipation": -jnp.mean(self.vector_field(0.0, u) ** 2)}}

    @property
    def symmetries(self) -> Symmetries:
        """Shifts and mirror images; for g = 0 u -> -u, too, which has no place in `Symmetries`."""
        return Symmetries.of_scalars(self.grid)

    @property
    def recommended_dt(self) -> float:
        """0.1."""
        return 0.1
