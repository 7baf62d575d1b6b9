"""The wave equation in first-order form: displacement and velocity that pass one energy to and fro."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact, PRNGKeyArray, PyTree

from physics.arguments import Scalar, check_axes, check_parameter, parameter
from physics.grid import Grid
from physics.random_fields import RandomBumps
from physics.spectral import laplacian
from physics.system import SemilinearSystem, Symmetries


class Wave(SemilinearSystem):
    r"""u_t = v, v_t = c^2 laplacian(u) on 1, 2 or 3 axes, non-dimensional; ``speed`` is c.

    State: ``(*grid.shape, 2)``, the channels ``displacement`` u and ``velocity`` v. Boundaries: periodic, held at zero
    (Dirichlet) or free (Neumann). The energy <v^2 + c^2 |grad u|^2> / 2 is conserved, and the mean velocity where no
    boundary is held.

    What one sees: a pulse at rest splits in two on a line, each half as high; in the plane it leaves a wake behind its
    front, in space none. Walls throw it back, held ones upside down. Every step is exact, whatever its length.

    Good values to start with: L = 2 pi, 64 points per axis, speed 1, times up to 10.

    Source: d'Alembert (1747); Evans (2010), Partial Differential Equations, section 2.4.
    """

    grid: Grid = eqx.field(static=True)
    speed: Float[Array, ""] | float = eqx.field(converter=parameter, default=1.0)
    name: ClassVar[str] = "wave"
    channels: ClassVar[tuple[str, ...]] = ("displacement", "velocity")
    boundaries: ClassVar[tuple[str, ...]] = ("periodic", "dirichlet", "neumann")
    example_grid: ClassVar[Grid] = Grid((64,), (2 * np.pi,))

    def __check_init__(self):
        check_axes("Wave", self.grid.ndim)
        check_parameter("speed", self.speed, sign="non_negative")

    def linear_symbol(self) -> Array | np.ndarray:
        """[[0, 1], [-c^2 k^2, 0]]."""
        motion, restoring = np.zeros((2, 2, 2, *self.grid.spectral_shape))
        motion[0, 1], restoring[1, 0] = 1.0, -self.grid.wavenumber_squared
        return motion + self.speed**2 * restoring

    def nonlinear(
        self, t: Scalar, u_hat: Inexact[Array, " c *spectrum"], args: PyTree = None
    ) -> Inexact[Array, " c *spectrum"]:
        """Nothing."""
        return jnp.zeros_like(u_hat)

    def sample_initial(self, key: PRNGKeyArray) -> Float[Array, "*shape c"]:
        """One pulse of height 1 at rest, at a random place, a sixteenth of the shortest side wide."""
        pulse = RandomBumps(self.grid, 1).sample(key)
        return jnp.concatenate([pulse, jnp.zeros_like(pulse)], -1)

    def invariants(self, u: Float[Array | np.ndarray, "*shape c"]) -> dict[str, Float[Array, ""]]:
        """Energy per unit volume, and the mean velocity unless a boundary is held at zero."""
        energy = sum(budget["value"] for budget in self.budgets(u).values())
        mean = {} if "dirichlet" in self.grid.boundary else {"mean_velocity": jnp.mean(jnp.asarray(u)[..., 1])}
        return {"energy": jnp.asarray(energy), **mean}

    def budgets(self, u: Float[Array | np.ndarray, "*shape c"]) -> dict[str, dict[str, Float[Array, ""]]]:
        """Kinetic energy v^2/2 and elastic energy c^2 |grad u|^2 / 2 per unit volume: what one takes from the other."""
        u = jnp.asarray(u)
        force = self.speed**2 * laplacian(u[..., :1], self.grid)[..., 0]
        work = jnp.mean(force * u[..., 1])
        return {
            "kinetic": {"value": 0.5 * jnp.mean(u[..., 1] ** 2), "from_elastic": work},
            "elastic": {"value": -0.5 * jnp.mean(force * u[..., 0]), "from_kinetic": -work},
        }

    @property
    def symmetries(self) -> Symmetries:
        """Shifts and mirror images."""
        return Symmetries.of_scalars(self.grid, channels=2)

    @property
    def recommended_dt(self) -> float:
        """0.1: only how often one wants to look."""
        return 0.1
