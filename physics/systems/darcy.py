"""Darcy flow: the pressure that drives a fluid through rock whose permeability varies."""

from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from physics.arguments import is_concrete
from physics.elliptic import EllipticSystem, check_values
from physics.finite_volumes import divide_by_symbol, laplacian_symbol
from physics.grid import Grid


class Darcy(EllipticSystem):
    r"""-div(a grad p) = f on a box of 1, 2 or 3 axes with any boundaries, non-dimensional.

    State: ``(*grid.shape, 1)``, the channel ``pressure`` p. The Darcy velocity is -a grad p.

    What one sees: pressure falls from sources to sinks, steeply where the permeability a is low; flow finds the
    channels where it is high.

    Parameters: ``permeability`` a > 0, a field ``(*grid.shape, 1)``; ``source`` f, with `corner_wells` as the one of
    the common benchmark; ``boundary_values`` as in `physics.elliptic.EllipticSystem`. With no Dirichlet axis p has
    zero mean, and source and inflow must cancel. Fluxes take harmonic means of a on the faces; second order in the
    spacing for smooth a.

    ``preconditioner``: ``"scaled"``, a^{-1/2} (-laplacian)^{-1} a^{-1/2}, which is near the inverse for a
    that is smooth, at any contrast (iterations do not depend on the grid); ``"plain"``, (-laplacian)^{-1}, for a that
    jumps: iterations depend on the contrast max a / min a alone, as its square root.

    Good values to start with: a 64 x 64 grid of the unit square with Neumann boundaries, ``corner_wells(grid)``, and
    log a from `physics.KarhunenLoeveField` with 64 terms and correlation length 0.1.

    Raises ``ValueError`` for a permeability that is not positive everywhere.

    Source: Darcy (1856); benchmark: Zhu and Zabaras (2018), J. Comput. Phys. 366; preconditioner: Concus and Golub
    (1973), SIAM J. Numer. Anal. 10.
    """

    permeability: Float[Array | np.ndarray, "*shape 1"]
    preconditioner: str = eqx.field(static=True)
    name: ClassVar[str] = "darcy"
    channels: ClassVar[tuple[str, ...]] = ("pressure",)

    def __init__(
        self,
        grid: Grid,
        permeability: Any,
        source: Any,
        boundary_values: Any = None,
        *,
        preconditioner: str = "scaled",
    ):
        super().__init__(grid, source, boundary_values)
        if preconditioner not in ("scaled", "plain"):
            raise ValueError(f"preconditioner {preconditioner!r} is unknown: use 'scaled' or 'plain'.")
        if np.shape(permeability) != self.field_shape:
            raise ValueError(f"permeability has shape {np.shape(permeability)}: give a field {self.field_shape}.")
        check_values("permeability", permeability, grid)
        if is_concrete(permeability) and (least := float(np.min(np.asarray(permeability)))) <= 0:
            raise ValueError(f"permeability must be positive everywhere, but is {least:g} somewhere: raise it there.")
        self.permeability = permeability
        self.preconditioner = preconditioner

    @property
    def coefficient(self) -> Array:
        """The permeability, without the channel."""
        return jnp.asarray(self.permeability)[..., 0]

    def approximate_inverse(self) -> Callable[[Array], Array]:
        """The inverse for constant permeability, scaled or plain."""
        symbol = laplacian_symbol(self.grid)
        scale = 1.0 if self.preconditioner == "plain" else self.coefficient**-0.5

        def apply(r: Array) -> Array:
            return (scale * divide_by_symbol(scale * r[..., 0], symbol, self.grid))[..., None]

        return apply


def corner_wells(grid: Grid, rate: float = 10.0, width: float = 0.125) -> Float[np.ndarray, "*shape 1"]:
    """The benchmark's source: ``rate`` in the cell block at the lower corner, ``-rate`` in the one at the upper.

    **Arguments:**

    - ``rate``: f there.
    - ``width``: edge of the blocks as a share of the box.

    Raises ``ValueError`` for blocks that hold no cell centre or meet.
    """
    places = [x / length for x, length in zip(grid.mesh(), grid.extent)]
    low = np.all([x <= width for x in places], axis=0)
    high = np.all([x >= 1 - width for x in places], axis=0)
    if not low.any() or low.sum() != high.sum() or (low & high).any():
        raise ValueError(f"wells of width {width:g} do not fit a grid of {grid.shape} points: use 0.125 or more cells.")
    return rate * (low.astype(float) - high)[..., None]
