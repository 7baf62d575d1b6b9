"""Published runs of ``virtual_experiment``, and the tables of docs/virtual_experiment.md.

    python benchmarks/virtual_experiment.py --sealed SEED --seeds 11 12 13 [--apparatus pendulum ...]
    python benchmarks/virtual_experiment.py                 # fill the page

A seed of a training is one of the measurements too: every run learns from other real runs. Each run is trained and
compared with sealed runs of the true law, and kept in
benchmarks/results/virtual_experiment-demo[-APPARATUS]-sealed.json in the form of demo_seeds.py, after every seed; a
stopped study goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from experiments import environment

environment.prepare()

import jax
from publish import PUBLISHED, ROOT, Published, Row, published, span

import gan
from experiments import catalog, pipeline, runs
from experiments.evaluation.entries import BaselineRow
from experiments.evaluation.results import Baselines
from experiments.evaluation.results_file import to_plain
from experiments.files import write_json, write_text
from experiments.progress import Progress
from experiments.tasks.measurement_rows import ALONE, EXACT, GENERATOR
from experiments.tasks.measurements import NAMES, PENDULUM
from experiments.wording import words

PAGE = ROOT / "docs" / "virtual_experiment.md"
BLOCK = re.compile(r"(<!-- figures: (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
LAWS = {
    "worth_at_design": ("worth, design", ".3g"),
    "worth_between": ("worth, between", ".3g"),
    "worth_beyond": ("worth, outside", ".3g"),
    "crps_between": ("CRPS, between", ".3f"),
    "crps_beyond": ("CRPS, outside", ".3f"),
}
TESTS = {
    "false_alarms": ("false alarms", ".1%"),
    "power_known": ("power, known", ".0%"),
    "power_new": ("power, new", ".0%"),
    "plan_factor": ("plan factor", ".2f"),
    "plan_power": ("plan power", ".0%"),
}
"""Columns of the two tables of an apparatus: their heads, and how their numbers are written."""


EXPERIMENT, PRESET = "virtual_experiment", "demo"


def recipe(apparatus: str) -> str:
    """Return the preset, with the apparatus where it is another one than the preset's."""
    return PRESET if apparatus == PENDULUM else f"{PRESET}-{apparatus}"


def publish(apparatus: str, seed: int, sealed: int, folder: Path = PUBLISHED) -> None:
    """Train at a seed, compare with sealed runs, and add the comparison to the file of the apparatus.

    Raises:
        SystemExit: the file holds runs of another sealed seed.
    """
    target = folder / f"{EXPERIMENT}-{recipe(apparatus)}-sealed.json"
    study = json.loads(target.read_text()) if target.exists() else {"sealed": sealed, "runs": []}
    if study["sealed"] != sealed:
        raise SystemExit(f"{target} holds runs of the sealed seed {study['sealed']}: move it away and start again.")
    if seed in [run["seed"] for run in study["runs"]]:
        return
    experiment = catalog.load(EXPERIMENT)
    changes = {"system.apparatus": apparatus, "training.seed": str(seed)}
    config = experiment.presets[PRESET].with_overrides(changes)
    with tempfile.TemporaryDirectory() as parent:
        run = runs.create(parent, EXPERIMENT, PRESET, config)
        dataset = pipeline.make_data(experiment, config, run, Progress(silent=True))
        gan.train(experiment.learnt().problem(config, dataset), config, run.path)
        comparison = pipeline.compare(run, fresh=sealed)
        row = {"seed": seed, "training_seconds": run.training_seconds(), "load": os.getloadavg()[0]}
    study["runs"] = sorted([*study["runs"], {**row, "comparison": to_plain(comparison)}], key=lambda one: one["seed"])
    study |= {
        "experiment": EXPERIMENT,
        "preset": PRESET,
        "settings": [] if apparatus == PENDULUM else ["--system.apparatus", apparatus],
        "machine": {"cores": len(os.sched_getaffinity(0)), "platform": f"{platform.system()} {platform.machine()}"},
        "versions": {"python": platform.python_version(), "jax": jax.__version__},
    }
    write_json(target, study)
    print(f"{apparatus}, seed {seed}: {comparison.verdict}", flush=True)


def known(folder: Path = PUBLISHED) -> dict[str, list[Published]]:
    """Return the published runs of every apparatus that has some, by seed."""
    rows = {name: Row(EXPERIMENT, recipe(name), "") for name in NAMES}
    return {name: found for name, row in rows.items() if (found := published(row, folder))}


def rows_of(seeds: list[Published]) -> dict[str, list[BaselineRow]]:
    """Return every row of the comparisons by name, one entry for each seed."""
    sections = [run.comparison.need(Baselines) for run in seeds]
    named = [{GENERATOR: one.generator, **one.rows} for one in sections]
    return {name: [one[name] for one in named] for name in named[0]}


