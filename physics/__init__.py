"""Equations, solvers, residuals and field statistics: the public names of the package, imported on first use.

``from physics import Grid, KuramotoSivashinsky, solve`` is the way in; the modules behind it are where
things are written, not where they are imported from. Names load lazily (PEP 562), so importing the package
costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

# A new public name is one line here: where it is written.
WRITTEN_IN = {
    "Grid": "physics.grid",
    "System": "physics.system",
    "SemilinearSystem": "physics.system",
    "StochasticSystem": "physics.system",
    "NoisePath": "physics.noise",
    "Symmetries": "physics.system",
    "Reflection": "physics.system",
    "Move": "physics.system",
    "with_parameters": "physics.system",
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
    "ShardedGrid": "physics.sharded_grid",
    "sharded": "physics.sharding",
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
    "UnwritableCacheError": "physics.data.cache",
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
    "InverseProblem": "physics.inference.inverse_problem",
    "PosteriorSample": "physics.inference.inverse_problem",
    "tempered_posterior": "physics.inference.tempering",
    "crank_nicolson": "physics.inference.crank_nicolson",
    "ensemble_smoother": "physics.inference.ensemble_smoother",
    "laplace_mixture": "physics.inference.laplace_mixture",
    "laplace_modes": "physics.inference.laplace_mixture",
    "nuts": "physics.inference.nuts",
}

__all__ = sorted(WRITTEN_IN)

# The same names for type checkers and editors; tests/test_packaging.py compares the two.
if TYPE_CHECKING:
    from physics.data.cache import DiskFullError as DiskFullError
    from physics.data.cache import UnwritableCacheError as UnwritableCacheError
    from physics.data.certificate import CertificateRefusedError as CertificateRefusedError
    from physics.data.certificate import Limits as Limits
    from physics.data.dataset import Dataset as Dataset
    from physics.data.dataset import DatasetSpec as DatasetSpec
    from physics.data.dataset import open_dataset as open_dataset
    from physics.data.default_datasets import default_dataset as default_dataset
    from physics.data.generation import dataset_key as dataset_key
    from physics.data.generation import generate as generate
    from physics.data.samplers import Draw as Draw
    from physics.data.samplers import FixedSystem as FixedSystem
    from physics.data.samplers import LogUniform as LogUniform
    from physics.data.samplers import Sampler as Sampler
    from physics.data.samplers import Uniform as Uniform
    from physics.data.samplers import VaryingParameters as VaryingParameters
    from physics.data.steady_data import SteadyData as SteadyData
    from physics.data.steady_data import SteadyLimits as SteadyLimits
    from physics.data.steady_data import SteadySampler as SteadySampler
    from physics.data.steady_data import generate_steady as generate_steady
    from physics.data.steady_samplers import LogNormalDarcy as LogNormalDarcy
    from physics.data.steady_samplers import RandomSource as RandomSource
    from physics.data.steady_samplers import default_steady_data as default_steady_data
    from physics.grid import Grid as Grid
    from physics.inference.crank_nicolson import crank_nicolson as crank_nicolson
    from physics.inference.ensemble_smoother import ensemble_smoother as ensemble_smoother
    from physics.inference.inverse_problem import InverseProblem as InverseProblem
    from physics.inference.inverse_problem import PosteriorSample as PosteriorSample
    from physics.inference.laplace_mixture import laplace_mixture as laplace_mixture
    from physics.inference.laplace_mixture import laplace_modes as laplace_modes
    from physics.inference.nuts import nuts as nuts
    from physics.inference.tempering import tempered_posterior as tempered_posterior
    from physics.integrators.erk43 import ERK43 as ERK43
    from physics.integrators.etd53 import ETD53 as ETD53
    from physics.integrators.etdrk1 import ETDRK1 as ETDRK1
    from physics.integrators.etdrk2 import ETDRK2 as ETDRK2
    from physics.integrators.etdrk3 import ETDRK3 as ETDRK3
    from physics.integrators.etdrk4 import ETDRK4 as ETDRK4
    from physics.integrators.exponential import SemilinearTerm as SemilinearTerm
    from physics.integrators.ifrk4 import IFRK4 as IFRK4
    from physics.karhunen_loeve import KarhunenLoeveField as KarhunenLoeveField
    from physics.lyapunov import leading_lyapunov_exponent as leading_lyapunov_exponent
    from physics.noise import NoisePath as NoisePath
    from physics.normalization import normalized as normalized
    from physics.random_fields import BandLimitedField as BandLimitedField
    from physics.random_fields import GaussianField as GaussianField
    from physics.random_fields import RandomBumps as RandomBumps
    from physics.residual_reading import ResidualReading as ResidualReading
    from physics.residual_reading import read_residual as read_residual
    from physics.residuals import defect as defect
    from physics.residuals import integral_residual as integral_residual
    from physics.residuals import residual as residual
    from physics.resolution import UnresolvedFieldWarning as UnresolvedFieldWarning
    from physics.sharded_grid import ShardedGrid as ShardedGrid
    from physics.sharding import sharded as sharded
    from physics.solving.adjoint_plan import AdjointPlan as AdjointPlan
    from physics.solving.adjoint_plan import plan_adjoint as plan_adjoint
    from physics.solving.evolution import advance as advance
    from physics.solving.evolution import solve as solve
    from physics.solving.member_groups import MemberGroups as MemberGroups
    from physics.solving.member_groups import group_members as group_members
    from physics.solving.member_groups import solve_batch as solve_batch
    from physics.spectral import derivative as derivative
    from physics.spectral import resample as resample
    from physics.spectral import to_physical as to_physical
    from physics.spectral import to_spectral as to_spectral
    from physics.statistics import amplitude_change as amplitude_change
    from physics.statistics import autocorrelation as autocorrelation
    from physics.statistics import budget_closure as budget_closure
    from physics.statistics import decorrelation_time as decorrelation_time
    from physics.statistics import effective_sample_size as effective_sample_size
    from physics.statistics import energy_spectrum as energy_spectrum
    from physics.statistics import settling_time as settling_time
    from physics.statistics import space_time_average as space_time_average
    from physics.statistics import steady_share as steady_share
    from physics.steady import SteadySystem as SteadySystem
    from physics.steady import count_iterations as count_iterations
    from physics.steady import resolve_error as resolve_error
    from physics.steady import solve_steady as solve_steady
    from physics.steady import steady_residual as steady_residual
    from physics.system import Move as Move
    from physics.system import Reflection as Reflection
    from physics.system import SemilinearSystem as SemilinearSystem
    from physics.system import StochasticSystem as StochasticSystem
    from physics.system import Symmetries as Symmetries
    from physics.system import System as System
    from physics.system import with_parameters as with_parameters
    from physics.systems.advection import Advection as Advection
    from physics.systems.allen_cahn import AllenCahn as AllenCahn
    from physics.systems.barotropic import BarotropicVorticity as BarotropicVorticity
    from physics.systems.boussinesq import SmokePlume as SmokePlume
    from physics.systems.burgers import Burgers as Burgers
    from physics.systems.burgers_2d import Burgers2D as Burgers2D
    from physics.systems.cahn_hilliard import CahnHilliard as CahnHilliard
    from physics.systems.cosmic_web import CosmicWeb as CosmicWeb
    from physics.systems.darcy import Darcy as Darcy
    from physics.systems.darcy import corner_wells as corner_wells
    from physics.systems.double_well import DoubleWell as DoubleWell
    from physics.systems.energy_balance import EnergyBalance as EnergyBalance
    from physics.systems.fisher_kpp import FisherKPP as FisherKPP
    from physics.systems.gray_scott import GrayScott as GrayScott
    from physics.systems.heat import Heat as Heat
    from physics.systems.helmholtz import Helmholtz as Helmholtz
    from physics.systems.korteweg_de_vries import KortewegDeVries as KortewegDeVries
    from physics.systems.kuramoto_sivashinsky import KuramotoSivashinsky as KuramotoSivashinsky
    from physics.systems.landscape import Landscape as Landscape
    from physics.systems.lorenz63 import Lorenz63 as Lorenz63
    from physics.systems.lorenz96 import Lorenz96 as Lorenz96
    from physics.systems.lorenz96_two_scale import Lorenz96TwoScale as Lorenz96TwoScale
    from physics.systems.lotka_volterra import LotkaVolterra as LotkaVolterra
    from physics.systems.navier_stokes import NavierStokes2D as NavierStokes2D
    from physics.systems.navier_stokes_3d import NavierStokes3D as NavierStokes3D
    from physics.systems.ornstein_uhlenbeck import OrnsteinUhlenbeck as OrnsteinUhlenbeck
    from physics.systems.pendulum import Pendulum as Pendulum
    from physics.systems.poisson import Poisson as Poisson
    from physics.systems.replicator_mutator import ReplicatorMutator as ReplicatorMutator
    from physics.systems.robertson import Robertson as Robertson
    from physics.systems.schroedinger import NonlinearSchroedinger as NonlinearSchroedinger
    from physics.systems.seismic import SeismicWave as SeismicWave
    from physics.systems.shallow_water import ShallowWater as ShallowWater
    from physics.systems.sir import SIR as SIR
    from physics.systems.stochastic_navier_stokes import StochasticNavierStokes2D as StochasticNavierStokes2D
    from physics.systems.swift_hohenberg import SwiftHohenberg as SwiftHohenberg
    from physics.systems.wave import Wave as Wave
else:

    def __getattr__(name: str) -> Any:
        """Import a public name where it is first used."""
        if name not in WRITTEN_IN:
            raise AttributeError(f"module 'physics' has no attribute {name!r}")
        return getattr(import_module(WRITTEN_IN[name]), name)


def __dir__() -> list[str]:
    return __all__
