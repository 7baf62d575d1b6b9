"""What the files of all tasks say: facts of a system as text, the head of a file, and sizes of its presets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from experiments.errors import UserError

COARSE = ("Burgers2D", "CosmicWeb", "GrayScott")
"""Systems in the plane whose first fields are certified with half the points as well."""


@dataclass(frozen=True)
class Facts:
    """What a file says of a system: values that are certified, as text."""

    system: str
    module: str
    example: Any
    points: tuple[int, ...]
    extent: tuple[float, ...]
    dt: float
    spin_up: float
    stride: float

    @classmethod
    def of(cls, example: Any) -> Facts:
        """Return the facts of a system's example."""
        from physics import default_dataset

        spec = default_dataset(example)[1]
        dt = rounded(spec.dt or example.recommended_dt)
        stride = spec.stride if spec.stride is not None else 50 * dt
        # A chaotic system forgets its initial field; another one is looked at while it moves, within the time over
        # which its default data set is certified: that begins with the initial field.
        spin_up = (spec.spin_up or stride) if spec.spin_up is not None else 400 * dt
        kind = type(example)
        return cls(
            kind.__name__,
            "physics" if kind.__module__.partition(".")[0] == "physics" else kind.__module__,
            example,
            tuple(example.grid.shape),
            tuple(float(one) for one in example.grid.extent),
            dt,
            whole_steps(spin_up / dt, dt),
            whole_steps(stride / dt, dt),
        )

    def imports(self, *, grid: bool) -> str:
        """The lines that import the system."""
        if self.module == "physics":
            return f"    from physics import {'Grid, ' if grid else ''}{self.system}"
        own = f"    from {self.module} import {self.system}"
        return f"{own}\n    from physics import Grid" if grid else own

    def parameters(self) -> dict[str, float]:
        """The system's numbers by name."""
        found = {one.name: getattr(self.example, one.name, None) for one in fields(self.example)}
        return {
            name: float(value)
            for name, value in found.items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        }

    def initial_std(self) -> float:
        """The standard deviation of the example's own initial fields."""
        import jax

        return float(jax.vmap(self.example.sample_initial)(jax.random.split(jax.random.key(0), 64)).std())

    def network(self, width: int, latent: int, *, deepest: int = 5, dense: bool = False) -> str:
        """The networks: convolutional where there is a grid that can be halved, dense elsewhere and where asked for."""
        if (
            dense
            or not self.points
            or min(self.points) < 8
            or self.example.grid.periodic_axes != tuple(range(self.example.grid.ndim))
        ):
            return f'NetworkConfig(kind="mlp", width={4 * width}, blocks=2, latent={latent})'
        levels = 1
        while levels < deepest and all(size % 2**levels == 0 and size // 2**levels >= 4 for size in self.points):
            levels += 1
        return f"NetworkConfig(width={width}, levels={levels}, blocks=1, latent={latent})"


HEAD = '''"""{title}

    python -m experiments run {name}.py --preset smoke    # everything once, in seconds to minutes
    python -m experiments run {name}.py                   # a first generator
    python -m experiments run {name}.py --help            # every setting

Values are those with which the system's example is certified: change them, and the run says whether its data hold.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from experiments.config import CompareConfig, DataConfig, ExperimentConfig
from experiments.experiment import Experiment
{imports}
from gan.config import {settings}


{system}


# Fields of independent trajectories: how many for training, validation and test, and which moments of each.
DATA = DataConfig(
    points={points},
    extent={extent},
    dt={dt!r},  # time step of the solver
    trajectories=({train}, {validation}, {test}),
    snapshots={snapshots},  # fields kept of each trajectory
    spin_up={spin_up!r},  # solver time before the first of them
    stride={stride!r},  # solver time between them
)
'''


def on_a_grid(facts: Facts) -> str:
    """The function that makes the system with the example's parameters."""
    return (
        "def system(config: ExperimentConfig, points: Any = None) -> Any:\n"
        '    """Return the system on the configured grid, or on another one for cheaper solvers."""\n'
        f"{facts.imports(grid=True)}\n\n"
        f"    example = {facts.system}.example()  # its parameters: {in_words(facts.parameters())}\n"
        "    shape = points or config.data.points\n"
        "    return replace(example, grid=Grid(shape, config.data.extent, example.grid.boundary))"
    )


def at_a_value(facts: Facts, chosen: str) -> str:
    """The function that makes the system with a value of a parameter."""
    known = facts.parameters()
    if chosen not in known:
        raise UserError(
            f"--parameter {chosen}: {facts.system} has {in_words(known)}{'; choose one of these' if known else ''}."
        )
    return (
        "def system(config: ExperimentConfig, value: Any, points: Any = None) -> Any:\n"
        f'    """Return the system with a value of its {chosen}, on the configured grid or on another one."""\n'
        f"{facts.imports(grid=True)}\n\n"
        f"    example = {facts.system}.example()  # its parameters: {in_words(known)}\n"
        "    shape = config.data.points if points is None else (points,)\n"
        f"    return replace(example, grid=Grid(shape, config.data.extent), {chosen}=value)"
    )


def smoke_sizes(facts: Facts, large: bool) -> dict[str, Any]:
    """Sizes of the smoke preset of snapshots, which is to end within seconds, or a minute where fields are large.

    Large fields are few, and taken early: what they show is not what is asked of this preset. Each test needs 16.
    """
    if not large:
        return {
            "smoke_data": "trajectories=(128, 64, 256), snapshots=2",
            "smoke_network": facts.network(8, 8),
            "smoke_steps": 20,
            "smoke_batch": 16,
            "smoke_fields": 64,
            "smoke_refined": 32,
            "smoke_short": rounded(10 * facts.dt),
            "smoke_search": "",
        }
    dt = facts.dt
    earliest = ((10.0, facts.spin_up), (1.0, facts.stride))
    spin_up, stride = (whole_steps(min(count, one / dt), dt) for count, one in earliest)
    points = ""
    if facts.system in COARSE:
        points = f"points={tuple(size // 2 for size in facts.points)}, "
    return {
        "smoke_data": f"{points}trajectories=(8, 16, 32), snapshots=6, spin_up={spin_up!r}, stride={stride!r}, chunk=8",
        # A convolution in space takes a processor a second.
        "smoke_network": facts.network(8, 8, deepest=3, dense=len(facts.points) > 2),
        "smoke_steps": 10,
        "smoke_batch": 8,
        "smoke_fields": 16,
        "smoke_refined": 16,
        "smoke_short": rounded(2 * dt),
        "smoke_search": " search=False," if len(facts.points) > 2 else "",
    }


def data_values(facts: Facts, *, train: int, test: int, snapshots: int) -> dict[str, Any]:
    """What the section of the data says."""
    return {
        "points": facts.points,
        "extent": facts.extent,
        "dt": facts.dt,
        "train": train,
        "validation": 256,
        "test": test,
        "snapshots": snapshots,
        "spin_up": facts.spin_up,
        "stride": facts.stride,
        "settings": "GameConfig, NetworkConfig, TrainingConfig",
    }


def rounded(value: float) -> float:
    """Three digits, so that a file reads well."""
    return float(f"{value:.3g}")


def whole_steps(count: float, dt: float) -> float:
    """The time of a whole number of steps, without the digits that floats add."""
    return float(f"{max(1, round(count)) * dt:.9g}")


def in_words(values: Mapping[str, float]) -> str:
    """Say names with their numbers."""
    return ", ".join(f"{name} {value:g}" for name, value in values.items()) or "none"
