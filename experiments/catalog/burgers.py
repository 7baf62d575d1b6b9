r"""Forecasts of Burgers' equation from a few noisy observations, held against the exact posterior.

*System.* u_t = -u u_x + nu u_xx on a periodic interval, nu drawn anew for every trajectory. Slopes steepen into
fronts of width about nu, which merge while the energy decays.

*Task.* The initial field is Gaussian; eight of its points are observed with noise. From them and nu, draw the
fields at four later times. Given the observations the initial field is Gaussian still, with known mean and
covariance (Journel and Huijbregts 1978), so the solver's own ensemble from posterior draws is exact.

*Method.* A conditional residual generator emits the trajectory; the discriminator sees it with its condition.
The defect of the generated trajectory, by the discrete solver that made the data, is a penalty; a fair ensemble
score of two draws per condition (Ferro 2014, Q. J. R. Meteorol. Soc. 140, 1917) works against too small a spread. With
the preset ``sensors`` the points are the same for all fields; flow matching of the longest waves makes the initial
field, and the solver makes the forecast from it.

*Comparison.* CRPS, energy score, spread, ranks and spectra over every test case against the exact ensemble, within the
training range of nu and outside it on both sides; beside climatology, the prior advanced by the solver and baselines.
"""

from __future__ import annotations

from dataclasses import replace
from math import tau
from typing import TYPE_CHECKING

from experiments.config import CompareConfig, DataConfig, ExperimentConfig
from experiments.experiment import Experiment
from experiments.tasks.forecast import INITIAL, Forecast, ForecastConfig
from gan.config import GameConfig, NetworkConfig, OptimizerConfig, TrainingConfig

if TYPE_CHECKING:
    from jax import Array

    from physics.systems.burgers import Burgers


def system(config: ExperimentConfig, viscosity: float | Array, points: int | None = None) -> Burgers:
    """Return the equation with a viscosity, on the configured grid or on one of ``points`` points."""
    from physics import Burgers, Grid

    shape = config.data.points if points is None else (points,)
    return Burgers(Grid(shape, config.data.extent), viscosity)


DEMO = ExperimentConfig(
    data=DataConfig(
        points=(64,),
        extent=(tau,),
        dt=0.01,
        trajectories=(16384, 512, 512),
        snapshots=4,
        spin_up=0.25,
        stride=0.25,
    ),
    system=ForecastConfig(),
    network=NetworkConfig(width=48, levels=4, blocks=1, latent=32),
    game=GameConfig(r1=0.1, r2=0.1, gamma_rule="fixed", ensemble_weight=1.0),
    optimizer=OptimizerConfig(),
    training=TrainingConfig(steps=2500, batch=64, log_every=25, checkpoint_every=500, diagnose_every=500),
    compare=CompareConfig(cases=512, members=32),
)

SMOKE = ExperimentConfig(
    data=DataConfig(
        points=(32,),
        extent=(tau,),
        dt=0.025,
        trajectories=(128, 32, 32),
        snapshots=3,
        spin_up=0.25,
        stride=0.25,
    ),
    system=ForecastConfig(parameter=(0.2, 0.5), outside=(0.8,), observations=4),
    network=NetworkConfig(width=8, levels=3, blocks=1, latent=8),
    game=DEMO.game,
    training=TrainingConfig(
        steps=20, batch=16, log_every=5, checkpoint_every=10, validation_samples=32, sample_chunk=64
    ),
    compare=CompareConfig(draws=60, resamples=20, cases=8, members=8, repeats=1),
)

# Observed by fixed sensors. The initial field alone is learned, by its longest waves, and the solver makes the
# forecast: what the equation knows is left to it. With few evaluations of the velocity the spread is too small.
SENSORS = replace(
    DEMO,
    data=replace(DEMO.data, trajectories=(131_072, 512, 512), chunk=1024),
    system=ForecastConfig(sensors=True, generates=INITIAL, terms=()),
    network=NetworkConfig(kind="waves", waves=8, width=128, blocks=3),
    game=GameConfig(objective="flow_matching", evaluations=12),
    optimizer=OptimizerConfig(generator_rate=1e-3, beta2=0.99, clip=1.0),
    training=TrainingConfig(
        steps=20_000, batch=256, steps_per_call=50, log_every=500, checkpoint_every=5000, diagnose_every=0
    ),
)

FULL = ExperimentConfig(
    data=DataConfig(
        points=(128,),
        extent=(tau,),
        dt=0.005,
        trajectories=(65536, 2048, 2048),
        snapshots=4,
        spin_up=0.25,
        stride=0.25,
    ),
    system=ForecastConfig(parameter=(0.05, 0.5), outside=(0.03, 0.8)),
    network=NetworkConfig(width=96, levels=5, blocks=2, latent=64),
    game=DEMO.game,
    optimizer=OptimizerConfig(generator_rate=1e-3, discriminator_rate=1e-3),
    training=TrainingConfig(steps=30000, batch=128, log_every=100, checkpoint_every=2000, diagnose_every=2000),
    compare=CompareConfig(cases=512, members=64),
)

EXPERIMENT = Experiment(
    name="burgers",
    task=Forecast(system, "viscosity"),
    presets={"smoke": SMOKE, "demo": DEMO, "sensors": SENSORS, "full": FULL},
)
