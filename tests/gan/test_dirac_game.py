"""The Dirac game, whose linearised dynamics are known in closed form, played by every non-adaptive optimizer.

Data at 0, one sample at theta, discriminator D(x) = psi x. With R1 the continuous-time eigenvalues at the
equilibrium are -gamma/2 +- sqrt(gamma^2/4 - f'(0)^2) (Mescheder, Geiger and Nowozin 2018, lemma 3.3).
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan.config import GameConfig, OptimizerConfig
from gan.dirac import dirac_game, orbit
from gan.game import Batch, Player, Players
from gan.optimizers.alternating import Alternating
from gan.optimizers.lookahead import Lookahead
from gan.optimizers.selection import game_optimizer

pytestmark = pytest.mark.float64


def batch(critic_steps: int = 1) -> Batch:
    return Batch(jnp.zeros((critic_steps, 1, 1)), {}, jnp.zeros((critic_steps, 1), int), jnp.zeros(critic_steps))


def players_at(point: Any) -> Players:
    return Players(Player(point[0], {}), Player(point[1], {}))


def sorted_pair(half_trace: complex, determinant: complex) -> np.ndarray:
    """Eigenvalues of a 2 x 2 matrix."""
    root = np.sqrt(complex(half_trace**2 - determinant))
    return np.sort_complex(np.array([half_trace - root, half_trace + root]))


def linearised(
    name: str, gamma: float, optimizer: Any, critic_steps: int = 1, updates: int = 1, penalty: str = "r1"
) -> np.ndarray:
    """Eigenvalues of some updates of (theta, psi) and of what the optimizer remembers, at the equilibrium."""
    game = dirac_game(name, gamma, penalty)
    start = optimizer.init(Players(Player(jnp.zeros(()), {}), Player(jnp.zeros(()), {})))
    # What the first update treats in another way than all others (optimism has no past there) is behind.
    start = optimizer.update(game, players_at(jnp.zeros(2)), start, batch(critic_steps), jax.random.key(0))[1]
    paths, structure = jax.tree_util.tree_flatten_with_path(start)
    leaves = [leaf for _, leaf in paths]
    moving = [i for i, (path, _) in enumerate(paths) if "previous_gradient" in jax.tree_util.keystr(path)]

    def update(point):
        players, state = players_at(point[:2]), list(leaves)
        for place, value in zip(moving, point[2:]):
            state[place] = value
        state = jax.tree.unflatten(structure, state)
        for _ in range(updates):
            players, state, _ = optimizer.update(game, players, state, batch(critic_steps), jax.random.key(0))
        memory = [jax.tree.leaves(state)[place] for place in moving]
        return jnp.stack([players.generator.params, players.discriminator.params, *memory])

    point = jnp.concatenate([jnp.zeros(2), jnp.stack([leaves[i] for i in moving])]) if moving else jnp.zeros(2)
    # Rounded, because sorting goes by the real part first and conjugates may differ there in the last bit.
    return np.sort_complex(np.round(np.linalg.eigvals(jax.jit(jax.jacobian(update))(point)), 12))


def alternating(rate: float, critic_steps: int = 1) -> Alternating:
    return Alternating(optax.sgd(rate), optax.sgd(rate), critic_steps)


def scheme(name: str, rate: float, **options: Any) -> Any:
    """The game optimizer that a configuration names, with plain steps of a constant size."""
    return game_optimizer(constant(rate, scheme=name, transform="sgd", **options), GameConfig("minimax"), 1000)


def constant(rate: float, **options: Any) -> OptimizerConfig:
    return OptimizerConfig(schedule="constant", generator_rate=rate, discriminator_rate=rate, **options)


@pytest.mark.parametrize(
    ("name", "slope"),
    [("minimax", 0.5), ("non_saturating", 0.5), ("wasserstein", 1.0), ("relativistic", 0.5)],
)
@pytest.mark.parametrize("gamma", [0.0, 0.6, 3.0])
def test_alternating_updates_has_the_eigenvalues_of_its_closed_form(name, slope, gamma):
    """psi' = (1 - h gamma) psi - h f' theta and theta' = theta + h f' psi'."""
    rate = 0.2
    trace = 2 - rate * gamma - (rate * slope) ** 2
    determinant = 1 - rate * gamma
    expected = sorted_pair(trace / 2, determinant)
    np.testing.assert_allclose(linearised(name, gamma, alternating(rate)), expected, atol=1e-12)


