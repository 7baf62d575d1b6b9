"""ERK43: a robust fourth-order exponential Runge-Kutta pair, for adaptive steps on very stiff systems."""

from collections.abc import Callable

import diffrax
import numpy as np
from jaxtyping import Array, PyTree

from physics.arguments import Scalar
from physics.integrators.exponential import AbstractExponentialSolver, Stages
from physics.integrators.phi import PhiFunctions
from physics.spectral import apply_symbol


class ERK43(AbstractExponentialSolver):
    r"""The embedded pair ERK43ZB of Zoto and Bowman (2023, arXiv:2303.12139), stiff order four with three, in five
    stages at 0, 1/6, 1/2, 1/2 and 1 of the step.

    With z = h L, N_1 = N(u):

        u' = e^z u + h [(phi_1 - 67/9 phi_2 + 52/3 phi_3) N_1 + (8 phi_2 - 24 phi_3) N_2
             + (26/3 phi_3 - 11/9 phi_2) N_3 + (7/9 phi_2 - 10/3 phi_3) N_4 + (4/3 phi_3 - 1/9 phi_2) N_5]

    The fifth stage is the embedded third-order solution. Unlike `ETD53` and `ETDRK4` it satisfies the stiff order
    conditions (Hochbruck and Ostermann, 2005), so it keeps its order where N(u) is rough or does not fit the boundary
    conditions of L.
    """

    def order(self, terms: PyTree[diffrax.AbstractTerm]) -> int:
        """Four."""
        return 4

    def evaluate(self, phi: PhiFunctions, h: Scalar) -> tuple[Array | np.ndarray, ...]:
        """The three exponentials, the weights of the stages and the final weights."""
        exp_1, w1_1, w2_1 = phi(1 / 6, 2)
        exp_2, w1_2, w2_2, w3_2 = phi(0.5, 3)
        exp, w1, w2, w3 = phi(1.0, 3)
        a42 = 19 / 60 * w1 + (w1_2 + w1_1) / 2 + 2 * w2_2 + 13 / 6 * w2_1 + 3 / 5 * w3_2
        a43 = -19 / 180 * w1 - (w1_2 + w1_1 + w2_2) / 6 + w2_1 / 9 - w3_2 / 5
        a54 = w2 + w2_2 - 6 * w3 - 3 * w3_2
        weights = (
            w1_1 / 6,
            w1_2 / 2,
            3 / 2 * w2_2 + w2_1 / 2,
            a42,
            a43,
            w1,
            3 * w2 - 9 / 2 * w2_2 - 5 / 2 * w2_1 + 6 * a54 + a42,
            6 * w3 + 3 * w3_2 - 2 * a54 + a43,
            a54,
            8 * w2 - 24 * w3,
            26 / 3 * w3 - 11 / 9 * w2,
            7 / 9 * w2 - 10 / 3 * w3,
            4 / 3 * w3 - w2 / 9,
        )
        return exp, exp_1, exp_2, *(h * weight for weight in weights)

    def stages(
        self, nonlinear: Callable[[float, Array], Array], h: Array, u_hat: Array, n_u: Array, values: tuple[Array, ...]
    ) -> Stages:
        """The five stages and the embedded error."""
        growth, exp_1, exp_2, q1, q2, a32, a42, a43, q, a52, a53, a54, b2, b3, b4, b5 = values
        # The weights of every stage sum to its phi_1, so N_2 ... N_5 enter as what they add to N_1.
        half = apply_symbol(exp_2, u_hat) + apply_symbol(q2, n_u)
        d_2 = nonlinear(1 / 6, apply_symbol(exp_1, u_hat) + apply_symbol(q1, n_u)) - n_u
        d_3 = nonlinear(0.5, half + apply_symbol(a32, d_2)) - n_u
        d_4 = nonlinear(0.5, half + apply_symbol(a42, d_2) + apply_symbol(a43, d_3)) - n_u
        change = apply_symbol(growth, u_hat) + apply_symbol(q, n_u)
        low = apply_symbol(a52, d_2) + apply_symbol(a53, d_3) + apply_symbol(a54, d_4)
        d_5 = nonlinear(1.0, u_hat + (change + low)) - n_u
        high = apply_symbol(b2, d_2) + apply_symbol(b3, d_3) + apply_symbol(b4, d_4) + apply_symbol(b5, d_5)
        # Neither stage at half the step gives N there to third order. Where N grows linearly within a step, at the rate
        # N', stage 3 is off by h^2 (a32/6 - phi_2(z/2)/4) N' = h^2 phi_2(z/6)/12 N' (weights without their h), stage 4
        # by h^2 (a42/6 + a43/2 - phi_2(z/2)/4) N', which is five times that, whatever z: here the two errors cancel.
        return Stages(change + high, high - low, n_u + (5 * d_3 - d_4) / 4)
