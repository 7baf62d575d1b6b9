"""The barotropic vorticity equation on a beta plane: the oldest weather model, Rossby waves and zonal jets."""

from collections.abc import Mapping
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, PRNGKeyArray, PyTree

from physics.arguments import Scalar, check_parameter, parameter
from physics.grid import Grid
from physics.random_fields import GaussianField
from physics.spectral import to_spectral
from physics.system import Reflection, SemilinearSystem, Symmetries
from physics.vorticity import advection, energy_and_enstrophy, inverse_wavenumber_squared, velocity


class BarotropicVorticity(SemilinearSystem):
    r"""w_t + u w_x + v w_y + beta v = nu (w_xx + w_yy) - drag w on a doubly periodic beta plane, non-dimensional.

    State: ``(Nx, Ny, 1)``, the channel ``vorticity`` w = v_x - u_y, relative to the planet's rotation; axis 0 is x
    (east), axis 1 is y (north), the Coriolis parameter is f_0 + beta y. The mean is zero and conserved.

    What one sees: eddies merge as in plane turbulence, until they are as large as the Rhines scale
    sqrt(2 U / beta); from there on they radiate Rossby waves, whose crests travel west, and arrange themselves in
    eastward and westward jets. A plane wave exp(i (k x + l y - omega t)) is an exact solution with omega = -beta k /
    (k^2 + l^2), damped by viscosity and drag.

    Good values to start with: box 2 pi x 2 pi, 96 x 96 points, beta 10, viscosity 5e-3, drag 0, dt = 0.01 (from t = 1
    on, twice the points change the vorticity by 0.3% in one time unit; twice 64 x 64 points by 2%).

    Source: Charney, Fjortoft and von Neumann, 1950, Tellus 2; waves: Rossby, 1939, J. Mar. Res. 2; jets: Rhines, 1975,
    J. Fluid Mech. 69.
    """

    grid: Grid = eqx.field(static=True)
    beta: Float[Array, ""] | float = eqx.field(converter=parameter, default=10.0)
    viscosity: Float[Array, ""] | float = eqx.field(converter=parameter, default=5e-3)
    drag: Float[Array, ""] | float = eqx.field(converter=parameter, default=0.0)
    name: ClassVar[str] = "barotropic_vorticity"
    channels: ClassVar[tuple[str, ...]] = ("vorticity",)
    chaotic: ClassVar[bool] = True
    dissipative: ClassVar[bool] = True
    # Without forcing there is nothing to settle to.
    default_dataset: ClassVar[Mapping[str, object]] = {"spin_up": 1.0, "stride": 0.5}
    example_grid: ClassVar[Grid] = Grid((96, 96), (2 * np.pi, 2 * np.pi))

    def __check_init__(self):
        if self.grid.ndim != 2:
            raise ValueError(f"BarotropicVorticity needs 2 axes, not {self.grid.ndim}: Grid((64, 64), (6.28, 6.28)).")
        check_parameter("beta", self.beta, sign="any")
        check_parameter("viscosity", self.viscosity, sign="non_negative")
        check_parameter("drag", self.drag, sign="non_negative")

    def linear_symbol(self) -> Array | np.ndarray:
        """i beta kx / |k|^2 - nu |k|^2 - drag."""
        k2 = self.grid.wavenumber_squared
        waves = 1j * self.grid.odd_wavenumbers[0] * inverse_wavenumber_squared(self.grid)
        return (self.beta * waves - self.viscosity * k2 - self.drag)[None]

    def nonlinear(
        self, t: Scalar, u_hat: Complex[Array, " c *spectrum"], args: PyTree = None
    ) -> Complex[Array, " c *spectrum"]:
        """-(u w_x + v w_y)."""
        return advection(u_hat[0], self.grid)[None]

    def velocity(self, w: Float[Array | np.ndarray, "nx ny 1"]) -> Float[Array, "nx ny 2"]:
        """The divergence-free velocity (u, v), eastward and northward, of a vorticity field."""
        return velocity(w, self.grid)

    def rossby_frequency(
        self,
        k: float | int | Array | np.ndarray,
        l: float | int | Array | np.ndarray,  # noqa: E741
    ) -> float | int | Array | np.ndarray:
        """omega = -beta k / (k^2 + l^2) of the wave exp(i (k x + l y - omega t)); negative: crests move west."""
        return -self.beta * k / (k**2 + l**2)

    def sample_initial(self, key: PRNGKeyArray) -> Float[Array, "*shape c"]:
        """Gaussian vorticity of standard deviation 2 with most of its enstrophy at 4 to 5 waves per box.

        Its spectrum per wave is proportional to k^6 exp(-3 k^2 / k_0^2), k_0 four waves per longest side.
        """
        k0 = 4.0 * 2 * np.pi / max(self.grid.extent)
        return GaussianField(self.grid, lambda k: (k / k0) ** 6 * np.exp(-3 * (k / k0) ** 2), std=2.0).sample(key)

    def invariants(self, u: Float[Array | np.ndarray, "*shape c"]) -> dict[str, Float[Array, ""]]:
        """The mean vorticity."""
        return {"mean": jnp.mean(u)}

    def budgets(self, u: Float[Array | np.ndarray, "*shape c"]) -> dict[str, dict[str, Float[Array, ""]]]:
        """Energy |u|^2/2 and enstrophy w^2/2 per unit area: dissipation and drag; beta changes neither."""
        w_hat = to_spectral(u, self.grid)[0]
        rates = {
            "dissipation": -self.viscosity * jnp.asarray(self.grid.wavenumber_squared, w_hat.real.dtype) * w_hat,
            "drag": -self.drag * w_hat,
        }
        return energy_and_enstrophy(w_hat, rates, self.grid)

    @property
    def symmetries(self) -> Symmetries:
        """All shifts (beta has no place of its own), and y -> -y with w -> -w; no mirror of x: waves go west."""
        return Symmetries(shift_axes=(0, 1), reflections=(Reflection(axis=1, signs=(-1.0,)),))

    @property
    def recommended_dt(self) -> float:
        """Half a spacing at unit speed, at most 0.01."""
        return min(0.01, 0.5 * min(self.grid.spacing))
