"""ETDRK3: the third-order exponential time-differencing Runge-Kutta method of Cox and Matthews."""

from collections.abc import Callable

import diffrax
import numpy as np
from jaxtyping import Array, PyTree

from physics.arguments import Scalar
from physics.integrators.exponential import AbstractExponentialSolver, Stages
from physics.integrators.phi import PhiFunctions
from physics.spectral import apply_symbol


class ETDRK3(AbstractExponentialSolver):
    r"""Third-order exponential time differencing (Cox and Matthews, 2002, equations 23 to 25).

    With z = h L, N_u = N(u), phi_k of `physics.integrators.phi`:

        a  = e^{z/2} u + h/2 phi_1(z/2) N_u
        b  = e^z u + h phi_1(z) (2 N_a - N_u)
        u' = e^z u + h [(phi_1 - 3 phi_2 + 4 phi_3) N_u + (4 phi_2 - 8 phi_3) N_a + (4 phi_3 - phi_2) N_b]

    The embedded second-order solution e^z u + h [(phi_1 - 2 phi_2) N_u + 2 phi_2 N_a] uses the same stages, so the
    error estimate h (4 phi_3 - phi_2) (N_u - 2 N_a + N_b) is free.
    """

    def order(self, terms: PyTree[diffrax.AbstractTerm]) -> int:
        """Three."""
        return 3

    def evaluate(self, phi: PhiFunctions, h: Scalar) -> tuple[Array | np.ndarray, ...]:
        """e^z, e^{z/2}, the weights of both stages, the final weight of N_a's companion and the error's."""
        exp_half, phi1_half = phi(0.5, 1)
        exp, phi1, phi2, phi3 = phi(1.0, 3)
        return exp, exp_half, 0.5 * h * phi1_half, h * phi1, 2 * h * phi2, h * (4 * phi3 - phi2)

    def stages(
        self, nonlinear: Callable[[float, Array], Array], h: Array, u_hat: Array, n_u: Array, values: tuple[Array, ...]
    ) -> Stages:
        """The three stages and the embedded error."""
        growth, exp_half, q, p1, p2, f3 = values
        linear = apply_symbol(growth, u_hat)
        n_a = nonlinear(0.5, apply_symbol(exp_half, u_hat) + apply_symbol(q, n_u))
        n_b = nonlinear(1.0, u_hat + (linear + apply_symbol(p1, 2 * n_a - n_u)))
        error = apply_symbol(f3, n_u - 2 * n_a + n_b)
        return Stages(linear + apply_symbol(p1, n_u) + apply_symbol(p2, n_a - n_u) + error, error)
