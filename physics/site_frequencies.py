r"""Site-frequency spectra of the Wright-Fisher diffusion: exact in polynomials, and by differentiable simulation.

Sites are founded by single mutations (infinite sites, the Poisson random field of Sawyer and Hartl, Genetics 132,
1992), independent of each other, and the frequency x of each follows

    dx = sigma x (1 - x) dt + sqrt(x (1 - x) / nu) dW

in units of N generations, N being the ancestral number of chromosomes, sigma = N s, and nu the present size over N.
``theta = 2 N u`` with u new sites per chromosome and generation. All spectra are for theta = 1, to which they are
proportional: the neutral one at constant size is 1/i.

Both forms follow a site only as long as it is neither lost nor fixed. With h = x (1 - x), which drift multiplies by
exp(-t/nu), Doob's transform gives E_x[b(x_t)] = h(x) g(x, t) for every b that vanishes at 0 and 1, and

    dg/dt = (x (1 - x) g'' / 2 + (1 - 2x) g' - g) / nu + sigma (h g)'.

Its drift part has Jacobi polynomials for eigenfunctions with the rates (k + 1)(k + 2) / 2 of the coalescent, and
selection couples each to its two neighbours (Song and Steinruecken, Genetics 190, 2012), which `diffusion_spectrum`
solves. The conditioned path is that of a frequency with mutation of rate 2 both ways: x = (1 - z)/2 for one
coordinate z of Brownian motion on the unit sphere in five dimensions. `simulated_spectrum` follows that motion, which
has no boundary, so that its derivatives along the path are those of the law. Karlin and Taylor, A Second Course in
Stochastic Processes, 1981, chapter 15, has both transforms.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

Scalar = Float[Array, ""] | float
EDGE = 1e-6
"""Nearest approach of a simulated frequency to 0 and 1 where logarithms are taken."""


def stationary_spectrum(sample: int, sigma: float) -> Float[np.ndarray, " classes"]:
    """Return the spectrum at constant size by quadrature of the density of Sawyer and Hartl (1992, eq. 11).

    The density is (1 - exp(-2 sigma (1 - x))) / ((1 - exp(-2 sigma)) x (1 - x)), 1/x for sigma = 0.
    """
    x, weight = _quadrature(sample + 200)
    shape = np.expm1(-2 * sigma * (1 - x)) / np.expm1(-2 * sigma) if sigma else 1 - x
    return _sampled(sample, x).T @ (weight * shape)


def diffusion_spectrum(
    sample: int, sigma: float = 0.0, later: Sequence[tuple[float, float]] = (), extra: int = 40
) -> Float[np.ndarray, " classes"]:
    """Return the expected numbers of sites with 1, ..., sample - 1 carriers in a sample, for theta = 1.

    Args:
        sample: chromosomes in the sample.
        sigma: N s, of either sign.
        later: (relative size, duration in N generations) of the epochs after the ancestral one, the oldest first.
        extra: polynomials beyond those of the sample; the error falls faster than any power of their number.

    Returns:
        (sample - 1,), 64-bit.

    Raises:
        ValueError: a sample of less than 2, a size that is not positive or a negative duration.

    Example:
        >>> diffusion_spectrum(4)
        array([1.        , 0.5       , 0.33333333])
    """
    from scipy.linalg import expm

    if sample < 2:
        raise ValueError(f"a sample has at least 2 chromosomes, found {sample}.")
    for size, duration in later:
        if not (size > 0 and duration >= 0):
            raise ValueError(f"an epoch needs a positive size and no negative duration, found {(size, duration)}.")
    drift, selection, founding, sampled = _operators(sample, sample - 1 + extra)

    def operator(size: float) -> np.ndarray:
        return np.diag(drift / size) + sigma * selection

    held = -0.5 * np.linalg.solve(operator(1.0).T, founding)
    for size, duration in later:
        rate = operator(size)
        grown = expm(rate * duration)
        new = np.linalg.solve(rate.T, grown.T @ founding - founding)
        held = grown.T @ held + 0.5 * new
    return held @ sampled


@functools.cache
def _operators(sample: int, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rates of drift, matrix of selection, values at 0 and coefficients of the sampled classes, in ``count``
    orthonormal polynomials of the weight x (1 - x)."""
    from scipy.special import eval_jacobi

    x, weight = _quadrature(2 * count + 8)
    orders = np.arange(count)
    h = x * (1 - x)
    # Norm of P_k^(1,1) over [-1, 1] with its weight: 8 (k + 1) / ((2k + 3) (k + 2)); here over [0, 1] and x (1 - x).
    scale = 1 / np.sqrt((orders + 1) / ((2 * orders + 3) * (orders + 2)))
    values = scale * eval_jacobi(orders[None, :], 1, 1, 2 * x[:, None] - 1)
    slopes = np.zeros_like(values)
    slopes[:, 1:] = scale[1:] * (orders[1:] + 3) * eval_jacobi(orders[None, 1:] - 1, 2, 2, 2 * x[:, None] - 1)
    drift = -(orders + 1) * (orders + 2) / 2.0
    pushed = (1 - 2 * x)[:, None] * values + h[:, None] * slopes
    selection = (values * (weight * h)[:, None]).T @ pushed
    founding = scale * eval_jacobi(orders, 1, 1, -1.0)
    sampled = values.T @ (_sampled(sample, x) * (weight * h)[:, None])
    return drift, selection, founding, sampled


