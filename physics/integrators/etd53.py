"""ETD53: fifth-order exponential time differencing with an error estimate, for adaptive steps."""

from collections.abc import Callable

import diffrax
import numpy as np
from jaxtyping import Array, PyTree

from physics.arguments import Scalar
from physics.integrators.exponential import AbstractExponentialSolver, Stages
from physics.integrators.phi import PhiFunctions
from physics.spectral import apply_symbol


class ETD53(AbstractExponentialSolver):
    r"""Fifth-order exponential time differencing in six stages, with an embedded third-order solution
    (Whalen, Brio and Moloney, 2015, J. Comput. Phys. 280: ETD5(3), with the misprint in the weight of its third stage
    corrected).

    With z = h L, psi_k = k! phi_k and the stages N_1 = N(u) ... N_6 at 0, 1/4, 1/4, 1/2, 3/4 and 1 of the step:

        u' = e^z u + h [7 (257 psi_1 - 497 psi_2 + 270 psi_3) N_1 + 2 (1097 psi_1 - 467 psi_2 - 150 psi_3) N_3
             + 24 (-49 psi_1 + 199 psi_2 - 135 psi_3) N_4 + 2 (-313 psi_1 + 883 psi_2 - 90 psi_3) N_5
             + (509 psi_1 - 2129 psi_2 + 1830 psi_3) N_6] / 2700

    The error estimate is the weight of N_5 times the fourth difference -N_1 + 4 N_3 - 6 N_4 + 4 N_5 - N_6. It falls
    with h^4, the error of u' with h^6: the tolerance of a controller holds with a margin that grows as it is tightened.
    Where h L is large on waves with energy, the order seen is 4.1 to 4.5 (Kuramoto-Sivashinsky, 32 points).
    """

    def order(self, terms: PyTree[diffrax.AbstractTerm]) -> int:
        """Five."""
        return 5

    def error_order(self, terms: PyTree[diffrax.AbstractTerm]) -> int:
        """Four, that of the estimate."""
        return 4

    def evaluate(self, phi: PhiFunctions, h: Scalar) -> tuple[Array | np.ndarray, ...]:
        """The four exponentials, the weights of the stages and the final weights."""
        exp_1, p1_1, p2_1 = phi(0.25, 2)
        exp_2, p1_2, p2_2 = phi(0.5, 2)
        exp_3, p1_3, p2_3 = phi(0.75, 2)
        exp, psi1, psi2, psi3 = phi(1.0, 3)
        psi2, psi3 = 2 * psi2, 6 * psi3
        return (
            exp,
            exp_1,
            exp_2,
            exp_3,
            h / 4 * p1_1,
            h / 4 * p2_1,
            h / 2 * p1_2,
            h * p2_2,
            3 * h / 4 * p1_3,
            9 * h / 8 * p2_3,
            h / 42 * (-77 * psi1 + 59 * psi2),
            8 * h / 7 * psi1,
            h / 28 * (111 * psi1 - 87 * psi2),
            h / 84 * (-47 * psi1 + 143 * psi2),
            7 * h / 2700 * (257 * psi1 - 497 * psi2 + 270 * psi3),
            h / 1350 * (1097 * psi1 - 467 * psi2 - 150 * psi3),
            2 * h / 225 * (-49 * psi1 + 199 * psi2 - 135 * psi3),
            h / 1350 * (-313 * psi1 + 883 * psi2 - 90 * psi3),
            h / 2700 * (509 * psi1 - 2129 * psi2 + 1830 * psi3),
        )

    def stages(
        self, nonlinear: Callable[[float, Array], Array], h: Array, u_hat: Array, n_u: Array, values: tuple[Array, ...]
    ) -> Stages:
        """The six stages and the embedded error."""
        growth, exp_1, exp_2, exp_3, q1, r1, q2, r2, q3, r3, a1, a2, a3, a5, b1, b3, b4, b5, b6 = values
        first = apply_symbol(exp_1, u_hat) + apply_symbol(q1, n_u)
        n_2 = nonlinear(0.25, first)
        n_3 = nonlinear(0.25, first + apply_symbol(r1, n_2 - n_u))
        n_4 = nonlinear(0.5, apply_symbol(exp_2, u_hat) + apply_symbol(q2, n_u) + apply_symbol(r2, n_3 - n_u))
        third = apply_symbol(q3, n_u - (n_2 - n_3) / 2) + apply_symbol(r3, n_4 - n_u)
        n_5 = nonlinear(0.75, apply_symbol(exp_3, u_hat) + third)
        linear = apply_symbol(growth, u_hat)
        last = apply_symbol(a1, n_u) + apply_symbol(a2, n_2 - 1.5 * n_4) + apply_symbol(a3, n_3) + apply_symbol(a5, n_5)
        n_6 = nonlinear(1.0, u_hat + (linear + last))
        ends, middle = apply_symbol(b1, n_u) + apply_symbol(b6, n_6), apply_symbol(b4, n_4)
        change = linear + ends + middle + apply_symbol(b3, n_3) + apply_symbol(b5, n_5)
        error = apply_symbol(b5, 4 * (n_3 + n_5) - 6 * n_4 - n_u - n_6)
        return Stages(change, error, n_4)
