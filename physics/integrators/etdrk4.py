"""ETDRK4: the fourth-order exponential time-differencing Runge-Kutta method of Cox and Matthews."""

from collections.abc import Callable

import diffrax
import numpy as np
from jaxtyping import Array, PyTree

from physics.arguments import Scalar
from physics.integrators.exponential import AbstractExponentialSolver, Stages
from physics.integrators.phi import PhiFunctions
from physics.spectral import apply_symbol


class ETDRK4(AbstractExponentialSolver):
    r"""Fourth-order exponential time differencing (Cox and Matthews, 2002, equations 26 to 29).

    With z = h L, N_u = N(u), phi_k of `physics.integrators.phi`:

        a  = e^{z/2} u + h/2 phi_1(z/2) N_u
        b  = e^{z/2} u + h/2 phi_1(z/2) N_a
        c  = e^{z/2} a + h/2 phi_1(z/2) (2 N_b - N_u)
        u' = e^z u + h [(phi_1 - 3 phi_2 + 4 phi_3) N_u + (2 phi_2 - 4 phi_3) (N_a + N_b) + (4 phi_3 - phi_2) N_c]

    The embedded third-order solution puts N_{u'} in the place of N_c (Whalen, Brio and Moloney, 2015), an
    evaluation that is the first of the next step; a fixed-step scan never uses it and the compiler drops it.
    """

    def order(self, terms: PyTree[diffrax.AbstractTerm]) -> int:
        """Four."""
        return 4

    def evaluate(self, phi: PhiFunctions, h: Scalar) -> tuple[Array | np.ndarray, ...]:
        """e^z, e^{z/2}, the half-step weight and the three final weights."""
        exp_half, phi1_half = phi(0.5, 1)
        exp, phi1, phi2, phi3 = phi(1.0, 3)
        return (
            exp,
            exp_half,
            0.5 * h * phi1_half,
            h * (phi1 - 3 * phi2 + 4 * phi3),
            h * (2 * phi2 - 4 * phi3),
            h * (4 * phi3 - phi2),
        )

    def stages(
        self, nonlinear: Callable[[float, Array], Array], h: Array, u_hat: Array, n_u: Array, values: tuple[Array, ...]
    ) -> Stages:
        """The four stages and the embedded error."""
        growth, exp_half, q, f1, f2, f3 = values
        half = apply_symbol(exp_half, u_hat)
        a = half + apply_symbol(q, n_u)
        n_a = nonlinear(0.5, a)
        n_b = nonlinear(0.5, half + apply_symbol(q, n_a))
        n_c = nonlinear(1.0, apply_symbol(exp_half, a) + apply_symbol(q, 2 * n_b - n_u))
        forced = apply_symbol(f1, n_u) + apply_symbol(f2, n_a + n_b) + apply_symbol(f3, n_c)
        change = apply_symbol(growth, u_hat) + forced
        return Stages(change, lambda n_new: apply_symbol(f3, n_c - n_new), (n_a + n_b) / 2)
