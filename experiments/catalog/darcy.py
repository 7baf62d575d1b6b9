r"""Posteriors of a permeability from a few noisy pressures, held against long tempered runs.

*System.* -div(a grad p) = f in a closed unit square with a source well and a sink well in opposite corners. The log
permeability log a is a Gaussian field of exponential covariance, cut off after its 16 largest Karhunen-Loeve functions
(Zhu and Zabaras 2018, J. Comput. Phys. 366, 415), whose coefficients are 16 independent standard normal numbers. The
joint law of permeability and pressure therefore needs no generator: the coefficients are drawn independently, and one
solve gives the pressure exactly.

*Task.* The pressure is observed with noise by 3 x 3 sensors. From these, draw the coefficients; the steady solver makes
the pressure, so that a sample costs one solve and obeys the equation exactly. The pressure is far from linear in the
coefficients, and so the posterior is not Gaussian. ``--system.observed magnitude`` loses the sign of the pressure.

*Method.* A dense residual network learns by flow matching the velocity that carries noise to coefficients, given the
observations (Lipman et al. 2023, arXiv:2210.02747).

*Comparison.* Log permeability and pressure against long runs of tempered sequential Monte Carlo. The rivals are its
shorter runs, preconditioned Crank-Nicolson, the ensemble smoother and the no-U-turn sampler, with looser tolerances and
on half the cells along each axis; the cheapest that is as good as the generator is searched.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from experiments.catalog import burgers_inverse
from experiments.config import CompareConfig, ExperimentConfig, PairsConfig
from experiments.experiment import Experiment
from experiments.tasks.steady_posterior import SteadyPosterior, SteadyPosteriorConfig

if TYPE_CHECKING:
    from physics.data.steady_samplers import LogNormalDarcy


def sampler(config: ExperimentConfig) -> LogNormalDarcy:
    """Return the flow between two wells in a closed box of log-normal permeability."""
    from physics import Grid, KarhunenLoeveField, LogNormalDarcy

    own = config.system
    assert isinstance(own, SteadyPosteriorConfig)
    grid = Grid(config.data.points, config.data.extent, "neumann")
    return LogNormalDarcy(KarhunenLoeveField(grid, own.terms, own.length, own.std))


FLOW = SteadyPosteriorConfig(observed="value", noise=0.005, particles=1024, moves=40)

# The error of this grid is 1.5% of the pressure in the median, and below 7% in 4096 pairs.
DEMO = replace(
    burgers_inverse.DEMO,
    data=PairsConfig(points=(16, 16), pairs=(131_072, 1024, 512), grid_error=0.1),
    system=FLOW,
    game=replace(burgers_inverse.DEMO.game, evaluations=8),
    compare=CompareConfig(cases=16, members=128),
)

SMOKE = replace(
    burgers_inverse.SMOKE,
    data=PairsConfig(points=(16, 16), pairs=(512, 64, 32), grid_error=0.1),
    system=SteadyPosteriorConfig(terms=4, length=1.0, sensors=2, observed="value", noise=0.02, particles=64, moves=10),
    compare=replace(burgers_inverse.SMOKE.compare, search=False),
)

FULL = replace(
    burgers_inverse.FULL,
    data=PairsConfig(points=(32, 32), pairs=(1_048_576, 4096, 2048), grid_error=0.03),
    system=replace(FLOW, terms=32, sensors=4),
)

EXPERIMENT = Experiment(
    name="darcy",
    task=SteadyPosterior(sampler),
    presets={"smoke": SMOKE, "demo": DEMO, "full": FULL},
)
