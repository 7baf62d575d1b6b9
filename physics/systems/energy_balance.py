"""The climate as an energy balance by latitude, with ice that reflects sunlight and weather as noise."""

from collections.abc import Mapping
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from physics.arguments import Scalar, check_parameter, parameter, parameters_of_step
from physics.grid import Grid
from physics.system import StochasticSystem

# Annual mean sunlight by latitude, Q (1 + S2 P2(x)), and the share absorbed without ice, a0 + a2 P2(x).
_SUNLIGHT_P2 = -0.48
_ICE_FREE = (0.7, -0.078)


class EnergyBalance(StochasticSystem):
    r"""C dT = [Q S(x) a(x, T) - A - B T + (D (1 - x^2) T_x)_x] dt + C noise dW; additive noise.

    Budyko (1969) and Sellers (1969) in the form of North (1975), with x = sin(latitude) from pole to pole.

    State: ``(N, 1)``, the channel ``temperature`` (degrees Celsius) on N bands of equal area,
    ``Grid((N,), (2.0,), "neumann")``; times in years. S = 1 - 0.48 P2(x); a goes over from 0.7 - 0.078 P2(x)
    to ``ice_absorption`` within ``ice_width`` below the temperature ``ice_temperature``. The noise of the
    bands is independent and that of the global mean is ``noise``, in K per square root of a year, whatever N.

    What one sees: weather around one of two climates, one with small ice caps (global mean 14.7 degrees) and
    one all in ice (-40.2); between them lies an unstable one with ice down to the tropics (-22.3). The ice
    takes C / B = 5 years to forget, the climate with caps some decades.

    Good values to start with: Q = 341.3, A = 210 W/m^2, B = 2, D = 0.55 W/m^2/K, C = 10 W a/m^2/K (75 m of
    water), N = 32, noise 0.1.

    Source: North, J. Atmos. Sci. 32, 1975; North, Cahalan and Coakley, Rev. Geophys. 19, 1981; values of Rose,
    The Climate Laboratory, 2022.
    """

    sunlight: Float[Array, ""] | float = eqx.field(converter=parameter, default=341.3)
    emission: Float[Array, ""] | float = eqx.field(converter=parameter, default=210.0)
    feedback: Float[Array, ""] | float = eqx.field(converter=parameter, default=2.0)
    diffusivity: Float[Array, ""] | float = eqx.field(converter=parameter, default=0.55)
    heat_capacity: Float[Array, ""] | float = eqx.field(converter=parameter, default=10.0)
    ice_absorption: Float[Array, ""] | float = eqx.field(converter=parameter, default=0.38)
    ice_temperature: Float[Array, ""] | float = eqx.field(converter=parameter, default=-10.0)
    ice_width: Float[Array, ""] | float = eqx.field(converter=parameter, default=2.0)
    noise: Float[Array, ""] | float = eqx.field(converter=parameter, default=0.1)
    grid: Grid = eqx.field(static=True, default=Grid((32,), (2.0,), "neumann"))
    name: ClassVar[str] = "energy_balance"
    channels: ClassVar[tuple[str, ...]] = ("temperature",)
    dissipative: ClassVar[bool] = True
    default_dataset: ClassVar[Mapping[str, object]] = {"stride": 4.0, "dt": 0.01}
    boundaries: ClassVar[tuple[str, ...]] = ("neumann",)
    units: ClassVar[str] = "degrees Celsius; years"

    def __check_init__(self):
        if self.grid.ndim != 1 or self.grid.extent[0] != 2.0:
            raise ValueError(
                "EnergyBalance needs one axis from pole to pole in the sine of latitude, not the extent "
                f"{self.grid.extent}: Grid((32,), (2.0,), 'neumann')."
            )
        for name in ("heat_capacity", "ice_width"):
            check_parameter(name, getattr(self, name), sign="positive")
        for name in ("sunlight", "feedback", "diffusivity", "ice_absorption", "noise"):
            check_parameter(name, getattr(self, name), sign="non_negative")
        for name in ("emission", "ice_temperature"):
            check_parameter(name, getattr(self, name), sign="any")

    def vector_field(self, t: Scalar, u: Float[Array, "n c"], args: PyTree = None) -> Float[Array, "n c"]:
        """Absorbed sunlight less emitted heat, and the exchange between neighbouring bands."""
        x, width = self._sine_of_latitude(), self.grid.spacing[0]
        faces = x[:-1] + width / 2
        second = (3 * x**2 - 1) / 2
        free, ice = _ICE_FREE[0] + _ICE_FREE[1] * second, self.ice_absorption
        share = (1 + jnp.tanh((u[:, 0] - self.ice_temperature) / self.ice_width)) / 2
        absorbed = self.sunlight * (1 + _SUNLIGHT_P2 * second) * (ice + (free - ice) * share)
        # Nothing flows through the poles: 1 - x^2 vanishes there.
        inner = self.diffusivity * jnp.asarray(1 - faces**2, u.dtype) * jnp.diff(u[:, 0]) / width
        flux = jnp.pad(inner, 1)
        balance = absorbed - self.emission - self.feedback * u[:, 0] + jnp.diff(flux) / width
        return jnp.asarray(balance)[:, None] / self.heat_capacity

    def diffusion(self, t: Scalar, u: Float[Array, "n c"], args: PyTree = None) -> Float[Array, "n c"]:
        """The same noise everywhere."""
        return self.noise * np.sqrt(self.grid.size) * jnp.ones_like(u)

    def sample_initial(self, key: PRNGKeyArray) -> Float[Array, "n c"]:
        """A profile 45 P2-like degrees from equator to pole, around a mean between -50 and 25 degrees."""
        x = self._sine_of_latitude()
        mean = jax.random.uniform(key, minval=-50.0, maxval=25.0)
        return (mean - 30.0 * jnp.asarray((3 * x**2 - 1) / 2))[:, None]

    @property
    def recommended_dt(self) -> float:
        """A quarter of the time in which neighbouring bands even out, at most 0.1 years."""
        diffusivity, heat_capacity = parameters_of_step(self, "diffusivity", "heat_capacity")
        rate = diffusivity / heat_capacity
        return min(0.1, 0.25 * self.grid.spacing[0] ** 2 / max(float(np.max(rate)), 1e-9))

    def _sine_of_latitude(self) -> np.ndarray:
        return self.grid.coordinates()[0] - 1.0
