r"""Handwritten digits, alone or stacked as channels, whose classes can be counted.

*Data.* scikit-learn's 1797 digits of 8 x 8 points, or any pictures of the MNIST form from a file. A stack of s digits
as channels has 10^s modes (Metz et al. 2017, section 3.3.1, with s = 3); with s = 4 there are 10,000. A classifier
trained on the training split names the mode of every sample.

*Method.* Dense players, or convolutional ones by ``network.kind`` without ``network.latent_signs``; the loss pairs data
with samples, gradient penalties at both (Huang et al. 2024), step sizes decayed, the generator averaged.

*Comparison.* Modes found and weights beside those of a perfect sampler of the training pictures' classes; share
recognised with confidence and distances beside stacks of held-out digits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from experiments import pictures
from experiments.config import ExperimentConfig, SamplesConfig
from experiments.errors import UserError
from experiments.experiment import Experiment
from experiments.reporting import Report
from experiments.tasks.modes import COMPARE, SMOKE_COMPARE, SMOKE_TRAINING, Modes, ModesConfig
from gan.config import GameConfig, NetworkConfig, OptimizerConfig, TrainingConfig
from gan.settings import setting

if TYPE_CHECKING:
    from experiments.evaluation.scores import Labels

CONFIDENT = 0.9
SHARES = {"train": (0.0, 0.7), "validation": (0.7, 0.8), "test": (0.8, 1.0)}
"""Where each split lies in the pictures, once they are shuffled."""


@dataclass(frozen=True)
class DigitsConfig(ModesConfig):
    """Which pictures, and how many of them make a sample."""

    file: str = setting("", "IDX images file or .npz of the MNIST form (empty: scikit-learn's digits)")
    stacked: int = setting(4, "pictures stacked as channels of one sample", "pictures", minimum=1, maximum=6)


class Stacks:
    """Stacks of pictures, each channel drawn independently from a split."""

    def __init__(self, source: pictures.Pictures, stacked: int, seed: int):
        from experiments.evaluation.scores import train_classifier

        order = np.random.default_rng((seed, 7)).permutation(len(source.images))
        self._places = {
            split: order[round(low * len(order)) : round(high * len(order))] for split, (low, high) in SHARES.items()
        }
        self._source, self.stacked = source, stacked
        self.name = f"{source.source}, {stacked} stacked"
        depth = source.images.shape[-1]
        names = [f"picture {i + 1}" for i in range(stacked)]
        self.channels: tuple[str, ...] = tuple(
            names if depth == 1 else [f"{name}, channel {c + 1}" for name in names for c in range(depth)]
        )
        train, test = self._places["train"], self._places["test"]
        if missing := set(source.labels) - set(source.labels[train]):
            raise UserError(
                f"class {min(missing)} of {source.source} has no picture in the training split: give more of it."
            )
        self.classifier = train_classifier(source.images[train], source.labels[train], seed=seed)
        probabilities = self.classifier.probabilities(source.images)
        # What the classifier says of each real picture: exact stacks are labelled without being made.
        self._said, self._sure = probabilities.argmax(axis=1), np.asarray(probabilities.max(axis=1) >= CONFIDENT)
        self.classes = probabilities.shape[1]
        # The generator is shown the training split: its shares are the weights that a perfect sampler would have.
        shares = np.bincount(source.labels[train], minlength=self.classes) / len(train)
        self.weights = shares
        for _ in range(stacked - 1):
            self.weights = np.multiply.outer(self.weights, shares).reshape(-1)
        correct = self._said == source.labels
        self.description: Mapping[str, object] = {
            "pictures": len(source.images),
            "classifier accuracy on held-out pictures": round(float(correct[test].mean()), 4),
            "classifier accuracy on its training pictures": round(float(correct[train].mean()), 4),
        }

    def _picked(self, split: str, count: int, rng: np.random.Generator) -> np.ndarray:
        return rng.choice(self._places[split], (count, self.stacked))

    def draw(self, split: str, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draw stacks (count, y, x, stacked * C) of pictures of a split."""
        chosen = self._source.images[self._picked(split, count, rng)]
        return np.concatenate(np.moveaxis(chosen, 1, 0), axis=-1)

    def exact(self, split: str, count: int, rng: np.random.Generator) -> Labels:
        """Label stacks of a split's pictures by the classifier, without making them."""
        picked = self._picked(split, count, rng)
        return self._joined(self._said[picked], np.asarray(self._sure)[picked])

    def label(self, samples: np.ndarray) -> Labels:
        """Classify every picture of the stacks; of high quality where all are recognised with confidence."""
        count, depth = len(samples), samples.shape[-1] // self.stacked
        split = samples.reshape(*samples.shape[:-1], self.stacked, depth)
        probabilities = self.classifier.probabilities(
            np.moveaxis(split, -2, 1).reshape(-1, *samples.shape[1:-1], depth)
        )
        shape = (count, self.stacked)
        return self._joined(
            probabilities.argmax(axis=1).reshape(shape), (probabilities.max(axis=1) >= CONFIDENT).reshape(shape)
        )

    def _joined(self, classes: np.ndarray, sure: np.ndarray) -> Labels:
        from experiments.evaluation.scores import Labels

        mode = np.ravel_multi_index(tuple(classes.T), (self.classes,) * self.stacked)
        return Labels(mode.astype(int), np.asarray(sure.all(axis=1)))


