"""Simultaneous gradient updates over any two optax transforms, with optimism if the transforms are optimistic.

With w = (theta, psi) and the vector field F(w) = (grad_theta L_G, grad_psi L_D), both players move at once from the
same point,

    w <- w - h F(w)                                       plain (Mescheder, Geiger and Nowozin 2018, section 2)
    w_{t+1} = w_t - 2 h F(w_t) + h F(w_{t-1})             optimistic (Daskalakis et al. 2018)

At an equilibrium around which F is linear and -F has the eigenvalues lambda, one plain update has the eigenvalues
1 + h lambda, larger than one wherever lambda is imaginary; an optimistic one has
(1 + 2 h lambda +- sqrt(1 + 4 h^2 lambda^2)) / 2, smaller than one there for h |lambda| < 1/sqrt(3).

Cost of a step: one pass of the generator, which alternating updates make twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import optax
from jaxtyping import Array

from gan.game import Batch, Game, Players
from gan.optimizers.gradients import (
    GradientField,
    Pair,
    first_states,
    mean_over_devices,
    only_slice,
    parameters,
    stepped,
    vector_field,
    with_parameters,
)

FieldAt = Callable[[Pair, str | None], GradientField]
"""(parameters, mapped axis to average over) -> the vector field there, with the samples of this update."""


@dataclass(frozen=True)
class Simultaneous:
    """Simultaneous updates; optimistic if both transforms are. Other updates at once differ in :meth:`move` alone.

    Attributes:
        generator: optax transform of the generator.
        discriminator: optax transform of the discriminator.
    """

    generator: optax.GradientTransformation
    discriminator: optax.GradientTransformation

    @property
    def scheme(self) -> str:
        """What a configuration calls it."""
        return "simultaneous"

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
        """Move both players at once; arguments and results as in :meth:`Alternating.update`.

        Raises:
            ValueError: the batch holds several critic steps.
        """
        part = only_slice(batch, self.scheme)

        def field_at(params: Pair, axis: str | None) -> GradientField:
            return vector_field(game, with_parameters(players, params), part, key, axis)

        params, state, field = self.move(field_at, parameters(players), state, axis_name)
        return (
            with_parameters(players, params, field.network_states),
            state,
            mean_over_devices(field.metrics, axis_name),
        )

    def move(
        self, field_at: FieldAt, point: Pair, state: Pair, axis_name: str | None
    ) -> tuple[Pair, Pair, GradientField]:
        """Return the next parameters and states, and the field whose networks' rests and metrics are kept."""
        field = field_at(point, axis_name)
        return *self.stepped(field.gradients, state, point), field

    def stepped(self, direction: Pair, state: Pair, point: Pair) -> tuple[Pair, Pair]:
        """Return parameters and states after a step of both transforms from ``point`` against ``direction``."""
        return stepped(Pair(self.generator, self.discriminator), direction, state, point)
