"""Adversarial objectives: what the discriminator and the generator each minimise, as functions of logits.

With logits ``r = D(real)`` and ``f = D(fake)`` and ``s(t) = log(1 + exp t)`` (softplus):

====================  =============================  =========================  ==============================
name                  discriminator minimises        generator minimises        source
====================  =============================  =========================  ==============================
minimax               E s(-r) + E s(f)               -E s(f) (zero-sum)         Goodfellow et al. 2014, eq. 1
non_saturating        E s(-r) + E s(f)               E s(-f)                    Goodfellow et al. 2014, sec. 3
least_squares         (E (r-1)^2 + E f^2) / 2        E (f-1)^2 / 2              Mao et al. 2017, eq. 9
hinge                 E max(0, 1-r) + E max(0, 1+f)  -E f                       Lim and Ye 2017
wasserstein           E f - E r                      -E f (zero-sum)            Arjovsky et al. 2017
relativistic          E s(f - r), pairwise           E s(r - f)                 Huang et al. 2024 (R3GAN)
relativistic_minimax  E s(f - r)                     -E s(f - r) (zero-sum)     Sun et al. 2020, eq. 5
====================  =============================  =========================  ==============================

``minimax`` is Goodfellow's game: the shared term V = E log sigmoid(r) + E log(1 - sigmoid(f)), which the
generator lowers and the discriminator raises. As in the papers, the generator's loss leaves out what does
not depend on it, so the two losses of a zero-sum objective add up to zero in their gradients with respect
to the fakes. Each function takes a weight per fake sample (0 for one that the solver could not carry on);
means always divide by the whole batch, so that a refused sample changes no other sample's gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Logits = Float[Array, " batch"]
Loss = Float[Array, ""]


class Objective(NamedTuple):
    """An adversarial objective.

    Attributes:
        discriminator: (real logits, fake logits, weight of each fake) -> scalar that the discriminator
            minimises.
        generator: the same arguments -> scalar that the generator minimises.
        zero_sum: whether the two add up to zero, up to a term without gradient for the generator.
        real_in_generator: whether the generator's loss needs the logits of real data.
    """

    discriminator: Callable[[Logits, Logits, Logits], Loss]
    generator: Callable[[Logits, Logits, Logits], Loss]
    zero_sum: bool
    real_in_generator: bool


def minimax_discriminator(real: Logits, fake: Logits, weight: Logits) -> Loss:
    """E s(-r) + E s(f), the negative of Goodfellow's V."""
    return jnp.mean(jax.nn.softplus(-real)) + jnp.mean(weight * jax.nn.softplus(fake))


def minimax_generator(real: Logits, fake: Logits, weight: Logits) -> Loss:
    """-E s(f), that is E log(1 - sigmoid(f)): the generator lowers what the discriminator raises."""
    return -jnp.mean(weight * jax.nn.softplus(fake))


def non_saturating_generator(real: Logits, fake: Logits, weight: Logits) -> Loss:
    """E s(-f), that is -E log sigmoid(f): the same fixed point, gradients that do not vanish early."""
    return jnp.mean(weight * jax.nn.softplus(-fake))


def least_squares_discriminator(real: Logits, fake: Logits, weight: Logits) -> Loss:
    """Half of E (r - 1)^2 + E f^2."""
    return 0.5 * (jnp.mean((real - 1.0) ** 2) + jnp.mean(weight * fake**2))


def least_squares_generator(real: Logits, fake: Logits, weight: Logits) -> Loss:
    """Half of E (f - 1)^2."""
    return 0.5 * jnp.mean(weight * (fake - 1.0) ** 2)


def hinge_discriminator(real: Logits, fake: Logits, weight: Logits) -> Loss:
    """E max(0, 1 - r) + E max(0, 1 + f)."""
    return jnp.mean(jax.nn.relu(1.0 - real)) + jnp.mean(weight * jax.nn.relu(1.0 + fake))


def linear_generator(real: Logits, fake: Logits, weight: Logits) -> Loss:
    """-E f, the generator's side of the hinge and Wasserstein losses."""
    return -jnp.mean(weight * fake)


def wasserstein_discriminator(real: Logits, fake: Logits, weight: Logits) -> Loss:
    """E f - E r, where a refused fake takes its partner out of the difference too."""
    return jnp.mean(weight * (fake - real))


def relativistic_discriminator(real: Logits, fake: Logits, weight: Logits) -> Loss:
    """E s(f - r): a real sample should look more real than the fake it is paired with."""
    return jnp.mean(weight * jax.nn.softplus(fake - real))


def relativistic_generator(real: Logits, fake: Logits, weight: Logits) -> Loss:
    """E s(r - f): the fake should look more real than its partner."""
    return jnp.mean(weight * jax.nn.softplus(real - fake))


def relativistic_minimax_generator(real: Logits, fake: Logits, weight: Logits) -> Loss:
    """-E s(f - r): the zero-sum form, for optimizers that need one."""
    return -relativistic_discriminator(real, fake, weight)


TABLE: dict[str, Objective] = {
    "minimax": Objective(minimax_discriminator, minimax_generator, True, False),
    "non_saturating": Objective(minimax_discriminator, non_saturating_generator, False, False),
    "least_squares": Objective(least_squares_discriminator, least_squares_generator, False, False),
    "hinge": Objective(hinge_discriminator, linear_generator, False, False),
    "wasserstein": Objective(wasserstein_discriminator, linear_generator, True, False),
    "relativistic": Objective(relativistic_discriminator, relativistic_generator, False, True),
    "relativistic_minimax": Objective(relativistic_discriminator, relativistic_minimax_generator, True, True),
}


def objective(name: str) -> Objective:
    """Return the objective of that name.

    Raises:
        ValueError: the name is not in the table.
    """
    if name not in TABLE:
        raise ValueError(f"Objective {name!r} is not known: choose one of {', '.join(TABLE)}.")
    return TABLE[name]
