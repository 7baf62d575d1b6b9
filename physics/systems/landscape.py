"""Landscape evolution: uplift against rivers that cut in and soil that creeps downhill."""

from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from physics.arguments import Scalar, check_parameter, parameter, parameters_of_step
from physics.grid import Grid
from physics.random_fields import GaussianField
from physics.system import Reflection, Symmetries, System

# Of the squared critical slope: what is steeper slides off as fast as this.
_STEEPEST = 0.98


class Landscape(System):
    r"""h_t = U - K a^m |grad h| + div(D grad h / (1 - |grad h|^2 / S^2)), h = 0 at the walls, non-dimensional.

    State: ``(Nx, Ny, 1)``, the channel ``height`` h over the base level, on a grid whose boundary is ``"dirichlet"`` on
    at least one axis (a river or a coast along either wall) and ``"periodic"`` on the other or ``"dirichlet"`` on both.
    Lengths are in widths of the range, heights in their own unit.

    Parameters: ``uplift`` U; ``erodibility`` K and ``area_exponent`` m of the stream power law; ``diffusivity`` D of
    soil creep; ``critical_slope`` S, which no hillside of soil passes. a is the drainage area per unit width of
    contour, -div(a grad h / |grad h|) = 1: water that falls on a cell leaves it over its lower neighbours in
    proportion to the slopes and widths of the faces, by a linear system that is solved exactly, since water
    runs downhill only. A hollow keeps its water.

    What one sees: with K L^(m+1) / D below about 40 (L the width of the range) one smooth ridge; above it valleys cut
    in, branch and compete until they divide the range evenly, and rivers and ridges are steady under continued uplift.

    Good values to start with: Grid((32, 32), (1, 1), ("periodic", "dirichlet")), uplift 1, erodibility 100,
    area_exponent 0.5, diffusivity 1, critical_slope 2, to t = 0.3.

    Finite volumes, of second order for creep and of first order (upwind) for rivers.

    Source: Bonetti, Hooshyar, Camporeale and Porporato, 2020, PNAS 117; creep: Roering, Kirchner and Dietrich,
    1999, Water Resour. Res. 35; several receivers: Quinn et al., 1991, Hydrol. Process. 5.
    """

    grid: Grid = eqx.field(static=True)
    uplift: Float[Array, ""] | float = eqx.field(converter=parameter, default=1.0)
    erodibility: Float[Array, ""] | float = eqx.field(converter=parameter, default=100.0)
    area_exponent: Float[Array, ""] | float = eqx.field(converter=parameter, default=0.5)
    diffusivity: Float[Array, ""] | float = eqx.field(converter=parameter, default=1.0)
    critical_slope: Float[Array, ""] | float = eqx.field(converter=parameter, default=2.0)
    name: ClassVar[str] = "landscape"
    channels: ClassVar[tuple[str, ...]] = ("height",)
    dissipative: ClassVar[bool] = True
    boundaries: ClassVar[tuple[str, ...]] = ("periodic", "dirichlet")
    # Rivers are upwind, of first order, and one cell wide.
    default_dataset: ClassVar[Mapping[str, object]] = {"grid_error": 0.1, "certified": 4}
    example_grid: ClassVar[Grid] = Grid((32, 32), (1.0, 1.0), ("periodic", "dirichlet"))

    def __check_init__(self):
        if self.grid.ndim != 2 or self.grid.periodic:
            raise ValueError(
                f"Landscape needs 2 axes with a base level along one, not {self.grid.ndim} axes with boundary "
                f"{self.grid.boundary}: Grid((32, 32), (1.0, 1.0), ('periodic', 'dirichlet'))."
            )
        check_parameter("critical_slope", self.critical_slope, sign="positive")
        for name in ("uplift", "erodibility", "area_exponent", "diffusivity"):
            check_parameter(name, getattr(self, name), sign="non_negative")

    def vector_field(self, t: Scalar, u: Float[Array, "nx ny 1"], args: PyTree = None) -> Float[Array, "nx ny 1"]:
        """Uplift, incision and creep."""
        h = u[..., 0]
        return (self.uplift - self._incision(h) - self._creep(h))[..., None]

    def _neighbours(self, a: Float[Array, "nx ny"], wall: Any = 0.0) -> list[Float[Array, "nx ny"]]:
        """The values of the neighbours below and above along x, below and above along y; beyond walls ``wall``."""
        found = []
        for axis, kind in enumerate(self.grid.boundary):
            for shift in (1, -1):
                beside = jnp.roll(a, shift, axis)
                if kind == "dirichlet":
                    edge = 0 if shift == 1 else -1
                    beside = beside.at[(slice(None),) * axis + (edge,)].set(wall)
                found.append(beside)
        return found

    def _drops(self, h: Float[Array, "nx ny"]) -> list[Float[Array, "nx ny"]]:
        """Slopes down to the four neighbours; walls are half a cell away, at height 0."""
        spacing = [self.grid.spacing[axis] for axis in (0, 0, 1, 1)]
        doubled = self._neighbours(jnp.ones_like(h), 2.0)
        return [(h - beside) * double / step for beside, double, step in zip(self._neighbours(h), doubled, spacing)]

    def _creep(self, h: Float[Array, "nx ny"]) -> Float[Array, "nx ny"]:
        """Minus the divergence of soil that creeps down, with the whole slope at every face."""
        drops = self._drops(h)
        along = [(drops[0] - drops[1]) / 2, (drops[2] - drops[3]) / 2]
        beside = [self._neighbours(slope) for slope in along]
        inside = self._neighbours(jnp.ones_like(h))
        total = jnp.zeros_like(h)
        for side, drop in enumerate(drops):
            axis = side // 2
            # A wall is level, so that the slope along it vanishes there.
            across = inside[side] * (along[1 - axis] + beside[1 - axis][side]) / 2
            steepness = jnp.minimum((drop**2 + across**2) / self.critical_slope**2, _STEEPEST)
            total = total + self.diffusivity * drop / (1 - steepness) / self.grid.spacing[axis]
        return total

    def _incision(self, h: Float[Array, "nx ny"]) -> Float[Array, "nx ny"]:
        """K a^m |grad h|, the slope taken downhill."""
        down = [jnp.maximum(drop, 0) for drop in self._drops(h)]
        squared = jnp.maximum(down[0], down[1]) ** 2 + jnp.maximum(down[2], down[3]) ** 2
        flat = squared == 0
        slope = jnp.where(flat, 0.0, jnp.sqrt(jnp.where(flat, 1.0, squared)))
        return self.erodibility * self._drainage(down) ** self.area_exponent * slope

    def _drainage(self, down: list[Float[Array, "nx ny"]]) -> Float[Array, "nx ny"]:
        """Drainage area over the width of contour that it leaves through."""
        dx, dy = self.grid.spacing
        through = [slope * width for slope, width in zip(down, (dy, dy, dx, dx))]
        whole = sum(through)
        hollow = whole == 0
        shares = [jnp.where(hollow, 0.0, part / jnp.where(hollow, 1.0, whole)) for part in through]
        width = jnp.where(hollow, dx, whole / jnp.where(hollow, 1.0, sum(down)))

        def upstream(q: Array) -> Array:
            # What a cell sends up is what its neighbour below receives: sides 0, 1 and 2, 3 are each other's mirror.
            sent = [share * q for share in shares]
            return jnp.stack([self._neighbours(sent[other])[side] for side, other in enumerate((1, 0, 3, 2))]).sum(0)

        def downstream(q: Array) -> Array:
            return jnp.stack([share * beside for share, beside in zip(shares, self._neighbours(q))]).sum(0)

        rain = jnp.full_like(width, dx * dy)
        water = jax.lax.custom_linear_solve(
            lambda q: q - upstream(q),
            rain,
            lambda _, b: _sum_of_powers(upstream, b),
            lambda _, b: _sum_of_powers(downstream, b),
        )
        return water / width

    def drainage_area(self, u: Float[Array | np.ndarray, "nx ny 1"]) -> Float[Array, "nx ny"]:
        """a, the drainage area per unit width of contour."""
        return self._drainage([jnp.maximum(drop, 0) for drop in self._drops(jnp.asarray(u)[..., 0])])

    def sample_initial(self, key: PRNGKeyArray) -> Float[Array, "*shape c"]:
        """A low ridge, U L^2 / 80 high, 0.5% rough at up to 4 waves; L is the shortest distance between two walls.

        Creep alone with D = 1 would leave ten times the height.
        """
        profiles, lengths = np.ones(self.grid.shape), []
        for position, length, kind in zip(self.grid.mesh(), self.grid.extent, self.grid.boundary):
            if kind == "dirichlet":
                profiles = profiles * 4 * position * (length - position) / length**2
                lengths.append(length)
        limit = 4 * 2 * np.pi / max(self.grid.extent)
        rough = GaussianField(self.grid, lambda k: ((k > 0) & (k <= limit)).astype(float), std=1.0).sample(key)
        height = self.uplift * min(lengths) ** 2 / 80
        return height * jnp.asarray(profiles, rough.dtype)[..., None] * (1 + 0.005 * rough)

    def budgets(self, u: Float[Array | np.ndarray, "*shape c"]) -> dict[str, dict[str, Float[Array, ""]]]:
        """Volume of rock per unit area <h>: uplift, incision, and soil that creeps into the rivers at the walls."""
        h = jnp.asarray(u)[..., 0]
        parts = {"uplift": self.uplift * jnp.ones_like(h), "incision": -self._incision(h), "creep": -self._creep(h)}
        return {"volume": {"value": jnp.mean(h)} | {name: jnp.mean(part) for name, part in parts.items()}}

    @property
    def symmetries(self) -> Symmetries:
        """Shifts along a periodic axis, and the mirrors of both."""
        mirrors = (Reflection(0, (1.0,)), Reflection(1, (1.0,)))
        return Symmetries(shift_axes=self.grid.periodic_axes, reflections=mirrors)

    @property
    def recommended_dt(self) -> float:
        """What explicit creep and streams with a = 2 leave stable, with room."""
        creep, erodibility, exponent = parameters_of_step(self, "diffusivity", "erodibility", "area_exponent")
        step, streams = min(self.grid.spacing), erodibility * 2**exponent
        return float(1 / (10 * creep / step**2 + 2 * streams / step + 1e-9))


def _sum_of_powers(operator: Any, b: Float[Array, "nx ny"]) -> Float[Array, "nx ny"]:
    """b + N b + N^2 b + ... for a nilpotent N: every path of water ends, at the wall or in a hollow."""

    def more(carry: tuple[Array, Array, Array]) -> Array:
        # No path is longer than there are cells; NaN never becomes 0.
        return jnp.any(carry[1] != 0) & (carry[2] < b.size)

    def step(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        total, last, length = carry
        last = operator(last)
        return total + last, last, length + 1

    return jax.lax.while_loop(more, step, (b, b, jnp.zeros((), int)))[0]
