"""Whether a grid resolves a field: the share of its variance in the shortest waves that the grid holds.

Along every axis the variance about the mean is split by its waves (Fourier, sine or cosine, as the boundary
has it, what is given there taken off); what lies above two thirds of the shortest one is what the 2/3 rule would
take away. White noise has a third of its variance there, a resolved field next to nothing.

Fields that a dealiased solver made have nothing there however badly they are resolved. For them the shortest third
of the waves that the solver uses is examined: of those below the 2/3 rule's cut, or below half the shortest
wave (products of three). Which cut it was is seen from the field itself, by what holds nothing but round-off.
"""

import math

import numpy as np
import scipy.fft
from jaxtyping import Array, Float

from physics.system import System
from physics.user_warning import warn_user

MOST_UNRESOLVED = 1e-2


class UnresolvedFieldWarning(UserWarning):
    """A field has more in the shortest waves of its grid than a resolved one would."""


def unresolved_share(fields: Float[Array | np.ndarray, "*axes"], system: System, dealiased: bool = False) -> float:
    """The largest share over fields, channels and axes, between 0 and 1.

    Arguments:
        fields: ``(..., *grid.shape, C)``.
        system: whose grid they live on.
        dealiased: examine the shortest third of the waves that a dealiased solver uses, not the grid's.
    """
    values, grid = np.asarray(fields, np.float64) - np.asarray(system.boundary_lift()), system.grid
    worst = 0.0
    for axis, (size, boundary) in enumerate(zip(grid.shape, grid.boundary)):
        lines = np.moveaxis(values, values.ndim - 1 - grid.ndim + axis, -1)
        if boundary == "periodic":
            power = np.abs(np.fft.rfft(lines, axis=-1)) ** 2
            power[..., 1 : (size + 1) // 2] *= 2
            power[..., 0] = 0
            shortest = size / 2
        elif boundary == "neumann":
            power = np.abs(scipy.fft.dct(lines, norm="ortho", axis=-1)) ** 2
            power[..., 0] = 0
            shortest = size
        else:
            power = np.abs(scipy.fft.dst(lines, norm="ortho", axis=-1)) ** 2
            shortest = size
        # Over the field's other axes; its channel is now the last of the leading ones.
        across = tuple(range(power.ndim - 1 - grid.ndim, power.ndim - 2))
        power = power.sum(axis=across)
        total = power.sum(axis=-1)
        # Nothing but round-off is no field to resolve.
        noise = (size * np.finfo(np.float32).eps * np.abs(values).max(initial=0)) ** 2
        first = 1 if boundary == "dirichlet" else 0

        def above(share: float, power: np.ndarray = power, cut: float = shortest, first: int = first) -> np.ndarray:
            return power[..., math.ceil(share * cut) - first :].sum(axis=-1)

        tail = above(2 / 3)
        if dealiased:
            # Field by field: an initial field among those of a solver may hold waves that the solver drops.
            lines = math.prod(grid.shape) // size
            empty = [above(cut) <= lines * noise for cut in (1 / 2, 2 / 3)]
            tail = np.select(empty, [above(1 / 3), above(4 / 9)], tail)
        share = np.divide(tail, total, out=np.zeros_like(total), where=total > noise)
        worst = max(worst, float(share.max(initial=0)))
    return worst


def warn_if_unresolved(what: str, share: float, waves: str = "the grid's waves") -> None:
    """Warn with the figure where it is above 1%."""
    if share > MOST_UNRESOLVED:
        warn_user(
            f"{what} is not resolved, {share:.1%} of its variance > {MOST_UNRESOLVED:.0%} lies in the shortest third "
            f"of {waves}: use more points or smoother fields.",
            UnresolvedFieldWarning,
        )
