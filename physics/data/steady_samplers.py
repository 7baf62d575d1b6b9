"""Samplers of the steady systems of the suite, and the one that each system's default data are drawn with."""

from collections.abc import Callable
from dataclasses import dataclass

import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from physics.data.steady_data import SteadySampler
from physics.elliptic import EllipticSystem
from physics.grid import Grid
from physics.karhunen_loeve import KarhunenLoeveField
from physics.steady import SteadySystem
from physics.systems.darcy import Darcy, corner_wells
from physics.systems.helmholtz import Helmholtz
from physics.systems.poisson import Poisson


@dataclass(frozen=True)
class LogNormalDarcy(SteadySampler):
    """Darcy flow between wells in two corners of a closed box, or driven everywhere in one with open walls.

    Arguments:
        log_permeability: the Gaussian field whose exponential is the permeability; its grid is that of the flow,
            with walls all Neumann (wells of `corner_wells`) or all Dirichlet (source 1).

    Raises:
        ValueError: the walls are mixed or periodic.
    """

    log_permeability: KarhunenLoeveField

    def __post_init__(self):
        if set(self.grid.boundary) not in ({"neumann"}, {"dirichlet"}):
            raise ValueError(f"LogNormalDarcy needs walls all 'neumann' or all 'dirichlet', not {self.grid.boundary}.")

    @property
    def grid(self) -> Grid:
        """The grid of the flow."""
        return self.log_permeability.grid

    def draw(self, key: Key[Array, ""]) -> Darcy:
        """One permeability with its source."""
        return self.system(self.log_permeability.sample(key))

    def system(self, log_permeability: Float[Array, "*shape 1"]) -> Darcy:
        """The flow through rock of one log permeability, which may be traced."""
        closed = self.grid.boundary[0] == "neumann"
        a = jnp.exp(log_permeability)
        return Darcy(self.grid, a, jnp.asarray(corner_wells(self.grid), a.dtype) if closed else 1.0)

    def parameters(self, system: SteadySystem) -> Float[Array, "*shape p"]:
        """The permeability."""
        assert isinstance(system, Darcy)
        return jnp.asarray(system.permeability)

    def refined(self, factor: int) -> "LogNormalDarcy":
        """The same permeability on a finer grid."""
        return self.on(self.grid.refined(factor))

    def on(self, grid: Grid) -> "LogNormalDarcy":
        """The same permeability, with the same functions, on another grid of the box."""
        return LogNormalDarcy(self.log_permeability.on(grid))


@dataclass(frozen=True)
class RandomSource(SteadySampler):
    """Poisson's equation, or with a wavenumber the Helmholtz equation, driven by a smooth random source.

    Arguments:
        source: the Gaussian field that drives the equation; its grid is that of the potential. Where no wall is
            Dirichlet it is taken less its mean.
        wavenumber: of the Helmholtz equation, below the first resonance of the grid; Poisson's equation when None.

    Raises:
        ValueError: the wavenumber is not below the resonance of the grid.
    """

    source: KarhunenLoeveField
    wavenumber: float | None = None

    def __post_init__(self):
        self._system(0.0)

    @property
    def grid(self) -> Grid:
        """The grid of the potential."""
        return self.source.grid

    def draw(self, key: Key[Array, ""]) -> EllipticSystem:
        """The equation with one source."""
        f = self.source.sample(key)
        return self._system(f if "dirichlet" in self.grid.boundary else f - jnp.mean(f))

    def parameters(self, system: SteadySystem) -> Float[Array, "*shape p"]:
        """The source."""
        assert isinstance(system, EllipticSystem)
        return jnp.asarray(system.source)

    def refined(self, factor: int) -> "RandomSource":
        """The same source on a finer grid."""
        return RandomSource(self.source.on(self.grid.refined(factor)), self.wavenumber)

    def _system(self, source: float | Array) -> EllipticSystem:
        if self.wavenumber is None:
            return Poisson(self.grid, source, (None,) * self.grid.ndim)
        return Helmholtz(self.grid, source, self.wavenumber)


def default_steady_data(system: type[SteadySystem]) -> SteadySampler:
    """The sampler of a steady system's default data, for `physics.generate_steady`.

    On 64 x 64 cells of the unit square and in the first 16 functions of a field of correlation length 0.3: `Darcy` is
    driven by wells in a closed box through a log-normal permeability, `Poisson` and `Helmholtz` (wavenumber 4, the
    resonance is at 4.44) by a random source between walls where the potential is 0.

    Arguments:
        system: the class, one of the three.

    Raises:
        ValueError: no default is known for it.
    """
    if system not in _DEFAULTS:
        raise ValueError(
            f"{system.__name__} has no default data: write a SteadySampler for it (there are defaults for "
            f"{', '.join(known.__name__ for known in _DEFAULTS)})."
        )
    return _DEFAULTS[system]()


def _smooth(boundary: str) -> KarhunenLoeveField:
    square = (1.0, 1.0)
    return KarhunenLoeveField(Grid((64, 64), square, boundary), 16, 0.3, nodes=Grid((16, 16), square, boundary))


_DEFAULTS: dict[type[SteadySystem], Callable[[], SteadySampler]] = {
    Darcy: lambda: LogNormalDarcy(_smooth("neumann")),
    Helmholtz: lambda: RandomSource(_smooth("dirichlet"), 4.0),
    Poisson: lambda: RandomSource(_smooth("dirichlet")),
}
