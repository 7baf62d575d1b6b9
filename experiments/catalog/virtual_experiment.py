r"""Virtual runs of an apparatus, learned from a table of real ones: settings, replicates, responses.

*Data.* A table of the user's (``--system.file``), or runs of a pendulum, a reaction or an epidemic whose units differ
and whose instruments are noisy, over a factorial design of 50 settings. Of these the true law is known.

*Method.* Dense players, small because there are a few hundred runs. The generator is given the setting and trained by
the game joined to the fair score of several draws per setting (Gneiting and Raftery 2007; Ferro 2014).

*Comparison.* Real runs at settings that were not measured: what virtual runs are worth, and whether a test may be
planned with them. Beside it stand bootstraps, a Gaussian copula, a Gaussian process, an autoencoder, a variational
autoencoder, the generator without its discriminator, and the fitted equation of the apparatus, right and wrong.
"""

from __future__ import annotations

from dataclasses import replace

from experiments.config import CompareConfig, ExperimentConfig
from experiments.experiment import Experiment
from experiments.tasks.measurements import Measurements, MeasurementsConfig, TableConfig
from gan.config import GameConfig, NetworkConfig, OptimizerConfig, TrainingConfig

DEMO = ExperimentConfig(
    data=TableConfig(),
    system=MeasurementsConfig(),
    network=NetworkConfig(kind="mlp", width=64, blocks=3, latent=8),
    game=GameConfig(r1=0.1, r2=0.1, ensemble_weight=10.0, ensemble_draws=8),
    optimizer=OptimizerConfig(generator_rate=1e-3, discriminator_rate=1e-3, average_half_life=10_000.0),
    training=TrainingConfig(
        steps=3000,
        batch=64,
        steps_per_call=20,
        log_every=100,
        checkpoint_every=1500,
        validation_samples=256,
        sample_chunk=8192,
    ),
    compare=CompareConfig(fields=512, repeats=1),
)

SMOKE = replace(
    DEMO,
    system=MeasurementsConfig(replicates=2),
    network=NetworkConfig(kind="mlp", width=16, blocks=2, latent=4),
    game=GameConfig(r1=0.1, r2=0.1, ensemble_weight=10.0, ensemble_draws=2),
    training=TrainingConfig(
        steps=20,
        batch=16,
        steps_per_call=5,
        log_every=5,
        checkpoint_every=10,
        validation_samples=64,
        sample_chunk=512,
    ),
    compare=CompareConfig(fields=64, repeats=1),
)

FULL = replace(
    DEMO,
    system=MeasurementsConfig(replicates=40),
    network=replace(DEMO.network, width=128),
    training=replace(DEMO.training, steps=20_000, batch=256, checkpoint_every=4000),
    compare=replace(DEMO.compare, fields=4096),
)

EXPERIMENT = Experiment(
    name="virtual_experiment", task=Measurements(), presets={"smoke": SMOKE, "demo": DEMO, "full": FULL}
)
