"""ETDRK1: exponential time differencing of first order, the exponential Euler method."""

from collections.abc import Callable

import diffrax
import numpy as np
from jaxtyping import Array, PyTree

from physics.arguments import Scalar
from physics.integrators.exponential import AbstractExponentialSolver, Stages
from physics.integrators.phi import PhiFunctions
from physics.spectral import apply_symbol


class ETDRK1(AbstractExponentialSolver):
    r"""First-order exponential time differencing (Cox and Matthews, 2002, J. Comput. Phys. 176).

        u' = e^z u + h phi_1(z) N(u)

    with z = h L. The error estimate is the correction of `ETDRK2`, h phi_2(z) (N(u') - N(u)); its evaluation
    is the first of the next step.
    """

    def order(self, terms: PyTree[diffrax.AbstractTerm]) -> int:
        """One."""
        return 1

    def error_order(self, terms: PyTree[diffrax.AbstractTerm]) -> int:
        """Two, that of the local error."""
        return 2

    def evaluate(self, phi: PhiFunctions, h: Scalar) -> tuple[Array | np.ndarray, ...]:
        """e^z, h phi_1, h phi_2."""
        exp, phi1, phi2 = phi(1.0, 2)
        return exp, h * phi1, h * phi2

    def stages(
        self, nonlinear: Callable[[float, Array], Array], h: Array, u_hat: Array, n_u: Array, values: tuple[Array, ...]
    ) -> Stages:
        """One stage and the second-order correction it lacks."""
        growth, p1, p2 = values
        change = apply_symbol(growth, u_hat) + apply_symbol(p1, n_u)
        return Stages(change, lambda n_new: apply_symbol(p2, n_u - n_new))
