"""A trained generator: draws samples in physical units, through the very solver it was trained with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from gan.adaptive_augmentation import with_probability
from gan.adversarial import Sampled, sampler
from gan.augmentation import SymmetriesLike
from gan.config import FLOW_MATCHING, Recipe
from gan.game import Player
from gan.networks.players import Networks, SampleSpec, build
from gan.normalizer import Normalizer, SampleNormalizer, ShortWaves, WaveNormalizer
from gan.optimizers.selection import game_optimizer
from gan.training.checkpoint import Checkpoints, read_description
from gan.training.step import TrainingState, first_state

ATTEMPTS = 32


class Samples(NamedTuple):
    """Samples as drawn, the refused ones included.

    Attributes:
        fields: (n, *shape), physical units; a refused one holds the data's mean.
        valid: (n,), False where the solver could not advance the sample.
    """

    fields: np.ndarray
    valid: np.ndarray


class Trained:
    """A generator with everything that it needs to draw samples.

    Attributes:
        recipe: of its training.
        networks: both players as functions.
        generator: averaged over the training.
        step: generator updates made.
        validation: validation metric of these parameters, if it was taken.
    """

    def __init__(
        self,
        recipe: Recipe,
        networks: Networks,
        generator: Player,
        *,
        solver_layer: Callable[..., Any] | None = None,
        symmetries: SymmetriesLike | None = None,
        step: int = 0,
        validation: float | None = None,
    ):
        if recipe.solver_layer.tau > 0 and solver_layer is None:
            raise ValueError(
                f"This generator was trained through a solver (solver_layer.tau = {recipe.solver_layer.tau}): "
                "give the same solver layer, or its samples would not be the ones it was trained for."
            )
        self.recipe, self.networks, self.generator = recipe, networks, generator
        self.step, self.validation = step, validation
        self._solver_layer, self._symmetries = solver_layer, symmetries

    @cached_property
    def jitted_draw(self) -> Callable[..., tuple[Array, Array]]:
        """``(params, state, key, index, condition, tau) -> (fields, valid)``, compiled; what `draw` calls in chunks."""
        game, solver_layer = self.recipe.game, self.recipe.solver_layer
        draw = sampler(self.networks, self._solver_layer, solver_layer, self._symmetries, game.symmetrize)
        return jax.jit(_by_index(draw, self.recipe.training.precision))

    @cached_property
    def _without_solver(self) -> Callable[..., tuple[Array, Array]]:
        draw = sampler(self.networks, None, self.recipe.solver_layer, self._symmetries, self.recipe.game.symmetrize)
        return jax.jit(_by_index(draw, self.recipe.training.precision))

    @cached_property
    def _with_density(self) -> Callable[..., tuple[Array, Array]]:
        networks, precision = self.networks, self.recipe.training.precision

        def run(
            params: PyTree, network_state: PyTree, key: Array, index: Array, condition: Any, tau: Any
        ) -> tuple[Array, Array]:
            # The latents of the samples that `draw` makes of the same key.
            keys = jax.vmap(lambda i: jax.random.split(jax.random.fold_in(key, i))[0])(index)
            latent = jax.vmap(lambda one: jax.random.normal(one, networks.latent))(keys)
            with jax.default_matmul_precision(precision):
                return networks.generate_with_log_density(params, network_state, latent, condition)

        return jax.jit(run)

    @property
    def evaluations(self) -> int:
        """Evaluations of the network for one sample."""
        return self.networks.evaluations or 1

    @property
    def params(self) -> PyTree:
        """Parameters of the generator, averaged over the training."""
        return self.generator.params

    def _run(
        self,
        function: Callable[..., tuple[Array, Array]],
        key: Array,
        n: int,
        condition: Mapping[str, Any] | None,
        tau: float | None,
        chunk: int | None,
    ) -> tuple[np.ndarray, np.ndarray]:
        if n < 1:
            raise ValueError(f"n = {n}: draw at least one sample.")
        if n >= 2**31:
            raise ValueError(f"n = {n}: one key draws fewer than {2**31} samples; use several keys.")
        chunk = chunk or self.recipe.training.sample_chunk
        time = np.float32(self.recipe.solver_layer.tau if tau is None else tau)
        given = self._conditions(condition, n)
        firsts, seconds = [], []
        # Every chunk has the same shape, so one program serves any n; the key of a sample depends on its
        # place alone.
        for start in range(0, n, chunk):
            index = np.minimum(np.arange(start, start + chunk), n - 1)
            part = {name: value[index] for name, value in given.items()}
            first, second = function(*self.generator, key, index.astype(np.int32), part, time)
            firsts.append(np.asarray(first)[: n - start])
            seconds.append(np.asarray(second)[: n - start])
        return np.concatenate(firsts), np.concatenate(seconds)

    def _conditions(self, condition: Mapping[str, Any] | None, n: int) -> dict[str, np.ndarray]:
        spec = self.networks.spec
        given = dict(condition or {})
        if given.keys() != spec.conditions.keys():
            raise ValueError(
                f"This generator takes the conditions {sorted(spec.conditions) or 'none'}, "
                f"got {sorted(given) or 'none'}."
            )
        arrays = {}
        for name, shape in spec.conditions.items():
            value = np.asarray(given[name], np.float32)
            if value.shape == shape:
                value = np.broadcast_to(value, (n, *shape))
            if value.shape != (n, *shape):
                raise ValueError(
                    f"Condition {name!r} has shape {value.shape}: give {shape}, or {(n, *shape)} for n = {n} samples."
                )
            arrays[name] = value
        return arrays

    def draw(
        self,
        key: Array,
        n: int,
        condition: Mapping[str, Any] | None = None,
        tau: float | None = None,
        *,
        chunk: int | None = None,
    ) -> Samples:
        """Draw n samples, after the solver, and say which of them it refused.

        Args:
            key: random key; the same key gives the same samples whatever the chunk.
            n: how many.
            condition: name -> one condition for all, or one for each sample; physical units.
            tau: solver-layer time in place of the trained one, system time.
            chunk: samples at once.
        """
        return Samples(*self._run(self.jitted_draw, key, n, condition, tau, chunk))

    def draw_without_solver(
        self, key: Array, n: int, condition: Mapping[str, Any] | None = None, *, chunk: int | None = None
    ) -> Samples:
        """Draw what the network alone makes from the same latents, before any solver; for diagnosis."""
        return Samples(*self._run(self._without_solver, key, n, condition, 0.0, chunk))

    def sample_with_log_density(
        self, key: Array, n: int, condition: Mapping[str, Any] | None = None, *, chunk: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw what the network makes, with the logarithm of its density: proposals with known weights.

        For generators whose latent has as many values as a sample, as those of flow matching, without a solver layer.

        Args as for :meth:`draw`.

        Returns:
            Samples (n, *shape) in physical units, and the logarithms (n,) of their density there, NaN where the
            generator folds space.

        Raises:
            ValueError: a solver layer or random symmetries follow the network, or the latent has another size.
        """
        moved = self.recipe.game.symmetrize and self._symmetries is not None
        if self.recipe.solver_layer.tau > 0 or moved:
            raise ValueError("the density is that of the network alone: no solver layer and no symmetries may follow.")
        return self._run(self._with_density, key, n, condition, 0.0, chunk)

    def sample(
        self,
        key: Array,
        n: int,
        condition: Mapping[str, Any] | None = None,
        tau: float | None = None,
        *,
        chunk: int | None = None,
    ) -> np.ndarray:
        """Draw n samples in physical units, after the solver. Refused ones are drawn again.

        Args as for :meth:`draw`.

        Returns:
            (n, *shape).

        Raises:
            ValueError: the solver refuses samples again and again.
        """
        fields, valid = self.draw(key, n, condition, tau, chunk=chunk)
        given = self._conditions(condition, n)
        for attempt in range(1, ATTEMPTS):
            (missing,) = np.nonzero(~valid)
            if not len(missing):
                return fields
            part = {name: value[missing] for name, value in given.items()}
            again = self.draw(jax.random.fold_in(key, attempt), len(missing), part, tau, chunk=chunk)
            fields[missing], valid[missing] = again.fields, again.valid
        raise ValueError(
            f"The solver refused {int((~valid).sum())} of {n} samples in {ATTEMPTS} attempts: "
            "the generator is not usable."
        )


