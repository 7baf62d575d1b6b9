"""The Gray-Scott equations: two chemicals, one of which eats the other, and spots that divide."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact, PRNGKeyArray, PyTree

from physics.arguments import Scalar, check_axes, check_parameter, parameter
from physics.grid import Grid
from physics.random_fields import RandomBumps
from physics.spectral import dealias, polynomial
from physics.system import SemilinearSystem, Symmetries


class GrayScott(SemilinearSystem):
    r"""u_t = D_u laplacian(u) - u v^2 + F (1 - u), v_t = D_v laplacian(v) + u v^2 - (F + k) v, non-dimensional.

    State: ``(*grid.shape, 2)`` on 1, 2 or 3 axes, the channels ``u`` (food) and ``v`` (the chemical that multiplies by
    it). ``feed`` is F, ``kill`` is k, ``diffusivity_u`` and ``diffusivity_v`` are D_u and D_v. Boundaries: periodic, or
    without flux (Neumann).

    What one sees: (1, 0) is stable; a strong enough seed turns into stripes, into spots that divide until they fill the
    box, into waves or chaos, depending on F and k. Two more uniform states exist where d = 1 - 4 (F + k)^2 / F > 0:
    u = (1 -+ sqrt(d)) / 2, v = F (1 - u) / (F + k).

    Good values to start with: L = 1.25, 128 points per axis, D_u = 2e-5, D_v = 1e-5, dt = 1, times up to 5000, and
    F = 0.04, k = 0.06 (stripes), F = 0.026, k = 0.051 (chaos) or F = 0.035, k = 0.065 (dividing spots, which wide seeds
    miss: they die out). Waves up to a quarter of the points enter the cube: on a coarser grid v rings below zero around
    its spots, by 0.015 with half the points.

    Source: Gray and Scott (1984), Chem. Eng. Sci. 39; patterns and diffusivities: Pearson (1993), Science 261.
    """

    grid: Grid = eqx.field(static=True)
    feed: Float[Array, ""] | float = eqx.field(converter=parameter, default=0.04)
    kill: Float[Array, ""] | float = eqx.field(converter=parameter, default=0.06)
    diffusivity_u: Float[Array, ""] | float = eqx.field(converter=parameter, default=2e-5)
    diffusivity_v: Float[Array, ""] | float = eqx.field(converter=parameter, default=1e-5)
    name: ClassVar[str] = "gray_scott"
    channels: ClassVar[tuple[str, ...]] = ("u", "v")
    dissipative: ClassVar[bool] = True
    boundaries: ClassVar[tuple[str, ...]] = ("periodic", "neumann")
    example_grid: ClassVar[Grid] = Grid((128, 128), (1.25, 1.25))

    def __check_init__(self):
        check_axes("GrayScott", self.grid.ndim)
        for name in ("feed", "kill", "diffusivity_u", "diffusivity_v"):
            check_parameter(name, getattr(self, name), sign="non_negative")

    def linear_symbol(self) -> Array | np.ndarray:
        """-D_u k^2 - F and -D_v k^2 - F - k."""
        k2, zero = self.grid.wavenumber_squared, np.zeros((2, *[1] * self.grid.ndim))
        zero[1] = 1.0
        diffusion = -(self.diffusivity_u * (1 - zero) + self.diffusivity_v * zero) * k2
        return diffusion - self.feed - self.kill * zero

    def nonlinear(
        self, t: Scalar, u_hat: Inexact[Array, " c *spectrum"], args: PyTree = None
    ) -> Inexact[Array, " c *spectrum"]:
        """-u v^2 + F and u v^2."""
        reaction = polynomial(lambda w: w[:1] * w[1:] ** 2, u_hat, self.grid, 3)
        inflow = np.zeros((1, *self.grid.spectral_shape))
        inflow[(0,) * inflow.ndim] = self.grid.size
        return jnp.concatenate([self.feed * jnp.asarray(inflow, u_hat.real.dtype) - reaction, reaction])

    def uniform_states(self) -> Float[Array, "3 2"]:
        """The uniform steady states (u, v): the empty one, then with the less and the more food; NaN where absent."""
        loss = self.feed + self.kill
        root = jnp.sqrt(1 - 4 * loss**2 / self.feed)
        patterned = [(u, self.feed * (1 - u) / loss) for u in ((1 - root) / 2, (1 + root) / 2)]
        return jnp.asarray([(1.0, 0.0), *patterned])

    def sample_initial(self, key: PRNGKeyArray) -> Float[Array, "*shape c"]:
        """The empty state (1, 0) with ten seeds at random places, each (1/2, 1/4) as the one of Pearson (1993).

        They are 9 sqrt(D_u) wide, 0.04 with the values above, or a spacing where that is more.
        """
        width = jnp.maximum(9 * jnp.sqrt(self.diffusivity_u), max(self.grid.spacing))
        seeds = RandomBumps(self.grid, 10, width=width).sample(key)
        return jnp.concatenate([1 - 0.5 * seeds, 0.25 * seeds], axis=-1)

    def budgets(self, u: Float[Array | np.ndarray, "*shape c"]) -> dict[str, dict[str, Float[Array, ""]]]:
        """Mean food: feed F (1 - <u>), reaction -<u v^2>; mean of both, which no reaction changes: feed and removal."""
        u = jnp.asarray(u)
        food, eater = jnp.mean(u[..., 0]), jnp.mean(u[..., 1])
        kept = dealias(u, self.grid, 3)
        feed = self.feed * (1 - food)
        return {
            "food": {"value": food, "feed": feed, "reaction": -jnp.mean(kept[..., 0] * kept[..., 1] ** 2)},
            "total": {"value": food + eater, "feed": feed, "removal": -(self.feed + self.kill) * eater},
        }

    @property
    def symmetries(self) -> Symmetries:
        """Shifts and mirror images."""
        return Symmetries.of_scalars(self.grid, channels=2)

    @property
    def recommended_dt(self) -> float:
        """1: rates are near 0.1."""
        return 1.0
