"""Files of the tasks ``snapshot``, ``forecast`` and ``posterior``."""

from __future__ import annotations

from experiments.errors import UserError
from experiments.new_experiment.facts import (
    HEAD,
    Facts,
    at_a_value,
    data_values,
    in_words,
    on_a_grid,
    rounded,
    smoke_sizes,
    whole_steps,
)

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


def snapshot_file(name: str, facts: Facts, parameter: str | None) -> str:
    """Single fields of the system, at random times after the spin-up."""
    if parameter is not None:
        raise UserError(f"--parameter {parameter}: the task snapshot varies none; leave it out.")
    if facts.points:
        system = on_a_grid(facts)
    else:
        system = (
            "def system(config: ExperimentConfig, points: Any = None) -> Any:\n"
            '    """Return the system, which is a point without a grid."""\n'
            f"{facts.imports(grid=False)}\n\n"
            f"    return {facts.system}.example()  # its parameters: {in_words(facts.parameters())}"
        )
    large = len(facts.points) > 1
    reach = max(facts.points, default=4) // 4
    separations = tuple(one for one in (1, 4, 16) if one < min(facts.points, default=0) and one <= reach)
    values = {
        "name": name,
        "title": f"Snapshots of {facts.system}: single fields, drawn by a generator and held against the solver.",
        "imports": "from experiments.tasks.snapshot import Snapshot",
        "system": system,
        **data_values(facts, train=1024 if large else 4096, test=2048, snapshots=4),
        "network": facts.network(32, 32),
        "short": rounded(10 * facts.dt),
        "long": rounded(100 * facts.dt),
        "separations": separations,
        **smoke_sizes(facts, large),
    }
    return (HEAD + _SNAPSHOT).format(**values)


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


def forecast_file(name: str, facts: Facts, parameter: str | None) -> str:
    """Later fields, given a few noisy points of the initial field and a parameter."""
    if facts.system not in FORECASTS:
        raise UserError(
            f"--task forecast: the example of {facts.system} does not start from any Gaussian field on a line; choose "
            f"from {', '.join(FORECASTS)}."
        )
    known = facts.parameters()
    chosen = parameter or FORECASTS[facts.system]
    system = at_a_value(facts, chosen)
    amplitude = float(f"{facts.initial_std():.1g}")
    values = {
        **data_values(facts, train=4096, test=512, snapshots=4),
        "name": name,
        "title": f"Forecasts of {facts.system}: later fields from a few noisy points, beside the exact posterior.",
        "imports": "from experiments.tasks.forecast import Forecast, ForecastConfig",
        "system": system,
        "spin_up": facts.stride,
        # From the example's value up, since lower ones make sharper fields than the example's grid resolves.
        "low": rounded(known[chosen]),
        "high": rounded(2.0 * known[chosen]),
        "outside": rounded(2.5 * known[chosen]),
        # The initial field is as strong as the example's own, and as smooth as the grid needs it to be.
        "amplitude": amplitude,
        "noise": rounded(0.1 * amplitude),
        "length": rounded(max(0.8, 3 * facts.extent[0] / facts.points[0])),
        "network": facts.network(32, 32),
        "smoke_network": facts.network(8, 8),
        "parameter": chosen,
    }
    return (HEAD + _FORECAST).format(**values)


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


def posterior_file(name: str, facts: Facts, parameter: str | None) -> str:
    """The initial field, and a parameter where the system has one, given noisy magnitudes of a later field."""
    if facts.system not in POSTERIORS:
        raise UserError(
            f"--task posterior: the example of {facts.system} does not start from any Gaussian field on a line; choose "
            f"from {', '.join(POSTERIORS)}."
        )
    chosen = parameter or POSTERIORS[facts.system]
    system = at_a_value(facts, chosen) if chosen else on_a_grid(facts)
    amplitude = float(f"{facts.initial_std():.1g}")
    known = facts.parameters()
    values = {
        **data_values(facts, train=65_536, test=256, snapshots=1),
        "name": name,
        "title": f"Posteriors of {facts.system}: the initial field from magnitudes seen later.",
        "imports": "from experiments.tasks.posterior import Posterior, PosteriorConfig",
        "settings": "GameConfig, NetworkConfig, OptimizerConfig, SolverLayerConfig, TrainingConfig",
        "system": system,
        # The observed field comes early, so that it still tells of the initial one.
        "spin_up": whole_steps(min(40.0, facts.stride / facts.dt), facts.dt),
        "stride": facts.dt,
        "parameter_range": f"parameter=({rounded(known[chosen])!r}, {rounded(2.0 * known[chosen])!r}), "
        if chosen
        else "",
        "and_parameter": f" and the {chosen}" if chosen else "",
        "named": f', "{chosen}"' if chosen else "",
        "waves": min(8, facts.points[0] // 8),
        "amplitude": amplitude,
        "noise": rounded(0.1 * amplitude),
        "length": rounded(max(0.8, 3 * facts.extent[0] / facts.points[0])),
    }
    return (HEAD + _POSTERIOR).format(**values)