def test_small_steps_follow_the_continuous_game():
    gamma, slope, rate = 0.6, 0.5, 1e-4
    root = np.sqrt(complex(gamma**2 / 4 - slope**2))
    expected = np.sort_complex(np.array([-gamma / 2 - root, -gamma / 2 + root]))
    found = np.sort_complex((linearised("minimax", gamma, alternating(rate)) - 1) / rate)
    np.testing.assert_allclose(found, expected, atol=2e-4)


def test_without_r1_alternating_updates_circles_for_ever_and_with_r1_it_converges():
    assert np.allclose(np.abs(linearised("minimax", 0.0, alternating(0.2))), 1.0)
    assert np.all(np.abs(linearised("minimax", 0.6, alternating(0.2))) < 1.0)


def test_more_critic_steps_multiply_the_critics_contraction():
    """With two critic steps psi contracts twice before the generator moves: the determinant is (1 - h gamma)^2."""
    values = linearised("minimax", 0.6, alternating(0.2, 2), critic_steps=2)
    np.testing.assert_allclose(np.prod(values), (1 - 0.12) ** 2, atol=1e-12)


RATE, SLOPE = 0.2, 0.5
GAMMAS = [0.0, 0.6, 3.0]


def continuous(gamma: float) -> np.ndarray:
    """lambda: eigenvalues of the continuous game (Mescheder, Geiger and Nowozin 2018, lemma 3.3)."""
    return sorted_pair(-gamma / 2, SLOPE**2)


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("name", ["minimax", "non_saturating"])
def test_simultaneous_updates_has_the_eigenvalues_of_an_explicit_step(name, gamma):
    expected = np.sort_complex(1 + RATE * continuous(gamma))
    np.testing.assert_allclose(linearised(name, gamma, scheme("simultaneous", RATE)), expected, atol=1e-7)


@pytest.mark.parametrize("gamma", GAMMAS)
def test_extragradient_has_the_eigenvalues_of_the_quadratic_of_its_step(gamma):
    step = RATE * continuous(gamma)
    expected = np.sort_complex(1 + step + step**2)
    np.testing.assert_allclose(linearised("minimax", gamma, scheme("extragradient", RATE)), expected, atol=1e-7)


@pytest.mark.parametrize("gamma", GAMMAS)
def test_optimistic_updates_has_two_eigenvalues_for_each_of_the_game(gamma):
    """mu^2 = (1 + 2 h lambda) mu - h lambda."""
    step = RATE * continuous(gamma)
    roots = np.concatenate([0.5 * (1 + 2 * step + sign * np.sqrt(1 + 4 * step**2)) for sign in (-1, 1)])
    found = linearised("minimax", gamma, scheme("optimistic", RATE))
    np.testing.assert_allclose(found, np.sort_complex(np.round(roots, 12)), atol=1e-7)


def game_matrix(gamma: float) -> np.ndarray:
    """J of the vector field F = J (theta, psi): the generator's loss is -slope theta psi."""
    return np.array([[0.0, -SLOPE], [SLOPE, gamma]])


@pytest.mark.parametrize("gamma", GAMMAS)
def test_consensus_adds_the_gradient_of_half_the_squared_field(gamma):
    matrix, weight = game_matrix(gamma), 1.5
    expected = np.sort_complex(np.linalg.eigvals(np.eye(2) - RATE * (matrix + weight * matrix.T @ matrix)))
    found = linearised("minimax", gamma, scheme("consensus", RATE, adjustment=weight))
    np.testing.assert_allclose(found, expected, atol=1e-7)


@pytest.mark.parametrize("gamma", GAMMAS)
def test_symplectic_adjustment_adds_the_field_turned_by_the_antisymmetric_part(gamma):
    matrix, weight = game_matrix(gamma), 1.5
    skew = 0.5 * (matrix - matrix.T)
    expected = np.sort_complex(np.linalg.eigvals(np.eye(2) - RATE * (matrix + weight * skew.T @ matrix)))
    found = linearised("minimax", gamma, scheme("symplectic", RATE, adjustment=weight))
    np.testing.assert_allclose(found, expected, atol=1e-7)


def images(optimizer: Any, gamma: float, distance: float = 1e-5) -> np.ndarray:
    """The update's matrix at the equilibrium from its images near by: a solver with a stop has no derivative there."""
    game = dirac_game("minimax", gamma)

    def update(point):
        players = players_at(point)
        players, _, _ = optimizer.update(game, players, optimizer.init(players), batch(), jax.random.key(0))
        return jnp.stack([players.generator.params, players.discriminator.params])

    return np.asarray(jax.jit(jax.vmap(update))(distance * jnp.eye(2))).T / distance


