"""Is a generator worth it for a system: a pilot of about a minute that measures costs, before anything is trained.

Snapshots of an invariant measure:

    a step of the solver -> its decorrelation -> fields -> their thickness -> the solver's prices -> the generator's

The fields of the pilot also serve to set up the preset's networks, whose parameters stay untrained: what a sample costs
does not depend on them. `experiments.evaluation.advice` holds what is found, and says the verdict. For posteriors see
`experiments.advising.posterior_pilot`.
"""

from __future__ import annotations

from experiments.advising.clock import Clock
from experiments.advising.pilot import Pilot
from experiments.advising.posterior_pilot import CASES, MEMBERS, PosteriorPilot
from experiments.advising.prices import Prices
from experiments.config import ExperimentConfig
from experiments.errors import UserError
from experiments.evaluation.advice import Advice, Once
from experiments.evaluation.posterior_advice import PosteriorAdvice
from experiments.experiment import Experiment
from experiments.reporting import Report, silent
from experiments.tasks.posterior_task import PosteriorTask
from experiments.tasks.snapshot import Snapshot

ADVISED = ("snapshot", "posterior", "steady_posterior")
"""Tasks for which there is advice."""


def advisable(experiment: Experiment) -> Snapshot | PosteriorTask:
    """Return the task of an experiment for which there can be advice.

    Raises:
        UserError: the experiment has another task; the sentence says why that does not do, and names those that do.
    """
    from experiments.catalog import names

    task = experiment.task
    if isinstance(task, Snapshot | PosteriorTask):
        return task
    why = {
        "study": "it is a study without a generator",
        "modes": "no solver makes its samples",
        "own_fields": "the fields come from a file, and there is no solver whose cost a generator could save",
        "measurements": "no solver makes the runs",
        "forecast": "what the solver's ensembles cost at equal quality is known only from its comparison",
        "super_resolution": "there is no reference of equal quality whose cost could be compared",
    }.get(experiment.kind, "its task is another one")
    known = ", ".join(name for name, summary in names().items() if summary.task in ADVISED)
    raise UserError(
        f"advise does not work for {experiment.name}, because {why}; it works for experiments of the tasks "
        f"{', '.join(ADVISED)}: {known}, and your own files of these tasks."
    )


def advise(
    experiment: Experiment,
    preset: str,
    config: ExperimentConfig,
    *,
    fields: int | None = None,
    budget: float = 60.0,
    report: Report = silent,
) -> Advice | PosteriorAdvice:
    """Measure what the solver or samplers and a generator cost; for snapshots, how thick the distribution is too.

    Args:
        experiment: of one of the tasks `ADVISED`.
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
    devices = jax.local_devices()
    device = f"{len(devices)} x {devices[0].device_kind}"
    if isinstance(task, PosteriorTask):
        asked = PosteriorPilot(task, config, Clock(budget), report)
        call, references = asked.call_seconds(), asked.references()
        samplers = asked.samplers(references)
        price, spent = asked.generator()
        return PosteriorAdvice(
            experiment=experiment.name,
            preset=preset,
            unknowns=asked.problem.dimension,
            cases=CASES,
            members=MEMBERS,
            call_seconds=call,
            agreement=references.agreement,
            samplers=samplers,
            generator=price,
            once=spent,
            fields=fields,
            device=device,
            seconds=asked.clock.spent,
        )
    pilot = Pilot(task, config, Clock(budget), report)
    times, plan = pilot.times()
    made = pilot.fields(times)
    thickness = pilot.thickness(made.data)
    solvers, generator, update_seconds = Prices(pilot, times).measured(made)
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
        device=device,
        seconds=pilot.clock.spent,
    )
