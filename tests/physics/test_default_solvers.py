"""Every system of the suite with its default solver and its recommended step."""

import inspect
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import physics
from physics import Grid, NoisePath, advance
from physics.system import StochasticSystem, System

LINE, BOX = Grid((32,), (2 * np.pi,)), Grid((16, 16), (2 * np.pi, 2 * np.pi))
GRIDS = {
    "AllenCahn": LINE,
    "Advection": LINE,
    "BarotropicVorticity": BOX,
    "Burgers": LINE,
    "Burgers2D": BOX,
    "CahnHilliard": LINE,
    "CosmicWeb": Grid((16, 16), (1.0, 1.0)),
    "DoubleWell": None,
    "EnergyBalance": None,
    "FisherKPP": Grid((64,), (40.0,)),
    "GrayScott": Grid((32, 32), (1.0, 1.0)),
    "Heat": LINE,
    "KortewegDeVries": Grid((64,), (40.0,)),
    "KuramotoSivashinsky": Grid((64,), (22.0,)),
    "Landscape": Grid((16, 16), (1.0, 1.0), ("periodic", "dirichlet")),
    "Lorenz63": None,
    "Lorenz96": None,
    "Lorenz96TwoScale": None,
    "LotkaVolterra": None,
    "NavierStokes2D": Grid((32, 32), (2 * np.pi, 2 * np.pi)),
    "NavierStokes3D": Grid((12, 12, 12), (2 * np.pi, 2 * np.pi, 2 * np.pi)),
    "NonlinearSchroedinger": LINE,
    "OrnsteinUhlenbeck": None,
    "Pendulum": None,
    "ReplicatorMutator": None,
    "Robertson": None,
    "SIR": None,
    "SeismicWave": LINE,
    "ShallowWater": BOX,
    "SmokePlume": Grid((32, 48), (4.0, 6.0)),
    "StochasticNavierStokes2D": Grid((32, 32), (2 * np.pi, 2 * np.pi)),
    "SwiftHohenberg": Grid((64,), (16 * np.pi,)),
    "Wave": LINE,
}
# Arguments without a default.
EXTRA = {"SeismicWave": {"speed": 1.5 + 0.5 * np.cos(LINE.mesh()[0])}}


def test_every_system_that_moves_is_listed_here():
    public = {name: getattr(physics, name) for name in physics.__all__}
    systems = {name for name, cls in public.items() if inspect.isclass(cls) and issubclass(cls, System)}
    assert {name for name in systems if not inspect.isabstract(public[name])} == set(GRIDS)


@pytest.mark.slow
@pytest.mark.parametrize("name", GRIDS)
def test_the_default_solver_is_stable_at_the_recommended_step(name, key):
    # The Newton iteration of Robertson ends at 1e-8, which float32 does not reach.
    with jax.enable_x64(name == "Robertson"):
        grid = {} if GRIDS[name] is None else {"grid": GRIDS[name]}
        system = getattr(physics, name)(**grid, **EXTRA.get(name, {}))
        dt, u0 = system.recommended_dt, system.sample_initial(key)
        assert math.isfinite(dt) and dt > 0
        stochastic = isinstance(system, StochasticSystem)
        path = NoisePath(key) if stochastic else None
        early = advance(system, u0, dt, 16, noise=path)
        finer = advance(system, u0, dt / 2, 32, noise=path.halved() if stochastic else None)
        # A stochastic system is followed along one path, at the strong order of its solver.
        assert jnp.abs(early - finer).max() < (0.05 if stochastic else 0.01) * jnp.abs(finer).max()
        assert jnp.all(jnp.isfinite(advance(system, early, dt, 64, noise=path.after(16) if stochastic else None)))
