r"""Downscaling of forced turbulence: the fine field, given a coarse solver run that has made errors of its own.

*System.* The plane flow of ``kolmogorov_flow`` under one force and one viscosity, at which fine waves matter.

*Task.* A fine field is cut to a quarter of the points along each axis and advanced there by the coarse solver for half
a unit of time, while the fine solver advances the fine field. Given the coarse outcome, draw the fine field. With
``--system.source averages`` the averages of the fine field itself are given. A generator that is trained on these
meets no errors of a coarse solver, and cannot mend them.

*Method.* Flow matching makes the difference of the fine field and the interpolated coarse one, by a U-Net that is given
the coarse field. Its mean is zero by a layer, so that a sample keeps the mean vorticity of the coarse run. The preset
``adversarial`` has a conditional game with the fair ensemble score of two draws (Ferro 2014).

*Comparison.* Proper scores of fields and of their gradients, and the log spectral distance, against the truth, beside
interpolation, differences of other fields (at random, and of the nearest coarse fields), and the fine solver: started
from the coarse state once, and from many starts that differ in the fine waves, a solve for each member.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import tau
from typing import TYPE_CHECKING

from experiments.catalog.kolmogorov_flow import FORCED_WAVES
from experiments.config import CompareConfig, DataConfig, ExperimentConfig, SolverLayerConfig
from experiments.experiment import Experiment
from experiments.tasks.super_resolution import SuperResolution, SuperResolutionConfig
from gan.config import GameConfig, NetworkConfig, OptimizerConfig, TrainingConfig
from gan.settings import setting

if TYPE_CHECKING:
    from physics.systems.navier_stokes import NavierStokes2D


@dataclass(frozen=True)
class DownscalingConfig(SuperResolutionConfig):
    """At which viscosity."""

    viscosity: float = setting(0.03, "viscosity of the flow; the amplitude of the force is 1.4", above=0)


def system(config: ExperimentConfig) -> NavierStokes2D:
    """Return the flow on the configured grid."""
    from physics import Grid, NavierStokes2D

    own = config.system
    assert isinstance(own, DownscalingConfig)
    grid = Grid(config.data.points, config.data.extent)
    return NavierStokes2D(grid, own.viscosity, drag=0.05, forcing=1.4, forcing_mode=FORCED_WAVES)


DEMO = ExperimentConfig(
    data=DataConfig(
        points=(48, 48),
        extent=(tau, tau),
        dt=0.01,
        trajectories=(1024, 32, 128),
        snapshots=5,
        spin_up=60.0,
        stride=0.5,
        chunk=64,
    ),
    system=DownscalingConfig(factor=4, coarse_dt=0.05),
    network=NetworkConfig(kind="unet", width=16, levels=3, blocks=1, latent=0, constraint="zero_mean"),
    game=GameConfig(objective="flow_matching", evaluations=6),
    optimizer=OptimizerConfig(generator_rate=2e-3, warmup=0.02, average_half_life=8000.0),
    solver_layer=SolverLayerConfig(tau=0.0),
    training=TrainingConfig(steps=2000, batch=16, log_every=50, checkpoint_every=500, diagnose_every=1000),
    compare=CompareConfig(cases=128, members=16),
)

# The discriminator wins early, and the ensemble score does most of the work.
ADVERSARIAL = replace(
    DEMO,
    network=NetworkConfig(width=16, levels=3, blocks=1, latent=32, constraint="zero_mean"),
    game=GameConfig(r1=0.1, r2=0.1, gamma_rule="fixed", ensemble_weight=1.0),
    optimizer=OptimizerConfig(),
    training=TrainingConfig(steps=600, batch=16, log_every=25, checkpoint_every=150, diagnose_every=300),
)

SMOKE = replace(
    DEMO,
    data=replace(DEMO.data, points=(24, 24), trajectories=(16, 4, 8), snapshots=2, spin_up=3.0),
    system=DownscalingConfig(viscosity=0.1, factor=3, coarse_dt=0.05),
    network=replace(DEMO.network, width=8, levels=2),
    training=TrainingConfig(steps=20, batch=8, log_every=5, checkpoint_every=10, validation_samples=4, sample_chunk=64),
    compare=CompareConfig(cases=8, members=4, resamples=20, repeats=1),
)

# Five times the Reynolds number and eight times fewer points along each axis; for an accelerator.
FULL = replace(
    DEMO,
    data=replace(DEMO.data, points=(128, 128), dt=0.005, trajectories=(8192, 256, 512)),
    system=DownscalingConfig(viscosity=0.006, factor=8, coarse_dt=0.02),
    network=replace(DEMO.network, width=64, levels=5, blocks=2),
    game=replace(DEMO.game, evaluations=12),
    optimizer=replace(DEMO.optimizer, average_half_life=200_000.0),
    training=TrainingConfig(steps=50_000, batch=64, log_every=100, checkpoint_every=2500, diagnose_every=5000),
    compare=CompareConfig(cases=512, members=32),
)

EXPERIMENT = Experiment(
    name="downscaling",
    task=SuperResolution(system),
    presets={"smoke": SMOKE, "demo": DEMO, "adversarial": ADVERSARIAL, "full": FULL},
)
