"""Data, training, comparison: the path that every run takes, resumable between and within its steps.

    make the certified data -> train -> hold against the solver -> comparison.json, figures.npz, samples.npz

Each step leaves something complete in the run folder or nothing, so a run that was stopped anywhere goes on from
there.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from experiments import catalog, export, files
from experiments.config import ExperimentConfig
from experiments.errors import UserError
from experiments.experiment import Experiment
from experiments.export import Fields
from experiments.progress import Progress
from experiments.runs import RunFolder

SHOWN = 256
"""Samples kept in ``samples.npz``."""


def run(
    experiment: Experiment,
    config: ExperimentConfig,
    folder: RunFolder,
    *,
    resume: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Do everything that is not done yet, and return the comparison.

    Args:
        experiment: from ``experiments.catalog``.
        config: one of its presets, perhaps with changes.
        folder: an existing run folder.
        resume: whether the folder may hold a training to go on with.
        progress: bars; silent by default.

    Raises:
        ValueError: anything the user can mend, in one sentence.
        gan.Diverged: the training ran away; the last good checkpoint is kept.
    """
    with folder.claimed():
        return _run(experiment, config, folder, resume, progress or Progress(silent=True))


def _run(
    experiment: Experiment, config: ExperimentConfig, folder: RunFolder, resume: bool, progress: Progress
) -> dict[str, Any]:
    from gan import train

    dataset = make_data(experiment, config, folder, progress)
    problem, trained = experiment.task.problem(config, dataset), None
    if experiment.task.trains:
        describe_networks(config, problem, folder, progress)
        trained = train(problem, config, folder.path, resume=resume, progress=progress.training())
    if resume and folder.comparison_file.exists():
        with suppress(UserError):
            comparison = folder.comparison()
            if comparison.get("step") == (0 if trained is None else trained.step):
                return comparison
    return _compare(experiment, config, folder, dataset, trained, progress)


def check(experiment: Experiment, config: ExperimentConfig) -> None:
    """Refuse, before anything is made or written, what would fail only after the data or the training.

    Raises:
        ValueError: devices that do not divide the batch, networks that do not fit the grid, a play that does not fit
            the objective, too little data for the batch or for the comparison.
    """
    experiment.task.check(config)
    if experiment.task.trains:
        from gan import check_recipe

        check_recipe(config, experiment.task.spec(config))


def compare(folder: RunFolder, progress: Progress | None = None) -> dict[str, Any]:
    """Hold a run's last checkpoint against the solver again, and write the outcome into its folder."""
    progress = progress or Progress(silent=True)
    experiment = catalog.load(folder.experiment)
    if experiment.task.trains:
        _need_checkpoint(folder)
    with folder.claimed():
        dataset = make_data(experiment, folder.config, folder, progress)
        trained = load_trained(experiment, folder, dataset) if experiment.task.trains else None
        return _compare(experiment, folder.config, folder, dataset, trained, progress)


def open_sampler(folder: RunFolder) -> Callable[..., Fields]:
    """Return ``(count, *, key, refine, **condition) -> Fields`` of a run's last checkpoint."""
    experiment = catalog.load(folder.experiment)
    if not experiment.task.trains:
        raise UserError(f"{folder.path} is a study without a generator; there is nothing to draw.")
    _need_checkpoint(folder)
    # Not described in the folder, which may be read-only.
    dataset = experiment.task.data(folder.config, Progress(silent=True).data())
    return experiment.task.sampler(folder.config, dataset, load_trained(experiment, folder, dataset))


def make_data(experiment: Experiment, config: ExperimentConfig, folder: RunFolder, progress: Progress) -> Any:
    """Make or find the data set, and say in ``data.json`` where it lies."""
    dataset = experiment.task.data(config, progress.data())
    described = {"path": str(dataset.path), **dataset.description}
    if folder.data() != json.loads(json.dumps(described)):
        files.write_json(folder.data_file, described)
    return dataset


def describe_networks(config: ExperimentConfig, problem: Any, folder: RunFolder, progress: Progress) -> None:
    """Say how large both players are, and keep it in ``networks.json``."""
    from gan.networks.counts import in_words, network_counts

    counts = network_counts(config.network, problem.spec)
    progress.note(f"networks: {in_words(counts)}")
    files.write_json(folder.networks_file, {name: one._asdict() for name, one in counts.items()})


def load_trained(experiment: Experiment, folder: RunFolder, dataset: Any) -> Any:
    """Load the last checkpoint of a run as a ``gan.Trained``.

    Raises:
        UserError: there is no checkpoint yet.
    """
    from gan import load

    _need_checkpoint(folder)
    problem = experiment.task.problem(folder.config, dataset)
    return load(folder.path, carry=problem.carry, symmetries=problem.symmetries)


def _need_checkpoint(folder: RunFolder) -> None:
    """Refuse a run without checkpoints before its training fields are looked for, which may take minutes."""
    if not any(one.name.isdigit() for one in folder.checkpoints.glob("*")):
        raise UserError(f"{folder.path} holds no checkpoint yet; go on with it by `{folder.resume_command()}`.")


def _compare(
    experiment: Experiment,
    config: ExperimentConfig,
    folder: RunFolder,
    dataset: Any,
    trained: Any,
    progress: Progress,
) -> dict[str, Any]:
    import jax

    metrics = folder.metrics()
    seconds = {
        "data": float(dataset.description.get("seconds", 0.0)),
        "training": float(metrics[-1]["seconds"]) if metrics else 0.0,
    }
    baselines = {}
    if config.compare.baselines and experiment.task.trains:
        from gan import fit_baselines

        problem = experiment.task.problem(config, dataset)
        baselines = fit_baselines(problem, config, progress.task("baselines"))
    comparison, figures = experiment.task.compare(config, dataset, trained, seconds, progress.compare(), baselines)
    comparison = {**comparison, "step": 0 if trained is None else trained.step}
    if trained is not None:
        shown = experiment.task.sampler(config, dataset, trained)(
            min(SHOWN, config.compare.fields), key=jax.random.key(config.compare.seed), refine=0.0
        )
        export.write(shown, folder.samples_file)
    files.write_arrays(folder.figures_file, figures)
    # Last, so that a folder with a comparison has everything the report reads.
    files.write_json(folder.comparison_file, comparison)
    return comparison