def _quadrature(nodes: int) -> tuple[np.ndarray, np.ndarray]:
    x, weight = np.polynomial.legendre.leggauss(nodes)
    return 0.5 * (x + 1), 0.5 * weight


def _sampled(sample: int, x: Float[np.ndarray, " points"]) -> Float[np.ndarray, "points classes"]:
    """Chance of i carriers in a sample at the frequency x, over x (1 - x)."""
    i = np.arange(1, sample)
    chosen = np.array([math.comb(sample, int(k)) for k in i], float)
    return chosen * x[:, None] ** (i - 1) * (1 - x[:, None]) ** (sample - i - 1)


def simulated_spectrum(
    key: PRNGKeyArray,
    sample: int,
    sigma: Scalar,
    size: Scalar,
    duration: Scalar,
    *,
    paths: int = 512,
    steps: int = 8,
) -> Float[Array, " classes"]:
    """Return an estimate of the spectrum after one change of size, from simulated sites, for theta = 1.

    Half of the paths are sites that were there before the change, half are founded after it. The estimate has no bias
    but that of the time step, of second order, and its derivatives by ``sigma``,
    ``size`` and ``duration`` along the paths are those of its expectation.

    Args:
        key: of the paths.
        sample: chromosomes in the sample.
        sigma: N s, before and after the change.
        size: present size over the ancestral one.
        duration: since the change, in N generations.
        paths: sites that are followed, even.
        steps: time steps of each.

    Returns:
        (sample - 1,).

    Example:
        >>> simulated_spectrum(jax.random.key(0), 4, 0.0, 1.0, 0.2, paths=4096)  # about 1, 1/2, 1/3
    """
    half = paths // 2
    old_key, new_key, key = jax.random.split(key, 3)
    rank = jnp.arange(half)
    # Stratified: one path for each of `half` equal shares of the first law.
    share = (rank + jax.random.uniform(old_key, (half,))) / half
    first = 1.0 - jnp.sqrt(share)
    age = (rank + jax.random.uniform(new_key, (half,))) / half
    sigma, size, duration = (jnp.asarray(value, first.dtype) for value in (sigma, size, duration))
    before = _relative(2 * sigma * (1 - first)) / _relative(2 * sigma)
    x = jnp.concatenate([first, jnp.zeros(half)])
    weight = 0.5 / half * jnp.concatenate([before, jnp.full(half, 1.0) * duration])
    time = duration * jnp.concatenate([jnp.ones(half), age])
    x, weight = _conditioned(key, x, weight, sigma, size, time, steps)
    return weight @ _classes(sample, x)


def _relative(a: Array) -> Array:
    """(1 - exp(-a)) / a, also where a is 0."""
    small = jnp.abs(a) < 1e-2
    safe = jnp.where(small, 1.0, a)
    return jnp.where(small, 1 - a / 2 + a**2 / 6 - a**3 / 24, -jnp.expm1(-safe) / safe)


def _selected(x: Array, weight: Array, push: Array) -> tuple[Array, Array]:
    """Selection alone over the time push / sigma: the logistic curve, and the growth of x (1 - x) along it."""
    growth = jnp.exp(push)
    below = 1.0 + x * (growth - 1.0)
    return x * growth / below, weight * growth / below**2


def _conditioned(
    key: PRNGKeyArray, x: Array, weight: Array, sigma: Array, size: Array, time: Array, steps: int
) -> tuple[Array, Array]:
    """Follow paths that are neither lost nor fixed, with the weights that make up for it."""
    length = time / steps
    normals = jax.random.normal(key, (steps, 4, *x.shape), x.dtype)

    def step(carry: tuple[Array, Array], normal: Array) -> tuple[tuple[Array, Array], None]:
        x, weight = _selected(*carry, 0.5 * sigma * length)
        return _selected(_drifted(x, normal, length / size), weight, 0.5 * sigma * length), None

    (x, weight), _ = jax.lax.scan(step, (x, weight), normals)
    return x, weight * jnp.exp(-time / size)


def _drifted(x: Array, normal: Array, time: Array) -> Array:
    """One geodesic step of Brownian motion on the sphere, in the coordinate z = 1 - 2x."""
    # Shortened by what the curvature adds, which makes the step one of second order: its means of the polynomials of
    # first and second degree are exp(-2 time) and exp(-5 time) times the values before, up to the third order.
    reach = time - 0.5 * time**2
    square = reach * jnp.sum(normal**2, axis=0)
    angle = jnp.sqrt(square + 1e-12)
    across = 2.0 * jnp.sqrt(jnp.maximum(x * (1.0 - x), EDGE**2))
    z = (1.0 - 2.0 * x) * jnp.cos(angle) + across * jnp.sqrt(reach + 1e-12) * normal[0] * jnp.sinc(angle / jnp.pi)
    return jnp.clip(0.5 * (1.0 - z), EDGE, 1.0 - EDGE)


def _classes(sample: int, x: Array) -> Float[Array, "paths classes"]:
    i = jnp.arange(1, sample)
    chosen = jnp.asarray([math.log(math.comb(sample, k)) for k in range(1, sample)], x.dtype)
    inside = jnp.clip(x, EDGE, 1.0 - EDGE)[:, None]
    return jnp.exp(chosen + (i - 1) * jnp.log(inside) + (sample - i - 1) * jnp.log1p(-inside))
