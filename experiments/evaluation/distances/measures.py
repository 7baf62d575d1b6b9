"""The distances that are functions of averages over a set: computed from averaged rows of a `Frame`."""

from __future__ import annotations

import numpy as np

from experiments.evaluation.distances.features import Frame
from experiments.evaluation.distances.names import distance_names

QUANTILES = (0.001, 0.01, 0.99, 0.999)
TAIL = 20
"""Values of a set that at least lie beyond an extreme quantile; levels further out are drawn in to that."""


class Measures:
    """All distances but ``sliced`` between sets of which only the averaged rows are known.

    Args:
        frame: that made the rows.
        quantiles: levels of the quantiles that are compared; none for values on a ladder.
        n: fields of a set, by which levels that would rest on a few values are drawn in.

    Attributes:
        names: all distances, ``sliced`` among them, in order.
    """

    def __init__(self, frame: Frame, quantiles: tuple[float, ...], n: int) -> None:
        self.frame = frame
        # Quantiles that rest on a few values would be the pool's own extremes, which fresh sets exceed.
        tail = min(TAIL / (n * int(np.prod(frame.shape))), 0.25)
        self.quantiles = tuple(dict.fromkeys(float(np.clip(q, tail, 1 - tail)) for q in quantiles))
        self.names = distance_names(
            homogeneous=frame.homogeneous, separations=frame.separations, quantiles=self.quantiles
        )

    def between(self, a: np.ndarray, b: np.ndarray) -> dict[str, np.ndarray]:
        """All distances between averaged rows ``(..., columns)`` that broadcast against each other."""
        frame, part = self.frame, self.frame.part
        out: dict[str, np.ndarray] = {}
        if frame.homogeneous:
            logs = np.log(np.maximum(part(a, "energy"), 1e-37)) - np.log(np.maximum(part(b, "energy"), 1e-37))
            bands = [np.abs(logs[..., c, 1 : top + 1]).mean(-1) for c, top in enumerate(frame.resolved)]
            out["spectrum"] = np.mean(bands, axis=0)
        for name in frame.histograms:
            pa, pb = part(a, name), part(b, name)
            steps = np.abs(np.cumsum(pa[..., :-2] - pb[..., :-2], axis=-1)).sum(-1)
            steps = steps + np.abs(pa[..., -2:] - pb[..., -2:]).sum(-1)
            out[name] = (steps * (frame.width(name) / frame.scale[name])).mean(-1)
        if self.quantiles:
            qa, qb = self._quantiles(part(a, "marginals")), self._quantiles(part(b, "marginals"))
            out["quantiles"] = np.abs(qa - qb).mean(axis=(-1, -2))
        if frame.homogeneous:
            out["correlation"] = np.mean(
                [self._correlation_gap(a, b, axis) for axis in range(len(frame.shape))], axis=0
            )
        gap = part(a, "kernel") - part(b, "kernel")
        out["kernel"] = np.sqrt((gap**2).sum(-1) / (gap.shape[-1] // 2))
        return out

    def _correlation_gap(self, a: np.ndarray, b: np.ndarray, axis: int) -> np.ndarray:
        covariances = (self.frame.part(rows, f"covariance_{axis}") for rows in (a, b))
        first, second = (c / np.maximum(c[..., :1], 1e-37) for c in covariances)
        return np.abs(first - second)[..., 1:].mean(axis=(-1, -2))

    def _quantiles(self, shares: np.ndarray) -> np.ndarray:
        """Quantiles of the pooled values ``(..., channels, levels)``, linear within a bin, in standard deviations."""
        cdf = np.cumsum(shares[..., :-2], axis=-1, dtype=np.float64)
        out = np.empty((*cdf.shape[:-1], len(self.quantiles)))
        for i, q in enumerate(self.quantiles):
            index = np.minimum((cdf < q).sum(-1), cdf.shape[-1] - 1)
            above = np.take_along_axis(cdf, index[..., None], -1)[..., 0]
            share = np.take_along_axis(shares, index[..., None], -1)[..., 0]
            inside = np.where(share > 0, 1 - (above - q) / np.where(share > 0, share, 1), 0.0)
            out[..., i] = index + np.clip(inside, 0, 1)
        return out * (self.frame.width("marginals") / self.frame.scale["marginals"])[:, None]
