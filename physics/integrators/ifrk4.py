"""IFRK4: the classical Runge-Kutta method behind an integrating factor, for comparison."""

from collections.abc import Callable

import diffrax
import numpy as np
from jaxtyping import Array, PyTree

from physics.arguments import Scalar
from physics.integrators.exponential import AbstractExponentialSolver, Stages
from physics.integrators.phi import PhiFunctions
from physics.spectral import apply_symbol


class IFRK4(AbstractExponentialSolver):
    r"""The classical fourth-order Runge-Kutta method for v = e^{-t L} u (Lawson, 1967, SIAM J. Numer. Anal.
    4; against exponential time differencing: Cox and Matthews, 2002).

    With z = h L, N_u = N(u):

        a  = e^{z/2} (u + h/2 N_u)
        b  = e^{z/2} u + h/2 N_a
        c  = e^z u + h e^{z/2} N_b
        u' = e^z u + h/6 [e^z N_u + 2 e^{z/2} (N_a + N_b) + N_c]

    The embedded third-order solution puts N_{u'} in the place of N_c (Whalen, Brio and Moloney, 2015). The
    method does not keep the equation's steady states and its error constant grows with the stiffness, so `ETDRK4`
    is the one to use.
    """

    def order(self, terms: PyTree[diffrax.AbstractTerm]) -> int:
        """Four."""
        return 4

    def evaluate(self, phi: PhiFunctions, h: Scalar) -> tuple[Array | np.ndarray, ...]:
        """e^z and e^{z/2}."""
        return *phi(1.0, 0), *phi(0.5, 0)

    def stages(
        self, nonlinear: Callable[[float, Array], Array], h: Array, u_hat: Array, n_u: Array, values: tuple[Array, ...]
    ) -> Stages:
        """The four stages and the embedded error."""
        growth, exp_half = values
        n_a = nonlinear(0.5, apply_symbol(exp_half, u_hat + h / 2 * n_u))
        n_b = nonlinear(0.5, apply_symbol(exp_half, u_hat) + h / 2 * n_a)
        linear = apply_symbol(growth, u_hat)
        n_c = nonlinear(1.0, u_hat + (linear + h * apply_symbol(exp_half, n_b)))
        forced = n_u + apply_symbol(growth, n_u) + 2 * apply_symbol(exp_half, n_a + n_b) + n_c
        return Stages(linear + h / 6 * forced, lambda n_new: h / 6 * (n_c - n_new), (n_a + n_b) / 2)
