"""Competitive gradient descent against dense solutions, closed forms, and itself on several devices."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan.config import GameConfig, OptimizerConfig
from gan.game import Batch, DiscriminatorLoss, Game, GeneratedBatch, Player, Players
from gan.optimizers.competitive import Competitive
from gan.optimizers.linear_solvers import conjugate_gradients, gmres
from gan.optimizers.products import contains, in_bfloat16
from gan.optimizers.selection import game_optimizer
from gan.optimizers.step_sizes import adaptive_steps, constant_steps

SIZES = (5, 7)


def matrices(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    n, m = SIZES
    shapes = {"c": (n, m), "e": (n, m), "q": (n, n), "p": (m, m), "s": (n, n), "t": (m, m), "u": (n,), "v": (m,)}
    return {name: rng.standard_normal(shape) for name, shape in shapes.items()}


def quadratic_game(a: dict[str, np.ndarray], zero_sum: bool = True, own: bool = True) -> Game:
    """V = x Q x/2 + x C y - y P y/2 + u x - v y; the generator's own S, the discriminator's own T; x in two leaves."""
    mixing = a["c"] if zero_sum else a["e"]

    def draw(params, network_state, batch, key):
        valid = jnp.ones((1, batch.place.shape[0]), bool)
        return GeneratedBatch(params, batch.real, {}, valid, batch.place, batch.progress), network_state

    def joined(params):
        return jnp.concatenate([params["first"], params["second"]])

    def value(params, y, mixing):
        x = joined(params)
        return x @ a["q"] @ x / 2 + x @ mixing @ y - y @ a["p"] @ y / 2 + a["u"] @ x - a["v"] @ y

    def discriminator_loss(y, network_state, seen, key):
        # A device's share of the batch weighs its share of V, so that only the mean over devices is V.
        part = jnp.mean(seen.real)
        penalty = y @ a["t"] @ y / 2 if own else jnp.zeros(())
        return DiscriminatorLoss(-part * value(seen.samples, y, a["c"]), penalty, {}, network_state)

    def generator_loss(y, network_state, seen, key):
        return jnp.mean(seen.real) * value(seen.samples, y, mixing)

    terms = {"own": lambda seen: joined(seen.samples) @ a["s"] @ joined(seen.samples) / 2} if own else {}
    return Game(draw, discriminator_loss, generator_loss, terms, zero_sum)


def players_at(x: Any, y: Any) -> Players:
    return Players(Player({"first": x[:2], "second": x[2:]}, {}), Player(y, {}))


def batch(weights: Any = (1.0,)) -> Batch:
    weights = jnp.asarray(weights).reshape(1, -1, 1)
    return Batch(weights, {}, jnp.arange(weights.shape[1])[None], jnp.zeros(1))


def joined(step: Any) -> np.ndarray:
    return np.concatenate([step.generator.params["first"], step.generator.params["second"], step.discriminator.params])


def dense_step(a, x, y, a_x, a_y, zero_sum: bool, own: bool = True) -> np.ndarray:
    """dx = -A_x (grad_x f + D_xy f dy), dy = -A_y (grad_y g + D_yx g dx) as one dense system."""
    symmetric = {name: (a[name] + a[name].T) / 2 for name in "qpst"}
    mixing = a["c"] if zero_sum else a["e"]
    grad_f = symmetric["q"] @ x + mixing @ y + a["u"] + own * symmetric["s"] @ x
    grad_g = -(a["c"].T @ x - symmetric["p"] @ y - a["v"]) + own * symmetric["t"] @ y
    n, m = SIZES
    system = np.block([[np.eye(n), a_x[:, None] * mixing], [-a_y[:, None] * a["c"].T, np.eye(m)]])
    return np.linalg.solve(system, -np.concatenate([a_x * grad_f, a_y * grad_g]))


def exact(rate_x: float, rate_y: float, **options: Any) -> Competitive:
    steps = (constant_steps(optax.constant_schedule(rate)) for rate in (rate_x, rate_y))
    return Competitive(*steps, **{"iterations": 12, "tolerance": 1e-13, **options})


@pytest.mark.float64
@pytest.mark.parametrize("rates", [pytest.param((0.3, 0.3), marks=pytest.mark.slow), (0.05, 0.8)])
@pytest.mark.parametrize(("zero_sum", "general"), [(True, False), (True, True), (False, True)])
def test_the_step_is_the_dense_solution_of_both_players_answers(zero_sum, general, rates):
    a = matrices(0)
    x, y = np.random.default_rng(1).standard_normal(5), np.random.default_rng(2).standard_normal(7)
    game, players, optimizer = (
        quadratic_game(a, zero_sum),
        players_at(x, y),
        exact(*rates, general_sum=general, warm_start=True),
    )
    step = jax.jit(lambda players, state: optimizer.update(game, players, state, batch(), jax.random.key(0)))
    state = optimizer.init(players)
    for warm in (False, True):
        moved, state, metrics = step(players, state)
        expected = dense_step(a, x, y, np.full(5, rates[0]), np.full(7, rates[1]), zero_sum)
        np.testing.assert_allclose(joined(moved) - np.concatenate([x, y]), expected, rtol=1e-10, atol=1e-10)
        # From the solution itself a warm start has nothing left to do.
        assert metrics["inner_iterations"] == 0 if warm else 0 < metrics["inner_iterations"] <= 12
        assert metrics["inner_residual"] <= 1e-12


@pytest.mark.float64
@pytest.mark.parametrize("general", [False, True])
def test_the_adaptive_step_is_the_dense_solution_with_rms_step_sizes(general):
    a, rate, beta = matrices(3), 0.2, 0.9
    x, y = np.random.default_rng(1).standard_normal(5), np.random.default_rng(2).standard_normal(7)
    schedules = optax.constant_schedule(rate), optax.constant_schedule(beta)
    optimizer = Competitive(
        adaptive_steps(*schedules), adaptive_steps(*schedules), general_sum=general, iterations=12, tolerance=1e-13
    )
    game, players = quadratic_game(a), players_at(x, y)
    state, squares = optimizer.init(players), np.zeros(12)
    step = jax.jit(lambda players, state: optimizer.update(game, players, state, batch(), jax.random.key(0)))
    for t in (1, 2, 3):
        # With step sizes of zero interaction the dense step is the gradient itself.
        gradient = -dense_step({**a, "c": 0 * a["c"]}, x, y, np.ones(5), np.ones(7), True)
        gradient += np.concatenate([a["c"] @ y, -a["c"].T @ x])
        squares = beta * squares + (1 - beta) * gradient**2
        sizes = np.sqrt(1 - beta**t) * rate / (np.sqrt(squares) + 1e-5)
        point = np.concatenate([x, y]) + dense_step(a, x, y, sizes[:5], sizes[5:], True)
        players, state, _ = step(players, state)
        np.testing.assert_allclose(joined(players), point, rtol=1e-10, atol=1e-10)
        x, y = point[:5], point[5:]


@pytest.mark.float64
def test_unequal_rates_contract_a_bilinear_game_by_its_singular_values():
    """With step sizes h and k the eigenvalues are (1 -+ i sqrt(h k) s) / (1 + h k s^2)."""
    a = {name: 0 * value for name, value in matrices(0).items()} | {"c": matrices(0)["c"]}
    optimizer, game = exact(0.05, 0.8), quadratic_game(a, own=False)

    def update(point):
        players = players_at(point[:5], point[5:])
        moved, _, _ = optimizer.update(game, players, optimizer.init(players), batch(), jax.random.key(0))
        return jnp.concatenate([*moved.generator.params.values(), moved.discriminator.params])

    # The update is linear: its columns are its images of unit vectors.
    found = np.linalg.eigvals(np.asarray(jax.jit(jax.vmap(update))(jnp.eye(12))).T)
    product = np.sqrt(0.05 * 0.8) * np.linalg.svd(a["c"])[1]
    expected = np.concatenate([(1 + 1j * product) / (1 + product**2), (1 - 1j * product) / (1 + product**2), [1, 1]])
    np.testing.assert_allclose(np.sort(np.abs(found)), np.sort(np.abs(expected)), atol=1e-10)
    np.testing.assert_allclose(np.sort(found.imag), np.sort(expected.imag), atol=1e-10)


@pytest.mark.float64
@pytest.mark.parametrize(("general", "unrolled"), [pytest.param(False, True, marks=pytest.mark.slow), (True, False)])
def test_the_iterates_do_not_depend_on_the_number_of_devices(general, unrolled, monkeypatch):
    """Shares of unequal weight: no device knows V alone, so products that are not reduced would show."""
    a, weights = matrices(4), np.array([0.1, 2.5, 0.7, 0.7])
    x, y = np.random.default_rng(1).standard_normal(5), np.random.default_rng(2).standard_normal(7)
    optimizer, game = (
        exact(0.05, 0.8, general_sum=general, iterations=6, tolerance=1e-3, warm_start=True),
        quadratic_game(a),
    )
    if unrolled:
        monkeypatch.setattr("gan.optimizers.products.contains", lambda jaxpr, name: True)

    def step(players, state, shares, axis_name=None):
        return optimizer.update(game, players, state, shares, jax.random.key(0), axis_name=axis_name)

    players = players_at(x, y)
    spread = jax.tree.map(lambda leaf: jnp.stack([leaf] * 4), batch())._replace(
        real=jnp.asarray(weights).reshape(4, 1, 1, 1), place=jnp.arange(4).reshape(4, 1, 1)
    )
    mapped = jax.pmap(lambda *given: step(*given, "data"), axis_name="data", in_axes=(None, None, 0), out_axes=None)
    alone, single = (players, optimizer.init(players)), jax.jit(step)
    shared = alone
    for _ in range(3):
        *alone, metrics = single(*alone, batch(weights))
        *shared, others = mapped(*shared, spread)
        np.testing.assert_allclose(joined(shared[0]), joined(alone[0]), rtol=1e-12, atol=1e-12)
        assert metrics["inner_iterations"] == others["inner_iterations"]
    assert metrics["inner_iterations"] > 1


@pytest.mark.float64
@pytest.mark.parametrize("unrolled", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_both_solvers_reach_the_tolerance_and_stop_at_the_budget(unrolled):
    rng = np.random.default_rng(0)
    factor = rng.standard_normal((6, 6))
    positive, any_matrix = np.eye(6) + factor @ factor.T, np.eye(6) + 0.5 * factor
    right = jnp.asarray(rng.standard_normal(6))

    def by_conjugate_gradients(budget):
        factors = (lambda v: factor @ v), (lambda v: factor.T @ v)
        found, image = conjugate_gradients(*factors, right, None, budget, 1e-11, unrolled)
        return found._replace(value=(found.value, image))

    def by_gmres(matrix):
        return lambda budget: gmres(lambda v: matrix @ v, right, None, budget, 1e-11, unrolled)

    enough, few = (jax.jit(by_conjugate_gradients, static_argnums=0)(budget) for budget in (8, 3))
    np.testing.assert_allclose(positive @ enough.value[0], right, atol=1e-9)
    np.testing.assert_allclose(enough.value[1], factor.T @ enough.value[0], atol=1e-12)
    assert 3 < enough.iterations < 8 and few.iterations == 3
    true = np.linalg.norm(right - positive @ few.value[0]) / np.linalg.norm(right)
    np.testing.assert_allclose(few.residual, true, rtol=1e-6)
    assert few.residual > 1e-3
    for matrix in (positive, any_matrix):
        enough, few = (jax.jit(by_gmres(matrix), static_argnums=0)(budget) for budget in (8, 3))
        np.testing.assert_allclose(matrix @ enough.value, right, atol=1e-9)
        assert 3 < enough.iterations < 8 and few.iterations == 3
        # The best vector of the Krylov space, by its residual.
        krylov = np.stack([np.linalg.matrix_power(matrix, i) @ right for i in range(3)], 1)
        weights = np.linalg.lstsq(matrix @ krylov, right, rcond=None)[0]
        least = np.linalg.norm(right - matrix @ krylov @ weights) / np.linalg.norm(right)
        np.testing.assert_allclose(np.linalg.norm(right - matrix @ few.value) / np.linalg.norm(right), least, rtol=1e-6)
        np.testing.assert_allclose(few.residual, least, rtol=1e-6)


def test_a_zero_right_hand_side_has_the_zero_solution():
    for unrolled in (False, True):

        def both(right, start, unrolled=unrolled):
            one, _ = conjugate_gradients(lambda v: v, lambda v: v, right, start, 4, 1e-6, unrolled)
            return one, gmres(lambda v: 2 * v, right, start, 4, 1e-6, unrolled)

        for found in jax.jit(both)(jnp.zeros(3), jnp.ones(3)):
            np.testing.assert_array_equal(found.value, np.zeros(3))
            assert found.residual == 0.0 and found.iterations == 0


def test_products_in_bfloat16_round_operands_and_add_in_float32():
    rng = np.random.default_rng(0)
    weights = jnp.asarray(rng.standard_normal((5, 4, 6)), jnp.float32)
    dense = jnp.asarray(rng.standard_normal((1000, 3)), jnp.float32)

    def function(tree):
        signal = jax.lax.conv_general_dilated(
            tree["signal"], weights, (1,), "SAME", dimension_numbers=("NXC", "XIO", "NXC")
        )
        return jax.jit(lambda v: v @ dense + 1e-5)(tree["vector"]), signal

    inputs = {
        "vector": jnp.asarray(rng.standard_normal(1000), jnp.float32),
        "signal": jnp.asarray(rng.standard_normal((2, 8, 4)), jnp.float32),
    }

    def rounded(x):
        return np.asarray(x.astype(jnp.bfloat16), np.float32)

    vector, signal = jax.jit(in_bfloat16(function, inputs))(inputs)
    assert vector.dtype == signal.dtype == jnp.float32
    exact_vector, exact_signal = function(inputs)
    # float32 sums of rounded operands are far closer to the rounded product than bfloat16 sums could be.
    np.testing.assert_allclose(vector, rounded(inputs["vector"]) @ rounded(dense) + 1e-5, rtol=1e-4, atol=1e-4)
    assert 1e-4 < np.max(np.abs(signal - exact_signal)) < 0.2 and np.max(np.abs(vector - exact_vector)) > 1e-3
    assert contains(jax.make_jaxpr(function)(inputs).jaxpr, "conv_general_dilated")
    assert contains(jax.make_jaxpr(function)(inputs).jaxpr, "dot_general")
    assert not contains(jax.make_jaxpr(jnp.sin)(1.0).jaxpr, "dot_general")


def test_half_precision_products_change_the_step_by_their_rounding_alone():
    a = {name: value.astype(np.float32) for name, value in matrices(0).items()}
    x, y = np.ones(5, np.float32), -np.ones(7, np.float32)
    players, game = players_at(x, y), quadratic_game(a)
    steps = []
    for half in (False, True):
        optimizer = exact(0.1, 0.1, half=half, tolerance=1e-5)
        moved, _, metrics = jax.jit(lambda p, o=optimizer: o.update(game, p, o.init(p), batch(), jax.random.key(0)))(
            players
        )
        steps.append(joined(moved))
        assert metrics["inner_residual"] < 0.05
    difference = np.linalg.norm(steps[0] - steps[1]) / np.linalg.norm(steps[0] - np.concatenate([x, y]))
    assert 1e-5 < difference < 2e-2


def test_games_that_are_not_zero_sum_are_refused_with_the_reason():
    with pytest.raises(ValueError, match=r"'relativistic'.*minimax, wasserstein.*competitive_general_sum"):
        game_optimizer(OptimizerConfig(scheme="competitive"), GameConfig(objective="relativistic"), 10)
    general = OptimizerConfig(scheme="competitive_general_sum")
    assert game_optimizer(general, GameConfig(objective="relativistic"), 10).general_sum
    players = players_at(np.ones(5), np.ones(7))
    optimizer = exact(0.1, 0.1)
    with pytest.raises(ValueError, match=r"needs a zero-sum game.*competitive_general_sum"):
        optimizer.update(
            quadratic_game(matrices(0), False), players, optimizer.init(players), batch(), jax.random.key(0)
        )
    with pytest.raises(ValueError, match=r"beta1 = 0.5.*no memory of gradients"):
        OptimizerConfig(scheme="competitive", beta1=0.5)
