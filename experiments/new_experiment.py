"""A file to begin with: an experiment of one's own for any system of ``physics``, with values that work.

``python -m experiments new NAME --system KuramotoSivashinsky --task snapshot`` writes it. Everything in it is meant to
be changed: the system may be one's own class (docs/physics.md), the sizes are those of a first try.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from experiments.catalog import names
from experiments.errors import UserError
from experiments.experiment_file import is_usable
from experiments.files import write_text
from gan.settings import nearest

GROUP = "solvergan.systems"
"""Entry points by which installed packages offer systems."""


def systems() -> dict[str, type]:
    """Return every system that moves, by name: those of ``physics``, and those that installed packages offer.

    A package offers a class by an entry point of the group ``solvergan.systems``.

    Raises:
        UserError: what a package offers cannot be imported, or is no `physics.System`.
    """
    import physics

    found = {name: getattr(physics, name) for name in physics.__all__ if name[0].isupper()}
    own = {
        name: one
        for name, one in found.items()
        if inspect.isclass(one) and issubclass(one, physics.System) and not inspect.isabstract(one)
    }
    for offer in entry_points(group=GROUP):
        try:
            one = offer.load()
        except (ImportError, AttributeError) as error:
            raise UserError(f"{offer.value}, which an installed package offers as a system, fails: {error}") from error
        if not (inspect.isclass(one) and issubclass(one, physics.System)):
            raise UserError(f"{offer.value}, which an installed package offers as a system, is no physics.System.")
        own.setdefault(offer.name, one)
    return own


def write(path: Path, system: str, task: str, parameter: str | None = None) -> None:
    """Write the file of a new experiment, which is named as the file is.

    Raises:
        UserError: as `source`; or the file exists, or its name is none for an experiment.
    """
    if path.exists():
        raise UserError(f"{path} exists; choose another name, or remove it.")
    text = source(path.stem, system, task, parameter)
    if path.stem in names() or not is_usable(path.stem):
        raise UserError(
            f"{path.stem!r} is no name for a new experiment: begin with a letter, go on with letters, digits, _ or -, "
            "and take none that `list` shows."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text)


def source(name: str, system: str, task: str, parameter: str | None = None) -> str:
    """Return the text of a file that defines an experiment.

    Args:
        name: of the experiment.
        system: name of a system of ``physics`` that moves.
        task: one of `TASKS`.
        parameter: of the system, for tasks that vary one; its first number where left out.

    Raises:
        UserError: an unknown system or task, or a task that makes no sense for the system.
    """
    known = systems()
    if system not in known:
        hint = nearest(system, known) or f"; choose from {', '.join(known)}."
        raise UserError(f"--system {system!r} is unknown{hint}")
    if task not in TASKS:
        hint = nearest(task, TASKS) or f"; choose from {', '.join(TASKS)}."
        raise UserError(f"--task {task!r} is unknown{hint}")
    example: Any = known[system].example()  # type: ignore[attr-defined]
    return TASKS[task](name, _Facts.of(example), parameter)


@dataclass(frozen=True)
class _Facts:
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
    def of(cls, example: Any) -> _Facts:
        from physics import default_dataset

        spec = default_dataset(example)[1]
        dt = _rounded(spec.dt or example.recommended_dt)
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
            _steps(spin_up / dt, dt),
            _steps(stride / dt, dt),
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


_HEAD = '''"""{title}

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

_SNAPSHOT = """
DEMO = ExperimentConfig(
    data=DATA,
    network={network},
    game=GameConfig(r1=0.002, r2=0.002),  # gradient penalties of the discriminator, on data and on samples
    training=TrainingConfig(steps=3000, batch=64, log_every=25, checkpoint_every=500, diagnose_every=1000),
    compare=CompareConfig(
        fields=1024, tested=1024, refined=512, refine=(0.0, {short!r}, {long!r}), separations={separations}
    ),
)

SMOKE = replace(
    DEMO,
    data=replace(DATA, {smoke_data}),
    network={smoke_network},
    training=TrainingConfig(
        steps={smoke_steps}, batch={smoke_batch}, log_every=5, checkpoint_every=10,
        validation_samples=16, sample_chunk=64,
    ),
    compare=CompareConfig(
        fields={smoke_fields}, draws=180, tested={smoke_fields}, refined={smoke_refined}, relabellings=200,
        refine=(0.0, {smoke_short!r}), separations={separations}, repeats=1,{smoke_search}
    ),
)  # fmt: skip

EXPERIMENT = Experiment(name="{name}", task=Snapshot(system), presets={{"smoke": SMOKE, "demo": DEMO}})
"""


