"""Cosmological structure: cold matter that gathers under its own gravity in an expanding plane, by particle-mesh."""

from collections.abc import Mapping
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from physics.arguments import Scalar, check_parameter, parameter
from physics.grid import Grid
from physics.random_fields import GaussianField
from physics.spectral import inverse_transform, to_physical, to_spectral, transform
from physics.system import Reflection, Symmetries, System
from physics.vorticity import inverse_wavenumber_squared


class CosmicWeb(System):
    r"""d_t = p, p_t = -p/2 - (3/2) f grad phi(q + d), lap phi = delta: matter in an Einstein-de Sitter universe.

    Time is the logarithm of the scale factor, t = ln a, in which the equations of motion hold no time (3 H^2 / 2 = 4 pi
    G rho). Lengths are comoving, in units of the box as given; non-dimensional.

    State: ``(Nx, Ny, 4)``, the channels ``displacement_x``, ``displacement_y`` (d) and ``velocity_x``, ``velocity_y``
    (p = dd/dt) of one particle for every point q of the grid, which is where it would be in a homogeneous universe. It
    may be farther than a box from there. `density` gives delta, the density over its mean less 1, on the same grid.

    Parameters: ``clustering`` f, the share of matter that clusters, 1 unless part of it stays smooth; ``index`` n and
    ``contrast``, the spectrum \|k\|^n of delta below 5/12 of the grid's Nyquist wave and its standard deviation in
    `sample_initial`.

    What one sees: small waves of density grow as exp(g t), g = (sqrt(1 + 24 f) - 1) / 4, fall together into filaments
    and knots once delta is of order 1, and leave voids between them. Particles pass through each other. A plane wave
    follows Zel'dovich's approximation, d growing as exp(t) for f = 1, exactly until its particles first meet.

    Forces are minus the gradient, particle by particle, of the discrete potential energy (Lewis, 1970, J. Comput. Phys.
    6), with the cubic spline as shape of a particle (Hockney and Eastwood, 1988, Computer Simulation Using Particles,
    chapter 5), divided out of the potential again. So the energy budget closes exactly, and momentum up to aliasing.
    Against the exact plane wave 32 points err by half a percent of the displacement where delta reaches 1.5.

    Good values to start with: box 1 x 1, 64 x 64 particles, clustering 1, index -0.5, contrast 0.2, t from 0 to 3,
    dt = 0.05 with `diffrax.Tsit5`. Twice the points change the state by 1% at t = 0.5, 3% at 1 and 15% at 2, most of it
    in the knots.

    Source: Peebles, 1980, The Large-Scale Structure of the Universe, sections 7 to 11; Zel'dovich, 1970, Astron.
    Astrophys. 5; growth with a smooth part: Bond, Efstathiou and Silk, 1980, Phys. Rev. Lett. 45.
    """

    grid: Grid = eqx.field(static=True)
    clustering: Float[Array, ""] | float = eqx.field(converter=parameter, default=1.0)
    index: float = eqx.field(static=True, default=-0.5)
    contrast: float = eqx.field(static=True, default=0.2)
    name: ClassVar[str] = "cosmic_web"
    channels: ClassVar[tuple[str, ...]] = ("displacement_x", "displacement_y", "velocity_x", "velocity_y")
    chaotic: ClassVar[bool] = False
    dissipative: ClassVar[bool] = True
    # Up to where the first particles meet; knots are as sharp as the grid lets them be.
    default_dataset: ClassVar[Mapping[str, object]] = {"stride": 0.1}
    example_grid: ClassVar[Grid] = Grid((64, 64), (1.0, 1.0))

    def __check_init__(self):
        if self.grid.ndim != 2:
            raise ValueError(f"CosmicWeb needs 2 axes, not {self.grid.ndim}: Grid((64, 64), (1.0, 1.0)).")
        check_parameter("clustering", self.clustering, sign="non_negative")
        check_parameter("index", self.index, sign="any")
        check_parameter("contrast", self.contrast, sign="non_negative")

    def vector_field(self, t: Scalar, u: Float[Array, "nx ny 4"], args: PyTree = None) -> Float[Array, "nx ny 4"]:
        """Velocity and acceleration of every particle."""
        d, p = jnp.split(u, 2, axis=-1)
        pull = jax.grad(self._potential_energy)(d) * self.grid.size
        return jnp.concatenate([p, -0.5 * p - pull], -1)

    def _potential_energy(self, d: Float[Array, "nx ny 2"]) -> Float[Array, ""]:
        """(3/4) f <delta phi>, per particle."""
        delta_hat = transform(self._deposit(d)[None], self.grid)
        phi = inverse_transform(delta_hat * jnp.asarray(self._green(), delta_hat.real.dtype), self.grid)
        delta = inverse_transform(delta_hat, self.grid)
        return 0.75 * self.clustering * jnp.mean(delta * phi)

    def _green(self) -> Array | np.ndarray:
        """-1/|k|^2, over the squared transform of a particle's shape."""
        shape = [np.sinc(n / size) for n, size in zip(self.grid.mode_numbers, self.grid.shape)]
        return -inverse_wavenumber_squared(self.grid) / (shape[0] * shape[1]) ** 8

    def _deposit(self, d: Float[Array, "nx ny 2"]) -> Float[Array, "nx ny"]:
        """Particles over their mean number per point, spread with the cubic spline."""
        places, weights = [], []
        for axis, (size, spacing) in enumerate(zip(self.grid.shape, self.grid.spacing)):
            at = d[..., axis] / spacing
            below = jnp.floor(jax.lax.stop_gradient(at))
            own, s = jnp.arange(size).reshape(-1, *[1] * (1 - axis)), at - below
            r = 1 - s
            places.append([(own + below.astype(int) + offset) % size for offset in range(-1, 3)])
            weights.append([r**3 / 6, 2 / 3 - s**2 + s**3 / 2, 2 / 3 - r**2 + r**3 / 2, s**3 / 6])
        pairs = [(i, j) for i in range(4) for j in range(4)]
        x, y = (jnp.stack([places[axis][pair[axis]] for pair in pairs]) for axis in range(2))
        mass = jnp.stack([weights[0][i] * weights[1][j] for i, j in pairs])
        return jnp.zeros(self.grid.shape, d.dtype).at[x, y].add(mass)

    def density(self, u: Float[Array | np.ndarray, "nx ny 4"]) -> Float[Array, "nx ny"]:
        """delta, the density over its mean less 1, on the points of the grid."""
        return self._deposit(jnp.asarray(u)[..., :2]) - 1

    @property
    def growth_rate(self) -> float | Array:
        """g = (sqrt(1 + 24 f) - 1) / 4: small delta grows as exp(g t)."""
        return ((1 + 24 * self.clustering) ** 0.5 - 1) / 4

    def growing(self, delta: Float[Array | np.ndarray, "nx ny 1"]) -> Float[Array, "nx ny 4"]:
        """The growing mode with the linear density delta: div d = -delta, no curl, p = g d (Zel'dovich, 1970)."""
        delta_hat = to_spectral(delta, self.grid)
        inverse = inverse_wavenumber_squared(self.grid)
        to_d = np.stack([1j * k * inverse for k in self.grid.odd_wavenumbers])
        d = to_physical(jnp.asarray(to_d, delta_hat.dtype) * delta_hat, self.grid)
        return jnp.concatenate([d, self.growth_rate * d], -1).astype(d.dtype)

    def sample_initial(self, key: PRNGKeyArray) -> Float[Array, "*shape c"]:
        """The growing mode of a Gaussian density of spectrum \\|k\\|^index, cut off smoothly at 5/12 of Nyquist."""
        cut = 5 / 12 * np.pi / max(self.grid.spacing)
        lowest = 2 * np.pi / max(self.grid.extent)

        def spectrum(k: np.ndarray) -> np.ndarray:
            return np.where(k > 0, np.maximum(k, lowest) ** self.index * np.exp(-((k / cut) ** 8)), 0.0)

        return self.growing(GaussianField(self.grid, spectrum, std=self.contrast).sample(key))

    def budgets(self, u: Float[Array | np.ndarray, "*shape c"]) -> dict[str, dict[str, Float[Array, ""]]]:
        """Energy per particle, |p|^2 / 2 + (3/4) f <delta phi>: the expansion's share (Layzer, 1963; Irvine, 1961)."""
        d, p = jnp.split(jnp.asarray(u), 2, axis=-1)
        kinetic = 0.5 * jnp.mean(jnp.sum(p**2, -1))
        return {"energy": {"value": kinetic + self._potential_energy(d), "expansion": -kinetic}}

    @property
    def symmetries(self) -> Symmetries:
        """All shifts, and the mirror of each axis, which turns displacement and velocity along it."""
        mirrors = (Reflection(0, (-1.0, 1.0, -1.0, 1.0)), Reflection(1, (1.0, -1.0, 1.0, -1.0)))
        return Symmetries(shift_axes=(0, 1), reflections=mirrors)

    @property
    def recommended_dt(self) -> float:
        """0.05."""
        return 0.05
