"""The nonlinear Schroedinger equation: wave packets that hold themselves together, or push themselves apart."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact, PRNGKeyArray, PyTree

from physics.arguments import Scalar, check_axes, check_parameter, parameter
from physics.grid import Grid
from physics.random_fields import BandLimitedField
from physics.spectral import dealias, derivative, laplacian, polynomial
from physics.system import SemilinearSystem, Symmetries


class NonlinearSchroedinger(SemilinearSystem):
    r"""i psi_t = -laplacian(psi) / 2 - g |psi|^2 psi on 1, 2 or 3 axes, non-dimensional; ``nonlinearity`` is g.

    State: ``(*grid.shape, 2)``, the channels ``real`` and ``imaginary`` of the complex field psi. Boundaries: periodic,
    zero (Dirichlet) or free (Neumann). Norm <|psi|^2> and energy are conserved, and the momentum along periodic axes.

    What one sees: with g > 0 (focusing) on a line, a uniform field breaks up into pulses, and solitons
    a sech(sqrt(g) a (x - v t)) travel, collide and pass unharmed; with g < 0 (defocusing) dips travel on a background.
    On two and three axes a focused field of large norm collapses to a point in finite time, which no grid resolves:
    use g < 0 there, a superfluid with vortices.

    Good values to start with: L = 20, 128 points, g = 1, amplitudes near 1, dt = 0.005. Waves up to a quarter of the
    points enter the cube.

    Source: Zakharov and Shabat (1972), Sov. Phys. JETP 34; in the plane and in space: Sulem and Sulem (1999), The
    Nonlinear Schroedinger Equation.
    """

    grid: Grid = eqx.field(static=True)
    nonlinearity: Float[Array, ""] | float = eqx.field(converter=parameter, default=1.0)
    name: ClassVar[str] = "nonlinear_schroedinger"
    channels: ClassVar[tuple[str, ...]] = ("real", "imaginary")
    boundaries: ClassVar[tuple[str, ...]] = ("periodic", "dirichlet", "neumann")
    example_grid: ClassVar[Grid] = Grid((128,), (20.0,))

    def __check_init__(self):
        check_axes("NonlinearSchroedinger", self.grid.ndim)
        check_parameter("nonlinearity", self.nonlinearity, sign="any")

    def linear_symbol(self) -> Array | np.ndarray:
        """-i k^2 / 2 on psi: the rotation [[0, k^2 / 2], [-k^2 / 2, 0]] of its real and imaginary part."""
        symbol = np.zeros((2, 2, *self.grid.spectral_shape))
        symbol[0, 1], symbol[1, 0] = 0.5 * self.grid.wavenumber_squared, -0.5 * self.grid.wavenumber_squared
        return symbol

    def nonlinear(
        self, t: Scalar, u_hat: Inexact[Array, " c *spectrum"], args: PyTree = None
    ) -> Inexact[Array, " c *spectrum"]:
        """i g |psi|^2 psi."""

        def rotation(w: Array) -> Array:
            return self.nonlinearity * (w[0] ** 2 + w[1] ** 2) * jnp.stack([-w[1], w[0]])

        return polynomial(rotation, u_hat, self.grid, 3)

    def soliton(
        self, amplitude: float, velocity: float, position: float, time: float = 0.0
    ) -> Float[Array, "*shape c"]:
        """a sech(sqrt(g) a d) exp(i (v d + (v^2 + g a^2) time / 2)), d = x - position - v time wrapped around a line.

        Its phase closes around the box where v L is a multiple of 2 pi.

        Raises ``ValueError`` for more than one axis or a nonlinearity that does not focus.
        """
        if self.grid.ndim != 1 or np.any(np.asarray(self.nonlinearity) <= 0):
            raise ValueError(
                f"soliton needs one axis and nonlinearity above 0, not {self.grid.ndim} axes and {self.nonlinearity}."
            )
        (x,), (length,) = self.grid.coordinates(), self.grid.extent
        distance = (x - position - velocity * time + length / 2) % length - length / 2
        phase = velocity * distance + 0.5 * (velocity**2 + self.nonlinearity * amplitude**2) * time
        envelope = amplitude / jnp.cosh(jnp.sqrt(self.nonlinearity) * amplitude * distance)
        return jnp.stack([envelope * jnp.cos(phase), envelope * jnp.sin(phase)], -1)

    def sample_initial(self, key: PRNGKeyArray) -> Float[Array, "*shape c"]:
        """Zero-mean complex Gaussian waves with modes 1 to 4, each part of standard deviation 0.5."""
        return BandLimitedField(self.grid, 4, std=0.5, channels=2).sample(key)

    def invariants(self, u: Float[Array | np.ndarray, "*shape c"]) -> dict[str, Float[Array, ""]]:
        """Per unit volume: norm, momentum Im(conj(psi) grad psi) along periodic axes, energy.

        The energy is <|grad psi|^2 - g |psi|^4> / 2, with the fourth power of the dealiased field: the one which the
        discrete flow conserves.
        """
        u = jnp.asarray(u)
        kept = jnp.sum(dealias(u, self.grid, 3) ** 2, -1)
        kinetic = -jnp.mean(jnp.sum(u * laplacian(u, self.grid), -1))
        conserved = {
            "norm": jnp.mean(jnp.sum(u**2, -1)),
            "energy": 0.5 * (kinetic - self.nonlinearity * jnp.mean(kept**2)),
        }
        for axis in self.grid.periodic_axes:
            slope = derivative(u, self.grid, axis)
            conserved[f"momentum_{'xyz'[axis]}"] = jnp.mean(u[..., 0] * slope[..., 1] - u[..., 1] * slope[..., 0])
        return conserved

    @property
    def symmetries(self) -> Symmetries:
        """Shifts and mirror images; turns of the phase, too, which have no place in `Symmetries`."""
        return Symmetries.of_scalars(self.grid, channels=2)

    @property
    def recommended_dt(self) -> float:
        """0.005."""
        return 0.005
