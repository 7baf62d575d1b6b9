"""Two-dimensional turbulence stirred by noise: the Navier-Stokes equations with a random force, white in time."""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from physics.arguments import Scalar, check_parameter, parameter
from physics.grid import Grid
from physics.spectral import resample, to_physical, to_spectral
from physics.system import StochasticSystem, System
from physics.systems.navier_stokes import NavierStokes2D
from physics.vorticity import inverse_wavenumber_squared


class StochasticNavierStokes2D(NavierStokes2D, StochasticSystem):
    r"""dw = (-u w_x - v w_y + nu lap w - drag w + curl F) dt + dW, non-dimensional; W stirs a ring of wavenumbers.

    State: ``(Nx, Ny, 1)``, the channel ``vorticity``; all of `NavierStokes2D` holds here too. W is Gaussian, of equal
    strength in all waves \|k\| within half a wave per longest side of ``noise_mode`` waves, and gives the flow energy
    at the mean rate ``injection`` per unit area, whatever it does (Novikov, 1965). Solved with a `physics.NoisePath`.

    What one sees: eddies of the stirred size come and go, and merge into larger ones up to the size of the box, where
    drag takes their energy; thin filaments of vorticity between them transport enstrophy to viscosity (Kraichnan,
    1967). Without advection each stirred wave would be an Ornstein-Uhlenbeck process.

    Good values to start with: box 2 pi x 2 pi, 96 x 96 points, viscosity 1e-2, drag 0.1, injection 0.1, noise_mode 6,
    dt = 0.01 (the default viscosity of 1e-3 is not resolved even so: twice the points change the vorticity by 26%
    within one time unit). The symmetries are those of the statistics. ``coarser``, where given, is the grid that noise
    paths are drawn on, for `refined`.

    Source: Lilly, 1969, Phys. Fluids 12, II-240; Boffetta and Ecke, 2012, Annu. Rev. Fluid Mech. 44.
    """

    injection: Float[Array, ""] | float = eqx.field(converter=parameter, default=0.1)
    noise_mode: int = eqx.field(static=True, default=6)
    coarser: Grid | None = eqx.field(static=True, default=None)
    name: ClassVar[str] = "stochastic_navier_stokes_2d"

    default_dataset: ClassVar[Mapping[str, object]] = {"spin_up": 5.0, "stride": 0.5}

    @classmethod
    def example(cls) -> System:
        """Stirred at 6 waves per box."""
        return cls(cls.example_grid, 1e-2, drag=0.1)

    def __check_init__(self):
        check_parameter("injection", self.injection, sign="non_negative")
        most = (min(self.grid.shape) - 1) // 3
        if not 1 <= self.noise_mode <= most:
            raise ValueError(
                f"noise_mode {self.noise_mode} is not resolved by {self.grid.shape} points: use 1 to {most}."
            )

    def diffusion(self, t: Scalar, u: Float[Array, "*shape c"], args: PyTree = None) -> Float[Array, "*shape c"]:
        """The root of the energy that is given per unit of time."""
        return jnp.sqrt(jnp.asarray(self.injection, u.dtype)) * jnp.ones_like(u)

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """One Brownian motion per point of the grid that the path is drawn on."""
        return (*self._stirred.grid.shape, 1)

    def noise_field(self, w: Float[Array, "*noise"]) -> Float[Array, "*shape c"]:
        """The waves of the ring, of the strength that gives the energy 1 per unit of time."""
        drawn_on = self._stirred
        w_hat = to_spectral(w, drawn_on.grid)
        stirred = to_physical(w_hat * jnp.asarray(drawn_on._ring(), w_hat.real.dtype), drawn_on.grid)
        return stirred if self.coarser is None else resample(stirred, drawn_on.grid, self.grid)

    @property
    def _stirred(self) -> "StochasticNavierStokes2D":
        return self if self.coarser is None else dataclasses.replace(self, grid=self.coarser, coarser=None)

    def refined(self, factor: int) -> "StochasticNavierStokes2D":
        """The same system with ``factor`` times the points on every axis, stirred along the same path."""
        return dataclasses.replace(self, grid=self.grid.refined(factor), coarser=self.coarser or self.grid)

    def _ring(self) -> np.ndarray:
        """The multiplier of white noise on ``grid.spectral_shape``."""
        waves = np.sqrt(self.grid.wavenumber_squared) * max(self.grid.extent) / (2 * np.pi)
        ring = np.abs(waves - self.noise_mode) <= 0.5
        # White noise has the variance N in every wave, so that the energy rate is 1/2 sum (multiplier / |k|)^2 / N.
        rate = 0.5 * (ring * inverse_wavenumber_squared(self.grid) * self.grid.parseval_weights).sum() / self.grid.size
        return ring / np.sqrt(rate)

    def budgets(self, u: Float[Array | np.ndarray, "*shape c"]) -> dict[str, dict[str, Float[Array, ""]]]:
        """Those of `NavierStokes2D`, with the mean injection of energy and of enstrophy: they close on average."""
        result = super().budgets(u)
        enstrophy = 0.5 * (self._ring() ** 2 * self.grid.parseval_weights).sum() / self.grid.size
        for name, share in (("energy", 1.0), ("enstrophy", float(enstrophy))):
            result[name]["injection"] = jnp.asarray(share * self.injection, result[name]["value"].dtype)
        return result
