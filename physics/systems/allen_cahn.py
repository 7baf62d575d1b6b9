"""The Allen-Cahn equation: two phases without a conservation law, and interfaces that shrink by their curvature."""

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


class AllenCahn(SemilinearSystem):
    r"""u_t = eps^2 laplacian(u) + u - u^3 on 1, 2 or 3 axes, non-dimensional.

    State: ``(*grid.shape, 1)``, the channel ``u`` (order parameter, -1 and 1 in the two phases); ``interface_width`` is
    eps. Boundaries: periodic, held at zero (Dirichlet) or free (Neumann). The equation is the steepest descent of the
    energy <eps^2 |grad u|^2 / 2 + (u^2 - 1)^2 / 4>.

    What one sees: noise separates into domains of -1 and 1 within a few time units, joined by fronts
    tanh(x / (sqrt(2) eps)). In one dimension they then rest; in two and three they move at eps^2 times their
    curvature, so that small domains vanish and large ones become round.

    Good values to start with: L = 2 pi, 64 points per axis, eps = 0.2, dt = 0.1. Waves up to a quarter of the
    points enter the cube: a spacing of eps / 2 resolves the fronts to 1e-3, eps / 4 to 1e-6.

    Source: Allen and Cahn (1979), Acta Metallurgica 27.
    """

    grid: Grid = eqx.field(static=True)
    interface_width: Float[Array, ""] | float = eqx.field(converter=parameter, default=0.2)
    name: ClassVar[str] = "allen_cahn"
    channels: ClassVar[tuple[str, ...]] = ("u",)
    dissipative: ClassVar[bool] = True
    boundaries: ClassVar[tuple[str, ...]] = ("periodic", "dirichlet", "neumann")
    example_grid: ClassVar[Grid] = Grid((64,), (2 * np.pi,))

    def __check_init__(self):
        check_axes("AllenCahn", self.grid.ndim)
        check_parameter("interface_width", self.interface_width, sign="non_negative")

    def linear_symbol(self) -> Array | np.ndarray:
        """1 - eps^2 k^2."""
        return 1.0 - self.interface_width**2 * self.grid.wavenumber_squared[None]

    def nonlinear(
        self, t: Scalar, u_hat: Inexact[Array, " c *spectrum"], args: PyTree = None
    ) -> Inexact[Array, " c *spectrum"]:
        """-u^3."""
        return polynomial(lambda u: -(u**3), u_hat, self.grid, 3)

    def sample_initial(self, key: PRNGKeyArray) -> Float[Array, "*shape c"]:
        """Zero-mean Gaussian noise of standard deviation 0.1, smooth on the width of a front."""
        eps = self.interface_width
        return GaussianField(self.grid, lambda k: (k > 0) * jnp.exp(-2 * (eps * k) ** 2), std=0.1).sample(key)

    def budgets(self, u: Float[Array | np.ndarray, "*shape c"]) -> dict[str, dict[str, Float[Array, ""]]]:
        """Energy per unit volume: dissipation -<u_t^2>.

        The fourth power is that of the dealiased field: the one whose descent the discrete flow is.
        """
        u, kept = jnp.asarray(u), dealias(u, self.grid, 3)
        bending = -0.5 * self.interface_width**2 * jnp.mean(u * laplacian(u, self.grid))
        wells = 0.25 * jnp.mean(kept**4) - 0.5 * jnp.mean(u**2) + 0.25
        return {"energy": {"value": bending + wells, "dissipation": -jnp.mean(self.vector_field(0.0, u) ** 2)}}

    @property
    def symmetries(self) -> Symmetries:
        """Shifts and mirror images; u -> -u, too, which has no place in `Symmetries`."""
        return Symmetries.of_scalars(self.grid)

    @property
    def recommended_dt(self) -> float:
        """0.1: the reaction's own time is 1."""
        return 0.1
