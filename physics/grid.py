"""Uniform boxes: where the points are, which waves they represent, which of them survive a product.

An axis of extent L with N points and spacing h = L / N is, by its boundary,

- ``"periodic"``: points x_j = j h, waves exp(2 pi i n x / L) with n = -N/2 .. N/2;
- ``"dirichlet"`` (values given at 0 and L): points x_j = (j + 1/2) h, waves sin(pi n x / L) with n = 1 .. N;
- ``"neumann"`` (slopes given at 0 and L): points x_j = (j + 1/2) h, waves cos(pi n x / L) with n = 0 .. N - 1.

Off periodic axes the points are thus the centres of N cells, with both boundaries on cell faces: a finite-volume
operator and the trigonometric series of spectral methods live on the same points, Dirichlet and Neumann axes too.
The last periodic axis is the one that the real-input transform halves: it holds n = 0 .. N/2 only.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from typing import Any, ClassVar, Generic, TypeVar, cast

import numpy as np

BOUNDARIES = ("periodic", "dirichlet", "neumann")
_SMALLEST_AXIS = 4


Arrays = TypeVar("Arrays")


class _constant(Generic[Arrays]):
    """A property computed once per grid and handed out as new views.

    jax 0.10 remembers the single-precision copy of a NumPy array by the array's identity, for as long as a function
    compiled with it lives, and takes that copy in double precision too. New views let one grid serve both.
    """

    def __init__(self, compute: Callable[[Any], Arrays]):
        self.compute, self.kept, self.__doc__ = compute, f"_{compute.__name__}", compute.__doc__

    def __get__(self, grid: Any, owner: Any = None) -> Arrays:
        if grid is None:
            return cast(Arrays, self)
        if self.kept not in vars(grid):
            vars(grid)[self.kept] = self.compute(grid)
        arrays: Any = vars(grid)[self.kept]
        views = tuple(array.view() for array in arrays) if isinstance(arrays, tuple) else arrays.view()
        return cast(Arrays, views)


@dataclass(frozen=True)
class Grid:
    """A uniform box in any number of dimensions; hashable, so it may be a static argument of ``jit``.

    **Arguments:**

    - ``shape``: points per axis, each at least 4 (odd sizes are allowed). ``()`` is a single point: an ODE.
    - ``extent``: length per axis, in the units of the system (non-dimensional where the system is).
    - ``boundary``: ``"periodic"``, ``"dirichlet"`` or ``"neumann"``, one for all axes or one per axis (kept as
      one per axis). What is given there, values or slopes, belongs to the system.

    Raises ``ValueError`` for a size below 4, an extent that is not positive, lengths that differ, or another boundary.
    """

    shape: tuple[int, ...]
    extent: tuple[float, ...]
    boundary: str | tuple[str, ...] = "periodic"

    # Whether the arrays of waves are NumPy's, in float64; those of `physics.sharded_grid.ShardedGrid` are not.
    on_host: ClassVar[bool] = True

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
        boundary = self.boundary
        boundary = (boundary,) * len(shape) if isinstance(boundary, str) else tuple(boundary)
        if len(boundary) != len(shape) or any(kind not in BOUNDARIES for kind in boundary):
            raise ValueError(
                f"Grid boundary {self.boundary!r} does not fit the {len(shape)} axes: give one of "
                f"{', '.join(map(repr, BOUNDARIES))}, or one per axis."
            )
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "extent", extent)
        object.__setattr__(self, "boundary", boundary)

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

    @property
    def periodic_axes(self) -> tuple[int, ...]:
        """The axes with periodic boundaries, counted from 0."""
        return tuple(axis for axis, kind in enumerate(self.boundary) if kind == "periodic")

    @property
    def periodic(self) -> bool:
        """Whether every axis is periodic."""
        return len(self.periodic_axes) == self.ndim

    def coordinates(self) -> tuple[np.ndarray, ...]:
        """One float64 array of positions per axis: from 0 on without its image on periodic axes, else cell centres."""
        offsets = [0.0 if kind == "periodic" else 0.5 for kind in self.boundary]
        return tuple((np.arange(size) + first) * step for size, step, first in zip(self.shape, self.spacing, offsets))

    def mesh(self) -> tuple[np.ndarray, ...]:
        """Positions as full arrays of ``shape``, one per axis."""
        return tuple(np.meshgrid(*self.coordinates(), indexing="ij"))

    def refined(self, factor: int) -> "Grid":
        """The same box with ``factor`` times the points on every axis."""
        return replace(self, shape=tuple(size * factor for size in self.shape))

    @property
    def _halved_axis(self) -> int | None:
        return self.periodic_axes[-1] if self.periodic_axes else None

    @property
    def spectral_shape(self) -> tuple[int, ...]:
        """Shape of the real-input transform: the last periodic axis is halved."""
        halved = self._halved_axis
        return tuple(size // 2 + 1 if axis == halved else size for axis, size in enumerate(self.shape))

    @_constant
    def mode_numbers(self) -> tuple[np.ndarray, ...]:
        """n, one array per axis, shaped so that they broadcast to ``spectral_shape``.

        Whole waves per box on periodic axes, half waves per box on the others.
        """
        numbers = []
        for axis, (size, kind) in enumerate(zip(self.shape, self.boundary)):
            if kind == "periodic":
                halved = axis == self._halved_axis
                n = np.arange(size // 2 + 1) if halved else np.round(np.fft.fftfreq(size, 1 / size)).astype(int)
            else:
                n = np.arange(size) + (kind == "dirichlet")
            numbers.append(n.reshape([-1 if other == axis else 1 for other in range(self.ndim)]))
        return tuple(numbers)

    @_constant
    def wavenumbers(self) -> tuple[np.ndarray, ...]:
        """k = 2 pi n / L (periodic) or pi n / L per axis, broadcastable; for even powers, where Nyquist's sign is no
        matter."""
        return self._wavenumber_lines()

    @_constant
    def odd_wavenumbers(self) -> tuple[np.ndarray, ...]:
        """``wavenumbers`` with the Nyquist wave of even sizes put to zero: for odd powers of k on periodic axes.

        A real field samples cos(pi j) at Nyquist; its derivative -sin vanishes on every point, and keeping
        it would break the symmetry that makes the field real. Off periodic axes, where an odd derivative turns
        sines into cosines and no multiplier exists, the numbers are NaN.
        """
        return self._odd_wavenumber_lines()

    def _wavenumber_lines(self) -> tuple[np.ndarray, ...]:
        waves = [2 * np.pi if kind == "periodic" else np.pi for kind in self.boundary]
        return tuple(wave * n / length for wave, n, length in zip(waves, self.mode_numbers, self.extent))

    def _odd_wavenumber_lines(self) -> tuple[np.ndarray, ...]:
        return tuple(
            np.where((size % 2 == 0) & (np.abs(n) == size // 2), 0.0, k) if kind == "periodic" else np.nan * k
            for size, n, k, kind in zip(self.shape, self.mode_numbers, self._wavenumber_lines(), self.boundary)
        )

    @_constant
    def wavenumber_squared(self) -> np.ndarray:
        """|k|^2 on ``spectral_shape``."""
        return np.broadcast_to(sum(k**2 for k in self.wavenumbers), self.spectral_shape)

    @_constant
    def dealias_mask(self) -> np.ndarray:
        """The waves kept by the 2/3 rule (Orszag, 1971, J. Atmos. Sci. 28): `kept_waves` for two.

        |n| < N/3 on periodic axes, n < 2N/3 on the others.
        """
        return self.kept_waves(2)

    def kept_waves(self, degree: int) -> np.ndarray:
        """The waves |n| < N / (degree + 1), on axes that are not periodic 2 N / (degree + 1), on ``spectral_shape``.

        A product of ``degree`` of them is right on these waves: what it has beyond the grid folds back outside.
        Strictly below: with n = N/3 kept, the product of two such waves folds back onto -N/3 itself.
        What is kept is symmetric under n -> -n and never holds Nyquist.
        """
        kept = np.ones(self.spectral_shape, bool)
        for line in self._kept_lines(degree):
            kept = kept & line
        return kept

    def _kept_lines(self, degree: int) -> list[np.ndarray]:
        """`kept_waves` of every axis by itself, broadcastable."""
        limits = [size if kind == "periodic" else 2 * size for size, kind in zip(self.shape, self.boundary)]
        return [(degree + 1) * np.abs(n) < limit for n, limit in zip(self.mode_numbers, limits)]

    def leading_waves(self, degree: int) -> int:
        """How many of the first waves of the last axis hold all that `kept_waves` keeps, if that axis is periodic."""
        return int(self._kept_lines(degree)[-1].sum())

    @_constant
    def parseval_weights(self) -> np.ndarray:
        """How many waves of the full transform each coefficient stands for, 1 or 2: for sums over waves."""
        axis = self._halved_axis
        if axis is None:
            return np.ones(self.spectral_shape)
        n, size = self.mode_numbers[axis], self.shape[axis]
        own_mirror = (n == 0) | ((size % 2 == 0) & (n == size // 2))
        return np.broadcast_to(np.where(own_mirror, 1.0, 2.0), self.spectral_shape)
