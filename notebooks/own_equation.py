# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # An equation of your own in one file
#
# The Nikolaevskiy equation, $u_t = -u u_x - (r - (1 + \partial_x^2)^2) u_{xx}$, is chaotic for every small $r > 0$
# (Tribelsky and Tsuboi 1996) and is not among the systems of `physics`. One file of less than 60 lines defines the
# system and an experiment on it: a generator of single fields, compared with the solver.

# %%
import tempfile
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Image, display

from experiments import catalog, pipeline, plots, runs
from physics import leading_lyapunov_exponent, solve

FILE = '''"""Snapshots of the Nikolaevskiy equation: single fields of its chaos, compared with the solver."""

from typing import Any, ClassVar

import equinox as eqx

from experiments.config import CompareConfig, DataConfig, ExperimentConfig
from experiments.experiment import Experiment
from experiments.tasks.snapshot import Snapshot
from gan.config import GameConfig, NetworkConfig, TrainingConfig
from physics import BandLimitedField, Grid, Reflection, SemilinearSystem, Symmetries
from physics.spectral import derivative_of_square


class Nikolaevskiy(SemilinearSystem):
    """u_t = -u u_x - (r - (1 + d_xx)^2) u_xx on a periodic interval, non-dimensional (Nikolaevskiy, 1989)."""

    grid: Grid = eqx.field(static=True)
    r: Any = 0.2
    name: ClassVar[str] = "nikolaevskiy"
    channels: ClassVar[tuple[str, ...]] = ("u",)
    chaotic: ClassVar[bool] = True
    dissipative: ClassVar[bool] = True

    def linear_symbol(self):
        (k,) = self.grid.wavenumbers
        return (k**2 * (self.r - (1 - k**2) ** 2))[None]

    def nonlinear(self, t, u_hat, args=None):
        return derivative_of_square(u_hat, self.grid, -0.5)

    def sample_initial(self, key):
        return BandLimitedField(self.grid, 8).sample(key)

    symmetries = property(lambda self: Symmetries(shift_axes=(0,), reflections=(Reflection(axis=0, signs=(-1.0,)),)))
    recommended_dt = property(lambda self: 0.1)


def system(config, points=None):
    return Nikolaevskiy(Grid(points or config.data.points, config.data.extent))


SMOKE = ExperimentConfig(
    data=DataConfig(
        points=(64,), extent=(40.0,), dt=0.1, trajectories=(128, 64, 256), snapshots=2, spin_up=100.0, stride=20.0
    ),
    network=NetworkConfig(width=8, levels=3, blocks=1, latent=8, constraint="zero_mean"),
    game=GameConfig(r1=0.002, r2=0.002, symmetrize=True),
    training=TrainingConfig(
        steps=40, batch=16, log_every=5, checkpoint_every=20, validation_samples=32, sample_chunk=64
    ),
    compare=CompareConfig(
        fields=64, draws=180, tested=64, refined=32, relabellings=200, refine=(0.0, 10.0), repeats=1, search=False
    ),
)
EXPERIMENT = Experiment(name="nikolaevskiy", task=Snapshot(system), presets={"smoke": SMOKE})
'''
folder = Path(tempfile.mkdtemp())
path = folder / "nikolaevskiy.py"
path.write_text(FILE)
print(f"{len(FILE.splitlines())} lines")

# %% [markdown]
# ## The system alone
#
# The linear part gives the exponential integrators; gradients, residuals and certified data sets follow. The leading
# Lyapunov exponent is positive, so that a field forgets where it began.

# %%
experiment = catalog.load(str(path))
config = experiment.presets["smoke"]
system = experiment.task.system(config)
times = np.arange(0.0, 401.0, 1.0)
fields = solve(system, system.sample_initial(jax.random.key(0)), times, dt=0.1)

figure, axes = plt.subplots(figsize=(8, 2.6), layout="constrained")
(x,) = system.grid.coordinates()
image = axes.pcolormesh(times, x, fields[..., 0].T, cmap="RdBu_r", shading="nearest")
axes.set(xlabel="time", ylabel="x", title="Nikolaevskiy, r = 0.2, L = 40")
figure.colorbar(image, label="u")
plt.show()

later = fields[200::50]
found = leading_lyapunov_exponent(system, later, jax.random.key(1), dt=0.1, stretch=20, stretches=150, discard=50)
print(f"leading Lyapunov exponent {found.exponent:.3f}, 95% interval {found.low:.3f} to {found.high:.3f}")

# %% [markdown]
# ## The experiment
#
# `python -m experiments run nikolaevskiy.py --preset smoke` does the same as the cell below. Forty updates show that
# everything works; the verdict says that they make no good generator. To save time no cheaper solver is searched, so
# what the verdict says of the cost means little: leave `search=False` out for a figure that counts.

# %%
run = runs.create(folder / "runs", experiment.name, "smoke", config, source=path)
comparison = pipeline.run(experiment, config, run)
print(comparison.verdict)

# %% [markdown]
# The report's picture: the solver, the samples, their spectra and their course in solver time. `report.write(run)`
# writes the whole page.

# %%
display(Image(filename=plots.preview(run.figures(), comparison, run.path / "preview.png")))
