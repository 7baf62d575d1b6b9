"""A game of two players as pure functions of both players' parameters.

The generator *draws*: latents and a batch of data become a :class:`GeneratedBatch` of samples beside the data they
are judged against. The discriminator's loss and the generator's adversarial term are functions of the
discriminator's parameters and of the draw; further terms belong to one player alone (gradient penalties to
the discriminator, physics penalties to the generator). If the adversarial terms of the two are opposite the
game is *zero-sum* with the shared term ``V(generator, discriminator)``, which the generator lowers and the
discriminator raises; any other coupling is general-sum, and a game optimizer that needs zero-sum can ask
:attr:`Game.zero_sum`.

Splitting the draw from the judgement lets one pass of the generator (and of the solver behind it) serve every
term, and lets the gradient of each term be pulled back, and logged, separately.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
from jaxtyping import Array, Bool, Float, Int

from gan.conflict import summed

PyTree = Any


class Player(NamedTuple):
    """One player: what is trained, and the state of its network that is not trained (such as statistics)."""

    params: PyTree
    state: PyTree


class Players(NamedTuple):
    """Both players."""

    generator: Player
    discriminator: Player


class Batch(NamedTuple):
    """What one update of one player sees; a game optimizer gets these stacked, one per critic step.

    Attributes:
        real: data (batch, *shape), physical units.
        condition: name -> array (batch, ...), physical units; empty if unconditional.
        place: of each sample in the batch over all devices. Random numbers are derived from it, so that
            they do not depend on how many devices share the work.
        progress: share of the training that is done, in [0, 1]; schedules depend on it.
    """

    real: Float[Array, "*lead batch *shape"]
    condition: dict[str, Any]
    place: Int[Array, "*lead batch"]
    progress: Float[Array, "*lead"]


class GeneratedBatch(NamedTuple):
    """Samples of the generator beside the data they are judged against.

    Attributes:
        samples: whatever the generator's terms are differentiated by; for fields (draws, batch, *shape),
            physical; one draw more, the last, where there are conditions elsewhere.
        real: data (batch, *shape), physical units.
        condition: conditions of both.
        valid: (draws, batch), False where the solver could not advance a sample.
        place: of each sample in the batch over all devices.
        progress: share of the training that is done.
        latent: (draws, batch, *latent), of each sample; ``None`` where no term asks for it.
        elsewhere: conditions of the last draw, for which there are no data; ``None`` where there are none.
    """

    samples: PyTree
    real: PyTree
    condition: dict[str, Any]
    valid: Bool[Array, "draws batch"]
    place: Int[Array, " batch"]
    progress: Float[Array, ""]
    latent: PyTree = None
    elsewhere: dict[str, Any] | None = None


class DiscriminatorLoss(NamedTuple):
    """The discriminator's loss in its parts, what it logs, and the new state of its network."""

    adversarial: Float[Array, ""]
    own: Float[Array, ""]
    metrics: dict[str, Float[Array, ""]]
    state: PyTree


@dataclass(frozen=True)
class Game:
    """Two losses.

    Attributes:
        draw: (generator's params, state, batch, key) -> (GeneratedBatch, new state).
        discriminator_loss: (discriminator's params, state, draw, key) -> DiscriminatorLoss; the discriminator minimises
            ``adversarial + own``.
        generator_loss: (discriminator's params, state, draw, key) -> the generator's adversarial term.
        generator_terms: name -> function of the draw, already weighted; added to the generator's loss.
        zero_sum: whether ``generator_loss = -discriminator_loss.adversarial`` up to terms without a gradient for the
            generator.
        combine: (gradients of the generator's terms by name, "adversarial" among them; progress) -> the gradient
            that it follows; the sum, unless terms are balanced or freed of conflict.
    """

    draw: Callable[[PyTree, PyTree, Batch, Array], tuple[GeneratedBatch, PyTree]]
    discriminator_loss: Callable[[PyTree, PyTree, GeneratedBatch, Array], DiscriminatorLoss]
    generator_loss: Callable[[PyTree, PyTree, GeneratedBatch, Array], Float[Array, ""]]
    generator_terms: Mapping[str, Callable[[GeneratedBatch], Float[Array, ""]]] = field(default_factory=dict)
    zero_sum: bool = False
    combine: Callable[[Mapping[str, PyTree], Array], PyTree] = lambda gradients, progress: summed(gradients)

    def shared(self, players: Players, batch: Batch, key: Array) -> Float[Array, ""]:
        """Return V(generator, discriminator), the zero-sum term.

        Raises:
            ValueError: the game is not zero-sum.
        """
        if not self.zero_sum:
            raise ValueError(
                "This game is not zero-sum, so it has no shared term: choose the objective minimax, "
                "wasserstein or relativistic_minimax, or a game optimizer for general-sum games."
            )
        draw, _ = self.draw(players.generator.params, players.generator.state, batch, key)
        return -self.discriminator_loss(
            players.discriminator.params, players.discriminator.state, draw, key
        ).adversarial

    def losses(self, players: Players, batch: Batch, key: Array) -> tuple[Array, Array]:
        """Return both players' whole losses (generator, discriminator) as functions of both players."""
        draw, _ = self.draw(players.generator.params, players.generator.state, batch, key)
        evaluated = self.discriminator_loss(players.discriminator.params, players.discriminator.state, draw, key)
        loss = self.generator_loss(players.discriminator.params, players.discriminator.state, draw, key)
        for term in self.generator_terms.values():
            loss = loss + term(draw)
        return loss, evaluated.adversarial + evaluated.own


def slice_batch(batch: Batch, index: int) -> Batch:
    """Return the slice of a stacked batch that belongs to one critic step."""
    return jax.tree.map(lambda x: x[index], batch)
