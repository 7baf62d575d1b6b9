"""Advection at a constant velocity: every shape moves and none changes."""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, PRNGKeyArray, PyTree

from physics.arguments import Scalar, check_axes, check_parameter, parameter
from physics.grid import Grid
from physics.random_fields import BandLimitedField
from physics.system import SemilinearSystem, Symmetries


def _velocity(value: Any) -> Any:
    return tuple(parameter(v) for v in value) if isinstance(value, tuple | list) else parameter(value)


class Advection(SemilinearSystem):
    r"""u_t = -c . grad u on a periodic box of 1, 2 or 3 axes, non-dimensional.

    State: ``(*grid.shape, 1)``, the channel ``u`` (concentration of a passive tracer). ``velocity`` c is one component
    per axis; a single number is the component along every axis. Mean and mean square are conserved.

    What one sees: the initial field travels, unchanged, and is back after L / c. Every step is exact, whatever its
    length.

    Good values to start with: L = 2 pi, 64 points, velocity 1.

    Source: the method of characteristics, u(x, t) = u(x - c t, 0) (Evans, 2010, Partial Differential Equations,
    section 2.1).
    """

    grid: Grid = eqx.field(static=True)
    velocity: Float[Array, "..."] | tuple[float | Array, ...] | float = eqx.field(converter=_velocity, default=1.0)
    name: ClassVar[str] = "advection"
    channels: ClassVar[tuple[str, ...]] = ("u",)
    example_grid: ClassVar[Grid] = Grid((64,), (2 * np.pi,))

    def __check_init__(self):
        check_axes("Advection", self.grid.ndim)
        components = self._components()
        if len(components) != self.grid.ndim:
            raise ValueError(
                f"velocity {self.velocity} does not fit {self.grid.ndim} axes: give one component per axis, "
                "or one number for all."
            )
        for component in components:
            check_parameter("velocity", component, sign="any")

    def _components(self) -> list[Any]:
        velocity: Any = self.velocity
        if isinstance(velocity, tuple) or np.ndim(velocity):
            return list(velocity)
        return [velocity] * self.grid.ndim

    def linear_symbol(self) -> Array | np.ndarray:
        """-i c . k."""
        return -1j * sum(c * k for c, k in zip(self._components(), self.grid.odd_wavenumbers))[None]

    def nonlinear(
        self, t: Scalar, u_hat: Complex[Array, " c *spectrum"], args: PyTree = None
    ) -> Complex[Array, " c *spectrum"]:
        """Nothing."""
        return jnp.zeros_like(u_hat)

    def sample_initial(self, key: PRNGKeyArray) -> Float[Array, "*shape c"]:
        """Zero-mean Gaussian waves with modes 1 to 4 and standard deviation 1."""
        return BandLimitedField(self.grid, 4).sample(key)

    def invariants(self, u: Float[Array | np.ndarray, "*shape c"]) -> dict[str, Float[Array, ""]]:
        """The mean and the mean square."""
        u = jnp.asarray(u)
        return {"mean": jnp.mean(u), "mean_square": jnp.mean(u**2)}

    @property
    def symmetries(self) -> Symmetries:
        """Shifts. A mirror image travels the other way, so there is no reflection."""
        return Symmetries(shift_axes=self.grid.periodic_axes)

    @property
    def recommended_dt(self) -> float:
        """0.1: only how often one wants to look."""
        return 0.1
