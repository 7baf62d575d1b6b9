"""The experiments, one file each; this table is the one line of registration that a new one needs.

Each module ``experiments.catalog.<name>`` defines ``EXPERIMENT``, an object with ``name`` and ``presets``
(``{"smoke": ..., "demo": ..., "full": ...}``, each an ``ExperimentConfig``), and whatever the pipeline calls.
The table is kept light so that ``list`` and ``--help`` answer without importing jax.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from experiments.errors import UserError, nearest


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
    "own_data": Summary(
        system="fields from a file of your own",
        task="own_fields",
        line="no equation: held-out fields are the yardstick (`train-on FILE`)",
        cost="minutes to hours on 2 cores, by the size of the fields",
    ),
}


def names() -> dict[str, Summary]:
    """Return every experiment's name and summary, in the order to read them."""
    return dict(_SUMMARIES)


def load(name: str) -> Any:
    """Import experiment ``name`` and return its ``EXPERIMENT``.

    Raises:
        UserError: no experiment has this name; the nearest one is suggested.
    """
    if name not in _SUMMARIES:
        known = ", ".join(_SUMMARIES)
        raise UserError(
            f"experiment {name!r} is unknown{nearest(name, _SUMMARIES) or f'; the known ones are {known}.'}"
        )
    return importlib.import_module(f"experiments.catalog.{name}").EXPERIMENT
