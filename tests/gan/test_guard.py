"""The guard around the solver: a blown-up field changes nobody else's value or gradient."""

import jax
import jax.numpy as jnp
import numpy as np

from gan.guard import guarded, guarded_penalty
from gan.normalizer import Normalizer

NORMALIZER = Normalizer(np.array([0.5], np.float32), np.array([2.0], np.float32))


def solver_layer(samples, condition, tau):
    """Blows up where the first point is negative, with an infinite derivative as well."""
    poison = jnp.sqrt(samples[:, :1])
    return jnp.exp(-tau) * samples + 0.0 * poison, jnp.ones(samples.shape[0], bool)


def samples_with(*first: float) -> jax.Array:
    fields = jnp.linspace(0.1, 1.0, 6)[None, :, None] * jnp.ones((len(first), 1, 1))
    return fields.at[:, 0, 0].set(jnp.asarray(first))


def loss(x: jax.Array) -> jax.Array:
    advanced, valid = guarded(solver_layer, NORMALIZER, 20.0)(x, {}, 0.3)
    return jnp.sum(valid[:, None, None] * advanced**2)


def test_a_lane_that_is_not_a_number_leaves_the_others_gradient_unchanged():
    good = samples_with(0.2, 0.4, 0.6)
    bad = good.at[1, 0, 0].set(-1.0)
    before, after = jax.grad(loss)(good), jax.grad(loss)(bad)
    np.testing.assert_array_equal(np.asarray(before)[[0, 2]], np.asarray(after)[[0, 2]])
    assert np.all(np.asarray(after)[1] == 0.0)
    assert np.all(np.asarray(before)[1] != 0.0)


def test_without_the_guard_that_lane_would_poison_shared_parameters():
    """What the guard is for: one scale for all samples gets a gradient that is not a number without it."""
    bad = samples_with(0.2, -1.0, 0.6)

    def masked(s):
        return jnp.nansum(solver_layer(s * bad, {}, 0.3)[0] ** 2)

    assert not np.isfinite(jax.grad(masked)(jnp.float32(1.0)))
    assert np.isfinite(jax.grad(lambda s: loss(s * bad))(jnp.float32(1.0)))


def test_refused_samples_become_the_mean_field_and_are_reported():
    run = guarded(solver_layer, NORMALIZER, 20.0)
    advanced, valid = run(samples_with(0.2, -1.0, 500.0), {}, 0.3)
    np.testing.assert_array_equal(valid, [True, False, False])
    np.testing.assert_allclose(advanced[1:], 0.5)


def test_accepted_samples_and_their_gradient_are_those_of_the_solver():
    good = samples_with(0.2, 0.4)
    run = guarded(solver_layer, NORMALIZER, 20.0)
    np.testing.assert_allclose(run(good, {}, 0.3)[0], np.exp(-0.3) * good, rtol=1e-6)
    np.testing.assert_allclose(jax.grad(loss)(good), 2 * np.exp(-0.6) * good, rtol=1e-5)


def test_the_carrys_own_refusal_counts():
    def choosy(samples, condition, tau):
        return samples, jnp.asarray([True, False])

    advanced, valid = guarded(choosy, NORMALIZER, 20.0)(samples_with(0.2, 0.4), {}, 0.3)
    np.testing.assert_array_equal(valid, [True, False])
    np.testing.assert_allclose(advanced[1], 0.5)


def test_a_changed_solver_layer_time_compiles_nothing_new():
    traced = []

    def counting(samples, condition, tau):
        traced.append(1)
        return samples * jnp.exp(-tau), jnp.ones(samples.shape[0], bool)

    run = jax.jit(guarded(counting, NORMALIZER, 20.0))
    for tau in (0.1, 0.2, 0.3):
        run(samples_with(0.2), {}, tau)
    assert len(traced) == 1


def roughness(samples, condition):
    """Not a number where the first point is negative, with an infinite derivative there and at zero."""
    return jnp.mean(jnp.sqrt(samples[:, 0]) * samples[:, 1] ** 2, axis=-1)


def test_a_guarded_penalty_is_the_mean_over_what_it_can_judge_and_so_is_its_gradient():
    penalty = guarded_penalty(roughness, 10.0)
    good = samples_with(0.2, 0.4, 0.6, 0.8)
    value, gradient = jax.value_and_grad(penalty)(good, {})
    np.testing.assert_allclose(value, jnp.mean(roughness(good, {})), rtol=1e-6)
    plain = jax.grad(lambda x: jnp.mean(roughness(x, {})))(good)
    np.testing.assert_allclose(gradient, plain, rtol=1e-5)
    # Not a number, a value beyond the limit, and a finite value whose derivative is infinite.
    bad = good.at[1, 0, 0].set(-1.0).at[2, 1, 0].set(100.0).at[3, 0, 0].set(0.0)
    value, gradient = jax.value_and_grad(penalty)(bad, {})
    np.testing.assert_allclose(value, roughness(good, {})[0] / 4, rtol=1e-6)
    np.testing.assert_array_equal(gradient[0], plain[0])
    assert np.all(np.asarray(gradient)[1:] == 0.0)
