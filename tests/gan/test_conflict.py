"""Gradients of several terms: ConFIG's direction, balanced norms, and what they do in a game."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan.conflict import balanced, conflict_free, norm, summed

pytestmark = pytest.mark.float64


def terms(count: int, seed: int = 0) -> dict:
    source = np.random.default_rng(seed)
    sizes = [1.0, 100.0, 0.01][:count]
    return {
        name: {"a": jnp.asarray(size * source.standard_normal(4)), "b": jnp.asarray(size * source.standard_normal(3))}
        for name, size in zip(["adversarial", "defect", "energy"], sizes)
    }


def flat(tree) -> np.ndarray:
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


@pytest.mark.parametrize("count", [2, 3])
def test_the_conflict_free_direction_is_the_one_of_the_pseudoinverse(count):
    gradients = terms(count)
    rows = np.stack([flat(g) for g in gradients.values()])
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    direction = np.linalg.pinv(units) @ np.ones(count)
    direction /= np.linalg.norm(direction)
    expected = (rows @ direction).sum() * direction
    found = flat(conflict_free(gradients))
    np.testing.assert_allclose(found, expected, rtol=1e-8)
    # Equal and positive cosines with every term, whatever the terms' sizes.
    cosines = units @ found / np.linalg.norm(found)
    np.testing.assert_allclose(cosines, cosines[0], rtol=1e-8)
    assert cosines[0] > 0


def test_two_opposed_terms_of_unequal_size_both_go_down_where_the_sum_lets_one_rise():
    gradients = {"adversarial": {"a": jnp.asarray([10.0, 1.0])}, "defect": {"a": jnp.asarray([-1.0, 0.5])}}
    total, free = flat(summed(gradients)), flat(conflict_free(gradients))
    defect = flat(gradients["defect"])
    assert total @ defect < 0 < free @ defect
    assert free @ flat(gradients["adversarial"]) > 0


def test_a_term_without_a_gradient_has_no_say_and_one_alone_keeps_its_own():
    gradients = terms(2)
    silent = {**gradients, "off": jax.tree.map(jnp.zeros_like, gradients["defect"])}
    np.testing.assert_allclose(flat(conflict_free(silent)), flat(conflict_free(gradients)), rtol=1e-10)
    alone = {"adversarial": gradients["adversarial"]}
    np.testing.assert_allclose(flat(conflict_free(alone)), flat(alone["adversarial"]), rtol=1e-10)


def test_a_balanced_term_has_its_share_of_the_reference_norm_and_its_own_direction():
    gradients = terms(2)
    scaled = balanced(gradients, {"defect": 0.25})
    np.testing.assert_allclose(norm(scaled["defect"]), 0.25 * norm(gradients["adversarial"]), rtol=1e-12)
    ratio = flat(scaled["defect"]) / flat(gradients["defect"])
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-12)
    np.testing.assert_array_equal(flat(scaled["adversarial"]), flat(gradients["adversarial"]))
    silent = {**gradients, "defect": jax.tree.map(jnp.zeros_like, gradients["defect"])}
    assert float(norm(balanced(silent, {"defect": 0.25})["defect"])) == 0.0


@pytest.mark.parametrize("joined", [conflict_free, lambda gradients: summed(balanced(gradients, {"defect": 0.25}))])
def test_the_joined_field_can_be_differentiated_where_a_term_is_off(joined):
    """Update schemes that differentiate the field (consensus, symplectic) meet a term whose weight has fallen to
    zero."""
    gradients = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), terms(2))

    def field(adversarial):
        off = jax.tree.map(lambda leaf: 0.0 * leaf**2, adversarial)
        return flat_sum(joined({"adversarial": adversarial, "defect": off}))

    alone = jax.grad(flat_sum)(gradients["adversarial"])
    found = jax.jit(jax.grad(field))(gradients["adversarial"])
    np.testing.assert_allclose(flat(found), flat(alone), rtol=1e-5)


def flat_sum(tree):
    return sum(jnp.sum(leaf) for leaf in jax.tree.leaves(tree))
