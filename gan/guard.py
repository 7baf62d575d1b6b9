"""The solver as the generator's last layer, guarded: a blown-up field poisons neither value nor gradient.

``solver_layer(samples, condition, tau) -> (samples, valid)`` treats samples one by one. Where an advanced sample is
refused by ``solver_layer`` itself, not finite, or larger than a limit, it is replaced by the data's mean field,
its weight in every loss is zero, and the gradient that would flow back through the solver is replaced by
zeros on both sides of it: before, because a product with an infinite derivative is not a number even when
the factor is zero; and after. A sample whose value is finite but whose gradient is not loses its gradient in
the same way.

A physics penalty that asks a solver meets the same fields, the worst of them at the first steps:
:func:`guarded_penalty` treats its samples alike.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from gan.normalizer import SampleNormalizer

SolverLayer = Callable[[Any, Any, Any], tuple[Any, Any]]
PerSample = Callable[[Any, Any], Any]


def _per_sample(mask: Bool[Array, " batch"], ndim: int) -> Bool[Array, " batch *ones"]:
    return mask.reshape(mask.shape + (1,) * (ndim - 1))


def guarded(solver_layer: SolverLayer, normalizer: SampleNormalizer, limit: float) -> SolverLayer:
    """Wrap ``solver_layer`` with the guard.

    Args:
        solver_layer: (samples (batch, *shape), condition, tau) -> (samples, valid (batch,)), differentiable in
            reverse mode, physical units.
        normalizer: gives the mean that replaces a refused sample, and the unit of ``limit``.
        limit: largest normalised value of an accepted sample.

    Returns:
        A function of the same signature whose samples are always finite.
    """
    mean = np.asarray(normalizer.mean)

    def accept(samples: Array, valid: Array) -> Array:
        size = jnp.abs(normalizer.normalize(samples))
        within = jnp.all(size <= limit, axis=tuple(range(1, size.ndim)))
        # A comparison with a value that is not a number is false, so this refuses NaN too.
        return jnp.logical_and(valid, within)

    def replace(samples: Array, valid: Array) -> Array:
        return jnp.where(_per_sample(valid, samples.ndim), samples, jnp.asarray(mean, samples.dtype))

    @jax.custom_vjp
    def run(samples: Array, condition: Any, tau: Array) -> tuple[Array, Array]:
        advanced, valid = solver_layer(samples, condition, tau)
        valid = accept(advanced, valid)
        return replace(advanced, valid), valid

    def forward(samples: Array, condition: Any, tau: Array) -> tuple[tuple[Array, Array], Any]:
        advanced, pull, valid = jax.vjp(lambda x: solver_layer(x, condition, tau), samples, has_aux=True)
        valid = accept(advanced, valid)
        return (replace(advanced, valid), valid), (pull, valid)

    def backward(residuals: Any, cotangents: tuple[Array, Any]) -> tuple[Array, None, None]:
        pull, valid = residuals
        cotangent = cotangents[0]
        usable = _per_sample(valid, cotangent.ndim)
        (gradient,) = pull(jnp.where(usable, cotangent, 0.0))
        finite = jnp.all(jnp.isfinite(gradient), axis=tuple(range(1, gradient.ndim)))
        return jnp.where(_per_sample(valid & finite, gradient.ndim), gradient, 0.0), None, None

    run.defvjp(forward, backward)

    def advanced(
        samples: Float[Array, " batch *shape"], condition: Any, tau: Any
    ) -> tuple[Float[Array, " batch *shape"], Bool[Array, " batch"]]:
        return run(samples, condition, jnp.asarray(tau, samples.dtype))

    return advanced


def guarded_penalty(function: PerSample, limit: float) -> Callable[[Any, Any], Any]:
    """Return the mean of a penalty over the batch, in which samples that it cannot judge count as zero.

    Args:
        function: (samples (batch, *shape), condition) -> one value per sample (batch,), each from its own sample
            alone, differentiable in reverse mode.
        limit: largest value of an accepted sample, in the function's unit. A value beyond it or not a number is
            taken as zero, its gradient too.

    Returns:
        (samples, condition) -> scalar, as :class:`gan.penalties.Penalty` takes it.
    """

    @jax.custom_vjp
    def run(samples: Array, condition: Any) -> Array:
        values = function(samples, condition)
        return jnp.mean(jnp.where(values <= limit, values, 0.0))

    def forward(samples: Array, condition: Any) -> tuple[Array, Any]:
        values, pull = jax.vjp(lambda x: function(x, condition), samples)
        valid = values <= limit
        return jnp.mean(jnp.where(valid, values, 0.0)), (pull, valid)

    def backward(residuals: Any, cotangent: Array) -> tuple[Array, None]:
        pull, valid = residuals
        (gradient,) = pull(jnp.where(valid, cotangent / valid.size, 0.0))
        finite = jnp.all(jnp.isfinite(gradient), axis=tuple(range(1, gradient.ndim)))
        return jnp.where(_per_sample(valid & finite, gradient.ndim), gradient, 0.0), None

    run.defvjp(forward, backward)
    return run
