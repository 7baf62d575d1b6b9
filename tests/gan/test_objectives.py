"""Adversarial objectives: values in closed form, gradients against finite differences, what zero-sum means."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gan.objectives import TABLE, objective

LOG2 = np.log(2.0)
AT_ZERO = {
    "minimax": (2 * LOG2, -LOG2),
    "non_saturating": (2 * LOG2, LOG2),
    "least_squares": (0.5, 0.5),
    "hinge": (2.0, 0.0),
    "wasserstein": (0.0, 0.0),
    "relativistic": (LOG2, LOG2),
    "relativistic_minimax": (LOG2, -LOG2),
    "relativistic_average": (2 * LOG2, 2 * LOG2),
}
REAL = np.array([0.3, -1.2, 2.0, 0.7])
FAKE = np.array([-0.4, 0.9, 1.1, -2.3])
WEIGHT = np.array([1.0, 1.0, 0.0, 1.0])


def closed_form(name: str) -> tuple[float, float]:
    """The table in the module's docstring, written with numpy."""

    def sp(t):
        return np.log1p(np.exp(t))

    r, f, w = REAL, FAKE, WEIGHT
    mean_r, mean_f = r.mean(), f[w > 0].mean()
    table = {
        "minimax": (sp(-r).mean() + (w * sp(f)).mean(), -(w * sp(f)).mean()),
        "non_saturating": (sp(-r).mean() + (w * sp(f)).mean(), (w * sp(-f)).mean()),
        "least_squares": (((r - 1) ** 2).mean() / 2 + (w * f**2).mean() / 2, (w * (f - 1) ** 2).mean() / 2),
        "hinge": (np.maximum(0, 1 - r).mean() + (w * np.maximum(0, 1 + f)).mean(), -(w * f).mean()),
        "wasserstein": ((w * (f - r)).mean(), -(w * f).mean()),
        "relativistic": ((w * sp(f - r)).mean(), (w * sp(r - f)).mean()),
        "relativistic_minimax": ((w * sp(f - r)).mean(), -(w * sp(f - r)).mean()),
        "relativistic_average": (
            sp(mean_f - r).mean() + (w * sp(f - mean_r)).mean(),
            (w * sp(mean_r - f)).mean() + sp(r - mean_f).mean(),
        ),
    }
    return table[name]


@pytest.mark.parametrize("name", list(TABLE))
@pytest.mark.float64
def test_losses_have_their_closed_form(name):
    game = objective(name)
    zeros, ones = jnp.zeros(5), jnp.ones(5)
    got = (game.discriminator(zeros, zeros, ones), game.generator(zeros, zeros, ones))
    np.testing.assert_allclose(got, AT_ZERO[name], atol=1e-12)
    arguments = jnp.asarray(REAL), jnp.asarray(FAKE), jnp.asarray(WEIGHT)
    got = (game.discriminator(*arguments), game.generator(*arguments))
    np.testing.assert_allclose(got, closed_form(name), rtol=1e-12)


@pytest.mark.parametrize("name", list(TABLE))
@pytest.mark.float64
def test_gradients_of_both_losses_agree_with_finite_differences(name):
    game, step = objective(name), 1e-6
    real, fake, weight = jnp.asarray(REAL), jnp.asarray(FAKE), jnp.asarray(WEIGHT)
    for loss in (game.discriminator, game.generator):
        for argument in (0, 1):
            gradient = jax.grad(loss, argnums=argument)(real, fake, weight)
            for place in range(4):
                move = np.zeros(4)
                move[place] = step
                ends = []
                for sign in (1.0, -1.0):
                    arguments = [real, fake, weight]
                    arguments[argument] = arguments[argument] + sign * move
                    ends.append(loss(*arguments))
                np.testing.assert_allclose(gradient[place], (ends[0] - ends[1]) / (2 * step), atol=1e-8)


