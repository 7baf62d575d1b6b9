"""Configurations: described, validated with one sentence, light to import, and back from plain dictionaries."""

import dataclasses
import json
import subprocess
import sys

import pytest

from gan.config import (
    GameConfig,
    NetworkConfig,
    OptimizerConfig,
    Recipe,
    SolverLayerConfig,
    TrainingConfig,
)

SECTIONS = (NetworkConfig, GameConfig, OptimizerConfig, SolverLayerConfig, TrainingConfig)


@pytest.mark.parametrize("section", SECTIONS)
def test_every_option_says_what_it_means(section):
    for field in dataclasses.fields(section):
        assert len(field.metadata["help"]) > 10
        assert "unit" in field.metadata


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        (NetworkConfig, {"kind": "resnet"}, "network.kind must be one of residual.*found resnet"),
        (NetworkConfig, {"kernel": 4}, "network.kernel = 4.*odd"),
        (NetworkConfig, {"width": 0}, "network.width must be at least 1, found 0"),
        (NetworkConfig, {"levels": 99999}, "network.levels must be at most 30, found 99999"),
        (NetworkConfig, {"kind": "residual", "latent_signs": True}, "network.latent_signs = True.*network.kind mlp"),
        (NetworkConfig, {"latent_local": True, "latent": 0}, "network.latent_local = True.*a latent above 0"),
        (GameConfig, {"r1": float("inf")}, "game.r1 must be finite, found inf"),
        (GameConfig, {"objective": "wgan"}, "game.objective must be one of .*flow_matching, found wgan"),
        (GameConfig, {"critic_steps": 0}, "game.critic_steps"),
        (GameConfig, {"objective": "hinge", "label_smoothing": 0.1}, "game.objective = 'hinge'.*minimax"),
        (NetworkConfig, {"discriminator": "vgg"}, "network.discriminator must be one of matching"),
        (OptimizerConfig, {"generator_rate": 0.0}, "optimizer.generator_rate must be above 0, found 0"),
        (OptimizerConfig, {"generator_rate": float("nan")}, "optimizer.generator_rate must be finite, found nan"),
        (OptimizerConfig, {"beta2": 1.0}, "optimizer.beta2"),
        (SolverLayerConfig, {"tau": -1.0}, "solver_layer.tau must be at least 0, found -1"),
        (SolverLayerConfig, {"bound": float("inf")}, "solver_layer.bound"),
        (TrainingConfig, {"checkpoint_every": 30}, "checkpoint_every = 30.*multiple of log_every = 20"),
        (TrainingConfig, {"parallel": "pmapp"}, "training.parallel"),
    ],
)
def test_a_value_out_of_range_is_refused_with_its_name_and_the_remedy(section, values, message):
    with pytest.raises(ValueError, match=message):
        section(**values)


def test_a_recipe_survives_being_written_down():
    recipe = Recipe(network=NetworkConfig(width=7), solver_layer=SolverLayerConfig(tau=0.1))
    assert Recipe.from_dict(json.loads(json.dumps(recipe.as_dict()))) == recipe
    written = recipe.as_dict()
    with pytest.raises(ValueError, match=r"not one of this version.*'game'"):
        Recipe.from_dict({name: section for name, section in written.items() if name != "game"})
    with pytest.raises(ValueError, match=r"not one of this version.*depth"):
        Recipe.from_dict({**written, "network": {"depth": 3}})


def test_reading_the_configuration_imports_no_array_library():
    code = "import gan, gan.config, sys; assert not {'jax', 'numpy', 'flax'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_of_the_wing_exists():
    import gan

    for name in gan.__all__:
        assert getattr(gan, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'generatr'"):
        _ = gan.generatr


def test_updates_that_differ_are_not_made_in_one_call():
    with pytest.raises(ValueError, match=r"game.penalty_every = 4 .* training.steps_per_call = 5 updates"):
        Recipe(game=GameConfig(penalty_every=4), training=TrainingConfig(steps_per_call=5))
