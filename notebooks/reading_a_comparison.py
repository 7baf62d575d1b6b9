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
# # Reading a comparison
#
# What do the numbers of a report look like when it is known what is wrong? Here, sets of Kuramoto-Sivashinsky fields
# with planted errors take the place of a generator's samples, and are compared with held-out solver fields by the tests
# of every report.

# %%
import jax
import matplotlib.pyplot as plt
import numpy as np

from experiments.evaluation.gaussian_fields import gaussian_fields
from experiments.evaluation.two_sample.battery import Battery
from experiments.evaluation.two_sample.physical_features import PhysicalFeatures
from physics import Grid, KuramotoSivashinsky, advance

TESTED = 384

# %% [markdown]
# ## Solver fields
#
# Fields of independent trajectories after the spin-up: a third for training, a third held out, and a third that is
# planted with errors.

# %%
system = KuramotoSivashinsky(Grid(shape=(32,), extent=(22.0,)))
keys = jax.random.split(jax.random.key(0), 6 * TESTED)
initial = jax.vmap(system.sample_initial)(keys)
fields = np.asarray(jax.jit(jax.vmap(lambda u: advance(system, u, 0.25, 800)))(initial))
training, held_out, fresh = np.split(fields, 3)
print(fields.shape, "fields after 200 time units, standard deviation", fields.std().round(3))

# %% [markdown]
# ## Five sets of samples
#
# The first has nothing wrong. In the second, every field is 3% too large. Gaussian fields have the right spectrum, and
# nothing else: a tenth of the third set and all of the fourth are Gaussian. The fifth consists of training fields, as a
# generator that memorizes would give them.

# %%
gaussian = gaussian_fields(training, len(fresh), seed=0)
tenth = np.random.default_rng(0).random(len(fresh)) < 0.1
sets = {
    "solver fields": fresh,
    "amplitude 3% too large": 1.03 * fresh,
    "a tenth Gaussian": np.where(tenth[:, None, None], gaussian, fresh),
    "Gaussian fields": gaussian,
    "training fields": training[np.random.default_rng(1).permutation(len(training))],
}
figure, panels = plt.subplots(1, 3, figsize=(9, 2.6), sharey=True, layout="constrained")
(x,) = system.grid.coordinates()
for axes, name in zip(panels, ("solver fields", "amplitude 3% too large", "Gaussian fields")):
    axes.plot(x, sets[name][:4, :, 0].T)
    axes.set(title=name, xlabel="x")
panels[0].set_ylabel("u")
plt.show()

# %% [markdown]
# ## The joint test
#
# The battery is prepared once with training and held-out fields. Half of the samples train the classifiers, the other
# half is tested. The eye hardly separates the sets above; the joint test should separate all but the first from
# the solver fields.

# %%
features = PhysicalFeatures(training, extent=system.grid.extent)
battery = Battery(
    training,
    held_out,
    features=features,
    extent=system.grid.extent,
    symmetries=system.symmetries,
    tested=TESTED,
    draws=500,
)
bank = [battery.prepare_bank([training])]
found = {name: battery.tests(samples, bank=bank) for name, samples in sets.items()}
for name, tests in found.items():
    area = tests.entries["classifier_features"]
    low, high = area.interval
    print(
        f"{name:24s} joint p {tests.p_value:.3f}  AUC {area.statistic:.3f} [{low:.3f}, {high:.3f}]  {tests.strongest}"
    )

# %% [markdown]
# How to read this table:
#
# - *solver fields*: the p-value is one draw of a uniform distribution, and the interval of the area includes 0.5. One
#   set in twenty is distinguished by mistake at the level of 5%.
# - The strongest member names the kind of error. An area far from 0.5 says that every field is wrong; an area near 0.5
#   with a small joint p says that some fields are wrong, or that all are wrong by little.
# - *training fields* are right fields, and useless ones: they are found because they lie too near to the training
#   fields.
#
# ## What would have been missed
#
# A large p-value does not say that two distributions are equal. Each classifier states the largest area that it would
# have missed in one case of five, and each energy the largest relative error:

# %%
nothing_wrong = found["solver fields"]
area = nothing_wrong.entries["classifier_features"]
print(f"an area of up to {area.missed:.3f} would have been missed; found {area.statistic:.3f}")
for bound in nothing_wrong.bounds[:5]:
    print(f"{bound.quantity}: {100 * bound.found:+.1f}% found, {100 * abs(bound.missed):.1f}% would have been missed")

# %% [markdown]
# With more samples smaller errors are found. This is why a report states the number of samples, and why the published
# comparisons use 4096.

# %%
figure, axes = plt.subplots(figsize=(7, 2.6), layout="constrained")
names = list(found)
areas = [found[name].entries["classifier_features"] for name in names]
middle = np.array([one.statistic for one in areas])
ends = np.array([one.interval for one in areas])
axes.errorbar(middle, range(len(names)), xerr=np.abs(ends.T - middle), fmt="o", capsize=3)
axes.axvspan(*areas[0].null, color="0.85", label="95% of solver sets")
axes.set(yticks=range(len(names)), yticklabels=names, xlabel="area under the ROC curve")
axes.legend()
plt.show()