@pytest.mark.parametrize("name", list(TABLE))
def test_only_zero_sum_objectives_have_opposite_gradients_at_the_fakes(name):
    game = objective(name)
    arguments = jnp.asarray(REAL), jnp.asarray(FAKE), jnp.asarray(WEIGHT)
    total = jax.grad(game.discriminator, 1)(*arguments) + jax.grad(game.generator, 1)(*arguments)
    opposite = bool(np.allclose(total, 0.0, atol=1e-6))
    # The hinge is opposite wherever no margin is reached, but not in general: here one is.
    assert opposite == game.zero_sum


@given(shift=st.floats(-5, 5))
def test_the_relativistic_loss_does_not_see_a_shift_of_all_logits(shift):
    game = objective("relativistic")
    moved = game.discriminator(jnp.asarray(REAL + shift), jnp.asarray(FAKE + shift), jnp.asarray(WEIGHT))
    still = game.discriminator(jnp.asarray(REAL), jnp.asarray(FAKE), jnp.asarray(WEIGHT))
    np.testing.assert_allclose(moved, still, atol=2e-6)


@pytest.mark.parametrize("name", [name for name in TABLE if name != "relativistic_average"])
def test_a_refused_fake_has_no_gradient_and_leaves_the_others_unchanged(name):
    game = objective(name)
    real, fake = jnp.asarray(REAL), jnp.asarray(FAKE)
    masked = jax.grad(game.generator, 1)(real, fake, jnp.asarray(WEIGHT))
    whole = jax.grad(game.generator, 1)(real, fake, jnp.ones(4))
    assert masked[2] == 0.0
    np.testing.assert_array_equal(np.delete(masked, 2), np.delete(whole, 2))


def test_an_unknown_objective_is_refused_by_name():
    with pytest.raises(ValueError, match=r"relativistik.*relativistic"):
        objective("relativistik")


def test_a_refused_fake_leaves_the_mean_that_others_are_compared_with():
    game, real = objective("relativistic_average"), jnp.asarray(REAL)
    losses = [game.generator(real, jnp.asarray(FAKE).at[2].set(value), jnp.asarray(WEIGHT)) for value in (1.1, 50.0)]
    np.testing.assert_array_equal(*losses)


def test_the_average_relativistic_loss_takes_its_means_over_all_devices():
    whole = objective("relativistic_average")
    shared = objective("relativistic_average", axis_name="data")
    arguments = jnp.asarray(REAL), jnp.asarray(FAKE), jnp.asarray(WEIGHT)
    for name in ("discriminator", "generator"):
        parts = jax.vmap(getattr(shared, name), axis_name="data")(*(x.reshape(2, 2) for x in arguments))
        np.testing.assert_allclose(jnp.mean(parts), getattr(whole, name)(*arguments), rtol=1e-6)


@pytest.mark.float64
@pytest.mark.parametrize("name", ["minimax", "non_saturating"])
def test_smoothed_labels_and_weights_have_their_closed_form_and_keep_what_is_zero_sum(name):
    options = {"label_smoothing": 0.1, "real_weight": 2.0, "fake_weight": 0.5}
    game = objective(name, **options)
    arguments = jnp.asarray(REAL), jnp.asarray(FAKE), jnp.asarray(WEIGHT)

    def sp(t):
        return np.log1p(np.exp(t))

    expected = 2.0 * (0.9 * sp(-REAL) + 0.1 * sp(REAL)).mean() + 0.5 * (WEIGHT * sp(FAKE)).mean()
    np.testing.assert_allclose(game.discriminator(*arguments), expected, rtol=1e-12)
    # The best logit at data is that of a probability of 0.9.
    best = jax.grad(lambda r: game.discriminator(r, arguments[1], arguments[2]))(jnp.full(4, np.log(9.0)))
    np.testing.assert_allclose(best, 0.0, atol=1e-12)
    total = jax.grad(game.discriminator, 1)(*arguments) + jax.grad(game.generator, 1)(*arguments)
    assert bool(np.allclose(total, 0.0)) == game.zero_sum == (name == "minimax")
    if name == "non_saturating":
        assert game.generator(*arguments) == objective(name).generator(*arguments)


def test_options_of_another_objective_are_refused():
    with pytest.raises(ValueError, match=r"'hinge' has no label smoothing"):
        objective("hinge", label_smoothing=0.1)
