"""Published runs: one experiment at several training seeds, each held against sealed data, all kept.

    python benchmarks/demo_seeds.py --experiment burgers --sealed SEED [--preset demo] [--seeds 11 12 13]
    python benchmarks/demo_seeds.py --experiment burgers --sealed SEED --runs RUN RUN ...  # trained before
    python benchmarks/demo_seeds.py ... --label tau1 --solver_layer.tau 1 --solver_layer.steps 5         # with other
    settings python benchmarks/demo_seeds.py ... --baselines      # autoencoders, flow matching, regression, ... beside
    each

Every seed is trained by ``run``, whose own comparison has the sizes of the preset ``smoke``, and compared as ``compare
RUN --fresh SEED`` does, with the preset's sizes; neither the seeds of the trainings nor that of the sealed data may
have been used to choose the recipe. The comparisons are kept as they are in benchmarks/results/EXPERIMENT-PRESET-
sealed.json (with a label: EXPERIMENT-PRESET-LABEL-sealed.json), after every seed; a stopped study goes on where it
was. benchmarks/publish.py makes the pages' figures from these files. Options that are not its own go to the command
line.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from experiments import environment

environment.prepare()

import jax
from publish import PUBLISHED

from experiments import catalog, pipeline, runs
from experiments.config import ExperimentConfig
from experiments.errors import UserError
from experiments.evaluation.results import Comparison, Tests
from experiments.evaluation.results_file import to_plain
from experiments.files import write_json
from experiments.options import to_mapping
from experiments.progress import Progress
from experiments.runs import RunFolder

FREE = {
    "training.seed",
    "training.parallel",
    "training.devices",
    "training.cpu_devices",
    "training.log_every",
    "training.checkpoint_every",
    "training.diagnose_every",
    "training.keep",
    "training.sample_history",
    "training.alarm_after",
}
"""Settings in which runs of one recipe may differ: seed, devices, and what is written along the way."""


def changed(folder: RunFolder) -> dict[str, Any]:
    """Return the settings of a run that make another recipe than its preset, by name."""
    preset = preset_of(folder)
    usual = dict(_flat(to_mapping(preset)))
    # Without solver time the layer is not there, whatever its other settings.
    unread = (
        ("compare.", "solver_layer.")
        if folder.config.solver_layer.tau == preset.solver_layer.tau == 0
        else ("compare.",)
    )
    return {
        name: value
        for name, value in _flat(to_mapping(folder.config))
        if name not in FREE and not name.startswith(unread) and usual.get(name) != value
    }


def preset_of(folder: RunFolder) -> ExperimentConfig:
    """Return the preset from which a run started, as it is in this version."""
    return folder.definition().presets[folder.preset]


def _flat(sections: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, Any]]:
    return ((f"{section}.{key}", value) for section, values in sections.items() for key, value in values.items())


def small_comparison(experiment: str, preset: str) -> list[str]:
    """Return options that give a run the smallest comparison there is, since that with sealed data follows."""
    known = catalog.load(experiment)
    usual, small = (to_mapping(known.presets[name])["compare"] for name in (preset, "smoke"))
    unread = known.learnt().unread_by(known.presets[preset])
    changed = {
        name: value
        for name, value in {**small, "search": False}.items()
        if value != usual[name] and f"compare.{name}" not in unread
    }
    text = {
        name: ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value).lower()
        for name, value in changed.items()
    }
    return [word for name, value in text.items() for word in (f"--compare.{name}", value)]


def trained(experiment: str, preset: str, seed: int, settings: list[str], runs_dir: Path) -> Path:
    """Train by the command line and return the run's folder.

    Raises:
        subprocess.CalledProcessError: the run failed; its message is on the terminal.
    """
    command = [sys.executable, "-m", "experiments", "run", experiment, "--preset", preset, "--seed", str(seed)]
    own = [] if any(one.startswith("--compare.") for one in settings) else small_comparison(experiment, preset)
    subprocess.run([*command, "--runs-dir", str(runs_dir), *settings, *own], check=True)
    return max((runs_dir / experiment).glob("*/config.yaml"), key=lambda path: path.stat().st_mtime).parent


def held_against_sealed(folder: RunFolder, sealed: int) -> Comparison:
    """Compare a run's last checkpoint with sealed data, by the tests as they are now."""
    with Progress() as progress:
        return pipeline.compare(folder, progress, fresh=sealed)


