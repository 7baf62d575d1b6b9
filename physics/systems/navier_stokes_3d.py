"""Three-dimensional incompressible flow: the Navier-Stokes equations for the velocity, decaying."""

from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, PRNGKeyArray, PyTree

from physics.arguments import Scalar, check_parameter, parameter
from physics.grid import Grid
from physics.random_fields import GaussianField
from physics.spectral import gradient, inverse_transform, laplacian, times, times_i, to_physical, to_spectral, transform
from physics.system import Reflection, SemilinearSystem, Symmetries
from physics.vorticity import inverse_wavenumber_squared


class NavierStokes3D(SemilinearSystem):
    r"""u_t + (u . grad) u = -grad p + nu lap u, div u = 0 on a triply periodic box, non-dimensional.

    State: ``(Nx, Ny, Nz, 3)``, the channels ``u``, ``v``, ``w`` (velocity along x, y, z). It must be divergence-free:
    `project` makes a field so. The mean velocity is conserved.

    What one sees: vortices stretch each other into thin tubes, energy runs down to smaller and smaller ones and is
    dissipated there. From the Taylor-Green vortices `taylor_green` at viscosity 1/1600 the enstrophy grows until t =
    9 and falls from then on (Brachet et al., 1983); on a grid that does not resolve the tubes it piles up instead.

    The nonlinear term is the divergence of the five products that are left of u u^T once w^2 is taken off the
    diagonal, which only changes the pressure: eight transforms (Basdevant, 1983, J. Comput. Phys. 50). Dealiased, it
    is the same as the rotational form, and conserves energy and helicity.

    Good values to start with: box (2 pi)^3, Taylor-Green start, viscosity 1e-2 with 32^3 points (enstrophy peak near
    t = 5), 1/400 with 96^3, 1/1600 with 256^3, dt = 0.02. (From the initial
    fields below, twice 32^3 points change the velocity by 1% at t = 0.5 and 2% at t = 1.)

    Source: Orszag, 1971, Stud. Appl. Math. 50; Taylor and Green, 1937, Proc. R. Soc. A 158.
    """

    grid: Grid = eqx.field(static=True)
    viscosity: Float[Array, ""] | float = eqx.field(converter=parameter, default=1e-2)
    name: ClassVar[str] = "navier_stokes_3d"
    channels: ClassVar[tuple[str, ...]] = ("u", "v", "w")
    chaotic: ClassVar[bool] = True
    dissipative: ClassVar[bool] = True
    # Without forcing there is nothing to settle to; twice these points change the velocity by 1% after 0.5.
    default_dataset: ClassVar[Mapping[str, object]] = {"spin_up": 0.4, "stride": 0.2, "horizon": 0.2, "certified": 4}
    example_grid: ClassVar[Grid] = Grid((32, 32, 32), (2 * np.pi, 2 * np.pi, 2 * np.pi))

    def __check_init__(self):
        if self.grid.ndim != 3:
            raise ValueError(
                f"NavierStokes3D needs 3 axes, not {self.grid.ndim}: Grid((32, 32, 32), (6.28, 6.28, 6.28))."
            )
        check_parameter("viscosity", self.viscosity, sign="non_negative")

    def linear_symbol(self) -> Array | np.ndarray:
        """-nu |k|^2."""
        return -self.viscosity * self.grid.wavenumber_squared[None]

    def nonlinear(
        self, t: Scalar, u_hat: Complex[Array, " c *spectrum"], args: PyTree = None
    ) -> Complex[Array, " c *spectrum"]:
        """The divergence-free part of -(u . grad) u."""
        keep = self.grid.dealias_mask
        u, v, w = inverse_transform(times(jnp.asarray(keep, u_hat.real.dtype), u_hat), self.grid)
        products = transform(jnp.stack([u * u - w * w, v * v - w * w, u * v, u * w, v * w]), self.grid)
        x, y, z = (jnp.asarray(-k * keep, u_hat.real.dtype) for k in self.grid.odd_wavenumbers)
        uu, vv, uv, uw, vw = products
        along_x = times_i(x, uu) + times_i(y, uv) + times_i(z, uw)
        along_y = times_i(x, uv) + times_i(y, vv) + times_i(z, vw)
        return self._project(jnp.stack([along_x, along_y, times_i(x, uw) + times_i(y, vw)]))

    def _project(self, u_hat: Complex[Array, " 3 *spectrum"]) -> Complex[Array, " 3 *spectrum"]:
        k = [jnp.asarray(one, u_hat.real.dtype) for one in self.grid.odd_wavenumbers]
        along: Any = sum(times(one, component) for one, component in zip(k, u_hat))
        along = times(jnp.asarray(inverse_wavenumber_squared(self.grid), u_hat.real.dtype), along)
        return u_hat - jnp.stack([times(one, along) for one in k])

    def project(self, u: Float[Array | np.ndarray, "nx ny nz 3"]) -> Float[Array, "nx ny nz 3"]:
        """The divergence-free part of a velocity field (Leray's projection), its mean unchanged."""
        return to_physical(self._project(to_spectral(u, self.grid)), self.grid)

    def vorticity(self, u: Float[Array | np.ndarray, "nx ny nz 3"]) -> Float[Array, "nx ny nz 3"]:
        """curl u."""
        slope = gradient(u, self.grid)
        return jnp.stack(
            [slope[..., (i + 2) % 3, (i + 1) % 3] - slope[..., (i + 1) % 3, (i + 2) % 3] for i in range(3)], -1
        )

    def taylor_green(self) -> Float[Array, "nx ny nz 3"]:
        """The vortices (sin x cos y cos z, -cos x sin y cos z, 0) of Taylor and Green, one wave per box."""
        a, b, _ = (2 * np.pi / length for length in self.grid.extent)
        x, y, z = (2 * np.pi * position / length for position, length in zip(self.grid.mesh(), self.grid.extent))
        u = np.sin(x) * np.cos(y) * np.cos(z)
        v = -(a / b) * np.cos(x) * np.sin(y) * np.cos(z)
        return jnp.asarray(np.stack([u, v, np.zeros_like(u)], -1))

    def sample_initial(self, key: PRNGKeyArray) -> Float[Array, "*shape c"]:
        """Gaussian divergence-free velocity of mean square 1/4, as `taylor_green`, mostly at 2 to 3 waves per box.

        Its spectrum per wave is proportional to k^2 exp(-k^2 / k_0^2), k_0 two waves per longest side.
        """
        k0 = 2.0 * 2 * np.pi / max(self.grid.extent)
        # The projection takes a third of the energy.
        field = GaussianField(
            self.grid, lambda k: (k / k0) ** 2 * np.exp(-((k / k0) ** 2)), std=np.sqrt(0.125), channels=3
        )
        return self.project(field.sample(key))

    def invariants(self, u: Float[Array | np.ndarray, "*shape c"]) -> dict[str, Float[Array, ""]]:
        """The mean of each velocity component."""
        return {f"mean_{name}": jnp.mean(jnp.asarray(u)[..., i]) for i, name in enumerate(self.channels)}

    def budgets(self, u: Float[Array | np.ndarray, "*shape c"]) -> dict[str, dict[str, Float[Array, ""]]]:
        """Per unit volume: energy |u|^2/2, enstrophy |w|^2/2 with w = curl u, helicity u . w of divergence-free fields.

        Energy: dissipation -2 nu enstrophy. Enstrophy: stretching <w . (w . grad) u> of the dealiased field, the one
        that the discrete flow has, and dissipation -nu <|curl w|^2>. Helicity: dissipation 2 nu <w . lap u>.
        """
        u_hat = to_spectral(u, self.grid)
        power = (jnp.abs(u_hat) ** 2).sum(0) * jnp.asarray(
            self.grid.parseval_weights / self.grid.size**2, u_hat.real.dtype
        )
        moments = [(power * jnp.asarray(self.grid.wavenumber_squared**n, power.dtype)).sum() for n in range(3)]
        kept = to_physical(u_hat * jnp.asarray(self.grid.dealias_mask, power.dtype), self.grid)
        slope, kept_w, w = gradient(kept, self.grid), self.vorticity(kept), self.vorticity(u)
        stretching = jnp.einsum("...i,...ij,...j->...", kept_w, slope, kept_w)
        twist = 2 * jnp.mean(jnp.sum(w * laplacian(u, self.grid), -1))
        return {
            "energy": {"value": 0.5 * moments[0], "dissipation": -self.viscosity * moments[1]},
            "enstrophy": {
                "value": 0.5 * moments[1],
                "stretching": jnp.mean(stretching),
                "dissipation": -self.viscosity * moments[2],
            },
            "helicity": {
                "value": jnp.mean(jnp.sum(jnp.asarray(u) * w, -1)),
                "dissipation": self.viscosity * twist,
            },
        }

    @property
    def symmetries(self) -> Symmetries:
        """All shifts, and the mirror of each axis, which turns the sign of the velocity along it."""
        mirrors = tuple(Reflection(axis, tuple(-1.0 if i == axis else 1.0 for i in range(3))) for axis in range(3))
        return Symmetries(shift_axes=(0, 1, 2), reflections=mirrors)

    @property
    def recommended_dt(self) -> float:
        """Half a spacing at unit speed, at most 0.02."""
        return min(0.02, 0.5 * min(self.grid.spacing))