@lru_cache(maxsize=2)
def _loaded(path: str) -> pictures.Pictures:
    return pictures.load(path)


def own_settings(config: ExperimentConfig) -> DigitsConfig:
    """Return the section ``system``, which is this experiment's own."""
    assert isinstance(config.system, DigitsConfig)
    return config.system


def distribution(config: ExperimentConfig, report: Report) -> Stacks:
    """Read the pictures and train the classifier."""
    report(0, 1, "training the classifier")
    return Stacks(_loaded(own_settings(config).file), own_settings(config).stacked, config.data.seed)


def shape(config: ExperimentConfig) -> tuple[int, ...]:
    """Return the shape of a sample; reads and checks the pictures."""
    _, *grid, depth = _loaded(own_settings(config).file).images.shape
    return (*grid, depth * own_settings(config).stacked)


DEMO = ExperimentConfig(
    data=SamplesConfig(samples=(2**16, 4096, 8192)),
    system=DigitsConfig(counted=200_000),
    network=NetworkConfig(kind="mlp", width=256, blocks=3, latent=64, levels=3, latent_signs=True),
    game=GameConfig(r1=0.002, r2=0.002, penalty_final=0.05),
    optimizer=OptimizerConfig(generator_rate=1e-3, discriminator_rate=1e-3),
    training=TrainingConfig(
        steps=12_000,
        batch=256,
        steps_per_call=10,
        log_every=100,
        checkpoint_every=1000,
        diagnose_every=1000,
        validation_samples=4096,
        sample_history=36,
        sample_chunk=4096,
    ),
    # The pixels of scikit-learn's digits take 17 values: the quantiles of two sets are equal, and have no floor.
    compare=replace(COMPARE, quantiles=()),
)

SMOKE = replace(
    DEMO,
    data=SamplesConfig(samples=(1024, 128, 512)),
    system=DigitsConfig(counted=512, stacked=2),
    network=NetworkConfig(kind="mlp", width=16, blocks=2, latent=8, levels=2),
    training=SMOKE_TRAINING,
    compare=replace(SMOKE_COMPARE, quantiles=()),
)

FULL = replace(
    DEMO,
    network=NetworkConfig(kind="residual", width=96, levels=3, blocks=2, latent=128),
    training=replace(DEMO.training, steps=60_000, checkpoint_every=5000, diagnose_every=5000),
)

LONG = replace(
    DEMO,
    # Of 10,000 classes, 65,536 stacks hold 9983 (seed 0): what was never shown would have to be made up.
    data=SamplesConfig(samples=(2**18, 4096, 8192)),
    training=replace(DEMO.training, steps=24_000, checkpoint_every=2000, diagnose_every=2000),
)

EXPERIMENT = Experiment(
    name="digits", task=Modes(distribution, shape), presets={"smoke": SMOKE, "demo": DEMO, "full": FULL, "long": LONG}
)
