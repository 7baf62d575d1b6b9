"""The commands beside ``run``: ``list | sample | compare | report | cache``."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from rich.markup import escape

from experiments import catalog, environment
from experiments.cli.console import show_verdict, terminal
from experiments.cli.parsers import PROGRAM
from experiments.cli.settings import number
from experiments.errors import UserError
from experiments.experiment_file import OBJECT


def show_experiments(arguments: argparse.Namespace) -> int:
    """Print every experiment with its system, task, line and cost: the installed ones, or those of a folder."""
    out = terminal()
    if arguments.systems:
        from experiments.new_experiment import systems

        for name, system in systems().items():
            about = (system.__doc__ or "").strip().partition("\n")[0]
            out.print(f"[bold]{escape(name)}[/bold]  {escape(about)}")
        return 0
    found = catalog.names() if arguments.folder is None else _of_folder(Path(arguments.folder))
    for name, summary in found.items():
        out.print(f"[bold]{escape(name)}[/bold]  {escape(f'{summary.system}; {summary.task}')}")
        out.print(f"    {escape(summary.line)}")
        if summary.cost:
            out.print(f"    [dim]{summary.cost}[/dim]")
    return 0


def _of_folder(folder: Path) -> dict[str, catalog.Summary]:
    """Every file of a folder that defines an experiment, with its summary, or why it cannot be used."""
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder; list takes one that holds files of experiments.")
    files = [path for path in sorted(folder.glob("*.py")) if OBJECT in path.read_text(errors="replace")]
    if not files:
        raise UserError(f"{folder} holds no experiments; `python -m experiments new NAME` writes one.")
    return {str(path): catalog.described(str(path)) for path in files}


def new(arguments: argparse.Namespace) -> int:
    """Write a file that defines an experiment, to begin with."""
    from experiments import new_experiment

    path = Path(arguments.name)
    if path.suffix != ".py":
        path = path.with_name(f"{path.name}.py")
    new_experiment.write(path, arguments.system, arguments.task, arguments.parameter)
    terminal().print(
        f"{path}: an experiment of {arguments.system}; try it by\n  {PROGRAM} run {path} --preset smoke", markup=False
    )
    return 0


def sample(arguments: argparse.Namespace) -> int:
    """Draw fields and write them to ``--out``; a zarr store is filled part by part."""
    from experiments import export, streaming

    out = Path(arguments.out)
    export.writer_for(out)
    count = number(arguments.count, "--count", int, 1, 2**31)
    refine = number(arguments.refine, "--refine", float, 0)
    seed = number(arguments.seed, "--seed", int, 0, 2**32)
    environment.prepare()
    from experiments.progress import Progress
    from experiments.run import load_run

    with Progress() as progress:
        run = load_run(arguments.run, progress)
        if out.suffix.lower() == ".zarr":
            report = progress.task("samples")
            sizes = streaming.store_samples(run, out, count, seed=seed, refine=refine, report=report)
        else:
            import jax

            fields = run.sample(count, key=jax.random.key(seed), refine=refine)
            export.write(streaming.with_source(fields, run, seed), out)
            sizes = tuple(f"{size} {name}" for name, size in zip(fields.dims, fields.shape))
    terminal().print(f"{out}: {' x '.join(sizes)}", markup=False)
    return 0


def export_run(arguments: argparse.Namespace) -> int:
    """Write a run's generator as a folder that needs jax and numpy alone."""
    batch = number(arguments.batch, "--batch", int, 1, 2**20)
    environment.prepare()
    from experiments.portable import LOADER, export_generator
    from experiments.progress import Progress
    from experiments.run import load_run

    out = Path(arguments.out)
    with Progress() as progress:
        sizes = export_generator(load_run(arguments.run, progress), out, batch)
    terminal().print(
        f"{out}: draws N sample x {' x '.join(sizes)}; try it by\n"
        f"  python {out / LOADER} --count 1000 --out samples.npy",
        markup=False,
    )
    return 0


def compare(arguments: argparse.Namespace) -> int:
    """Hold the last checkpoint against the solver again, and write the report."""
    fresh = None if arguments.fresh is None else number(arguments.fresh, "--fresh", int, 0, 2**32)
    environment.prepare()
    from experiments import runs

    folder = runs.open_folder(arguments.run)
    from experiments import pipeline, report
    from experiments.progress import Progress

    with Progress() as progress:
        comparison = pipeline.compare(folder, progress, fresh=fresh)
        page = report.write(folder)
    show_verdict(comparison, page)
    return 0


def report(arguments: argparse.Namespace) -> int:
    """Write the report again from what lies in the folder."""
    from experiments import report, runs

    folder = runs.open_folder(arguments.run)
    folder.check_writable()
    page = report.write(folder)
    show_verdict(folder.comparison() if folder.comparison_file.exists() else None, page)
    return 0


def cache(arguments: argparse.Namespace) -> int:
    """Show the cached training fields, or remove those that nothing uses."""
    if arguments.action not in ("show", "clear"):
        raise UserError(f"cache {arguments.action!r} is unknown; choose show or clear.")

    from physics.data import cache

    out = terminal()
    entries = cache.clear() if arguments.action == "clear" else cache.usage()
    total = sum(entry.size for entry in entries)
    for entry in entries if arguments.action == "show" else ():
        used = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.last_used))
        state = "in use" if entry.in_use else "" if entry.complete else "unfinished"
        out.print(
            f"{entry.key[:12]}  {entry.size / 1e6:9.1f} MB  last used {used}  {entry.name}  {state}".rstrip(),
            markup=False,
        )
    what = "removed" if arguments.action == "clear" else "in all"
    out.print(f"{len(entries)} data sets, {total / 1e6:.1f} MB {what}: {cache.default_directory()}", markup=False)
    return 0
