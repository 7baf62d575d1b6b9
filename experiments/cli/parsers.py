"""Commands, their options and their help; settings of experiments are in `experiments.cli.settings`."""

from __future__ import annotations

import argparse
from typing import NoReturn

from experiments.errors import UserError

PROGRAM = "python -m experiments"


_DESCRIPTION = """\
Generative adversarial networks trained against, and through, a differentiable solver.

A run makes training fields with the solver, trains a generator whose samples the solver advances, holds the
generator against the solver, and leaves all of it with a report in runs/NAME/STAMP/."""


_EXAMPLES = """\
examples:
  python -m experiments list
  python -m experiments run kuramoto_sivashinsky                  minutes on 2 cores, ends with the verdict
  python -m experiments run kuramoto_sivashinsky --help           every setting, its default and its unit
  python -m experiments run burgers --preset smoke --seed 1 --training.steps 200
  python -m experiments run kuramoto_sivashinsky --resume runs/kuramoto_sivashinsky/STAMP
  python -m experiments run kuramoto_sivashinsky --time-limit 30m --resume auto      again and again, until it is done
  python -m experiments sample runs/kuramoto_sivashinsky/STAMP --count 1000 --refine 2 --out fields.nc

Ctrl-C stops a run so that it can be resumed; so do SIGTERM, SIGUSR1 and --time-limit, as schedulers of clusters
need it (docs/clusters.md).
Exit codes: 0 done, or stopped by a time limit, SIGTERM or SIGUSR1; 2 something to mend (one sentence says what);
130 interrupted by Ctrl-C."""


_ADVICE = """\
A generator gains where an independent field of the solver is dear, an evaluation of the network is cheap, few numbers
say a field once the solver has made the rest, and many fields are needed, since data and training are spent once.
The pilot measures these on this machine: the time of a solver step, how long trajectories remember, the time of a
sample by the preset's untrained networks, the time of an update, and how many numbers say a field. For a posterior it
measures what samplers cost that are as good as two long runs. How good the samples will be is known only after the
training (docs/where_it_pays.md).

Every setting of the experiment is written --section.key value, as `run NAME --help` lists them.

examples:
  python -m experiments advise kuramoto_sivashinsky
  python -m experiments advise kuramoto_sivashinsky --preset convolutional --fields 1000000
  python -m experiments advise burgers_inverse
  python -m experiments advise my_waves.py --budget-seconds 120 --json advice.json"""


_SWEEP = """\
All points are checked first: one that cannot work is named, and nothing is started. Then every point is a run of its
own, as by `run --resume auto`: finished runs of the same settings are not repeated, unfinished ones go on, failed ones
are tried again. The same command can therefore be given again and again. Page and table (sweep.html, sweep.csv) are
renewed whenever a run ends. Every other setting, written --section.key value, is that of all runs.

Values with commas of their own are separated by semicolons: --grid "data.points=32,32;64,64".
Runs at a time share the processor, and on one accelerator its memory too: leave --jobs 1 there.

examples:
  python -m experiments sweep gaussians --preset smoke --grid training.seed=1,2,3
  python -m experiments sweep burgers --grid optimizer.generator_rate=1e-3,2e-3 --grid training.seed=1,2,3 --jobs 2

Ctrl-C, SIGTERM, SIGUSR1 and --time-limit end all runs so that the same command goes on with them.
Exit codes: 0 no run has failed; 2 something to mend, or a run has failed; 130 interrupted by Ctrl-C."""


_SCALING = """\
Weak scaling keeps the batch on every device, strong scaling that of all devices together. Every count is measured in
processes of its own: on a CPU these see as many devices as they are to use, which share its cores. An update is timed
as the training makes it, and its parts (data, generator, discriminator, solver, all-reduce, host, checkpoint) as
programs of their own. A model of computing, communication and latency is fitted to the points and predicts larger
counts; how well, is seen from the largest measured count, which it predicts from the smaller ones.

Points of earlier commands with the same preset and settings stay in the study. Every other setting of the experiment is
written --section.key value, as `run NAME --help` lists them. docs/scaling.md says what the figures mean.

examples:
  python -m experiments scale gaussians --preset smoke --devices 1,2
  python -m experiments scale kuramoto_sivashinsky --devices 1,2,4 --hosts 2 --trace"""


