"""Robertson's chemical kinetics: the standard stiff problem."""

from collections.abc import Mapping
from typing import ClassVar

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from physics.arguments import Scalar, check_parameter, check_point, parameter
from physics.grid import Grid
from physics.system import System

_RELATIVE, _ABSOLUTE = 1e-8, (1e-10, 1e-14, 1e-10)


class Robertson(System):
    r"""a' = -slow a + back b c, b' = slow a - back b c - fast b^2, c' = fast b^2 (Robertson, 1966).

    State: ``(3,)``, the channels ``a``, ``b``, ``c`` (shares of the substance) at the one point of
    ``Grid((), ())``; times in seconds. The total is conserved.

    What one sees: within milliseconds b rises to 4e-5 and stays in balance with its sources; a turns into c
    over ten decades of time. Rates differ by up to 1e4 at t = 40 and more later, so that only implicit
    solvers get through: `diffrax.Kvaerno5`, in float64, with an absolute tolerance of its own for b:

        solve(system, u0, times, stepsize_controller=system.stepsize_controller)

    Fixed steps are for t > 1, past the first transient.

    Good values to start with: slow 0.04, fast 3e7, back 1e4, from (1, 0, 0) to 1e11.

    Source: Hairer and Wanner, Solving Ordinary Differential Equations II, 2nd edition, 1996, section IV.10.
    """

    slow: Float[Array, ""] | float = eqx.field(converter=parameter, default=0.04)
    fast: Float[Array, ""] | float = eqx.field(converter=parameter, default=3e7)
    back: Float[Array, ""] | float = eqx.field(converter=parameter, default=1e4)
    grid: Grid = eqx.field(static=True, default=Grid((), ()))
    name: ClassVar[str] = "robertson"
    channels: ClassVar[tuple[str, ...]] = ("a", "b", "c")
    dissipative: ClassVar[bool] = True
    units: ClassVar[str] = "shares of the substance; s"
    default_dataset: ClassVar[Mapping[str, object]] = {"dtype": "float64", "spin_up": 5.0, "step_error": 1e-6}

    def __check_init__(self):
        check_point(self)
        for name in ("slow", "fast", "back"):
            check_parameter(name, getattr(self, name), sign="non_negative")

    def vector_field(self, t: Scalar, u: Float[Array, " c"], args: PyTree = None) -> Float[Array, " c"]:
        """The three right-hand sides."""
        a, b, c = u
        forth, back, fast = self.slow * a, self.back * b * c, self.fast * b**2
        return jnp.stack([back - forth, forth - back - fast, fast])

    def sample_initial(self, key: PRNGKeyArray) -> Float[Array, " c"]:
        """A share of a between 0.5 and 1, the rest c, and b in balance with both."""
        a = jax.random.uniform(key, minval=0.5)
        loss = self.back * (1 - a)
        b = 2 * self.slow * a / (loss + jnp.sqrt(loss**2 + 4 * self.fast * self.slow * a))
        return jnp.stack([a, b, 1 - a - b])

    def invariants(self, u: Float[Array | np.ndarray, " c"]) -> dict[str, Float[Array, ""]]:
        """The amount of substance."""
        return {"substance": jnp.sum(jnp.asarray(u))}

    @property
    def default_solver(self) -> diffrax.AbstractSolver:
        """Kvaerno's L-stable method of order 5 with Newton's method.

        diffrax's own chord iteration does not converge here and costs 26 times the steps to t = 40.
        Its tolerances take float64: in float32 the iteration fails, and the field is NaN.
        """
        return diffrax.Kvaerno5(root_finder=optimistix.Newton(rtol=1e-8, atol=1e-14))

    @property
    def stepsize_controller(self) -> diffrax.PIDController:
        """Relative tolerance 1e-8; absolute tolerances 1e-10 for a and c, 1e-14 for b."""
        return diffrax.PIDController(rtol=_RELATIVE, atol=jnp.asarray(_ABSOLUTE))

    @property
    def recommended_dt(self) -> float:
        """0.1."""
        return 0.1
