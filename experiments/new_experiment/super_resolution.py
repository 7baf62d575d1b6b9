"""Files of the task ``super_resolution``."""

from __future__ import annotations

from experiments.errors import UserError
from experiments.new_experiment.facts import HEAD, Facts, data_values, on_a_grid, rounded, smoke_sizes

SUPER_RESOLUTIONS = ("Burgers2D", "KuramotoSivashinsky", "NavierStokes2D", "SmokePlume", "SwiftHohenberg")
"""Systems on periodic grids whose waves a coarse solver may leave out."""

_SUPER_RESOLUTION = """
DEMO = ExperimentConfig(
    data=DATA,
    # How many times fewer points the coarse grid has along each axis, and the coarse solver's step. Its run lasts as
    # long as the stride.
    system=SuperResolutionConfig(factor=2, coarse_dt={coarse_dt!r}),
    network={network},
    game=GameConfig(r1=0.002, r2=0.002, ensemble_weight=1.0),  # gradient penalties; ensemble score
    training=TrainingConfig(steps=1000, batch=16, log_every=25, checkpoint_every=250, diagnose_every=500),
    compare=CompareConfig(cases=128, members=16),
)

SMOKE = replace(
    DEMO,
    data=replace(DATA, {smoke_data}),
    network={smoke_network},
    training=TrainingConfig(
        steps=10, batch=8, log_every=5, checkpoint_every=10, validation_samples=16, sample_chunk=64
    ),
    compare=CompareConfig(cases=8, members=4, resamples=20),
)

EXPERIMENT = Experiment(name="{name}", task=SuperResolution(system), presets={{"smoke": SMOKE, "demo": DEMO}})
"""


def super_resolution_file(name: str, facts: Facts, parameter: str | None) -> str:
    """Fine fields, given what a solver with half the points along each axis makes of the same past."""
    if parameter is not None:
        raise UserError(f"--parameter {parameter}: the task super_resolution varies none; leave it out.")
    if facts.system not in SUPER_RESOLUTIONS:
        raise UserError(
            f"--task super_resolution: {facts.system} is not known to have waves that a coarse solver may leave out; "
            f"choose from {', '.join(SUPER_RESOLUTIONS)}."
        )
    large = len(facts.points) > 1
    values = {
        "name": name,
        "title": f"Super-resolution of {facts.system}: fine fields above a coarse solver run.",
        "imports": "from experiments.tasks.super_resolution import SuperResolution, SuperResolutionConfig",
        "system": on_a_grid(facts),
        **data_values(facts, train=512 if large else 4096, test=128, snapshots=4),
        "network": facts.network(12 if large else 32, 32),
        "coarse_dt": rounded(2 * facts.dt),
        **smoke_sizes(facts, large),
    }
    return (HEAD + _SUPER_RESOLUTION).format(**values)
