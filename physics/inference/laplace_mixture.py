r"""Laplace's approximation at every mode that is found: a mixture of normal distributions.

From every start the Levenberg-Marquardt method minimises J(theta) = |theta|^2 / 2 + |y - h(simulate(theta))|^2 /
(2 noise^2) (Nocedal and Wright 2006, Numerical Optimization, section 10.3). Around a minimum theta_i the posterior is
taken as normal with the inverse of the Gauss-Newton Hessian H_i = I + A^T A / noise^2 as covariance, A the derivative
of the predicted observations, and with the mass exp(-J(theta_i)) |H_i|^{-1/2} (MacKay 2003, chapter 27). It is exact
where simulation and observation are linear.

Starts decide which modes are found. A chaotic simulation has many minima over a long window; so the observations may
be taken in growing parts, the earliest first, each part started from the last one's minimum (quasi-static variational
assimilation, Pires, Vautard and Talagrand 1996, Tellus A 48, 96).
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from physics.inference.inverse_problem import IMPOSSIBLE, InverseProblem, PosteriorSample

FIRST_DAMPING, LESS, MORE = 0.03, 0.2, 4.0
"""Damping in units of the Hessian's diagonal at the start, and its factors after a step that lowers J and one that
does not."""
SAME = 0.25
"""Two minima are one mode below this squared distance for each unknown, in the Hessian's metric of the lower one."""


class Modes(NamedTuple):
    """Minima with Laplace's approximation at each.

    Attributes:
        minima: (cases, starts, d).
        cost: J of the minima (cases, starts).
        root: lower Cholesky factors of the Hessians (cases, starts, d, d).
        log_weight: logarithms of the modes' shares of the posterior (cases, starts); -inf for a minimum that another
            start has found as well, and where the simulation failed.
    """

    minima: Float[Array, "cases starts d"]
    cost: Float[Array, "cases starts"]
    root: Float[Array, "cases starts d d"]
    log_weight: Float[Array, "cases starts"]

    def draw(self, members: int, key: Array) -> Float[Array, "cases members d"]:
        """Draw from the mixture; every mode has its share of the members, up to one."""

        def one(minima: Array, root: Array, log_weight: Array, key: Array) -> Array:
            place_key, normal_key = jax.random.split(key)
            chosen = systematic(log_weight, members, place_key)
            noise = jax.random.normal(normal_key, (members, minima.shape[1]))

            def away(lower: Array, normal: Array) -> Array:
                return jax.scipy.linalg.solve_triangular(lower, normal, trans=1, lower=True)

            return minima[chosen] + jax.vmap(away)(root[chosen], noise)

        return jax.vmap(one)(self.minima, self.root, self.log_weight, jax.random.split(key, len(self.minima)))


def systematic(log_weight: Float[Array, " starts"], members: int, key: Array) -> Int[Array, " members"]:
    """Return the mode of every member, so that each mode has its share of them up to one."""
    shares = jnp.cumsum(jax.nn.softmax(log_weight))
    places = (jnp.arange(members) + jax.random.uniform(key)) / members
    return jnp.searchsorted(shares, places * shares[-1]).clip(0, len(log_weight) - 1)


def laplace_modes(
    problem: InverseProblem,
    observed: Float[np.ndarray, "cases m"],
    starts: Float[np.ndarray, "cases starts d"],
    *,
    iterations: int,
    parts: tuple[float, ...] = (1.0,),
) -> Modes:
    """Minimise from every start and approximate the posterior at the minima.

    Args:
        problem: prior, simulation and noise; its simulation is differentiated in forward mode.
        observed: of every case, in the order of time where ``parts`` are used.
        starts: unknowns from which the minimisation begins, for example a generator's samples.
        iterations: of every part; each costs a solver call and one for every unknown.
        parts: growing shares of the observations that are taken one after the other; the last must be 1.

    Returns:
        The modes; weights count a minimum once that several starts have found.

    Raises:
        ValueError: no iterations, or parts that do not grow to 1.

    Example:
        >>> problem = InverseProblem(1, lambda theta: theta, jnp.abs, noise=0.1)
        >>> modes = laplace_modes(problem, np.ones((1, 1)), np.array([[[0.5], [-0.5]]]), iterations=5)
        >>> np.round(modes.minima[0, :, 0], 2)
        Array([ 0.99, -0.99], dtype=float32)
    """
    if iterations < 1:
        raise ValueError(f"iterations must be at least 1, not {iterations}.")
    if not parts or parts[0] <= 0 or parts[-1] != 1 or any(a >= b for a, b in pairwise(parts)):
        raise ValueError(f"parts must be shares that grow to 1, not {parts}.")
    count = observed.shape[-1]
    taken = np.stack([np.arange(count) < round(part * count) for part in parts]).astype(np.float32)
    program = _program(problem, iterations)
    found: Modes = program(jnp.asarray(starts, jnp.float32), jnp.asarray(observed, jnp.float32), jnp.asarray(taken))
    return found


