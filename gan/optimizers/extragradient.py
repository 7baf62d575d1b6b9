"""Extragradient updates over any two optax transforms (Korpelevich 1976; Gidel et al. 2019, section 3.2, algorithm 4).

Both players look ahead, and go from where they were against the gradients that they find there:

    w' = w - h F(w),      w <- w - h F(w')

with F(w) = (grad_theta L_G, grad_psi L_D). At an equilibrium around which -F is linear with the eigenvalues lambda,
one update has the eigenvalues 1 + h lambda + (h lambda)^2, smaller than one for imaginary lambda with h |lambda| < 1.

With Adam in place of plain steps both gradients enter the moments, as in algorithm 4 (ExtraAdam), so each transform
is asked twice in an update. Both evaluations see the same data and latents: with fresh ones for the second the
method can leave a bilinear game (Mishchenko et al. 2020).

Cost of a step: twice that of simultaneous updates.
"""

from __future__ import annotations

from dataclasses import dataclass

from gan.optimizers.gradients import GradientField, Pair
from gan.optimizers.simultaneous import FieldAt, Simultaneous


@dataclass(frozen=True)
class Extragradient(Simultaneous):
    """Extragradient updates; each transform is used twice in an update."""

    @property
    def scheme(self) -> str:
        """What a configuration calls it."""
        return "extragradient"

    def move(
        self, field_at: FieldAt, point: Pair, state: Pair, axis_name: str | None
    ) -> tuple[Pair, Pair, GradientField]:
        """Extrapolate, then move both players; what is logged belongs to the extrapolated point."""
        here = field_at(point, axis_name)
        ahead, state = self.stepped(here.gradients, state, point)
        there = field_at(ahead, axis_name)
        return *self.stepped(there.gradients, state, point), there
