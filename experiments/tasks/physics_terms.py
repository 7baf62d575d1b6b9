"""Physics terms: what the equation says of a generated trajectory, as penalties of the generator.

All terms are dimensionless, so that one weight means the same for all. With sigma the standard deviation of the
training fields, h the time between two kept fields and Phi the solver:

- ``defect``: |Phi_h(u_k) - u_{k+1}|^2 / sigma^2, a mean over k (the one-step mismatch of the discrete flow);
- ``multi_step``: |Phi_2h(u_k) - u_{k+2}|^2 / sigma^2, the same over two intervals;
- ``resolve``: |Phi_kh(u_0) - u_k|^2 / sigma^2, a mean over all later fields of the trajectory solved from its first;
- ``residual``: the integral residual over two intervals (Simpson's rule), times their length, squared, over sigma^2. It
  needs no solver, and has an error of its own, which does not vanish for the solver's trajectories;
- ``conservation``: the change of every invariant and of every budgeted quantity, less what the budget's terms explain
  (trapezoidal rule), over the root mean square of the quantity in the data, squared;
- ``statistics``: the squared difference of the logarithms of the energy of each wave number, a mean over samples
  against a mean over the data, at each time. It concerns the batch, and asks nothing of a single trajectory.

``docs/physics_terms.md`` says which of them helped where it was measured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jax import Array

    from gan.penalties import Penalty
    from physics.system import System

TERMS = ("defect", "multi_step", "resolve", "residual", "conservation", "statistics")
"""Names, as ``--system.terms`` takes them."""
LEAST_TIMES = {"multi_step": 3, "residual": 3}
"""Kept fields that a term needs, where they are more than two."""
RESOLVED = 1e-5
"""Share of the strongest wave number's energy below which one takes no part in the statistics."""


@dataclass(frozen=True)
class PhysicsTerms:
    """The terms for trajectories of one system with one parameter on a periodic line.

    Attributes:
        system: ``parameter -> physics.System``.
        name: of the parameter; the condition holds its logarithm, "log_" before its name.
        fields: training trajectories ``(n, time, x, channel)``, which fix the scales.
        interval: time between two of their fields.
        steps: solver steps in it.
        limit: standard deviations at which a generated field is too far off to be judged; such samples count as zero.
    """

    system: Callable[[Array], System]
    name: str
    fields: np.ndarray
    interval: float
    steps: int
    limit: float

    def penalty(self, term: str) -> Callable[[Array, Mapping[str, Array]], Array]:
        """Return ``(samples, condition) -> scalar``, a mean over samples.

        Raises:
            KeyError: the term is none of `TERMS`.
        """
        import jax
        import jax.numpy as jnp

        from gan import guarded_penalty

        if term == "statistics":
            return self._statistics()
        of_one = {
            "defect": lambda system, u: self._mismatch(system, u, 1),
            "multi_step": lambda system, u: self._mismatch(system, u, 2),
            "resolve": self._resolve,
            "residual": self._residual,
            "conservation": self._conservation(),
        }[term]

        def squares(samples: Array, condition: Mapping[str, Array]) -> Array:
            parameter = jnp.exp(condition[f"log_{self.name}"][:, 0])
            parts = jax.vmap(lambda u, value: of_one(self.system(value), u))(samples, parameter)
            return jnp.mean(parts**2, axis=tuple(range(1, parts.ndim)))

        # An untrained generator's fields can blow up in the solver.
        return guarded_penalty(squares, self.limit**2)

    @property
    def _sigma(self) -> float:
        return float(np.std(self.fields))

    def _mismatch(self, system: System, u: Array, intervals: int) -> Array:
        """What the solver over some intervals misses, from every field, in standard deviations."""
        import jax

        from physics import defect

        steps = intervals * self.steps
        dt = self.interval / self.steps
        found = jax.vmap(lambda a, b: defect(system, a, b, dt, steps=steps))(u[:-intervals], u[intervals:])
        return found * (intervals * self.interval / self._sigma)

    def _resolve(self, system: System, u: Array) -> Array:
        """How far the trajectory is from the one solved from its first field, in standard deviations."""
        from physics import solve

        times = self.interval * np.arange(1, len(u))
        return (solve(system, u[0], times, dt=self.interval / self.steps) - u[1:]) / self._sigma

    def _residual(self, system: System, u: Array) -> Array:
        """The integral residual over two intervals as a mismatch, in standard deviations."""
        from physics import integral_residual

        return integral_residual(system, u, self.interval, order=4) * (2 * self.interval / self._sigma)

    def _conservation(self) -> Callable[[System, Array], Array]:
        """Return the function for the unexplained changes of invariants and budgeted quantities."""
        import jax
        import jax.numpy as jnp

        def quantities(system: System, u: Array) -> tuple[Array, Array]:
            """Values, and their rates of change by the budget."""
            values = [(value, jnp.zeros(())) for value in system.invariants(u).values()]
            for parts in system.budgets(u).values():
                values.append((parts["value"], sum((v for k, v in parts.items() if k != "value"), jnp.zeros(()))))
            if not values:
                raise ValueError(f"{system.name} states no invariant and no budget, so that it has no conservation.")
            return jnp.stack([one for one, _ in values]), jnp.stack([one for _, one in values])

        any_system = self.system(jnp.asarray(1.0))
        few = self.fields[:256].reshape(-1, *self.fields.shape[2:])
        sizes = np.sqrt(np.mean(np.square(jax.vmap(lambda u: quantities(any_system, u)[0])(few)), axis=0))
        # An invariant that is zero in all the data has no size of its own; the fields have one.
        scale = np.where(sizes > 1e-3 * self._sigma, sizes, self._sigma)

        def unexplained(system: System, u: Array) -> Array:
            values, rates = jax.vmap(lambda one: quantities(system, one))(u)
            explained = 0.5 * self.interval * (rates[1:] + rates[:-1])
            return (values[1:] - values[:-1] - explained) / scale

        return unexplained

    def _statistics(self) -> Callable[[Array, Mapping[str, Array]], Array]:
        """Return the squared difference of the logarithmic energies, samples against data."""
        import jax.numpy as jnp

        def energy(fields: Array) -> Array:
            return jnp.mean(jnp.abs(jnp.fft.rfft(fields, axis=2)[:, :, 1:]) ** 2, axis=0)

        known = np.asarray(energy(jnp.asarray(self.fields[:4096])))
        resolved = known > RESOLVED * known.max(axis=1, keepdims=True)

        def penalty(samples: Array, condition: Mapping[str, Array]) -> Array:
            ratio = jnp.log(jnp.where(resolved, energy(samples) / known, 1.0) + 1e-6)
            return jnp.sum(jnp.where(resolved, ratio**2, 0.0)) / resolved.sum()

        return penalty


def weighted(
    terms: PhysicsTerms, names: tuple[str, ...], weights: tuple[float, ...], ramp: float, balanced: bool
) -> dict[str, Penalty]:
    """Return the penalties of a problem.

    Args:
        terms: of the system.
        names: of the terms, among `TERMS`.
        weights: one for each, or one for all.
        ramp: share of the training over which the weights rise from zero.
        balanced: whether a weight is the norm of the term's gradient as a share of the adversarial gradient's.
    """
    from gan import LinearRamp, Penalty

    each = weights * len(names) if len(weights) == 1 else weights
    return {
        name: Penalty(terms.penalty(name), weight, LinearRamp(0.0, ramp), balanced)
        for name, weight in zip(names, each, strict=True)
    }
