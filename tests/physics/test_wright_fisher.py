"""The Wright-Fisher chain, its diffusion and the coalescent, against closed forms and against each other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, poisson

from physics.coalescent import branch_lengths, expected_branch_lengths, stretched
from physics.poisson_counts import poisson_counts
from physics.site_frequencies import diffusion_spectrum, simulated_spectrum, stationary_spectrum
from physics.wright_fisher import (
    chain_spectrum,
    fixation_probability,
    kimura_fixation,
    stationary_law,
    transition_matrix,
)


@given(st.integers(1, 40), st.integers(1, 40), st.floats(-0.5, 2.0))
def test_chances_add_up_and_the_mean_is_that_of_selection(parents, children, selection):
    matrix = transition_matrix(parents, children, selection)
    np.testing.assert_allclose(matrix.sum(axis=1), 1.0, atol=1e-12)
    x = np.arange(parents + 1) / parents
    mean = matrix @ np.arange(children + 1) / children
    np.testing.assert_allclose(mean, (1 + selection) * x / (1 + selection * x), atol=1e-12)


def test_the_stationary_law_tends_to_wrights_beta_law():
    """With u = a / (2N) away and v = b / (2N) towards: Beta(b, a) (Wright 1931); the distance falls as 1/N."""
    a, b, distances = 1.5, 2.5, []
    for size in (100, 200, 400):
        law = stationary_law(transition_matrix(size, size, mutation=(a / (2 * size), b / (2 * size))))
        edges = (np.arange(size) + 0.5) / size
        distances.append(np.abs(np.cumsum(law)[:-1] - beta.cdf(edges, b, a)).max())
    assert distances[2] < 2e-3
    np.testing.assert_allclose(np.divide(distances[:-1], distances[1:]), 2.0, rtol=0.2)


def test_the_chance_of_fixation_tends_to_kimuras():
    for sigma in (-2.0, 0.0, 3.0):
        errors = []
        for size in (50, 100):
            found = fixation_probability(size, sigma / size)
            wanted = np.array([kimura_fixation(k / size, sigma) for k in range(size + 1)])
            errors.append(np.abs(found - wanted).max())
        assert errors[1] < 0.02
        assert sigma == 0.0 or errors[0] / errors[1] == pytest.approx(2.0, rel=0.15)


def test_the_neutral_spectrum_is_theta_over_i_and_has_its_exact_first_moment():
    np.testing.assert_allclose(diffusion_spectrum(20), 1 / np.arange(1, 20), rtol=1e-11)
    errors = [np.abs(chain_spectrum(8, 0.5 / n, n) * np.arange(1, 8) - 1).max() for n in (100, 200)]
    assert errors[1] < 0.03 and errors[0] / errors[1] == pytest.approx(2.0, rel=0.15)


@pytest.mark.parametrize("sigma", [-6.0, -0.5, 0.01, 4.0])
def test_the_spectrum_under_selection_is_that_of_sawyer_and_hartl(sigma):
    np.testing.assert_allclose(diffusion_spectrum(20, sigma), stationary_spectrum(20, sigma), rtol=1e-8)


@pytest.mark.parametrize(("size", "duration"), [(0.1, 0.05), (0.25, 0.2), (4.0, 0.2), (10.0, 1.0)])
def test_a_change_of_size_moves_the_spectrum_as_the_coalescent_says(size, duration):
    """Forwards in time by polynomials, backwards by the death process of lineages: two routes to one number."""
    found = diffusion_spectrum(20, 0.0, [(size, duration)])
    np.testing.assert_allclose(found, 0.5 * expected_branch_lengths(20, size, duration), rtol=1e-9)
    assert np.abs(found * np.arange(1, 20) - 1).max() > 0.05


def test_the_chain_tends_to_the_diffusion_under_selection_and_a_change_of_size():
    sigma, relative, duration = -2.0, 2.0, 0.2
    wanted = diffusion_spectrum(8, sigma, [(relative, duration)])
    errors = []
    for size in (100, 200):
        later = [(round(relative * size), round(duration * size))]
        errors.append(np.abs(chain_spectrum(8, 0.5 / size, size, sigma / size, later) / wanted - 1).max())
    assert errors[1] < 0.02 and errors[0] / errors[1] == pytest.approx(2.0, rel=0.2)


@pytest.mark.parametrize(
    "call",
    [
        lambda: transition_matrix(0, 3),
        lambda: transition_matrix(3, 3, -1.0),
        lambda: transition_matrix(3, 3, mutation=(0.0, 2.0)),
        lambda: chain_spectrum(5, 0.1, 10, later=[(4, 3)]),
        lambda: diffusion_spectrum(1),
        lambda: diffusion_spectrum(5, later=[(-1.0, 0.1)]),
        lambda: expected_branch_lengths(5, 0.0, 0.1),
    ],
)
def test_impossible_populations_are_refused(call):
    with pytest.raises(ValueError, match=r"found|needs"):
        call()


@pytest.mark.parametrize(("sigma", "size"), [(0.0, 0.25), (-4.0, 4.0), (4.0, 1.0)])
def test_simulated_sites_have_the_exact_spectrum(sigma, size):
    wanted = diffusion_spectrum(12, sigma, [(size, 0.2)])
    simulate = jax.jit(lambda key: simulated_spectrum(key, 12, sigma, size, 0.2, paths=1024, steps=16))
    found = np.asarray(jax.lax.map(simulate, jax.random.split(jax.random.key(0), 64)))
    error = found.std(axis=0, ddof=1) / 8
    np.testing.assert_array_less(np.abs(found.mean(axis=0) - wanted), 4 * error + 0.004 * wanted)
    assert (error < 0.03 * wanted).all()


@pytest.mark.float64
@pytest.mark.parametrize("sigma", [0.0, -3.0])
def test_derivatives_along_simulated_sites_are_those_of_the_same_paths(sigma, key):
    def spectrum(at):
        return simulated_spectrum(key, 10, at[0], at[1], at[2], paths=64, steps=4)

    at = jnp.array([sigma, 0.6, 0.2])
    slope = jax.jacfwd(spectrum)(at)
    for i, step in enumerate(1e-6 * np.eye(3)):
        difference = (spectrum(at + step) - spectrum(at - step)) / 2e-6
        np.testing.assert_allclose(slope[:, i], difference, rtol=2e-4, atol=1e-5)


def test_mean_derivatives_are_those_of_the_exact_spectrum():
    at = np.array([-2.0, 0.5, 0.2])
    wanted = np.stack(
        [
            (diffusion_spectrum(10, *_split(at + step)) - diffusion_spectrum(10, *_split(at - step))) / 2e-4
            for step in 1e-4 * np.eye(3)
        ],
        axis=1,
    )
    slope = jax.jit(jax.jacfwd(lambda at, key: simulated_spectrum(key, 10, at[0], at[1], at[2], paths=2048, steps=16)))
    keys = jax.random.split(jax.random.key(1), 64)
    found = np.asarray(jax.lax.map(lambda key: slope(jnp.asarray(at, jnp.float32), key), keys))
    error = found.std(axis=0, ddof=1) / 8
    scale = np.abs(wanted).max(axis=0)
    np.testing.assert_array_less(np.abs(found.mean(axis=0) - wanted), 4 * error + 0.015 * scale)
    assert (error < 0.05 * scale).all()


def _split(at):
    return at[0], [(at[1], at[2])]


@pytest.mark.parametrize(("size", "duration"), [(1.0, 0.2), (0.2, 0.1), (5.0, 0.5)])
def test_random_genealogies_have_the_expected_branches(size, duration):
    found = np.asarray(branch_lengths(jax.random.key(0), 8, size, duration, 40_000))
    error = found.std(axis=0) / 200
    np.testing.assert_array_less(np.abs(found.mean(axis=0) - expected_branch_lengths(8, size, duration)), 4.5 * error)


def test_the_length_of_a_genealogy_has_tajimas_variance():
    """At constant size the total length has the variance 4 sum 1/k^2 (Tajima 1983), and every tip has a branch."""
    lengths = np.asarray(branch_lengths(jax.random.key(2), 10, 1.0, 0.3, 60_000))
    total = lengths.sum(axis=1)
    assert total.var() == pytest.approx(4 * (1 / np.arange(1, 10) ** 2).sum(), rel=0.04)
    # Each moment has k branches with n members below them in all.
    assert (lengths >= 0).all() and (lengths[:, 0] > 0).all()
    height = (lengths * np.arange(1, 10)).sum(axis=1) / 10
    assert height.mean() == pytest.approx(2 * (1 - 1 / 10), rel=0.02)


@pytest.mark.float64
def test_derivatives_along_genealogies_are_those_of_the_same_genealogies(key):
    def mean(at):
        return jnp.mean(branch_lengths(key, 6, at[0], at[1], 500) ** 2, axis=0)

    at = jnp.array([0.5, 0.3])
    slope = jax.jacfwd(mean)(at)
    for i, step in enumerate(1e-7 * np.eye(2)):
        np.testing.assert_allclose(slope[:, i], (mean(at + step) - mean(at - step)) / 2e-7, rtol=1e-4, atol=1e-6)


@given(st.floats(0.05, 20.0), st.floats(0.01, 2.0))
def test_time_is_stretched_without_a_jump(size, duration):
    at = jnp.array([0.0, duration / size * (1 - 1e-6), duration / size * (1 + 1e-6), duration / size + 1.0])
    found = np.asarray(stretched(at, size, duration))
    np.testing.assert_allclose(found, [0.0, duration, duration, duration + 1.0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mean", [0.05, 1.0, 6.5, 25.0])
def test_counts_have_the_law_of_poisson(mean):
    count = 200_000
    drawn = np.asarray(poisson_counts(jax.random.key(3), jnp.full(count, mean)))
    assert (drawn == np.round(drawn)).all()
    k = np.arange(65)
    share = np.bincount(drawn.astype(int), minlength=65) / count
    chance = poisson.pmf(k, mean)
    np.testing.assert_array_less(np.abs(share - chance), 5 * np.sqrt(chance * (1 - chance) / count) + 2e-5)


@pytest.mark.parametrize(
    ("power", "bias"), [(1, 0.0), (2, 0.0), (3, 0.5)], ids=["linear: none", "square: none", "cube: a twelfth of f'''"]
)
def test_the_derivative_of_counts_has_the_stated_bias(power, bias):
    mean = 3.0
    moments = {1: 1.0, 2: 2 * mean + 1, 3: 3 * mean**2 + 6 * mean + 1}  # of E X^power by the mean
    count = 4_000_000
    slope = jax.jit(jax.grad(lambda m: jnp.sum(poisson_counts(jax.random.key(4), m) ** power)))
    found = np.asarray(slope(jnp.full(count, mean)), float)
    error = found.std() / count**0.5
    assert found.mean() == pytest.approx(moments[power] + bias, abs=4 * error + 1e-6)
    assert power < 3 or bias > 8 * error
