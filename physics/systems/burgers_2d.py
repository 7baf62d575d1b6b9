"""The viscous Burgers equation in the plane: velocity that advects itself into sheets."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, PRNGKeyArray, PyTree

from physics.arguments import Scalar, check_parameter, parameter
from physics.grid import Grid
from physics.random_fields import BandLimitedField
from physics.spectral import dealias, gradient, laplacian, polynomial, times_i
from physics.system import Reflection, SemilinearSystem, Symmetries


class Burgers2D(SemilinearSystem):
    r"""u_t = -(u . grad) u + nu laplacian(u) for the velocity u = (u, v) on a doubly periodic box, non-dimensional.

    State: ``(Nx, Ny, 2)``, the channels ``u`` (along axis 0) and ``v`` (along axis 1). There is no pressure: the fluid
    is compressible without resistance. ``viscosity`` is nu.

    What one sees: velocity steepens into thin sheets which meet in nodes, and the cells between them grow: the
    adhesion model of the cosmic web (Gurbatov, Saichev and Shandarin, 1989). A velocity without vorticity stays so, and
    the Cole-Hopf transformation u = -2 nu grad(log theta), theta_t = nu laplacian(theta), solves it exactly.

    Good values to start with: box 2 pi x 2 pi, 64 x 64 points, viscosity 0.1, |u| near 1, dt = 0.01.

    Source: Burgers (1948); the transformation: Cole (1951), Quart. Appl. Math. 9.
    """

    grid: Grid = eqx.field(static=True)
    viscosity: Float[Array, ""] | float = eqx.field(converter=parameter, default=0.1)
    name: ClassVar[str] = "burgers_2d"
    channels: ClassVar[tuple[str, ...]] = ("u", "v")
    dissipative: ClassVar[bool] = True
    example_grid: ClassVar[Grid] = Grid((64, 64), (2 * np.pi, 2 * np.pi))

    def __check_init__(self):
        if self.grid.ndim != 2:
            raise ValueError(f"Burgers2D needs 2 axes, not {self.grid.ndim}: Grid((64, 64), (6.28, 6.28)).")
        check_parameter("viscosity", self.viscosity, sign="non_negative")

    def linear_symbol(self) -> Array | np.ndarray:
        """-nu k^2."""
        return -self.viscosity * self.grid.wavenumber_squared[None]

    def nonlinear(
        self, t: Scalar, u_hat: Complex[Array, " c *spectrum"], args: PyTree = None
    ) -> Complex[Array, " c *spectrum"]:
        """-(u u_x + v u_y, u v_x + v v_y) = -((u^2 + v^2) / 2)_x + v w, -((u^2 + v^2) / 2)_y - u w, w = v_x - u_y."""
        x, y = (jnp.asarray(k, u_hat.real.dtype) for k in self.grid.odd_wavenumbers)
        spectra = jnp.concatenate([u_hat, (times_i(x, u_hat[1]) - times_i(y, u_hat[0]))[None]])

        def products(w: Array) -> Array:
            u, v, vorticity = w
            return jnp.stack([0.5 * (u * u + v * v), v * vorticity, u * vorticity])

        half_square, v_w, u_w = polynomial(products, spectra, self.grid, 2)
        return jnp.stack([v_w - times_i(x, half_square), -u_w - times_i(y, half_square)])

    def sample_initial(self, key: PRNGKeyArray) -> Float[Array, "*shape c"]:
        """Zero-mean Gaussian waves with modes 1 to 4, each component of standard deviation 0.5."""
        return BandLimitedField(self.grid, 4, std=0.5, channels=2).sample(key)

    def budgets(self, u: Float[Array | np.ndarray, "*shape c"]) -> dict[str, dict[str, Float[Array, ""]]]:
        """Energy |u|^2/2 per unit area: compression <|u|^2 div u>/2 (of the dealiased field), dissipation."""
        u, kept = jnp.asarray(u), dealias(u, self.grid)
        slopes = gradient(kept, self.grid)
        compression = 0.5 * jnp.mean(jnp.sum(kept**2, -1) * (slopes[..., 0, 0] + slopes[..., 1, 1]))
        dissipation = self.viscosity * jnp.mean(jnp.sum(u * laplacian(u, self.grid), -1))
        value = 0.5 * jnp.mean(jnp.sum(u**2, -1))
        return {"energy": {"value": value, "compression": compression, "dissipation": dissipation}}

    @property
    def symmetries(self) -> Symmetries:
        """Shifts, and the mirror of each axis, which turns the velocity along it."""
        return Symmetries((0, 1), (Reflection(0, (-1.0, 1.0)), Reflection(1, (1.0, -1.0))))

    @property
    def recommended_dt(self) -> float:
        """Half a spacing at unit speed, at most 0.01."""
        return min(0.01, 0.5 * min(self.grid.spacing))
