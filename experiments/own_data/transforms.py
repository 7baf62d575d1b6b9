"""Transforms that bring positive, skewed channels nearer to a Gaussian before they are learnt, and their inverses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from experiments.errors import UserError

TRANSFORMS = ("none", "log", "boxcox")
_OFFSET = 0.01
"""Added before a logarithm where values are zero, as a share of the mean."""
_LARGEST = 88.0
"""Logarithm of about the largest number of float32."""
_FITTED = 100_000
"""Values at most by which the exponent of Box and Cox is fitted."""


@dataclass(frozen=True)
class Transform:
    """``((x + offset)^power - 1) / power``, its limit ``log(x + offset)`` for power 0, or nothing at all.

    Attributes:
        kind: "none", "log" or "boxcox" (Box and Cox 1964, J. R. Stat. Soc. B 26, 211).
        power: of Box and Cox.
        offset: in the unit of the values; above zero where some of them are zero.
    """

    kind: str = "none"
    power: float = 0.0
    offset: float = 0.0

    def __call__(self, values: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
        """Transform physical values; NaN stays NaN.

        Raises:
            UserError: one of them has no transform, because it is not positive.
        """
        if self.kind == "none":
            return values
        lowest = float(np.nanmin(values)) if values.size else 1.0
        if lowest + self.offset <= 0:
            raise UserError(
                f"--transform {self.kind} needs positive values, and the smallest is {lowest:g}: "
                "leave it out for this variable (none)."
            )
        logarithms = np.log(values.astype(np.float64) + self.offset)
        if self.power:
            logarithms = np.expm1(self.power * logarithms) / self.power
        return logarithms.astype(values.dtype)

    def inverse(self, values: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
        """Return physical values; beyond the range of the transform, the nearest physical value, zero or above."""
        if self.kind == "none":
            return values
        logarithms = values.astype(np.float64)
        if self.power:
            with np.errstate(divide="ignore"):
                logarithms = np.log(np.maximum(1 + self.power * logarithms, 0.0)) / self.power
        # A sample far out is a large number, not infinity.
        physical = np.exp(np.minimum(logarithms, _LARGEST)) - self.offset
        return np.maximum(physical, 0.0).astype(values.dtype)

    def named(self, channel: str) -> str:
        """Return the name of the transformed channel."""
        return channel if self.kind == "none" else f"{self.kind}({channel})"


def fit(kind: str, values: Float[np.ndarray, "*shape"], channel: str) -> Transform:
    """Fit a transform to the training values of one channel.

    Args:
        kind: one of `TRANSFORMS`.
        values: finite, physical units.
        channel: name of it, for the error.

    Raises:
        UserError: values below zero.
    """
    if kind == "none":
        return Transform()
    flat = values.reshape(-1).astype(np.float64)
    lowest = float(flat.min())
    if lowest < 0 or flat.max() <= 0:
        raise UserError(
            f"--transform {kind} needs positive values, and the smallest of {channel} is {lowest:g}: "
            "give none for this variable."
        )
    offset = _OFFSET * float(flat.mean()) if lowest == 0 else 0.0
    if kind == "log":
        return Transform(kind, 0.0, offset)
    from scipy.stats import boxcox_normmax

    few = flat[:: max(1, len(flat) // _FITTED)] + offset
    power = float(boxcox_normmax(few / few.mean(), method="mle", brack=(-1.0, 1.0)))
    return Transform(kind, float(np.clip(power, -2.0, 2.0)), offset)