@pytest.mark.parametrize("name", ["competitive", "competitive_general_sum"])
@pytest.mark.parametrize("gamma", GAMMAS)
def test_competitive_updates_answers_the_answer_and_takes_the_penalty_as_a_force(name, gamma):
    """w - h (1 + h K)^-1 J w, where K is J without the penalty's curvature."""
    matrix, interaction = game_matrix(gamma), game_matrix(0.0)
    update = np.eye(2) - RATE * np.linalg.solve(np.eye(2) + RATE * interaction, matrix)
    optimizer = scheme(name, RATE, inner_tolerance=1e-12, inner_iterations=2)
    found = np.sort_complex(np.round(np.linalg.eigvals(images(optimizer, gamma)), 9))
    np.testing.assert_allclose(found, np.sort_complex(np.linalg.eigvals(update)), atol=1e-7)
    if gamma == 0.0:
        turn = RATE * SLOPE
        expected = np.array([1 - 1j * turn, 1 + 1j * turn]) / (1 + turn**2)
        np.testing.assert_allclose(found, expected, atol=1e-7)


def trajectory(optimizer: Any, updates: int) -> np.ndarray:
    """Points (theta, psi) of the game without a penalty, from (1, 1)."""
    game = dirac_game("minimax", 0.0)
    return np.asarray(jax.jit(lambda start: orbit(game, optimizer, start, updates))(jnp.ones(2)))[1:]


def adaptive_competitive_points(rate: float, beta: float, updates: int) -> np.ndarray:
    """The same by hand: V = -log 2 - log(1 + exp(theta psi)), one number for each player."""
    x = y = 1.0
    squares, points = np.zeros(2), []
    for t in range(1, updates + 1):
        s = 1 / (1 + np.exp(-x * y))
        f, g, mixed = -s * y, s * x, -s - s * (1 - s) * x * y
        squares = beta * squares + (1 - beta) * np.array([f, g]) ** 2
        a, b = np.sqrt(1 - beta**t) * rate / (np.sqrt(squares) + 1e-5)
        step = -a * (f - mixed * b * g) / (1 + a * b * mixed**2)
        x, y = x + step, y - b * (g - mixed * step)
        points.append((x, y))
    return np.array(points)


def test_adaptive_competitive_updates_converges_where_alternating_adam_circles():
    options = {"transform": "adam", "beta2": 0.99, "beta2_final": 0.99, "update_limit": 0.0}
    adam = trajectory(game_optimizer(constant(0.1, **options), GameConfig(), 1000), 2000)
    config = constant(0.1, scheme="competitive", inner_tolerance=1e-12, **options)
    competitive = trajectory(game_optimizer(config, GameConfig(objective="minimax"), 1000), 600)
    circling = np.hypot(*adam[-500:].T)
    assert 0.1 < circling.min() < circling.max() < 0.5
    assert np.hypot(*competitive[-1]) < 1e-3
    np.testing.assert_allclose(competitive[:200], adaptive_competitive_points(0.1, 0.99, 200), atol=1e-5)


def test_adjusted_fields_have_their_closed_form_without_a_penalty():
    """J is a rotation by a right angle: both adjustments contract by h c slope^2 and leave the turning alone."""
    expected = sorted_pair(1 - RATE * 1.5 * SLOPE**2, (1 - RATE * 1.5 * SLOPE**2) ** 2 + (RATE * SLOPE) ** 2)
    for name in ("consensus", "symplectic"):
        found = linearised("minimax", 0.0, scheme(name, RATE, adjustment=1.5))
        np.testing.assert_allclose(found, expected, atol=1e-7)


@pytest.mark.parametrize("name", ["consensus", "symplectic"])
@pytest.mark.parametrize("weight", [0.5, 1e6])
def test_an_adjustment_is_not_longer_than_the_gradients(name, weight):
    """J is a rotation times the slope: weight 1/2 is below the limit, 1e6 turned back to the length of the field."""
    point, limit = jnp.array([3e-4, -4e-4]), 1.0
    optimizer = scheme(name, RATE, adjustment=weight, adjustment_limit=limit)
    game = dirac_game("minimax", 0.0)
    state = optimizer.init(players_at(point))
    moved, _, metrics = optimizer.update(game, players_at(point), state, batch(1), jax.random.key(0))[:3]
    # The field itself, from the unadjusted scheme.
    plain = scheme("simultaneous", RATE)
    free = plain.update(game, players_at(point), plain.init(players_at(point)), batch(1), jax.random.key(0))[0]
    field = (np.asarray(point) - [free.generator.params, free.discriminator.params]) / RATE
    change = (np.asarray(point) - [moved.generator.params, moved.discriminator.params]) / RATE - field
    expected = limit if weight > 1 else weight * SLOPE
    np.testing.assert_allclose(np.linalg.norm(change) / np.linalg.norm(field), expected, rtol=1e-5)
    np.testing.assert_allclose(metrics["gradient_adjustment"], np.linalg.norm(change), rtol=1e-6)


