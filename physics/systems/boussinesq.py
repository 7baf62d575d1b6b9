"""Smoke rising from a chimney: the plane Boussinesq equations with a source, an obstacle and an absorbing layer."""

from collections.abc import Mapping
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Complex, Float, PRNGKeyArray, PyTree

from physics.arguments import Scalar, check_parameter, parameter
from physics.grid import Grid
from physics.random_fields import GaussianField
from physics.spectral import inverse_transform, times, times_i, to_spectral, transform
from physics.system import Reflection, SemilinearSystem, Symmetries
from physics.vorticity import (
    advection_of_products,
    dealiased_velocity,
    energy_and_enstrophy,
    inverse_wavenumber_squared,
    velocity,
)


class SmokePlume(SemilinearSystem):
    r"""Warm smoke and the flow it drives in a doubly periodic box, axis 0 is x, axis 1 is y (up), non-dimensional:

        w_t + u w_x + v w_y = nu lap w + B s_x - curl((a + r) (u, v))
        s_t + u s_x + v s_y = kappa lap s - Gamma v - a s + Q

    State: ``(Nx, Ny, 2)``, the channels ``vorticity`` w = v_x - u_y, whose mean is zero and conserved, and ``smoke`` s,
    which is what one sees and what lifts the air. The mean velocity is zero.

    Parameters: ``viscosity`` nu; ``diffusivity`` kappa; ``buoyancy`` B; ``stratification`` Gamma, the upward gradient
    of warmth in the air around (stable above 0, with buoyancy frequency sqrt(B Gamma)); ``source``, the rate Q of
    smoke at the mouth of the chimney; ``resistance`` r of the chimney's solid shaft to flow (volume penalisation;
    Angot, Bruneau and Fabrie, 1999, Numer. Math. 81; the step must stay below 2.7 / resistance); ``absorption`` a in
    a layer around y = 0, at once the ground and the open top. The chimney stands in the middle of x and reaches up
    to a fifth of the box; its outlines are smooth over a fiftieth of the box, so that finer grids see the same.

    What one sees: a cap of smoke rises with two vortices in it, the stem behind it sways, breaks up and is taken away
    at the top; in stable air it spreads at the height where it is no longer warmer.

    Good values to start with: box 4 x 6, 64 x 96 points, viscosity and diffusivity 1e-2, buoyancy 1, source 3,
    resistance 30, absorption 5, dt = 0.01 (twice the points change the state by about 1%).

    Source: Boussinesq equations after Vallis, 2017, Atmospheric and Oceanic Fluid Dynamics, section 2.4.
    """

    grid: Grid = eqx.field(static=True)
    viscosity: Float[Array, ""] | float = eqx.field(converter=parameter, default=1e-2)
    diffusivity: Float[Array, ""] | float = eqx.field(converter=parameter, default=1e-2)
    buoyancy: Float[Array, ""] | float = eqx.field(converter=parameter, default=1.0)
    stratification: Float[Array, ""] | float = eqx.field(converter=parameter, default=0.0)
    source: Float[Array, ""] | float = eqx.field(converter=parameter, default=3.0)
    resistance: Float[Array, ""] | float = eqx.field(converter=parameter, default=30.0)
    absorption: Float[Array, ""] | float = eqx.field(converter=parameter, default=5.0)
    name: ClassVar[str] = "smoke_plume"
    channels: ClassVar[tuple[str, ...]] = ("vorticity", "smoke")
    chaotic: ClassVar[bool] = True
    dissipative: ClassVar[bool] = True
    # The chimney's edge is as wide as 1.3 spacings, so that twice the points change it.
    default_dataset: ClassVar[Mapping[str, object]] = {"spin_up": 4.0, "stride": 1.0, "grid_error": 2e-2}
    example_grid: ClassVar[Grid] = Grid((64, 96), (4.0, 6.0))

    def __check_init__(self):
        if self.grid.ndim != 2:
            raise ValueError(f"SmokePlume needs 2 axes, not {self.grid.ndim}: Grid((64, 96), (4.0, 6.0)).")
        for name in ("buoyancy", "stratification"):
            check_parameter(name, getattr(self, name), sign="any")
        for name in ("viscosity", "diffusivity", "source", "resistance", "absorption"):
            check_parameter(name, getattr(self, name), sign="non_negative")

    def linear_symbol(self) -> Array | np.ndarray:
        """Viscosity and diffusion, lift, and the rise through stratified air: a matrix per wave."""
        shape = (2, 2, *self.grid.spectral_shape)
        viscous, diffusive, lift, rise = (np.zeros(shape, complex) for _ in range(4))
        viscous[0, 0] = diffusive[1, 1] = -self.grid.wavenumber_squared
        lift[0, 1] = 1j * self.grid.odd_wavenumbers[0]
        rise[1, 0] = 1j * self.grid.odd_wavenumbers[0] * inverse_wavenumber_squared(self.grid)
        diagonal = self.viscosity * viscous + self.diffusivity * diffusive
        return diagonal + self.buoyancy * lift + self.stratification * rise

    def nonlinear(
        self, t: Scalar, u_hat: Complex[Array, " c *spectrum"], args: PyTree = None
    ) -> Complex[Array, " c *spectrum"]:
        """Advection of both, drag, absorption and source: ten transforms."""
        parts = self._nonlinear_parts(u_hat)
        return jnp.stack([parts["advection"] + parts["drag"], parts["transport"] + parts["gain"]])

    def _nonlinear_parts(self, u_hat: Complex[Array, " 2 *spectrum"]) -> dict[str, Array]:
        real = u_hat.real.dtype
        keep = self.grid.dealias_mask
        x, y = (jnp.asarray(k * keep, real) for k in self.grid.odd_wavenumbers)
        layer, shaft, mouth = self._shapes(real)
        u, v = dealiased_velocity(u_hat[0], self.grid)
        s = inverse_transform(times(jnp.asarray(keep, real), u_hat[1]), self.grid)
        drag, absorbed = self.absorption * layer + self.resistance * shaft, self.absorption * layer * s
        products = jnp.stack([u * v, v * v - u * u, drag * u, drag * v, u * s, v * s, self.source * mouth - absorbed])
        p, d, drag_u, drag_v, flux_u, flux_v, gain = transform(products, self.grid)
        return {
            "advection": advection_of_products(p, d, self.grid),
            "drag": times_i(y, drag_u) - times_i(x, drag_v),
            "transport": -times_i(x, flux_u) - times_i(y, flux_v),
            "gain": times(jnp.asarray(keep, real), gain),
        }

    def _shapes(self, dtype: DTypeLike) -> tuple[Array, Array, Array]:
        """The absorbing layer, the chimney's shaft and its mouth, between 0 and 1 on the points."""
        x, y = (2 * np.pi * position / length for position, length in zip(self.grid.mesh(), self.grid.extent))

        def bump(angle: np.ndarray, centre: float, width: float) -> np.ndarray:
            """A periodic Gaussian of a standard deviation that is this share of the box."""
            return np.exp((np.cos(angle - 2 * np.pi * centre) - 1) / (2 * np.pi * width) ** 2)

        def slab(angle: np.ndarray, centre: float, half: float, edge: float) -> np.ndarray:
            """Near 1 within ``half`` of the centre, falling to 0 over ``edge``, both shares of the box."""
            slope = 1 / (np.sin(2 * np.pi * half) * 2 * np.pi * edge)
            return 0.5 * (1 + np.tanh(slope * (np.cos(angle - 2 * np.pi * centre) - np.cos(2 * np.pi * half))))

        layer = bump(y, 0.0, 0.05)
        shaft = slab(x, 0.5, 0.06, 0.02) * slab(y, 0.1, 0.1, 0.02)
        mouth = bump(x, 0.5, 0.035) * bump(y, 0.23, 0.025)
        return jnp.asarray(layer, dtype), jnp.asarray(shaft, dtype), jnp.asarray(mouth, dtype)

    def velocity(self, u: Float[Array | np.ndarray, "nx ny 2"]) -> Float[Array, "nx ny 2"]:
        """The divergence-free velocity (u, v) of a state."""
        return velocity(u[..., :1], self.grid)

    def sample_initial(self, key: PRNGKeyArray) -> Float[Array, "*shape c"]:
        """Clear air with weak eddies: Gaussian vorticity of standard deviation 0.3, no smoke.

        Its spectrum per wave is proportional to k^2 exp(-k^2 / k_0^2), k_0 three waves per longest side.
        """
        k0 = 3.0 * 2 * np.pi / max(self.grid.extent)
        field = GaussianField(self.grid, lambda k: (k / k0) ** 2 * np.exp(-((k / k0) ** 2)), std=0.3)
        return jnp.pad(field.sample(key), ((0, 0), (0, 0), (0, 1)))

    def invariants(self, u: Float[Array | np.ndarray, "*shape c"]) -> dict[str, Float[Array, ""]]:
        """The mean vorticity."""
        return {"mean": jnp.mean(jnp.asarray(u)[..., 0])}

    def budgets(self, u: Float[Array | np.ndarray, "*shape c"]) -> dict[str, dict[str, Float[Array, ""]]]:
        """Per unit area: energy |u|^2 / 2 and enstrophy w^2 / 2 (dissipation, buoyancy, drag), and the smoke <s>."""
        u_hat = to_spectral(u, self.grid)
        symbol, parts = jnp.asarray(self.linear_symbol()).astype(u_hat.dtype), self._nonlinear_parts(u_hat)
        rates = {
            "dissipation": symbol[0, 0] * u_hat[0],
            "buoyancy": symbol[0, 1] * u_hat[1],
            "drag": parts["drag"],
        }
        smoke = {"value": jnp.mean(jnp.asarray(u)[..., 1]), "gain": parts["gain"][0, 0].real / self.grid.size}
        return energy_and_enstrophy(u_hat[0], rates, self.grid) | {"smoke": smoke}

    @property
    def symmetries(self) -> Symmetries:
        """The mirror x -> -x, which leaves the chimney where it is and turns the sign of the vorticity."""
        return Symmetries(reflections=(Reflection(0, (-1.0, 1.0)),))

    @property
    def recommended_dt(self) -> float:
        """Half a spacing at unit speed, at most 0.01."""
        return min(0.01, 0.5 * min(self.grid.spacing))
