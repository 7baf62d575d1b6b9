"""Competitive gradient descent, plain and adaptive, zero-sum by conjugate gradients and general-sum by GMRES.

Each player answers the other's answer: the step is the Nash equilibrium of the game's local bilinear approximation
with a quadratic cost of moving (Schaefer and Anandkumar 2019, algorithm 1). With x = theta and y = psi, losses f(x, y)
of the generator and g(x, y) of the discriminator, and diagonal step sizes A_x, A_y (eta times the identity, or the
adaptive ones of :mod:`gan.optimizers.step_sizes`: Schaefer, Zheng and Anandkumar 2020, algorithm 1),

    dx = -A_x (grad_x f + D_xy f dy),      dy = -A_y (grad_y g + D_yx g dx).

Zero-sum: f = V + P(x), g = -V + R(y) with H = D_xy V. Eliminating dy and writing dx = -A_x^.5 w,

    (I + B B^T) w = A_x^.5 (grad_x f - H A_y grad_y g),  B = A_x^.5 H A_y^.5,      dy = -A_y grad_y g - A_y^.5 B^T w,

symmetric and positive definite: conjugate gradients, which know B^T w.

General-sum, with F = D_xy f, G = D_yx g and d = -A^.5 w,

    [ I                  A_x^.5 F A_y^.5 ] [w_x]   [A_x^.5 grad_x f]
    [ A_y^.5 G A_x^.5    I               ] [w_y] = [A_y^.5 grad_y g]

by GMRES. A player's own terms (penalties P of the generator, R1, R2 and other gradient penalties R of the
discriminator) take part with their gradients; only the adversarial terms interact, also where R looks at samples.

In a bilinear zero-sum game with equal step sizes eta and singular values s of H, one update has the eigenvalues
(1 -+ i eta s) / (1 + eta^2 s^2), of modulus (1 + eta^2 s^2)^(-1/2): it contracts for every step size.

Cost of a step: the gradients, one linearisation (two, general-sum), and for n iterations 2 n + 1 products (zero-sum) or
2 n (general-sum), each about a gradient's price. A warm start costs two more; on noisy gradients it has saved none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, PyTree

from gan.game import Batch, Game, Players
from gan.optimizers.gradients import (
    Pair,
    mean_over_devices,
    only_slice,
    parameters,
    vector_field,
    with_parameters,
)
from gan.optimizers.linear_solvers import Solution, conjugate_gradients, gmres
from gan.optimizers.products import products
from gan.optimizers.step_sizes import DiagonalSteps


class CompetitiveState(NamedTuple):
    """State of both players' step sizes, and both players' last steps, from which the next solve starts."""

    sizes: Pair
    last: Pair


class LocalGame(NamedTuple):
    """What a solve needs to know of the game around one point.

    Attributes:
        generator_loss, discriminator_loss: adversarial terms as functions of (x, y).
        point: both players' parameters.
        gradients: of each player's own whole loss.
        sizes: diagonal step sizes.
        last: both players' last steps.
        axis_name: mapped axis over which products are averaged.
    """

    generator_loss: Callable[[PyTree, PyTree], Array]
    discriminator_loss: Callable[[PyTree, PyTree], Array]
    point: Pair
    gradients: Pair
    sizes: Pair
    last: Pair
    axis_name: str | None


@dataclass(frozen=True)
class Competitive:
    """Competitive gradient descent.

    Attributes:
        generator: diagonal step sizes of the generator.
        discriminator: diagonal step sizes of the discriminator.
        general_sum: solve the block system by GMRES, for any game; otherwise the game must be zero-sum.
        iterations: most iterations of the linear solver.
        tolerance: relative residual at which it stops.
        warm_start: start from the last step.
        half: multiply in bfloat16 inside the products; vectors and sums of the solve keep their precision.
        limit: largest root mean square of a step in one array, in step sizes (0: any).
        clip: largest gradient norm of each player before the solve (0: any).
    """

    generator: DiagonalSteps
    discriminator: DiagonalSteps
    general_sum: bool = False
    iterations: int = 20
    tolerance: float = 1e-4
    warm_start: bool = False
    half: bool = False
    limit: float = 0.0
    clip: float = 0.0

    def init(self, players: Players) -> CompetitiveState:
        """Return the first state."""
        params = parameters(players)
        sizes = Pair(self.generator.init(params.generator), self.discriminator.init(params.discriminator))
        return CompetitiveState(sizes, optax.tree.zeros_like(params))

    def update(
        self,
        game: Game,
        players: Players,
        state: CompetitiveState,
        batch: Batch,
        key: Array,
        axis_name: str | None = None,
    ) -> tuple[Players, CompetitiveState, dict[str, Array]]:
        """Move both players at once; arguments and results as in :meth:`Alternating.update`.

        Raises:
            ValueError: the batch holds several critic steps, or a zero-sum solve is asked of another game.
        """
        part, point = only_slice(batch, "competitive"), parameters(players)
        if not self.general_sum and not game.zero_sum:
            raise ValueError(
                "Competitive gradient descent by conjugate gradients needs a zero-sum game, and this one's losses "
                "do not add up to zero: choose game.objective minimax, wasserstein or relativistic_minimax, or "
                "optimizer.scheme = 'competitive_general_sum'."
            )
        field = vector_field(game, players, part, key, axis_name)
        gradients = Pair(*(self._clipped(gradient) for gradient in field.gradients))
        (rate_x, a_x, size_x), (rate_y, a_y, size_y) = (
            sizes.measure(gradient, memory)
            for sizes, gradient, memory in zip((self.generator, self.discriminator), gradients, state.sizes)
        )
        losses = adversarial_losses(game, players, part, key)
        local = LocalGame(*losses, point, gradients, Pair(a_x, a_y), state.last, axis_name)
        step, solution = self._general_sum(local) if self.general_sum else self._zero_sum(local)
        if self.limit > 0:
            step = Pair(*(_limited(s, self.limit * rate) for s, rate in zip(step, (rate_x, rate_y))))
        metrics = field.metrics | {
            "inner_iterations": solution.iterations.astype(jnp.float32),
            "inner_residual": solution.residual,
        }
        return (
            with_parameters(players, optax.tree.add(point, step), field.network_states),
            CompetitiveState(Pair(size_x, size_y), step),
            mean_over_devices(metrics, axis_name),
        )

    def _zero_sum(self, local: LocalGame) -> tuple[Pair, Solution]:
        x, y = local.point
        # The generator's own form of V: where it leaves the data out, the products do not pass them through either.
        mixed = products(lambda y: jax.grad(local.generator_loss)(x, y), y, local.axis_name, self.half)
        (f_x, g_y), (a_x, a_y) = local.gradients, local.sizes
        root_x, root_y = jax.tree.map(jnp.sqrt, (a_x, a_y))
        times = optax.tree.mul

        def product(v: Any) -> Any:
            return times(root_x, mixed.forward(times(root_y, v)))

        def transposed(w: Any) -> Any:
            return times(root_y, mixed.transposed(times(root_x, w)))

        right = times(root_x, optax.tree.sub(f_x, mixed.forward(times(a_y, g_y))))
        guess = optax.tree.scale(-1.0, optax.tree.div(local.last.generator, root_x)) if self.warm_start else None
        unrolled = mixed.convolves and jax.default_backend() == "cpu"
        solution, image = conjugate_gradients(
            product, transposed, right, guess, self.iterations, self.tolerance, unrolled
        )
        d_x = optax.tree.scale(-1.0, times(root_x, solution.value))
        d_y = optax.tree.scale(-1.0, optax.tree.add(times(a_y, g_y), times(root_y, image)))
        return Pair(d_x, d_y), solution

    def _general_sum(self, local: LocalGame) -> tuple[Pair, Solution]:
        x, y = local.point
        of_f = products(lambda y: jax.grad(local.generator_loss)(x, y), y, local.axis_name, self.half)
        # D_yx g as a transposed product: a product along x would push tangents through the generator's solver, which
        # only knows how to pull back.
        of_g = products(lambda y: jax.grad(local.discriminator_loss)(x, y), y, local.axis_name, self.half)
        root = jax.tree.map(jnp.sqrt, local.sizes)
        times = optax.tree.mul

        def matrix(w: Pair) -> Pair:
            moved = times(root, w)
            change = Pair(of_f.forward(moved.discriminator), of_g.transposed(moved.generator))
            return optax.tree.add(w, times(root, change))

        guess = optax.tree.scale(-1.0, optax.tree.div(local.last, root)) if self.warm_start else None
        unrolled = (of_f.convolves or of_g.convolves) and jax.default_backend() == "cpu"
        solution = gmres(matrix, times(root, local.gradients), guess, self.iterations, self.tolerance, unrolled)
        return optax.tree.scale(-1.0, times(root, solution.value)), solution

    def _clipped(self, gradient: Any) -> Any:
        if self.clip <= 0:
            return gradient
        return optax.clip_by_global_norm(self.clip).update(gradient, optax.EmptyState())[0]


def adversarial_losses(game: Game, players: Players, part: Batch, key: Array) -> tuple[PyTree, PyTree]:
    """Return both players' adversarial terms as functions of (x, y), with the draws of :func:`vector_field`."""
    draw_key, discriminator_key = jax.random.split(key)
    network_state = players.discriminator.state

    def drawn(x: Any) -> Any:
        return game.draw(x, players.generator.state, part, draw_key)[0]

    def generator_loss(x: Any, y: Any) -> Array:
        return game.generator_loss(y, network_state, drawn(x), discriminator_key)

    def discriminator_loss(x: Any, y: Any) -> Array:
        return game.discriminator_loss(y, network_state, drawn(x), discriminator_key).adversarial

    return generator_loss, discriminator_loss


def _limited(step: Any, threshold: Array) -> Any:
    return optax.clip_by_block_rms(threshold).update(step, optax.EmptyState())[0]
