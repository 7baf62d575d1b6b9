"""What a dynamical system is: equation, parameters, channel names, grid, initial fields, invariants, symmetries.

`System` is anything with a vector field. `SemilinearSystem` has the form u_t = L u + N(u) where L treats
every wave by itself, and is written by stating the symbol of L and N on spectra; its vector field follows
from the two. `StochasticSystem` adds noise to either.
"""

import abc
import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, PRNGKeyArray, PyTree

from physics.arguments import Scalar, check_boundaries, is_concrete
from physics.grid import Grid
from physics.spectral import apply_symbol, to_physical, to_spectral


@dataclass(frozen=True)
class Reflection:
    """A mirror symmetry: x -> -x along ``axis`` together with one sign per channel."""

    axis: int
    signs: tuple[float, ...]


@dataclass(frozen=True)
class Move:
    """A symmetry of several parts at once: mirror images, a shift by a share of the box, and one sign per channel.

    Attributes:
        signs: that the channels take.
        mirrored: axes along which x -> -x.
        shifted: axis along which the field is shifted by the box over ``order``; None for no shift.
        order: how often the move is made until every field is back; its powers are symmetries too.
    """

    signs: tuple[float, ...]
    mirrored: tuple[int, ...] = ()
    shifted: int | None = None
    order: int = 2


@dataclass(frozen=True)
class Symmetries:
    """Maps of solutions to solutions: shifts by any distance along ``shift_axes``, ``reflections`` and ``moves``."""

    shift_axes: tuple[int, ...] = ()
    reflections: tuple[Reflection, ...] = ()
    moves: tuple[Move, ...] = ()

    @classmethod
    def of_scalars(cls, grid: Grid, channels: int = 1) -> "Symmetries":
        """Shifts along the periodic axes, and the mirror images along all under which no channel changes its sign."""
        return cls(grid.periodic_axes, tuple(Reflection(axis, (1.0,) * channels) for axis in range(grid.ndim)))


class System(eqx.Module):
    """A dynamical system on fields ``(*grid.shape, C)``; ordinary differential equations have a grid of shape ().

    The grid is static, numeric parameters are leaves: ``jax.grad`` and ``jax.vmap`` reach them.
    Plain-number parameters stay Python floats, exact on the host; ``equinox.filter_grad`` wants them as
    arrays. ``boundaries`` names the boundaries of a grid that the system has a form for; others are refused.
    ``example_grid`` is the grid of `example`, None for systems that have one by default.
    """

    grid: eqx.AbstractVar[Grid]
    name: ClassVar[str]
    chaotic: ClassVar[bool] = False
    dissipative: ClassVar[bool] = False
    refinable: ClassVar[bool] = True  # whether more points resolve the same solution better
    # How its default data set differs from that of others: fields of `physics.DatasetSpec` and `physics.Limits`.
    default_dataset: ClassVar[Mapping[str, object]] = {}
    boundaries: ClassVar[tuple[str, ...]] = ("periodic",)
    units: ClassVar[str] = "non-dimensional"  # of the channels, of lengths and of times
    example_grid: ClassVar[Grid | None] = None

    def __check_init__(self):
        check_boundaries(type(self).__name__, self.grid, self.boundaries)

    @classmethod
    def example(cls) -> "System":
        """The system with good values to start with, whose default data set is certified by the tests."""
        return cls() if cls.example_grid is None else cls(cls.example_grid)  # type: ignore[call-arg]

    @abc.abstractmethod
    def vector_field(self, t: Scalar, u: Float[Array, "*shape c"], args: PyTree = None) -> Float[Array, "*shape c"]:
        """du/dt in physical space, in the form every diffrax solver takes."""

    @abc.abstractmethod
    def sample_initial(self, key: PRNGKeyArray) -> Float[Array, "*shape c"]:
        """One random initial field."""

    def invariants(self, u: Float[Array | np.ndarray, "*shape c"]) -> dict[str, Float[Array, ""]]:
        """Quantities that the exact flow conserves."""
        return {}

    def budgets(self, u: Float[Array | np.ndarray, "*shape c"]) -> dict[str, dict[str, Float[Array, ""]]]:
        """Per budgeted quantity: its ``"value"``, and the terms whose sum is its rate of change."""
        return {}

    def refined(self, factor: int) -> "System":
        """The same system with ``factor`` times the points on every axis, where it is `refinable`."""
        return dataclasses.replace(self, grid=self.grid.refined(factor))

    def boundary_lift(self) -> float | int | Array | np.ndarray:
        """A field with what is given at the boundaries, or 0: a field less it is a series of the grid."""
        return 0.0

    @property
    @abc.abstractmethod
    def channels(self) -> tuple[str, ...]:
        """Names of the channels; most classes state them once for all."""

    @property
    def symmetries(self) -> Symmetries:
        """Shifts and reflections that map solutions to solutions."""
        return Symmetries()

    @property
    @abc.abstractmethod
    def recommended_dt(self) -> float:
        """A time step with which the default solver is accurate on typical fields."""

    @property
    def default_solver(self) -> diffrax.AbstractSolver:
        """The solver used for fixed steps where none is given."""
        return diffrax.Tsit5()

    @property
    def default_adaptive_solver(self) -> diffrax.AbstractSolver:
        """The solver used for adaptive steps where none is given."""
        return self.default_solver

    @property
    def field_shape(self) -> tuple[int, ...]:
        """``(*grid.shape, C)``."""
        return (*self.grid.shape, len(self.channels))


