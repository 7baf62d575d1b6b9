"""The Kuramoto-Sivashinsky equation: the simplest chaos in space and time."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, PRNGKeyArray, PyTree

from physics.arguments import Scalar
from physics.grid import Grid
from physics.random_fields import BandLimitedField
from physics.spectral import derivative, derivative_of_square
from physics.system import Reflection, SemilinearSystem, Symmetries


class KuramotoSivashinsky(SemilinearSystem):
    r"""u_t = -u u_x - u_xx - u_xxxx on a periodic interval, non-dimensional (Kuramoto, 1978; Sivashinsky, 1977).

    State: ``(N, 1)``, the channel ``u`` (velocity form). The mean is conserved and sampled as zero.

    What one sees: waves longer than 2 pi grow, shorter ones are damped, the product moves energy from the
    first to the second. Cells about 9 long merge and split for ever. The length L is the only parameter.

    Good values to start with: L = 22 with 64 points (Lyapunov exponent near 0.048; Cvitanovic, Davidchack
    and Siminos, 2010), L = 32 pi with 128 points, dt = 0.1. Near L = 32 most trajectories end in a steady
    state.

    Source: Kuramoto (1978), Prog. Theor. Phys. Suppl. 64; Sivashinsky (1977), Acta Astronautica 4.
    """

    grid: Grid = eqx.field(static=True)
    name: ClassVar[str] = "kuramoto_sivashinsky"
    channels: ClassVar[tuple[str, ...]] = ("u",)
    chaotic: ClassVar[bool] = True
    dissipative: ClassVar[bool] = True
    example_grid: ClassVar[Grid] = Grid((64,), (22.0,))

    def __check_init__(self):
        if self.grid.ndim != 1:
            raise ValueError(
                f"KuramotoSivashinsky needs a grid with 1 axis, not {self.grid.ndim}: Grid((64,), (22.0,))."
            )

    def linear_symbol(self) -> Array | np.ndarray:
        """k^2 - k^4."""
        (k,) = self.grid.wavenumbers
        return (k**2 - k**4)[None]

    def nonlinear(
        self, t: Scalar, u_hat: Complex[Array, " c *spectrum"], args: PyTree = None
    ) -> Complex[Array, " c *spectrum"]:
        """-(u^2 / 2)_x."""
        return derivative_of_square(u_hat, self.grid, -0.5)

    def sample_initial(self, key: PRNGKeyArray) -> Float[Array, "*shape c"]:
        """Zero-mean Gaussian waves down to the length 2 pi, with standard deviation 1."""
        return BandLimitedField(self.grid, max(1, int(self.grid.extent[0] / (2 * np.pi)))).sample(key)

    def invariants(self, u: Float[Array | np.ndarray, "*shape c"]) -> dict[str, Float[Array, ""]]:
        """The mean."""
        return {"mean": jnp.mean(u)}

    def budgets(self, u: Float[Array | np.ndarray, "*shape c"]) -> dict[str, dict[str, Float[Array, ""]]]:
        """Energy u^2/2 per unit length: production <u_x^2>, dissipation -<u_xx^2>."""
        production = jnp.mean(derivative(u, self.grid) ** 2)
        dissipation = -jnp.mean(derivative(u, self.grid, order=2) ** 2)
        energy = 0.5 * jnp.mean(jnp.asarray(u) ** 2)
        return {"energy": {"value": energy, "production": production, "dissipation": dissipation}}

    @property
    def symmetries(self) -> Symmetries:
        """Shifts, and x -> -x with u -> -u."""
        return Symmetries(shift_axes=(0,), reflections=(Reflection(axis=0, signs=(-1.0,)),))

    @property
    def recommended_dt(self) -> float:
        """0.1."""
        return 0.1
