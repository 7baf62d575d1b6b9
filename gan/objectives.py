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
relativistic          E s(f - r), pairwise           E s(r - f)                 Jolicoeur-Martineau 2018
relativistic_minimax  E s(f - r)                     -E s(f - r) (zero-sum)     Sun et al. 2020
relativistic_average  E s(F - r) + E s(f - R)        E s(r - F) + E s(R - f)    Jolicoeur-Martineau 2018
====================  =============================  =========================  ==============================

with F = E f and R = E r over the whole batch on all devices. R3GAN (Huang et al. 2024) states ``relativistic_minimax``
(eq. 2, D with the other sign); its published code plays ``relativistic``.

``minimax`` is Goodfellow's game: the shared term V = E log sigmoid(r) + E log(1 - sigmoid(f)), which the
generator lowers and the discriminator raises. As in the papers, the generator's loss leaves out what does
not depend on it, so the two losses of a zero-sum objective add up to zero in their gradients with respect
to the fakes. Each function takes a weight per fake sample (0 for one that the solver could not advance);
means always divide by the whole batch, so that a refused sample changes no other sample's gradient (but in the
average relativistic loss, where it leaves the mean F that all others are compared with).

Options of minimax and non_saturating: with label smoothing e the discriminator's term at data becomes
(1 - e) E s(-r) + e E s(r) (one-sided, Salimans et al. 2016, section 3.4), and its terms at data and at fakes take
weights of their own, which are the discriminator's alone (as in Zadorozhnyy, Cheng and Ye 2021, who adapt them); the
minimax generator's loss takes the weight of the fakes too, so that it stays zero-sum.
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


def weighted_minimax(smoothing: float, real_weight: float, fake_weight: float, saturating: bool) -> Objective:
    """Return the minimax or non-saturating objective with label smoothing and a weighted discriminator.

    The non-saturating generator's loss is no term of the discriminator's and takes no weight.
    """

    def discriminator(real: Logits, fake: Logits, weight: Logits) -> Loss:
        # s(r) = s(-r) + r
        at_data = jnp.mean(jax.nn.softplus(-real) + smoothing * real)
        return real_weight * at_data + fake_weight * jnp.mean(weight * jax.nn.softplus(fake))

    def generator(real: Logits, fake: Logits, weight: Logits) -> Loss:
        return fake_weight * minimax_generator(real, fake, weight)

    return Objective(discriminator, generator if saturating else non_saturating_generator, saturating, False)


def relativistic_average(axis_name: str | None = None) -> Objective:
    """Return the relativistic average objective, its means over the devices of ``axis_name``."""

    def mean(x: Array) -> Array:
        return jnp.mean(x) if axis_name is None else jax.lax.pmean(jnp.mean(x), axis_name)

    def loss(high: Logits, low: Logits, high_weight: Logits, low_weight: Logits) -> Loss:
        """``high`` should be above the mean of ``low`` and the other way round."""
        means = [mean(w * x) / jnp.maximum(mean(w), 1e-6) for w, x in ((high_weight, high), (low_weight, low))]
        over = jnp.mean(high_weight * jax.nn.softplus(means[1] - high))
        return over + jnp.mean(low_weight * jax.nn.softplus(low - means[0]))

    return Objective(
        lambda real, fake, weight: loss(real, fake, jnp.ones_like(real), weight),
        lambda real, fake, weight: loss(fake, real, weight, jnp.ones_like(real)),
        False,
        True,
    )


TABLE: dict[str, Objective] = {
    "minimax": Objective(minimax_discriminator, minimax_generator, True, False),
    "non_saturating": Objective(minimax_discriminator, non_saturating_generator, False, False),
    "least_squares": Objective(least_squares_discriminator, least_squares_generator, False, False),
    "hinge": Objective(hinge_discriminator, linear_generator, False, False),
    "wasserstein": Objective(wasserstein_discriminator, linear_generator, True, False),
    "relativistic": Objective(relativistic_discriminator, relativistic_generator, False, True),
    "relativistic_minimax": Objective(relativistic_discriminator, relativistic_minimax_generator, True, True),
    "relativistic_average": relativistic_average(),
}


def objective(
    name: str,
    *,
    label_smoothing: float = 0.0,
    real_weight: float = 1.0,
    fake_weight: float = 1.0,
    axis_name: str | None = None,
) -> Objective:
    """Return the objective of that name.

    Args:
        name: a key of the table.
        label_smoothing: share by which the target at data falls short of one (minimax, non_saturating).
        real_weight: factor of the discriminator's term at data (minimax, non_saturating).
        fake_weight: factor of the discriminator's term at fakes (minimax, non_saturating), and of the generator's
            loss in minimax, which is the same term. The non-saturating loss is a second one, without a weight.
        axis_name: mapped axis of devices, for means over the whole batch.

    Raises:
        ValueError: the name is not in the table, or its objective has no such options.
    """
    if name not in TABLE:
        raise ValueError(f"Objective {name!r} is not known: choose one of {', '.join(TABLE)}.")
    if name in ("minimax", "non_saturating"):
        return weighted_minimax(label_smoothing, real_weight, fake_weight, name == "minimax")
    if (label_smoothing, real_weight, fake_weight) != (0.0, 1.0, 1.0):
        raise ValueError(
            f"Objective {name!r} has no label smoothing and no weights of its terms: leave label_smoothing at 0 and "
            "both weights at 1, or choose minimax or non_saturating."
        )
    return relativistic_average(axis_name) if name == "relativistic_average" else TABLE[name]
