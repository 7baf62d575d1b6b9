"""Reading a residual: a figure means little until it stands beside what solver data, nothing, and too little give.

On many equations the zero field, or fields of too small an amplitude, have a smaller residual than good
fields have (a solution of a homogeneous equation shrinks to another one). A `ResidualReading` holds the
figure with those of three references, and says in words what can be concluded.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

SHRUNK = 0.9

Sample = TypeVar("Sample")


class ResidualReading(NamedTuple):
    """Root mean squares of a residual, all in its own units, and the amplitude of the fields; prints as text.

    Attributes:
        value: of the fields in question.
        level: of solver data, the residual level.
        zero: of the zero field.
        shrunk: of solver data shrunk by 10%.
        amplitude: root mean square of the fields over that of solver data.
    """

    value: Float[Array, ""]
    level: Float[Array, ""]
    zero: Float[Array, ""]
    shrunk: Float[Array, ""]
    amplitude: Float[Array, ""]

    def __str__(self) -> str:
        figures = (
            f"residual {float(self.value):.2e} (solver data {float(self.level):.2e}, solver data shrunk by 10% "
            f"{float(self.shrunk):.2e}, zero field {float(self.zero):.2e}), amplitude {float(self.amplitude):.2f} "
            "of solver data"
        )
        return f"{figures}: {self.verdict}."

    @property
    def verdict(self) -> str:
        """What the figures allow to say, in words."""
        value, level, zero, shrunk, _ = (float(number) for number in self)
        if not value < float("inf"):
            return "the fields are not finite"
        if zero <= max(value, level):
            said = "the zero field does as well or better, so that the residual says nothing of the amplitude"
        elif value >= shrunk:
            said = "no better than solver data shrunk by 10%"
        else:
            said = "better than solver data shrunk by 10%"
        if shrunk <= 1.5 * level:
            return f"{said}, and it hardly distinguishes solver data from the same shrunk by 10%"
        return f"{value / level:.1f} times the level of solver data; {said}" if level > 0 else said


def read_residual(
    residual: Callable[[Sample], Array],
    samples: Sample,
    solver_samples: Sample,
    *,
    scale: Callable[[Sample, float], Sample] | None = None,
) -> ResidualReading:
    """The residual of samples beside that of solver data, of solver data shrunk by 10%, and of the zero field.

    **Arguments:**

    - ``residual``: of one sample, an array of any shape, such as
      ``lambda trajectory: physics.residual(system, trajectory, dt)``.
    - ``samples``: a batch of them, ``(batch, ...)``, or a tree of such arrays (permeability and pressure, say).
    - ``solver_samples``: a batch made by the solver.
    - ``scale``: ``scale(sample, factor)`` multiplies the solution in a sample; all arrays in it if None.

    **Returns:** root mean squares over the batch; differentiable, runs under ``jit``.

    Raises ``ValueError`` where a batch is empty or the two differ in anything but their number.
    """
    shapes, solver_shapes = ([leaf.shape[1:] for leaf in jax.tree.leaves(s)] for s in (samples, solver_samples))
    if shapes != solver_shapes:
        raise ValueError(f"samples have shapes {shapes}, solver_samples {solver_shapes}: give samples of one kind.")
    if not all(leaf.shape[0] for leaf in jax.tree.leaves((samples, solver_samples))):
        raise ValueError("samples or solver_samples hold no sample: give at least one of each.")
    scaled = scale or (lambda sample, factor: jax.tree.map(lambda leaf: factor * jnp.asarray(leaf), sample))

    def size(batch: Any, factor: float) -> Array:
        return _root_mean_square(jax.vmap(lambda sample: residual(scaled(sample, factor)))(batch))

    amplitude = _amplitude(samples, scaled) / _amplitude(solver_samples, scaled)
    one = jax.tree.map(lambda leaf: leaf[:1], solver_samples) if scale is None else solver_samples
    return ResidualReading(
        size(samples, 1.0), size(solver_samples, 1.0), size(one, 0.0), size(solver_samples, SHRUNK), amplitude
    )


def _amplitude(batch: Any, scaled: Callable[[Any, float], Any]) -> Array:
    """The root mean square of what is scaled."""
    parts = jax.tree.map(lambda whole, none: whole - none, scaled(batch, 1.0), scaled(batch, 0.0))
    return _root_mean_square(jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(parts)]))


def _root_mean_square(values: Array) -> Array:
    return jnp.sqrt(jnp.mean(values**2))
