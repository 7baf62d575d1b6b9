"""The command ``train-on``: describe a file, and run an experiment on it.

Fields are for ``own_data``. A table of runs, whose columns are named as factors and responses, is for
``virtual_experiment``.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from experiments import catalog, environment
from experiments.cli.console import terminal
from experiments.cli.run import run
from experiments.cli.settings import chosen_preset, known_options, read_overrides
from experiments.config import ExperimentConfig
from experiments.errors import UserError
from experiments.experiment import Experiment
from gan.config import NetworkConfig

EXPERIMENT, TABLES = "own_data", "virtual_experiment"
_OF_FIELDS = ("axes", "patch", "transform", "periodic", "homogeneous", "group", "physics", "variable")
_OF_TABLES = ("factors", "responses", "logs")
_DENSE = 64
"""Width of dense networks at least."""


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
    table = any(getattr(arguments, option) is not None for option in _OF_TABLES)
    if table and (other := next((one for one in _OF_FIELDS if getattr(arguments, one)), None)):
        raise UserError(f"--{other} is for fields, and --factors, --responses and --logs are for tables: leave it out.")
    for option in _OF_TABLES if table else ("axes", "patch", "transform", "periodic", "homogeneous", "group"):
        if (value := getattr(arguments, option)) is not None:
            given[f"system.{option}"] = value
    if arguments.physics:
        given["system.physics"] = str(Path(arguments.physics).absolute())
    if arguments.variable:
        given["system.variable"] = ",".join(arguments.variable)
    experiment = catalog.load(TABLES if table else EXPERIMENT)
    preset = experiment.presets[chosen_preset(experiment, arguments.preset)]
    words = [word for name, value in given.items() for word in (f"--{name}", value)]
    overrides = read_overrides([*words, *rest], known_options(preset, parser))
    config = preset.with_overrides(overrides)
    terminal().print(described(config), markup=False)
    fitted = {} if table else fitting(experiment, config, overrides)
    for name, text in fitted.items():
        words += [f"--{name}", text]
    chosen = argparse.Namespace(
        name=experiment.name,
        preset=arguments.preset,
        seed=arguments.seed,
        runs_dir=arguments.runs_dir,
        baselines=arguments.baselines,
        resume=arguments.resume,
        time_limit=arguments.time_limit,
        tensorboard=arguments.tensorboard,
        coordinator=arguments.coordinator,
        num_processes=arguments.num_processes,
        process_id=arguments.process_id,
    )
    return run(chosen, [*words, *rest], argv, resumable, parser)


def described(config: ExperimentConfig) -> str:
    """Return what the configured file holds, in a sentence."""
    from experiments.own_data.description import describe
    from experiments.tasks.measurements import MeasurementsConfig, open_table
    from experiments.tasks.own_fields import OwnFieldsConfig, open_layout

    if isinstance(config.system, MeasurementsConfig):
        return f"{Path(config.system.file).name}: {open_table(config.system).sentence()}"
    assert isinstance(config.system, OwnFieldsConfig)
    return describe(open_layout(config.system)).sentence()


def fitting(experiment: Experiment, config: ExperimentConfig, given: Mapping[str, str]) -> dict[str, str]:
    """Return settings of the networks that fit the fields of the file, where the user leaves them open.

    Points without a grid take dense networks. On a grid, the networks halve the resolution as often as the preset says,
    or as every axis allows.

    Raises:
        UserError: an axis cannot be halved even once, so that no network of several resolutions fits.
    """
    if any(name.startswith("network.") for name in given):
        return {}
    environment.prepare()
    grid = experiment.learnt().spec(config).grid
    if not grid:
        default = NetworkConfig()
        return {
            "network.kind": "mlp",
            "network.levels": str(default.levels),
            "network.width": str(max(config.network.width, _DENSE)),
            "network.blocks": "3",
        }
    levels = config.network.levels
    while levels > 1 and any(size % 2 ** (levels - 1) for size in grid):
        levels -= 1
    if levels < 2:
        sizes = " x ".join(map(str, grid))
        raise UserError(
            f"fields of {sizes} cannot be halved along every axis, as the networks do: learn patches of them, for "
            f"example with --patch {2 ** int(math.log2(max(min(grid), 2)))}."
        )
    return {"network.levels": str(levels)}
