r"""The Wright-Fisher model: an allele's frequency under drift, mutation and selection, as a chain over counts.

Each of the ``children`` chromosomes of the next generation picks its parent at random. With k of ``parents``
chromosomes carrying the allele, selection s and mutation at the rates u (away from the allele) and v (towards it), the
next count is binomial with the chance

    p = (1 - u) p_s + v (1 - p_s),     p_s = (1 + s) k / (parents + s k)

(Ewens, Mathematical Population Genetics, 2004, section 1.4). Everything here is exact up to rounding, in 64-bit
NumPy, and is what the diffusion of `physics.site_frequencies` is held against. Sizes are counts of chromosomes, times
generations.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float


def transition_matrix(
    parents: int, children: int, selection: float = 0.0, mutation: tuple[float, float] = (0.0, 0.0)
) -> Float[np.ndarray, "now next"]:
    """Return the chances (parents + 1, children + 1) of every next count, given every present count.

    Args:
        parents, children: chromosomes of this and of the next generation.
        selection: s; carriers have 1 + s times as many offspring.
        mutation: chance per generation that a carrier's offspring is none, and the other way round.

    Raises:
        ValueError: a size below 1, a selection of -1 or less, or a mutation that is no probability.

    Example:
        >>> transition_matrix(2, 2)[1]
        array([0.25, 0.5 , 0.25])
    """
    from scipy.stats import binom

    if parents < 1 or children < 1:
        raise ValueError(f"a generation has at least one chromosome, found {parents} and {children}.")
    if selection <= -1:
        raise ValueError(f"selection must be above -1, found {selection}.")
    if not all(0 <= rate <= 1 for rate in mutation):
        raise ValueError(f"mutation must be two probabilities, found {mutation}.")
    now = np.arange(parents + 1)
    chosen = (1 + selection) * now / (parents + selection * now)
    chance = (1 - mutation[0]) * chosen + mutation[1] * (1 - chosen)
    # Rounding can put a chance just above 1.
    return np.asarray(binom.pmf(np.arange(children + 1)[None, :], children, np.clip(chance, 0.0, 1.0)[:, None]))


def stationary_law(matrix: Float[np.ndarray, "now next"]) -> Float[np.ndarray, " count"]:
    """Return the law that a square transition matrix with mutation both ways leaves as it is."""
    size = len(matrix)
    system = np.concatenate([(matrix.T - np.eye(size))[:-1], np.ones((1, size))])
    return np.linalg.solve(system, np.eye(size)[-1])


def fixation_probability(size: int, selection: float) -> Float[np.ndarray, " count"]:
    """Return the chance that the allele is fixed in the end, from every count 0, ..., ``size``, without mutation."""
    inner = transition_matrix(size, size, selection)[1:-1]
    found = np.linalg.solve(np.eye(size - 1) - inner[:, 1:-1], inner[:, -1])
    return np.concatenate([[0.0], found, [1.0]])


def kimura_fixation(frequency: float, sigma: float) -> float:
    """Return Kimura's fixation probability (1 - exp(-2 sigma x)) / (1 - exp(-2 sigma)), sigma = N s (Kimura 1962)."""
    return float(np.expm1(-2 * sigma * frequency) / np.expm1(-2 * sigma)) if sigma else frequency


def chain_spectrum(
    sample: int,
    mutations: float,
    size: int,
    selection: float = 0.0,
    later: Sequence[tuple[int, int]] = (),
) -> Float[np.ndarray, " classes"]:
    """Return the expected numbers of sites with 1, ..., sample - 1 carriers in a sample, by iterating the chain.

    Every mutation founds a new site (infinite sites), the sites are independent. The population has been of the first
    size for ever, then goes through the later ones.

    Args:
        sample: chromosomes that are sequenced, drawn without replacement.
        mutations: new sites per chromosome and generation.
        size: chromosomes of the ancestral population.
        selection: s of every carrier.
        later: (size, generations) of the later epochs, the oldest first.

    Returns:
        (sample - 1,).

    Raises:
        ValueError: a sample of less than 2 or of more chromosomes than there are.

    Example:
        >>> chain_spectrum(3, 0.01, 100)  # nearly theta / i with theta = 2 * 100 * 0.01
        array([1.99..., 0.99...])
    """
    from scipy.stats import hypergeom

    last = later[-1][0] if later else size
    if not 2 <= sample <= last:
        raise ValueError(f"a sample of {sample} needs 2 to {last} chromosomes.")
    inner = transition_matrix(size, size, selection)[1:-1, 1:-1]
    founded = np.eye(size - 1)[0] * size * mutations
    sites = np.linalg.solve(np.eye(size - 1) - inner.T, founded)
    now = size
    for following, generations in later:
        step = transition_matrix(following, following, selection)[1:-1, 1:-1]
        for generation in range(generations):
            moved = transition_matrix(now, following, selection)[1:-1, 1:-1] if generation == 0 else step
            sites = sites @ moved
            sites[0] += following * mutations
            now = following
    counts = np.arange(1, now)
    drawn = hypergeom.pmf(np.arange(1, sample)[:, None], now, counts[None, :], sample)
    return drawn @ sites
