r"""The invariant measure of the Kuramoto-Sivashinsky equation, with the solver as the generator's last layer.

*System.* u_t = -u u_x - u_xx - u_xxxx on a periodic interval of length L: chaos in space and time, whose long-time
statistics do not depend on where it began. At L = 22 the largest Lyapunov exponent is 0.048 (Cvitanovic,
Davidchack and Siminos 2010, SIAM J. Appl. Dyn. Syst. 9, 1).

*Task.* Snapshots: draw fields from the invariant measure, without the spin-up that a solver needs from any other
initial field.

*Method.* The generator makes the six longest waves, and the solver the others: a sample is Phi_tau(G(z)), tau = 1.
Both players are dense residual networks on the amplitudes of these waves, each in units of its own spread; the
discriminator sees them in the frame of the strongest wave, beside those of the squared field. The loss pairs data with
samples and penalises the discriminator's gradient at both (Huang et al. 2024, arXiv:2501.05441). Data and samples are
shifted and reflected at random, so that the generator has the equation's symmetries, and step sizes decay by a cosine.
The preset ``convolutional`` has convolutional networks on the grid, and trains them through the solver.

*Comparison.* Classifiers, neighbours, moments and distances test 4096 samples against held-out solver fields, and one
joint test ranks the largest of all statistics. Gaussian fields with the data's spectrum, the equation's own initial
fields and stored training fields are advanced beside the generator, and the cheapest solver that is as good is
searched. What comes of it is in docs/results.md.
"""

from __future__ import annotations

from math import pi
from typing import TYPE_CHECKING

from experiments.config import CompareConfig, DataConfig, ExperimentConfig
from experiments.experiment import Experiment
from experiments.tasks.snapshot import Snapshot
from experiments.tasks.solvers import SolverSetting
from gan.config import GameConfig, NetworkConfig, OptimizerConfig, SolverLayerConfig, TrainingConfig

if TYPE_CHECKING:
    from physics.systems.kuramoto_sivashinsky import KuramotoSivashinsky


def system(config: ExperimentConfig, points: int | None = None) -> KuramotoSivashinsky:
    """Return the equation on the configured grid, or on one of ``points`` points for the search of solvers."""
    from physics import Grid, KuramotoSivashinsky

    shape = config.data.points if points is None else (points,)
    return KuramotoSivashinsky(Grid(shape, config.data.extent))


def settings(config: ExperimentConfig) -> list[SolverSetting]:
    """Return the solvers that might do as well for less.

    Stored training fields advanced for as long as a sample; fields taken along few long trajectories, a stride apart
    so short that they hardly move to one that exceeds the decorrelation; coarse grids and long steps with a short
    finish by the reference; spin-ups from a Gaussian field.
    """
    full, tau = config.data.points[0], config.solver_layer.tau
    coarse = 4 * (full * 9 // 64)  # 36 of 64
    bank = [SolverSetting("bank", full, dt, 4, tau or 4.0) for dt in (0.1, 0.25)]
    strides = [
        SolverSetting("gaussian", points, dt, 4, 160.0, stride, finish)
        for points, dt, finish in ((coarse, 0.5, 0.5), (full // 2, 0.5, 0.5), (full, 0.25, 0.0), (full, 0.5, 0.0))
        for stride in (5.0, 20.0, 40.0)
    ]
    spun_up = [SolverSetting("gaussian", coarse, 0.5, 4, spin_up, None, 0.5) for spin_up in (16.0, 32.0, 64.0)]
    return bank + strides + spun_up + [SolverSetting("gaussian", full, 0.25, 2, 160.0, 20.0, 0.0)]


DATA = DataConfig(
    points=(64,),
    extent=(22.0,),
    dt=0.1,
    trajectories=(8192, 512, 8192),
    snapshots=4,
    spin_up=None,
    stride=None,
)

# The players see the six longest waves, which hold the slow directions of the attractor; the solver makes the others
# within one unit of time, and no gradient needs to run through it.
DEMO = ExperimentConfig(
    data=DATA,
    network=NetworkConfig(kind="waves", waves=6, width=256, blocks=3, latent=12),
    game=GameConfig(r1=0.1, r2=0.1, gamma_rule="fixed", symmetrize=True),
    optimizer=OptimizerConfig(
        scheme="simultaneous",
        generator_rate=2e-3,
        discriminator_rate=2e-3,
        beta2=0.99,
        clip=1.0,
        average_half_life=350_000.0,
    ),
    solver_layer=SolverLayerConfig(tau=1.0, steps=5, in_training=False),
    training=TrainingConfig(
        steps=6000,
        batch=256,
        cpu_devices=2,
        steps_per_call=20,
        log_every=100,
        checkpoint_every=1000,
        diagnose_every=2000,
    ),
    compare=CompareConfig(),
)

CONVOLUTIONAL = ExperimentConfig(
    data=DATA,
    network=NetworkConfig(width=48, levels=5, blocks=2, plain_levels=1, latent=64, constraint="zero_mean"),
    game=GameConfig(r1=0.1, r2=0.1, gamma_rule="fixed", symmetrize=True),
    optimizer=OptimizerConfig(average_half_life=30_000.0),
    solver_layer=SolverLayerConfig(tau=4.0, steps=20),
    training=TrainingConfig(
        steps=6000, batch=64, cpu_devices=2, log_every=25, checkpoint_every=500, diagnose_every=1000
    ),
    compare=CompareConfig(),
)

SMOKE = ExperimentConfig(
    data=DataConfig(
        points=(32,),
        extent=(22.0,),
        dt=0.1,
        trajectories=(128, 64, 256),
        snapshots=2,
        spin_up=100.0,
        stride=10.0,
    ),
    network=NetworkConfig(kind="waves", waves=4, width=16, blocks=1, latent=8),
    game=DEMO.game,
    solver_layer=DEMO.solver_layer,
    training=TrainingConfig(
        steps=20, batch=16, log_every=5, checkpoint_every=10, validation_samples=32, sample_chunk=64
    ),
    compare=CompareConfig(
        fields=64, draws=180, tested=64, refined=32, relabellings=200, refine=(0.0, 1.0, 2.0), repeats=1
    ),
)

# Five times the demo's interval, many correlation lengths: every eighth of it has a share of the latent of its own, and
# the discriminator is held less, the longer it learns the less. Within two hours on 2 CPU cores.
FULL = ExperimentConfig(
    data=DataConfig(
        points=(128,),
        extent=(32 * pi,),
        dt=0.1,
        trajectories=(8192, 512, 8192),
        snapshots=4,
        spin_up=None,
        stride=None,
    ),
    network=NetworkConfig(width=48, levels=5, blocks=2, latent=128, latent_local=True, constraint="zero_mean"),
    game=GameConfig(r1=0.1, r2=0.1, gamma_rule="fixed", penalty_final=0.2, symmetrize=True),
    optimizer=CONVOLUTIONAL.optimizer,
    solver_layer=CONVOLUTIONAL.solver_layer,
    training=TrainingConfig(
        steps=16000, batch=64, cpu_devices=2, log_every=50, checkpoint_every=1000, diagnose_every=1000
    ),
    compare=CompareConfig(),
)

EXPERIMENT = Experiment(
    name="kuramoto_sivashinsky",
    task=Snapshot(system, settings),
    presets={"smoke": SMOKE, "demo": DEMO, "convolutional": CONVOLUTIONAL, "full": FULL},
)