def _snapshot(name: str, facts: _Facts, parameter: str | None) -> str:
    """Single fields of the system, at random times after the spin-up."""
    if parameter is not None:
        raise UserError(f"--parameter {parameter}: the task snapshot varies none; leave it out.")
    if facts.points:
        system = _on_a_grid(facts)
    else:
        system = (
            "def system(config: ExperimentConfig, points: Any = None) -> Any:\n"
            '    """Return the system, which is a point without a grid."""\n'
            f"{facts.imports(grid=False)}\n\n"
            f"    return {facts.system}.example()  # its parameters: {_numbers(facts.parameters())}"
        )
    large = len(facts.points) > 1
    reach = max(facts.points, default=4) // 4
    separations = tuple(one for one in (1, 4, 16) if one < min(facts.points, default=0) and one <= reach)
    values = {
        "name": name,
        "title": f"Snapshots of {facts.system}: single fields, drawn by a generator and held against the solver.",
        "imports": "from experiments.tasks.snapshot import Snapshot",
        "system": system,
        **_data(facts, train=1024 if large else 4096, test=2048, snapshots=4),
        "network": facts.network(32, 32),
        "short": _rounded(10 * facts.dt),
        "long": _rounded(100 * facts.dt),
        "separations": separations,
        **_smoke(facts, large),
    }
    return (_HEAD + _SNAPSHOT).format(**values)


def _on_a_grid(facts: _Facts) -> str:
    """The function that makes the system with the example's parameters."""
    return (
        "def system(config: ExperimentConfig, points: Any = None) -> Any:\n"
        '    """Return the system on the configured grid, or on another one for cheaper solvers."""\n'
        f"{facts.imports(grid=True)}\n\n"
        f"    example = {facts.system}.example()  # its parameters: {_numbers(facts.parameters())}\n"
        "    shape = points or config.data.points\n"
        "    return replace(example, grid=Grid(shape, config.data.extent, example.grid.boundary))"
    )


def _at_a_value(facts: _Facts, chosen: str) -> str:
    """The function that makes the system with a value of a parameter."""
    known = facts.parameters()
    if chosen not in known:
        raise UserError(
            f"--parameter {chosen}: {facts.system} has {_numbers(known)}{'; choose one of these' if known else ''}."
        )
    return (
        "def system(config: ExperimentConfig, value: Any, points: Any = None) -> Any:\n"
        f'    """Return the system with a value of its {chosen}, on the configured grid or on another one."""\n'
        f"{facts.imports(grid=True)}\n\n"
        f"    example = {facts.system}.example()  # its parameters: {_numbers(known)}\n"
        "    shape = config.data.points if points is None else (points,)\n"
        f"    return replace(example, grid=Grid(shape, config.data.extent), {chosen}=value)"
    )


def _smoke(facts: _Facts, large: bool) -> dict[str, Any]:
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
            "smoke_short": _rounded(10 * facts.dt),
            "smoke_search": "",
        }
    dt = facts.dt
    spin_up, stride = (_steps(min(count, one / dt), dt) for count, one in ((10.0, facts.spin_up), (1.0, facts.stride)))
    points = ""
    if facts.system in _COARSE:
        points = f"points={tuple(size // 2 for size in facts.points)}, "
    return {
        "smoke_data": f"{points}trajectories=(8, 16, 32), snapshots=6, spin_up={spin_up!r}, stride={stride!r}, chunk=8",
        # A convolution in space takes a processor a second.
        "smoke_network": facts.network(8, 8, deepest=3, dense=len(facts.points) > 2),
        "smoke_steps": 10,
        "smoke_batch": 8,
        "smoke_fields": 16,
        "smoke_refined": 16,
        "smoke_short": _rounded(2 * dt),
        "smoke_search": " search=False," if len(facts.points) > 2 else "",
    }


