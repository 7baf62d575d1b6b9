"""How large the players are: parameters, and floating-point operations of one pass of one sample."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gan.config import NetworkConfig
from gan.networks.players import SampleSpec, build
from gan.normalizer import Normalizer, unit_samples


class Count(NamedTuple):
    """Size of one player.

    Attributes:
        parameters: numbers that are trained.
        flops: floating-point operations of one forward pass of one sample, as XLA counts them before it optimises
            (a multiplication and an addition are two).
    """

    parameters: int
    flops: float


def network_counts(config: NetworkConfig, spec: SampleSpec, evaluations: int = 0) -> dict[str, Count]:
    """Return the sizes of "generator" and, unless it is a flow, "discriminator"; nothing is compiled.

    Args:
        config: shape of the networks.
        spec: shapes of samples and conditions.
        evaluations: of the generator for one sample, by flow matching; 0 for an adversarial generator.

    Raises:
        ValueError: the networks do not fit the samples, as :func:`gan.build` says it.
    """
    normalizers = {name: Normalizer.identity(shape[-1]) for name, shape in spec.conditions.items()}
    unit = unit_samples(config, spec.shape)
    networks, players = build(config, spec, unit, normalizers, evaluations=evaluations)

    def one(shape: tuple[int, ...]) -> Any:
        return jax.ShapeDtypeStruct((1, *shape), jnp.float32)

    condition = {name: one(shape) for name, shape in spec.conditions.items()}
    counts = {}
    passes = {
        "generator": (networks.generate, networks.latent),
        "discriminator": (networks.classify, networks.normalized_shape),
    }
    if evaluations:
        del passes["discriminator"]
    for name, (function, shape) in passes.items():
        player = getattr(players, name)
        analysis = jax.jit(function).lower(*player, one(shape), condition).cost_analysis() or {}
        parameters = sum(int(np.prod(np.shape(leaf))) for leaf in jax.tree.leaves(player.params))
        counts[name] = Count(parameters, float(analysis.get("flops", float("nan"))))
    return counts


def in_words(counts: dict[str, Count]) -> str:
    """Return one line for people."""
    parts = [f"{name} {one.parameters:,} parameters, {one.flops:.3g} FLOP per sample" for name, one in counts.items()]
    return "; ".join(parts)