class _Parser(argparse.ArgumentParser):
    """Argparse whose complaints are ``UserError``s, so that they become one sentence like all others."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; see `{self.prog} --help`.")


def parsers() -> tuple[_Parser, dict[str, argparse.ArgumentParser]]:
    """Return the parser of the command line, and those of its commands by name."""
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

    listing = command("list", "show every experiment: its system, its task, what it is about and what it costs")
    listing.add_argument(
        "--systems", action="store_true", help="show the systems for which `new` writes a file instead"
    )
    listing.add_argument("folder", metavar="FOLDER", nargs="?", help="a folder with experiments of your own")

    run = command("run", "make the data, train, compare with the solver, write the report; resumable at any moment")
    run.add_argument(
        "name", metavar="NAME", help="an experiment, as `list` names it, or a Python file that defines one"
    )
    _add_new_run(run)

    sweep = command(
        "sweep",
        "run an experiment at every point of a grid of settings, and compare the runs on one page",
        _SWEEP,
    )
    sweep.add_argument(
        "name", metavar="NAME", help="an experiment, as `list` names it, or a Python file that defines one"
    )
    sweep.add_argument(
        "--grid",
        metavar="KEY=VALUE,...",
        action="append",
        required=True,
        help="a setting with the values to try; several times for every combination",
    )
    sweep.add_argument("--jobs", metavar="N", default="1", help="runs at a time (default: 1)")
    _add_start(sweep)

    scale = command(
        "scale",
        "measure how the time of an update changes with the number of devices, and predict more devices",
        _SCALING,
    )
    scale.add_argument(
        "name", metavar="NAME", help="an experiment, as `list` names it, or a Python file that defines one"
    )
    scale.add_argument("--preset", metavar="PRESET", help="whose training is measured (default: demo)")
    scale.add_argument(
        "--devices", metavar="N,...", default="1,2,4", help="counts of devices to measure (default: 1,2,4)"
    )
    scale.add_argument(
        "--hosts",
        metavar="N,...",
        default="1",
        help="counts of processes, on this machine, over which the most devices are spread too (default: 1)",
    )
    scale.add_argument(
        "--failure-hours",
        metavar="HOURS",
        default="50000",
        help="hours of one device between two failures, for the work lost by them (default: 50000)",
    )
    _add_processes(scale)
    scale.add_argument("--trace", action="store_true", help="write traces of the profiler too")
    scale.add_argument(
        "--runs-dir", metavar="DIR", default="runs", help="where the study's folder goes (default: runs)"
    )

    own = command(
        "train-on",
        "learn the fields of a file of your own, or a table of runs: describe it, train, compare with what is held out",
        "Every other setting is written --section.key value, as `run own_data --help` lists them.\n\nexample:\n"
        "  python -m experiments train-on temperature.nc --variable t2m --periodic lon --preset smoke\n"
        "  python -m experiments train-on runs.csv --factors length,operator --responses period --preset smoke",
    )
    own.add_argument("file", metavar="FILE", help="ends in .npy, .npz, .h5, .nc, .zarr or .csv")
    own.add_argument("--variable", metavar="NAME", action="append", help="what to learn; several times for channels")
    own.add_argument("--axes", metavar="NAME,...", help="every axis by name: time, sample, channel, or space (y,x)")
    own.add_argument("--group", metavar="NAME", help="variable that labels independent samples, such as subjects")
    own.add_argument("--patch", metavar="N", help="learn patches of N points along each axis")
    own.add_argument("--transform", metavar="KIND", help="none, log or boxcox; one for each variable, or one for all")
    own.add_argument("--periodic", metavar="AXIS,...", help="axes of space that are periodic (default: none)")
    own.add_argument(
        "--physics", metavar="FILE", help="Python file that defines system(points, extent), the equation of the fields"
    )
    own.add_argument("--homogeneous", metavar="AXIS,...", help="periodic axes along which the distribution is the same")
    own.add_argument("--factors", metavar="NAME,...", help="of a table of runs: columns that were set")
    own.add_argument("--responses", metavar="NAME,...", help="of a table of runs: columns that were read")
    own.add_argument("--logs", metavar="NAME,...", help="of a table of runs: responses that are learned as logarithms")
    _add_new_run(own)

    new = command(
        "new",
        "write a file that defines an experiment of your own, with comments and values that work",
        "example:\n"
        "  python -m experiments new my_waves --system SwiftHohenberg\n"
        "  python -m experiments run my_waves.py --preset smoke",
    )
    new.add_argument("name", metavar="NAME", help="of the experiment and, with .py, of the file")
    new.add_argument(
        "--system", metavar="SYSTEM", required=True, help="a system of `physics`, as docs/physics.md names it"
    )
    new.add_argument(
        "--task",
        metavar="TASK",
        default="snapshot",
        help="snapshot (the default), forecast, posterior, super_resolution",
    )
    new.add_argument(
        "--parameter",
        metavar="NAME",
        help="parameter that a forecast varies, or that a posterior does not know",
    )

    advise = command(
        "advise",
        "say whether a generator may be worth its training, from costs that a pilot of about a minute measures",
        _ADVICE,
    )
    advise.add_argument(
        "name",
        metavar="NAME",
        help="an experiment that makes snapshots or posteriors, or a Python file of one",
    )
    advise.add_argument("--preset", metavar="PRESET", help="whose generator and data (default: demo)")
    advise.add_argument("--fields", metavar="N", help="how many fields you need; the verdict is then about these")
    advise.add_argument(
        "--budget-seconds", metavar="T", default="60", help="roughly what the pilot may take, in seconds (default: 60)"
    )
    advise.add_argument("--json", metavar="FILE", help="write what was found to this file too")

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
        "--refine", metavar="TIME", default="0", help="advance them with the solver for TIME (default: 0)"
    )
    sample.add_argument("--seed", metavar="N", default="0", help="seed of the latents (default: 0)")
    sample.add_argument(
        "--out",
        metavar="FILE",
        required=True,
        help="ends in .npz, .nc, .h5 or .zarr; a zarr store is filled in parts, and goes on after a stop",
    )

    export = command(
        "export",
        "write a run's generator as one program (StableHLO) with a loader that needs jax and numpy alone",
        "example:\n"
        "  python -m experiments export runs/kuramoto_sivashinsky/STAMP --out generator\n"
        "  python generator/generator.py --count 1000 --out samples.npy",
    )
    _add_run(export)
    export.add_argument("--out", metavar="FOLDER", required=True, help="a folder that does not exist yet")
    export.add_argument(
        "--batch", metavar="N", default="256", help="samples that the program makes at once (default: 256)"
    )

    compare = command("compare", "hold a run's generator against the solver again, from its last checkpoint")
    _add_run(compare)
    compare.add_argument(
        "--fresh",
        metavar="SEED",
        help="make new held-out data of this seed for it; figures that are published come from a seed that no "
        "development has used",
    )
    _add_run(command("report", "write a run's report.html again, from what lies in its folder"))

    cache = command("cache", "show the cached training fields, or remove those that nothing uses")
    cache.add_argument("action", metavar="show|clear", nargs="?", default="show", help="show (the default) or clear")
    return parser, dict(commands.choices)


def _add_new_run(parser: argparse.ArgumentParser) -> None:
    """Add what every command takes that begins a run or goes on with one."""
    _add_start(parser)
    _add_processes(parser)
    parser.add_argument(
        "--resume",
        metavar="RUN|auto",
        help="go on with this run folder where it stopped; auto: with the newest unfinished run of the same "
        "experiment, preset and settings in --runs-dir, or begin one; a finished one is named and left alone",
    )
    parser.add_argument(
        "--tensorboard",
        action="store_true",
        help="write the numbers of metrics.jsonl as TensorBoard's event files too, into tensorboard/ of the run folder",
    )


def _add_processes(parser: argparse.ArgumentParser) -> None:
    """Add what a training in several processes takes."""
    parser.add_argument(
        "--coordinator",
        metavar="HOST:PORT|auto",
        help="train together with other processes, which meet at this address of process 0; auto: as the environment "
        "of Slurm, Kubernetes or a TPU pod says (docs/clusters.md)",
    )
    parser.add_argument("--num-processes", metavar="N", help="how many processes train together")
    parser.add_argument("--process-id", metavar="I", help="number of this process, from 0 on")


def _add_start(parser: argparse.ArgumentParser) -> None:
    """Add what every command takes that begins runs."""
    parser.add_argument(
        "--preset",
        metavar="PRESET",
        help="smoke (a minute or two), demo (the default, minutes to an hour) or full (a GPU)",
    )
    parser.add_argument("--seed", metavar="N", help="seed of players, latents and batches (training.seed)")
    parser.add_argument("--runs-dir", metavar="DIR", default="runs", help="where run folders go (default: runs)")
    parser.add_argument(
        "--baselines", action="store_true", help="train baselines too, on the same data (compare.baselines)"
    )
    parser.add_argument(
        "--time-limit",
        metavar="TIME",
        help="save and end before this time is over (45s, 30m, 1h30m, or seconds), with exit code 0; SIGTERM and "
        "SIGUSR1 do the same at once",
    )


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run folder, runs/NAME/STAMP")
