"""A system in other units of its fields: v = (u - mean) / deviation, channel by channel.

Normalised fields do not obey the original equation but v_t = f(mean + deviation v) / deviation, which
`normalized` makes of any system. Its residuals are those in physical units divided by ``deviation``, to
round-off, and so are solutions and defects by Runge-Kutta and stochastic solvers, which take no notice of an
affine change of variables. Exponential integrators do: `denormalize` fields for them.
"""

import dataclasses
from typing import ClassVar

import diffrax
import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from physics.arguments import Scalar
from physics.grid import BOUNDARIES, Grid
from physics.system import SemilinearSystem, StochasticSystem, System


class NormalizedSystem(System):
    """``system`` for v = (u - mean) / deviation; made by `normalized`."""

    system: System
    mean: Float[Array | np.ndarray, " c"]
    deviation: Float[Array | np.ndarray, " c"]
    grid: Grid = eqx.field(static=True)
    name: ClassVar[str] = "normalized"
    # The system has its grid already, and has checked it.
    boundaries: ClassVar[tuple[str, ...]] = BOUNDARIES

    @property
    def channels(self) -> tuple[str, ...]:
        """Those of the system."""
        return self.system.channels

    def boundary_lift(self) -> float | int | Array | np.ndarray:
        """That of the system, normalised: 0 for the system is another constant here."""
        return (self.system.boundary_lift() - self.mean) / self.deviation

    def normalize(self, u: Float[Array | np.ndarray, "*batch c"]) -> Float[Array, "*batch c"]:
        """v for u."""
        u = jnp.asarray(u)
        return (u - jnp.asarray(self.mean, u.dtype)) / jnp.asarray(self.deviation, u.dtype)

    def denormalize(self, v: Float[Array | np.ndarray, "*batch c"]) -> Float[Array, "*batch c"]:
        """u for v, in physical units."""
        v = jnp.asarray(v)
        return jnp.asarray(self.mean, v.dtype) + jnp.asarray(self.deviation, v.dtype) * v

    def vector_field(self, t: Scalar, u: Float[Array, "*shape c"], args: PyTree = None) -> Float[Array, "*shape c"]:
        """f(mean + deviation v) / deviation."""
        return self.system.vector_field(t, self.denormalize(u), args) / jnp.asarray(self.deviation, u.dtype)

    def sample_initial(self, key: PRNGKeyArray) -> Float[Array, "*shape c"]:
        """Those of the system, normalised."""
        return self.normalize(self.system.sample_initial(key))

    def invariants(self, u: Float[Array | np.ndarray, "*shape c"]) -> dict[str, Float[Array, ""]]:
        """Those of the field in physical units."""
        return self.system.invariants(self.denormalize(u))

    def budgets(self, u: Float[Array | np.ndarray, "*shape c"]) -> dict[str, dict[str, Float[Array, ""]]]:
        """Those of the field in physical units."""
        return self.system.budgets(self.denormalize(u))

    def refined(self, factor: int) -> "NormalizedSystem":
        """The system refined, in the same units."""
        finer = self.system.refined(factor)
        return dataclasses.replace(self, system=finer, grid=finer.grid)

    @property
    def recommended_dt(self) -> float:
        """That of the system."""
        return self.system.recommended_dt

    @property
    def default_solver(self) -> diffrax.AbstractSolver:
        """That of the system; exponential integrators do not commute with normalisation and are refused."""
        if isinstance(self.system, SemilinearSystem):
            raise ValueError(
                f"the solver of {type(self.system).__name__} is exponential and does not commute with "
                "normalisation: denormalize the fields and use the system itself, or give a diffrax solver."
            )
        return self.system.default_solver


class NormalizedStochasticSystem(NormalizedSystem, StochasticSystem):
    """A stochastic ``system`` for v = (u - mean) / deviation, on the same noise paths; made by `normalized`."""

    @property
    def additive(self) -> bool:
        """Whether the system's noise is."""
        return self._stochastic.additive

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """That of the system."""
        return self._stochastic.noise_shape

    def diffusion(self, t: Scalar, u: Float[Array, "*shape c"], args: PyTree = None) -> Float[Array, "*shape c"]:
        """g(mean + deviation v) / deviation."""
        return self._stochastic.diffusion(t, self.denormalize(u), args) / jnp.asarray(self.deviation, u.dtype)

    def noise_field(self, w: Float[Array, "*noise"]) -> Float[Array, "*shape c"]:
        """That of the system."""
        return self._stochastic.noise_field(w)

    @property
    def _stochastic(self) -> StochasticSystem:
        assert isinstance(self.system, StochasticSystem)
        return self.system


def normalized(
    system: System,
    mean: Float[Array | np.ndarray, " c"],
    deviation: Float[Array | np.ndarray, " c"],
) -> NormalizedSystem:
    """``system`` in units of ``deviation`` around ``mean``, one of each per channel, in physical units.

    Raises ``ValueError`` where the numbers do not fit the channels, or a deviation is not positive.
    """
    count = len(system.channels)
    mean, deviation = np.asarray(mean, np.float64), np.asarray(deviation, np.float64)
    if mean.shape != (count,) or deviation.shape != (count,):
        raise ValueError(
            f"mean and deviation have shapes {mean.shape} and {deviation.shape}: give one number for each of the "
            f"channels {system.channels}."
        )
    if not (np.all(np.isfinite(mean)) and np.all(np.isfinite(deviation)) and np.all(deviation > 0)):
        raise ValueError(f"mean must be finite and deviation positive, not {mean} and {deviation}.")
    kind = NormalizedStochasticSystem if isinstance(system, StochasticSystem) else NormalizedSystem
    return kind(grid=system.grid, system=system, mean=mean, deviation=deviation)
