"""Extragradient play over any two optax transforms (Korpelevich 1976; Gidel et al. 2019, eq. 8 and algorithm 4).

Both players look ahead, and go from where they were against the gradients that they find there:

    w' = w - h F(w),      w <- w - h F(w')

with F(w) = (grad_theta L_G, grad_psi L_D). At an equilibrium around which -F is linear with the eigenvalues lambda,
one update has the eigenvalues 1 + h lambda + (h lambda)^2, smaller than one for imaginary lambda with h |lambda| < 1.

With Adam in place of plain steps both gradients enter the moments, as in algorithm 4 (ExtraAdam), so each transform
is asked twice in an update. Both evaluations see the same data and latents: with fresh ones for the second the
method can leave a bilinear game (Mishchenko et al. 2020, section 3).

Cost of a step: twice that of simultaneous play.
"""

from __future__ import annotations

from dataclasses import dataclass

import optax
from jaxtyping import Array

from gan.game import Batch, Game, Players
from gan.optimizers.gradients import (
    Pair,
    first_states,
    mean_over_devices,
    only_slice,
    parameters,
    stepped,
    vector_field,
    with_parameters,
)


@dataclass(frozen=True)
class Extragradient:
    """Extragradient play.

    Attributes:
        generator: optax transform of the generator, used twice in an update.
        discriminator: optax transform of the discriminator, used twice in an update.
    """

    generator: optax.GradientTransformation
    discriminator: optax.GradientTransformation

    def init(self, players: Players) -> Pair:
        """Return the first state of both transforms."""
        return first_states(self.generator, self.discriminator, players)

    def update(
        self,
        game: Game,
        players: Players,
        state: Pair,
        batch: Batch,
        key: Array,
        axis_name: str | None = None,
    ) -> tuple[Players, Pair, dict[str, Array]]:
        """Extrapolate, then move both players; arguments and results as in :meth:`Alternating.update`.

        What is logged belongs to the extrapolated point, whose gradients moved the players.

        Raises:
            ValueError: the batch holds several critic steps.
        """
        part, start = only_slice(batch, "extragradient"), parameters(players)
        transforms = Pair(self.generator, self.discriminator)
        here = vector_field(game, players, part, key, axis_name)
        ahead, state = stepped(transforms, here.gradients, state, start)
        there = vector_field(game, with_parameters(players, ahead), part, key, axis_name)
        params, state = stepped(transforms, there.gradients, state, start)
        return with_parameters(players, params, there.rests), state, mean_over_devices(there.metrics, axis_name)
