"""What a network is built from and, in training, called with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Array

from gan.config import NetworkConfig
from gan.normalizer import SampleNormalizer


@dataclass(frozen=True)
class Blueprint:
    """One description for every kind of network; each reads what concerns it.

    Attributes:
        config: width, depth and the other choices.
        grid: shape of the grid.
        rules: boundary rule of each grid axis.
        channels: of the field that a generator makes or a discriminator sees, time folded in.
        rng: draws the first parameters.
        times: fields in one sample.
        latent: shape of one latent, ``(numbers,)`` or ``(*grid, channels)`` with time folded in.
        vector: how many numbers the vector conditions have together.
        field: channels of the field conditions together, time folded in.
        field_numbers: how many numbers the field conditions have together.
        normalizer: of the samples, where a network needs to know their units.
        velocity: whether the generator is the velocity of flow matching.
    """

    config: NetworkConfig
    grid: tuple[int, ...]
    rules: tuple[str, ...]
    channels: int
    rng: np.random.Generator
    times: int = 1
    latent: tuple[int, ...] = ()
    vector: int = 0
    field: int = 0
    field_numbers: int = 0
    normalizer: SampleNormalizer | None = None
    velocity: bool = False


class Training(NamedTuple):
    """What a network receives in training and not when samples are drawn.

    Attributes:
        keys: one random key for each sample, so that what is dropped does not depend on the count of devices.
        axis_name: mapped axis of devices over which batch statistics are shared, ``None`` without one.
    """

    keys: Array
    axis_name: str | None = None
