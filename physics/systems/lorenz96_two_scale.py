"""Lorenz's toy of the weather with convection: slow waves, each coupled to a sector of fast ones."""

from collections.abc import Mapping
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from physics.arguments import Scalar, check_parameter, parameter
from physics.grid import Grid
from physics.system import System
from physics.systems.lorenz96 import check_ring, ring_advection


class Lorenz96TwoScale(System):
    r"""x_k' = (x_{k+1} - x_{k-2}) x_{k-1} - x_k + forcing - (h c / b) sum_j y_{j,k},
    y_j' = c b (y_{j-1} - y_{j+2}) y_{j+1} - c y_j + (h c / b) x_k, non-dimensional (Lorenz, 1996).

    State: ``(K, 1 + J)``, the channels ``x`` and ``y1`` to ``yJ``: the fast ring has J sites per slow site and
    runs through all of them. h is ``coupling``, c ``time_ratio``, b ``amplitude_ratio``. Sites are not points
    of a continuum: twice as many are another system.

    What one sees: slow chaotic waves, and bursts of fast ones of a tenth of their size where x is large.
    Advection and coupling conserve the energy of both together.

    Good values to start with: K = 36, J = 10, forcing 10, h = 1, c = b = 10, dt = 0.005 with `diffrax.Tsit5`.

    Source: Lorenz, Predictability: a problem partly solved, ECMWF seminar on predictability, 1996.
    """

    forcing: Float[Array, ""] | float = eqx.field(converter=parameter, default=10.0)
    coupling: Float[Array, ""] | float = eqx.field(converter=parameter, default=1.0)
    time_ratio: Float[Array, ""] | float = eqx.field(converter=parameter, default=10.0)
    amplitude_ratio: Float[Array, ""] | float = eqx.field(converter=parameter, default=10.0)
    fast_sites: int = eqx.field(static=True, default=10)
    grid: Grid = eqx.field(static=True, default=Grid((36,), (36.0,)))
    name: ClassVar[str] = "lorenz96_two_scale"
    chaotic: ClassVar[bool] = True
    dissipative: ClassVar[bool] = True
    refinable: ClassVar[bool] = False
    # Fast errors grow within hundredths of a time unit.
    default_dataset: ClassVar[Mapping[str, object]] = {"spin_up": 10.0, "stride": 0.2, "horizon": 0.05}

    def __check_init__(self):
        check_ring(self)
        if int(self.fast_sites) != self.fast_sites or self.fast_sites < 1:
            raise ValueError(f"fast_sites must be a whole number, 1 or more per slow site, not {self.fast_sites}.")
        check_parameter("forcing", self.forcing, sign="any")
        check_parameter("amplitude_ratio", self.amplitude_ratio, sign="positive")
        for name in ("coupling", "time_ratio"):
            check_parameter(name, getattr(self, name), sign="non_negative")

    @property
    def channels(self) -> tuple[str, ...]:
        """``x``, ``y1``, ..., ``yJ``."""
        return ("x", *(f"y{j}" for j in range(1, self.fast_sites + 1)))

    def vector_field(self, t: Scalar, u: Float[Array, "k c"], args: PyTree = None) -> Float[Array, "k c"]:
        """Both scales, the slow one first."""
        x, y = u[:, 0], u[:, 1:]
        c, b = self.time_ratio, self.amplitude_ratio
        exchange = self.coupling * c / b
        slow = ring_advection(x, 1) - x + self.forcing - exchange * jnp.sum(y, axis=1)
        fast = c * b * ring_advection(y.ravel(), -1).reshape(y.shape) - c * y + exchange * x[:, None]
        return jnp.concatenate([slow[:, None], fast], axis=1)

    def sample_initial(self, key: PRNGKeyArray) -> Float[Array, "k c"]:
        """x = forcing and y = 0 with normal noise of standard deviation 1 and 1 / b."""
        noise = jax.random.normal(key, self.field_shape)
        return jnp.concatenate([self.forcing + noise[:, :1], noise[:, 1:] / self.amplitude_ratio], axis=1)

    def budgets(self, u: Float[Array | np.ndarray, "k c"]) -> dict[str, dict[str, Float[Array, ""]]]:
        """Energy (x^2 + sum y^2) / 2 per slow site: friction of either scale and input."""
        x, y = jnp.asarray(u)[:, 0], jnp.asarray(u)[:, 1:]
        slow, fast = jnp.mean(x**2), jnp.mean(jnp.sum(y**2, axis=1))
        return {
            "energy": {
                "value": (slow + fast) / 2,
                "slow friction": -slow,
                "fast friction": -self.time_ratio * fast,
                "input": self.forcing * jnp.mean(x),
            }
        }

    @property
    def recommended_dt(self) -> float:
        """0.005."""
        return 0.005
