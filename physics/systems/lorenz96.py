"""Lorenz's toy of the weather: waves around a latitude circle, forced, advected and damped."""

from collections.abc import Mapping
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from physics.arguments import Scalar, check_parameter, parameter
from physics.grid import Grid
from physics.system import System


class Lorenz96(System):
    r"""x_k' = (x_{k+1} - x_{k-2}) x_{k-1} - x_k + forcing, on a ring, non-dimensional (Lorenz, 1996).

    State: ``(K, 1)``, the channel ``x`` at K sites. Shifts by whole sites are symmetries. Sites are not
    points of a continuum: twice as many are another system.

    What one sees: the uniform state x = forcing loses its stability at forcing = 8/9 to waves that travel
    westwards; at 8 they are chaotic. One time unit is about 5 days of weather.

    Good values to start with: K = 40, forcing 8 (leading Lyapunov exponent 1.67; Lorenz and Emanuel, 1998,
    whose errors double in 0.42 units), dt = 0.05 with `diffrax.Tsit5`.

    Source: Lorenz, Predictability: a problem partly solved, ECMWF seminar on predictability, 1996; Lorenz and
    Emanuel, J. Atmos. Sci. 55, 1998.
    """

    forcing: Float[Array, ""] | float = eqx.field(converter=parameter, default=8.0)
    grid: Grid = eqx.field(static=True, default=Grid((40,), (40.0,)))
    name: ClassVar[str] = "lorenz96"
    channels: ClassVar[tuple[str, ...]] = ("x",)
    chaotic: ClassVar[bool] = True
    dissipative: ClassVar[bool] = True
    refinable: ClassVar[bool] = False
    # Compared over one Lyapunov time.
    default_dataset: ClassVar[Mapping[str, object]] = {"horizon": 0.6}

    def __check_init__(self):
        check_ring(self)
        check_parameter("forcing", self.forcing, sign="any")

    def vector_field(self, t: Scalar, u: Float[Array, "k c"], args: PyTree = None) -> Float[Array, "k c"]:
        """Advection, friction and forcing."""
        return ring_advection(u[:, 0], 1)[:, None] - u + self.forcing

    def sample_initial(self, key: PRNGKeyArray) -> Float[Array, "k c"]:
        """The uniform state with normal noise of standard deviation 1."""
        return self.forcing + jax.random.normal(key, self.field_shape)

    def budgets(self, u: Float[Array | np.ndarray, "k c"]) -> dict[str, dict[str, Float[Array, ""]]]:
        """Energy x^2/2 per site: friction -<x^2>, input forcing <x>; advection conserves it."""
        square, mean = jnp.mean(jnp.asarray(u) ** 2), jnp.mean(jnp.asarray(u))
        return {"energy": {"value": square / 2, "friction": -square, "input": self.forcing * mean}}

    @property
    def recommended_dt(self) -> float:
        """0.05."""
        return 0.05


def ring_advection(x: Float[Array, " sites"], direction: int) -> Float[Array, " sites"]:
    """(x_{k+d} - x_{k-2d}) x_{k-d} on a ring, for the direction d = 1 or -1; conserves sum x^2."""
    return (jnp.roll(x, -direction) - jnp.roll(x, 2 * direction)) * jnp.roll(x, direction)


def check_ring(system: System) -> None:
    """Raise ``ValueError`` unless the system's grid has one axis."""
    if system.grid.ndim != 1:
        raise ValueError(
            f"{type(system).__name__} needs a grid with 1 axis, not {system.grid.ndim}: Grid((36,), (36.0,))."
        )
