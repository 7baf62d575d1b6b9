r"""Posteriors of Burgers' equation from magnitudes observed later, held against long tempered runs.

*System.* u_t = -u u_x + nu u_xx on a periodic interval. The initial field consists of the eight longest waves with
normal amplitudes, nu is log-uniform: 17 unknowns, written as standard normal numbers.

*Task.* At one later time |u| is observed at eight points with noise. Signs are lost, and so the posterior of field and
viscosity has several modes. From the observations, draw the unknowns; the solver makes the trajectory, so that a sample
costs one solver call and obeys the equation exactly.

*Method.* A dense residual network learns by flow matching the velocity that carries noise to unknowns, given the
observations (Lipman et al. 2023, arXiv:2210.02747; for posteriors Wildberger et al. 2023, arXiv:2305.17161). The preset
``adversarial`` trains the same network by the game with the fair ensemble score instead.

*Comparison.* CRPS, energy score, spread and ranks over every test case against long runs of tempered sequential Monte
Carlo. The rivals are its shorter runs, preconditioned Crank-Nicolson and the ensemble smoother, with longer solver
steps than the data's; the cheapest that is as good as the generator is searched.
"""

from __future__ import annotations

from dataclasses import replace
from math import tau

from experiments.catalog.burgers import system
from experiments.config import CompareConfig, DataConfig, ExperimentConfig
from experiments.experiment import Experiment
from experiments.tasks.posterior import Posterior, PosteriorConfig
from gan.config import GameConfig, NetworkConfig, OptimizerConfig, SolverLayerConfig, TrainingConfig

DEMO = ExperimentConfig(
    data=DataConfig(
        points=(64,),
        extent=(tau,),
        dt=0.025,
        trajectories=(262_144, 1024, 512),
        snapshots=4,
        spin_up=0.25,
        stride=0.25,
        chunk=1024,
    ),
    system=PosteriorConfig(),
    network=NetworkConfig(kind="residual_mlp", width=128, blocks=3, latent=32),
    game=GameConfig(objective="flow_matching", evaluations=6),
    optimizer=OptimizerConfig(
        generator_rate=1e-3,
        beta1=0.9,
        beta2=0.99,
        beta2_final=0.999,
        clip=1.0,
        average_half_life=300_000.0,
        warmup=0.01,
    ),
    solver_layer=SolverLayerConfig(tau=0.0),
    training=TrainingConfig(
        steps=60_000,
        batch=256,
        steps_per_call=50,
        log_every=1000,
        checkpoint_every=5000,
        diagnose_every=20_000,
        sample_chunk=512,
    ),
    compare=CompareConfig(cases=32, members=128),
)

SMOKE = ExperimentConfig(
    data=DataConfig(
        points=(32,),
        extent=(tau,),
        dt=0.05,
        trajectories=(512, 64, 32),
        snapshots=2,
        spin_up=0.25,
        stride=0.25,
    ),
    system=PosteriorConfig(
        parameter=(0.2, 0.5), waves=3, length=1.0, observations=4, noise=0.2, particles=64, moves=10
    ),
    network=NetworkConfig(kind="residual_mlp", width=16, blocks=1, latent=8),
    game=GameConfig(objective="flow_matching", evaluations=4),
    solver_layer=DEMO.solver_layer,
    training=TrainingConfig(
        steps=20, batch=16, log_every=5, checkpoint_every=10, validation_samples=32, sample_chunk=64
    ),
    compare=CompareConfig(draws=60, resamples=20, cases=4, members=16, repeats=1),
)

ADVERSARIAL = replace(
    DEMO,
    game=GameConfig(r1=0.1, r2=0.1, gamma_rule="fixed", ensemble_weight=1.0, ensemble_draws=4),
    optimizer=OptimizerConfig(generator_rate=1e-3, discriminator_rate=1e-3, average_half_life=300_000.0),
)

FULL = replace(
    DEMO,
    data=replace(DEMO.data, trajectories=(2_097_152, 4096, 2048)),
    network=replace(DEMO.network, width=768, blocks=6),
    game=replace(DEMO.game, evaluations=20),
    training=replace(DEMO.training, steps=400_000, batch=2048, checkpoint_every=20_000, diagnose_every=20_000),
    compare=CompareConfig(cases=256, members=128),
)

EXPERIMENT = Experiment(
    name="burgers_inverse",
    task=Posterior(system, "viscosity"),
    presets={"smoke": SMOKE, "demo": DEMO, "adversarial": ADVERSARIAL, "full": FULL},
)