def main() -> None:
    """Train or take every run, compare, and print one line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiment", default="kuramoto_sivashinsky")
    parser.add_argument("--preset", default="demo")
    parser.add_argument(
        "--sealed", type=int, required=True, help="seed of the sealed data, which nothing else has used"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[11, 12, 13, 14, 15], help="of the trainings")
    parser.add_argument("--runs", type=Path, nargs="+", default=[], help="finished runs, in place of training")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"))
    parser.add_argument("--results", type=Path, default=PUBLISHED, help="folder of the result file")
    parser.add_argument("--baselines", action="store_true", help="train the baselines beside every run too")
    parser.add_argument("--label", default="", help="part of the result file's name when settings are given")
    arguments, settings = parser.parse_known_args()
    if settings and (arguments.runs or not arguments.label):
        parser.error(
            "settings need --label, so that one result file holds one recipe, and cannot change finished --runs."
        )
    target = (
        arguments.results
        / f"{'-'.join(filter(None, (arguments.experiment, arguments.preset, arguments.label)))}-sealed.json"
    )
    about = {
        "experiment": arguments.experiment,
        "preset": arguments.preset,
        "settings": settings,
        "sealed": arguments.sealed,
    }
    study = json.loads(target.read_text()) if target.exists() else {"runs": []}
    if study["runs"] and any(study.get(name) != value for name, value in about.items()):
        raise SystemExit(f"{target} holds runs of another recipe or sealed seed: move it away and start again.")
    study |= {
        **about,
        "machine": {"cores": len(os.sched_getaffinity(0)), "platform": f"{platform.system()} {platform.machine()}"},
        "versions": {"python": platform.python_version(), "jax": jax.__version__},
    }
    try:
        publish_runs(arguments, settings, study, target)
    except (UserError, subprocess.CalledProcessError) as error:
        raise SystemExit(str(error)) from None


def publish_runs(arguments: argparse.Namespace, settings: list[str], study: dict[str, Any], target: Path) -> None:
    """Train or take every run that the study lacks, compare it, and save the study after each.

    Raises:
        UserError: a folder is no run of this experiment and preset, is not trained to its end, or has other settings.
        subprocess.CalledProcessError: a training failed.
    """
    done = {run["seed"] for run in study["runs"]}
    for given in arguments.runs or arguments.seeds:
        if not arguments.runs and given in done:
            continue
        path = (
            given
            if arguments.runs
            else trained(arguments.experiment, arguments.preset, given, settings, arguments.runs_dir)
        )
        folder = runs.open_folder(path)
        seed = folder.config.training.seed
        if seed in done:
            print(f"seed {seed}: {path} is left out, the file has this seed already", flush=True)
            continue
        if (folder.experiment, folder.preset) != (arguments.experiment, arguments.preset):
            raise UserError(f"{path} is a run of {folder.experiment}, preset {folder.preset}.")
        if not (folder.checkpoints / str(folder.config.training.steps)).exists():
            raise UserError(f"{path} is not trained to its end; go on with it by `{folder.resume_command()}`.")
        other = changed(folder)
        if other and not arguments.label:
            raise UserError(f"{path} was trained with other settings than its preset ({other}): give it a --label.")
        # A run of an earlier version may have had other sizes.
        sizes = (
            folder.config.compare
            if any(one.startswith("--compare.") for one in settings)
            else preset_of(folder).compare
        )
        sizes = replace(sizes, baselines=sizes.baselines or arguments.baselines)
        folder = replace(folder, config=replace(folder.config, compare=sizes))
        comparison = held_against_sealed(folder, arguments.sealed)
        study["runs"].append(
            {
                "seed": seed,
                "changed": other,
                "training_seconds": folder.training_seconds(),
                "trained_on": {name: folder.record.get(name) for name in ("machine", "devices", "versions")},
                "load": os.getloadavg()[0],
                "comparison": to_plain(comparison),
            }
        )
        study["runs"].sort(key=lambda run: run["seed"])
        done.add(seed)
        arguments.results.mkdir(parents=True, exist_ok=True)
        write_json(target, study)
        tests = comparison.get(Tests)
        joint = "" if tests is None else f"joint p = {tests.p_value:.2g}; "
        print(f"seed {seed}: {joint}{comparison.verdict}", flush=True)


if __name__ == "__main__":
    main()
