"""ETDRK4: the fourth-order exponential time-differencing Runge-Kutta method of Cox and Matthews."""

from collections.abc import Callable
from typing import Any

from jaxtyping import Array

from physics.integrators.etdrk import AbstractETDRK, SemilinearTerm
from physics.spectral import apply_symbol


class ETDRK4(AbstractETDRK):
    r"""Fourth-order exponential time differencing (Cox and Matthews, 2002, equations 26 to 29).

    With z = h L, N_u = N(u), phi_k of `physics.integrators.phi`:

        a  = e^{z/2} u + h/2 phi_1(z/2) N_u
        b  = e^{z/2} u + h/2 phi_1(z/2) N_a
        c  = e^{z/2} a + h/2 phi_1(z/2) (2 N_b - N_u)
        u' = e^z u + h [(phi_1 - 3 phi_2 + 4 phi_3) N_u + (2 phi_2 - 4 phi_3) (N_a + N_b) + (4 phi_3 - phi_2) N_c]

    The embedded third-order solution puts N_{u'} in the place of N_c (Whalen, Brio and Moloney, 2015),
    which costs a fifth evaluation; a fixed-step scan never uses it and the compiler drops it.
    """

    def order(self, terms: Any) -> int:
        """Four."""
        return 4

    def evaluate(self, phi: Callable[[float, int], tuple[Any, ...]], h: Any) -> tuple[Any, ...]:
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

    def stages(self, term: SemilinearTerm, t0: Any, h: Any, u_hat: Array, args: Any, values: tuple[Any, ...]) -> Any:
        """The four stages and the embedded error."""
        exp, exp_half, q, f1, f2, f3 = values
        n = term.system.nonlinear
        n_u = n(t0, u_hat, args)
        half = apply_symbol(exp_half, u_hat)
        a = half + apply_symbol(q, n_u)
        n_a = n(t0 + h / 2, a, args)
        n_b = n(t0 + h / 2, half + apply_symbol(q, n_a), args)
        n_c = n(t0 + h, apply_symbol(exp_half, a) + apply_symbol(q, 2 * n_b - n_u), args)
        new = apply_symbol(exp, u_hat) + apply_symbol(f1, n_u) + apply_symbol(f2, n_a + n_b) + apply_symbol(f3, n_c)
        error = apply_symbol(f3, n_c - n(t0 + h, new, args))
        return new, error
