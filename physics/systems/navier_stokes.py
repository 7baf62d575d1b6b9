"""Two-dimensional incompressible flow: the Navier-Stokes equations in vorticity form, decaying or forced."""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, PRNGKeyArray

from physics.arguments import check_parameter, parameter
from physics.grid import Grid
from physics.random_fields import GaussianField
from physics.spectral import inverse_transform_pair, to_physical, to_spectral, transform
from physics.system import Reflection, SemilinearSystem, Symmetries


class NavierStokes2D(SemilinearSystem):
    r"""w_t + u w_x + v w_y = nu (w_xx + w_yy) - drag w + curl F on a doubly periodic box, non-dimensional.

    State: ``(Nx, Ny, 1)``, the channel ``vorticity`` w = v_x - u_y; axis 0 is x, axis 1 is y. The mean is
    zero and conserved. With ``forcing`` = 0 the flow decays; otherwise the body force F = (forcing sin(q
    y), 0) with q = 2 pi forcing_mode / Ly drives a Kolmogorov flow (Meshalkin and Sinai, 1961).

    What one sees: decaying, like-signed vortices merge and grow while the energy falls slowly and the
    enstrophy fast; forced, a chain of vortices over sheared bands, with bursts once the Reynolds number is
    past a few tens.

    The nonlinear term takes four transforms, two of them done as one (Basdevant, 1983): with p = u v and d = v^2 - u^2,
    u w_x + v w_y = p_xx - p_yy + d_xy.

    Good values to start with: box 2 pi x 2 pi; decaying with 64 x 64 points, nu = 1e-3, dt = 0.01;
    Kolmogorov with forcing 1, mode 4, nu = 1e-2, drag 0.1, 64 x 64 points, dt = 0.01.
    """

    grid: Grid = eqx.field(static=True)
    viscosity: Float[Array, ""] | float = eqx.field(converter=parameter, default=1e-3)
    drag: Float[Array, ""] | float = eqx.field(converter=parameter, default=0.0)
    forcing: Float[Array, ""] | float = eqx.field(converter=parameter, default=0.0)
    forcing_mode: int = eqx.field(static=True, default=4)
    name: ClassVar[str] = "navier_stokes_2d"
    channels: ClassVar[tuple[str, ...]] = ("vorticity",)
    chaotic: ClassVar[bool] = True
    dissipative: ClassVar[bool] = True

    def __check_init__(self):
        if self.grid.ndim != 2:
            raise ValueError(f"NavierStokes2D needs 2 axes, not {self.grid.ndim}: Grid((64, 64), (6.28, 6.28)).")
        check_parameter("viscosity", self.viscosity)
        check_parameter("drag", self.drag)
        check_parameter("forcing", self.forcing, positive=False)
        if not 1 <= self.forcing_mode < self.grid.shape[1] / 3:
            raise ValueError(
                f"forcing_mode {self.forcing_mode} is not resolved by {self.grid.shape[1]} points: "
                f"use 1 to {(self.grid.shape[1] - 1) // 3}."
            )

    def linear_symbol(self) -> Any:
        """-nu |k|^2 - drag."""
        return (-self.viscosity * self.grid.wavenumber_squared - self.drag)[None]

    def nonlinear(
        self, t: Any, u_hat: Complex[Array, "c *spectrum"], args: Any = None
    ) -> Complex[Array, "c *spectrum"]:
        """-(u w_x + v w_y) + curl F."""
        real = u_hat.real.dtype
        kx, ky = self.grid.wavenumbers
        keep = self.grid.dealias_mask
        to_u, to_v = self._velocity_multipliers()
        kept_y = int(keep[0].sum())
        w = u_hat[0, :, :kept_y]
        u, v = inverse_transform_pair(
            jnp.asarray((1j * to_u * keep)[:, :kept_y], w.dtype) * w,
            jnp.asarray((1j * to_v * keep)[:, :kept_y], w.dtype) * w,
            self.grid,
        )
        products = transform(jnp.stack([u * v, v * v - u * u]), self.grid)
        of_p = jnp.asarray((kx**2 - ky**2) * keep, real)
        of_d = jnp.asarray(kx * ky * keep, real)
        advection = of_p * products[0] + of_d * products[1]
        return (advection + self._force_spectrum(u_hat.dtype))[None]

    def velocity(self, w: Float[Array | np.ndarray, "nx ny 1"]) -> Float[Array, "nx ny 2"]:
        """The divergence-free velocity (u, v) of a vorticity field."""
        w_hat = to_spectral(w, self.grid)
        return to_physical(jnp.asarray(1j * np.stack(self._velocity_multipliers()), w_hat.dtype) * w_hat, self.grid)

    def _velocity_multipliers(self) -> tuple[np.ndarray, np.ndarray]:
        """ky/|k|^2 and -kx/|k|^2: u = i ky psi, v = -i kx psi, |k|^2 psi = w."""
        kx, ky = self.grid.odd_wavenumbers
        k2 = self.grid.wavenumber_squared
        inverse = np.divide(1.0, k2, out=np.zeros(k2.shape), where=k2 > 0)
        return ky * inverse, -kx * inverse

    def _force_spectrum(self, dtype: Any) -> Any:
        """The transform of curl F = -forcing q cos(q y)."""
        if isinstance(self.forcing, float) and self.forcing == 0.0:
            return 0.0
        q = 2 * np.pi * self.forcing_mode / self.grid.extent[1]
        spectrum = np.zeros(self.grid.spectral_shape)
        spectrum[0, self.forcing_mode] = -0.5 * q * self.grid.size
        return (jnp.asarray(spectrum, dtype) * self.forcing).astype(dtype)

    def sample_initial(self, key: PRNGKeyArray) -> Float[Array, "*shape c"]:
        """Gaussian vorticity of standard deviation 1 with most of its enstrophy at 3 to 4 waves per box.

        Its spectrum per wave is proportional to k^3 exp(-k^2 / k_0^2), k_0 three waves per longest side: a
        narrow band of eddies with random phases.
        """
        k0 = 3.0 * 2 * np.pi / max(self.grid.extent)
        return GaussianField(self.grid, lambda k: (k / k0) ** 3 * np.exp(-((k / k0) ** 2)), std=1.0).sample(key)

    def invariants(self, u: Float[Array | np.ndarray, "*shape c"]) -> dict[str, Float[Array, ""]]:
        """The mean vorticity."""
        return {"mean": jnp.mean(u)}

    def budgets(self, u: Float[Array | np.ndarray, "*shape c"]) -> dict[str, dict[str, Float[Array, ""]]]:
        """Energy |u|^2/2 and enstrophy w^2/2 per unit area: dissipation, drag and forcing of each."""
        w_hat = to_spectral(u, self.grid)
        weights = jnp.asarray(self.grid.parseval_weights / self.grid.size**2, w_hat.real.dtype)
        k2 = self.grid.wavenumber_squared
        inverse = np.divide(1.0, k2, out=np.zeros(k2.shape), where=k2 > 0)
        force = jnp.broadcast_to(self._force_spectrum(w_hat.dtype), k2.shape)
        result = {}
        for name, weight in (("energy", inverse), ("enstrophy", np.ones(k2.shape))):
            metric = weights * jnp.asarray(weight, weights.dtype)
            square = metric * jnp.abs(w_hat[0]) ** 2
            result[name] = {
                "value": 0.5 * square.sum(),
                "dissipation": -self.viscosity * (jnp.asarray(k2, weights.dtype) * square).sum(),
                "drag": -self.drag * square.sum(),
                "forcing": (metric * (jnp.conj(w_hat[0]) * force).real).sum(),
            }
        return result

    @property
    def symmetries(self) -> Symmetries:
        """Decaying: all shifts, and mirrors of either axis (w changes sign). Forced: shifts along x alone.

        The force keeps the half turn (both mirrors at once) and mirrors joined to a shift by half its wave,
        which have no place in `Symmetries`.
        """
        mirrors = tuple(Reflection(axis=axis, signs=(-1.0,)) for axis in (0, 1))
        if isinstance(self.forcing, float) and self.forcing == 0.0:
            return Symmetries(shift_axes=(0, 1), reflections=mirrors)
        return Symmetries(shift_axes=(0,))

    @property
    def recommended_dt(self) -> float:
        """Half a spacing at unit speed, at most 0.01."""
        return min(0.01, 0.5 * min(self.grid.spacing))
