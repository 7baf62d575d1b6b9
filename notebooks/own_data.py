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
# # Fields of your own, from a file
#
# `train-on FILE` learns the fields of a file. No equation is needed: held-out fields of the file take the place of the
# solver. This notebook makes a small netCDF file, trains the smoke preset on it by one command, and reads what came
# out.

# %%
import subprocess
import sys
import tempfile
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np
import xarray

import experiments
from experiments.evaluation.results import Planning, Tests, Worth

folder = Path(tempfile.mkdtemp())

# %% [markdown]
# ## A file
#
# Temperatures on 600 days on 8 points of latitude and 16 of longitude: a mean and two waves around the globe, each of
# a new random amplitude every day. The names of the axes and the units say what they are.

# %%
rng = np.random.default_rng(0)
times, lat, lon = np.arange(600), np.linspace(-70, 70, 8), np.arange(16) * 360 / 16
amplitude = rng.standard_normal((600, 3, 2))
waves = np.stack([[np.cos(k * np.deg2rad(lon)), np.sin(k * np.deg2rad(lon))] for k in (0, 1, 2)])
temperature = 288 + np.einsum("tkp,kpx->tx", amplitude, waves)[:, None, :] * np.cos(np.deg2rad(lat))[:, None]
dataset = xarray.Dataset(
    {"t2m": (("time", "lat", "lon"), temperature.astype(np.float32), {"units": "K"})},
    {
        "time": ("time", times, {"units": "days since 2000-01-01"}),
        "lat": ("lat", lat, {"units": "degrees_north"}),
        "lon": ("lon", lon, {"units": "degrees_east"}),
    },
)
dataset.to_netcdf(folder / "temperature.nc", engine="scipy")

# %% [markdown]
# ## One command
#
# The first line says what was found in the file; the last lines are the verdict. Twenty updates make no good generator.

# %%
command = "-m experiments train-on temperature.nc --periodic lon --preset smoke"
done = subprocess.run([sys.executable, *command.split()], cwd=folder, capture_output=True, text=True)
assert done.returncode == 0, done.stderr
print(done.stdout.replace(f"{folder}/", ""))

# %% [markdown]
# ## What came out
#
# Samples have the coordinates and units of the file:

# %%
(path,) = (folder / "runs" / "own_data").iterdir()
run = experiments.load_run(path)
fields = run.sample(3, key=jax.random.key(0))
print(fields.dims, fields.shape, dict(fields.units))

figure, panels = plt.subplots(2, 3, figsize=(9, 4), sharex=True, sharey=True, layout="constrained")
limits = {"vmin": float(temperature.min()), "vmax": float(temperature.max())}
for place in range(3):
    for axes, field in zip(panels[:, place], (temperature[120 * place + 40], fields.values[place, ..., 0])):
        image = axes.pcolormesh(lon, lat, field, cmap="viridis", **limits)
panels[0, 0].set_ylabel("data")
panels[1, 0].set_ylabel("samples")
figure.colorbar(image, ax=panels, label="t2m [K]")
plt.show()

# %% [markdown]
# Three sections of the report say whether the samples are of use: the joint test, the number of real fields that
# they are worth, and what a second group of fields would show with them and without.

# %%
comparison = run.comparison
tests, worth, planning = (comparison.need(kind) for kind in (Tests, Worth, Planning))
print(f"joint p = {tests.p_value:.2g} at the level {tests.level}; strongest member: {tests.strongest}")
print(f"worth {worth.equals:.0f} independent fields, trained on {worth.trained_on}")
for name, plan in planning.plans.items():
    print(f"{name}: found from {plan.real:.2f} {plan.unit} with real fields, {plan.generated:.2f} with generated ones")
