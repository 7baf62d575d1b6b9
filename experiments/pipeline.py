"""Data, training, comparison: the path that every run takes, resumable between and within its steps.

    make the certified data -> train -> hold against the solver -> comparison.json, figures.npz, samples.npz

Each step leaves something complete in the run folder or nothing, so a run that was stopped anywhere goes on from
there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from experiments import export, files
from experiments.config import ExperimentConfig
from experiments.errors import UserError
from experiments.estimate import check_cost
from experiments.evaluation import results_file
from experiments.evaluation.results import Comparison
from experiments.experiment import Experiment, Study
from experiments.export import Fields
from experiments.progress import Progress
from experiments.reporting import silent
from experiments.runs import RunFolder
from experiments.tasks.task import TrainingData
from experiments.wording import is_finite
from gan.training import processes

if TYPE_CHECKING:
    from gan.training.problem import Problem
    from gan.training.stopping import StopRequest
    from gan.training.trained import Trained

Watch = Callable[[int, int, Mapping[str, object]], None]
"""Called with (step, steps, metrics) at every logged step of a training."""
SHOWN = 256
"""Samples kept in ``samples.npz``."""


def run(
    experiment: Experiment,
    config: ExperimentConfig,
    folder: RunFolder,
    *,
    resume: bool = False,
    progress: Progress | None = None,
    stop: StopRequest | None = None,
    watch: Watch | None = None,
) -> Comparison:
    """Do everything that is not done yet, and return the comparison.

    Args:
        experiment: as ``experiments.catalog.load`` returns it.
        config: one of its presets, perhaps with changes.
        folder: an existing run folder.
        resume: whether the folder may hold a training to go on with.
        progress: bars; silent by default.
        stop: signals and a time limit that end the run early; a training saves its state first.
        watch: called beside the bar of the training with (step, steps, metrics), at every logged step.

    Raises:
        ValueError: anything the user can mend, in one sentence.
        gan.Diverged: the training ran away; the last good checkpoint is kept.
        gan.Stopped: by ``stop``.
    """
    with folder.claimed():
        return _run(experiment, config, folder, resume, progress or Progress(silent=True), stop, watch)


def _run(
    experiment: Experiment,
    config: ExperimentConfig,
    folder: RunFolder,
    resume: bool,
    progress: Progress,
    stop: StopRequest | None,
    watch: Watch | None,
) -> Comparison:
    if experiment.study is not None:
        return _study(experiment.study, config, folder, progress)
    from gan import train

    dataset = make_data(experiment, config, folder, progress)
    # The other processes of the training read then what the folder says of them.
    processes.share()
    problem = experiment.learnt().problem(config, dataset)
    describe_networks(config, problem, folder, progress)
    bar = progress.training()

    def told(step: int, steps: int, metrics: Mapping[str, object]) -> None:
        bar(step, steps, metrics)
        if watch is not None:
            watch(step, steps, metrics)

    trained = train(problem, config, folder.path, resume=resume, progress=told, note=progress.note, stop=stop)
    processes.leave()
    if resume and folder.comparison_file.exists():
        with suppress(UserError):
            comparison = folder.comparison()
            if comparison.step == trained.step:
                return comparison
    return _compare(experiment, config, folder, dataset, trained, progress)


def accompany(
    experiment: Experiment,
    config: ExperimentConfig,
    folder: RunFolder,
    *,
    resume: bool = False,
    stop: StopRequest | None = None,
) -> None:
    """Make data and train with the first process, which keeps the records and compares; arguments as of `run`."""
    from gan import train

    task = experiment.learnt()
    dataset = task.data(config, silent)
    processes.share()
    problem = task.problem(config, _same(folder, dataset))
    train(problem, config, folder.path, resume=resume, stop=stop)
    processes.leave()


def check(experiment: Experiment, config: ExperimentConfig) -> None:
    """Refuse, before anything is made or written, what would fail only after the data or the training.

    Raises:
        ValueError: devices that do not divide the batch, networks that do not fit the grid, an update scheme that does
            not fit the objective, penalties that it cannot take, too little data for the batch or for the comparison,
            or far too much of anything.
    """
    check_cost(config)
    experiment.check(config)
    if experiment.task is not None:
        from gan import check_recipe

        check_recipe(config, experiment.task.spec(config), experiment.task.penalties(config))


def compare(folder: RunFolder, progress: Progress | None = None, *, fresh: int | None = None) -> Comparison:
    """Hold a run's last checkpoint against the solver again, and write the outcome into its folder.

    Args:
        folder: of the run.
        progress: bars; silent by default.
        fresh: seed of new held-out data; the run's own test data where left out.

    Raises:
        UserError: the run has no checkpoint or is a study, or the seed is that of its own data.
    """
    progress = progress or Progress(silent=True)
    experiment = folder.definition()
    if experiment.study is not None:
        if fresh is not None:
            raise UserError(f"--fresh {fresh}: {experiment.name} is a study without data; leave it out.")
        with folder.claimed():
            return _study(experiment.study, folder.config, folder, progress)
    _need_checkpoint(folder)
    if fresh == folder.config.data.seed:
        raise UserError(f"--fresh {fresh} is the seed of the run's own data: give one that nothing has used.")
    with folder.claimed():
        dataset = make_data(experiment, folder.config, folder, progress)
        trained = load_trained(experiment, folder, dataset)
        return _compare(experiment, folder.config, folder, dataset, trained, progress, fresh)


def open_sampler(folder: RunFolder, progress: Progress | None = None) -> Callable[..., Fields]:
    """Return ``(count, *, key, refine, **condition) -> Fields`` of a run's last checkpoint.

    The training fields are made again where they are no longer in the cache, which ``progress`` tells.
    """
    task = folder.definition().learnt()
    dataset, trained = open_trained(folder, progress)
    return task.sampler(folder.config, dataset, trained)


def open_trained(folder: RunFolder, progress: Progress | None = None) -> tuple[TrainingData, Trained]:
    """Return a run's data and the generator of its last checkpoint, which draws what networks and solver layer make."""
    progress = progress or Progress(silent=True)
    experiment = folder.definition()
    task = experiment.learnt()
    _need_checkpoint(folder)
    # Not described in the folder, which may be read-only.
    _tell_what_is_made_again(folder, progress)
    dataset = _same(folder, task.data(folder.config, progress.data()))
    return dataset, load_trained(experiment, folder, dataset)


