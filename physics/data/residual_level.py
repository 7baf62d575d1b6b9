"""The residual level of a data set: the equation applied to a few steps of the solver in a row, and what that is worth.

Generated fields are measured by the same residual, which is not zero on solver data: what is left is the
truncation error of the difference in time, and rounding. The zero field and fields shrunk by 10% stand beside it, since
without them no residual can be read (`physics.residual_reading`).
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from physics.noise import NoisePath
from physics.residual_reading import SHRUNK
from physics.residuals import integral_residual, residual
from physics.system import StochasticSystem, System

FIELDS = 5  # in a row, as many as a difference of fourth order takes
_SHARES = {"residual_level": 1.0, "residual_of_shrunk": SHRUNK, "residual_of_zero": 0.0}


def no_residual_level(system: System) -> str | None:
    """Why solver data of a system have no residual level; None where they have one."""
    if isinstance(system, StochasticSystem) and not system.additive:
        return "its noise depends on its state, and its integral is not known between fields"
    return None


def residual_squares(
    system: System, fields: Float[Array, "time *shape c"], dt: float, noise: NoisePath | None, t0: float
) -> dict[str, Float[Array, ""]]:
    """Mean squares over consecutive solver steps: of the residual, as of each share of the fields, and of their change.

    Arguments:
        system: solved it.
        fields: `FIELDS` of them, one step apart.
        dt: the step.
        noise: the path from the first field on, of a stochastic system.
        t0: the time of the first field.
    """

    def of(u: Array) -> Array:
        if isinstance(system, StochasticSystem):
            return integral_residual(system, u, dt, noise=noise, t0=t0)
        return residual(system, u, dt, order=FIELDS - 1, t0=t0)

    middle = FIELDS // 2
    if isinstance(system, StochasticSystem):
        change = (fields[2:] - fields[:-2]) / (2 * dt)
    else:
        change = system.vector_field(jnp.asarray(t0 + middle * dt, fields.dtype), fields[middle], None)
    squares = {name: jnp.mean(of(share * fields) ** 2) for name, share in _SHARES.items()}
    return squares | {"change": jnp.mean(change**2)}


def residual_level(squares: dict[str, Float[np.ndarray, " trajectories"]]) -> dict[str, Any]:
    """The certificate's entries: root mean squares over all trajectories, relative to that of du/dt."""
    means = {name: float(np.mean(values.astype(np.float64))) for name, values in squares.items()}
    change = means.pop("change")
    if not change > 0:
        return {"residual_level_omitted": "no field changes"}
    levels = {name: float(np.sqrt(mean / change)) for name, mean in means.items()}
    if not np.isfinite(levels["residual_level"]):
        return {"residual_level_omitted": "it is not finite"}
    # A system need not have a value at the zero field.
    return {name: level for name, level in levels.items() if np.isfinite(level)}
