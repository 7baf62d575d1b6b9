"""The leading Lyapunov exponent: the mean rate at which two neighbouring solutions part.

    lambda = lim 1/T log |v(T)| / |v(0)|,      v' = J(u(t)) v

A tangent vector is advanced by forward differentiation of the discrete solver itself, and brought back
to unit length every few steps, which is the QR decomposition of a single vector (G. Benettin et al.,
Meccanica 15, 1980). The other way, a second trajectory at a small distance, needs no derivative and is kept
as the check.

Growth rates of neighbouring stretches of time are correlated, so the confidence interval resamples whole
blocks of time (H. R. Kuensch, Annals of Statistics 17, 1989).
"""

from typing import NamedTuple

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from physics.solving.evolution import advance
from physics.system import System

_BLOCKS = 32


class LyapunovEstimate(NamedTuple):
    """Exponent in inverse time units, its 95% confidence interval, and the time it was averaged over.

    ``growth`` holds the rate over every stretch, ``(trajectories, stretches)``; ``final`` the last fields.
    """

    exponent: float
    low: float
    high: float
    time: float
    growth: Float[np.ndarray, "trajectories stretches"]
    final: Float[Array, " trajectories *field"]


def leading_lyapunov_exponent(
    system: System,
    u0: Float[Array | np.ndarray, " trajectories *field"],
    key: Key[Array, ""],
    *,
    dt: float,
    stretch: int,
    stretches: int,
    discard: int = 0,
    solver: diffrax.AbstractSolver | None = None,
    method: str = "tangent",
    separation: float = 1e-3,
    block: int | None = None,
) -> LyapunovEstimate:
    """Leading Lyapunov exponent of a system under a solver with a fixed step.

    Arguments:
        system: the system, with the same parameters for all trajectories.
        u0: fields on the attractor at time 0, ``(trajectories, *grid.shape, C)``; the average runs over all of them.
        key: draws the first direction.
        dt: solver step.
        stretch: steps between two renormalisations; short enough that the vector grows by well under 1e3.
        stretches: renormalisations per trajectory.
        discard: stretches left out at the start, while the vector turns into the leading direction.
        solver: the diffrax solver; the system's own when None.
        method: "tangent", or "two trajectories" ``separation`` (relative) apart.
        separation: only for two trajectories; relative to the norm of the field.
        block: stretches per bootstrap block; see `block_bootstrap_interval` for None.

    Raises:
        ValueError: nothing is left after ``discard``, or the solution or the vector does not stay finite.
    """
    if not 0 <= discard < stretches:
        raise ValueError(f"discard is {discard}, which leaves nothing of {stretches} stretches: discard fewer")
    if method not in ("tangent", "two trajectories"):
        raise ValueError(f"method is {method!r}: it must be 'tangent' or 'two trajectories'")
    fields = jnp.asarray(u0)

    def one_stretch(carry, number):
        u, direction = carry

        def flow(u):
            return advance(system, u, dt, stretch, solver=solver, t0=number * (stretch * dt))

        if method == "tangent":
            after, grown = jax.jvp(flow, (u,), (direction,))
        else:
            distance = separation * jnp.linalg.norm(u.ravel())
            after = flow(u)
            grown = (flow(u + distance * direction) - after) / distance
        norm = jnp.linalg.norm(grown.ravel())
        return (after, grown / norm), jnp.log(norm)

    def one_trajectory(u, direction):
        (final, _), logarithms = jax.lax.scan(one_stretch, (u, direction), jnp.arange(stretches))
        return final, logarithms

    direction = jax.random.normal(key, fields.shape, fields.dtype)
    norms = jnp.sqrt(jnp.sum(direction**2, axis=tuple(range(1, fields.ndim)), keepdims=True))
    final, logarithms = jax.jit(jax.vmap(one_trajectory))(fields, direction / norms)
    growth = np.asarray(logarithms, np.float64) / (stretch * dt)
    if not np.all(np.isfinite(growth)):
        raise ValueError(f"the growth rates are not finite: reduce dt = {dt} or stretch = {stretch}")
    kept = growth[:, discard:]
    low, high = block_bootstrap_interval(kept, block)
    return LyapunovEstimate(float(kept.mean()), low, high, kept.size * stretch * dt, growth, final)


def block_bootstrap_interval(
    series: Float[np.ndarray, "trajectories time"],
    block: int | None = None,
    *,
    confidence: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """Confidence interval of the mean of correlated records: percentiles over resampled blocks of time.

    Arguments:
        series: independent records of equal length.
        block: length of a block, longer than the correlation. When None what leaves 32 blocks in all, since
            growth rates are anticorrelated: what short stretches gain the next ones lose.
        confidence: share of the resampled means inside.
        draws: number of resamples.
        seed: of the resampling.

    Raises:
        ValueError: a block shorter than one value or longer than a record.
    """
    length = series.shape[1]
    size = max(1, length // -(-_BLOCKS // len(series))) if block is None else block
    if not 1 <= size <= length:
        raise ValueError(f"block is {size}: it must lie between 1 and the {length} values of a record")
    count = length // size
    blocks = series[:, length - count * size :].reshape(-1, size).mean(axis=1)
    picked = np.random.default_rng(seed).integers(len(blocks), size=(draws, len(blocks)))
    tail = 50 * (1 - confidence)
    low, high = np.percentile(blocks[picked].mean(axis=1), [tail, 100 - tail])
    return float(low), float(high)
