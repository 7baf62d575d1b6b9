"""How thick a distribution of fields is: how many numbers say a field, and how many once the solver makes the rest.

A dissipative solver makes the short waves follow the long ones within a short time, so that a generator need not make
them. Fields are cut to few numbers, their longest waves or their leading principal components, and advanced beside the
whole fields. The fewest numbers from which the solver comes as near to the whole fields as it is asked to are those
that a generator has to make.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

Advance = Callable[[np.ndarray], np.ndarray]
"""Advances fields ``(n, *grid, c)`` by a fixed solver time."""

SHARE = 0.005
"""Distance to the whole fields, of their standard deviation, that cut fields may keep. Kuramoto-Sivashinsky fields at
L = 22 after one time unit: five waves leave 0.9%, which a classifier on physical features sees, and six waves 0.1%,
which it does not (docs/joint_law.md)."""
VARIANCES = (0.99, 0.999)
"""Shares of the variance whose numbers are counted."""
_VARIES = 1e-9


@runtime_checkable
class Cut(Protocol):
    """Cuts fields to a part of what says them, in a fixed order of the parts."""

    @property
    def name(self) -> str:
        """What the parts are, in words."""
        ...

    @property
    def numbers(self) -> np.ndarray:
        """The count of numbers of the first part, the first two, and so on; not falling."""
        ...

    def __call__(self, fields: np.ndarray, parts: int) -> np.ndarray:
        """Return fields (n, *grid, c) of which the first so many parts are kept."""
        ...


class Waves:
    """Cuts fields on a periodic grid to their longest waves; parts are shells of one wavelength.

    Args:
        fields: ``(n, *grid, c)``; a shell whose amplitudes never vary counts no numbers.
        extent: length of every axis.
    """

    name = "waves"

    def __init__(self, fields: Float[np.ndarray, "n *grid c"], extent: tuple[float, ...]):
        shape, self._mean = fields.shape[1:-1], fields.mean(axis=0)
        self._axes = tuple(range(1, 1 + len(shape)))
        lengths = [np.fft.fftfreq(size, 1 / size) / length for size, length in zip(shape, extent)]
        square = sum(np.square(one) for one in np.meshgrid(*lengths, indexing="ij"))
        assert isinstance(square, np.ndarray)
        _, self._shell = np.unique(np.round(square / square[square > 0].min(), 9), return_inverse=True)
        self._shell = self._shell.reshape(shape)
        # Of a real field, the amplitudes of k and -k say the same: every entry of the transform stands for one number.
        power = np.abs(np.fft.fftn(fields - self._mean, axes=self._axes)) ** 2
        self.energy = power.mean(axis=0) / np.maximum(power.mean(axis=0).sum(axis=tuple(range(len(shape)))), 1e-300)
        varies = self.energy > _VARIES / self.energy[..., 0].size
        self.numbers = np.cumsum(np.bincount(self._shell.ravel(), varies.sum(axis=-1).ravel())).astype(int)

    def __call__(self, fields: Float[np.ndarray, "n *grid c"], parts: int) -> Float[np.ndarray, "n *grid c"]:
        """Keep the ``parts`` longest shells of the difference from the mean field."""
        spectrum = np.fft.fftn(fields - self._mean, axes=self._axes)
        spectrum *= (self._shell < parts)[..., None]
        return (np.fft.ifftn(spectrum, axes=self._axes).real + self._mean).astype(fields.dtype)


class Components:
    """Cuts fields to their leading principal components; every part is one number.

    Args:
        fields: ``(n, *grid, c)``; there are at most n - 1 components.
    """

    name = "principal components"

    def __init__(self, fields: Float[np.ndarray, "n *grid c"]):
        flat = fields.reshape(len(fields), -1).astype(np.float64)
        self._mean, self._std = flat.mean(axis=0), _channel_spread(fields)
        _, singular, self._rows = np.linalg.svd((flat - self._mean) / self._std, full_matrices=False)
        self.energy = singular**2 / max(float((singular**2).sum()), 1e-300)
        self.numbers = np.arange(1, 1 + int((self.energy > _VARIES).sum()))

    def __call__(self, fields: Float[np.ndarray, "n *grid c"], parts: int) -> Float[np.ndarray, "n *grid c"]:
        """Keep the ``parts`` leading components."""
        flat = (fields.reshape(len(fields), -1) - self._mean) / self._std
        kept = (flat @ self._rows[:parts].T) @ self._rows[:parts]
        return (kept * self._std + self._mean).reshape(fields.shape).astype(fields.dtype)


def _channel_spread(fields: np.ndarray) -> np.ndarray:
    """Return the standard deviation of each channel, one for every number of a field; 1 where nothing varies."""
    std = fields.std(axis=tuple(range(fields.ndim - 1)), dtype=np.float64)
    return np.broadcast_to(np.where(std > 0, std, 1.0), fields.shape[1:]).ravel()


class Counted(NamedTuple):
    """How many numbers hold the `VARIANCES`, and whether the fields were too few to tell."""

    numbers: tuple[int, ...]
    few: bool


def numbers_for_variance(fields: Float[np.ndarray, "n *grid c"], homogeneous: bool) -> Counted:
    """Count the principal numbers that hold the `VARIANCES` of fields, every channel in units of its own spread.

    Where the distribution is the same everywhere on a periodic grid, the principal components are waves, and each
    counts as a real and an imaginary part. Elsewhere they come from the fields themselves, which must outnumber the
    components several times.

    Args:
        fields: ``(n, *grid, c)``, as independent as possible.
        homogeneous: whether their distribution is the same everywhere on a periodic grid.
    """
    if homogeneous:
        energy = Waves(fields, (1.0,) * (fields.ndim - 2)).energy.ravel()
    else:
        energy = Components(fields).energy
    held = np.cumsum(np.sort(energy)[::-1]) / energy.sum()
    numbers = tuple(int(np.searchsorted(held, share * (1 - 1e-12))) + 1 for share in VARIANCES)
    return Counted(numbers, not homogeneous and max(numbers) > len(fields) / 4)


def numbers_needed(
    fields: Float[np.ndarray, "n *grid c"], cut: Cut, advance: Advance | None, share: float = SHARE
) -> int | None:
    """Return the fewest numbers from which cut fields come as near to the whole ones as ``share``, or None.

    The distance is the root mean square difference after the solver, over the standard deviation of the whole fields
    there, channel by channel. It is taken to fall as more is kept.

    Args:
        fields: whole fields, of which all are cut and advanced.
        cut: what is kept.
        advance: the solver over a fixed time; None compares the cut fields themselves.
        share: largest distance.

    Returns:
        None where no part of the numbers comes near enough.

    Example:
        >>> numbers_needed(fields, Waves(fields, (22.0,)), lambda u: refine(u, 1.0))
        12
    """
    whole = fields if advance is None else advance(fields)
    axes = tuple(range(fields.ndim - 1))
    spread = np.maximum(whole.std(axis=axes, dtype=np.float64), 1e-300)

    def near(parts: int) -> bool:
        kept = cut(fields, parts)
        after = kept if advance is None else advance(kept)
        apart = np.sqrt(np.square(after.astype(np.float64) - whole).mean(axis=axes)) / spread
        return bool(np.all(apart <= share))

    # The last part is all there is, and says nothing.
    low, high = 0, len(cut.numbers) - 1
    if high < 1 or not near(high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if near(middle) else (middle, high)
    return int(cut.numbers[high - 1])
