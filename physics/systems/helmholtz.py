"""The Helmholtz equation below its first resonance: standing waves that a source drives."""

from collections.abc import Callable
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from physics.arguments import is_concrete, parameter
from physics.elliptic import EllipticSystem, check_values
from physics.finite_volumes import divide_by_symbol, laplacian_symbol
from physics.grid import Grid


class Helmholtz(EllipticSystem):
    r"""-laplacian(u) - k^2 u = f on a box with at least one Dirichlet axis, non-dimensional.

    State: ``(*grid.shape, 1)``, the channel ``u`` (amplitude of a wave of frequency k c).

    What one sees: the field of Poisson's equation, which grows without bound as k nears the first resonance, the root
    of the smallest eigenvalue of -laplacian: pi sqrt(sum 1/L^2) over the Dirichlet axes, less an error of second
    order on the grid.

    Parameters: ``source`` f; ``wavenumber`` k, a number or, where the speed of the wave varies, a field
    ``(*grid.shape, 1)``; ``boundary_values`` as in `physics.elliptic.EllipticSystem`.

    Good values to start with: ``Helmholtz(Grid((64, 64), (1.0, 1.0), "dirichlet"), 1.0, wavenumber=4.0)``; the
    resonance is at 4.44.

    Raises ``ValueError`` at or above the resonance anywhere in the box, where A is no longer positive.

    Source: Helmholtz (1860); Evans (2010), Partial Differential Equations, section 6.2 on the resonances.
    """

    wavenumber: Float[Array | np.ndarray, "*shape 1"] | float | Float[Array, ""]
    name: ClassVar[str] = "helmholtz"
    channels: ClassVar[tuple[str, ...]] = ("u",)

    def __init__(self, grid: Grid, source: Any, wavenumber: Any, boundary_values: Any = None):
        super().__init__(grid, source, boundary_values)
        self.wavenumber = parameter(wavenumber) if np.ndim(wavenumber) == 0 else wavenumber
        check_values("wavenumber", self.wavenumber, grid)

    def __check_init__(self):
        if not is_concrete(self.wavenumber):
            return
        largest = float(np.max(np.abs(np.asarray(self.wavenumber))))
        if largest >= self.resonance:
            raise ValueError(
                f"wavenumber {largest:.6g} is not below the first resonance {self.resonance:.6g} of this grid: use a "
                "smaller one, or a smaller box (a box with no dirichlet axis resonates at 0)."
            )

    @property
    def resonance(self) -> float:
        """The smallest wavenumber with a field that no source drives, on this grid."""
        return float(np.sqrt(laplacian_symbol(self.grid).min()))

    @property
    def singular(self) -> bool:
        """Never below the resonance."""
        return False

    @property
    def square_wavenumber(self) -> float | int | Array | np.ndarray:
        """k^2, without the channel."""
        square = jnp.square(self.wavenumber)
        return square[..., 0] if square.ndim else square

    def approximate_inverse(self) -> Callable[[Array], Array]:
        """The inverse for the mean of k^2."""
        symbol = jnp.asarray(laplacian_symbol(self.grid)) - jnp.mean(self.square_wavenumber)
        return lambda r: divide_by_symbol(r[..., 0], symbol, self.grid)[..., None]
