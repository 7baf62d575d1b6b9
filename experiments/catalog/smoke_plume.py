r"""Fine detail above a coarse solver: smoke that rises from a chimney, a third of the points along each axis given.

*System.* The plane Boussinesq equations with a chimney, a source of smoke and an absorbing layer: vorticity and smoke
on a box of 4 by 6. The plume sways and breaks up.

*Task.* A fine state is cut to a third of the points and advanced there by the coarse solver for one unit of time; the
fine solver advances the fine state meanwhile. Given the coarse outcome, draw the fine field. With
``--system.source averages`` the averages of the fine field itself are given, which is easier and less useful.

*Method.* A conditional residual generator makes the difference of the fine field and the interpolated coarse one; the
mean of vorticity and smoke is that of the coarse run, by a layer. The discriminator sees the difference with the coarse
field. A fair ensemble score of two draws (Ferro 2014) works against too small a spread.

*Comparison.* Proper scores against the truth, beside interpolation, interpolation with the errors of other fields (at
random, and of the nearest coarse fields), regression and other baselines where asked for, and the fine solver started
from the coarse state for a quarter, half and all of the time, with its cost.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from experiments.config import CompareConfig, DataConfig, ExperimentConfig, SolverLayerConfig
from experiments.experiment import Experiment
from experiments.tasks.super_resolution import SuperResolution, SuperResolutionConfig
from gan.config import GameConfig, NetworkConfig, OptimizerConfig, TrainingConfig

if TYPE_CHECKING:
    from physics.systems.boussinesq import SmokePlume


def system(config: ExperimentConfig) -> SmokePlume:
    """Return the plume on the configured grid; thicker air than the system's default, which fewer points resolve."""
    from physics import Grid, SmokePlume

    return SmokePlume(Grid(config.data.points, config.data.extent), viscosity=0.02, diffusivity=0.02)


DEMO = ExperimentConfig(
    data=DataConfig(
        points=(48, 72),
        extent=(4.0, 6.0),
        dt=0.02,
        trajectories=(512, 16, 128),
        snapshots=4,
        spin_up=5.0,
        stride=1.0,
        chunk=64,
    ),
    system=SuperResolutionConfig(factor=3, coarse_dt=0.04),
    network=NetworkConfig(width=12, levels=3, blocks=1, latent=32, constraint="zero_mean"),
    game=GameConfig(r1=0.1, r2=0.1, gamma_rule="fixed", ensemble_weight=1.0),
    optimizer=OptimizerConfig(),
    solver_layer=SolverLayerConfig(tau=0.0),
    training=TrainingConfig(steps=1000, batch=8, log_every=25, checkpoint_every=250, diagnose_every=500),
    compare=CompareConfig(cases=128, members=16),
)

SMOKE = replace(
    DEMO,
    data=replace(DEMO.data, trajectories=(16, 4, 8), snapshots=2, spin_up=3.0, stride=0.5),
    network=NetworkConfig(width=8, levels=2, blocks=1, latent=8, constraint="zero_mean"),
    training=TrainingConfig(steps=20, batch=8, log_every=5, checkpoint_every=10, validation_samples=4, sample_chunk=64),
    compare=CompareConfig(cases=8, members=4, resamples=20),
)

FULL = replace(
    DEMO,
    data=replace(DEMO.data, points=(64, 96), dt=0.01, trajectories=(8192, 256, 512)),
    system=SuperResolutionConfig(factor=4, coarse_dt=0.04),
    network=NetworkConfig(width=64, levels=4, blocks=2, latent=64, constraint="zero_mean"),
    training=TrainingConfig(steps=50_000, batch=64, log_every=100, checkpoint_every=2500, diagnose_every=5000),
    compare=CompareConfig(cases=512, members=32),
)

EXPERIMENT = Experiment(
    name="smoke_plume",
    task=SuperResolution(system),
    presets={"smoke": SMOKE, "demo": DEMO, "full": FULL},
)
