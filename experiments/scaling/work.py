"""The operations of one update of a training, by phase, from its configuration: networks, transforms and solver.

One pass of one sample through the generator, the discriminator and the solver is counted from the traced functions
(`experiments.scaling.operations`); how many passes an update makes follows from the configuration. With F the
operations of a forward pass, a pass with the gradient by parameters and input takes 3 F, one with the gradient by the
input 2 F, and one with a gradient penalty, which is differentiated twice, 6 F.

Not counted: the optimizer's own arithmetic, losses, random numbers, and the products with second derivatives of the
update schemes consensus, symplectic and competitive. What a program computes again to save memory does not count
either: these are the operations that the mathematics needs.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from experiments.scaling.operations import operations
from gan.config import FLOW_MATCHING, Recipe
from gan.networks.players import Networks
from gan.objectives import objective

WITH_PARAMETERS, WITH_INPUT, WITH_PENALTY = 3, 2, 6
"""Operations of a pass with its gradients, over those of a forward pass."""


class Passes(NamedTuple):
    """Operations of a forward pass of one sample.

    Attributes:
        generator: products, convolutions and transforms.
        discriminator: the same.
        normalization: of a sample, before the discriminator sees it; arithmetic at single numbers included.
        solver: of the whole solver layer; arithmetic at single numbers included.
    """

    generator: float
    discriminator: float
    normalization: float
    solver: float


class Work(NamedTuple):
    """Operations of one update for each sample of the batch, by phase."""

    generator: float
    discriminator: float
    solver: float

    @property
    def total(self) -> float:
        """All of them."""
        return self.generator + self.discriminator + self.solver


class Counts(NamedTuple):
    """How often an update makes what it makes.

    Attributes:
        fields: evaluations of both players' gradients, each with a draw that is differentiated.
        draws: further draws, which are not.
        judgements: gradients of the discriminator's loss.
    """

    fields: int
    draws: int
    judgements: int


def counts(recipe: Recipe) -> Counts:
    """Return how often an update of a recipe draws and judges."""
    if recipe.game.objective == FLOW_MATCHING:
        return Counts(1, 0, 0)
    if recipe.optimizer.scheme == "alternating":
        return Counts(1, recipe.game.critic_steps, recipe.game.critic_steps)
    evaluations = 2 if recipe.optimizer.scheme == "extragradient" else 1
    return Counts(evaluations, 0, evaluations)


def passes(networks: Networks, players: Any, problem: Any, recipe: Recipe) -> Passes:
    """Count a forward pass of one sample through both networks, the normalisation and the solver layer.

    Args:
        networks: both players as functions.
        players: with their parameters, of which only the shapes matter.
        problem: with the solver layer.
        recipe: whether the solver layer is in the training.
    """

    def one(shape: tuple[int, ...]) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((1, *shape), jnp.float32)

    spec = networks.spec
    condition = {name: one(shape) for name, shape in spec.conditions.items()}
    sample = one(spec.shape)
    generator = operations(networks.generate, *players.generator, one(networks.latent), condition)
    if networks.evaluations:
        # A sample of flow matching takes many evaluations of the network, an update one.
        return Passes(generator.network / networks.evaluations, 0.0, 0.0, 0.0)
    discriminator = operations(networks.classify, *players.discriminator, one(networks.normalized_shape), condition)
    normalization = operations(networks.normalizer.normalize, sample)
    solver = 0.0
    if has_solver(problem, recipe):
        layer = problem.solver_layer
        solver = operations(lambda x, c: layer(x, c, jnp.float32(1.0))[0], sample, condition).total
    return Passes(generator.network, discriminator.network, normalization.total, solver)


def has_solver(problem: Any, recipe: Recipe) -> bool:
    """Whether updates run the solver layer."""
    return problem.solver_layer is not None and recipe.solver_layer.tau > 0 and recipe.solver_layer.in_training


def work(one: Passes, recipe: Recipe) -> Work:
    """Return the operations of an update for each sample of its batch.

    Args:
        one: operations of single passes.
        recipe: of the training.
    """
    game, often = recipe.game, counts(recipe)
    draws = game.ensemble_draws if game.ensemble_weight > 0 else 1
    if game.objective == FLOW_MATCHING:
        return Work(WITH_PARAMETERS * one.generator, 0.0, 0.0)
    judged = 2 if objective(game.objective).real_in_generator else 1
    # The generator's gradient comes through the discriminator at samples; data are judged forwards alone.
    judgement = (WITH_INPUT + judged - 1) * (one.discriminator + one.normalization)
    differentiated = draws * WITH_PARAMETERS * one.generator + judgement
    penalised = 1.0 / game.penalty_every if game.r1 > 0 or game.r2 > 0 else 0.0
    passes_of_two = 2.0 * (WITH_PENALTY * penalised + WITH_PARAMETERS * (1.0 - penalised))
    between = WITH_PENALTY / game.penalty_every if game.gradient_penalty > 0 else 0.0
    return Work(
        generator=often.fields * differentiated + often.draws * draws * one.generator,
        discriminator=often.judgements * ((passes_of_two + between) * one.discriminator + 2.0 * one.normalization),
        solver=draws * one.solver * (WITH_INPUT * often.fields + often.draws),
    )
