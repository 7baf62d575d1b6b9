"""Consensus optimization and symplectic gradient adjustment: the vector field bent towards equilibria.

With w = (theta, psi), F(w) = (grad_theta L_G, grad_psi L_D) and its Jacobian J, both players move against

    F + c J^T F                       consensus: a gradient step on c |F|^2 / 2 added (Mescheder, Nowozin and
                                      Geiger 2017, section 4, their gamma is c)
    F + s c A^T F, A = (J - J^T)/2    symplectic gradient adjustment (Balduzzi et al. 2018, algorithm 1, their
                                      lambda is s c), s = sign(<F, J^T F> <A^T F, J^T F> / d + 1/10), d numbers in w

At an equilibrium around which F = J w, an update w <- w - h (...) has the eigenvalues of 1 - h (J + c J^T J) and of
1 - h (J + c A^T J): for J = [[0, b], [-b, 0]] both are 1 - h c b^2 +- i h b, inside the unit circle for h b^2 (1 + c^2
b^2) < 2 c b^2. Consensus is also drawn to points where F vanishes without being an equilibrium; the adjustment leaves
potential games alone (there A = 0).

At the start of a training |J| is easily 1e5, as penalties of a rough discriminator are steep, and a constant c makes
the game one of shrinking |F|. So the adjustment can be kept from being longer than a multiple of |F|; where c |J| is
below that, it is as published.

Matrix-free: J^T F and J F are products with the linearised field, taken with the same samples. Cost of a step: the
gradient and one (consensus) or two (adjustment) products, each two to three times a gradient.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import optax

from gan.optimizers.gradients import GradientField, Pair, mean_over_devices
from gan.optimizers.simultaneous import FieldAt, Simultaneous

ADJUSTMENTS = ("consensus", "symplectic")
ALIGNMENT = 0.1


def shortened(change: Pair, limit: float, gradients: Pair) -> Pair:
    """Return the change at no more than ``limit`` lengths of the gradients; zero stays zero."""
    square, most = optax.tree.vdot(change, change), limit**2 * optax.tree.vdot(gradients, gradients)
    longer = square > most
    share = jnp.where(longer, most / jnp.where(longer, square, 1.0), 1.0)
    return optax.tree.scale(jnp.sqrt(share), change)


@dataclass(frozen=True)
class Adjusted(Simultaneous):
    """Simultaneous updates against an adjusted field, each transform applied to its player's part of it.

    Attributes:
        weight: of the adjustment, c above.
        adjustment: "consensus" or "symplectic".
        limit: largest length of the adjustment, in lengths of F (0: none, as published).
    """

    weight: float
    adjustment: str
    limit: float = 0.0

    def __post_init__(self) -> None:
        if self.adjustment not in ADJUSTMENTS:
            raise ValueError(f"adjustment = {self.adjustment!r} is not known: choose one of {', '.join(ADJUSTMENTS)}.")

    @property
    def scheme(self) -> str:
        """What a configuration calls it."""
        return self.adjustment

    def move(
        self, field_at: FieldAt, point: Pair, state: Pair, axis_name: str | None
    ) -> tuple[Pair, Pair, GradientField]:
        """Move both players at once against the adjusted field."""
        field = field_at(point, axis_name)
        # The products are averaged over devices, not the linearised field: nothing is differentiated through a mean.
        _, product = jax.linearize(lambda params: field_at(params, None).gradients, point)
        (pulled,) = jax.linear_transpose(product, point)(field.gradients)
        pulled = mean_over_devices(pulled, axis_name)
        if self.adjustment == "consensus":
            change = optax.tree.scale(self.weight, pulled)
        else:
            pushed = mean_over_devices(product(field.gradients), axis_name)
            skew = optax.tree.scale(0.5, optax.tree.sub(pulled, pushed))
            size = optax.tree.size(point)
            along = optax.tree.vdot(field.gradients, pulled) * optax.tree.vdot(skew, pulled) / size
            change = optax.tree.scale(self.weight * jnp.sign(along + ALIGNMENT), skew)
        if self.limit > 0:
            change = shortened(change, self.limit, field.gradients)
        params, state = self.stepped(optax.tree.add(field.gradients, change), state, point)
        metrics = field.metrics | {"gradient_adjustment": optax.global_norm(change)}
        return params, state, field._replace(metrics=metrics)