def with_parameters(system: System, values: Mapping[str, Scalar | Array]) -> System:
    """The same system with other values of some parameters, which may be traced, by name.

    Under ``jax.vmap`` every member of a batch has a system of its own::

        jax.vmap(lambda nu, u: advance(with_parameters(system, {"viscosity": nu}), u, dt, 10))(viscosities, fields)

    Raises:
        ValueError: the system has no parameter of that name.
    """
    check_names(system, values)
    if not values:
        return system
    return eqx.tree_at(lambda s: [getattr(s, name) for name in values], system, list(values.values()))


def check_names(system: System, names: Iterable[str]) -> None:
    """Raise ``ValueError`` unless these are names of the system's parameters."""
    known = {field.name for field in dataclasses.fields(system) if not field.metadata.get("static", False)}
    for name in names:
        if name not in known:
            raise ValueError(f"{type(system).__name__} has no parameter {name!r} to vary")


class SemilinearSystem(System):
    """u_t = L u + N(u) with L acting on every wave by itself: state `linear_symbol` and `nonlinear`.

    On grids that are not periodic, for systems whose ``boundaries`` allow them, both see sine and cosine series
    (`physics.spectral`): L holds even derivatives only, and N must keep the boundary condition.
    """

    @abc.abstractmethod
    def linear_symbol(self) -> Array | np.ndarray:
        """The symbol of L on ``(C, *grid.spectral_shape)`` or what broadcasts to it, complex where L has
        odd derivatives; with one axis more, ``(C, C, *grid.spectral_shape)``, it is a matrix between
        channels per wave.

        Write it with operators on the grid's NumPy wavenumbers and the parameters, so that it stays float64
        on the host where the parameters are plain numbers.
        """

    @abc.abstractmethod
    def nonlinear(
        self, t: Scalar, u_hat: Complex[Array, " c *spectrum"], args: PyTree = None
    ) -> Complex[Array, " c *spectrum"]:
        """The dealiased spectrum of N(u) for the spectrum of u, channels first."""

    def vector_field(self, t: Scalar, u: Float[Array, "*shape c"], args: PyTree = None) -> Float[Array, "*shape c"]:
        """L u + N(u) in physical space."""
        u_hat = to_spectral(u, self.grid)
        symbol = jnp.asarray(self.symbol())
        symbol = symbol.astype(u_hat.dtype if jnp.iscomplexobj(symbol) else u_hat.real.dtype)
        return to_physical(apply_symbol(symbol, u_hat) + self.nonlinear(t, u_hat, args), self.grid)

    def symbol(self) -> Array | np.ndarray:
        """`linear_symbol` in float64 NumPy where every parameter is concrete, traced otherwise and on a mesh."""
        if not (self.grid.on_host and is_concrete(self)):
            return self.linear_symbol()
        on_host = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), self)
        return np.asarray(on_host.linear_symbol())

    @property
    def default_solver(self) -> diffrax.AbstractSolver:
        """Fourth-order exponential time differencing."""
        from physics.integrators.etdrk4 import ETDRK4

        return ETDRK4()

    @property
    def default_adaptive_solver(self) -> diffrax.AbstractSolver:
        """Fifth-order exponential time differencing with an embedded error estimate."""
        from physics.integrators.etd53 import ETD53

        return ETD53()


class StochasticSystem(System):
    """du = f(t, u) dt + g(t, u) dW in the sense of Ito: `vector_field` is the drift f, `diffusion` is g.

    The product is point by point. W is one Brownian motion for every entry of the field, unless
    `noise_shape` and `noise_field` say otherwise. Solved, advanced and checked with a `physics.NoisePath`.
    """

    @property
    def additive(self) -> bool:
        """Whether g is the same for all fields."""
        return True

    @abc.abstractmethod
    def diffusion(self, t: Scalar, u: Float[Array, "*shape c"], args: PyTree = None) -> Float[Array, "*shape c"]:
        """g. Where it depends on ``u``, the class says ``additive = False``."""

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """Shape of the independent Brownian motions w."""
        return self.field_shape

    def noise_field(self, w: Float[Array, "*noise"]) -> Float[Array, "*shape c"]:
        """The field W, a linear function of independent Brownian motions: where noise is correlated in space."""
        return w

    @property
    def default_solver(self) -> diffrax.AbstractSolver:
        """ShARK (strong order 1.5) for additive noise, Milstein's method (strong order 1) for any other."""
        return diffrax.ShARK() if self.additive else diffrax.ItoMilstein()
