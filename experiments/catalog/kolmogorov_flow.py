r"""Forced two-dimensional turbulence at any viscosity and forcing of a range: the generator knows both.

*System.* The vorticity of a plane flow under a body force (f sin(2 y), 0), with viscosity nu and a linear drag
(Kolmogorov flow: Meshalkin and Sinai 1961, J. Appl. Math. Mech. 25; Chandler and Kerswell 2013, J. Fluid Mech. 722).
Every trajectory has its own nu and f, log-uniform in their ranges. Its mean vorticity is zero, and the velocity that
belongs to a vorticity is free of divergence.

*Task.* Snapshots: draw fields from the invariant measure at the nu and f that are asked for. A solver needs a spin-up
for each pair of them, or a stride along a trajectory whose parameters change.

*Method.* As for Kuramoto-Sivashinsky, in the plane and with the logarithms of nu and f as conditions of both players:
the generator makes the waves with |k| <= 3, a quadratic fit adds those up to 8, and the solver of the sample's own nu
and f corrects them and makes the others: a sample is Phi_tau(G(z)), tau = 1. Data and samples are moved at random by
the symmetries of the forced flow: shifts along x, half turns, and the mirror of x joined to half a wave along y. The
preset ``convolutional`` has convolutional networks on the grid, and trains them through the solver.

*Comparison.* Fields and parameters jointly, against held-out trajectories with parameters of their own. Beside the
generator stand Gaussian fields of the second moments at the parameters asked for, stored fields of the nearest
parameters, moved by a symmetry and advanced under the parameters asked for, and fields along trajectories whose
parameters go from one pair that is asked for to the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt, tau
from typing import TYPE_CHECKING

from experiments.config import CompareConfig, DataConfig, ExperimentConfig, SystemConfig
from experiments.experiment import Experiment
from experiments.tasks.snapshot import Snapshot
from experiments.tasks.solvers import SolverSetting
from gan.config import GameConfig, NetworkConfig, OptimizerConfig, SolverLayerConfig, TrainingConfig
from gan.settings import setting

if TYPE_CHECKING:
    from physics.systems.navier_stokes import NavierStokes2D

FORCED_WAVES = 2
"""Waves of the force along y."""


@dataclass(frozen=True)
class KolmogorovConfig(SystemConfig):
    """Over which parameters the flow is learned."""

    viscosity: tuple[float, float] = setting((0.036, 0.043), "range of the viscosity, log-uniform", above=0)
    forcing: tuple[float, float] = setting((1.2, 1.5), "range of the amplitude of the force, log-uniform", above=0)
    drag: float = setting(0.05, "linear drag", minimum=0)
    outside_viscosity: tuple[float, ...] = setting(
        (0.033, 0.047), "viscosities outside that range at which it is tested too, at forcings within theirs", above=0
    )
    outside_forcing: tuple[float, ...] = setting(
        (), "forcings outside that range at which it is tested too, at viscosities within theirs", above=0
    )


def system(config: ExperimentConfig, points: int | None = None) -> NavierStokes2D:
    """Return the flow in the middle of both ranges, on the configured grid or on one of ``points`` along each axis."""
    from physics import Grid, NavierStokes2D

    own = config.system
    assert isinstance(own, KolmogorovConfig)
    shape = config.data.points if points is None else (points,) * len(config.data.points)
    viscosity, forcing = (sqrt(low * high) for low, high in (own.viscosity, own.forcing))
    return NavierStokes2D(
        Grid(shape, config.data.extent), viscosity, drag=own.drag, forcing=forcing, forcing_mode=FORCED_WAVES
    )


def settings(config: ExperimentConfig) -> list[SolverSetting]:
    """Return the solvers that might do as well for less.

    Stored fields of the nearest parameters, advanced for as long as a sample and for longer; fields along trajectories
    after a spin-up from the flow's own initial field, also on three quarters of the points along each axis with a
    finish on all of them; and shorter spin-ups. Steps of 1.6 times the reference's are stable, and on fewer points
    those of twice: longer ones are not, in a part of the range.
    """
    data, layer = config.data, config.solver_layer.tau
    spin_up, longer = data.spin_up or 120.0, round(1.6 * data.dt, 6)
    times = (layer or 1.0, 4.0)
    bank = [SolverSetting("bank", None, step, 4, time) for step in (data.dt, longer) for time in times]
    strides = [SolverSetting("initial", None, longer, 4, spin_up, stride) for stride in (1.0, 2.0, 4.0, 8.0, 16.0)]
    points = 3 * data.points[0] // 4
    coarse = [
        SolverSetting("initial", points, 2 * data.dt, 4, spin_up, stride, 20 * data.dt) for stride in (2.0, 4.0, 8.0)
    ]
    shorter = [SolverSetting("initial", None, longer, 4, share * spin_up) for share in (0.125, 0.25)]
    return [*bank, *strides, *coarse, *shorter]


# Where sqrt(forcing) / viscosity is less than about 24, flows go steady one after the other, and the certificate
# refuses the data. The ranges keep a distance from there, and such flows need more than 32 points along an axis.
DATA = DataConfig(
    points=(40, 40),
    extent=(tau, tau),
    dt=0.025,
    trajectories=(1536, 64, 1024),
    snapshots=4,
    spin_up=120.0,
    stride=8.0,
)

COMPARE = CompareConfig(
    fields=512, tested=1024, refined=512, relabellings=2000, refine=(0.0, 1.0, 2.0, 4.0, 8.0), repeats=3
)

# The players see the waves that the flow does not make by itself; a fit to the data adds the shorter ones, whose errors
# the solver removes within one unit of time, and no gradient needs to run through it.
DEMO = ExperimentConfig(
    data=DATA,
    system=KolmogorovConfig(),
    network=NetworkConfig(kind="waves", waves=3, short_waves=8, width=256, blocks=3, latent=28),
    game=GameConfig(r1=0.1, r2=0.1, gamma_rule="fixed", symmetrize=True),
    optimizer=OptimizerConfig(
        scheme="simultaneous",
        generator_rate=2e-3,
        discriminator_rate=2e-3,
        beta2=0.99,
        clip=1.0,
        average_half_life=350_000.0,
    ),
    solver_layer=SolverLayerConfig(tau=1.0, steps=20, in_training=False),
    training=TrainingConfig(
        steps=6000,
        batch=256,
        cpu_devices=2,
        steps_per_call=20,
        log_every=100,
        checkpoint_every=1000,
        diagnose_every=2000,
    ),
    compare=COMPARE,
)

CONVOLUTIONAL = ExperimentConfig(
    data=DATA,
    system=KolmogorovConfig(),
    network=NetworkConfig(width=24, levels=4, blocks=1, plain_levels=1, latent=64, constraint="zero_mean"),
    game=DEMO.game,
    optimizer=OptimizerConfig(average_half_life=30_000.0),
    solver_layer=SolverLayerConfig(tau=1.0, steps=20),
    training=TrainingConfig(
        steps=4000, batch=64, cpu_devices=2, log_every=25, checkpoint_every=500, diagnose_every=1000
    ),
    compare=COMPARE,
)

SMOKE = ExperimentConfig(
    data=DataConfig(
        points=(16, 16),
        extent=(tau, tau),
        dt=0.05,
        trajectories=(128, 32, 64),
        snapshots=2,
        spin_up=4.0,
        stride=1.0,
    ),
    system=KolmogorovConfig(viscosity=(0.2, 0.3), outside_viscosity=(0.5,)),
    network=NetworkConfig(kind="waves", waves=2, short_waves=4, width=16, blocks=1, latent=12),
    game=DEMO.game,
    solver_layer=SolverLayerConfig(tau=0.25, steps=5, in_training=False),
    training=TrainingConfig(
        steps=10, batch=16, log_every=5, checkpoint_every=5, validation_samples=32, sample_chunk=64
    ),
    compare=CompareConfig(
        fields=32, draws=100, tested=32, refined=32, relabellings=200, refine=(0.0, 1.0), separations=(1, 4), repeats=1
    ),
)

# A wider range, at up to two and a half times the Reynolds number, on a grid that resolves it; for an accelerator.
FULL = ExperimentConfig(
    data=DataConfig(
        points=(64, 64),
        extent=(tau, tau),
        dt=0.0125,
        trajectories=(8192, 512, 8192),
        snapshots=4,
        spin_up=80.0,
        stride=10.0,
    ),
    system=KolmogorovConfig(viscosity=(0.015, 0.04), forcing=(1.2, 1.4), outside_viscosity=(0.012, 0.045)),
    network=NetworkConfig(width=64, levels=5, blocks=2, plain_levels=1, latent=128, constraint="zero_mean"),
    game=DEMO.game,
    optimizer=CONVOLUTIONAL.optimizer,
    solver_layer=SolverLayerConfig(tau=1.0, steps=40),
    training=TrainingConfig(steps=30000, batch=128, log_every=50, checkpoint_every=1000, diagnose_every=1000),
    compare=CompareConfig(refine=(0.0, 1.0, 2.0, 4.0, 8.0, 16.0)),
)

EXPERIMENT = Experiment(
    name="kolmogorov_flow",
    task=Snapshot(system, settings, varying=("viscosity", "forcing")),
    presets={"smoke": SMOKE, "demo": DEMO, "convolutional": CONVOLUTIONAL, "full": FULL},
)
