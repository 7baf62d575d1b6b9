r"""Fields of your own experiment or simulation, from a file, with no equation.

*Data.* Any array of fields, patches, windows of a time series or points, from .npy, .npz, .h5, .nc, .zarr or .csv.
``python -m experiments train-on FILE`` is the short form of ``run own_data --system.file FILE``.

*Method.* Residual convolutional players (Huang et al. 2024, arXiv:2501.05441) with gradient penalties at data and
samples, padded by zeros along axes that are not periodic. Points that are missing in every field are held at the
channel's mean.

*Comparison.* Samples against held-out fields, which lie later in time or belong to other samples than the training
fields: tests, distances, scores, the number of real fields that the samples are worth, and two baselines, a Gaussian
distribution with the data's mean and covariance and the training fields themselves.
"""

from __future__ import annotations

from dataclasses import replace

from experiments.config import CompareConfig, ExperimentConfig
from experiments.experiment import Experiment
from experiments.tasks.own_fields import HeldOutConfig, OwnFields, OwnFieldsConfig
from gan.config import GameConfig, NetworkConfig, OptimizerConfig, TrainingConfig

DEMO = ExperimentConfig(
    data=HeldOutConfig(),
    system=OwnFieldsConfig(),
    network=NetworkConfig(width=32, levels=4, blocks=1, latent=64),
    game=GameConfig(r1=0.01, r2=0.01),
    optimizer=OptimizerConfig(average_half_life=20_000.0),
    training=TrainingConfig(steps=3000, batch=32, log_every=25, checkpoint_every=500, diagnose_every=1000),
    compare=CompareConfig(),
)

SMOKE = replace(
    DEMO,
    network=NetworkConfig(width=8, levels=3, blocks=1, latent=8),
    training=TrainingConfig(
        steps=20, batch=16, log_every=5, checkpoint_every=10, validation_samples=32, sample_chunk=64
    ),
    compare=CompareConfig(fields=64, draws=180, tested=64, refined=32, relabellings=200),
)

FULL = replace(
    DEMO,
    network=NetworkConfig(width=96, levels=5, blocks=2, latent=128),
    training=TrainingConfig(steps=30_000, batch=64, log_every=100, checkpoint_every=2000, diagnose_every=2000),
)

EXPERIMENT = Experiment(name="own_data", task=OwnFields(), presets={"smoke": SMOKE, "demo": DEMO, "full": FULL})
