"""Uniform periodic boxes: where the points are, which waves they carry, which of them survive a product.

On an axis of extent L with N points x_j = j L / N the resolved waves are exp(2 pi i n x / L), n = -N/2 ..
N/2. The last spatial axis is the one that the real-input transform halves: it carries n = 0 .. N/2 only.
"""

from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np

_SMALLEST_AXIS = 4


@dataclass(frozen=True)
class Grid:
    """A uniform periodic box in any number of dimensions; hashable, so it may be a static argument of ``jit``.

    **Arguments:**

    - ``shape``: points per axis, each at least 4 (odd sizes are allowed). ``()`` is a single point: an ODE.
    - ``extent``: length per axis, in the units of the system (non-dimensional where the system is).

    Raises ``ValueError`` for a size below 4, an extent that is not positive, or lengths that differ.
    """

    shape: tuple[int, ...]
    extent: tuple[float, ...]

    def __post_init__(self):
        sizes, extents = tuple(self.shape), tuple(self.extent)
        if any(int(size) != size for size in sizes):
            raise ValueError(f"Grid shape must hold whole numbers of points, not {sizes}.")
        shape, extent = tuple(int(size) for size in sizes), tuple(float(length) for length in extents)
        if len(shape) != len(extent):
            raise ValueError(
                f"Grid shape {shape} has {len(shape)} axes but extent {extent} has {len(extent)}: "
                "give one length per axis."
            )
        if any(size < _SMALLEST_AXIS for size in shape):
            raise ValueError(f"Grid shape {shape} is too small: every axis needs at least {_SMALLEST_AXIS} points.")
        if not all(np.isfinite(length) and length > 0 for length in extent):
            raise ValueError(f"Grid extent {extent} must be positive and finite on every axis.")
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "extent", extent)

    @property
    def ndim(self) -> int:
        """Number of spatial axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of points."""
        return prod(self.shape)

    @property
    def spacing(self) -> tuple[float, ...]:
        """Distance between neighbouring points, per axis."""
        return tuple(length / size for length, size in zip(self.extent, self.shape))

    @property
    def volume(self) -> float:
        """Length, area or volume of the box."""
        return prod(self.extent)

    def coordinates(self) -> tuple[np.ndarray, ...]:
        """One float64 array of positions per axis, starting at 0 and leaving out the periodic image of 0."""
        return tuple(np.arange(size) * step for size, step in zip(self.shape, self.spacing))

    def mesh(self) -> tuple[np.ndarray, ...]:
        """Positions as full arrays of ``shape``, one per axis."""
        return tuple(np.meshgrid(*self.coordinates(), indexing="ij"))

    def refined(self, factor: int) -> "Grid":
        """The same box with ``factor`` times the points on every axis."""
        return Grid(tuple(size * factor for size in self.shape), self.extent)

    @property
    def spectral_shape(self) -> tuple[int, ...]:
        """Shape of the real-input transform: the last axis is halved."""
        return (*self.shape[:-1], self.shape[-1] // 2 + 1) if self.shape else ()

    @cached_property
    def mode_numbers(self) -> tuple[np.ndarray, ...]:
        """Whole waves per box, n, one array per axis, shaped so that they broadcast to ``spectral_shape``."""
        numbers = []
        for axis, size in enumerate(self.shape):
            last = axis == self.ndim - 1
            n = np.arange(size // 2 + 1) if last else np.round(np.fft.fftfreq(size, 1 / size)).astype(int)
            numbers.append(n.reshape([-1 if other == axis else 1 for other in range(self.ndim)]))
        return tuple(numbers)

    @cached_property
    def wavenumbers(self) -> tuple[np.ndarray, ...]:
        """k = 2 pi n / L per axis, broadcastable; for even powers, where Nyquist's sign is no matter."""
        return tuple(2 * np.pi * n / length for n, length in zip(self.mode_numbers, self.extent))

    @cached_property
    def odd_wavenumbers(self) -> tuple[np.ndarray, ...]:
        """``wavenumbers`` with the Nyquist wave of even sizes put to zero: for odd powers of k.

        A real field samples cos(pi j) at Nyquist; its derivative -sin vanishes on every point, and keeping
        it would break the symmetry that makes the field real.
        """
        return tuple(
            np.where((size % 2 == 0) & (np.abs(n) == size // 2), 0.0, k)
            for size, n, k in zip(self.shape, self.mode_numbers, self.wavenumbers)
        )

    @cached_property
    def wavenumber_squared(self) -> np.ndarray:
        """|k|^2 on ``spectral_shape``."""
        return np.broadcast_to(sum(k**2 for k in self.wavenumbers), self.spectral_shape)

    @cached_property
    def dealias_mask(self) -> np.ndarray:
        """The waves kept by the 2/3 rule, |n| < N/3 on every axis, as booleans on ``spectral_shape``.

        Strictly below: with n = N/3 kept, the product of two such waves folds back onto -N/3 itself
        (Orszag, 1971). What is kept is symmetric under n -> -n and never holds Nyquist.
        """
        kept = np.ones(self.spectral_shape, bool)
        for size, n in zip(self.shape, self.mode_numbers):
            kept = kept & (3 * np.abs(n) < size)
        return kept

    @cached_property
    def parseval_weights(self) -> np.ndarray:
        """How many waves of the full transform each coefficient stands for, 1 or 2: for sums over waves."""
        n, size = self.mode_numbers[-1], self.shape[-1]
        own_mirror = (n == 0) | ((size % 2 == 0) & (n == size // 2))
        return np.broadcast_to(np.where(own_mirror, 1.0, 2.0), self.spectral_shape)