def make_data(experiment: Experiment, config: ExperimentConfig, folder: RunFolder, progress: Progress) -> TrainingData:
    """Make or find the data set, and say in ``data.json`` where it lies."""
    _tell_what_is_made_again(folder, progress)
    dataset = _same(folder, experiment.learnt().data(config, progress.data()))
    described = {"path": str(dataset.path), **dataset.description}
    if folder.data() != json.loads(json.dumps(described)):
        files.write_json(folder.data_file, described)
    return dataset


def _tell_what_is_made_again(folder: RunFolder, progress: Progress) -> None:
    path = folder.data().get("path")
    # Of what is drawn and not stored, the path is a description.
    if isinstance(path, str) and Path(path).is_absolute() and not Path(path).exists():
        progress.note(f"the training fields of this run are no longer in {path}: they are made again")


def _same(folder: RunFolder, dataset: TrainingData) -> TrainingData:
    """Return the data set, unless its source is known by a checksum and is not what the run began with.

    Raises:
        UserError: the source has changed.
    """
    before, now = folder.data().get("checksum"), dataset.description.get("checksum")
    if before is not None and before != now:
        raise UserError(
            f"{dataset.path} has changed since {folder.path} was begun: bring the file back, or start a new run."
        )
    return dataset


def describe_networks(config: ExperimentConfig, problem: Problem, folder: RunFolder, progress: Progress) -> None:
    """Say how large both players are, and keep it in ``networks.json``."""
    from gan.config import Recipe
    from gan.networks.counts import in_words, network_counts
    from gan.training.trained import evaluations_of

    counts = network_counts(config.network, problem.spec, evaluations_of(Recipe.of(config)))
    progress.note(f"networks: {in_words(counts)}")
    files.write_json(folder.networks_file, {name: one._asdict() for name, one in counts.items()})


def load_trained(experiment: Experiment, folder: RunFolder, dataset: TrainingData) -> Trained:
    """Load the last checkpoint of a run .

    Raises:
        UserError: there is no checkpoint yet.
    """
    from gan import load

    _need_checkpoint(folder)
    problem = experiment.learnt().problem(folder.config, dataset)
    return load(folder.path, solver_layer=problem.solver_layer, symmetries=problem.symmetries)


def _need_checkpoint(folder: RunFolder) -> None:
    """Refuse a run without a whole checkpoint before its training fields are looked for, which may take minutes."""
    from gan.training.checkpoint import Checkpoints, DamagedCheckpointError

    checkpoints = Checkpoints(folder.path, folder.config.training.keep)
    latest = checkpoints.latest()
    if latest is None:
        raise UserError(f"{folder.path} holds no checkpoint yet; go on with it by `{folder.resume_command()}`.")
    try:
        checkpoints.check(latest)
    except DamagedCheckpointError as error:
        raise UserError(f"{error} Go on from that by `{folder.resume_command()}`.") from None


def _study(study: Study, config: ExperimentConfig, folder: RunFolder, progress: Progress) -> Comparison:
    """Run a study, which has neither data nor a training, and write the outcome."""
    comparison, figures = study.run(config, progress.compare())
    files.write_arrays(folder.figures_file, figures)
    results_file.write(comparison, folder.comparison_file)
    return comparison


def _compare(
    experiment: Experiment,
    config: ExperimentConfig,
    folder: RunFolder,
    dataset: TrainingData,
    trained: Trained,
    progress: Progress,
    fresh: int | None = None,
) -> Comparison:
    import jax

    making = dataset.description.get("seconds")
    seconds = {"data": float(making) if is_finite(making) else 0.0, "training": folder.training_seconds()}
    baselines = {}
    task = experiment.learnt()
    if config.compare.baselines:
        from gan import fit_baselines

        problem = task.problem(config, dataset)
        baselines = fit_baselines(problem, config, progress.task("baselines"))
    settings, held = config, dataset
    if fresh is not None:
        settings, held = task.with_fresh_test(config, dataset, fresh, progress.data())
    comparison, figures = task.compare(settings, held, trained, seconds, progress.compare(), baselines)
    comparison = replace(comparison, step=trained.step, data_seed=settings.data.seed, sealed=fresh is not None)
    shown = task.sampler(config, dataset, trained)(
        min(SHOWN, config.compare.fields), key=jax.random.key(config.compare.seed), refine=0.0
    )
    export.write(shown, folder.samples_file)
    files.write_arrays(folder.figures_file, figures)
    # Last, so that a folder with a comparison has everything the report reads.
    results_file.write(comparison, folder.comparison_file)
    return comparison
