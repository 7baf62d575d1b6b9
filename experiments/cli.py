"""The command line: ``list | run | sample | compare | report | cache``.

``main(argv)`` returns the exit code: 0; 2 after one sentence on stderr for anything the user can mend; 130
after Ctrl-C, with the command that resumes. What answers quickly (help, ``list``, wrong options) imports no
jax.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console

from experiments import catalog, environment
from experiments.errors import EXIT_INTERRUPTED, EXIT_USER, UserError, is_of_the_disk, nearest, sentence

PROGRAM = "python -m experiments"
PRESETS = ("smoke", "demo", "full")

_DESCRIPTION = """\
Generative adversarial networks trained against, and through, a differentiable solver.

A run makes training fields with the solver, trains a generator whose samples the solver carries on, holds the
generator against the solver, and leaves all of it with a report in runs/NAME/STAMP/."""

_EXAMPLES = """\
examples:
  python -m experiments list
  python -m experiments run kuramoto_sivashinsky                  minutes on 2 cores, ends with the verdict
  python -m experiments run kuramoto_sivashinsky --help           every setting, its default and its unit
  python -m experiments run burgers --preset smoke --seed 1 --training.steps 200
  python -m experiments run kuramoto_sivashinsky --resume runs/kuramoto_sivashinsky/STAMP
  python -m experiments sample runs/kuramoto_sivashinsky/STAMP --count 1000 --refine 2 --out fields.nc

