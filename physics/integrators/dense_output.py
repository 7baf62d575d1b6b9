"""Dense output of the exponential integrators: the field inside a step, to order four at most."""

from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Num

from physics.arguments import Scalar
from physics.grid import Grid
from physics.integrators.phi import phi_functions, phi_functions_of_matrices
from physics.spectral import apply_symbol, to_physical


class Segment(eqx.Module):
    """What is known about one step: the symbol, the signed step h, N at its start, middle and end, both spectra."""

    symbol: Array
    h: Array
    u_hat: Array
    n_u: Array
    n_middle: Array
    n_new: Array
    new: Array
    grid: Grid = eqx.field(static=True)
    spectral: bool = eqx.field(static=True)


class ExponentialInterpolation(diffrax.AbstractLocalInterpolation):
    r"""The exact flow of u' = L u + p(t), p the parabola through N at the start, middle and end of a step.

    With c_1 = -3 N_0 + 4 N_m - N_1 and c_2 = 2 (N_0 - 2 N_m + N_1), at the fraction s of the step:

        u(s) = e^{s z} u + s h [phi_1(s z) N_0 + s phi_2(s z) c_1 + 2 s^2 phi_3(s z) c_2]

    to which s^2 times its distance from the step's own end is added, so that the pieces join. Where waves decay or
    turn many times within one step, this follows them, which no polynomial in u does. The error inside a step is of
    fourth order in h, or of the order of the method if that is lower.
    """

    # Equinox's `AbstractVar` looks like a class variable to mypy.
    t0: float | Num[Array | np.ndarray, ""]  # type: ignore[misc]
    t1: float | Num[Array | np.ndarray, ""]  # type: ignore[misc]
    segment: Segment

    def evaluate(self, t0: Scalar, t1: Scalar | None = None, left: bool = True) -> Array:
        """The state at ``t0``, or its change from ``t0`` to ``t1``."""
        if t1 is not None:
            return self.evaluate(t1) - self.evaluate(t0)
        # Under vmap, members of the batch that have arrived take steps of length zero.
        length = self.t1 - self.t0
        s = (t0 - self.t0) / jnp.where(length == 0, 1, length)
        here, at_end = jax.vmap(self._flow)(jnp.stack([s, jnp.ones_like(s)]))
        u_hat = here + s**2 * (self.segment.new - at_end)
        return u_hat if self.segment.spectral else to_physical(u_hat, self.segment.grid)

    def _flow(self, s: Any) -> Array:
        known = self.segment
        real = known.u_hat.real.dtype
        h = (s * known.h).astype(real)
        symbol = known.symbol.astype(jnp.result_type(real, 1j) if jnp.iscomplexobj(known.symbol) else real)
        functions = phi_functions_of_matrices if symbol.ndim > known.grid.ndim + 1 else phi_functions
        exp, phi1, phi2, phi3 = functions(h * symbol, 3)
        s = s.astype(real)
        slope = s * (4 * known.n_middle - 3 * known.n_u - known.n_new)
        bend = 4 * s**2 * (known.n_u - 2 * known.n_middle + known.n_new)
        forced = apply_symbol(phi1, known.n_u) + apply_symbol(phi2, slope) + apply_symbol(phi3, bend)
        return apply_symbol(exp, known.u_hat) + h * forced
