"""Whitened unknowns of an inverse problem: standard normal numbers for an initial field and perhaps a parameter.

The initial field is a sum of the longest waves of a periodic line with normal amplitudes, or has the mean and spectrum
of a system's climatology; a parameter is log-uniform. All are written as standard normal numbers, so that prior and
sampler need not know what they mean.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

if TYPE_CHECKING:
    from jax import Array

    from physics.data.samplers import RandomField
    from physics.grid import Grid
    from physics.random_fields import GaussianField


@runtime_checkable
class Unknowns(Protocol):
    """What the task ``posterior`` asks of its unknowns; describable in plain values for the cache of data."""

    @property
    def dimension(self) -> int:
        """Return the count of the unknowns."""
        ...

    def prior(self, grid: Grid) -> RandomField:
        """Return the distribution of the initial fields."""
        ...

    def field(self, unknowns: Array) -> Array:
        """Return the initial field (size, 1) of unknowns (dimension,)."""
        ...

    def value(self, unknowns: Array) -> Array | None:
        """Return the parameter of unknowns (..., dimension), or none where none is unknown."""
        ...

    def unknowns(self, fields: np.ndarray, values: np.ndarray | None = None) -> np.ndarray:
        """Return unknowns (n, dimension) of initial fields (n, size, 1), and of parameters (n,)."""
        ...


@dataclass(frozen=True)
class Whitening:
    """Initial fields, and values of a parameter where one is unknown, as standard normal numbers, and back.

    Attributes:
        size: grid points of the line.
        extent: its length.
        waves: count of the waves with amplitudes; the unknowns are a cosine and a sine for each, then the parameter if
            there is one.
        amplitude: standard deviation of the field at every point.
        length: correlation length: wave k has the variance exp(-(length k)^2 / 2) up to a factor.
        parameter: range of the parameter, log-uniform; none: the initial field alone is unknown.
    """

    size: int
    extent: float
    waves: int
    amplitude: float
    length: float
    parameter: tuple[float, float] | None = None

    @property
    def dimension(self) -> int:
        """Count of the unknowns."""
        return 2 * self.waves + (self.parameter is not None)

    @cached_property
    def spread(self) -> np.ndarray:
        """Standard deviation (waves,) of the amplitudes of every wave's cosine and sine."""
        k = 2 * math.pi / self.extent * np.arange(1, self.waves + 1)
        variance = np.exp(-0.5 * (self.length * k) ** 2)
        return self.amplitude * np.sqrt(variance / variance.sum())

    @cached_property
    def basis(self) -> np.ndarray:
        """Fields (2 waves, size) whose sum with standard normal weights is an initial field."""
        angle = 2 * math.pi * np.outer(np.arange(1, self.waves + 1), np.arange(self.size)) / self.size
        scale = self.spread[:, None]
        return np.concatenate([scale * np.cos(angle), scale * np.sin(angle)])

    def prior(self, grid: Grid) -> GaussianField:
        """Return the same distribution of initial fields as a `physics.GaussianField` on a grid of this line."""
        from physics import GaussianField

        k = 2 * math.pi / self.extent

        def spectrum(modulus: np.ndarray) -> np.ndarray:
            index = np.rint(modulus / k)
            return np.where((index > 0) & (index <= self.waves), np.exp(-0.5 * (self.length * modulus) ** 2), 0.0)

        return GaussianField(grid, spectrum, std=self.amplitude)

    def field(self, unknowns: Array) -> Array:
        """Return the initial field (size, 1) of unknowns (dimension,)."""
        import jax.numpy as jnp

        return (unknowns[: 2 * self.waves] @ jnp.asarray(self.basis, unknowns.dtype))[:, None]

    def value(self, unknowns: Array) -> Array | None:
        """Return the parameter of unknowns (..., dimension), or none where none is unknown."""
        import jax.numpy as jnp
        from jax.scipy.stats import norm

        if self.parameter is None:
            return None
        low, high = np.log(self.parameter)
        return jnp.exp(low + (high - low) * norm.cdf(unknowns[..., 2 * self.waves]))

    def unknowns(self, fields: np.ndarray, values: np.ndarray | None = None) -> np.ndarray:
        """Return unknowns (n, dimension) of initial fields (n, size, 1), and of parameters (n,) of the prior."""
        from scipy.stats import norm

        weights = 2 / self.size * np.asarray(fields, np.float64)[..., 0] @ self.basis.T
        whitened = weights / np.tile(self.spread**2, 2)
        if self.parameter is not None:
            assert values is not None
            low, high = np.log(self.parameter)
            share = np.clip((np.log(values) - low) / (high - low), 1e-6, 1 - 1e-6)
            whitened = np.concatenate([whitened, norm.ppf(share)[:, None]], axis=1)
        return whitened.astype(np.float32)


@dataclass(frozen=True)
class Climatology:
    """Normal initial fields with the mean and the spectrum of a system's climatology, as standard normal numbers.

    The unknowns are white noise at the grid points of a ring; a field is the mean plus the noise filtered by the root
    of the spectrum. A shift of the field is the same shift of the unknowns.

    Attributes:
        size: grid points.
        mean: of the field at every point.
        variances: variance that every wave 0, 1, ..., size / 2 and its mirror image contribute at a point, in the unit
            of the field squared; their sum is the variance at a point.
    """

    size: int
    mean: float
    variances: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.variances) != self.size // 2 + 1 or min(self.variances) <= 0:
            raise ValueError(
                f"{self.size} points have {self.size // 2 + 1} waves, each of which needs a positive variance; found "
                f"{len(self.variances)}, the smallest {min(self.variances, default=0):g}."
            )

    @property
    def dimension(self) -> int:
        """Count of the unknowns."""
        return self.size

    @cached_property
    def spectrum(self) -> np.ndarray:
        """Spectrum (size // 2 + 1,) as `physics.GaussianField` takes it: its mean over all waves is the variance."""
        waves = np.arange(self.size // 2 + 1)
        images = np.where((waves == 0) | (2 * waves == self.size), 1, 2)
        return self.size * np.asarray(self.variances, np.float64) / images

    def prior(self, grid: Grid) -> ShiftedField:
        """Return the distribution of the initial fields on a grid of this ring."""
        from physics import GaussianField

        return ShiftedField(GaussianField(grid, self.spectrum), self.mean)

    def field(self, unknowns: Array) -> Array:
        """Return the initial field (size, 1) of unknowns (size,)."""
        import jax.numpy as jnp

        root = jnp.asarray(np.sqrt(self.spectrum), unknowns.dtype)
        return (self.mean + jnp.fft.irfft(root * jnp.fft.rfft(unknowns), self.size))[:, None]

    def value(self, unknowns: Array) -> None:
        """No parameter is unknown."""

    def unknowns(self, fields: np.ndarray, values: np.ndarray | None = None) -> np.ndarray:
        """Return unknowns (n, size) of initial fields (n, size, 1)."""
        spectra = np.fft.rfft(np.asarray(fields, np.float64)[..., 0] - self.mean) / np.sqrt(self.spectrum)
        return np.fft.irfft(spectra, self.size).astype(np.float32)


@dataclass(frozen=True)
class ShiftedField:
    """A random field plus a number.

    Attributes:
        field: of zero mean.
        mean: what is added at every point.
    """

    field: GaussianField
    mean: float

    def sample(self, key: Array) -> Array:
        """One draw."""
        return self.mean + self.field.sample(key)
