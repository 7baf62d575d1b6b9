"""Configurations: what people write becomes checked values, and comes back from YAML unchanged."""

import math

import pytest
import yaml

from experiments import catalog
from experiments.config import CompareConfig, DataConfig, ExperimentConfig
from experiments.errors import UserError
from experiments.options import RENAMED, settings


@pytest.fixture
def config():
    return ExperimentConfig()


def test_every_setting_has_help():
    missing = [name for name, _, _, metadata in settings(ExperimentConfig()) if not metadata.get("help")]
    assert missing == []


def test_a_configuration_survives_yaml(toy):
    config = toy.presets["demo"].with_overrides(
        {
            "data.extent": "32pi",
            "optimizer.generator_rate": "3e-5",
            "compare.refine": "0,0.5,4",
            "system.viscosity": "0.02,0.3",
        }
    )
    again = ExperimentConfig(system=config.system).updated_from(yaml.safe_load(yaml.safe_dump(config.as_mapping())))
    assert again == config
    assert again.data.extent == (32 * math.pi,)
    assert again.system.viscosity == (0.02, 0.3)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("data.points", "64,64", None),
        ("training.steps", "1e3", 1000),
        ("data.spin_up", "none", None),
        ("data.spin_up", "12.5", 12.5),
        ("compare.search", "no", False),
        ("compare.quantiles", "0.01, 0.99", (0.01, 0.99)),
        ("network.kind", "mlp", "mlp"),
    ],
)
def test_text_becomes_the_type_of_the_setting(config, name, text, value):
    if name == "data.points":
        with pytest.raises(UserError, match="2 axes"):
            config.with_overrides({name: text})
        return
    section, key = name.split(".")
    assert getattr(getattr(config.with_overrides({name: text}), section), key) == value


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("training.stepz", "1", "did you mean --training.steps?"),
        ("stride", "1", "did you mean --data.stride?"),
        ("training.steps", "many", "--training.steps must be a whole number, found 'many'."),
        ("training.steps", "1.5", "--training.steps must be a whole number, found '1.5'."),
        ("training.steps", "0", "--training.steps must be at least 1, found 0."),
        ("data.points", "2", "--data.points must be at least 4, found 2."),
        ("data.dt", "0", "--data.dt must be above 0, found 0."),
        ("data.dt", "nan", "--data.dt must be finite, found nan."),
        ("data.trajectories", "1,2", "--data.trajectories takes 3 values separated by commas, found 1,2."),
        ("compare.refine", "4,2", "--compare.refine must be increasing times"),
        ("compare.search", "perhaps", "--compare.search must be true or false, found 'perhaps'."),
        (
            "network.kind",
            "resnet",
            "--network.kind must be one of residual, mlp, residual_mlp, waves, dcgan, unet, fno, convgru, found "
            "resnet; did you mean",
        ),
        (
            "network.modes",
            "5",
            "--network.modes = 5 is not usable: neither the residual generator nor the residual discriminator reads "
            "it; set network.modes to 12, or use network.kind fno, where it is read.",
        ),
    ],
)
def test_a_wrong_option_is_reported_with_its_name_value_and_remedy(config, name, text, expected):
    with pytest.raises(UserError) as caught:
        config.with_overrides({name: text})
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_key_in_yaml_names_the_nearest():
    with pytest.raises(UserError, match=r"data\.point is not a setting; did you mean points\?"):
        ExperimentConfig().updated_from({"data": {"point": [64]}})


def test_a_section_that_is_no_mapping_is_refused():
    with pytest.raises(UserError, match="data must be a section"):
        ExperimentConfig().updated_from({"data": 3})


def test_two_overrides_that_only_fit_together_are_applied_together(config):
    changed = config.with_overrides({"data.points": "32,32", "data.extent": "1,1"})
    assert changed.data.points == (32, 32)
    assert config.data.points == (64,)


def test_the_null_distribution_has_at_least_fifty_draws():
    with pytest.raises(ValueError, match="draws must be at least 50"):
        CompareConfig(draws=49)


def test_points_and_extent_have_as_many_axes():
    with pytest.raises(UserError, match="1 axes and extent has 2"):
        DataConfig(points=(64,), extent=(1.0, 1.0))


FREE_TEXT = {
    f"system.{name}"
    for name in (
        "file",
        "physics",
        "variable",
        "axes",
        "group",
        "periodic",
        "homogeneous",
        "factors",
        "responses",
        "logs",
    )
}
"""Names of files, variables and axes of the user's own."""


@pytest.mark.parametrize("name", catalog.names())
def test_every_enumerated_setting_has_its_choices_in_help_and_error(name):
    experiment = catalog.load(name)
    for preset in experiment.presets.values():
        for dotted, kind, value, metadata in settings(preset):
            if kind is not str and kind != tuple[str, ...]:
                continue
            if dotted in FREE_TEXT:
                continue
            choices = metadata["choices"]
            assert set((value,) if kind is str else value) <= set(choices), dotted
            with pytest.raises(UserError) as refused:
                preset.with_overrides({dotted: "no such word"})
            assert all(one in str(refused.value) for one in choices), dotted


def test_a_setting_of_an_earlier_version_is_answered_with_its_name_of_today(config):
    for old, new in RENAMED.items():
        if "." in old:
            with pytest.raises(UserError, match=rf"--{old} is not an option; it is called {new} now\."):
                config.with_overrides({old: "1"})
            section, key = old.split(".")
            with pytest.raises(UserError, match="it is called"):
                config.updated_from({section: {key: 1}})
