"""Equations, solvers, residuals and field statistics: the public names of the package, imported on first use.

``from physics import Grid, KuramotoSivashinsky, solve`` is the way in; the modules behind it are where
things are written, not where they are imported from. Names load lazily (PEP 562), so importing the package
costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

# A new public name is one line here: where it is written.
_WRITTEN_IN = {
    "Grid": "physics.grid",
    "System": "physics.system",
    "SemilinearSystem": "physics.system",
    "StochasticSystem": "physics.system",
    "NoisePath": "physics.noise",
    "Symmetries": "physics.system",
    "Reflection": "physics.system",
    "Advection": "physics.systems.advection",
    "AllenCahn": "physics.systems.allen_cahn",
    "Burgers": "physics.systems.burgers",
    "Burgers2D": "physics.systems.burgers_2d",
    "CahnHilliard": "physics.systems.cahn_hilliard",
    "FisherKPP": "physics.systems.fisher_kpp",
    "GrayScott": "physics.systems.gray_scott",
    "Heat": "physics.systems.heat",
    "KuramotoSivashinsky": "physics.systems.kuramoto_sivashinsky",
    "KortewegDeVries": "physics.systems.korteweg_de_vries",
    "NonlinearSchroedinger": "physics.systems.schroedinger",
    "SeismicWave": "physics.systems.seismic",
    "SwiftHohenberg": "physics.systems.swift_hohenberg",
    "Wave": "physics.systems.wave",
    "NavierStokes2D": "physics.systems.navier_stokes",
    "NavierStokes3D": "physics.systems.navier_stokes_3d",
    "StochasticNavierStokes2D": "physics.systems.stochastic_navier_stokes",
    "Landscape": "physics.systems.landscape",
    "CosmicWeb": "physics.systems.cosmic_web",
    "SmokePlume": "physics.systems.boussinesq",
    "ShallowWater": "physics.systems.shallow_water",
    "BarotropicVorticity": "physics.systems.barotropic",
    "Poisson": "physics.systems.poisson",
    "Helmholtz": "physics.systems.helmholtz",
    "Darcy": "physics.systems.darcy",
    "corner_wells": "physics.systems.darcy",
    "Lorenz63": "physics.systems.lorenz63",
    "ERK43": "physics.integrators.erk43",
    "ETD53": "physics.integrators.etd53",
    "ETDRK1": "physics.integrators.etdrk1",
    "Lorenz96": "physics.systems.lorenz96",
    "Lorenz96TwoScale": "physics.systems.lorenz96_two_scale",
    "Pendulum": "physics.systems.pendulum",
    "LotkaVolterra": "physics.systems.lotka_volterra",
    "ReplicatorMutator": "physics.systems.replicator_mutator",
    "SIR": "physics.systems.sir",
    "Robertson": "physics.systems.robertson",
    "EnergyBalance": "physics.systems.energy_balance",
    "OrnsteinUhlenbeck": "physics.systems.ornstein_uhlenbeck",
    "DoubleWell": "physics.systems.double_well",
    "ETDRK2": "physics.integrators.etdrk2",
    "ETDRK3": "physics.integrators.etdrk3",
    "ETDRK4": "physics.integrators.etdrk4",
    "IFRK4": "physics.integrators.ifrk4",
    "SemilinearTerm": "physics.integrators.exponential",
    "AdjointPlan": "physics.solving.adjoint_plan",
    "plan_adjoint": "physics.solving.adjoint_plan",
    "advance": "physics.solving.evolution",
    "solve": "physics.solving.evolution",
    "SteadySystem": "physics.steady",
    "solve_steady": "physics.steady",
    "count_iterations": "physics.steady",
    "steady_residual": "physics.steady",
    "resolve_error": "physics.steady",
    "generate_steady": "physics.data.steady_data",
    "LogNormalDarcy": "physics.data.steady_samplers",
    "RandomSource": "physics.data.steady_samplers",
    "default_steady_data": "physics.data.steady_samplers",
    "SteadyData": "physics.data.steady_data",
    "SteadyLimits": "physics.data.steady_data",
    "SteadySampler": "physics.data.steady_data",
    "group_members": "physics.solving.member_groups",
    "MemberGroups": "physics.solving.member_groups",
    "solve_batch": "physics.solving.member_groups",
    "defect": "physics.residuals",
    "residual": "physics.residuals",
    "KarhunenLoeveField": "physics.karhunen_loeve",
    "integral_residual": "physics.residuals",
    "ResidualReading": "physics.residual_reading",
    "read_residual": "physics.residual_reading",
    "normalized": "physics.normalization",
    "GaussianField": "physics.random_fields",
    "BandLimitedField": "physics.random_fields",
    "RandomBumps": "physics.random_fields",
    "to_spectral": "physics.spectral",
    "to_physical": "physics.spectral",
    "derivative": "physics.spectral",
    "resample": "physics.spectral",
    "Dataset": "physics.data.dataset",
    "DatasetSpec": "physics.data.dataset",
    "open_dataset": "physics.data.dataset",
    "generate": "physics.data.generation",
    "dataset_key": "physics.data.generation",
    "Limits": "physics.data.certificate",
    "default_dataset": "physics.data.default_datasets",
    "UnresolvedFieldWarning": "physics.resolution",
    "CertificateRefusedError": "physics.data.certificate",
    "Draw": "physics.data.samplers",
    "FixedSystem": "physics.data.samplers",
    "LogUniform": "physics.data.samplers",
    "Sampler": "physics.data.samplers",
    "Uniform": "physics.data.samplers",
    "VaryingParameters": "physics.data.samplers",
    "DiskFullError": "physics.data.cache",
    "amplitude_change": "physics.statistics",
    "autocorrelation": "physics.statistics",
    "budget_closure": "physics.statistics",
    "decorrelation_time": "physics.statistics",
    "effective_sample_size": "physics.statistics",
    "energy_spectrum": "physics.statistics",
    "settling_time": "physics.statistics",
    "space_time_average": "physics.statistics",
    "steady_share": "physics.statistics",
    "leading_lyapunov_exponent": "physics.lyapunov",
}

__all__ = sorted(_WRITTEN_IN)

if TYPE_CHECKING:
    from physics.grid import Grid as Grid
    from physics.solving.evolution import advance as advance
    from physics.solving.evolution import solve as solve


def __getattr__(name: str) -> Any:
    if name not in _WRITTEN_IN:
        raise AttributeError(f"module 'physics' has no attribute {name!r}")
    return getattr(import_module(_WRITTEN_IN[name]), name)


def __dir__() -> list[str]:
    return __all__
