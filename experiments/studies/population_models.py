"""The population whose history is asked for: what is simulated and observed of it, and the exact means.

The model has parameters within a range, stated by their names, their middle and half their width; ``z`` is a parameter
in units of half the width, 0 in the middle. An observation is a number of *regions*, independent and alike, each of a
vector of counts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from physics.poisson_counts import poisson_counts
from physics.site_frequencies import diffusion_spectrum, simulated_spectrum


@dataclass(frozen=True)
class Parameter:
    """One unknown: its name, its range, and whether it is taken by its logarithm."""

    name: str
    low: float
    high: float
    logarithm: bool = False

    @property
    def middle(self) -> float:
        """Middle of the range, of the logarithm where that is taken."""
        return 0.5 * sum(self._ends)

    @property
    def half(self) -> float:
        """Half of the width of the range."""
        return 0.5 * (self._ends[1] - self._ends[0])

    @property
    def _ends(self) -> tuple[float, float]:
        return (math.log(self.low), math.log(self.high)) if self.logarithm else (self.low, self.high)

    def value(self, z: Any) -> Any:
        """Return what a parameter of ``z`` half widths is in its own units."""
        linear = self.middle + self.half * z
        if not self.logarithm:
            return linear
        return jnp.exp(linear) if isinstance(linear, jax.Array) else np.exp(linear)

    @property
    def label(self) -> str:
        """Its name, as that of a logarithm where that is estimated."""
        return f"log {self.name}" if self.logarithm else self.name


@dataclass(frozen=True)
class UnlinkedSites:
    """Independent sites of two kinds, neutral and selected, in a population whose size changed once.

    A region has the counts of neutral sites by their numbers of carriers in the sample, then those of selected ones.
    All counts are independent Poisson numbers (Sawyer and Hartl 1992), with means by the Wright-Fisher diffusion. The
    generator follows simulated frequencies; observations have the exact spectrum.

    Attributes:
        sample: sequenced chromosomes.
        duration: since the change of size, known, in N generations.
        paths, steps: of the generator's simulation.
        most: largest count of a class that is drawn.
    """

    sample: int = 20
    duration: float = 0.2
    paths: int = 128
    steps: int = 6
    most: int = 64

    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter("theta", 0.5, 2.0, logarithm=True),
        Parameter("sigma", -4.0, 4.0),
        Parameter("size", 0.25, 4.0, logarithm=True),
    )

    def simulate(self, z: Float[Array, " parameters"], key: PRNGKeyArray, count: int) -> Float[Array, "count numbers"]:
        """Draw regions from one simulation of sites."""
        theta, sigma, size = (one.value(at) for one, at in zip(self.parameters, z))
        spectrum_key, count_key = jax.random.split(key)

        def expected(key: PRNGKeyArray, sigma: Any) -> Array:
            return simulated_spectrum(key, self.sample, sigma, size, self.duration, paths=self.paths, steps=self.steps)

        both = jnp.stack([jnp.zeros_like(sigma), sigma])
        mean = theta * jax.vmap(expected)(jax.random.split(spectrum_key), both).reshape(-1)
        return poisson_counts(count_key, jnp.broadcast_to(mean, (count, mean.size)), self.most)

    def expected(self, z: Float[np.ndarray, " parameters"]) -> Float[np.ndarray, " numbers"]:
        """Return the exact means of all counts."""
        theta, sigma, size = (one.value(at) for one, at in zip(self.parameters, np.asarray(z, float)))
        later = [(float(size), self.duration)]
        neutral, selected = (diffusion_spectrum(self.sample, float(s), later) for s in (0.0, sigma))
        return theta * np.concatenate([neutral, selected])

    def observe(self, z: Float[np.ndarray, " parameters"], rng: np.random.Generator, count: int) -> np.ndarray:
        """Draw regions from the exact law."""
        mean = self.expected(z)
        return rng.poisson(mean, (count, mean.size)).astype(np.float32)
