"""Points of a plane, which have no grid: trained by the same code, several steps in one call."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan.config import NetworkConfig
from gan.networks.mlp import FourierFeatures, cosine_and_sine
from gan.networks.players import SampleSpec, build
from gan.normalizer import Normalizer
from gan.training.loop import Trainer, train
from gan.training.problem import Problem

NETWORK = {"kind": "mlp", "width": 16, "blocks": 2, "latent": 2, "fourier": 4, "latent_fourier": 3}


def problem(**changes) -> Problem:
    rng = np.random.default_rng(0)
    points = np.array([3.0, -1.0]) + np.array([2.0, 0.5]) * rng.standard_normal((400, 2))
    points = points.astype(np.float32)
    return Problem(**{"train": points[:300], "validation": points[300:], **changes})


def recipe(toy, **training):
    sections = {"network": NETWORK, "game": {"penalty_final": 0.01}, "solver_layer": {"tau": 0.0}}
    return toy.recipe(
        **sections, training={"parallel": "jit", "steps": 40, "log_every": 10, "checkpoint_every": 20, **training}
    )


def test_points_are_learnt_and_what_is_measured_is_recorded_with_a_sample_history(toy, tmp_path):
    asked = problem(measure=lambda samples: {"mean_x": float(samples[:, 0].mean())})
    # A seed whose first samples are far off: how near a game of so few updates comes depends on the machine.
    trained = train(asked, recipe(toy, steps=200, sample_history=8, seed=2), tmp_path)
    assert trained.sample(jax.random.key(0), 5).shape == (5, 2)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "mean_x" in line] == list(range(20, 201, 20))
    measured = [line["validation"] for line in lines if "validation" in line]
    assert measured[-1] < 0.7 * measured[0]
    frames = sorted((tmp_path / "sample_history").glob("*.npz"))
    assert [int(frame.stem) for frame in frames] == list(range(20, 201, 20))
    with np.load(frames[-1]) as last:
        assert last["samples"].shape == (8, 2)
        kept = [last[name] for name in last.files if name.startswith("generator")]
    leaves = jax.tree.leaves(trained.params)
    assert sorted(a.shape for a in kept) == sorted(a.shape for a in leaves)
    assert sum(np.abs(a).sum() for a in kept) == pytest.approx(sum(np.abs(np.asarray(a)).sum() for a in leaves))


def test_several_steps_in_one_call_are_the_steps_one_by_one(toy):
    single, several = (Trainer(problem(), recipe(toy, steps_per_call=count), "unused") for count in (1, 5))
    state, other = single.state, several.state
    for step in range(10):
        state, _ = single.step(state, *single.next_batch((0, 8 * step)))
    for call in range(2):
        other, metrics = several.step(other, *several.next_batch((0, 40 * call)))
    assert metrics["generator_loss"].shape == (5,)
    assert int(other.step) == int(state.step) == 10
    for a, b in zip(jax.tree.leaves(state.average), jax.tree.leaves(other.average)):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), atol=2e-5)


def test_gradient_penalties_fall_geometrically(toy):
    made = Trainer(problem(), recipe(toy), "unused")
    fields, _ = made.next_batch((0, 0))
    values = []
    for step in (0, 20, 40):
        state = jax.tree.map(jnp.array, made.state)._replace(step=jnp.asarray(step, jnp.int32))
        values.append(float(made.step(state, fields, {})[1]["discriminator_r1"].squeeze()))
    np.testing.assert_allclose(np.array(values[1:]) / values[0], [0.1, 0.01], rtol=1e-4)


def test_points_need_dense_networks_and_steps_that_divide(toy):
    spec, unit = SampleSpec((2,)), Normalizer(np.zeros(2), np.ones(2))
    with pytest.raises(ValueError, match="needs a grid"):
        build(NetworkConfig(kind="residual"), spec, unit)
    with pytest.raises(ValueError, match="needs a grid"):
        build(NetworkConfig(kind="mlp", constraint="zero_mean"), spec, unit)
    with pytest.raises(ValueError, match=r"log_every = 10 .* multiple of steps_per_call = 4"):
        recipe(toy, steps_per_call=4)


def test_fourier_features_are_cosines_and_sines_of_fixed_projections():
    features = FourierFeatures(2, 5, 8.0, np.random.default_rng(0))
    x = jnp.asarray([[0.3, -0.7], [0.0, 0.0]])
    out = np.asarray(features(x))
    angles = np.asarray(x) @ np.asarray(features.frequencies[...])
    np.testing.assert_allclose(out, np.concatenate([x, np.cos(angles), np.sin(angles)], axis=-1), atol=1e-6)
    networks, players = build(NetworkConfig(**NETWORK), SampleSpec((2,)), Normalizer(np.zeros(2), np.ones(2)))
    assert players.discriminator.state["variables"]["features"]["frequencies"].shape == (2, 4)
    assert "features" not in players.discriminator.params
    assert networks.generate(players.generator.params, players.generator.state, jnp.zeros((3, 2))).shape == (3, 2)


def test_cosine_and_sine_with_their_derivatives_up_to_large_angles():
    angle = np.random.default_rng(0).uniform(-1000, 1000, 4000).astype(np.float32)
    exact = angle.astype(np.float64)
    cosine, sine = cosine_and_sine(jnp.asarray(angle))
    np.testing.assert_allclose(cosine, np.cos(exact), atol=1e-6)
    np.testing.assert_allclose(sine, np.sin(exact), atol=1e-6)
    first = jax.grad(lambda x: cosine_and_sine(x)[0])
    np.testing.assert_allclose(jax.vmap(first)(angle), -np.sin(exact), atol=1e-6)
    np.testing.assert_allclose(jax.vmap(jax.grad(first))(angle), -np.cos(exact), atol=1e-6)


@pytest.mark.parametrize(("signs", "jumps"), [(True, True), (False, False)])
def test_a_generator_that_sees_signs_can_jump(signs, jumps):
    config = NetworkConfig(**{**NETWORK, "latent_fourier": 0, "latent_signs": signs})
    networks, players = build(config, SampleSpec((2,)), Normalizer(np.zeros(2), np.ones(2)))
    sides = jnp.asarray([[1e-4, 0.5], [-1e-4, 0.5]])
    made = np.asarray(networks.generate(players.generator.params, players.generator.state, sides))
    assert (np.abs(made[0] - made[1]).max() > 0.05) == jumps
