"""The two players as pure functions: built once from the configuration and the shape of the samples.

NNX modules are split once into a graph definition, parameters and all other state, and from then on only pure
functions over plain dictionaries remain. The generator's output is physical: network, smooth bound (only
before a solver), normaliser, hard constraint, in that order, the constraint last so that it holds exactly.
The discriminator sees normalised fields. A trajectory ``(time, *grid, C)`` is folded into channels inside.

``Player.state`` holds, where there are any, ``"variables"``, what the network itself carries (batch statistics), and
``"spectral"``, the vectors of spectral normalisation. A pass in training returns the state of the next step; a
pass without training changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, PyTree

from gan.config import NetworkConfig
from gan.game import Player, Players
from gan.networks import spectral
from gan.networks.blueprint import Blueprint, Training
from gan.networks.constraints import curl, smooth_bound, without_mean
from gan.networks.kinds import KINDS, player_classes
from gan.networks.layers import fold_time, per_axis, unfold_time
from gan.normalizer import Normalizer, SampleNormalizer, WaveNormalizer
from gan.short_waves import fields_of

Conditions = dict[str, Any]
TIME_FEATURES = 9
"""Numbers that say the time of flow matching to a network."""


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


@dataclass(frozen=True)
class Networks:
    """Both players as pure functions; made by :func:`build`.

    Attributes:
        spec: shapes of samples and conditions.
        latent: shape of one latent: ``(numbers,)``, or that of a sample.
        normalizer: of the samples.
        condition_normalizers: one for each condition.
        constraint: linear hard constraint of the output.
        bound: smooth bound of the normalised output, ``None`` for none.
        evaluations: of the generator for one sample, which it then makes by flow matching; 0 for one evaluation that
            maps the latent to the sample.
        compute: precision inside the networks, "float32" or "bfloat16".
        coupled: whether the discriminator judges a batch as a whole (batch statistics), not sample by sample.
        generator_graph: graph definition of the generator.
        discriminator_graph: graph definition of the discriminator.
    """

    spec: SampleSpec
    latent: tuple[int, ...]
    normalizer: SampleNormalizer
    condition_normalizers: dict[str, Normalizer]
    constraint: str
    bound: float | None
    evaluations: int
    compute: str
    coupled: bool
    generator_graph: Any
    discriminator_graph: Any

    @property
    def normalized_shape(self) -> tuple[int, ...]:
        """Shape of a normalised sample."""
        return self.normalizer.normalized_shape(self.spec.shape)

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
        vector, field = (jnp.concatenate(values, axis=-1) if values else None for values in (vectors, fields))
        return vector, field

    def generate(
        self,
        params: PyTree,
        network_state: PyTree,
        latent: Float[Array, " batch *latent"],
        condition: Conditions | None = None,
    ) -> Float[Array, " batch *shape"]:
        """Return the generator's output in physical units, before any solver."""
        return self.generate_with_state(params, network_state, latent, condition, None)[0]

    def generate_with_state(
        self,
        params: PyTree,
        network_state: PyTree,
        latent: Float[Array, " batch *latent"],
        condition: Conditions | None,
        training: Training | None,
    ) -> tuple[Float[Array, " batch *shape"], PyTree]:
        """Return the generator's output and the state of the next step."""
        if self.spec.trajectory and len(self.latent) > 1:
            latent = fold_time(latent)
        if self.evaluations:
            x = self._flow(params, network_state, latent, condition)
        else:
            inputs = (latent, *self._inputs(condition))
            x, network_state = self._pass(self.generator_graph, params, network_state, inputs, training)
        if self.spec.trajectory:
            x = unfold_time(x, self.spec.times)
        return self._physical(x), network_state

    def generate_with_log_density(
        self,
        params: PyTree,
        network_state: PyTree,
        latent: Float[Array, " batch *latent"],
        condition: Conditions | None = None,
    ) -> tuple[Float[Array, " batch *shape"], Float[Array, " batch"]]:
        """Return the generator's output and the logarithm of its density, in physical units.

        With x = G(z) and z standard normal, the density of x is that of z over det dG/dz, as long as no two z have the
        same x. Where the determinant is not positive G folds space, and the logarithm is NaN. The Jacobian costs as
        many evaluations as a sample has numbers.

        Raises:
            ValueError: the latent has another number of values than the sample.
        """
        numbers = math.prod(self.spec.shape)
        if math.prod(self.latent) != numbers:
            raise ValueError(
                f"a density needs a latent of as many values as a sample has: {math.prod(self.latent)} and {numbers}."
            )

        def one(z: Array, given: Conditions | None) -> Array:
            batched = jax.tree.map(lambda value: value[None], given)
            return self.generate(params, network_state, z[None], batched)[0].reshape(numbers)

        def both(z: Array, given: Conditions | None) -> tuple[Array, Array]:
            jacobian = jax.jacfwd(one)(z, given).reshape(numbers, numbers)
            normal = -0.5 * jnp.sum(z**2) - 0.5 * numbers * math.log(2 * math.pi)
            sign, log_volume = jnp.linalg.slogdet(jacobian)
            return one(z, given).reshape(self.spec.shape), jnp.where(sign > 0, normal - log_volume, jnp.nan)

        return jax.vmap(both)(latent, condition)

    def velocity(
        self,
        params: PyTree,
        network_state: PyTree,
        x: Float[Array, " batch *folded"],
        time: Float[Array, " batch"],
        condition: Conditions | None,
    ) -> Float[Array, " batch *folded"]:
        """Return the velocity of flow matching at normalised samples, time folded into channels."""
        vector, field = self._inputs(condition)
        features = time_features(time)
        vector = features if vector is None else jnp.concatenate([vector, features], axis=-1)
        return self._pass(self.generator_graph, params, network_state, (x, vector, field), None)[0]

    def _flow(
        self, params: PyTree, network_state: PyTree, x: Float[Array, " batch *folded"], condition: Conditions | None
    ) -> Float[Array, " batch *folded"]:
        """Advance noise from time 0 to 1 by the midpoint rule, whose steps shorten towards the data."""
        ends = 1.0 - (1.0 - np.arange(self.evaluations // 2 + 1) / (self.evaluations // 2)) ** 1.5

        def velocity(x: Array, time: Array) -> Array:
            return self.velocity(params, network_state, x, jnp.full(len(x), time), condition)

        def step(x: Array, times: Array) -> tuple[Array, None]:
            time, length = times[0], times[1] - times[0]
            half = x + 0.5 * length * velocity(x, time)
            return x + length * velocity(half, time + 0.5 * length), None

        steps = jnp.asarray(np.stack([ends[:-1], ends[1:]], axis=1), x.dtype)
        return jax.lax.scan(step, x, steps)[0]

    def _physical(self, x: Float[Array, " batch *made"]) -> Float[Array, " batch *shape"]:
        ndim = len(self.spec.grid)
        if isinstance(self.normalizer, WaveNormalizer):
            x = x if self.bound is None else smooth_bound(x, self.bound)
            return fields_of(self.normalizer, x)
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

    def classify(
        self,
        params: PyTree,
        network_state: PyTree,
        samples: Float[Array, " batch *shape"],
        condition: Conditions | None = None,
    ) -> Float[Array, " batch"]:
        """Return the discriminator's logits of **normalised** samples."""
        return self.classify_with_state(params, network_state, samples, condition, None)[0]

    def classify_with_state(
        self,
        params: PyTree,
        network_state: PyTree,
        samples: Float[Array, " batch *shape"],
        condition: Conditions | None,
        training: Training | None,
    ) -> tuple[Float[Array, " batch"], PyTree]:
        """Return the logits of normalised samples and the state of the next step."""
        x = fold_time(samples) if self.spec.trajectory else samples
        inputs = (x, *self._inputs(condition))
        return self._pass(self.discriminator_graph, params, network_state, inputs, training)

    def _pass(
        self, graph: Any, params: Any, network_state: Any, inputs: tuple[Any, ...], training: Training | None
    ) -> tuple[Array, Any]:
        """Run a network; return its output and the state of the next step, unchanged without training."""
        ready = spectral.normalized(params, network_state["spectral"]) if "spectral" in network_state else params
        if self.compute == "bfloat16":
            ready = _with_rounded_kernels(ready)
        module = nnx.merge(graph, ready, network_state.get("variables", {}))
        output = module(*inputs, training)
        if training is None:
            return output, network_state
        following = dict(network_state)
        if "variables" in network_state:
            _, _, *others = nnx.split(module, nnx.Param, ...)
            following["variables"] = jax.lax.stop_gradient(nnx.to_pure_dict(others[0]))
        if "spectral" in network_state:
            following["spectral"] = spectral.advanced(params, network_state["spectral"])
        return output, following


def _with_rounded_kernels(params: PyTree) -> PyTree:
    """Return parameters with every kernel rounded to bfloat16, which is what a layer computes in."""

    def rounded(path: Any, value: Array) -> Array:
        return value.astype(jnp.bfloat16) if getattr(path[-1], "key", None) == spectral.KERNEL else value

    return jax.tree_util.tree_map_with_path(rounded, params)


def time_features(time: Float[Array, " batch"]) -> Float[Array, "batch numbers"]:
    """Return what a network sees of times in [0, 1]: a line and four waves, all between -1 and 1."""
    angles = np.pi * time[:, None] * np.arange(1, (TIME_FEATURES + 1) // 2)
    return jnp.concatenate([2.0 * time[:, None] - 1.0, jnp.sin(angles), jnp.cos(angles)], axis=-1)


def average_state(params: PyTree, average: PyTree, network_state: PyTree, share: Float[Array, ""]) -> PyTree:
    """Return the state that belongs to averaged parameters, after one more step.

    Statistics of the network are averaged as its parameters are; the vectors of spectral normalisation follow the
    averaged kernels by power iteration, because an average of unit vectors is none.

    Args:
        params: averaged parameters.
        average: their state so far.
        network_state: of the parameters in training.
        share: weight of the newest.
    """
    following = dict(network_state)
    if "variables" in network_state:
        following["variables"] = jax.tree.map(
            lambda a, b: a + share.astype(b.dtype) * (b - a), average["variables"], network_state["variables"]
        )
    if "spectral" in network_state:
        following["spectral"] = spectral.advanced(params, average["spectral"])
    return following


def _check_conditions(spec: SampleSpec) -> None:
    """Refuse conditions that :class:`SampleSpec` does not know, and fields of more than one resolution."""
    ndim, grids = len(spec.grid), {}
    for name, shape in sorted(spec.conditions.items()):
        if len(shape) not in (1, ndim + 1, ndim + 2):
            raise ValueError(
                f"The condition {name!r} has the shape {shape}, but beside a grid of shape {spec.grid} it must be a "
                f"vector (1 axis), a field ({ndim + 1} axes) or a trajectory ({ndim + 2} axes), channels last: give it "
                "these axes, or flatten it to a vector."
            )
        if len(shape) > 1:
            grids[name] = tuple(shape[-ndim - 1 : -1])
    if len(set(grids.values())) > 1:
        found = ", ".join(f"{name!r} {grid}" for name, grid in grids.items())
        raise ValueError(f"The field conditions have different grids ({found}): bring them to one grid first.")


def _split(module: nnx.Module, normalized: bool, rng: np.random.Generator) -> tuple[Any, Player]:
    split: tuple[Any, ...] = nnx.split(module, nnx.Param, ...)
    graph, trained, state = split
    params, network_state = nnx.to_pure_dict(trained), {}
    if state:
        network_state["variables"] = nnx.to_pure_dict(state)
    if normalized:
        params = spectral.without_zeros(params, rng)
        network_state["spectral"] = spectral.first_vectors(params)
    return graph, Player(params, network_state)


def build(
    config: NetworkConfig,
    spec: SampleSpec,
    normalizer: SampleNormalizer,
    condition_normalizers: dict[str, Normalizer] | None = None,
    *,
    bound: float | None = None,
    evaluations: int = 0,
    seed: int = 0,
) -> tuple[Networks, Players]:
    """Build both players and draw their first parameters.

    Args:
        config: shape of the networks.
        spec: shapes of samples and conditions.
        normalizer: of the samples; the networks see normalised fields.
        condition_normalizers: one for each condition in ``spec``, by name.
        bound: smooth bound of the normalised output, in standard deviations (before a solver); ``None`` for none.
        evaluations: of the generator for one sample, by flow matching, for which there is no discriminator; 0 for an
            adversarial generator, which takes one.
        seed: of the parameters.

    Returns:
        The players as functions, and their first parameters and rests.

    Raises:
        ValueError: the networks, the constraint, the padding or a condition do not fit the shape of the samples.
    """
    _check_conditions(spec)
    grid = spec.grid
    if not grid and (config.kind not in ("mlp", "residual_mlp") or config.constraint != "none"):
        raise ValueError(
            f"network.kind = {config.kind!r} with network.constraint = {config.constraint!r} needs a grid, and samples "
            f"of shape {spec.shape} have none: choose mlp or residual_mlp, and none."
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
    if (config.kind == "waves") != isinstance(normalizer, WaveNormalizer):
        raise ValueError("network.kind = 'waves' and a gan.normalizer.WaveNormalizer need each other.")
    if config.kind == "waves" and (set(rules) != {"circular"} or config.constraint != "none"):
        raise ValueError(
            f"network.kind = 'waves' needs a periodic grid, whose mean it keeps, got padding {spec.padding!r} and "
            f"network.constraint = {config.constraint!r}: set the constraint to none, or choose another kind."
        )
    *seen, channels = normalizer.normalized_shape(spec.shape[1:] if spec.trajectory else spec.shape)
    if len(seen) < len(grid):
        grid, rules, outputs = tuple(seen), (), channels
    rng = np.random.default_rng(np.random.SeedSequence([seed, 0x6E6574]))
    kind = KINDS[config.kind]
    field_latent = kind.field_latent or config.latent == 0 or evaluations > 0
    folded = (*grid, channels * spec.times)
    plan = Blueprint(
        config=config,
        grid=grid,
        rules=rules,
        channels=outputs * spec.times,
        rng=rng,
        times=spec.times,
        latent=folded if field_latent else (config.latent,),
        vector=spec.vector_length() + (TIME_FEATURES if evaluations else 0),
        field=spec.field_channels(),
        field_numbers=spec.field_numbers(),
        normalizer=normalizer,
        velocity=evaluations > 0,
    )
    generator_class, discriminator_class = player_classes(config.kind, config.discriminator)
    generator = generator_class(plan)
    generator_graph, first = _split(generator, config.spectral == "both", rng)
    discriminator_graph, second, coupled = None, Player({}, {}), False
    if not evaluations:
        discriminator = discriminator_class(replace(plan, channels=folded[-1], vector=spec.vector_length()))
        discriminator_graph, second = _split(discriminator, config.spectral != "none", rng)
        coupled = bool(nnx.state(discriminator, nnx.BatchStat))
    networks = Networks(
        spec=spec,
        latent=normalizer.normalized_shape(spec.shape) if field_latent else (config.latent,),
        normalizer=normalizer,
        condition_normalizers=condition_normalizers or {},
        constraint=config.constraint,
        bound=bound,
        evaluations=evaluations,
        compute=config.compute,
        coupled=coupled,
        generator_graph=generator_graph,
        discriminator_graph=discriminator_graph,
    )
    return networks, Players(first, second)
