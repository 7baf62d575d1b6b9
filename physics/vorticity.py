"""Plane incompressible flow by its vorticity: velocity, advection, and the budgets of energy and enstrophy.

The vorticity is w = v_x - u_y on a doubly periodic box; axis 0 is x, axis 1 is y. With the stream function psi,
|k|^2 psi = w in Fourier space, u = psi_y and v = -psi_x. The mean velocity is zero.

Advection takes four transforms, two of them done as one (Basdevant, 1983, J. Comput. Phys. 50): with p = u v and d =
v^2 - u^2,

    -(u w_x + v w_y) = p_yy - p_xx - d_xy

for every divergence-free (u, v), so that neither gradients of w nor w itself are needed on the points.
"""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from physics.grid import Grid
from physics.spectral import inverse_transform_pair, times, times_i, to_physical, to_spectral, transform


def inverse_wavenumber_squared(grid: Grid) -> Array | np.ndarray:
    """1/|k|^2 on ``grid.spectral_shape``, 0 for the mean."""
    k2 = grid.wavenumber_squared
    mean = k2 == 0
    return (1.0 - mean) / (k2 + mean)


def velocity_multipliers(grid: Grid) -> tuple[Array | np.ndarray, Array | np.ndarray]:
    """ky/|k|^2 and -kx/|k|^2: times i and the spectrum of w they are the spectra of u and v."""
    kx, ky = grid.odd_wavenumbers
    inverse = inverse_wavenumber_squared(grid)
    return ky * inverse, -kx * inverse


def velocity(w: Float[Array | np.ndarray, "nx ny 1"], grid: Grid) -> Float[Array, "nx ny 2"]:
    """The divergence-free velocity (u, v) of a vorticity field."""
    w_hat = to_spectral(w, grid)
    to_u, to_v = (jnp.asarray(to, w_hat.real.dtype) for to in velocity_multipliers(grid))
    return to_physical(jnp.stack([times_i(to_u, w_hat[0]), times_i(to_v, w_hat[0])]), grid)


def dealiased_velocity(
    w_hat: Complex[Array, "nx waves"], grid: Grid
) -> tuple[Float[Array, "nx ny"], Float[Array, "nx ny"]]:
    """u and v on the points, of the waves of w that the 2/3 rule keeps: two transforms done as one."""
    keep = grid.dealias_mask
    kept_y = grid.leading_waves(2)
    w = w_hat[:, :kept_y]
    to_u, to_v = (jnp.asarray((to * keep)[:, :kept_y], w.real.dtype) for to in velocity_multipliers(grid))
    return inverse_transform_pair(times_i(to_u, w), times_i(to_v, w), grid)


def advection_of_products(
    p_hat: Complex[Array, "nx waves"], d_hat: Complex[Array, "nx waves"], grid: Grid
) -> Complex[Array, "nx waves"]:
    """-(u w_x + v w_y), dealiased, of the spectra of p = u v and d = v^2 - u^2."""
    kx, ky = grid.wavenumbers
    keep = grid.dealias_mask
    of_p = jnp.asarray((kx**2 - ky**2) * keep, p_hat.real.dtype)
    of_d = jnp.asarray(kx * ky * keep, p_hat.real.dtype)
    return times(of_p, p_hat) + times(of_d, d_hat)


def advection(w_hat: Complex[Array, "nx waves"], grid: Grid) -> Complex[Array, "nx waves"]:
    """-(u w_x + v w_y), dealiased, of the spectrum of w: four transforms."""
    u, v = dealiased_velocity(w_hat, grid)
    products = transform(jnp.stack([u * v, v * v - u * u]), grid)
    return advection_of_products(products[0], products[1], grid)


def energy_and_enstrophy(
    w_hat: Complex[Array, "nx waves"], rates: Mapping[str, Array], grid: Grid
) -> dict[str, dict[str, Float[Array, ""]]]:
    """Budgets of |u|^2/2 and w^2/2 per unit area: the values, and what each named part of dw/dt gives to either.

    **Arguments:**

    - ``w_hat``: the spectrum of w.
    - ``rates``: spectra of the parts of dw/dt, or what broadcasts to one.
    """
    weights = jnp.asarray(grid.parseval_weights / grid.size**2, w_hat.real.dtype)
    inverse = jnp.asarray(inverse_wavenumber_squared(grid), weights.dtype)
    result = {}
    for name, metric in (("energy", weights * inverse), ("enstrophy", weights)):
        result[name] = {"value": 0.5 * (metric * jnp.abs(w_hat) ** 2).sum()} | {
            part: (metric * (jnp.conj(w_hat) * rate).real).sum() for part, rate in rates.items()
        }
    return result