_FORECAST = """
DEMO = ExperimentConfig(
    data=DATA,
    # Over which range of the parameter, and the random initial field that is observed at a few points.
    system=ForecastConfig(
        parameter=({low!r}, {high!r}), outside=({outside!r},),
        amplitude={amplitude!r}, length={length!r}, noise={noise!r},
    ),  # fmt: skip
    network={network},
    game=GameConfig(r1=0.002, r2=0.002, ensemble_weight=1.0),  # gradient penalties; ensemble score
    training=TrainingConfig(steps=2500, batch=64, log_every=25, checkpoint_every=500, diagnose_every=500),
    compare=CompareConfig(cases=128, members=32),
)

SMOKE = replace(
    DEMO,
    data=replace(DATA, trajectories=(128, 32, 32), snapshots=2),
    network={smoke_network},
    training=TrainingConfig(
        steps=20, batch=16, log_every=5, checkpoint_every=10, validation_samples=32, sample_chunk=64
    ),
    compare=CompareConfig(draws=60, resamples=20, cases=8, members=8, repeats=1),
)

EXPERIMENT = Experiment(name="{name}", task=Forecast(system, "{parameter}"), presets={{"smoke": SMOKE, "demo": DEMO}})
"""


def _forecast(name: str, facts: _Facts, parameter: str | None) -> str:
    """Later fields, given a few noisy points of the initial field and a parameter."""
    if facts.system not in FORECASTS:
        raise UserError(
            f"--task forecast: the example of {facts.system} does not start from any Gaussian field on a line; choose "
            f"from {', '.join(FORECASTS)}."
        )
    known = facts.parameters()
    chosen = parameter or FORECASTS[facts.system]
    system = _at_a_value(facts, chosen)
    amplitude = float(f"{facts.initial_std():.1g}")
    values = {
        **_data(facts, train=4096, test=512, snapshots=4),
        "name": name,
        "title": f"Forecasts of {facts.system}: later fields from a few noisy points, beside the exact posterior.",
        "imports": "from experiments.tasks.forecast import Forecast, ForecastConfig",
        "system": system,
        "spin_up": facts.stride,
        # From the example's value up, since lower ones make sharper fields than the example's grid resolves.
        "low": _rounded(known[chosen]),
        "high": _rounded(2.0 * known[chosen]),
        "outside": _rounded(2.5 * known[chosen]),
        # The initial field is as strong as the example's own, and as smooth as the grid needs it to be.
        "amplitude": amplitude,
        "noise": _rounded(0.1 * amplitude),
        "length": _rounded(max(0.8, 3 * facts.extent[0] / facts.points[0])),
        "network": facts.network(32, 32),
        "smoke_network": facts.network(8, 8),
        "parameter": chosen,
    }
    return (_HEAD + _FORECAST).format(**values)


