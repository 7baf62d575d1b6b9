"""The command line: ``list | new | advise | run | sweep | scale | train-on | sample | compare | report |
cache``.

``main(argv)`` returns the exit code: 0, also where a time limit or a scheduler's signal ended a run early; 2 after one
sentence on stderr for anything the user can mend; 130 after Ctrl-C, with the command that resumes. What answers quickly
(help, ``list``, wrong options) imports no jax.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence

from experiments.cli import commands
from experiments.cli.advise import advise
from experiments.cli.parsers import PROGRAM, parsers
from experiments.cli.run import run
from experiments.cli.scale import scale
from experiments.cli.settings import help_of_run
from experiments.cli.sweep import sweep
from experiments.cli.train_on import train_on
from experiments.errors import EXIT_INTERRUPTED, EXIT_USER, UserError, is_of_the_disk, sentence
from gan.settings import nearest
from gan.training import processes
from gan.training.stopping import Stopped


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code (0, 2, or 130)."""
    code = _main(list(sys.argv[1:] if argv is None else argv))
    if code:
        processes.fail(code)
    return code


def _main(argv: list[str]) -> int:
    resumable: list[str] = []
    try:
        return _dispatch(argv, resumable)
    except Stopped as stopped:
        what = f"go on with: {resumable[-1]}" if resumable else "nothing was begun yet; give the same command again."
        _complain(f"{stopped}; {what}")
        return 0
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
            if not processes.joined():
                raise
            # An operation of several processes fails where one of them is lost, which is told elsewhere.
            processes.await_loss()
            traceback.print_exc()
            return 1
        if resumable and is_of_the_disk(error):
            message += f" The run is kept; go on with: {resumable[-1]}"
        elif resumable and _diverged(error):
            # Going on would repeat it, bit for bit.
            message += " Start again with smaller --optimizer.generator_rate and --optimizer.discriminator_rate."
        _complain(message)
        return EXIT_USER


def _diverged(error: Exception) -> bool:
    """Whether a training ran away."""
    # Only now, because what answers quickly imports nothing of a training.
    from gan.training.divergence import Diverged

    return isinstance(error, Diverged)


def _complain(message: str) -> None:
    sys.stderr.write(f"{message}\n")


def _dispatch(argv: list[str], resumable: list[str]) -> int:
    parser, known = parsers()
    word = next((one for one in argv if not one.startswith("-")), None)
    if word is not None and word not in known:
        hint = nearest(word, known) or "; choose from " + ", ".join(known) + "."
        raise UserError(f"command {word!r} is unknown{hint}")
    if word == "run" and {"-h", "--help"} & set(argv):
        return help_of_run(argv, known["run"])
    arguments, rest = parser.parse_known_args(argv)
    if arguments.command is None and rest:
        raise UserError(f"{rest[0]} is not an option of {PROGRAM}; see `{PROGRAM} --help`.")
    if arguments.command is None:
        parser.print_help()
        return 0
    if rest and arguments.command not in ("advise", "run", "scale", "sweep", "train-on"):
        options = [one for action in known[arguments.command]._actions for one in action.option_strings]
        raise UserError(
            f"{rest[0]} is not an option of {arguments.command}"
            f"{nearest(rest[0], options) or f'; see `{PROGRAM} {arguments.command} --help`.'}"
        )
    if arguments.command == "run":
        return run(arguments, rest, argv, resumable, known["run"])
    if arguments.command == "sweep":
        return sweep(arguments, rest, argv, resumable, known["sweep"])
    if arguments.command == "scale":
        return scale(arguments, rest, argv, known["scale"])
    if arguments.command == "advise":
        return advise(arguments, rest, known["advise"])
    if arguments.command == "train-on":
        return train_on(arguments, rest, argv, resumable, known["train-on"])
    return {
        "list": commands.show_experiments,
        "new": commands.new,
        "sample": commands.sample,
        "export": commands.export_run,
        "compare": commands.compare,
        "report": commands.report,
        "cache": commands.cache,
    }[arguments.command](arguments)