def table(seeds: list[Published], columns: Mapping[str, tuple[str, str]]) -> list[str]:
    """One table of an apparatus: methods by what the first column says of them, then what no method could make."""
    # What a pilot is worth is its number of runs, and says nothing.
    rows = {
        name: each
        for name, each in rows_of(seeds).items()
        if any(key in each[0].values for key in columns) and not (columns is LAWS and name.startswith("pilot"))
    }

    def cell(each: list[BaselineRow], key: str, form: str) -> str:
        return ", ".join(f"{one.values[key]:{form}}" if key in one.values else "–" for one in each)

    def order(name: str) -> tuple[bool, float]:
        key = "worth_between" if "worth_between" in columns else "plan_factor"
        values = [one.values.get(key) for one in rows[name]]
        middle = statistics.median(values) if all(one is not None for one in values) else 0.0
        return name in EXACT, middle if key == "plan_factor" else -middle

    lines = [f"| | {' | '.join(head for head, _ in columns.values())} |", "|---" * (1 + len(columns)) + "|"]
    for name in sorted(rows, key=order):
        title = f"**{words(name)}**" if name == GENERATOR else words(name)
        lines.append(f"| {title} | {' | '.join(cell(rows[name], key, form) for key, (_, form) in columns.items())} |")
    return lines


SHORT = (
    ("worth, generator", GENERATOR, "worth_between", ",.0f"),
    ("worth, without discriminator", "without_discriminator", "worth_between", ",.0f"),
    ("worth, variational autoencoder", "variational_autoencoder", "worth_between", ",.0f"),
    ("worth, Gaussian process", "gaussian_process", "worth_between", ",.0f"),
    ("worth, spline and residuals", "interpolated_bootstrap", "worth_between", ",.0f"),
    ("worth, fitted equation", "fitted_equation", "worth_between", ",.0f"),
    ("worth, fitted wrong equation", "fitted_wrong_equation", "worth_between", ".2g"),
    ("worth outside the design, generator", GENERATOR, "worth_beyond", ".2g"),
    ("false alarms at 5%, real runs alone", ALONE, "false_alarms", ".0%"),
    ("false alarms at 5%, generator pooled", GENERATOR, "false_alarms", ".0%"),
    ("power for a new difference, real runs alone", ALONE, "power_new", ".0%"),
    ("power for a new difference, generator pooled", GENERATOR, "power_new", ".0%"),
    ("plan factor, generator", GENERATOR, "plan_factor", ".2f"),
    ("plan factor, pilot of 16 real runs", "pilot_of_16", "plan_factor", ".2f"),
)
"""Lines of the first table: head, row of the comparison, figure, and how it is written."""


def short(found: Mapping[str, list[Published]]) -> list[str]:
    """The main figures, a column for each apparatus, from the lowest to the highest of the seeds."""
    lines = [f"| | {' | '.join(found)} |", "|---" * (1 + len(found)) + "|"]
    tables = [rows_of(seeds) for seeds in found.values()]
    for head, name, key, form in SHORT:
        lines.append(
            f"| {head} | {' | '.join(span((one.values[key] for one in rows[name]), form) for rows in tables)} |"
        )
    return lines


def costs(found: Mapping[str, list[Published]]) -> list[str]:
    """What each method's virtual runs between the settings would cost in real runs, a row for each apparatus."""
    lines = [
        "| apparatus | real runs measured | worth, generator | worth, best other method | real runs at 16 settings in "
        "place of the generator | in place of the best other |",
        "|---|---|---|---|---|---|",
    ]
    for name, seeds in found.items():
        rows = rows_of(seeds)
        others = {key: each for key, each in rows.items() if key not in (*EXACT, GENERATOR) and each[0].failed is None}
        worth = {key: [one.values["worth_between"] for one in each] for key, each in others.items()}
        best = max(worth, key=lambda key: statistics.median(worth[key]))
        own = [one.values["worth_between"] for one in rows[GENERATOR]]
        lines.append(
            f"| {name} | 300 | {span(own, '.3g')} | {words(best)}, {span(worth[best], '.3g')} | "
            f"{span([16 * one for one in own], ',.0f')} | {span([16 * one for one in worth[best]], ',.0f')} |"
        )
    return lines


def seconds(found: Mapping[str, list[Published]]) -> list[str]:
    """What the methods that are trained take, a column for each apparatus."""
    lines = [f"| | {' | '.join(found)} |", "|---" * (1 + len(found)) + "|"]
    tables = {name: rows_of(seeds) for name, seeds in found.items()}
    for key, each in next(iter(tables.values())).items():
        if each[0].training_seconds is None:
            continue
        cells = [", ".join(f"{one.training_seconds or 0:.0f} s" for one in rows[key]) for rows in tables.values()]
        lines.append(f"| {words(key)} | {' | '.join(cells)} |")
    return lines


def filled(text: str, found: Mapping[str, list[Published]]) -> str:
    """Return the page with its tables made anew."""
    made = {"short": short(found), "costs": costs(found), "seconds": seconds(found)} if found else {}
    for name, seeds in found.items():
        made |= {f"{name}_laws": table(seeds, LAWS), f"{name}_tests": table(seeds, TESTS)}
    return BLOCK.sub(
        lambda block: block[1] + "\n".join(["", *made.get(block[2], ["Not measured yet."]), "", block[4]]), text
    )


def main(words: Sequence[str] | None = None) -> None:
    """Publish runs where a sealed seed is given, and fill the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sealed", type=int, help="seed of the sealed runs, which nothing else has used")
    parser.add_argument("--seeds", type=int, nargs="+", default=[11, 12, 13], help="of trainings and measurements")
    parser.add_argument("--apparatus", nargs="+", choices=NAMES, default=list(NAMES))
    arguments = parser.parse_args(words)
    for apparatus in arguments.apparatus if arguments.sealed is not None else ():
        for seed in arguments.seeds:
            publish(apparatus, seed, arguments.sealed)
    write_text(PAGE, filled(PAGE.read_text(), known()))
    print(f"{PAGE.name} written")


if __name__ == "__main__":
    main()