def _by_index(draw: Callable[..., Sampled], precision: str) -> Callable[..., tuple[Array, Array]]:
    def run(
        params: PyTree, network_state: PyTree, key: Array, index: Array, condition: Any, tau: Any
    ) -> tuple[Array, Array]:
        keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.asarray(index))
        with jax.default_matmul_precision(precision):
            made = draw(params, network_state, keys, condition, tau)
        return made.samples, made.valid

    return run


def describe(recipe: Recipe, networks: Networks) -> dict[str, Any]:
    """Return everything that rebuilds the networks, as written beside the checkpoints."""

    def plain(normalizer: Any) -> dict[str, Any]:
        return {
            name: plain(value) if hasattr(value, "_asdict") else np.asarray(value).tolist()
            for name, value in normalizer._asdict().items()
        }

    return {
        "recipe": recipe.as_dict(),
        "sample": {**networks.spec._asdict(), "conditions": dict(networks.spec.conditions)},
        "normalizer": plain(networks.normalizer),
        "condition_normalizers": {k: plain(v) for k, v in networks.condition_normalizers.items()},
    }


def rebuild(description: dict[str, Any]) -> tuple[Recipe, Networks, TrainingState]:
    """Rebuild recipe, networks and a first state from :func:`describe`."""

    def plain_normalizer(values: dict[str, Any]) -> Normalizer:
        return Normalizer(**{name: np.asarray(value, np.float32) for name, value in values.items()})

    def normalizer(values: dict[str, Any]) -> SampleNormalizer:
        return wave_normalizer(values) if "points" in values else plain_normalizer(values)

    def wave_normalizer(values: dict[str, Any]) -> WaveNormalizer:
        mean, std, square_std = (np.asarray(values[name], np.float32) for name in ("mean", "std", "square_std"))
        if isinstance(values["points"], int):
            # Written when there were waves of a line only.
            offset = np.zeros(2 * len(std), np.float32)
            return WaveNormalizer(mean, std, square_std, (values["points"],), len(std), offset, (0,))
        short = values["short"] and ShortWaves(
            wave_normalizer(values["short"]["normalizer"]), np.asarray(values["short"]["matrix"], np.float32)
        )
        return WaveNormalizer(
            mean,
            std,
            square_std,
            tuple(values["points"]),
            values["waves"],
            np.asarray(values["offset"], np.float32),
            tuple(values["shift_axes"]),
            values["above"],
            short,
        )

    def tuples(value: PyTree) -> Any:
        return tuple(value) if isinstance(value, list) else value

    sample = {name: tuples(value) for name, value in description["sample"].items()}
    sample["conditions"] = {name: tuple(shape) for name, shape in sample["conditions"].items()}
    recipe = Recipe.from_dict(description["recipe"])
    networks, players = build(
        recipe.network,
        SampleSpec(**sample),
        normalizer(description["normalizer"]),
        {name: plain_normalizer(value) for name, value in description["condition_normalizers"].items()},
        bound=bound_of(recipe),
        evaluations=evaluations_of(recipe),
        seed=recipe.training.seed,
    )
    return (
        recipe,
        networks,
        first_state(with_probability(players, recipe.game), optimizer_of(recipe), recipe.training.seed),
    )


