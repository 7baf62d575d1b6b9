r"""The Dirac game: which game optimizers circle, which converge.

*Game.* Data at 0, one generated point theta, a discriminator D(x) = psi x (Mescheder, Geiger and Nowozin 2018,
section 2). Gradient updates circle the equilibrium for ever, or spiral away from it.

*Method.* Every update scheme that ``optimizer.scheme`` offers, with plain and with Adam's steps, without and with R1,
from the same start. The objective is the zero-sum one, which every optimizer can play.

*Comparison.* Eigenvalues of the linearised update where it has one, the orbit elsewhere.
"""

from __future__ import annotations

from dataclasses import replace

from experiments.config import ExperimentConfig
from experiments.experiment import Experiment
from experiments.studies.dirac import Dirac, DiracConfig
from gan.config import GameConfig, OptimizerConfig

DEMO = ExperimentConfig(
    system=DiracConfig(updates=4000),
    game=GameConfig(objective="minimax", r1=0.0, r2=0.0),
    optimizer=OptimizerConfig(
        generator_rate=0.1, discriminator_rate=0.1, schedule="constant", beta1=0.0, beta2=0.99, beta2_final=0.99
    ),
)

EXPERIMENT = Experiment(
    name="dirac",
    study=Dirac(),
    presets={
        "smoke": replace(DEMO, system=DiracConfig(updates=200, schemes=("alternating", "extragradient"))),
        "demo": DEMO,
        "full": replace(DEMO, system=DiracConfig(updates=20_000)),
    },
)
