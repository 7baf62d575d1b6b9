"""The experiments: those of this package, one file each, those of installed packages, and files of users.

Each module ``experiments.catalog.<name>`` defines ``EXPERIMENT``, an `experiments.experiment.Experiment`; the table
below is the one line of registration that a new one needs, kept light so that ``list`` and ``--help`` answer without
importing jax. Another package registers its own by an entry point of the group ``solvergan.experiments``::

    [project.entry-points."solvergan.experiments"]
    my_flow = "my_package.my_flow:EXPERIMENT"
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from types import SimpleNamespace
from typing import TYPE_CHECKING

from experiments.errors import UserError
from experiments.experiment_file import experiment_of, is_file_name, load_file
from gan.settings import nearest

if TYPE_CHECKING:
    from experiments.experiment import Experiment

GROUP = "solvergan.experiments"
"""Entry points by which installed packages offer experiments."""


@dataclass(frozen=True)
class Summary:
    """What ``list`` shows of an experiment: its system, its task, one line, and what its default preset
    costs."""

    system: str
    task: str
    line: str
    cost: str


_SUMMARIES = {
    "kuramoto_sivashinsky": Summary(
        system="Kuramoto-Sivashinsky, 1D, periodic",
        task="snapshot",
        line="the invariant measure of spatio-temporal chaos, the solver as last layer",
        cost="about 10 minutes on 2 cores",
    ),
    "dirac": Summary(
        system="Dirac-GAN, two numbers",
        task="study",
        line="phase portraits and eigenvalues of every game optimizer: which circle, which converge",
        cost="about a minute on 2 cores",
    ),
    "evolution": Summary(
        system="Wright-Fisher populations",
        task="study",
        line="mutation, selection and population size inferred by a game whose generator is the simulator",
        cost="about 5 minutes on 2 cores",
    ),
    "gaussians": Summary(
        system="Gaussian mixtures in the plane",
        task="modes",
        line="a ring of 8, a grid of 25, an unbalanced grid of 100: modes, quality and weights counted",
        cost="about 2 minutes on 2 cores",
    ),
    "digits": Summary(
        system="handwritten digits, stacked as channels",
        task="modes",
        line="real pictures with up to 10,000 modes, or any of the MNIST form from a file; classes counted",
        cost="about 5 minutes on 2 cores",
    ),
    "burgers": Summary(
        system="viscous Burgers, 1D, periodic",
        task="forecast",
        line="later fields from a few noisy points and the viscosity, against the exact posterior",
        cost="up to 12 minutes on 2 cores",
    ),
    "darcy": Summary(
        system="steady Darcy flow, 2D, closed box",
        task="steady_posterior",
        line="permeability from a few noisy pressures, against long runs of a sampler",
        cost="about 45 minutes on 2 cores, estimated",
    ),
    "kuramoto_sivashinsky_window": Summary(
        system="Kuramoto-Sivashinsky, 1D, periodic",
        task="posterior",
        line="initial field and trajectory of a chaotic window from magnitudes: posteriors of several modes",
        cost="about 20 minutes on 2 cores, estimated",
    ),
    "lorenz96": Summary(
        system="Lorenz-96, 40 sites of a ring",
        task="posterior",
        line="initial state of a chaotic window from magnitudes at a quarter of the sites, judged against the truth",
        cost="about 20 minutes on 2 cores, estimated",
    ),
    "burgers_inverse": Summary(
        system="viscous Burgers, 1D, periodic",
        task="posterior",
        line="initial field, viscosity and trajectory from magnitudes seen later: posteriors of several modes",
        cost="about 20 minutes on 2 cores, estimated",
    ),
    "smoke_plume": Summary(
        system="smoke from a chimney, 2D, periodic",
        task="super_resolution",
        line="fine vorticity and smoke above a coarse solver run, judged against the truth",
        cost="about 15 minutes on 2 cores, estimated",
    ),
    "downscaling": Summary(
        system="Navier-Stokes under a Kolmogorov force, 2D, periodic",
        task="super_resolution",
        line="fine turbulence above a coarse solver run with errors of its own, judged against the truth",
        cost="about 40 minutes on one core, estimated",
    ),
    "kolmogorov_flow": Summary(
        system="Navier-Stokes under a Kolmogorov force, 2D, periodic",
        task="snapshot",
        line="forced turbulence at any viscosity and forcing of a range, which the generator is given",
        cost="about an hour on one core",
    ),
    "own_data": Summary(
        system="fields from a file of your own",
        task="own_fields",
        line="no equation: held-out fields are the reference set (`train-on FILE`)",
        cost="minutes to hours on 2 cores, by the size of the fields",
    ),
    "virtual_experiment": Summary(
        system="measurements: settings, replicates, responses",
        task="measurements",
        line="virtual runs of an apparatus: what they are worth in real ones, and which tests may be planned by them",
        cost="about 2 minutes on 2 cores",
    ),
}


def names() -> dict[str, Summary]:
    """Return every installed experiment's name and summary, in the order to read them; plug-ins come last."""
    return _SUMMARIES | {name: described(name) for name in _plugins()}


def described(name: str) -> Summary:
    """Return what ``list`` shows of an experiment: its summary, or why it cannot be used."""
    try:
        return summary(name)
    except UserError as error:
        return Summary(system=name, task="not usable", line=str(error), cost="")


def summary(name: str) -> Summary:
    """Return what is said of an experiment: its own summary, or what its task says.

    Args:
        name: as for `load`.

    Raises:
        UserError: as `load`.
    """
    if name in _SUMMARIES:
        return _SUMMARIES[name]
    experiment = load(name)
    return experiment.summary or Summary(experiment.name, experiment.kind, "an experiment of your own", "")


def load(name: str) -> Experiment:
    """Return an experiment.

    Args:
        name: of an experiment of this package or of a plug-in, or the path of a Python file that defines one.

    Raises:
        UserError: no experiment has this name (the nearest one is suggested), or the file or plug-in is not usable.
    """
    if is_file_name(name):
        found = load_file(name)
        if found.name in _SUMMARIES:
            raise UserError(f"{name} calls its experiment {found.name}, as one of this package: choose another name.")
        return found
    if name in _SUMMARIES:
        return importlib.import_module(f"experiments.catalog.{name}").EXPERIMENT
    plugins = _plugins()
    if name not in plugins:
        known = [*_SUMMARIES, *plugins]
        hint = nearest(name, known) or f"; the known ones are {', '.join(known)}."
        raise UserError(f"experiment {name!r} is unknown{hint}")
    where = f"{plugins[name].value}, which an installed package offers as experiment {name}"
    try:
        module = importlib.import_module(plugins[name].module)
    except ImportError as error:
        raise UserError(f"{where}, cannot be imported: {error}") from error
    return experiment_of(SimpleNamespace(EXPERIMENT=getattr(module, plugins[name].attr, None)), where)


def _plugins() -> dict[str, EntryPoint]:
    """Experiments of installed packages, by name; those of this package cannot be replaced."""
    return {one.name: one for one in entry_points(group=GROUP) if one.name not in _SUMMARIES}
