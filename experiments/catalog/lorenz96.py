r"""Posteriors of Lorenz-96 from magnitudes at a quarter of the sites, judged against the truth.

*System.* x_k' = (x_{k+1} - x_{k-2}) x_{k-1} - x_k + 8 at 40 sites of a ring. It is chaotic: errors double in 0.42 units
of time. The initial state is normal with the mean and the spectrum of the climatology: 40 unknowns, written as white
noise.

*Task.* Every fourth site is observed at five later times, 0.2 apart, as |x| with noise of standard deviation 1. From
the observations, draw the initial state; the solver makes the trajectory. ``--system.observed value`` observes x
itself, ``--data.stride`` and ``--data.spin_up`` change the gap.

*Method.* A dense residual network learns by flow matching the velocity that carries noise to unknowns, given the
observations (Lipman et al. 2023, arXiv:2210.02747).

*Comparison.* Long tempered runs do not agree with each other here, so that there is no reference: generator, tempered
sequential Monte Carlo, the ensemble smoother with 4 and 8 iterations, and Laplace's approximation at every mode found
are judged by CRPS, energy score, coverage and ranks against the truth. Filters that cycle are studied by
``benchmarks/data_assimilation.py``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from experiments.catalog import burgers_inverse
from experiments.config import CompareConfig, DataConfig, ExperimentConfig
from experiments.experiment import Experiment
from experiments.tasks.posterior import Posterior, PosteriorConfig
from experiments.tasks.posterior_task import TRUTH
from experiments.tasks.whitening import Climatology

if TYPE_CHECKING:
    from physics.system import System

_VARIANCES = (
    "0.135 0.281 0.315 0.375 0.453 0.592 0.854 1.272 1.539 1.356 1.091 "
    "0.928 0.810 0.706 0.600 0.483 0.392 0.341 0.306 0.285 0.139"
)
CLIMATE = Climatology(40, 2.34, tuple(map(float, _VARIANCES.split())))
"""Mean and variance of every wave over 25,600 states of 512 trajectories, 20 to 118 units after their beginning."""


def system(config: ExperimentConfig, points: int | None = None) -> System:
    """Return Lorenz-96; sites are no points of a continuum, so that there is one size."""
    from physics import Grid, Lorenz96

    return Lorenz96(grid=Grid(config.data.points, config.data.extent))


def climate(config: ExperimentConfig) -> Climatology:
    """Return the distribution of the initial states."""
    return CLIMATE


WINDOW = PosteriorConfig(observations=10, times=(0, 1, 2, 3, 4), noise=1.0, reference=TRUTH)

DEMO = replace(
    burgers_inverse.DEMO,
    data=DataConfig(
        points=(40,),
        extent=(40.0,),
        dt=0.05,
        trajectories=(262_144, 1024, 512),
        snapshots=5,
        spin_up=0.2,
        stride=0.2,
        chunk=1024,
    ),
    system=WINDOW,
    network=replace(burgers_inverse.DEMO.network, width=256),
    # The rivals are ensembles of the same size, which 50 observations and 40 unknowns ask for.
    compare=CompareConfig(cases=32, members=256),
)

SMOKE = replace(
    burgers_inverse.SMOKE,
    data=replace(DEMO.data, trajectories=(512, 64, 32), snapshots=2),
    system=replace(WINDOW, times=(0, 1)),
    compare=replace(burgers_inverse.SMOKE.compare, search=False),
)

FULL = replace(
    burgers_inverse.FULL,
    data=replace(DEMO.data, trajectories=(2_097_152, 4096, 2048)),
    system=WINDOW,
    compare=CompareConfig(cases=256, members=128),
)

EXPERIMENT = Experiment(
    name="lorenz96",
    task=Posterior(system, prior=climate),
    presets={"smoke": SMOKE, "demo": DEMO, "full": FULL},
)
