r"""The phi functions of exponential integrators, safe in float32 and for complex arguments.

phi_0(z) = e^z,  phi_{k+1}(z) = (phi_k(z) - 1/k!) / z,  phi_k(0) = 1/k!
(Hochbruck and Ostermann, 2010, Acta Numerica 19).

The recurrence loses about eps/|z| at each of its levels, the Taylor series sum_j z^j / (j + k)! loses nothing
while |z| is small. Each serves where it is right: the series with |z| < 2, the recurrence elsewhere. No contour
integral and no real part: the same lines hold for dissipative (real) and dispersive (imaginary) symbols, in
NumPy float64 on the host and traced in float32.

Of a matrix, defective ones and zero included, the series is summed at z / 2^s and doubled s times by
phi_k(2 z) = 2^-k [e^z phi_k(z) + sum_{1 <= j <= k} phi_j(z) / (k - j)!] (Skaflestad and Wright, 2009, Appl.
Numer. Math. 59).
"""

from collections.abc import Callable
from math import factorial
from types import ModuleType
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

PhiFunctions: TypeAlias = Callable[[float, int], tuple[Array | np.ndarray, ...]]
"""``phi(c, k)`` gives phi_0 ... phi_k of c h L."""

_SERIES_RADIUS = 2.0

# Of matrices: row sums up to which the series is used, and the most doublings traced (row sums up to 5e11).
_SERIES_NORM = 0.5
_MOST_DOUBLINGS = 40


def phi_functions(z: Array | np.ndarray, highest: int) -> tuple[Array | np.ndarray, ...]:
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


def phi_functions_of_matrices(z: Array | np.ndarray, highest: int) -> tuple[Array | np.ndarray, ...]:
    """phi_0 ... phi_highest of matrices ``(C, C, *waves)``; NumPy in, NumPy out, JAX in, JAX out, real stays real.

    Right to about |z| units in the last place, which is as far as z itself is known, and e^z at best to one of 1.
    Traced matrices with a row sum above 5e11 give NaN.
    """
    on_host, wanted, highest = not isinstance(z, jax.Array), highest, max(highest, 1)
    xp: ModuleType = np if on_host else jnp
    z = xp.asarray(z)
    single = z.dtype in (np.dtype(np.float32), np.dtype(np.complex64))
    rows = xp.abs(z if on_host else jax.lax.stop_gradient(z)).sum(1).max(0)
    doublings = xp.ceil(xp.log2(xp.maximum(rows / _SERIES_NORM, 1.0)))
    passes = int(doublings.max()) if on_host else _MOST_DOUBLINGS
    small = z * xp.where(doublings <= passes, xp.exp2(-doublings), np.nan).astype(rows.dtype)
    one = np.eye(len(z)).reshape(*z.shape[:2], *[1] * rows.ndim).astype(rows.dtype)
    terms = 9 if single else 16
    top = one / factorial(highest + terms) + 0 * small
    for j in range(terms - 1, -1, -1):
        top = _product(small, top) + one / factorial(highest + j)
    phi = [top]
    for k in range(highest - 1, 0, -1):
        phi.insert(0, _product(small, phi[0]) + one / factorial(k))

    # e^z - 1 is doubled in the place of e^z: what a small step adds to the identity keeps its digits.
    def double(i: Any, functions: tuple[Any, ...]) -> tuple[Any, ...]:
        # Waves that are done take no part: their overflow would reach derivatives as NaN.
        growth, *phi = (xp.where(i < doublings, value, 0) for value in functions)
        doubled = [2 * growth + _product(growth, growth)]
        for k in range(1, highest + 1):
            rest = sum(phi[j - 1] / factorial(k - j) for j in range(1, k))
            doubled.append((_product(growth, phi[k - 1]) + 2 * phi[k - 1] + rest) / 2**k)
        return tuple(xp.where(i < doublings, new, old) for new, old in zip(doubled, functions))

    functions = (_product(small, phi[0]), *phi)
    if on_host:
        for i in range(passes):
            functions = double(i, functions)
    else:
        functions = jax.lax.fori_loop(0, passes, double, functions)
    return functions[0] + one, *functions[1 : wanted + 1]


def _product(a: Any, b: Any) -> Any:
    """Products of matrices ``(C, C, *waves)``, wave by wave."""
    return (a[:, :, None] * b[None]).sum(1)
