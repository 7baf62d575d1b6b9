"""Lookahead around any game optimizer (Chavdarova et al. 2021, algorithm 1, Lookahead-minmax).

A slow copy w~ of **both** players' parameters w is kept. After every k updates of the wrapped optimizer

    w~ <- w~ + a (w - w~),      w <- w~

so that one round has the eigenvalues 1 - a + a mu^k, where mu are those of one wrapped update: a rotation
(|mu| slightly above or at one) is averaged out, because the chord of an arc lies inside the circle.

Cost of a step: one copy of the parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int

from gan.game import Batch, Game, Players
from gan.optimizers.gradients import Pair, parameters, with_parameters


class LookaheadState(NamedTuple):
    """State of the wrapped optimizer, slow parameters of both players, updates made."""

    wrapped: Any
    slow: Pair
    updates: Int[Array, ""]


@dataclass(frozen=True)
class Lookahead:
    """Lookahead around a game optimizer.

    Attributes:
        wrapped: the game optimizer that makes the updates.
        steps: updates between two pulls (k).
        share: how far the slow parameters go towards the fast ones (a).
    """

    wrapped: Any
    steps: int
    share: float = 0.5

    def init(self, players: Players) -> LookaheadState:
        """Return the first state; the slow parameters are a copy, since the state's arrays are donated."""
        slow = jax.tree.map(jnp.array, parameters(players))
        return LookaheadState(self.wrapped.init(players), slow, jnp.zeros((), jnp.int32))

    def update(
        self,
        game: Game,
        players: Players,
        state: LookaheadState,
        batch: Batch,
        key: Array,
        axis_name: str | None = None,
    ) -> tuple[Players, LookaheadState, dict[str, Array]]:
        """Make one wrapped update and, every ``steps`` of them, pull; arguments and results as wrapped."""
        players, wrapped, metrics = self.wrapped.update(game, players, state.wrapped, batch, key, axis_name=axis_name)
        updates = state.updates + 1
        fast, pulled = parameters(players), updates % self.steps == 0
        share = jnp.where(pulled, self.share, 0.0)
        slow = optax.incremental_update(fast, state.slow, share)
        params = jax.tree.map(lambda s, f: jnp.where(pulled, s, f), slow, fast)
        return with_parameters(players, params), LookaheadState(wrapped, slow, updates), metrics
