"""Is a generator worth it for a system: a pilot of about a minute that measures costs, before anything is trained.

    a step of the solver -> its decorrelation -> fields -> their thickness -> the solver's prices -> the generator's

The fields of the pilot also serve to set up the preset's networks, whose parameters stay untrained: what a sample costs
does not depend on them. `experiments.evaluation.advice` holds what is found, and says the verdict.
"""

from __future__ import annotations

from experiments.advising.clock import Clock
from experiments.advising.pilot import Pilot
from experiments.advising.prices import Prices
from experiments.config import ExperimentConfig
from experiments.errors import UserError
from experiments.evaluation.advice import Advice, Once
from experiments.experiment import Experiment
from experiments.reporting import Report, silent
from experiments.tasks.snapshot import Snapshot


def advisable(experiment: Experiment) -> Snapshot:
    """Return the task of an experiment for which there can be advice.

    Raises:
        UserError: the experiment has another task; the sentence says why that does not do, and names those that do.
    """
    from experiments.catalog import names

    task = experiment.task
    if isinstance(task, Snapshot):
        return task
    why = {
        "study": "it is a study without a generator",
        "modes": "no solver makes its samples",
        "own_fields": "the fields come from a file, and there is no solver whose cost a generator could save",
        "forecast": "what the solver's ensembles cost at equal quality is known only from its comparison",
        "super_resolution": "there is no reference of equal quality whose cost could be compared",
        "posterior": "what a sampler costs at equal quality is known only from its comparison",
    }.get(experiment.kind, "its task is another one")
    known = ", ".join(name for name, summary in names().items() if summary.task == "snapshot")
    raise UserError(
        f"advise does not work for {experiment.name}, because {why}; it works for experiments of the task snapshot: "
        f"{known}, and your own files of that task."
    )


def advise(
    experiment: Experiment,
    preset: str,
    config: ExperimentConfig,
    *,
    fields: int | None = None,
    budget: float = 60.0,
    report: Report = silent,
) -> Advice:
    """Measure what the solver and a generator cost, and how thick the distribution is.

    Args:
        experiment: of the task `snapshot`.
        preset: what the configuration is called.
        config: of the generator and the data.
        fields: that are needed; None where not known.
        budget: seconds for it all, roughly: programs are compiled on top.
        report: called with (done, total, what).

    Raises:
        UserError: another task, or a system whose times cannot be measured in the time.
        ValueError: what the pilot of a data set refuses.

    Example:
        >>> found = advise(catalog.load("kuramoto_sivashinsky"), "demo", config)
        >>> print(found.verdict)
    """
    import jax

    task = advisable(experiment)
    pilot = Pilot(task, config, Clock(budget), report)
    times, plan = pilot.times()
    made = pilot.fields(times)
    thickness = pilot.thickness(made.data)
    solvers, generator, update_seconds = Prices(pilot, times).measured(made)
    device = jax.local_devices()[0]
    return Advice(
        experiment=experiment.name,
        preset=preset,
        times=times,
        solvers=solvers,
        generator=generator,
        once=Once(pilot.data_steps(plan) * times.step_seconds, config.training.steps, update_seconds),
        thickness=thickness,
        stored=config.data.trajectories[0] * config.data.snapshots,
        fields=fields,
        device=f"{len(jax.local_devices())} x {device.device_kind}",
        seconds=pilot.clock.spent,
    )
