"""Spectral normalisation: sigma against an SVD, exact second derivatives, state moved once per step on all devices."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan import regularizers
from gan.config import NetworkConfig
from gan.networks import spectral
from gan.networks.blueprint import Training
from gan.networks.players import SampleSpec, average_state, build
from gan.normalizer import Normalizer
from gan.training.loop import Trainer, train
from gan.training.trained import load

ONE = Normalizer(np.zeros(1, np.float32), np.ones(1, np.float32))
TINY = NetworkConfig(width=4, levels=2, latent=4, spectral="both")


def random_tree(like, seed=0):
    source = np.random.default_rng(seed)
    return jax.tree.map(lambda p: jnp.asarray(source.standard_normal(np.shape(p))), like)


def largest(kernel) -> float:
    return np.linalg.svd(np.asarray(kernel, np.float64).reshape(-1, kernel.shape[-1]), compute_uv=False)[0]


@pytest.mark.float64
def test_power_iteration_finds_the_largest_singular_value_of_every_kernel():
    _, players = build(TINY, SampleSpec((8, 1)), ONE)
    params = random_tree(players.discriminator.params)
    vectors = jax.tree.map(jnp.abs, random_tree(players.discriminator.state["spectral"], 1))
    for _ in range(400):
        vectors = spectral.advanced(params, vectors)
    before = spectral.first_vectors(params)
    for way in (vectors, before):
        normalised = spectral.normalized(params, way)
        for path, kernel in jax.tree_util.tree_leaves_with_path(normalised):
            if path[-1].key == "kernel":
                np.testing.assert_allclose(largest(kernel), 1.0, rtol=1e-6)
            else:
                raw = params
                for key in path:
                    raw = raw[key.key]
                np.testing.assert_array_equal(kernel, raw)


def test_kernels_that_start_at_zero_are_drawn_anew():
    _, players = build(TINY, SampleSpec((8, 1)), ONE)
    for path, kernel in jax.tree_util.tree_leaves_with_path(players):
        if getattr(path[-1], "key", None) == "kernel":
            assert float(jnp.max(jnp.abs(kernel))) > 0


@pytest.mark.float64
def test_second_derivatives_through_normalised_kernels_agree_with_finite_differences():
    networks, players = build(dataclasses.replace(TINY, levels=1), SampleSpec((8, 1)), ONE)
    critic, network_state = random_tree(players.discriminator.params), random_tree(players.discriminator.state, 1)
    samples = jnp.asarray(np.random.default_rng(2).standard_normal((3, 8, 1)))

    @jax.jit
    def penalty(params):
        _, gradient = regularizers.logits_and_gradient(lambda x: networks.classify(params, network_state, x), samples)
        return regularizers.zero_centred(gradient, 2.0, jnp.ones(3))

    slope = jax.jit(jax.grad(penalty))
    along = random_tree(critic, 3)
    moved = [jax.tree.map(lambda p, d, s=s: p + s * d, critic, along) for s in (1e-6, -1e-6)]
    inner = sum(jnp.vdot(a, b) for a, b in zip(*map(jax.tree.leaves, (slope(critic), along))))
    np.testing.assert_allclose(inner, (penalty(moved[0]) - penalty(moved[1])) / 2e-6, rtol=1e-5)
    # And once more: the Hessian of the penalty, as competitive optimizers use it.
    _, product = jax.jvp(slope, (critic,), (along,))
    for exact, ahead, behind in zip(*map(jax.tree.leaves, (product, slope(moved[0]), slope(moved[1])))):
        np.testing.assert_allclose(
            exact, (ahead - behind) / 2e-6, rtol=2e-4, atol=1e-4 * float(jnp.max(jnp.abs(exact)))
        )


def test_a_pass_without_training_leaves_the_state_alone_and_one_in_training_moves_it_once():
    networks, players = build(TINY, SampleSpec((8, 1)), ONE)
    params = jax.tree.map(lambda p: p.astype(jnp.float32), random_tree(players.discriminator.params))
    network_state, x = players.discriminator.state, jnp.ones((2, 8, 1))
    _, same = networks.classify_with_state(params, network_state, x, {}, None)
    assert same is network_state
    keys = jax.random.split(jax.random.key(0), 2)
    logits, after = networks.classify_with_state(params, network_state, x, {}, Training(keys))
    np.testing.assert_array_equal(logits, networks.classify(params, network_state, x))
    expected = spectral.advanced(params, network_state["spectral"])
    jax.tree.map(np.testing.assert_array_equal, after["spectral"], expected)


def test_vectors_of_the_averaged_generator_belong_to_its_own_kernels():
    _, players = build(TINY, SampleSpec((8, 1)), ONE)
    params = jax.tree.map(lambda p: p.astype(jnp.float32), random_tree(players.generator.params))
    network_state = players.generator.state
    for _ in range(300):
        network_state = average_state(params, network_state, players.generator.state, jnp.float32(0.1))
    exact = spectral.first_vectors(params)
    for name, found in network_state["spectral"].items():
        np.testing.assert_allclose(abs(float(found["left"] @ exact[name]["left"])), 1.0, atol=1e-3)


@pytest.fixture(scope="module")
def normalised(toy, tmp_path_factory):
    """A short training of a spectrally normalised Wasserstein game."""
    recipe = toy.recipe(
        network={"spectral": "both"},
        game={"objective": "hinge", "r1": 0.0, "r2": 0.0},
        training={"steps": 20, "log_every": 10, "checkpoint_every": 10},
    )
    folder = tmp_path_factory.mktemp("normalised")
    with jax.enable_x64(False):
        return train(toy.problem(), recipe, folder), folder


def test_training_checkpoints_and_loading_carry_the_state(toy, normalised):
    trained, folder = normalised
    again = load(folder, solver_layer=toy.decay, symmetries=toy.SYMMETRIES)
    jax.tree.map(np.testing.assert_array_equal, again.generator, trained.generator)
    key = jax.random.key(1)
    np.testing.assert_array_equal(again.sample(key, 4), trained.sample(key, 4))
    kernels = spectral.normalized(trained.generator.params, trained.generator.state["spectral"])
    sizes = [largest(leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(kernels) if path[-1].key == "kernel"]
    np.testing.assert_allclose(sizes, 1.0, atol=0.02)


@pytest.mark.slow
def test_the_state_agrees_on_one_device_and_on_four(toy):
    states = []
    for devices in (1, 4):
        made = Trainer(
            toy.problem(),
            toy.recipe(
                network={"spectral": "both"},
                game={"objective": "hinge", "r1": 0.0, "r2": 0.0},
                optimizer={"transform": "sgd"},
                training={"devices": devices},
            ),
            "unused",
        )
        state = made.state
        for step in range(2):
            state, _ = made.step(state, *made.next_batch((0, 16 * step)))
        states.append(jax.device_get(state))
    for one, four in zip(*(jax.tree.leaves(state.players) for state in states)):
        np.testing.assert_allclose(one, four, rtol=2e-5, atol=2e-6)
