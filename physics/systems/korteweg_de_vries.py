"""The Korteweg-de Vries equation: waves that outrun their dispersion."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, PRNGKeyArray, PyTree

from physics.arguments import Scalar
from physics.grid import Grid
from physics.random_fields import BandLimitedField
from physics.spectral import dealias, derivative, derivative_of_square
from physics.system import SemilinearSystem, Symmetries


class KortewegDeVries(SemilinearSystem):
    r"""u_t = -6 u u_x - u_xxx on a periodic interval, non-dimensional (Korteweg and de Vries, 1895).

    State: ``(N, 1)``, the channel ``u`` (elevation). Mass, momentum and energy are conserved.

    What one sees: bumps break into solitons 2 kappa^2 sech^2(kappa (x - 4 kappa^2 t)), the taller the
    faster, which pass through each other and keep their shape.

    Good values to start with: L = 40, 128 points, dt = 0.002, heights near 1. The symbol i k^3 is
    imaginary, so coefficients that keep only its real part lose their order (Kassam and Trefethen, 2005,
    treat it on a circle).

    Source: Korteweg and de Vries (1895), Phil. Mag. 39; solitons: Zabusky and Kruskal (1965), Phys. Rev. Lett. 15.
    """

    grid: Grid = eqx.field(static=True)
    name: ClassVar[str] = "korteweg_de_vries"
    channels: ClassVar[tuple[str, ...]] = ("u",)
    example_grid: ClassVar[Grid] = Grid((128,), (40.0,))

    def __check_init__(self):
        if self.grid.ndim != 1:
            raise ValueError(f"KortewegDeVries needs a grid with 1 axis, not {self.grid.ndim}: Grid((128,), (40.0,)).")

    def linear_symbol(self) -> Array | np.ndarray:
        """-(ik)^3 = i k^3."""
        (k,) = self.grid.odd_wavenumbers
        return (1j * k**3)[None]

    def nonlinear(
        self, t: Scalar, u_hat: Complex[Array, " c *spectrum"], args: PyTree = None
    ) -> Complex[Array, " c *spectrum"]:
        """-(3 u^2)_x."""
        return derivative_of_square(u_hat, self.grid, -3.0)

    def soliton(self, kappa: float, position: float, time: float = 0.0) -> Float[Array, "*shape c"]:
        """2 kappa^2 sech^2(kappa (x - position - 4 kappa^2 time)), wrapped around the box."""
        (x,), (length,) = self.grid.coordinates(), self.grid.extent
        distance = (x - position - 4 * kappa**2 * time + length / 2) % length - length / 2
        return jnp.asarray(2 * kappa**2 / np.cosh(kappa * distance) ** 2)[:, None]

    def sample_initial(self, key: PRNGKeyArray) -> Float[Array, "*shape c"]:
        """Zero-mean Gaussian waves with modes 1 to 4 and standard deviation 0.5."""
        return BandLimitedField(self.grid, 4, std=0.5).sample(key)

    def invariants(self, u: Float[Array | np.ndarray, "*shape c"]) -> dict[str, Float[Array, ""]]:
        """Per unit length: mass <u>, momentum <u^2>, energy <u_x^2 / 2 - u^3>.

        The cubic part is that of the dealiased field: the one which the discrete flow conserves.
        """
        u = jnp.asarray(u)
        slope, kept = derivative(u, self.grid), dealias(u, self.grid)
        return {"mass": jnp.mean(u), "momentum": jnp.mean(u**2), "energy": jnp.mean(slope**2 / 2 - kept**3)}

    @property
    def symmetries(self) -> Symmetries:
        """Shifts. A mirror image runs backwards in time, so there is no reflection."""
        return Symmetries(shift_axes=(0,))

    @property
    def recommended_dt(self) -> float:
        """A thirtieth of the third power of the spacing, between 2e-4 and 2e-3."""
        return float(np.clip(self.grid.spacing[0] ** 3 / 30, 2e-4, 2e-3))