_POSTERIOR = """
DEMO = ExperimentConfig(
    data=DATA,
    # What is unknown (the longest waves of the initial field{and_parameter}), and what is observed of the kept fields.
    system=PosteriorConfig(
        {parameter_range}waves={waves}, amplitude={amplitude!r}, length={length!r},
        observed="magnitude", observations=8, times=(0,), noise={noise!r},
    ),  # fmt: skip
    network=NetworkConfig(kind="residual_mlp", width=128, blocks=3, latent=32),
    game=GameConfig(objective="flow_matching", evaluations=6),
    optimizer=OptimizerConfig(generator_rate=1e-3, beta1=0.9, beta2=0.99, clip=1.0, average_half_life=300_000.0),
    solver_layer=SolverLayerConfig(tau=0.0),
    training=TrainingConfig(
        steps=30_000, batch=256, steps_per_call=50, log_every=500, checkpoint_every=2500, diagnose_every=10_000,
        sample_chunk=512,
    ),
    compare=CompareConfig(cases=32, members=128),
)  # fmt: skip

SMOKE = replace(
    DEMO,
    data=replace(DATA, trajectories=(256, 32, 16)),
    system=replace(DEMO.system, waves=3, particles=64, moves=10),
    network=replace(DEMO.network, width=16, blocks=1),
    training=TrainingConfig(
        steps=20, batch=16, log_every=5, checkpoint_every=10, validation_samples=32, sample_chunk=64
    ),
    compare=CompareConfig(draws=60, resamples=20, cases=4, members=16, repeats=1, search=False),
)

EXPERIMENT = Experiment(name="{name}", task=Posterior(system{named}), presets={{"smoke": SMOKE, "demo": DEMO}})
"""


def _posterior(name: str, facts: _Facts, parameter: str | None) -> str:
    """The initial field, and a parameter where the system has one, given noisy magnitudes of a later field."""
    if facts.system not in POSTERIORS:
        raise UserError(
            f"--task posterior: the example of {facts.system} does not start from any Gaussian field on a line; choose "
            f"from {', '.join(POSTERIORS)}."
        )
    chosen = parameter or POSTERIORS[facts.system]
    system = _at_a_value(facts, chosen) if chosen else _on_a_grid(facts)
    amplitude = float(f"{facts.initial_std():.1g}")
    known = facts.parameters()
    values = {
        **_data(facts, train=65_536, test=256, snapshots=1),
        "name": name,
        "title": f"Posteriors of {facts.system}: the initial field from magnitudes seen later.",
        "imports": "from experiments.tasks.posterior import Posterior, PosteriorConfig",
        "settings": "GameConfig, NetworkConfig, OptimizerConfig, SolverLayerConfig, TrainingConfig",
        "system": system,
        # The observed field comes early, so that it still tells of the initial one.
        "spin_up": _steps(min(40.0, facts.stride / facts.dt), facts.dt),
        "stride": facts.dt,
        "parameter_range": f"parameter=({_rounded(known[chosen])!r}, {_rounded(2.0 * known[chosen])!r}), "
        if chosen
        else "",
        "and_parameter": f" and the {chosen}" if chosen else "",
        "named": f', "{chosen}"' if chosen else "",
        "waves": min(8, facts.points[0] // 8),
        "amplitude": amplitude,
        "noise": _rounded(0.1 * amplitude),
        "length": _rounded(max(0.8, 3 * facts.extent[0] / facts.points[0])),
    }
    return (_HEAD + _POSTERIOR).format(**values)


def _data(facts: _Facts, *, train: int, test: int, snapshots: int) -> dict[str, Any]:
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


def _rounded(value: float) -> float:
    """Three digits, so that a file reads well."""
    return float(f"{value:.3g}")


def _steps(count: float, dt: float) -> float:
    """The time of a whole number of steps, without the digits that floats add."""
    return float(f"{max(1, round(count)) * dt:.9g}")


def _numbers(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in values.items()) or "none"


FORECASTS = {
    "Advection": "velocity",
    "AllenCahn": "interface_width",
    "Burgers": "viscosity",
    "CahnHilliard": "interface_width",
    "Heat": "diffusivity",
    "SwiftHohenberg": "control",
}
"""Systems on a line that may start from any Gaussian field, with the parameter that a forecast varies."""
POSTERIORS = {**FORECASTS, "KuramotoSivashinsky": ""}
"""The same for posteriors, with the parameter that is unknown beside the initial field; empty: none is."""
_COARSE = ("Burgers2D", "CosmicWeb", "GrayScott")
"""Systems in the plane whose first fields are certified with half the points as well."""
TASKS: dict[str, Callable[[str, _Facts, str | None], str]] = {
    "snapshot": _snapshot,
    "forecast": _forecast,
    "posterior": _posterior,
}
"""What writes the file of a task, by the task's name."""
