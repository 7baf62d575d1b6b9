"""What can be refused of a training before there are any samples."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from gan.adversarial import adversarial_game
from gan.config import Recipe
from gan.networks.players import SampleSpec, build
from gan.normalizer import Normalizer, unit_samples
from gan.training.devices import choose_devices
from gan.training.trained import bound_of, evaluations_of, optimizer_of


def check_recipe(config: Any, spec: SampleSpec, penalties: Collection[str] = ()) -> None:
    """Refuse a recipe that could not be trained on samples of these shapes. Nothing is compiled.

    Args:
        config: a :class:`gan.config.Recipe`, or any object with its five sections.
        spec: as the problem will have it.
        penalties: names of the penalties that the problem will have.

    Raises:
        ValueError: devices, networks, game or optimizer do not fit; one sentence says what.
    """
    recipe = Recipe.of(config)
    check_penalties(recipe, penalties)
    choose_devices(recipe)
    optimizer_of(recipe)
    conditions = {name: Normalizer.identity(shape[-1]) for name, shape in spec.conditions.items()}
    networks, _ = build(
        recipe.network,
        spec,
        unit_samples(recipe.network, spec.shape),
        conditions,
        bound=bound_of(recipe),
        evaluations=evaluations_of(recipe),
    )
    if networks.evaluations:
        return
    # The solver that a problem brings is taken to be there.
    adversarial_game(networks, recipe.game, recipe.solver_layer, solver_layer=lambda samples, *_: (samples, samples))


def check_penalties(recipe: Recipe, names: Collection[str]) -> None:
    """Refuse penalties of samples where the training draws none.

    Raises:
        ValueError: there are penalties, and the objective is flow matching.
    """
    if evaluations_of(recipe) and names:
        raise ValueError(
            f"Flow matching draws no samples in training that the penalties {', '.join(names)} could judge: give them "
            "the weight 0, or choose an adversarial game.objective."
        )
