r"""Drift, selection and changing size of populations: parameters inferred by a game whose generator is the simulator.

*Model.* Spectra of independent neutral and selected sites under the Wright-Fisher diffusion, with a mutation rate, a
selection coefficient and a change of population size, all unknown.

*Method.* The generator has no network: its parameters are those of the simulator. The discriminator is linear in the
whitened counts; their products and a network can be added. All truths are
estimated side by side, with intervals by the covariance of the estimate, for which the simulator gives derivatives.

*Comparison.* Bias, root mean square error and coverage over known truths, beside maximum likelihood with the
exact spectrum, approximate Bayesian computation and the middle of the range.
"""

from __future__ import annotations

from dataclasses import replace

from experiments.config import ExperimentConfig, SamplesConfig
from experiments.experiment import Experiment
from experiments.studies.evolution import Evolution, EvolutionConfig
from gan.config import GameConfig, NetworkConfig, OptimizerConfig, TrainingConfig

DEMO = ExperimentConfig(
    data=SamplesConfig(),
    system=EvolutionConfig(),
    network=NetworkConfig(kind="mlp", width=16, blocks=1, latent=1),
    game=GameConfig(objective="minimax", r1=0.1, r2=0.1),
    # Plain steps: adaptive ones would weigh the noise of the draws, whose mean is what counts. Clipped, since far from
    # the truth the discriminator is certain, and one step could leave the range.
    optimizer=OptimizerConfig(
        scheme="simultaneous", transform="sgd", generator_rate=2.0, discriminator_rate=1.0, clip=0.05, final_rate=0.2
    ),
    training=TrainingConfig(steps=500, batch=64),
)


EXPERIMENT = Experiment(
    name="evolution",
    study=Evolution(),
    presets={
        "smoke": replace(
            DEMO,
            system=EvolutionConfig(truths=4, regions=128, simulations=500),
            training=replace(DEMO.training, steps=40, batch=32),
        ),
        "demo": DEMO,
        "full": replace(
            DEMO,
            system=EvolutionConfig(truths=200, simulations=100_000),
            training=replace(DEMO.training, steps=2000, batch=128),
        ),
    },
)
