"""A problem that trains in milliseconds: sine waves of random size and phase, and a linear solver."""

import numpy as np

from gan.augmentation import ArrayReflection, ArraySymmetries
from gan.config import (
    GameConfig,
    NetworkConfig,
    OptimizerConfig,
    Recipe,
    SolverLayerConfig,
    TrainingConfig,
)
from gan.training.problem import Problem

SYMMETRIES = ArraySymmetries((0,), (ArrayReflection(0, (-1.0,)),))


def waves(count: int, points: int = 16, seed: int = 0) -> np.ndarray:
    """Sine waves of one period, standard deviation near 2, in physical units (count, points, 1)."""
    rng = np.random.default_rng(seed)
    x = 2 * np.pi * np.arange(points) / points
    size, phase = rng.normal(3.0, 1.0, (count, 1)), rng.uniform(0, 2 * np.pi, (count, 1))
    return (size * np.sin(x + phase)).astype(np.float32)[..., None]


def decay(samples, condition, tau):
    """The exact solution of du/dt = -u/10 after tau; every field is valid."""
    import jax.numpy as jnp

    return samples * jnp.exp(-0.1 * tau), jnp.ones(samples.shape[0], bool)


def problem(**changes) -> Problem:
    """The toy problem with some entries changed."""
    data = waves(240)
    entries = {"train": data[:160], "validation": data[160:], "symmetries": SYMMETRIES, "solver_layer": decay}
    return Problem(**{**entries, **changes})


def recipe(**sections) -> Recipe:
    """A recipe whose step compiles and runs quickly; sections given as dictionaries are merged into it."""
    defaults = {
        "network": {"kind": "mlp", "width": 16, "latent": 4, "levels": 2},
        "game": {},
        "optimizer": {"average_half_life": 200.0, "generator_rate": 5e-3, "discriminator_rate": 5e-3},
        "solver_layer": {"tau": 1.0},
        "training": {
            "steps": 200,
            "batch": 8,
            "devices": 1,
            "log_every": 25,
            "checkpoint_every": 50,
            "validation_samples": 32,
            "sample_chunk": 32,
        },
    }
    kinds = (NetworkConfig, GameConfig, OptimizerConfig, SolverLayerConfig, TrainingConfig)
    return Recipe(**{n: kind(**{**defaults[n], **sections.get(n, {})}) for n, kind in zip(defaults, kinds)})


def many() -> Recipe:
    """A recipe for several processes: plain steps, because an adaptive optimizer hides wrong means of gradients."""
    return recipe(
        optimizer={"transform": "sgd", "generator_rate": 0.02, "discriminator_rate": 0.02, "average_half_life": 200.0},
        training={"steps": 60, "devices": 0, "log_every": 5, "checkpoint_every": 10},
    )
