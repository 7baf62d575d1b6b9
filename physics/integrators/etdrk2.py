"""ETDRK2: the second-order exponential time-differencing Runge-Kutta method of Cox and Matthews."""

from collections.abc import Callable

import diffrax
import numpy as np
from jaxtyping import Array, PyTree

from physics.arguments import Scalar
from physics.integrators.exponential import AbstractExponentialSolver, Stages
from physics.integrators.phi import PhiFunctions
from physics.spectral import apply_symbol


class ETDRK2(AbstractExponentialSolver):
    r"""Second-order exponential time differencing (Cox and Matthews, 2002, equation 22).

        a  = e^z u + h phi_1(z) N(u)
        u' = a + h phi_2(z) (N(a) - N(u))

    with z = h L. The first-order a is the embedded solution, so the error estimate is free.
    """

    def order(self, terms: PyTree[diffrax.AbstractTerm]) -> int:
        """Two."""
        return 2

    def evaluate(self, phi: PhiFunctions, h: Scalar) -> tuple[Array | np.ndarray, ...]:
        """e^z, h phi_1, h phi_2."""
        exp, phi1, phi2 = phi(1.0, 2)
        return exp, h * phi1, h * phi2

    def stages(
        self, nonlinear: Callable[[float, Array], Array], h: Array, u_hat: Array, n_u: Array, values: tuple[Array, ...]
    ) -> Stages:
        """Both stages and the embedded error."""
        growth, p1, p2 = values
        change = apply_symbol(growth, u_hat) + apply_symbol(p1, n_u)
        error = apply_symbol(p2, nonlinear(1.0, u_hat + change) - n_u)
        return Stages(change + error, error)
