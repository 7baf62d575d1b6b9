"""The heat equation: differences even out, the smallest first."""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact, PRNGKeyArray, PyTree

from physics.arguments import Scalar, check_axes, check_parameter, parameter
from physics.finite_volumes import BoundaryValues, check_boundary_values
from physics.grid import Grid
from physics.random_fields import BandLimitedField
from physics.spectral import laplacian, to_spectral
from physics.system import SemilinearSystem, Symmetries


class Heat(SemilinearSystem):
    r"""u_t = kappa laplacian(u) on 1, 2 or 3 axes, non-dimensional.

    State: ``(*grid.shape, 1)``, the channel ``u`` (temperature); ``diffusivity`` is kappa. Boundaries: periodic,
    held at a temperature (Dirichlet) or at an inflow (Neumann), zero unless ``boundary_values`` say otherwise: per axis
    None or the pair at its lower and upper face, u on Dirichlet axes and du/dn with the outward normal n on Neumann
    axes. The mean is conserved where neither is held.

    What one sees: every wave decays as exp(-kappa k^2 t), short ones first, towards the uniform mean or the steady
    profile between the boundaries. Every step is exact, whatever its length: what is left of u after a polynomial
    with the boundary values is taken off is a sine or cosine series.

    Good values to start with: L = 2 pi, 64 points, diffusivity 0.1, times up to 10.

    Source: Fourier (1822), Theorie analytique de la chaleur.
    """

    grid: Grid = eqx.field(static=True)
    diffusivity: Float[Array, ""] | float = eqx.field(converter=parameter, default=0.1)
    boundary_values: BoundaryValues | None = None
    name: ClassVar[str] = "heat"
    channels: ClassVar[tuple[str, ...]] = ("u",)
    dissipative: ClassVar[bool] = True
    boundaries: ClassVar[tuple[str, ...]] = ("periodic", "dirichlet", "neumann")
    example_grid: ClassVar[Grid] = Grid((64,), (2 * np.pi,))

    def __check_init__(self):
        check_axes("Heat", self.grid.ndim)
        check_parameter("diffusivity", self.diffusivity, sign="non_negative")
        values = check_boundary_values(self.boundary_values, self.grid)
        given = [axis for axis, pair in enumerate(values) if pair]
        if any(np.ndim(value) for pair in values for value in pair or ()):
            raise ValueError("Heat takes numbers as boundary_values, the same all over a face: give no fields.")
        fixed = [axis for axis, kind in enumerate(self.grid.boundary) if kind == "dirichlet"]
        if (given and fixed and given != fixed) or (len(given) > 1 and fixed):
            raise ValueError(
                f"Heat takes boundary_values beside the dirichlet axes {fixed} on a single such axis alone, not on "
                f"axes {given}: faces that meet at an edge would prescribe two temperatures there."
            )

    def linear_symbol(self) -> Array | np.ndarray:
        """-kappa k^2."""
        return -self.diffusivity * self.grid.wavenumber_squared[None]

    def nonlinear(
        self, t: Scalar, u_hat: Inexact[Array, " c *spectrum"], args: PyTree = None
    ) -> Inexact[Array, " c *spectrum"]:
        """Nothing, or kappa laplacian(w) - L w for the polynomial w with the boundary values."""
        if self.boundary_values is None:
            return jnp.zeros_like(u_hat)
        lift, curvature = self._lift()
        supply = self.diffusivity * curvature * jnp.ones(self.field_shape, u_hat.real.dtype)
        lift_hat = to_spectral(jnp.asarray(lift, u_hat.real.dtype), self.grid)
        return to_spectral(supply, self.grid) - jnp.asarray(self.symbol(), u_hat.real.dtype) * lift_hat

    def _lift(self) -> tuple[Any, Any]:
        """The polynomial with the boundary values, ``(*grid.shape, 1)`` or a number, and its Laplacian, constant."""
        lift: Any = 0.0
        curvature: Any = 0.0
        for axis, pair in enumerate(self.boundary_values or ()):
            if pair is None:
                continue
            low, high = pair
            x, length = self.grid.mesh()[axis][..., None], self.grid.extent[axis]
            if self.grid.boundary[axis] == "dirichlet":
                lift = lift + low + (high - low) * x / length
            else:
                lift = lift - low * x + (high + low) * x**2 / (2 * length)
                curvature = curvature + (high + low) / length
        return lift, curvature

    def boundary_lift(self) -> float | int | Array | np.ndarray:
        """The polynomial with the boundary values, ``(*grid.shape, 1)``, or 0."""
        return self._lift()[0]

    def sample_initial(self, key: PRNGKeyArray) -> Float[Array, "*shape c"]:
        """Gaussian waves with modes 1 to 4 and standard deviation 1 about zero or the polynomial of the boundaries."""
        return BandLimitedField(self.grid, 4).sample(key) + self._lift()[0]

    def invariants(self, u: Float[Array | np.ndarray, "*shape c"]) -> dict[str, Float[Array, ""]]:
        """The mean, unless a boundary is held at a temperature or lets heat in."""
        open_ = "dirichlet" in self.grid.boundary or self.boundary_values is not None
        return {} if open_ else {"mean": jnp.mean(u)}

    def budgets(self, u: Float[Array | np.ndarray, "*shape c"]) -> dict[str, dict[str, Float[Array, ""]]]:
        """Variance <u^2>/2: dissipation -kappa <|grad u|^2>, with given boundary values together with their supply."""
        lift, curvature = self._lift()
        dissipation = self.diffusivity * jnp.mean(u * (laplacian(u - lift, self.grid) + curvature))
        return {"variance": {"value": 0.5 * jnp.mean(jnp.asarray(u) ** 2), "dissipation": dissipation}}

    @property
    def symmetries(self) -> Symmetries:
        """Shifts and mirror images, none where boundary values differ from side to side."""
        return Symmetries.of_scalars(self.grid) if self.boundary_values is None else Symmetries()

    @property
    def recommended_dt(self) -> float:
        """0.1: only how often one wants to look."""
        return 0.1
