r"""Gaussian random fields on grids, and their exact conditioning on noisy point observations.

A stationary Gaussian field on N points has the circulant covariance C = F^-1 diag(S) F: white noise of unit
variance, its transform multiplied by sqrt(S), transformed back (Dietrich and Newsam, 1997). S is the
*spectrum*: the variance at every point is the mean of S over all N waves. On Dirichlet and Neumann axes the
waves are those of the sine and cosine series, the field obeys the boundary condition, and its variance depends on
the place: the mean of S is its mean over the points. Non-dimensional, or in the units of the field squared.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import cho_factor, cho_solve
from jaxtyping import Array, Float, PRNGKeyArray

from physics.arguments import Scalar, is_concrete
from physics.grid import Grid
from physics.spectral import inverse_transform, transform


class GaussianField(eqx.Module):
    """A zero-mean stationary Gaussian field with a prescribed spectrum.

    **Arguments:**

    - ``grid``: where it lives.
    - ``spectrum``: S >= 0 on ``grid.spectral_shape``, or a function of the modulus \\|k\\| of the
      wavenumber (radians per length, float64) that returns it. Waves and their mirror images share one
      value.
    - ``std``: if given, S is rescaled so that this is the standard deviation at every point (its root mean square
      over the points on grids that are not periodic).
    - ``channels``: independent copies, stacked last.

    Raises ``ValueError`` for a spectrum of the wrong shape, or with negative or non-finite values.
    """

    grid: Grid = eqx.field(static=True)
    spectrum: Float[Array | np.ndarray, "*spectrum"]
    channels: int = eqx.field(static=True)

    def __init__(
        self,
        grid: Grid,
        spectrum: Callable[[np.ndarray], Any] | Any,
        *,
        std: Any = None,
        channels: int = 1,
    ):
        if callable(spectrum):
            spectrum = spectrum(np.sqrt(grid.wavenumber_squared))
        if np.shape(spectrum) != grid.spectral_shape:
            raise ValueError(
                f"spectrum has shape {np.shape(spectrum)}, but this grid needs {grid.spectral_shape}: one "
                "value per wave of the real transform."
            )
        if is_concrete(spectrum):
            spectrum = np.asarray(spectrum, np.float64)
            if not np.all(np.isfinite(spectrum)) or np.any(spectrum < 0):
                raise ValueError("spectrum must be finite and not negative: it holds each wave's variance.")
        if std is not None:
            spectrum = spectrum * (std**2 * grid.size / (spectrum * grid.parseval_weights).sum())
        self.grid, self.spectrum, self.channels = grid, spectrum, channels

    @property
    def variance(self) -> float | int | Array | np.ndarray:
        """The variance at every point."""
        return (self.spectrum * self.grid.parseval_weights).sum() / self.grid.size

    def sample(self, key: PRNGKeyArray) -> Float[Array, "*shape c"]:
        """One draw, ``(*grid.shape, channels)``."""
        white = jax.random.normal(key, (self.channels, *self.grid.shape))
        return jnp.moveaxis(self._multiply(jnp.sqrt(jnp.asarray(self.spectrum)), white), 0, -1)

    def condition(
        self,
        points: Float[Array | np.ndarray, "n d"],
        values: Float[Array | np.ndarray, "m c"],
        noise: Scalar,
    ) -> "ConditionedGaussianField":
        """The field given ``values = u(points) + noise * normal``: the exact posterior.

        **Arguments:**

        - ``points``: positions ``(n, ndim)`` in the units of the grid, on the grid points or between them
          (between them u is its trigonometric interpolant). They may be traced, so cases batch by
          ``jax.vmap``.
        - ``values``: what was measured there, ``(n, channels)``.
        - ``noise``: standard deviation of the measurement error, positive.

        Raises ``ValueError`` for shapes that do not fit, values that are not finite, noise that is not positive,
        or a grid that is not periodic.
        """
        if not self.grid.periodic:
            raise ValueError(
                f"condition needs a periodic grid, but its boundary is {self.grid.boundary}: draw without points there."
            )
        if np.ndim(points) != 2 or np.shape(points)[1] != self.grid.ndim:
            raise ValueError(
                f"points has shape {np.shape(points)}, but needs (n, {self.grid.ndim}): one row per position."
            )
        if np.shape(values) != (np.shape(points)[0], self.channels):
            raise ValueError(
                f"values has shape {np.shape(values)}, but needs {(np.shape(points)[0], self.channels)}: "
                "one row per point, one column per channel."
            )
        if is_concrete((points, values)) and not (np.all(np.isfinite(points)) and np.all(np.isfinite(values))):
            raise ValueError("points and values must be finite: leave missing observations out.")
        if is_concrete(noise) and not (np.isfinite(noise) and noise > 0):
            raise ValueError(
                f"noise must be a positive standard deviation, not {noise}: use a small one for exact data."
            )
        return ConditionedGaussianField(self, jnp.asarray(points), jnp.asarray(values), jnp.asarray(noise, float))

    def _multiply(self, multiplier: Any, fields: Array) -> Array:
        """Multiply the spectra of fields ``(n, *grid.shape)``."""
        spectra = transform(fields, self.grid)
        return inverse_transform(spectra * jnp.asarray(multiplier, fields.dtype), self.grid)


class ConditionedGaussianField(eqx.Module):
    r"""A Gaussian field given noisy observations y = H u + e, e ~ N(0, noise^2 I): mean and exact draws.

    mean = C H^T (H C H^T + noise^2 I)^{-1} y, and a draw is u + C H^T (...)^{-1} (y - H u - e) with u and e
    drawn from the prior (Matheron's rule; Journel and Huijbregts, 1978): exact, with no matrix of the size
    of the grid.
    """

    prior: GaussianField
    points: Float[Array, "n d"]
    values: Float[Array, "n c"]
    noise: Float[Array, ""]

    def mean(self) -> Float[Array, "*shape c"]:
        """The posterior mean, ``(*grid.shape, channels)``."""
        return self._gain(self.values)

    def sample(self, key: PRNGKeyArray) -> Float[Array, "*shape c"]:
        """One exact draw from the posterior."""
        field_key, noise_key = jax.random.split(key)
        u = self.prior.sample(field_key)
        error = self.noise * jax.random.normal(noise_key, self.values.shape)
        return u + self._gain(self.values - self.observe(u) - error)

    def observe(self, u: Float[Array, "*shape c"]) -> Float[Array, "n c"]:
        """H u: the field at the observed points."""
        rows = self._rows().reshape(self.points.shape[0], -1)
        return jnp.matmul(rows, u.reshape(self.prior.grid.size, -1), precision="highest")

    def _rows(self) -> Array:
        """H as fields ``(n, *grid.shape)``: the product of one periodic sinc (Dirichlet) kernel per axis."""
        grid = self.prior.grid
        rows = jnp.ones((self.points.shape[0],) + (1,) * grid.ndim)
        for axis, (size, x, length) in enumerate(zip(grid.shape, grid.coordinates(), grid.extent)):
            n = np.arange(1, (size + 1) // 2)
            phase = 2 * np.pi * (self.points[:, axis, None] - x) / length
            kernel = 1 + 2 * jnp.cos(phase[..., None] * n).sum(-1)
            if size % 2 == 0:
                # Nyquist is sampled as a cosine, so between points it interpolates as one: cos(N x / 2) at
                # x_j is +-1.
                sign = (-1.0) ** np.arange(size)
                kernel = kernel + jnp.cos(np.pi * size * self.points[:, axis, None] / length) * sign
            shape = [-1 if other == axis else 1 for other in range(grid.ndim)]
            rows = rows * (kernel / size).reshape(kernel.shape[0], *shape)
        return rows

    def _gain(self, innovation: Array) -> Array:
        """C H^T (H C H^T + noise^2 I)^{-1} innovation."""
        grid = self.prior.grid
        rows = self._rows()
        spread = self.prior._multiply(self.prior.spectrum, rows)
        n = rows.shape[0]
        gram = jnp.matmul(rows.reshape(n, -1), spread.reshape(n, -1).T, precision="highest")
        gram = 0.5 * (gram + gram.T) + self.noise**2 * jnp.eye(n)
        weights = cho_solve(cho_factor(gram, lower=True), innovation)
        field = jnp.matmul(spread.reshape(n, -1).T, weights, precision="highest")
        return field.reshape(*grid.shape, -1)


class BandLimitedField(eqx.Module):
    """A zero-mean Gaussian field with equal energy in all waves of 1 to ``highest_mode`` per box, no others.

    **Arguments:**

    - ``grid``: where it lives.
    - ``highest_mode``: whole waves per box; modes are measured by their modulus \\|n\\|.
    - ``std``: standard deviation at every point.
    - ``channels``: independent copies, stacked last.

    Raises ``ValueError`` where the grid does not resolve ``highest_mode``.
    """

    field: GaussianField

    def __init__(self, grid: Grid, highest_mode: int, *, std: Any = 1.0, channels: int = 1):
        if not 1 <= highest_mode < min(grid.shape) / 2:
            raise ValueError(
                f"highest_mode {highest_mode} is not resolved by a grid of {grid.shape} points: "
                f"use 1 to {(min(grid.shape) - 1) // 2}."
            )
        modes = np.sqrt(np.asarray(sum(n.astype(float) ** 2 for n in grid.mode_numbers)))
        self.field = GaussianField(
            grid, ((modes > 0) & (modes <= highest_mode)).astype(float), std=std, channels=channels
        )

    def sample(self, key: PRNGKeyArray) -> Float[Array, "*shape c"]:
        """One draw, ``(*grid.shape, channels)``."""
        return self.field.sample(key)


class RandomBumps(eqx.Module):
    """Round bumps of height 1 at independent, uniformly random places, values in [0, 1]: seeds and pulses.

    One bump is prod_a exp((cos(2 pi (x_a - c_a) / P_a) - 1) / s_a^2) with s_a = 2 pi width / P_a and the period
    P_a = L_a: smooth on the periodic box, and near its centre exp(-|x - c|^2 / (2 width^2)). On Neumann and Dirichlet
    axes P_a = 2 L_a and the mirror image of the bump in the boundary is joined or subtracted. Several are joined as
    1 - prod_i (1 - bump_i).

    **Arguments:**

    - ``grid``: where they live.
    - ``count``: how many.
    - ``width``: standard deviation of one, in the units of the grid, may be traced; a sixteenth of the shortest side if
      None.

    Raises ``ValueError`` for a count below 1 or a width that the grid does not resolve.
    """

    grid: Grid = eqx.field(static=True)
    count: int = eqx.field(static=True)
    width: Scalar

    def __init__(self, grid: Grid, count: int, *, width: Scalar | None = None):
        width = min(grid.extent) / 16 if width is None else width
        if count < 1:
            raise ValueError(f"count must be 1 bump or more, not {count}.")
        if is_concrete(width) and not width >= 0.5 * max(grid.spacing):
            raise ValueError(
                f"width {width} of a bump is not resolved by a spacing of {max(grid.spacing):.3g}: "
                "make it half a spacing or more."
            )
        self.grid, self.count, self.width = grid, count, width

    def sample(self, key: PRNGKeyArray) -> Float[Array, "*shape 1"]:
        """One draw, ``(*grid.shape, 1)``."""
        places = jax.random.uniform(key, (self.count, self.grid.ndim))
        bumps = jnp.ones((self.count, *self.grid.shape))
        for axis, (x, length, kind) in enumerate(zip(self.grid.mesh(), self.grid.extent, self.grid.boundary)):
            centre = places[:, axis].reshape(-1, *[1] * self.grid.ndim) * length
            period = length if kind == "periodic" else 2 * length
            here, image = (self._along(x - c, period) for c in (centre, -centre))
            if kind == "neumann":
                here = 1 - (1 - here) * (1 - image)
            bumps *= here - image if kind == "dirichlet" else here
        return (1 - jnp.prod(1 - bumps, axis=0))[..., None]

    def _along(self, distance: Any, period: float) -> Array:
        return jnp.exp((period / (2 * np.pi * self.width)) ** 2 * (jnp.cos(2 * np.pi / period * distance) - 1))
