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
# # A generator with a solver as its last layer
#
# The smallest version of what `make demo` does: solve a chaotic equation, differentiate through the solver, train a
# generator through it, and hold its samples against the solver's. Takes about a minute on two cores; the quality needs
# the demo's length.

# %%
import tempfile

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import experiments
from experiments import catalog, pipeline, runs
from physics import Grid, KuramotoSivashinsky, advance, defect, solve

# %% [markdown]
# ## The solver
#
# $u_t = -u u_x - u_{xx} - u_{xxxx}$ on a periodic interval of length 22. `solve` steps by ETDRK4 unless told otherwise.

# %%
system = KuramotoSivashinsky(Grid(shape=(64,), extent=(22.0,)))
u0 = system.sample_initial(jax.random.key(0))
times = np.arange(0.0, 200.5, 0.5)
trajectory = solve(system, u0, times, dt=0.1)

figure, axes = plt.subplots(figsize=(8, 2.6), layout="constrained")
(x,) = system.grid.coordinates()
image = axes.pcolormesh(times, x, trajectory[..., 0].T, cmap="RdBu_r", shading="nearest")
axes.set(xlabel="time", ylabel="x", title="Kuramoto-Sivashinsky, L = 22")
figure.colorbar(image, label="u")
plt.show()

# %% [markdown]
# Gradients run through the steps. Along one direction they agree with the difference quotient:


# %%
def energy_later(u):
    """Mean square of the field one time unit later."""
    return jnp.mean(advance(system, u, 0.1, 10) ** 2)


direction = system.sample_initial(jax.random.key(1))
u = trajectory[-1]
by_gradient = jnp.vdot(jax.grad(energy_later)(u), direction)
step = 1e-2
by_difference = (energy_later(u + step * direction) - energy_later(u - step * direction)) / (2 * step)
print(f"gradient {by_gradient:.5f}, difference quotient {by_difference:.5f}")

# %% [markdown]
# The defect holds two fields against the discrete solver that made them. On solver data it is round-off, on anything
# else it is not:

# %%
mismatch = defect(system, trajectory[-2], trajectory[-1], 0.1, steps=5)
shrunk = defect(system, 0.9 * trajectory[-2], 0.9 * trajectory[-1], 0.1, steps=5)
print(f"solver data {jnp.abs(mismatch).max():.1e}, the same shrunk by a tenth {jnp.abs(shrunk).max():.1e}")

# %% [markdown]
# ## A generator trained through it
#
# An experiment is a task with its system and presets; the smallest preset trains for seconds.

# %%
experiment = catalog.load("kuramoto_sivashinsky")
config = experiment.presets["smoke"].with_overrides({"training.steps": "200", "training.checkpoint_every": "100"})
folder = runs.create(tempfile.mkdtemp(), "kuramoto_sivashinsky", "smoke", config)
comparison = pipeline.run(experiment, config, folder)
print(comparison.verdict)

# %% [markdown]
# Drawing from it, and letting the solver carry the samples on:

# %%
run = experiments.load_run(folder.path)
samples = run.sample(4, key=jax.random.key(2))
refined = run.sample(4, key=jax.random.key(2), refine=20.0)
figure, panels = plt.subplots(1, 2, figsize=(8, 2.6), sharey=True, layout="constrained")
for axes, fields, title in zip(panels, (samples, refined), ("drawn", "advanced for 20")):
    axes.plot(fields.coordinates["x"], fields.values[..., 0].T)
    axes.set(xlabel="x", title=title)
panels[0].set_ylabel("u")
plt.show()
