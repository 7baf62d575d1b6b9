"""Short waves of a field as a quadratic function of its longest ones, fitted to data by least squares.

In a dissipative equation the short waves follow the long ones (Foias, Manley and Temam 1988, M2AN 22, 93): a quadratic
nonlinearity makes them of products of long waves. A generator of few long waves may therefore leave the short ones to a
fit. The fit is far better than no short waves, and the solver, which a sample passes through next, removes its error in
a short time.

A field is turned into the frame of its strongest waves first (`gan.networks.waves.WaveFeatures`), so that the fit has
the shifts that are symmetries.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from gan.augmentation import ArraySymmetries, SymmetriesLike, has_symmetries, transform_batch
from gan.config import NetworkConfig
from gan.networks.waves import WaveFeatures, phases, turned
from gan.normalizer import SampleNormalizer, ShortWaves, WaveNormalizer, fit, fit_waves

RIDGE = 0.03
"""Weight of the squares of the coefficients, in units of the mean square of the features."""
FITTED = 2**15
"""Fields, moved by symmetries, that the fit reads."""
MOST = 4096
"""Features at most: the fit takes their cube in operations."""
_CHUNK = 2048


def fields_of(normalizer: SampleNormalizer, x: Float[Array, " batch *made"]) -> Float[Array, " batch *shape"]:
    """Return normalised samples in physical units, with their short waves where the normaliser has a fit of them."""
    fields = normalizer.denormalize(x)
    if not isinstance(normalizer, WaveNormalizer) or normalizer.short is None:
        return fields
    short, seen = normalizer.short, WaveFeatures(normalizer)
    shift = seen.shifts(x)
    made = features(turned(x, phases(shift, normalizer))) @ jnp.asarray(short.matrix, x.dtype)
    # The mean of the fields stands in both.
    return fields + short.normalizer.denormalize(turned(made, -phases(shift, short.normalizer))) - normalizer.mean


def features(x: Float[Array, "batch numbers"]) -> Float[Array, "batch more"]:
    """Return 1, the amplitudes, and all products of two of them."""
    one, other = np.triu_indices(x.shape[-1])
    return jnp.concatenate([jnp.ones_like(x[:, :1]), x, x[:, one] * x[:, other]], axis=-1)


def with_short_waves(
    normalizer: WaveNormalizer, fields: np.ndarray, waves: int, symmetries: SymmetriesLike | None
) -> WaveNormalizer:
    """Return the normaliser with a fit of the shorter waves up to ``waves`` per box.

    Args:
        normalizer: of the longest waves.
        fields: (N, *points, 1), physical units, in whose distribution the short waves follow the long ones.
        waves: shortest waves that are fitted, as waves per box.
        symmetries: of the distribution; the fit reads every field several times, each time moved by one of them.

    Raises:
        ValueError: no shorter waves, more than the grid can hold, or more features than a fit can take.
    """
    count = len(normalizer.std)
    size = 1 + 2 * count + count * (2 * count + 1)
    if size > MOST:
        raise ValueError(
            f"network.short_waves = {waves} is fitted to {size} products of long waves, more than {MOST}: take fewer "
            "network.waves, or no short waves (0)."
        )
    short = fit_waves(fields, waves, shift_axes=normalizer.shift_axes, above=normalizer.waves)
    seen = WaveFeatures(normalizer)
    known = None if symmetries is None else ArraySymmetries.of(symmetries)

    @jax.jit
    def rows(some: Array, keys: Array) -> tuple[Array, Array]:
        moved = transform_batch(some, keys, known, len(normalizer.points))
        x = normalizer.normalize(moved)
        shift = seen.shifts(x)
        wanted = turned(short.normalize(moved), phases(shift, short))
        return features(turned(x, phases(shift, normalizer))), wanted

    repeats = -(-FITTED // len(fields)) if has_symmetries(symmetries) else 1
    taken = np.linspace(0, len(fields) - 1, min(len(fields), FITTED)).astype(int)
    order = np.tile(taken, repeats)[:FITTED]
    squares, products = np.zeros((size, size)), np.zeros((size, 2 * len(short.std)))
    for start in range(0, len(order), _CHUNK):
        some = np.asarray(fields[order[start : start + _CHUNK]], np.float32)
        keys = jax.random.split(jax.random.key(start), len(some))
        known_rows, wanted = (np.asarray(one, np.float64) for one in rows(some, keys))
        squares += known_rows.T @ known_rows
        products += known_rows.T @ wanted
    ridge = RIDGE * np.trace(squares) / size
    matrix = np.linalg.solve(squares + ridge * np.eye(size), products)
    return normalizer._replace(short=ShortWaves(short, matrix.astype(np.float32)))


def fit_samples(
    network: NetworkConfig,
    fields: np.ndarray,
    held: np.ndarray | None = None,
    symmetries: SymmetriesLike | None = None,
) -> SampleNormalizer:
    """Fit the normaliser that the players of this kind need to training samples (N, ...); raises as the fits do."""
    if network.kind != "waves":
        return fit(fields, held=held)
    shift_axes = () if symmetries is None else tuple(symmetries.shift_axes)
    normalizer = fit_waves(fields, network.waves, shift_axes=shift_axes)
    if network.short_waves <= network.waves:
        return normalizer
    return with_short_waves(normalizer, fields, network.short_waves, symmetries)
