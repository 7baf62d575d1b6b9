"""Penalties, their schedules, and the fair ensemble score."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gan.game import Batch
from gan.penalties import LinearRamp, Penalty, fair_energy_score, fair_ensemble_score
from gan.training.loop import Trainer


@given(progress=st.floats(0, 1))
def test_a_ramp_stays_between_its_ends_and_never_falls(progress):
    ramp = LinearRamp(0.2, 0.6, low=0.1, high=2.0)
    here, later = float(ramp(jnp.float32(progress))), float(ramp(jnp.float32(min(progress + 0.1, 1.0))))
    assert 0.1 - 1e-6 <= here <= later <= 2.0 + 1e-6


def test_a_ramp_of_no_length_is_a_switch():
    ramp = LinearRamp(0.5, 0.5)
    assert [float(ramp(jnp.float32(p))) for p in (0.4, 0.5, 0.6)] == [0.0, 1.0, 1.0]


def test_a_penaltys_factor_is_weight_times_schedule():
    assert float(Penalty(lambda s, c: 0.0, 3.0).factor(jnp.float32(0.3))) == 3.0
    half = Penalty(lambda s, c: 0.0, 3.0, LinearRamp(0.0, 1.0))
    np.testing.assert_allclose(half.factor(jnp.float32(0.5)), 1.5)


@pytest.mark.parametrize("draws", [2, 3])
def test_the_fair_score_of_a_right_ensemble_is_that_of_infinitely_many_draws(draws, key):
    """For standard normal draws and truth the expectation is 1/sqrt(pi) for every count of draws."""
    first, second = jax.random.split(key)
    samples = jax.random.normal(first, (draws, 4000, 16))
    truth = jax.random.normal(second, (4000, 16))
    score = fair_ensemble_score(samples, truth, jnp.ones((draws, 4000)))
    np.testing.assert_allclose(score, 1 / np.sqrt(np.pi), rtol=0.01)


def test_the_fair_score_is_worse_for_too_little_and_too_much_spread(key):
    first, second = jax.random.split(key)
    samples, truth = jax.random.normal(first, (2, 4000, 16)), jax.random.normal(second, (4000, 16))
    ones = jnp.ones((2, 4000))
    narrow, right, wide = (float(fair_ensemble_score(s * samples, truth, ones)) for s in (0.3, 1.0, 2.0))
    assert narrow > 1.1 * right and wide > 1.1 * right


def test_a_refused_draw_takes_its_condition_out_of_the_score():
    samples = jnp.asarray([[[1.0], [5.0]], [[2.0], [jnp.float32(9.0)]]])
    truth = jnp.zeros((2, 1))
    weight = jnp.asarray([[1.0, 1.0], [1.0, 0.0]])
    np.testing.assert_allclose(fair_ensemble_score(samples, truth, weight), (1.5 - 0.5) / 2)


def test_the_energy_score_is_that_of_scipy_unbiased_and_smallest_at_the_joint_distribution():
    from scipy.spatial.distance import cdist, pdist

    rng = np.random.default_rng(5)
    x, y = rng.standard_normal((40, 3, 2)), rng.standard_normal((30, 3, 2))
    direct = cdist(x.reshape(40, 6), y.reshape(30, 6)).mean() - 0.5 * pdist(x.reshape(40, 6)).mean()
    np.testing.assert_allclose(fair_energy_score(jnp.asarray(x), jnp.asarray(y)), direct / np.sqrt(6), rtol=1e-5)
    # Of the same marginals, what depends as the data do scores lower than what does not.
    data = rng.multivariate_normal([0, 0], [[1, 0.9], [0.9, 1]], 3000)
    alike = rng.multivariate_normal([0, 0], [[1, 0.9], [0.9, 1]], 3000)
    apart = rng.standard_normal((3000, 2))
    score = jax.jit(fair_energy_score)
    scores = [float(score(jnp.asarray(one), jnp.asarray(data))) for one in (alike, apart, 1.5 * alike)]
    assert scores[0] < min(scores[1:]) - 0.01


def test_the_gradient_of_the_energy_score_is_finite_where_samples_coincide_and_right_elsewhere():
    samples = jnp.array([[0.3, -0.2], [0.3, -0.2], [1.0, 0.4]])
    data = jnp.array([[0.3, -0.2], [-0.5, 0.1]])
    gradient = jax.jit(jax.grad(fair_energy_score))(samples, data)
    assert np.isfinite(gradient).all()
    step = 1e-3
    for axis in range(2):
        move = jnp.zeros_like(samples).at[2, axis].set(step)
        slope = (fair_energy_score(samples + move, data) - fair_energy_score(samples - move, data)) / (2 * step)
        np.testing.assert_allclose(gradient[2, axis], slope, rtol=2e-3, atol=1e-5)


@pytest.fixture(scope="module")
def conditioned(toy):
    """Waves whose condition is their size, and sizes for which there are no data."""
    data = toy.waves(240)
    sizes = np.abs(data).max(axis=1)
    entries = {
        "train": data[:160],
        "condition": {"size": sizes[:160]},
        "validation": None,
        "symmetries": None,
        "penalties": {"mean": Penalty(lambda samples, condition: jnp.mean(samples * condition["size"][:, None]), 2.0)},
    }
    return entries, {"size": np.linspace(20.0, 30.0, 7, dtype=np.float32)[:, None]}


def test_half_of_a_penalty_is_taken_where_there_are_no_data(conditioned, toy, tmp_path):
    entries, elsewhere = conditioned
    recipe = toy.recipe(game={"ensemble_weight": 1.0, "ensemble_draws": 2})
    batch = Batch(
        jnp.asarray(entries["train"][:8]),
        {"size": jnp.asarray(entries["condition"]["size"][:8])},
        jnp.arange(8),
        jnp.float32(0),
    )
    found = {}
    for name, changes in {"without": {}, "with": {"elsewhere": elsewhere}}.items():
        trainer = Trainer(toy.problem(**entries, **changes), recipe, tmp_path / name)
        generator = trainer.state.players.generator
        game = trainer.game
        drawn, _ = jax.jit(game.draw)(generator.params, generator.state, batch, jax.random.key(3))
        found[name] = drawn, {term: float(value(drawn)) for term, value in game.generator_terms.items()}
    (plain, before), (drawn, after) = found["without"], found["with"]
    assert plain.elsewhere is None and set(np.ravel(drawn.elsewhere["size"])) <= set(np.ravel(elsewhere["size"]))
    # What is judged beside the data is the same as without them.
    np.testing.assert_allclose(drawn.samples[:2], plain.samples, rtol=1e-5)
    assert drawn.valid.shape == plain.valid.shape
    np.testing.assert_allclose(after["ensemble"], before["ensemble"], rtol=1e-5)
    there = 2.0 * float(jnp.mean(drawn.samples[-1] * drawn.elsewhere["size"][:, None]))
    np.testing.assert_allclose(after["mean"], 0.5 * (before["mean"] + there), rtol=1e-5)
    assert abs(there - before["mean"]) > 0.1


def test_conditions_without_data_that_do_not_fit_are_refused(conditioned, toy):
    entries, elsewhere = conditioned
    for changes, words in (
        ({"elsewhere": elsewhere, "penalties": {}}, "is for penalties"),
        ({"elsewhere": {"size": np.ones((3, 2), np.float32)}}, "needs those of the conditions"),
        ({"elsewhere": {"other": elsewhere["size"]}}, "needs those of the conditions"),
        ({"elsewhere": {"size": np.full((3, 1), np.nan, np.float32)}}, "not finite"),
    ):
        with pytest.raises(ValueError, match=words):
            toy.problem(**{**entries, **changes})
