"""Poisson's equation: the potential of a source."""

from collections.abc import Callable
from typing import ClassVar

from jaxtyping import Array

from physics.elliptic import EllipticSystem
from physics.finite_volumes import divide_by_symbol, laplacian_symbol


class Poisson(EllipticSystem):
    r"""-laplacian(u) = f on a box of 1, 2 or 3 axes with any boundaries, non-dimensional.

    State: ``(*grid.shape, 1)``, the channel ``u`` (potential).

    What one sees: u is smoother than f by two derivatives, and every source is felt everywhere.

    Parameters: ``source`` f; ``boundary_values`` as in `physics.elliptic.EllipticSystem`. With no Dirichlet axis u has
    zero mean, and source and inflow must cancel. Second order in the spacing; the preconditioner is the exact
    inverse, so that the iteration ends at once.

    Good values to start with: ``Poisson(Grid((64, 64), (1.0, 1.0), "dirichlet"), 1.0)``, which is 0.0737 at the centre.

    Source: Poisson (1813); the operator is diagonal in sines and cosines: Buzbee, Golub and Nielson (1970).
    """

    name: ClassVar[str] = "poisson"
    channels: ClassVar[tuple[str, ...]] = ("u",)

    def approximate_inverse(self) -> Callable[[Array], Array]:
        """The inverse itself, by sine, cosine and Fourier series."""
        symbol = laplacian_symbol(self.grid)
        return lambda r: divide_by_symbol(r[..., 0], symbol, self.grid)[..., None]
