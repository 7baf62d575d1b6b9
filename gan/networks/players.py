"""The two players as pure functions: built once from the configuration and the shape of the samples.

NNX modules are split once into a graph definition, parameters and the rest, and from then on only pure
functions over plain dictionaries remain. The generator's output is physical: network, smooth bound (only
before a solver), normaliser, hard constraint, in that order, the constraint last so that it holds exactly.
The discriminator sees normalised fields. A trajectory ``(time, *grid, C)`` is folded into channels inside.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from gan.config import NetworkConfig
from gan.game import Player, Players
from gan.networks.constraints import curl, smooth_bound, without_mean
from gan.networks.layers import per_axis
from gan.networks.mlp import DenseDiscriminator, DenseGenerator
from gan.networks.resnet import ResidualDiscriminator, ResidualGenerator
from gan.normalizer import Normalizer

Conditions = dict[str, Any]


class SampleSpec(NamedTuple):
    """Shapes that the networks are built for.

    Attributes:
        shape: of one sample, ``(*grid, C)`` or for a trajectory ``(time, *grid, C)``.
        trajectory: whether the first axis of a sample is time.
        conditions: name -> shape of one condition: ``(k,)`` a vector, ``(*grid', k)`` a field of any
            resolution, ``(time', *grid', k)`` a trajectory.
        padding: boundary rule of every grid axis, or one for all.
        extent: physical lengths of the grid's axes; needed by the divergence-free constraint only.
    """

    shape: tuple[int, ...]
    trajectory: bool = False
    conditions: Mapping[str, tuple[int, ...]] = MappingProxyType({})
    padding: str | tuple[str, ...] = "circular"
    extent: tuple[float, ...] | None = None

    @property
    def grid(self) -> tuple[int, ...]:
        """Shape of the grid alone."""
        return self.shape[1:-1] if self.trajectory else self.shape[:-1]

    @property
    def channels(self) -> int:
        """Channels of one field."""
        return self.shape[-1]

    @property
    def times(self) -> int:
        """Fields in one sample."""
        return self.shape[0] if self.trajectory else 1

    def vector_length(self) -> int:
        """Return how many numbers the vector conditions have together."""
        return sum(shape[0] for shape in self.conditions.values() if len(shape) == 1)

    def field_channels(self) -> int:
        """Return how many channels the field conditions have together, time folded in."""
        fields = [shape for shape in self.conditions.values() if len(shape) > 1]
        return sum(shape[-1] * (shape[0] if len(shape) == len(self.grid) + 2 else 1) for shape in fields)

    def field_numbers(self) -> int:
        """Return how many numbers the field conditions have together."""
        return sum(math.prod(shape) for shape in self.conditions.values() if len(shape) > 1)


def fold_time(x: Float[Array, "batch time *grid c"]) -> Float[Array, "batch *grid folded"]:
    """Move the time axis into the channels."""
    moved = jnp.moveaxis(x, 1, -2)
    return moved.reshape((*moved.shape[:-2], -1))


def unfold_time(x: Float[Array, "batch *grid folded"], times: int) -> Float[Array, "batch time *grid c"]:
    """Undo :func:`fold_time`."""
    return jnp.moveaxis(x.reshape((*x.shape[:-1], times, -1)), -2, 1)


@dataclass(frozen=True)
class Networks:
    """Both players as pure functions; made by :func:`build`.

    Attributes:
        spec: shapes of samples and conditions.
        latent: length of the latent vector.
        normalizer: of the samples.
        condition_normalizers: one for each condition.
        constraint: linear hard constraint of the output.
        bound: smooth bound of the normalised output, ``None`` for none.
        generator_graph: graph definition of the generator.
        discriminator_graph: graph definition of the discriminator.
    """

    spec: SampleSpec
    latent: int
    normalizer: Normalizer
    condition_normalizers: dict[str, Normalizer]
    constraint: str
    bound: float | None
    generator_graph: Any
    discriminator_graph: Any

    def _inputs(self, condition: Conditions | None) -> tuple[Any, Any]:
        """Normalise the condition; return its vectors and its fields, each joined, ``None`` if absent."""
        vectors: list[Array] = []
        fields: list[Array] = []
        for name in sorted(self.spec.conditions):
            shape = self.spec.conditions[name]
            value = self.condition_normalizers[name].normalize((condition or {})[name])
            if len(shape) == 1:
                vectors.append(value)
            else:
                fields.append(fold_time(value) if len(shape) == len(self.spec.grid) + 2 else value)
        if not fields:
            field = None
        elif all(f.shape[1:-1] == fields[0].shape[1:-1] for f in fields):
            field = jnp.concatenate(fields, axis=-1)
        else:
            raise ValueError("Field conditions of different resolutions must be brought to one grid first.")
        return (jnp.concatenate(vectors, axis=-1) if vectors else None), field

    def generate(
        self,
        params: Any,
        rest: Any,
        latent: Float[Array, "batch latent"],
        condition: Conditions | None = None,
    ) -> Float[Array, "batch *shape"]:
        """Return the generator's output in physical units, before any solver."""
        vector, field = self._inputs(condition)
        x = nnx.merge(self.generator_graph, params, rest)(latent, vector, field)
        if self.spec.trajectory:
            x = unfold_time(x, self.spec.times)
        ndim = len(self.spec.grid)
        if self.constraint != "none":
            # The constraint is blind to the mean, so nothing holds it: it could drift until the bound saturates
            # everywhere, and the generator would be a constant without a gradient.
            x = without_mean(x, ndim)
        if self.bound is not None:
            x = smooth_bound(x, self.bound)
        if self.constraint == "zero_mean":
            return without_mean(x, ndim) * self.normalizer.std
        if self.constraint == "divergence_free":
            assert self.spec.extent is not None
            scale = float(np.max(self.normalizer.std)) * max(self.spec.extent) / (2 * math.pi)
            return curl(x * scale, self.spec.extent)
        return self.normalizer.denormalize(x)

    def judge(
        self,
        params: Any,
        rest: Any,
        samples: Float[Array, "batch *shape"],
        condition: Conditions | None = None,
    ) -> Float[Array, " batch"]:
        """Return the discriminator's logits of **normalised** samples."""
        vector, field = self._inputs(condition)
        x = fold_time(samples) if self.spec.trajectory else samples
        return nnx.merge(self.discriminator_graph, params, rest)(x, vector, field)


def _split(module: nnx.Module) -> tuple[Any, Player]:
    graph, params, rest = nnx.split(module, nnx.Param, ...)
    return graph, Player(nnx.to_pure_dict(params), nnx.to_pure_dict(rest))


def build(
    config: NetworkConfig,
    spec: SampleSpec,
    normalizer: Normalizer,
    condition_normalizers: dict[str, Normalizer] | None = None,
    *,
    bound: float | None = None,
    seed: int = 0,
) -> tuple[Networks, Players]:
    """Build both players and draw their first parameters.

    Raises:
        ValueError: the networks, the constraint or the padding do not fit the shape of the samples.
    """
    grid = spec.grid
    if not grid and (config.kind != "mlp" or config.constraint != "none"):
        raise ValueError(
            f"network.kind = {config.kind!r} with network.constraint = {config.constraint!r} needs a grid, and samples "
            f"of shape {spec.shape} have none: choose mlp and none."
        )
    rules = per_axis(spec.padding, len(grid))
    outputs = spec.channels
    if config.constraint == "divergence_free":
        if len(grid) != 2 or spec.channels != 2 or spec.extent is None or set(rules) != {"circular"}:
            raise ValueError(
                f"network.constraint = 'divergence_free' needs two velocity channels on a periodic grid of "
                f"two axes with a known extent, got shape {spec.shape} and extent {spec.extent}."
            )
        outputs = 1
    rng = np.random.default_rng(np.random.SeedSequence([seed, 0x6E6574]))
    vector, field = spec.vector_length(), spec.field_channels()
    generator: nnx.Module
    discriminator: nnx.Module
    if config.kind == "mlp":
        dense = {"shape": grid, "width": config.width, "blocks": config.blocks, "vector": vector}
        dense |= {"field": spec.field_numbers(), "rng": rng}
        generator = DenseGenerator(
            channels=outputs * spec.times,
            latent=config.latent,
            fourier=config.latent_fourier,
            fourier_scale=config.latent_fourier_scale,
            **dense,  # type: ignore[arg-type]
        )
        discriminator = DenseDiscriminator(
            channels=spec.channels * spec.times,
            fourier=config.fourier,
            fourier_scale=config.fourier_scale,
            **dense,  # type: ignore[arg-type]
        )
    else:
        conv = {"shape": grid, "width": config.width, "levels": config.levels, "blocks": config.blocks}
        conv |= {"kernel": config.kernel, "rules": rules, "vector": vector, "field": field, "rng": rng}
        generator = ResidualGenerator(channels=outputs * spec.times, latent=config.latent, **conv)  # type: ignore[arg-type]
        discriminator = ResidualDiscriminator(channels=spec.channels * spec.times, **conv)  # type: ignore[arg-type]
    generator_graph, first = _split(generator)
    discriminator_graph, second = _split(discriminator)
    networks = Networks(
        spec=spec,
        latent=config.latent,
        normalizer=normalizer,
        condition_normalizers=condition_normalizers or {},
        constraint=config.constraint,
        bound=bound,
        generator_graph=generator_graph,
        discriminator_graph=discriminator_graph,
    )
    return networks, Players(first, second)
