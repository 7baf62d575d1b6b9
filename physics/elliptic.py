"""What steady equations of the form -div(a grad u) - k^2 u = f share: source, boundary data, operator, checks."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from physics.arguments import check_axes, is_concrete, parameter
from physics.finite_volumes import (
    BoundaryValues,
    boundary_source,
    check_boundary_values,
    face_means,
    minus_divergence,
    net_source,
)
from physics.grid import Grid
from physics.steady import SteadySystem


class EllipticSystem(SteadySystem):
    """-div(a grad u) - k^2 u = f for one channel by finite volumes: subclasses state ``coefficient`` and
    ``square_wavenumber``.

    **Arguments:**

    - ``grid``: 1, 2 or 3 axes with any boundaries.
    - ``source``: f, a field ``(*grid.shape, 1)`` or a number.
    - ``boundary_values``: per axis None (zero) or the pair at its lower and upper face: u on Dirichlet axes, a du/dn
      with the outward normal n on Neumann axes; numbers, or fields over the face.

    Raises ``ValueError`` for shapes that do not fit, values that are not finite, and a source that has no solution
    because with no Dirichlet axis it must cancel what flows in through the boundary.
    """

    grid: Grid = eqx.field(static=True)
    source: Float[Array | np.ndarray, "*shape 1"] | float | Float[Array, ""]
    boundary_values: BoundaryValues

    def __init__(self, grid: Grid, source: Any, boundary_values: Any = None):
        check_axes(type(self).__name__, grid.ndim)
        self.grid = grid
        self.source = parameter(source) if np.ndim(source) == 0 else source
        self.boundary_values = check_boundary_values(boundary_values, grid)
        check_values("source", self.source, grid)

    def __check_init__(self):
        if not (self.singular and is_concrete((self.source, self.boundary_values))):
            return
        source = np.broadcast_to(self.source, self.field_shape)
        net, gross = net_source(source, self.boundary_values, self.grid)
        rounding = 1e3 * np.finfo(np.result_type(getattr(self.source, "dtype", float), np.float32)).eps
        if abs(net) > rounding * gross:
            raise ValueError(
                f"source and inflow at the boundary add up to {net:.3g} where no axis is dirichlet: no steady field "
                "exists unless they cancel; subtract the mean of the source."
            )

    @property
    def coefficient(self) -> float | int | Array | np.ndarray:
        """a: cell values ``(*grid.shape)``, or a number."""
        return 1.0

    @property
    def square_wavenumber(self) -> float | int | Array | np.ndarray:
        """k^2: cell values ``(*grid.shape)``, or a number."""
        return 0.0

    @property
    def singular(self) -> bool:
        """Whether the boundaries leave u open up to a constant: no axis is Dirichlet."""
        return "dirichlet" not in self.grid.boundary

    def operator(self) -> Callable[[Array], Array]:
        """-div(a grad u) - k^2 u."""
        a = self.coefficient
        faces = face_means(jnp.asarray(a), self.grid) if np.ndim(a) else (a,) * self.grid.ndim
        k2 = self.square_wavenumber

        def apply(u: Array) -> Array:
            return (minus_divergence(u[..., 0], faces, self.grid) - k2 * u[..., 0])[..., None]

        return apply

    def right_hand_side(self) -> Float[Array, "*shape c"]:
        """f and what is given at the boundaries."""
        given = boundary_source(self.boundary_values, self.coefficient, self.grid)
        return jnp.broadcast_to(self.source, self.field_shape) + jnp.asarray(given)[..., None]


def check_values(what: str, values: ArrayLike, grid: Grid) -> None:
    """Raise ``ValueError`` unless ``values`` is a number or a field ``(*grid.shape, 1)``, finite where concrete."""
    if np.shape(values) not in ((), (*grid.shape, 1)):
        raise ValueError(f"{what} has shape {np.shape(values)}: give a number or a field {(*grid.shape, 1)}.")
    if is_concrete(values) and not np.all(np.isfinite(np.asarray(values))):
        raise ValueError(f"{what} holds NaN or infinite values: give finite ones.")
