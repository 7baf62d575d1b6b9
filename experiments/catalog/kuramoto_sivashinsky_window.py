r"""Posteriors of a window of Kuramoto-Sivashinsky fields from magnitudes, held against long tempered runs.

*System.* u_t = -u u_x - u_xx - u_xxxx on a periodic interval of length 22: chaos in space and time. The initial field
consists of the eight longest waves with normal amplitudes: 16 unknowns, written as standard normal numbers.

*Task.* At two later times |u| is observed at eight points with noise. Signs are lost, and so the posterior has
several modes. From the observations, draw the initial field; the solver makes the trajectory, so that a sample costs
one solver call and obeys the equation exactly.

*Method, comparison.* As for the posteriors of Burgers' equation (experiment ``burgers_inverse``): flow matching of the
unknowns given the observations, against tempered sequential Monte Carlo, the no-U-turn sampler, preconditioned
Crank-Nicolson and the ensemble smoother.
"""

from __future__ import annotations

from dataclasses import replace

from experiments.catalog import burgers_inverse
from experiments.catalog.kuramoto_sivashinsky import system
from experiments.config import DataConfig
from experiments.experiment import Experiment
from experiments.tasks.posterior import Posterior, PosteriorConfig

WINDOW = PosteriorConfig(waves=8, amplitude=1.3, length=1.0, observations=8, times=(0, 1), noise=0.5)

# On 32 points and with this step the error is some hundredth of the observations' noise.
DEMO = replace(
    burgers_inverse.DEMO,
    data=DataConfig(
        points=(32,),
        extent=(22.0,),
        dt=0.2,
        trajectories=(262_144, 1024, 512),
        snapshots=2,
        spin_up=2.0,
        stride=2.0,
        chunk=1024,
    ),
    system=WINDOW,
)

SMOKE = replace(
    burgers_inverse.SMOKE,
    data=replace(DEMO.data, trajectories=(512, 64, 32)),
    system=replace(WINDOW, waves=3, particles=64, moves=10),
)

FULL = replace(burgers_inverse.FULL, data=replace(DEMO.data, trajectories=(2_097_152, 4096, 2048)), system=WINDOW)

EXPERIMENT = Experiment(
    name="kuramoto_sivashinsky_window",
    task=Posterior(system),
    presets={"smoke": SMOKE, "demo": DEMO, "full": FULL},
)
