r"""Mixtures of Gaussians in the plane, whose modes can be counted.

*Distribution.* Equal round Gaussians on a ring of eight, on a grid of 5 x 5, or on a grid of 10 x 10 with spacing 2,
standard deviation 0.05 and weights proportional to 1, 2, ..., 100 (ring and 5 x 5: Srivastava et al. 2017, VEEGAN).
It is sampled exactly, so nothing but the game is being judged.

*Method.* Dense players of three hidden layers. A continuous generator of a connected latent cannot reach disconnected
modes without samples between them (Khayatkhoei et al. 2018, section 2): ours sees the signs of its random numbers too,
so it can jump, each pattern of signs making one piece of its distribution. The loss pairs data with samples (Huang et
al. 2024). Both gradient penalties start strong: pieces stay with the mode that they first come to, so weights are
settled while the discriminator is still smooth over the whole plane. They fall geometrically, so that it comes to see
the modes' width, for which random Fourier features give it eyes. Step sizes decay by a cosine and the generator is
averaged.

*Comparison.* Modes found, samples within three standard deviations of one, and total variation of the weights over
20,000 samples, each beside what 20,000 draws of a perfect sampler come to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from experiments.config import ExperimentConfig, SamplesConfig
from experiments.experiment import Experiment
from experiments.reporting import Report, silent
from experiments.tasks.modes import COMPARE, SMOKE_COMPARE, SMOKE_TRAINING, Modes, ModesConfig
from gan.config import GameConfig, NetworkConfig, OptimizerConfig, TrainingConfig
from gan.settings import setting

if TYPE_CHECKING:
    from experiments.evaluation.scores import Labels

LAYOUTS = ("ring_8", "grid_25", "grid_100")


@dataclass(frozen=True)
class GaussiansConfig(ModesConfig):
    """Which mixture."""

    layout: str = setting(
        "grid_25", "where the modes are; grid_100 has the weights 1, 2, ..., 100 over 5050", choices=LAYOUTS
    )


class Mixture:
    """Round Gaussians of equal width: ``centres`` (modes, 2), ``weights`` (modes,), standard deviation ``std``."""

    channels: tuple[str, ...] = ("x", "y")

    def __init__(self, layout: str):
        self.name, self.std = f"Gaussians, {layout.replace('_', ' of ')}", 0.05
        if layout == "ring_8":
            angle = 2 * np.pi * np.arange(8) / 8
            self.centres, self.std = 2.0 * np.stack([np.cos(angle), np.sin(angle)], axis=-1), 0.02
        else:
            side = {"grid_25": 5, "grid_100": 10}[layout]
            line = 2.0 * (np.arange(side) - (side - 1) / 2)
            self.centres = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
        weights = np.arange(1.0, 101.0) if layout == "grid_100" else np.ones(len(self.centres))
        self.weights = weights / weights.sum()
        self.description: Mapping[str, object] = {"standard deviation": self.std}

    def draw(self, split: str, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draw points (count, 2); splits differ by their random streams alone."""
        mode = rng.choice(len(self.weights), count, p=self.weights)
        return (self.centres[mode] + self.std * rng.standard_normal((count, 2))).astype(np.float32)

    def label(self, samples: np.ndarray) -> Labels:
        """Nearest centre; high quality within three standard deviations of it."""
        from experiments.evaluation.scores import nearest_centre

        return nearest_centre(samples, self.centres, self.std)

    def exact(self, split: str, count: int, rng: np.random.Generator) -> Labels:
        """Label fresh points."""
        return self.label(self.draw(split, count, rng))


def distribution(config: ExperimentConfig, report: Report = silent) -> Mixture:
    """Return the configured mixture."""
    assert isinstance(config.system, GaussiansConfig)
    return Mixture(config.system.layout)


DEMO = ExperimentConfig(
    data=SamplesConfig(samples=(2**19, 20_000, 8192)),
    system=GaussiansConfig(),
    network=NetworkConfig(
        kind="mlp",
        width=64,
        blocks=3,
        # 12 signs are 4096 pieces for 25 modes, so that weights are not rounded to few pieces.
        latent=12,
        latent_signs=True,
        # A mode is 0.018 wide in normalised units: frequencies up to the inverse of that show the width.
        fourier=32,
        fourier_scale=50.0,
    ),
    # From a discriminator that sees the plane as a whole to one that sees the width of a mode, and no further: with a
    # last weight of 1e-5 the modes ended too narrow, with every sample of high quality.
    game=GameConfig(r1=0.3, r2=0.3, penalty_final=7e-4, penalty_until=0.6),
    optimizer=OptimizerConfig(generator_rate=3e-3, discriminator_rate=3e-3),
    training=TrainingConfig(
        steps=8000,
        batch=256,
        steps_per_call=20,
        log_every=100,
        checkpoint_every=400,
        diagnose_every=400,
        validation_samples=20_000,
        sample_history=2000,
        sample_chunk=4096,
    ),
    compare=COMPARE,
)

SMOKE = replace(
    DEMO,
    data=SamplesConfig(samples=(2048, 256, 512)),
    system=GaussiansConfig(counted=512),
    network=NetworkConfig(kind="mlp", width=16, blocks=2, latent=2, latent_signs=True, fourier=4),
    training=SMOKE_TRAINING,
    compare=SMOKE_COMPARE,
)

FULL = replace(
    DEMO,
    network=replace(DEMO.network, width=512),
    optimizer=OptimizerConfig(generator_rate=1e-3, discriminator_rate=1e-3),
    training=replace(DEMO.training, steps=60_000, batch=4096, checkpoint_every=3000, diagnose_every=3000),
)

UNBALANCED = replace(
    DEMO,
    system=GaussiansConfig(layout="grid_100"),
    # Modes are half as wide in normalised units, the rarest has one sample of 5050: more pieces, higher frequencies,
    # larger batches. The penalty falls less: below a hundredth of its first weight the discriminator wins and modes are
    # lost (90 and 54 found with a last share of 2e-4).
    network=replace(DEMO.network, width=128, latent=16, fourier=48, fourier_scale=100.0),
    game=replace(DEMO.game, penalty_final=0.05),
    training=replace(
        DEMO.training, steps=24_000, batch=1024, steps_per_call=10, checkpoint_every=2000, diagnose_every=2000
    ),
)

EXPERIMENT = Experiment(
    name="gaussians",
    task=Modes(distribution, lambda config: (2,)),
    presets={"smoke": SMOKE, "demo": DEMO, "full": FULL, "unbalanced": UNBALANCED},
)