@pytest.mark.parametrize("name", ["alternating", "simultaneous", "extragradient"])
def test_r2_has_the_eigenvalues_of_r1(name):
    r1, r2 = (linearised("minimax", 0.6, scheme(name, RATE), penalty=penalty) for penalty in ("r1", "r2"))
    np.testing.assert_allclose(r1, r2, atol=1e-12)


def test_a_penalty_of_slopes_other_than_one_keeps_the_game_from_its_equilibrium():
    """It pulls |psi| to 1, where the sample is driven on: the orbit never rests, where that of R1 ends at (0, 0)."""
    start = jnp.asarray([0.5, 0.5])
    ends = {
        penalty: orbit(dirac_game("wasserstein", 1.0, penalty), alternating(0.1), start, 2000)[-500:]
        for penalty in ("r1", "gradient_penalty")
    }
    assert np.hypot(*ends["r1"].T).max() < 1e-6
    assert np.hypot(*ends["gradient_penalty"].T).min() > 0.1


@pytest.mark.parametrize("gamma", GAMMAS)
def test_lookahead_averages_the_power_of_what_it_wraps(gamma):
    """A round of k updates, which ends with a pull, has the eigenvalues 1 - a + a mu^k."""
    steps, share = 5, 0.4
    wrapped = linearised("minimax", gamma, alternating(RATE))
    expected = np.sort_complex(1 - share + share * wrapped**steps)
    found = round_of_lookahead("minimax", gamma, Lookahead(alternating(RATE), steps, share))
    np.testing.assert_allclose(found, expected, atol=1e-7)


def round_of_lookahead(name: str, gamma: float, optimizer: Lookahead) -> np.ndarray:
    game = dirac_game(name, gamma)

    def update(point):
        players = players_at(point)
        state = optimizer.init(players)
        for _ in range(optimizer.steps):
            players, state, _ = optimizer.update(game, players, state, batch(), jax.random.key(0))
        return jnp.stack([players.generator.params, players.discriminator.params])

    return np.sort_complex(np.linalg.eigvals(jax.jit(jax.jacobian(update))(jnp.zeros(2))))


def test_only_simultaneous_updates_spirals_out_of_the_game_without_a_penalty():
    largest = {
        name: np.abs(linearised("minimax", 0.0, scheme(name, RATE))).max()
        for name in ("simultaneous", "alternating", "optimistic", "extragradient")
    }
    assert largest["simultaneous"] > 1.004
    np.testing.assert_allclose(largest["alternating"], 1.0, atol=1e-7)
    assert max(largest[name] for name in ("optimistic", "extragradient")) < 0.9999


@pytest.mark.parametrize("name", ["simultaneous", "extragradient", "consensus", "competitive"])
def test_critic_steps_are_refused_where_both_players_move_at_once(name):
    with pytest.raises(ValueError, match=r"critic_steps = 2.*alternating"):
        game_optimizer(OptimizerConfig(scheme=name), GameConfig("minimax", critic_steps=2), 10)
    optimizer = scheme(name, 0.1)
    players = players_at(jnp.ones(2))
    with pytest.raises(ValueError, match=r"critic_steps = 2.*alternating"):
        optimizer.update(dirac_game("minimax", 0.0), players, optimizer.init(players), batch(2), jax.random.key(0))


@pytest.mark.parametrize("name", ["minimax", "wasserstein", "relativistic_minimax"])
def test_the_shared_term_is_what_the_players_scheme_for(name):
    game = dirac_game(name, 0.6)
    seen = jax.tree.map(lambda x: x[0], batch())
    point = jnp.asarray([0.7, -1.3])

    key = jax.random.key(0)
    shared = jax.grad(lambda p: game.shared(players_at(p), seen, key))(point)
    generator = jax.grad(lambda p: game.losses(players_at(p), seen, key)[0])(point)
    discriminator = jax.grad(lambda p: game.losses(players_at(p), seen, key)[1])(point)
    np.testing.assert_allclose(shared[0], generator[0], atol=1e-12)
    np.testing.assert_allclose(-shared[1] + 0.6 * point[1], discriminator[1], atol=1e-12)


def test_a_general_sum_game_refuses_to_name_a_shared_term():
    seen = jax.tree.map(lambda x: x[0], batch())
    players = Players(Player(jnp.zeros(()), {}), Player(jnp.zeros(()), {}))
    with pytest.raises(ValueError, match="not zero-sum"):
        dirac_game("relativistic", 0.0).shared(players, seen, jax.random.key(0))