def bound_of(recipe: Recipe) -> float | None:
    """Return the bound of the generator's output: only before a solver through which gradients run."""
    layer = recipe.solver_layer
    return layer.bound if layer.tau > 0 and layer.in_training and not evaluations_of(recipe) else None


def evaluations_of(recipe: Recipe) -> int:
    """Return the evaluations of the network for one sample of flow matching; 0 for an adversarial training."""
    return recipe.game.evaluations if recipe.game.objective == FLOW_MATCHING else 0


def optimizer_of(recipe: Recipe) -> Any:
    """Return the game optimizer of a recipe."""
    return game_optimizer(recipe.optimizer, recipe.game, recipe.training.steps)


def load(
    directory: str | Path,
    *,
    solver_layer: Callable[..., Any] | None = None,
    symmetries: SymmetriesLike | None = None,
    which: str = "last",
) -> Trained:
    """Load a trained generator from the folder of its training.

    Args:
        directory: folder given to :func:`gan.train`.
        solver_layer: the solver function that it was trained with, if any.
        symmetries: of the problem; needed if its samples pass through random symmetries.
        which: "last" checkpoint or "best" by the validation metric.

    Raises:
        ValueError: nothing there that can be read, or the solver function is missing.
    """
    if which not in ("last", "best"):
        raise ValueError(f"which = {which!r}: choose 'last' or 'best'.")
    folder = Path(directory)
    recipe, networks, like = rebuild(read_description(folder))
    checkpoints = Checkpoints(folder, recipe.training.keep)
    try:
        step = checkpoints.latest() if which == "last" else checkpoints.best()
        if step is None:
            raise ValueError(f"{folder} holds no checkpoint yet: let the training reach its first one.")
        state = checkpoints.restore(step, like)
    finally:
        checkpoints.close()
    return Trained(
        recipe,
        networks,
        state.average,
        solver_layer=solver_layer,
        symmetries=symmetries,
        step=step,
    )
