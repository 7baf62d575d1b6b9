"""Waves through a medium whose speed varies from place to place: refraction, reflection, travel times."""

import dataclasses
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from physics.arguments import Scalar, check_axes, is_concrete, parameters_of_step
from physics.grid import Grid
from physics.random_fields import RandomBumps
from physics.spectral import gradient, inverse_transform, resample, times_i, to_physical, to_spectral, transform
from physics.system import Symmetries, System


class SeismicWave(System):
    r"""u_t = v, v_t = div(c(x)^2 grad u) on a periodic box of 1, 2 or 3 axes: shear waves in a medium of unit density.

    State: ``(*grid.shape, 2)``, the channels ``displacement`` u (out of the plane) and ``velocity`` v. ``speed`` is c,
    one value per point, ``grid.shape``: a leaf, so that ``jax.grad`` of a misfit of records is full-waveform
    inversion. Non-dimensional, or in any consistent units (km, s). Energy <v^2 + c^2 |grad u|^2> / 2 and mean velocity
    are conserved.

    What one sees: fronts bend towards the slow, split where the speed changes within a wavelength, and reach a point
    after the least integral of ds / c along all ways to it.

    Good values to start with: a box of 4 x 4, 64 points per axis, speeds from 1 to 2 that change over several points, a
    pulse 0.2 wide, dt a quarter of spacing / speed, times up to 2.

    The products are taken on the points themselves: the derivative is antisymmetric there, which conserves the energy
    without dealiasing. An ordinary solver beats an exponential one whose exact part is the wave of the mean speed by
    a factor of 100 in error at the same step.

    Source: Aki and Richards (2002), Quantitative Seismology, chapters 2 and 4 (travel times).
    """

    grid: Grid = eqx.field(static=True)
    speed: Float[Array | np.ndarray, "*shape"]
    name: ClassVar[str] = "seismic_wave"
    channels: ClassVar[tuple[str, ...]] = ("displacement", "velocity")
    example_grid: ClassVar[Grid] = Grid((64, 64), (4.0, 4.0))

    @classmethod
    def example(cls) -> System:
        """Speeds between 1 and 2 that change with depth."""
        return cls(cls.example_grid, 1.5 + 0.5 * np.cos(2 * np.pi * cls.example_grid.mesh()[1] / 4))

    def __check_init__(self):
        check_axes("SeismicWave", self.grid.ndim)
        if np.shape(self.speed) != self.grid.shape:
            raise ValueError(
                f"speed has shape {np.shape(self.speed)}, but needs one value per point, {self.grid.shape}: "
                "np.broadcast_to makes a field of a number."
            )
        if is_concrete(self.speed) and not (np.all(np.isfinite(self.speed)) and np.min(self.speed) > 0):
            raise ValueError("speed must be finite and positive at every point: nothing travels at 0 or below.")

    def vector_field(self, t: Scalar, u: Float[Array, "*shape c"], args: PyTree = None) -> Float[Array, "*shape c"]:
        """(v, div(c^2 grad u))."""
        spectrum = to_spectral(u[..., :1], self.grid)
        waves = [jnp.asarray(k, u.dtype) for k in self.grid.odd_wavenumbers]
        slopes = inverse_transform(jnp.concatenate([times_i(k, spectrum) for k in waves]), self.grid)
        flux = transform(jnp.asarray(self.speed, u.dtype) ** 2 * slopes, self.grid)
        change = sum((times_i(k, one[None]) for k, one in zip(waves, flux)), jnp.zeros_like(spectrum))
        force = to_physical(change, self.grid)
        return jnp.concatenate([u[..., 1:], force], -1)

    def sample_initial(self, key: PRNGKeyArray) -> Float[Array, "*shape c"]:
        """One pulse of height 1 at rest, at a random place, a twentieth of the shortest side wide: an earthquake."""
        pulse = RandomBumps(self.grid, 1, width=min(self.grid.extent) / 20).sample(key)
        return jnp.concatenate([pulse, jnp.zeros_like(pulse)], -1)

    def invariants(self, u: Float[Array | np.ndarray, "*shape c"]) -> dict[str, Float[Array, ""]]:
        """Energy per unit volume and the mean velocity."""
        energy = sum(budget["value"] for budget in self.budgets(u).values())
        return {"energy": jnp.asarray(energy), "mean_velocity": jnp.mean(jnp.asarray(u)[..., 1])}

    def budgets(self, u: Float[Array | np.ndarray, "*shape c"]) -> dict[str, dict[str, Float[Array, ""]]]:
        """Kinetic energy v^2/2 and elastic energy c^2 |grad u|^2 / 2 per unit volume: what one takes from the other."""
        u = jnp.asarray(u)
        stiffness = jnp.asarray(self.speed, u.dtype) ** 2
        strain, rate = jnp.moveaxis(gradient(u, self.grid), -2, 0)
        work = -jnp.mean(stiffness * jnp.sum(strain * rate, -1))
        elastic = 0.5 * jnp.mean(stiffness * jnp.sum(strain**2, -1))
        return {
            "kinetic": {"value": 0.5 * jnp.mean(u[..., 1] ** 2), "from_elastic": work},
            "elastic": {"value": elastic, "from_kinetic": -work},
        }

    def refined(self, factor: int) -> "SeismicWave":
        """The same speed, interpolated by its Fourier series."""
        finer = self.grid.refined(factor)
        speed = resample(jnp.asarray(self.speed)[..., None], self.grid, finer)[..., 0]
        return dataclasses.replace(self, grid=finer, speed=speed)

    @property
    def symmetries(self) -> Symmetries:
        """None for all speeds alike."""
        return Symmetries()

    @property
    def recommended_dt(self) -> float:
        """A quarter of spacing / speed over the root of the number of axes; the solver is stable up to twice that."""
        (speed,) = parameters_of_step(self, "speed")
        return 0.25 * min(self.grid.spacing) / float(np.max(speed)) / np.sqrt(self.grid.ndim)
