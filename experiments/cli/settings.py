"""Settings on the command line: which there are, what was given, and their page of help."""

from __future__ import annotations

import argparse
import dataclasses
import re
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

from experiments import catalog
from experiments.cli.parsers import PROGRAM
from experiments.errors import UserError
from gan.settings import nearest

if TYPE_CHECKING:
    from experiments.config import ExperimentConfig
    from experiments.experiment import Experiment

Number = TypeVar("Number", int, float)


def read_overrides(rest: Sequence[str], known: Sequence[str], command: str = "run") -> dict[str, str]:
    """Read the ``--section.key value`` and ``--section.key=value`` pairs of a command."""
    from experiments.options import hint

    given: dict[str, str] = {}
    words = list(rest)
    while words:
        word = words.pop(0)
        if not word.startswith("--"):
            raise UserError(f"{word!r} belongs to no option; settings are written --section.key value.")
        name, equals, value = word[2:].partition("=")
        if f"--{name}" not in known:
            found = hint(name, f"--{name}", known) or "; see `run NAME --help`."
            raise UserError(f"--{name} is not an option of {command}{found}")
        if not equals:
            if not words or (words[0].startswith("--") and words[0].partition("=")[0] in known):
                raise UserError(f"--{name} needs a value: write --{name} VALUE.")
            value = words.pop(0)
        if name in given:
            raise UserError(f"--{name} is given twice, {given[name]} and {value}; give it once.")
        given[name] = value
    return given


def given_settings(
    arguments: argparse.Namespace, rest: Sequence[str], known: Sequence[str], command: str = "run"
) -> dict[str, str]:
    """Read the settings of a command, those that ``--seed`` and ``--baselines`` stand for too."""
    overrides = read_overrides(rest, known, command)
    if arguments.seed is not None:
        if "training.seed" in overrides:
            raise UserError("--seed and --training.seed say the same thing; give one of them.")
        overrides["training.seed"] = str(number(arguments.seed, "--seed", int, 0))
    if arguments.baselines:
        overrides.setdefault("compare.baselines", "true")
    return overrides


def known_options(config: ExperimentConfig, parser: argparse.ArgumentParser) -> list[str]:
    """Every option that ``run`` takes with this configuration."""
    from experiments.options import settings

    return [one for action in parser._actions for one in action.option_strings] + [
        f"--{name}" for name, _, _, _ in settings(config)
    ]


def chosen_preset(experiment: Experiment, name: str | None) -> str:
    """Return the preset that was given for, ``demo`` where none was."""
    presets = list(experiment.presets)
    if name is None:
        return "demo" if "demo" in presets else presets[0]
    if name not in presets:
        hint = nearest(name, presets) or f"; choose from {', '.join(presets)}."
        raise UserError(f"--preset {name!r} is unknown{hint}")
    return name


def number(text: str, option: str, kind: type[Number], minimum: int, below: float | int = float("inf")) -> Number:
    """Read a number in [minimum, below)."""
    from experiments.options import convert

    value = convert(text, kind, option)
    assert isinstance(value, kind)
    if not value >= minimum:
        raise UserError(f"{option} must be at least {minimum:g}, found {text}.")
    if not value < below:
        raise UserError(f"{option} must be {'finite' if kind is float else f'below {below}'}, found {text}.")
    return value


_UNITS = {"d": 86_400, "h": 3600, "m": 60, "s": 1}
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_TIME = re.compile(r"\s*".join(rf"(?:({_NUMBER.pattern})\s*{unit})?" for unit in _UNITS))


def time_limit(text: str, option: str = "--time-limit") -> float:
    """Read a length of time in seconds: ``90``, ``45s``, ``30m``, ``1h30m``, ``1d12h``.

    Raises:
        UserError: it is none, or not above 0.
    """
    plain = text.strip().lower()
    found = _TIME.fullmatch(f"{plain}s" if _NUMBER.fullmatch(plain) else plain)
    if found is None or not any(found.groups()):
        raise UserError(f"{option} must be a length of time such as 45s, 30m or 1h30m, found {text!r}.")
    seconds = sum(float(part or 0) * size for part, size in zip(found.groups(), _UNITS.values()))
    if not seconds > 0:
        raise UserError(f"{option} must be above 0, found {text!r}.")
    return seconds


def help_of_run(argv: Sequence[str], parser: argparse.ArgumentParser) -> int:
    """Print the help of ``run``; with an experiment's name, also every setting with that preset's values."""
    words = [one for one in argv[argv.index("run") + 1 :] if one not in ("-h", "--help")]
    # "none" answers for a NAME left out, so that the parser can tell names from the values of options.
    given, _ = parser.parse_known_args([*words, "none"])
    if given.name == "none":
        names = ", ".join(catalog.names())
        parser.epilog = (
            "With NAME given, --help shows every setting of that experiment. NAME is a Python file that defines an\n"
            f"experiment, or one of: {names}."
        )
        parser.print_help()
        return 0
    experiment = catalog.load(given.name)
    preset = chosen_preset(experiment, given.preset)
    parser.usage = (
        f"{PROGRAM} run {given.name} [--preset PRESET] [--seed N] [--runs-dir DIR] [--resume RUN|auto]\n"
        "           [--time-limit TIME] [--section.key value ...]"
    )
    summary = catalog.summary(given.name)
    parser.description = f"{summary.system}; {summary.task}: {summary.line}."
    parser.epilog = describe(experiment.presets[preset], given.name, preset)
    parser.print_help()
    return 0


def describe(config: ExperimentConfig, name: str, preset: str) -> str:
    """List every setting of ``config`` by section: option, value in this preset, unit, type and help."""
    from experiments.options import settings, type_name
    from gan.settings import show

    titles = {field.name: field.metadata.get("help", "") for field in dataclasses.fields(config)}
    lines = [f"settings, with the values of --preset {preset}:"]
    section = ""
    for dotted, kind, value, metadata in settings(config):
        if (head := dotted.partition(".")[0]) != section:
            section = head
            lines += ["", f"{section}: {titles[section]}"]
        unit = f" {metadata['unit']}" if metadata.get("unit") and value is not None else ""
        lines.append(f"  --{dotted} {type_name(kind)}")
        choices = f"; one of {', '.join(map(str, metadata['choices']))}" if metadata.get("choices") else ""
        text = f"{metadata.get('help', '')}{choices} [{show(value)}{unit}]"
        lines += textwrap.wrap(text, 100, initial_indent=" " * 8, subsequent_indent=" " * 8)
    lines += ["", "example:", f"  {PROGRAM} run {name} --preset {preset} --seed 1 --training.steps 500"]
    return "\n".join(lines)
