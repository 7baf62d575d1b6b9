"""Random fields."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from physics.grid import Grid


class BandLimitedField(eqx.Module):
    """stub"""

    grid: Grid = eqx.field(static=True)
    highest_mode: int = eqx.field(static=True)
    std: float = 1.0

    def sample(self, key) -> Float[Array, "*shape c"]:
        """One field."""
        modes = np.sqrt(sum(n.astype(float) ** 2 for n in self.grid.mode_numbers))
        kept = (modes > 0) & (modes <= self.highest_mode)
        share = float((kept * self.grid.parseval_weights).sum()) / self.grid.size
        white = jax.random.normal(key, self.grid.shape)
        field = jnp.fft.irfftn(jnp.fft.rfftn(white) * jnp.asarray(kept, white.dtype), s=self.grid.shape)
        return (self.std / np.sqrt(share) * field)[..., None]
