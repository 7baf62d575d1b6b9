r"""The phi functions of exponential integrators, safe in float32 and for complex arguments.

phi_0(z) = e^z,  phi_{k+1}(z) = (phi_k(z) - 1/k!) / z,  phi_k(0) = 1/k!
(Hochbruck and Ostermann, 2010, equations 2.10 and 2.11).

The recurrence loses about eps/|z| at each of its levels, the Taylor series sum_j z^j / (j + k)! loses nothing
while |z| is small. Each serves where it is right: the series with |z| < 2, the recurrence elsewhere. No contour
integral and no real part: the same lines hold for dissipative (real) and dispersive (imaginary) symbols, in
NumPy float64 on the host and traced in float32.
"""

from math import factorial
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

_SERIES_RADIUS = 2.0


def phi_functions(z: Any, highest: int) -> tuple[Any, ...]:
    """phi_0 ... phi_highest of an array; NumPy in, NumPy out, JAX in, JAX out, real stays real.

    Relative to its largest value each function is right to a few units in the last place of ``z``'s
    precision (traced, float32: measured in the tests).
    """
    on_host = not isinstance(z, jax.Array)
    xp: ModuleType = np if on_host else jnp
    z = xp.asarray(z)
    single = z.dtype in (np.dtype(np.float32), np.dtype(np.complex64))
    near = xp.abs(z) < _SERIES_RADIUS
    # Each branch is fed harmless values where the other one is used, so that no NaN leaks into derivatives.
    small, large = xp.where(near, z, 0), xp.where(near, _SERIES_RADIUS, z)
    terms = 16 if single else 28
    top = xp.full_like(small, 1.0 / factorial(highest + terms))
    for j in range(terms - 1, -1, -1):
        top = top * small + 1.0 / factorial(highest + j)
    series = [top]
    for k in range(highest - 1, -1, -1):
        series.append(series[-1] * small + 1.0 / factorial(k))
    series.reverse()
    direct = [xp.exp(large)]
    for k in range(highest):
        direct.append((direct[-1] - 1.0 / factorial(k)) / large)
    return tuple(xp.where(near, a, b) for a, b in zip(series, direct))
