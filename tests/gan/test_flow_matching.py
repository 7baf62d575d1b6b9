"""Flow matching: samples of a conditional Gaussian, the rule of integration, what is refused, the folder."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gan
from gan import GameConfig, NetworkConfig, OptimizerConfig, Problem, Recipe, SampleSpec, TrainingConfig, build
from gan.config import SolverLayerConfig
from gan.flow_matching import flow_matching_game
from gan.game import Batch
from gan.normalizer import Normalizer
from gan.training.checks import check_recipe

NOISE = 0.5
"""Of the condition about the sample's first number."""


def recipe(steps: int = 600, **game: object) -> Recipe:
    return Recipe(
        NetworkConfig(kind="residual_mlp", width=32, blocks=2),
        GameConfig(objective="flow_matching", evaluations=10, **game),
        OptimizerConfig(generator_rate=3e-3),
        SolverLayerConfig(tau=0.0),
        TrainingConfig(
            steps=steps,
            batch=256,
            log_every=100,
            checkpoint_every=300,
            diagnose_every=300,
            steps_per_call=100,
            cpu_devices=1,
            sample_chunk=1024,
        ),
    )


@pytest.fixture(scope="module")
def problem() -> Problem:
    """Two independent normal numbers, of which the first is seen with noise."""
    rng = np.random.default_rng(0)
    fields = rng.standard_normal((8192, 2)).astype(np.float32) * [1.0, 3.0] + [0.0, 5.0]
    seen = fields[:, :1] + NOISE * rng.standard_normal((8192, 1))
    fields, seen = fields.astype(np.float32), seen.astype(np.float32)
    held = slice(0, 256)
    return Problem(fields, {"seen": seen}, fields[held], {"seen": seen[held]})


@pytest.fixture(scope="module")
def trained(problem: Problem, tmp_path_factory: pytest.TempPathFactory) -> tuple[gan.Trained, object]:
    folder = tmp_path_factory.mktemp("flow") / "run"
    return gan.train(problem, recipe(), folder), folder


def test_samples_have_the_exact_conditional_distribution(trained: tuple[gan.Trained, object]) -> None:
    """Given y = x + e the first number is normal with mean y / (1 + s^2) and variance s^2 / (1 + s^2)."""
    for seen in (-1.0, 1.5):
        samples = trained[0].sample(jax.random.key(1), 4096, {"seen": np.array([seen], np.float32)})
        mean, std = samples.mean(axis=0), samples.std(axis=0)
        assert mean == pytest.approx([seen / (1 + NOISE**2), 5.0], abs=0.25)
        assert std == pytest.approx([NOISE / np.sqrt(1 + NOISE**2), 3.0], rel=0.15)


def test_a_loaded_generator_makes_the_same_samples(trained: tuple[gan.Trained, object]) -> None:
    one, folder = trained
    condition = {"seen": np.zeros(1, np.float32)}
    np.testing.assert_array_equal(
        gan.load(folder).sample(jax.random.key(3), 5, condition), one.sample(jax.random.key(3), 5, condition)
    )


@pytest.mark.slow
def test_resumed_is_as_never_interrupted(
    trained: tuple[gan.Trained, object], problem: Problem, tmp_path: object
) -> None:
    def stop(step: int, steps: int, line: object) -> None:
        if step == 300:
            raise RuntimeError

    with pytest.raises(RuntimeError):
        gan.train(problem, recipe(), tmp_path, progress=stop)
    resumed = gan.train(problem, recipe(), tmp_path, resume=True)
    jax.tree.map(np.testing.assert_array_equal, resumed.params, trained[0].params)


def test_the_discriminator_has_no_parameters_and_no_loss() -> None:
    spec, identity = SampleSpec((2,)), Normalizer.identity(2)
    networks, players = build(NetworkConfig(kind="residual_mlp", width=4), spec, identity, evaluations=2)
    assert players.discriminator.params == {}
    batch = Batch(jnp.ones((4, 2)), {}, jnp.arange(4), jnp.float32(0))
    generator, discriminator = flow_matching_game(networks).losses(players, batch, jax.random.key(0))
    assert float(discriminator) == 0.0
    assert float(generator) > 0.0


def test_the_midpoint_rule_has_order_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """dx/dt = cos(3 t) x has the solution x_0 exp(sin(3) / 3)."""
    spec, identity = SampleSpec((1,)), Normalizer.identity(1)
    errors = []
    for evaluations in (32, 64, 128):
        networks, players = build(NetworkConfig(kind="residual_mlp", width=4), spec, identity, evaluations=evaluations)
        monkeypatch.setattr(type(networks), "velocity", lambda self, p, s, x, t, c: jnp.cos(3 * t)[:, None] * x)
        made = networks.generate(players.generator.params, {}, jnp.ones((1, 1)))
        errors.append(abs(float(made[0, 0]) - np.exp(np.sin(3.0) / 3)))
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert np.all(np.abs(orders - 2.0) < 0.2), orders