def laplace_mixture(
    problem: InverseProblem,
    observed: Float[np.ndarray, "cases m"],
    members: int,
    key: Array,
    *,
    starts: int,
    iterations: int,
    parts: tuple[float, ...] = (1.0,),
) -> PosteriorSample:
    """Draw an ensemble for every case from the mixture over the modes that starts from the prior find.

    Args:
        problem: prior, simulation and noise.
        observed: of every case.
        members: of every ensemble.
        key: random key.
        starts: of every case, drawn from the prior.
        iterations, parts: as for `laplace_modes`.

    Raises:
        ValueError: no starts, or as `laplace_modes`.
    """
    if starts < 1:
        raise ValueError(f"starts must be at least 1, not {starts}.")
    start_key, draw_key = jax.random.split(key)
    first = jax.random.normal(start_key, (len(observed), starts, problem.dimension))
    modes = laplace_modes(problem, observed, np.asarray(first), iterations=iterations, parts=parts)
    calls = starts * (1 + len(parts) * iterations * (problem.dimension + 2)) / members
    return PosteriorSample(modes.draw(members, draw_key), calls)


@lru_cache(maxsize=16)
def _program(problem: InverseProblem, iterations: int) -> Any:
    """Compile the minimisation of many starts of many cases."""
    unit = jnp.eye(problem.dimension)

    def predicted_twice(theta: Array) -> tuple[Array, Array]:
        predicted = problem.predict(theta)
        return predicted, predicted

    slope = jax.jacfwd(predicted_twice, has_aux=True)

    def cost(theta: Array, observed: Array, taken: Array) -> Array:
        misfit = taken * (observed - problem.predict(theta)) / problem.noise
        value = 0.5 * jnp.sum(misfit**2) + 0.5 * jnp.sum(theta**2)
        return jnp.where(jnp.isfinite(value), value, -IMPOSSIBLE)

    def normal_equations(theta: Array, observed: Array, taken: Array) -> tuple[Array, Array]:
        derivative, predicted = slope(theta)
        derivative = taken[:, None] * derivative / problem.noise
        misfit = taken * (observed - predicted) / problem.noise
        return derivative.T @ derivative + unit, derivative.T @ misfit - theta

    def part(theta: Array, observed: Array, taken: Array) -> tuple[Array, Array]:
        def iterate(state: Any, _: None) -> tuple[Any, None]:
            theta, damping, best = state
            hessian, downhill = normal_equations(theta, observed, taken)
            damped = hessian + damping * jnp.diag(jnp.diag(hessian))
            tried = theta + jax.scipy.linalg.cho_solve((jnp.linalg.cholesky(damped), True), downhill)
            after = cost(tried, observed, taken)
            lower = after < best
            damping = damping * jnp.where(lower, LESS, MORE)
            return (jnp.where(lower, tried, theta), damping, jnp.where(lower, after, best)), None

        state = (theta, jnp.float32(FIRST_DAMPING), cost(theta, observed, taken))
        theta, _, best = jax.lax.scan(iterate, state, None, length=iterations)[0]
        return theta, best

    def one_start(theta: Array, observed: Array, taken: Array) -> tuple[Array, Array, Array]:
        theta, best = jax.lax.scan(lambda theta, one: part(theta, observed, one), theta, taken)
        hessian, _ = normal_equations(theta, observed, taken[-1])
        return theta, best[-1], jnp.linalg.cholesky(hessian)

    def weights(minima: Array, best: Array, root: Array) -> Array:
        log_weight = -best - jnp.sum(jnp.log(jnp.diagonal(root, axis1=-2, axis2=-1)), axis=-1)
        usable = jnp.isfinite(log_weight) & (best < -IMPOSSIBLE)
        order = jnp.argsort(jnp.where(usable, best, jnp.inf))
        rank = jnp.argsort(order)
        apart = jnp.einsum("ide,ijd->ije", root, minima[:, None] - minima[None])
        near = jnp.sum(apart**2, axis=-1) < SAME * problem.dimension
        # The lowest of the minima that are one mode stands for it.
        repeated = (near & usable[:, None] & (rank[:, None] < rank[None])).any(axis=0)
        return jnp.where(usable & ~repeated, log_weight, -jnp.inf)

    @jax.jit
    def run(starts: Array, observed: Array, taken: Array) -> Modes:
        def one_case(case: tuple[Array, Array]) -> Modes:
            minima, best, root = jax.vmap(one_start, in_axes=(0, None, None))(*case, taken)
            return Modes(minima, best, root, weights(minima, best, root))

        # One case after the other, so that the derivatives of its starts stay in a processor's cache.
        return jax.lax.map(one_case, (starts, observed))

    return run
