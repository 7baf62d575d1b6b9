"""Rotating shallow water: vortices in balance with the height of the surface, and the waves that restore it."""

from collections.abc import Mapping
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, PRNGKeyArray, PyTree

from physics.arguments import Scalar, check_parameter, is_zero, parameter
from physics.grid import Grid
from physics.random_fields import GaussianField
from physics.spectral import derivative, inverse_transform_pair, laplacian, times, times_i, transform
from physics.system import Reflection, SemilinearSystem, Symmetries


class ShallowWater(SemilinearSystem):
    r"""u_t + (u . grad) u + f e_z x u = -g grad eta + nu lap u, eta_t + div((H + eta) u) = nu lap eta; doubly periodic.

    State: ``(Nx, Ny, 3)``, the channels ``u``, ``v`` (velocity along x and y) and ``height`` (eta, the surface over its
    mean, which is conserved; the depth H + eta must stay positive). Non-dimensional. f is ``coriolis``, g
    ``gravity``, H ``depth``; nu, the ``viscosity``, acts on all three alike, so that it damps balanced flow without
    throwing it off balance.

    What one sees: where the velocity is geostrophic, f e_z x u = -g grad eta, vortices drift and merge slowly; what
    is not balanced runs off in Poincare waves of frequency sqrt(f^2 + g H k^2), and without rotation steepens into
    bores. Potential vorticity (f + v_x - u_y) / (H + eta) goes with the water where nu = 0.

    The linear part, waves included, couples the channels and is exact in time; only advection limits the step.

    Good values to start with: box 2 pi x 2 pi, 96 x 96 points, coriolis 3, gravity 1, depth 1, viscosity 1e-3, dt =
    0.02 (from t = 1 on, twice the points change the state by 0.2% in one time unit; twice 64 x 64 points by 1%).

    Source: Vallis, 2017, Atmospheric and Oceanic Fluid Dynamics, chapter 3.
    """

    grid: Grid = eqx.field(static=True)
    coriolis: Float[Array, ""] | float = eqx.field(converter=parameter, default=3.0)
    gravity: Float[Array, ""] | float = eqx.field(converter=parameter, default=1.0)
    depth: Float[Array, ""] | float = eqx.field(converter=parameter, default=1.0)
    viscosity: Float[Array, ""] | float = eqx.field(converter=parameter, default=1e-3)
    name: ClassVar[str] = "shallow_water"
    channels: ClassVar[tuple[str, ...]] = ("u", "v", "height")
    chaotic: ClassVar[bool] = True
    dissipative: ClassVar[bool] = True
    # Without forcing there is nothing to settle to.
    default_dataset: ClassVar[Mapping[str, object]] = {"spin_up": 1.0, "stride": 0.5}
    example_grid: ClassVar[Grid] = Grid((96, 96), (2 * np.pi, 2 * np.pi))

    def __check_init__(self):
        if self.grid.ndim != 2:
            raise ValueError(f"ShallowWater needs 2 axes, not {self.grid.ndim}: Grid((64, 64), (6.28, 6.28)).")
        check_parameter("coriolis", self.coriolis, sign="any")
        check_parameter("depth", self.depth, sign="positive")
        for name in ("gravity", "viscosity"):
            check_parameter(name, getattr(self, name), sign="non_negative")

    def linear_symbol(self) -> Array | np.ndarray:
        """Rotation, pressure, divergence and viscosity: a matrix between the channels for every wave."""
        kx, ky = (np.broadcast_to(k, self.grid.spectral_shape) for k in self.grid.odd_wavenumbers)
        rotation, pressure, divergence = (np.zeros((3, 3, *self.grid.spectral_shape), complex) for _ in range(3))
        rotation[0, 1], rotation[1, 0] = 1.0, -1.0
        pressure[0, 2], pressure[1, 2] = -1j * kx, -1j * ky
        divergence[2, 0], divergence[2, 1] = -1j * kx, -1j * ky
        damping = -np.eye(3)[:, :, None, None] * self.grid.wavenumber_squared
        coupling = self.coriolis * rotation + self.gravity * pressure + self.depth * divergence
        return coupling + self.viscosity * damping

    def nonlinear(
        self, t: Scalar, u_hat: Complex[Array, " c *spectrum"], args: PyTree = None
    ) -> Complex[Array, " c *spectrum"]:
        """(zeta v - b_x, -zeta u - b_y, -div(eta u)) with zeta = v_x - u_y and b = (u^2 + v^2) / 2: nine transforms."""
        mask = self.grid.dealias_mask
        keep = jnp.asarray(mask, u_hat.real.dtype)
        x, y = (jnp.asarray(k * mask, u_hat.real.dtype) for k in self.grid.odd_wavenumbers)
        kept = times(keep, u_hat)
        u, v = inverse_transform_pair(kept[0], kept[1], self.grid)
        eta, zeta = inverse_transform_pair(kept[2], times_i(x, kept[1]) - times_i(y, kept[0]), self.grid)
        products = transform(jnp.stack([zeta * v, zeta * u, 0.5 * (u * u + v * v), eta * u, eta * v]), self.grid)
        of_u, of_v, b, flux_u, flux_v = products
        height = -times_i(x, flux_u) - times_i(y, flux_v)
        return jnp.stack([times(keep, of_u) - times_i(x, b), -times(keep, of_v) - times_i(y, b), height])

    def vorticity(self, u: Float[Array | np.ndarray, "nx ny 3"]) -> Float[Array, "nx ny"]:
        """v_x - u_y."""
        u = jnp.asarray(u)
        return (derivative(u[..., 1:2], self.grid, 0) - derivative(u[..., 0:1], self.grid, 1))[..., 0]

    def potential_vorticity(self, u: Float[Array | np.ndarray, "nx ny 3"]) -> Float[Array, "nx ny"]:
        """(f + v_x - u_y) / (H + eta)."""
        return (self.coriolis + self.vorticity(u)) / (self.depth + jnp.asarray(u)[..., 2])

    def geostrophic(self, height: Float[Array | np.ndarray, "nx ny 1"]) -> Float[Array, "nx ny 3"]:
        """The state in which the velocity balances the height: u = -g/f eta_y, v = g/f eta_x; at rest where f = 0."""
        f = jnp.asarray(self.coriolis)
        ratio = jnp.where(f == 0, 0.0, self.gravity / jnp.where(f == 0, 1.0, f))
        height = jnp.asarray(height)
        slope_x, slope_y = (derivative(height, self.grid, axis) for axis in (0, 1))
        return jnp.concatenate([-ratio * slope_y, ratio * slope_x, height], -1).astype(height.dtype)

    def sample_initial(self, key: PRNGKeyArray) -> Float[Array, "*shape c"]:
        """A Gaussian surface of standard deviation 0.15 H with most of its waves at 3 to 4 per box, in balance.

        Its spectrum per wave is proportional to k^4 exp(-k^2 / k_0^2), k_0 two and a half waves per longest side.
        """
        k0 = 2.5 * 2 * np.pi / max(self.grid.extent)
        field = GaussianField(self.grid, lambda k: (k / k0) ** 4 * np.exp(-((k / k0) ** 2)), std=1.0)
        return self.geostrophic(0.15 * self.depth * field.sample(key))

    def invariants(self, u: Float[Array | np.ndarray, "*shape c"]) -> dict[str, Float[Array, ""]]:
        """The mass per unit area, relative to that of the mean depth: the mean height."""
        return {"mass": jnp.mean(jnp.asarray(u)[..., 2])}

    def budgets(self, u: Float[Array | np.ndarray, "*shape c"]) -> dict[str, dict[str, Float[Array, ""]]]:
        """Per unit area: energy (H + eta) |u|^2 / 2 + g eta^2 / 2 and potential enstrophy (H + eta) q^2 / 2.

        q is the potential vorticity; both change by viscosity alone, up to waves that the 2/3 rule cuts off.
        """
        u = jnp.asarray(u)
        eta, h, q = u[..., 2], self.depth + u[..., 2], self.potential_vorticity(u)
        speed_squared = u[..., 0] ** 2 + u[..., 1] ** 2
        damping = self.viscosity * laplacian(u, self.grid)
        lost_height = (0.5 * speed_squared + self.gravity * eta) * damping[..., 2]
        lost_momentum = h * (u[..., 0] * damping[..., 0] + u[..., 1] * damping[..., 1])
        lost_vorticity = q * self.vorticity(damping) - 0.5 * q**2 * damping[..., 2]
        return {
            "energy": {
                "value": 0.5 * jnp.mean(h * speed_squared + self.gravity * eta**2),
                "dissipation": jnp.mean(lost_momentum + lost_height),
            },
            "potential_enstrophy": {"value": 0.5 * jnp.mean(h * q**2), "dissipation": jnp.mean(lost_vorticity)},
        }

    @property
    def symmetries(self) -> Symmetries:
        """All shifts; without rotation also the mirror of each axis, which turns the velocity along it.

        A traced ``coriolis`` counts as rotation.
        """
        mirrors: tuple[Reflection, ...] = (Reflection(0, (-1.0, 1.0, 1.0)), Reflection(1, (1.0, -1.0, 1.0)))
        rests = is_zero(self.coriolis)
        return Symmetries(shift_axes=(0, 1), reflections=mirrors if rests else ())

    @property
    def recommended_dt(self) -> float:
        """Half a spacing at unit speed, at most 0.02."""
        return min(0.02, 0.5 * min(self.grid.spacing))