Ctrl-C stops a run so that it can be resumed.
Exit codes: 0 done, 2 something to mend (one sentence says what), 130 interrupted."""


class _Parser(argparse.ArgumentParser):
    """Argparse whose complaints are ``UserError``s, so that they become one sentence like all others."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; see `{self.prog} --help`.")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code (0, 2, or 130)."""
    argv = list(sys.argv[1:] if argv is None else argv)
    resumable: list[str] = []
    try:
        return _dispatch(argv, resumable)
    except KeyboardInterrupt:
        _complain(f"interrupted; go on with: {resumable[-1]}" if resumable else "interrupted.")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader (a pager, head) has gone; Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        message = sentence(error)
        if message is None:
            raise
        _complain(message)
        if resumable and is_of_the_disk(error):
            _complain(f"the run is kept; go on with: {resumable[-1]}")
        elif resumable and type(error).__name__ == "Diverged":
            # Going on would repeat it, bit for bit.
            _complain("start again with smaller --optimizer.generator_rate and --optimizer.discriminator_rate.")
        return EXIT_USER


def _complain(message: str) -> None:
    sys.stderr.write(f"{message}\n")


def _dispatch(argv: list[str], resumable: list[str]) -> int:
    parser, commands = _parsers()
    word = next((one for one in argv if not one.startswith("-")), None)
    if word is not None and word not in commands:
        hint = nearest(word, commands) or "; choose from " + ", ".join(commands) + "."
        raise UserError(f"command {word!r} is unknown{hint}")
    if word == "run" and {"-h", "--help"} & set(argv):
        return _help_run(argv, commands["run"])
    arguments, rest = parser.parse_known_args(argv)
    if arguments.command is None:
        parser.print_help()
        return 0
    if rest and arguments.command != "run":
        options = [one for action in commands[arguments.command]._actions for one in action.option_strings]
        raise UserError(
            f"{rest[0]} is not an option of {arguments.command}"
            f"{nearest(rest[0], options) or f'; see `{PROGRAM} {arguments.command} --help`.'}"
        )
    if arguments.command == "run":
        return _run(arguments, rest, argv, resumable, commands["run"])
    return {"list": _list, "sample": _sample, "compare": _compare, "report": _report, "cache": _cache}[
        arguments.command
    ](arguments, resumable)


def _parsers() -> tuple[_Parser, dict[str, argparse.ArgumentParser]]:
    plain = argparse.RawDescriptionHelpFormatter
    parser = _Parser(
        prog=PROGRAM, description=_DESCRIPTION, epilog=_EXAMPLES, formatter_class=plain, allow_abbrev=False
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")

    def command(name: str, help: str, epilog: str = "") -> argparse.ArgumentParser:
        return commands.add_parser(
            name,
            help=help,
            description=f"{help[0].upper()}{help[1:]}.",
            epilog=epilog,
            formatter_class=plain,
            allow_abbrev=False,
        )

    command("list", "show every experiment: its system, its task, what it is about and what it costs")

    run = command("run", "make the data, train, compare with the solver, write the report; resumable at any moment")
    run.add_argument("name", metavar="NAME", help="an experiment, as `list` names it")
    run.add_argument("--preset", metavar="PRESET", help="smoke (seconds), demo (minutes, the default) or full (a GPU)")
    run.add_argument("--seed", metavar="N", help="seed of players, latents and batches (training.seed)")
    run.add_argument("--runs-dir", metavar="DIR", default="runs", help="where run folders go (default: runs)")
    run.add_argument(
        "--baselines", action="store_true", help="train baselines too, on the same data (compare.baselines)"
    )
    run.add_argument("--resume", metavar="RUN", help="go on with this run folder where it stopped")

    sample = command(
        "sample",
        "draw fields from a run's generator and write them with coordinates and units",
        "example:\n"
        "  python -m experiments sample runs/kuramoto_sivashinsky/STAMP --count 1000 --refine 2 "
        "--out fields.nc",
    )
    _add_run(sample)
    sample.add_argument("--count", metavar="N", required=True, help="how many fields")
    sample.add_argument(
        "--refine", metavar="TIME", default="0", help="carry them on with the solver for TIME (default: 0)"
    )
    sample.add_argument("--seed", metavar="N", default="0", help="seed of the latents (default: 0)")
    sample.add_argument("--out", metavar="FILE", required=True, help="ends in .npz, .nc, .h5 or .zarr")

    _add_run(command("compare", "hold a run's generator against the solver again, from its last checkpoint"))
    _add_run(command("report", "write a run's report.html again, from what lies in its folder"))

    cache = command("cache", "show the cached training fields, or remove those that nothing uses")
    cache.add_argument("action", metavar="show|clear", nargs="?", default="show", help="show (the default) or clear")
    return parser, dict(commands.choices)


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run folder, runs/NAME/STAMP")


def _number(text: str, option: str, kind: type, minimum: int, below: float | int = float("inf")) -> Any:
    from experiments.options import convert

    value = convert(text, kind, option)
    if not value >= minimum:
        raise UserError(f"{option} must be at least {minimum:g}, found {text}.")
    if not value < below:
        raise UserError(f"{option} must be {'finite' if kind is float else f'below {below}'}, found {text}.")
    return value


def _list(arguments: argparse.Namespace, resumable: list[str]) -> int:
    console = _console()
    for name, summary in catalog.names().items():
        console.print(f"[bold]{name}[/bold]  {summary.system}; {summary.task}")
        console.print(f"    {summary.line}")
        console.print(f"    [dim]{summary.cost}[/dim]")
    return 0


def _console() -> Console:
    # Paths and commands must survive being copied: no wrapping where the output is not a terminal, no markup
    # guesses.
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=10_000)


def _preset(experiment: Any, name: str | None) -> str:
    presets = list(experiment.presets)
    if name is None:
        return "demo" if "demo" in presets else presets[0]
    if name not in presets:
        hint = nearest(name, presets) or f"; choose from {', '.join(presets)}."
        raise UserError(f"--preset {name!r} is unknown{hint}")
    return name


def _overrides(rest: Sequence[str], known: Sequence[str]) -> dict[str, str]:
    """Read ``--section.key value`` and ``--section.key=value`` pairs."""
    found: dict[str, str] = {}
    words = list(rest)
    while words:
        word = words.pop(0)
        if not word.startswith("--"):
            raise UserError(f"{word!r} belongs to no option; settings are written --section.key value.")
        name, equals, value = word[2:].partition("=")
        if f"--{name}" not in known:
            raise UserError(
                f"--{name} is not an option of run{nearest(f'--{name}', known) or '; see `run NAME --help`.'}"
            )
        if not equals:
            if not words or (words[0].startswith("--") and words[0].partition("=")[0] in known):
                raise UserError(f"--{name} needs a value: write --{name} VALUE.")
            value = words.pop(0)
        if name in found:
            raise UserError(f"--{name} is given twice, {found[name]} and {value}; give it once.")
        found[name] = value
    return found


def _known_options(config: Any, parser: argparse.ArgumentParser) -> list[str]:
    from experiments.options import settings

    return [one for action in parser._actions for one in action.option_strings] + [
        f"--{name}" for name, _, _, _ in settings(config)
    ]


def _run(
    arguments: argparse.Namespace,
    rest: Sequence[str],
    argv: Sequence[str],
    resumable: list[str],
    parser: argparse.ArgumentParser,
) -> int:
    environment.prepare()
    experiment = catalog.load(arguments.name)
    preset = _preset(experiment, arguments.preset)
    overrides = _overrides(rest, _known_options(experiment.presets[preset], parser))
    if arguments.seed is not None:
        if "training.seed" in overrides:
            raise UserError("--seed and --training.seed say the same thing; give one of them.")
        overrides["training.seed"] = str(_number(arguments.seed, "--seed", int, 0))
    if arguments.baselines:
        overrides.setdefault("compare.baselines", "true")
    from experiments import pipeline, runs

    if arguments.resume is not None:
        folder = _resumed(runs.open_folder(arguments.resume), arguments, overrides)
        pipeline.check(experiment, folder.config)
    else:
        config = experiment.presets[preset].with_overrides(overrides)
        # Before the folder is made: what cannot work leaves nothing behind.
        pipeline.check(experiment, config)
        folder = runs.create(arguments.runs_dir, arguments.name, preset, config, ["python", "-m", "experiments", *argv])
    resumable.append(folder.resume_command())

    from experiments import report
    from experiments.progress import Progress

    with Progress() as progress:
        progress.note(f"run folder: {folder.path}")
        comparison = pipeline.run(
            experiment, folder.config, folder, resume=arguments.resume is not None, progress=progress
        )
        page = report.write(folder)
    _verdict(comparison, page)
    return 0


def _resumed(folder: Any, arguments: argparse.Namespace, overrides: dict[str, str]) -> Any:
    """Check that nothing on the command line contradicts the run to go on with."""
    if folder.experiment != arguments.name:
        raise UserError(
            f"--resume {folder.path} is a run of {folder.experiment}, not of {arguments.name}; "
            f"go on with `{folder.resume_command()}`."
        )
    if arguments.preset not in (None, folder.preset):
        raise UserError(
            f"--preset {arguments.preset} contradicts --resume {folder.path}, "
            f"whose preset is {folder.preset}; leave --preset out."
        )
    if folder.config.with_overrides(overrides) != folder.config:
        from experiments.options import settings, show

        before = {name: value for name, _, value, _ in settings(folder.config)}
        changed = {name: value for name, _, value, _ in settings(folder.config.with_overrides(overrides))}
        name = next(name for name in before if before[name] != changed[name])
        raise UserError(
            f"--{name} {show(changed[name])} contradicts --resume {folder.path}, "
            f"whose value is {show(before[name])}; leave it out, or start a new run."
        )
    return folder


def _verdict(comparison: dict[str, Any], page: Path) -> None:
    console = _console()
    console.print()
    console.print(str(comparison.get("verdict", "no verdict.")), markup=False)
    console.print(f"report: {page}", markup=False)


def _sample(arguments: argparse.Namespace, resumable: list[str]) -> int:
    from experiments import export

    out = Path(arguments.out)
    export.writer_for(out)
    count = _number(arguments.count, "--count", int, 1)
    refine = _number(arguments.refine, "--refine", float, 0)
    seed = _number(arguments.seed, "--seed", int, 0, 2**32)
    environment.prepare()
    from experiments.run import load_run

    run = load_run(arguments.run)
    import jax

    fields = run.sample(count, key=jax.random.key(seed), refine=refine)
    source = {"experiment": run.folder.experiment, "run": str(run.path), "seed": seed}
    export.write(dataclasses.replace(fields, attrs={**fields.attrs, **source}), out)
    shape = " x ".join(f"{size} {name}" for name, size in zip(fields.dims, fields.shape))
    _console().print(f"{out}: {shape}", markup=False)
    return 0


def _compare(arguments: argparse.Namespace, resumable: list[str]) -> int:
    environment.prepare()
    from experiments import runs

    folder = runs.open_folder(arguments.run)
    from experiments import pipeline, report
    from experiments.progress import Progress

    with Progress() as progress:
        comparison = pipeline.compare(folder, progress)
        page = report.write(folder)
    _verdict(comparison, page)
    return 0


def _report(arguments: argparse.Namespace, resumable: list[str]) -> int:
    from experiments import report, runs

    folder = runs.open_folder(arguments.run)
    page = report.write(folder)
    _verdict(folder.comparison() if folder.comparison_file.exists() else {}, page)
    return 0


def _cache(arguments: argparse.Namespace, resumable: list[str]) -> int:
    if arguments.action not in ("show", "clear"):
        raise UserError(f"cache {arguments.action!r} is unknown; choose show or clear.")
    import time

    from physics import cache

    console = _console()
    entries = cache.clear() if arguments.action == "clear" else cache.usage()
    total = sum(entry.size for entry in entries)
    for entry in entries if arguments.action == "show" else ():
        used = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.last_used))
        state = "in use" if entry.in_use else "" if entry.complete else "unfinished"
        console.print(
            f"{entry.key[:12]}  {entry.size / 1e6:9.1f} MB  last used {used}  {entry.name}  {state}".rstrip(),
            markup=False,
        )
    what = "removed" if arguments.action == "clear" else "in all"
    console.print(f"{len(entries)} data sets, {total / 1e6:.1f} MB {what}: {cache.default_directory()}", markup=False)
    return 0


def _help_run(argv: Sequence[str], parser: argparse.ArgumentParser) -> int:
    """Print the help of ``run``; with an experiment's name, also every setting with that preset's values."""
    words = [one for one in argv[argv.index("run") + 1 :] if one not in ("-h", "--help")]
    # "none" answers for a NAME left out, so that the parser can tell names from the values of options.
    asked, _ = parser.parse_known_args([*words, "none"])
    if asked.name == "none":
        names = ", ".join(catalog.names())
        parser.epilog = f"With NAME given, --help shows every setting of that experiment. NAME is one of:\n{names}."
        parser.print_help()
        return 0
    experiment = catalog.load(asked.name)
    preset = _preset(experiment, asked.preset)
    parser.usage = (
        f"{PROGRAM} run {asked.name} [--preset PRESET] [--seed N] [--runs-dir DIR] [--resume RUN]\n"
        "           [--section.key value ...]"
    )
    summary = catalog.names()[asked.name]
    parser.description = f"{summary.system}; {summary.task}: {summary.line}."
    parser.epilog = describe(experiment.presets[preset], asked.name, preset)
    parser.print_help()
    return 0


def describe(config: Any, name: str, preset: str) -> str:
    """List every setting of ``config`` by section: option, value in this preset, unit, type and help."""
    import textwrap

    from experiments.options import settings, show, type_name

    titles = {field.name: field.metadata.get("help", "") for field in dataclasses.fields(config)}
    lines = [f"settings, with the values of --preset {preset}:"]
    section = ""
    for dotted, kind, value, metadata in settings(config):
        if (head := dotted.partition(".")[0]) != section:
            section = head
            lines += ["", f"{section}: {titles[section]}"]
        unit = f" {metadata['unit']}" if metadata.get("unit") and value is not None else ""
        lines.append(f"  --{dotted} {type_name(kind)}")
        choices = f" ({', '.join(map(str, metadata['choices']))})" if metadata.get("choices") else ""
        text = f"{metadata.get('help', '')}{choices} [{show(value)}{unit}]"
        lines += textwrap.wrap(text, 100, initial_indent=" " * 8, subsequent_indent=" " * 8)
    lines += ["", "example:", f"  {PROGRAM} run {name} --preset {preset} --seed 1 --training.steps 500"]
    return "\n".join(lines)
