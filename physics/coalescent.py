r"""Kingman's coalescent in a population of changing size: the genealogy of a sample without recombination.

Looking back in time, every pair of k lineages merges at the rate 1 / nu, nu being the size at that time over the
present's unit, in units of N generations (Kingman, J. Appl. Prob. 19A, 1982; Griffiths and Tavare, Phil. Trans. R.
Soc. B 344, 1994). It is the dual of the neutral Wright-Fisher diffusion. All sites of a region without recombination
share one genealogy, so that their numbers are not independent: given the branches above i members of the sample, of
total length L_i, they are Poisson numbers of mean theta L_i / 2, but their joint law over genealogies has no closed
form.

One change of size is modelled: ``size`` times the ancestral one since ``duration``.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

Scalar = Float[Array, ""] | float


def expected_branch_lengths(sample: int, size: float, duration: float) -> Float[np.ndarray, " classes"]:
    """Return the expected total length of the branches above 1, ..., sample - 1 members of a sample.

    Half of it times theta is the expected spectrum. From the expected times with k lineages (Griffiths and Tavare
    1998, eq. 1.3; Polanski and Kimmel, Genetics 165, 2003), which come from the matrix exponential of the death
    process of lineages, without alternating sums.

    Args:
        sample: chromosomes.
        size: since the change, over the ancestral size.
        duration: since the change, in units of N generations.

    Returns:
        (sample - 1,).

    Example:
        >>> expected_branch_lengths(4, 1.0, 0.3)
        array([2.        , 1.        , 0.66666667])
    """
    from scipy.linalg import expm

    if sample < 2 or not (size > 0 and duration >= 0):
        raise ValueError(
            f"a genealogy needs a sample of at least 2, a positive size and no negative duration, found {sample}, "
            f"{size} and {duration}."
        )
    lineages = np.arange(2, sample + 1)
    rate = lineages * (lineages - 1) / 2
    deaths = np.diag(-rate) + np.diag(rate[1:], -1)  # the row of k lineages leads to that of k - 1
    first = np.eye(sample - 1)[-1]
    later = expm(deaths * duration / size).T @ first
    recent = size * np.linalg.solve(deaths.T, later - first)
    times = recent - np.linalg.solve(deaths.T, later)
    classes = np.arange(1, sample)
    # Chance that one of k lineages has i members below it; 0 where the others could not have one each.
    above = [[math.comb(sample - i - 1, k - 2) / math.comb(sample - 1, k - 1) for i in classes] for k in lineages]
    return (lineages * times) @ np.array(above)


def branch_lengths(
    key: PRNGKeyArray, sample: int, size: Scalar, duration: Scalar, count: int
) -> Float[Array, "count classes"]:
    """Return the branch lengths above 1, ..., sample - 1 members of the sample, of random genealogies.

    Derivatives by ``size`` and ``duration`` along the genealogy are those of its law: waiting times at constant size
    are stretched continuously, and which lineages merge does not depend on either.

    Args:
        key: of the genealogies.
        sample: chromosomes.
        size: since the change, over the ancestral size.
        duration: since the change, in units of N generations.
        count: independent genealogies.

    Returns:
        (count, sample - 1), in units of N generations.
    """
    time_key, merge_key = jax.random.split(key)
    lineages = jnp.arange(sample, 1, -1)
    waits = jax.random.exponential(time_key, (count, sample - 1)) * (2.0 / (lineages * (lineages - 1)))
    ends = stretched(jnp.cumsum(waits, axis=1), size, duration)
    waits = jnp.diff(ends, axis=1, prepend=jnp.zeros((count, 1)))
    uniform = jax.random.uniform(merge_key, (count, sample - 1, 2))
    slots = jnp.arange(sample)

    def merge(carry: tuple[Array, Array], at: tuple[Array, Array, Array]) -> tuple[tuple[Array, Array], None]:
        members, lengths = carry
        alive, wait, pair = at
        # Places from `alive` on hold 0 members, whose branch is not asked for.
        lengths = lengths + wait[:, None] * jax.nn.one_hot(members, sample, dtype=wait.dtype).sum(axis=1)
        # Two different ones of those alive: the second is looked for among the others.
        one = jnp.minimum((pair[:, 0] * alive).astype(jnp.int32), alive - 1)
        other = jnp.minimum((pair[:, 1] * (alive - 1)).astype(jnp.int32), alive - 2)
        other = jnp.where(other >= one, other + 1, other)
        keep, leave = jnp.minimum(one, other)[:, None], jnp.maximum(one, other)[:, None]
        both = jnp.sum(
            jnp.where((slots == keep) | (slots == leave), members, 0), axis=1, keepdims=True, dtype=jnp.int32
        )
        last = jnp.sum(jnp.where(slots == alive - 1, members, 0), axis=1, keepdims=True, dtype=jnp.int32)
        # The merged lineage takes one place; the last one alive moves into the other.
        members = jnp.where(slots == keep, both, jnp.where(slots == leave, last, members))
        return (jnp.where(slots == alive - 1, 0, members), lengths), None

    start = (jnp.ones((count, sample), jnp.int32), jnp.zeros((count, sample), waits.dtype))
    steps = (lineages.astype(jnp.int32), waits.T, jnp.swapaxes(uniform, 0, 1))
    (_, lengths), _ = jax.lax.scan(merge, start, steps)
    return lengths[:, 1:]


def stretched(time: Float[Array, "*shape"], size: Scalar, duration: Scalar) -> Float[Array, "*shape"]:
    """Return when a genealogy at constant size 1 reaches ``time`` if the size is another one until ``duration``."""
    recent = duration / jnp.asarray(size, time.dtype)
    return jnp.where(time < recent, time * size, duration + time - recent)
