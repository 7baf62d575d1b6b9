"""Two-dimensional incompressible flow: the Navier-Stokes equations in vorticity form, decaying or forced."""

from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Complex, Float, PRNGKeyArray, PyTree

from physics.arguments import Scalar, check_parameter, is_zero, parameter
from physics.grid import Grid
from physics.random_fields import GaussianField
from physics.spectral import to_spectral
from physics.system import Move, Reflection, SemilinearSystem, Symmetries, System
from physics.vorticity import advection, energy_and_enstrophy, velocity


class NavierStokes2D(SemilinearSystem):
    r"""w_t + u w_x + v w_y = nu (w_xx + w_yy) - drag w + curl F on a doubly periodic box, non-dimensional.

    State: ``(Nx, Ny, 1)``, the channel ``vorticity`` w = v_x - u_y; axis 0 is x, axis 1 is y. The mean is
    zero and conserved. With ``forcing`` = 0 the flow decays; otherwise the body force F = (forcing sin(q
    y), 0) with q = 2 pi forcing_mode / Ly drives a Kolmogorov flow (Meshalkin and Sinai, 1961).

    What one sees: decaying, like-signed vortices merge and grow while the energy falls slowly and the
    enstrophy fast; forced, a chain of vortices over sheared bands, with bursts once the Reynolds number is
    past a few tens.

    The nonlinear term takes four transforms, two of them done as one (Basdevant, 1983; `physics.vorticity`).

    Good values to start with: box 2 pi x 2 pi; decaying with 64 x 64 points, nu = 1e-3, dt = 0.01;
    Kolmogorov with forcing 1, mode 4, nu = 1e-2, drag 0.1, 96 x 96 points, dt = 0.01.

    Source: Kolmogorov flow: Meshalkin and Sinai (1961), J. Appl. Math. Mech. 25; transforms: Basdevant (1983), J.
    Comput. Phys. 50.
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
    # Given, since a pilot ensemble in the plane takes longer than the data.
    default_dataset: ClassVar[Mapping[str, object]] = {"spin_up": 20.0, "stride": 1.0}
    example_grid: ClassVar[Grid] = Grid((96, 96), (2 * np.pi, 2 * np.pi))

    @classmethod
    def example(cls) -> System:
        """Kolmogorov flow, which goes on."""
        return cls(cls.example_grid, 1e-2, drag=0.1, forcing=1.0)

    def __check_init__(self):
        if self.grid.ndim != 2:
            raise ValueError(f"NavierStokes2D needs 2 axes, not {self.grid.ndim}: Grid((64, 64), (6.28, 6.28)).")
        check_parameter("viscosity", self.viscosity, sign="non_negative")
        check_parameter("drag", self.drag, sign="non_negative")
        check_parameter("forcing", self.forcing, sign="any")
        if not 1 <= self.forcing_mode < self.grid.shape[1] / 3:
            raise ValueError(
                f"forcing_mode {self.forcing_mode} is not resolved by {self.grid.shape[1]} points: "
                f"use 1 to {(self.grid.shape[1] - 1) // 3}."
            )

    def linear_symbol(self) -> Array | np.ndarray:
        """-nu |k|^2 - drag."""
        return (-self.viscosity * self.grid.wavenumber_squared - self.drag)[None]

    def nonlinear(
        self, t: Scalar, u_hat: Complex[Array, " c *spectrum"], args: PyTree = None
    ) -> Complex[Array, " c *spectrum"]:
        """-(u w_x + v w_y) + curl F."""
        rate = advection(u_hat[0], self.grid)
        return jax.lax.complex(rate.real + self._force_spectrum(rate.real.dtype), rate.imag)[None]

    def velocity(self, w: Float[Array | np.ndarray, "nx ny 1"]) -> Float[Array, "nx ny 2"]:
        """The divergence-free velocity (u, v) of a vorticity field."""
        return velocity(w, self.grid)

    def _force_spectrum(self, dtype: DTypeLike) -> Any:
        """The transform of curl F = -forcing q cos(q y), which is real.

        An array, though only one wave is forced: it joins the loop over all waves, which adding to one entry would
        break in two (counted: no less memory traffic of a batch, and more of one flow).
        """
        q = 2 * np.pi * self.forcing_mode / self.grid.extent[1]
        x, y = self.grid.mode_numbers
        # A grid on a mesh keeps the product of two lines out of the host's memory.
        xp: Any = np if self.grid.on_host else jnp
        spectrum = -0.5 * q * self.grid.size * (xp.asarray(x == 0) & (y == self.forcing_mode))
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
        w_hat = to_spectral(u, self.grid)[0]
        rates = {
            "dissipation": -self.viscosity * jnp.asarray(self.grid.wavenumber_squared, w_hat.real.dtype) * w_hat,
            "drag": -self.drag * w_hat,
            "forcing": self._force_spectrum(w_hat.real.dtype),
        }
        return energy_and_enstrophy(w_hat, rates, self.grid)

    @property
    def symmetries(self) -> Symmetries:
        """Decaying: all shifts, and mirrors of either axis (w changes sign). Forced: what the force keeps.

        That is shifts along x, the half turn (both mirrors at once, w as it is), and the mirror of x joined to a shift
        along y by half a wave of the force (w changes sign), where the grid has that shift. Twice this move is a shift
        by a whole wave. A traced ``forcing`` counts as one.

        Source: Chandler and Kerswell (2013), J. Fluid Mech. 722, section 2.
        """
        mirrors = tuple(Reflection(axis=axis, signs=(-1.0,)) for axis in (0, 1))
        if is_zero(self.forcing):
            return Symmetries(shift_axes=(0, 1), reflections=mirrors)
        half_waves = 2 * self.forcing_mode
        moves = [Move(signs=(1.0,), mirrored=(0, 1))]
        if self.grid.shape[1] % half_waves == 0:
            moves.append(Move(signs=(-1.0,), mirrored=(0,), shifted=1, order=half_waves))
        return Symmetries(shift_axes=(0,), moves=tuple(moves))

    @property
    def recommended_dt(self) -> float:
        """Half a spacing at unit speed, at most 0.01."""
        return min(0.01, 0.5 * min(self.grid.spacing))