@pytest.mark.parametrize(
    ("game", "names"), [({"ensemble_weight": 1.0}, "ensemble_weight"), ({"critic_steps": 2}, "critic_steps")]
)
def test_what_needs_a_discriminator_is_refused(game: dict[str, object], names: str) -> None:
    with pytest.raises(ValueError, match=f"game.{names} = .*no discriminator"):
        GameConfig(objective="flow_matching", **game)


def test_an_odd_number_of_evaluations_is_refused() -> None:
    with pytest.raises(ValueError, match=r"game\.evaluations = 3"):
        GameConfig(objective="flow_matching", evaluations=3)


def test_penalties_are_refused(problem: Problem, tmp_path: object) -> None:
    penalised = Problem(problem.train, problem.condition, penalties={"size": gan.Penalty(lambda s, c: s.mean(), 1.0)})
    with pytest.raises(ValueError, match="Flow matching draws no samples in training that the penalties size"):
        gan.train(penalised, recipe(), tmp_path)


def test_an_update_scheme_of_zero_sum_games_is_refused() -> None:
    asked = Recipe(
        recipe().network,
        recipe().game,
        OptimizerConfig(scheme="competitive"),
        SolverLayerConfig(tau=0.0),
        recipe().training,
    )
    with pytest.raises(ValueError, match="do not add up to zero"):
        check_recipe(asked, SampleSpec((2,)))


def test_the_density_of_samples_is_that_of_the_exact_conditional(trained: tuple[gan.Trained, object]) -> None:
    """Where the samples lie their density is close to that of the two independent normal numbers."""
    seen = 0.5
    samples, log_density = trained[0].sample_with_log_density(
        jax.random.key(5), 2000, {"seen": np.array([seen], np.float32)}, chunk=500
    )
    np.testing.assert_allclose(
        samples,
        trained[0].sample(jax.random.key(5), 2000, {"seen": np.array([seen], np.float32)}),
        rtol=1e-4,
        atol=1e-4,
    )
    spreads = np.array([NOISE / np.sqrt(1 + NOISE**2), 3.0])
    apart = (samples - [seen / (1 + NOISE**2), 5.0]) / spreads
    exact = -0.5 * (apart**2).sum(axis=1) - np.log(2 * np.pi * spreads.prod())
    # The Kullback-Leibler divergence from the exact distribution, estimated, is small and not negative.
    assert -0.02 < np.mean(log_density - exact) < 0.1


def test_the_density_is_the_latents_over_the_change_of_volume(monkeypatch: pytest.MonkeyPatch) -> None:
    """dx/dt = x makes e z of z by exact integration; the midpoint rule makes a product of its growth factors."""
    spec, identity = SampleSpec((3,)), Normalizer.identity(3)
    networks, players = build(NetworkConfig(kind="residual_mlp", width=4), spec, identity, evaluations=64)
    monkeypatch.setattr(type(networks), "velocity", lambda self, p, s, x, t, c: x)
    latent = jax.random.normal(jax.random.key(0), (5, 3))
    made, log_density = networks.generate_with_log_density(players.generator.params, {}, latent)
    np.testing.assert_allclose(made, np.e * latent, rtol=1e-3)
    normal = -0.5 * (np.asarray(latent) ** 2).sum(axis=1) - 1.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(log_density, normal - 3.0, rtol=1e-3)


def test_where_the_generator_folds_space_its_density_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    spec, identity = SampleSpec((1,)), Normalizer.identity(1)
    networks, players = build(NetworkConfig(kind="residual_mlp", width=4), spec, identity, evaluations=2)
    # Along x' = -4 |x| one step of the midpoint rule makes 13 x of a negative x, and -3 x of a positive one.
    monkeypatch.setattr(type(networks), "velocity", lambda self, p, s, x, t, c: -4.0 * jnp.abs(x))
    log_density = networks.generate_with_log_density(players.generator.params, {}, jnp.array([[-1.0], [1.0]]))[1]
    assert np.isfinite(log_density).tolist() == [True, False]


def test_a_density_needs_a_latent_of_the_samples_size() -> None:
    networks, players = build(NetworkConfig(kind="mlp", width=4, latent=2), SampleSpec((3,)), Normalizer.identity(3))
    with pytest.raises(ValueError, match="as many values as a sample has: 2 and 3"):
        networks.generate_with_log_density(players.generator.params, {}, jnp.zeros((1, 2)))


def test_a_density_is_refused_where_symmetries_follow_and_only_there(trained: tuple[gan.Trained, object]) -> None:
    one, condition = trained[0], {"seen": np.zeros(1, np.float32)}
    asked = recipe(symmetrize=True)
    without = gan.Trained(asked, one.networks, one.generator)
    assert np.isfinite(without.sample_with_log_density(jax.random.key(0), 4, condition)[1]).all()
    moved = gan.Trained(asked, one.networks, one.generator, symmetries=gan.ArraySymmetries())
    with pytest.raises(ValueError, match="no symmetries may follow"):
        moved.sample_with_log_density(jax.random.key(0), 4, condition)
