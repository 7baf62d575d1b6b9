"""What can be set of an experiment: sections of values, frozen, checked, each with its help, unit and limits.

``ExperimentConfig`` joins this wing's sections (data, system, compare) with those of ``gan.config`` (network,
game, optimizer, solver_layer, training). A preset of an experiment is one instance; ``--section.key value`` changes
single values of it; ``config.yaml`` in the run folder keeps the outcome. Nothing here imports jax, so that
help is quick.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from experiments.errors import UserError
from experiments.options import from_mapping, override, to_mapping
from gan.config import GameConfig, NetworkConfig, OptimizerConfig, SolverLayerConfig, TrainingConfig
from gan.settings import check, setting

LARGEST_SEED = 2**32 - 1
MOST_SAMPLES = 2**31 - 1


def _check_axes(points: tuple[int, ...], extent: tuple[float, ...]) -> None:
    if len(points) != len(extent):
        raise UserError(
            f"points has {len(points)} axes and extent has {len(extent)}; give as many of one as of the other."
        )


@dataclass(frozen=True)
class DataConfig:
    """The training fields: how the solver makes them and how they are split, by trajectory."""

    points: tuple[int, ...] = setting((64,), "grid points along each axis", minimum=4, maximum=2**20)
    extent: tuple[float, ...] = setting((22.0,), "length of the periodic box along each axis", "length", above=0)
    dt: float = setting(0.1, "time step of the solver", "time", above=0)
    trajectories: tuple[int, int, int] = setting(
        (256, 32, 64), "independent trajectories for training, validation and test", minimum=1, maximum=MOST_SAMPLES
    )
    snapshots: int = setting(64, "fields kept of each trajectory", minimum=1, maximum=10**6)
    spin_up: float | None = setting(
        None,
        "solver time before the first field is kept; none: from the measured decorrelation",
        "time",
        minimum=0,
    )
    stride: float | None = setting(
        None, "solver time between kept fields; none: from the measured decorrelation", "time", above=0
    )
    chunk: int = setting(64, "trajectories solved at once; bounds the memory, not the result", minimum=1)
    seed: int = setting(
        0, "seed of the data alone, so that runs with other --seed share them", minimum=0, maximum=LARGEST_SEED
    )

    store: str | None = setting(
        None,
        "zarr store in which they are made and kept, a folder or a URL such as gs://BUCKET/data; none: the cache alone",
    )

    def __post_init__(self) -> None:
        check(self)
        _check_axes(self.points, self.extent)


@dataclass(frozen=True)
class SamplesConfig:
    """Training samples of a distribution that is sampled exactly, or of a file: no solver makes them."""

    samples: tuple[int, int, int] = setting(
        (2**19, 20_000, 8192), "independent samples for training, validation and test", minimum=1, maximum=MOST_SAMPLES
    )
    seed: int = setting(
        0, "seed of the data alone, so that runs with other --seed share them", minimum=0, maximum=LARGEST_SEED
    )

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class PairsConfig:
    """Training pairs of a parameter field and the steady field that a solver makes of it."""

    points: tuple[int, ...] = setting((16, 16), "grid cells along each axis", minimum=4, maximum=512)
    extent: tuple[float, ...] = setting((1.0, 1.0), "length of the box along each axis", "length", above=0)
    pairs: tuple[int, int, int] = setting(
        (2**16, 1024, 512), "independent pairs for training, validation and test", minimum=1, maximum=10**8
    )
    grid_error: float = setting(
        0.01, "largest difference from the solution on twice the cells of every axis", "relative", above=0
    )
    seed: int = setting(
        0, "seed of the data alone, so that runs with other --seed share them", minimum=0, maximum=LARGEST_SEED
    )

    def __post_init__(self) -> None:
        check(self)
        _check_axes(self.points, self.extent)


@dataclass(frozen=True)
class SystemConfig:
    """Values that belong to one system or task. An experiment with such values subclasses this in its own
    file."""

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class CompareConfig:
    """The comparison with the solver: sizes of the sets, of the null distribution and of the refinement
    study."""

    fields: int = setting(2048, "fields compared on each side, from independent trajectories", minimum=2, maximum=2**24)
    draws: int = setting(
        200, "draws of solver against solver for floor and null band of each distance", minimum=50, maximum=10**6
    )
    tested: int = setting(
        4096,
        "samples that the two-sample tests look at; as many again train their classifiers",
        minimum=16,
        maximum=2**24,
    )
    refined: int = setting(2048, "the same, after each solver time of the refinement", minimum=16, maximum=2**24)
    relabellings: int = setting(
        5000, "random relabellings of samples and solver fields in each test", minimum=100, maximum=10**7
    )
    resamples: int = setting(
        200, "resamplings of the cases for the interval of each score (forecast)", minimum=10, maximum=10**6
    )
    level: float = setting(
        0.05, "level of the joint test, and of the Holm-corrected test over all distances", above=0, below=0.5
    )
    refine: tuple[float, ...] = setting(
        (0.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0),
        "solver times after which refined samples are compared",
        "time",
        minimum=0,
    )
    separations: tuple[int, ...] = setting((1, 4, 16), "separations of the increments", "grid points", minimum=1)
    quantiles: tuple[float, ...] = setting(
        (0.001, 0.01, 0.99, 0.999),
        "extreme quantiles of the values that are compared (none: no such distance)",
        above=0,
        below=1,
    )
    projections: int = setting(128, "directions of the sliced Wasserstein distance", minimum=1, maximum=10**6)
    resolved: float = setting(
        1e-6, "modes are compared whose energy is above this share of the spectrum's peak", minimum=0, below=1
    )
    members: int = setting(32, "ensemble members for each condition (forecast)", minimum=2, maximum=10**5)
    cases: int = setting(64, "conditions compared (forecast)", minimum=2, maximum=10**6)
    repeats: int = setting(5, "timings of each cost, of which the median counts", minimum=1, maximum=10**4)
    baselines: bool = setting(
        False,
        "train baselines on the same data too: autoencoders, flow matching, regression where there is a condition",
    )
    search: bool = setting(True, "search the cheapest solver setting that reaches the generator's error")
    seed: int = setting(0, "seed of the draws and resamplings", minimum=0, maximum=LARGEST_SEED)

    def __post_init__(self) -> None:
        check(self)
        if list(self.refine) != sorted(set(self.refine)):
            raise UserError("refine must be increasing times, each once, for example 0,1,2,4.")


@dataclass(frozen=True)
class ExperimentConfig:
    """Everything that determines a run; two runs with equal configurations do the same."""

    # A DataConfig where a solver makes trajectories, else a section of the task's own, as PairsConfig or SamplesConfig:
    # no one type has the settings of all.
    data: Any = field(default_factory=DataConfig, metadata={"help": "the training fields"})
    system: SystemConfig = field(default_factory=SystemConfig, metadata={"help": "values that belong to this system"})
    network: NetworkConfig = field(default_factory=NetworkConfig, metadata={"help": "generator and discriminator"})
    game: GameConfig = field(default_factory=GameConfig, metadata={"help": "losses, regularisers and penalties"})
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig, metadata={"help": "step sizes and averages"})
    solver_layer: SolverLayerConfig = field(
        default_factory=SolverLayerConfig, metadata={"help": "the solver as the generator's last layer"}
    )
    training: TrainingConfig = field(default_factory=TrainingConfig, metadata={"help": "length, batch, checkpoints"})
    compare: CompareConfig = field(default_factory=CompareConfig, metadata={"help": "generator against solver"})

    @property
    def seed(self) -> int:
        """Seed of the players, the latents and the batches (``training.seed``); data and comparison have
        their own."""
        return self.training.seed

    def with_overrides(self, overrides: Mapping[str, str]) -> ExperimentConfig:
        """Return a copy with ``{"section.key": "text"}`` applied; a ``UserError`` names what cannot be."""
        return override(self, overrides)

    def as_mapping(self) -> dict[str, object]:
        """Return nested plain dicts and lists, as ``config.yaml`` keeps them."""
        return to_mapping(self)

    def updated_from(self, mapping: Mapping[str, object]) -> ExperimentConfig:
        """Read ``as_mapping``'s outcome back over this template; an unknown key is an error naming the
        nearest."""
        return from_mapping(self, mapping)
