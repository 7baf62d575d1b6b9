"""The Cahn-Hilliard equation: two phases that separate and coarsen while neither is lost."""

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


class CahnHilliard(SemilinearSystem):
    r"""u_t = laplacian(u^3 - u - eps^2 laplacian(u)) on 1, 2 or 3 axes, non-dimensional.

    State: ``(*grid.shape, 1)``, the channel ``u`` (composition, -1 and 1 in the two phases); ``interface_width`` is
    eps. Boundaries: periodic, or without flux (Neumann). The mean is conserved, the energy
    <eps^2 |grad u|^2 / 2 + (u^2 - 1)^2 / 4> falls.

    What one sees: a uniform mixture of composition c with 3 c^2 < 1 is unstable: waves grow at k^2 (1 - 3 c^2) -
    eps^2 k^4 (spinodal decomposition), saturate at the two phases, and the pattern coarsens as t^(1/3): a labyrinth
    for equal parts, droplets for unequal ones.

    Good values to start with: L = 2 pi, 128 points per axis, eps = 0.1, dt = eps^2 / 10, times up to 1000 eps^2. Add a
    constant to the initial field for droplets. Waves up to a quarter of the points enter the cube: a spacing of eps / 2
    resolves the fronts to 1e-3, eps / 4 to 1e-6.

    Source: Cahn and Hilliard (1958), J. Chem. Phys. 28; growth rates: Cahn (1961), Acta Metallurgica 9.
    """

    grid: Grid = eqx.field(static=True)
    interface_width: Float[Array, ""] | float = eqx.field(converter=parameter, default=0.1)
    name: ClassVar[str] = "cahn_hilliard"
    channels: ClassVar[tuple[str, ...]] = ("u",)
    dissipative: ClassVar[bool] = True
    boundaries: ClassVar[tuple[str, ...]] = ("periodic", "neumann")
    example_grid: ClassVar[Grid] = Grid((128,), (2 * np.pi,))

    def __check_init__(self):
        check_axes("CahnHilliard", self.grid.ndim)
        # With a width of 0 the shortest waves would grow without bound.
        check_parameter("interface_width", self.interface_width, sign="positive")

    def linear_symbol(self) -> Array | np.ndarray:
        """k^2 - eps^2 k^4."""
        k2 = self.grid.wavenumber_squared[None]
        return k2 - self.interface_width**2 * k2**2

    def nonlinear(
        self, t: Scalar, u_hat: Inexact[Array, " c *spectrum"], args: PyTree = None
    ) -> Inexact[Array, " c *spectrum"]:
        """laplacian(u^3)."""
        minus_k2 = jnp.asarray(-self.grid.wavenumber_squared, u_hat.real.dtype)
        return minus_k2 * polynomial(lambda u: u**3, u_hat, self.grid, 3)

    def chemical_potential(self, u: Float[Array | np.ndarray, "*shape c"]) -> Float[Array, "*shape c"]:
        """u^3 - u - eps^2 laplacian(u), with the dealiased cube."""
        cube = dealias(dealias(u, self.grid, 3) ** 3, self.grid, 3)
        return cube - u - self.interface_width**2 * laplacian(u, self.grid)

    def sample_initial(self, key: PRNGKeyArray) -> Float[Array, "*shape c"]:
        """Zero-mean Gaussian noise of standard deviation 0.1, smooth on the width of a front: a critical quench."""
        eps = self.interface_width
        return GaussianField(self.grid, lambda k: (k > 0) * jnp.exp(-2 * (eps * k) ** 2), std=0.1).sample(key)

    def invariants(self, u: Float[Array | np.ndarray, "*shape c"]) -> dict[str, Float[Array, ""]]:
        """The mean composition."""
        return {"mean": jnp.mean(u)}

    def budgets(self, u: Float[Array | np.ndarray, "*shape c"]) -> dict[str, dict[str, Float[Array, ""]]]:
        """Energy per unit volume: dissipation -<|grad mu|^2> by the chemical potential mu.

        The fourth power is that of the dealiased field: the one whose descent the discrete flow is.
        """
        u, kept = jnp.asarray(u), dealias(u, self.grid, 3)
        bending = -0.5 * self.interface_width**2 * jnp.mean(u * laplacian(u, self.grid))
        wells = 0.25 * jnp.mean(kept**4) - 0.5 * jnp.mean(u**2) + 0.25
        mu = self.chemical_potential(u)
        return {"energy": {"value": bending + wells, "dissipation": jnp.mean(mu * laplacian(mu, self.grid))}}

    @property
    def symmetries(self) -> Symmetries:
        """Shifts and mirror images; u -> -u, too, which has no place in `Symmetries`."""
        return Symmetries.of_scalars(self.grid)

    @property
    def recommended_dt(self) -> float:
        """1e-3, right for interfaces 0.1 wide; the equation's own time is the width squared."""
        return 1e-3
