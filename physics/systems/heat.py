"""The heat equation: differences even out, the smallest first."""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact, PRNGKeyArray

from physics.arguments import check_axes, check_parameter, parameter
from physics.grid import Grid
from physics.random_fields import BandLimitedField
from physics.spectral import laplacian
from physics.system import SemilinearSystem, Symmetries


class Heat(SemilinearSystem):
    r"""u_t = kappa laplacian(u) on 1, 2 or 3 axes, non-dimensional.

    State: ``(*grid.shape, 1)``, the channel ``u`` (temperature); ``diffusivity`` is kappa. Boundaries: periodic,
    held at zero (Dirichlet) or insulated (Neumann); the mean is conserved unless one is held.

    What one sees: every wave decays as exp(-kappa k^2 t), short ones first, towards the uniform mean. Every step is
    exact, whatever its length.

    Good values to start with: L = 2 pi, 64 points, diffusivity 0.1, times up to 10.

    Source: Fourier (1822), Theorie analytique de la chaleur.
    """

    grid: Grid = eqx.field(static=True)
    diffusivity: Float[Array, ""] | float = eqx.field(converter=parameter, default=0.1)
    name: ClassVar[str] = "heat"
    channels: ClassVar[tuple[str, ...]] = ("u",)
    dissipative: ClassVar[bool] = True
    boundaries: ClassVar[tuple[str, ...]] = ("periodic", "dirichlet", "neumann")

    def __check_init__(self):
        check_axes("Heat", self.grid.ndim)
        check_parameter("diffusivity", self.diffusivity)

    def linear_symbol(self) -> Any:
        """-kappa k^2."""
        return -self.diffusivity * self.grid.wavenumber_squared[None]

    def nonlinear(
        self, t: Any, u_hat: Inexact[Array, "c *spectrum"], args: Any = None
    ) -> Inexact[Array, "c *spectrum"]:
        """Nothing."""
        return jnp.zeros_like(u_hat)

    def sample_initial(self, key: PRNGKeyArray) -> Float[Array, "*shape c"]:
        """Zero-mean Gaussian waves with modes 1 to 4 and standard deviation 1."""
        return BandLimitedField(self.grid, 4).sample(key)

    def invariants(self, u: Float[Array | np.ndarray, "*shape c"]) -> dict[str, Float[Array, ""]]:
        """The mean, unless a boundary is held at zero."""
        return {} if "dirichlet" in self.grid.boundary else {"mean": jnp.mean(u)}

    def budgets(self, u: Float[Array | np.ndarray, "*shape c"]) -> dict[str, dict[str, Float[Array, ""]]]:
        """Variance <u^2>/2: dissipation -kappa <|grad u|^2>."""
        dissipation = self.diffusivity * jnp.mean(u * laplacian(u, self.grid))
        return {"variance": {"value": 0.5 * jnp.mean(jnp.asarray(u) ** 2), "dissipation": dissipation}}

    @property
    def symmetries(self) -> Symmetries:
        """Shifts and mirror images."""
        return Symmetries.of_scalars(self.grid)

    @property
    def recommended_dt(self) -> float:
        """0.1: only how often one wants to look."""
        return 0.1
