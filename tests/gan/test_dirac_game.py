"""The Dirac game, whose linearised dynamics are known in closed form, played by the alternating optimizer.

Data at 0, one sample at theta, discriminator D(x) = psi x. With R1 the continuous-time eigenvalues at the
equilibrium are -gamma/2 +- sqrt(gamma^2/4 - f'(0)^2) (Mescheder, Geiger and Nowozin 2018, lemma 4.3).
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan import regularizers
from gan.game import Batch, Draw, Game, Judgement, Player, Players
from gan.objectives import objective
from gan.optimizers.alternating import Alternating

pytestmark = pytest.mark.float64


def dirac_game(name: str, gamma: float) -> Game:
    losses = objective(name)
    one = jnp.ones(1)

    def draw(theta, rest, batch, key):
        valid = jnp.ones((1, 1), bool)
        return Draw(theta[None, None, None], batch.real, {}, valid, batch.place, batch.progress), rest

    def logits(psi, x):
        return psi * x[:, 0]

    def judge(psi, rest, seen, key):
        real, gradient = regularizers.logits_and_gradient(lambda x: logits(psi, x), seen.real)
        own = regularizers.zero_centred(gradient, gamma, one)
        fake = logits(psi, seen.samples[0])
        return Judgement(losses.discriminator(real, fake, one), own, {}, rest)

    def fool(psi, rest, seen, key):
        return losses.generator(logits(psi, seen.real), logits(psi, seen.samples[0]), one)

    return Game(draw, judge, fool, {}, losses.zero_sum)


def batch(critic_steps: int = 1) -> Batch:
    return Batch(jnp.zeros((critic_steps, 1, 1)), {}, jnp.zeros((critic_steps, 1), int), jnp.zeros(critic_steps))


def linearised(name: str, gamma: float, rate: float, critic_steps: int = 1) -> np.ndarray:
    """Eigenvalues of one update of (theta, psi) at the equilibrium."""
    game = dirac_game(name, gamma)
    optimizer = Alternating(optax.sgd(rate), optax.sgd(rate), critic_steps)

    def update(point):
        players = Players(Player(point[0], {}), Player(point[1], {}))
        players, _, _ = optimizer.update(game, players, optimizer.init(players), batch(critic_steps), jax.random.key(0))
        return jnp.stack([players.generator.params, players.discriminator.params])

    return np.sort_complex(np.linalg.eigvals(jax.jacobian(update)(jnp.zeros(2))))


@pytest.mark.parametrize(
    ("name", "slope"),
    [("minimax", 0.5), ("non_saturating", 0.5), ("wasserstein", 1.0), ("relativistic", 0.5)],
)
@pytest.mark.parametrize("gamma", [0.0, 0.6, 3.0])
def test_alternating_play_has_the_eigenvalues_of_its_closed_form(name, slope, gamma):
    """psi' = (1 - h gamma) psi - h f' theta and theta' = theta + h f' psi'."""
    rate = 0.2
    trace = 2 - rate * gamma - (rate * slope) ** 2
    determinant = 1 - rate * gamma
    root = np.sqrt(complex(trace**2 / 4 - determinant))
    expected = np.sort_complex(np.array([trace / 2 - root, trace / 2 + root]))
    np.testing.assert_allclose(linearised(name, gamma, rate), expected, atol=1e-12)


def test_small_steps_follow_the_continuous_game():
    gamma, slope, rate = 0.6, 0.5, 1e-4
    root = np.sqrt(complex(gamma**2 / 4 - slope**2))
    expected = np.sort_complex(np.array([-gamma / 2 - root, -gamma / 2 + root]))
    found = np.sort_complex((linearised("minimax", gamma, rate) - 1) / rate)
    np.testing.assert_allclose(found, expected, atol=2e-4)


def test_without_r1_alternating_play_circles_for_ever_and_with_r1_it_converges():
    assert np.allclose(np.abs(linearised("minimax", 0.0, 0.2)), 1.0)
    assert np.all(np.abs(linearised("minimax", 0.6, 0.2)) < 1.0)


def test_more_critic_steps_multiply_the_critics_contraction():
    """With two critic steps psi contracts twice before the generator moves: the determinant is (1 - h gamma)^2."""
    values = linearised("minimax", 0.6, 0.2, critic_steps=2)
    np.testing.assert_allclose(np.prod(values), (1 - 0.12) ** 2, atol=1e-12)


@pytest.mark.parametrize("name", ["minimax", "wasserstein", "relativistic_minimax"])
def test_the_shared_term_is_what_the_players_play_for(name):
    game = dirac_game(name, 0.6)
    seen = jax.tree.map(lambda x: x[0], batch())
    point = jnp.asarray([0.7, -1.3])

    def players(p):
        return Players(Player(p[0], {}), Player(p[1], {}))

    key = jax.random.key(0)
    shared = jax.grad(lambda p: game.shared(players(p), seen, key))(point)
    generator = jax.grad(lambda p: game.losses(players(p), seen, key)[0])(point)
    discriminator = jax.grad(lambda p: game.losses(players(p), seen, key)[1])(point)
    np.testing.assert_allclose(shared[0], generator[0], atol=1e-12)
    np.testing.assert_allclose(-shared[1] + 0.6 * point[1], discriminator[1], atol=1e-12)


def test_a_general_sum_game_refuses_to_name_a_shared_term():
    seen = jax.tree.map(lambda x: x[0], batch())
    players = Players(Player(jnp.zeros(()), {}), Player(jnp.zeros(()), {}))
    with pytest.raises(ValueError, match="not zero-sum"):
        dirac_game("relativistic", 0.0).shared(players, seen, jax.random.key(0))
