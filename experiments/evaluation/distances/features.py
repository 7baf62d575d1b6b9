"""What is kept of each field so that a set of fields can be compared, resampled and split hundreds of times.

Almost every distance of ``experiments.evaluation.distances.distribution`` is a function of *averages over the set*:
the mean energy spectrum, the pooled histogram of the values, the mean of cos and sin of random projections. So each
field is turned once into one row of numbers, and any resampled, split or weighted set costs one product of
its weights with those rows. Only the sliced Wasserstein distance needs the projections of the single fields,
which are kept beside the rows.

The rows mean something only relative to a `Frame`: the bins, the resolved band, the scales and the random
directions, all fixed by the reference fields alone, so that two sets are measured with one ruler.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from experiments.evaluation.varying import parted

BINS = 512
DIRECTIONS = 128
FREQUENCIES = 384
RESOLVED = 1e-6
"""Shells whose mean energy lies below this share of the strongest shell are round-off in float32."""
BANDWIDTHS = (0.5, 1.0, 2.0)
"""Kernel bandwidths in units of the median distance between two reference fields."""


@dataclass(frozen=True)
class FieldFeatures:
    """The features of ``n`` fields in one `Frame`.

    Attributes:
        rows: ``(n, columns)``; averages of rows over a set are all that most distances need.
        projections: ``(directions, n)``: the fields, divided by each channel's standard deviation, along
            unit directions.

    """

    rows: np.ndarray
    projections: np.ndarray

    def __len__(self) -> int:
        return self.rows.shape[0]

    def part(self, start: int, stop: int) -> FieldFeatures:
        """The features of some of the fields."""
        return FieldFeatures(self.rows[start:stop], self.projections[:, start:stop])


class Frame:
    """The ruler: everything that turns a field into features, fixed by reference fields alone.

    Args:
        reference: solver fields ``(n, *grid, channels)``, physical units, one per independent trajectory.
        extent: lengths of the periodic box, physical; grid points count as one unit where it is left out.
        separations: distances of the increments in grid points; default 1, N/16 and N/4 for the shortest
            axis N.
        bins: bins of each histogram, over the range of the reference widened by an eighth of it on either
            side. Values beyond are not lost: their overshoot is a column of its own, so Wasserstein-1 keeps
            its size.
        directions: random directions of the sliced Wasserstein distance.
        frequencies: random frequencies of the kernel statistic.
        resolved: shells are resolved up to the first whose mean energy is below this share of the strongest
            one's.
        homogeneous: whether the distribution is the same everywhere on a periodic grid. Where it is not, as for images,
            and for points, which have no grid, energy, covariances and increments are not kept.
        parameters: last channels that are parameters (`experiments.evaluation.varying`), which no distance looks at.
        seed: of directions and frequencies.

    Raises:
        ValueError: fewer than two reference fields, non-finite or constant ones, or a separation off the
            grid.

    """

    def __init__(
        self,
        reference: Float[np.ndarray, "n *grid c"],
        *,
        extent: tuple[float, ...] | None = None,
        separations: tuple[int, ...] | None = None,
        bins: int = BINS,
        directions: int = DIRECTIONS,
        frequencies: int = FREQUENCIES,
        resolved: float = RESOLVED,
        homogeneous: bool = True,
        parameters: int = 0,
        seed: int = 0,
    ) -> None:
        self.parameters = parameters
        reference = parted(_checked(reference, None), parameters)[0]
        self.shape = reference.shape[1:-1]
        self.channels = reference.shape[-1]
        self.homogeneous = homogeneous and bool(self.shape)
        self.extent = tuple(float(n) for n in self.shape) if extent is None else tuple(map(float, extent))
        if len(self.extent) != len(self.shape):
            raise ValueError(
                f"extent={self.extent} has {len(self.extent)} lengths, the fields {len(self.shape)} axes; "
                "give one per axis."
            )
        self.separations = self._separations(separations) if self.homogeneous else ()
        axes = tuple(range(reference.ndim - 1))
        self.mean = reference.mean(axis=axes, dtype=np.float64).astype(np.float32)
        self.std = reference.std(axis=axes, dtype=np.float64).astype(np.float32)
        if np.any(self.std <= 1e-12 * (1.0 + np.abs(self.mean))):
            raise ValueError(
                f"the reference fields are constant in channel {int(np.argmin(self.std))}; there is nothing to compare."
            )
        self.bins = bins
        if self.homogeneous:
            self._set_shells()
        self._set_bins(reference)
        self._set_directions(reference, directions, frequencies, seed)
        self._lay_out_columns()
        if self.homogeneous:
            self.resolved = resolved_shells(self.energy(reference).mean(axis=0, dtype=np.float64), resolved)
            """Highest resolved shell of each channel."""

    def _separations(self, given: tuple[int, ...] | None) -> tuple[int, ...]:
        shortest = min(self.shape)
        if given is None:
            return tuple(dict.fromkeys(max(1, s) for s in (1, shortest // 16, shortest // 4)))
        for s in given:
            if not 1 <= s < shortest:
                raise ValueError(
                    f"separations={given}: {s} is no distance on {shortest} points; use 1 to {shortest - 1}."
                )
        return tuple(given)

    def _set_shells(self) -> None:
        fundamental = [2 * np.pi / length for length in self.extent]
        self.fundamental = min(fundamental)
        frequencies = [np.fft.fftfreq(n, 1.0 / n) * f for n, f in zip(self.shape, fundamental)]
        last = self.shape[-1]
        frequencies[-1] = np.arange(last // 2 + 1) * fundamental[-1]
        size = np.sqrt(sum(k**2 for k in np.meshgrid(*frequencies, indexing="ij")))
        shell = np.rint(size / self.fundamental).astype(int)
        # Shells beyond the Nyquist wavenumber of an axis are cut by the corners of the grid.
        top = int(min(n // 2 * f for n, f in zip(self.shape, fundamental)) / self.fundamental + 1e-6)
        twice = np.full(last // 2 + 1, 2.0)
        twice[0] = 1.0
        if last % 2 == 0:
            twice[-1] = 1.0
        weight = np.broadcast_to(twice, size.shape) / np.prod(self.shape) ** 2
        matrix = np.zeros((size.size, top + 1), np.float32)
        inside = shell.ravel() <= top
        matrix[np.flatnonzero(inside), shell.ravel()[inside]] = weight.ravel()[inside]
        self._shells = matrix
        self.wavenumbers = np.arange(top + 1) * self.fundamental

    def _set_bins(self, reference: np.ndarray) -> None:
        self._low: dict[str, np.ndarray] = {}
        self._width: dict[str, np.ndarray] = {}
        self.scale: dict[str, np.ndarray] = {}
        for name in self.histograms:
            sizes = self._quantity(reference, name)
            lows = np.array([x.min() for x in sizes], np.float64)
            highs = np.array([x.max() for x in sizes], np.float64)
            spans = np.maximum(highs - lows, 1e-30)
            self._low[name] = lows - spans / 8
            self._width[name] = spans * 1.25 / self.bins
            self.scale[name] = np.maximum(np.array([x.std(dtype=np.float64) for x in sizes]), 1e-30)

    def _set_directions(self, reference: np.ndarray, directions: int, frequencies: int, seed: int) -> None:
        rng = np.random.default_rng((seed, 0x5E7))
        size = int(np.prod(self.shape)) * self.channels
        vectors = rng.standard_normal((size, directions)).astype(np.float32)
        self._directions = vectors / np.linalg.norm(vectors, axis=0)
        sample = self._flat(reference[rng.permutation(len(reference))[:512]])
        half = len(sample) // 2
        self.median = float(np.median(np.linalg.norm(sample[:half] - sample[half : 2 * half], axis=1)))
        bandwidths = np.resize(np.array(BANDWIDTHS), frequencies) * max(self.median, 1e-30)
        waves = rng.standard_normal((size, frequencies)) / bandwidths
        self._frequencies = waves.astype(np.float32)

    @property
    def histograms(self) -> tuple[str, ...]:
        """Names of the quantities whose pooled histograms are kept."""
        return ("marginals", *(f"increments_{s}" for s in self.separations))

    def _lay_out_columns(self) -> None:
        shapes: dict[str, tuple[int, ...]] = {}
        if self.homogeneous:
            shapes["energy"] = (self.channels, len(self.wavenumbers))
            for axis, n in enumerate(self.shape):
                shapes[f"covariance_{axis}"] = (self.channels, n // 2 + 1)
        for name in self.histograms:
            shapes[name] = (len(self._low[name]), self.bins + 2)
        shapes["kernel"] = (2 * self._frequencies.shape[1],)
        self._parts: dict[str, tuple[slice, tuple[int, ...]]] = {}
        start = 0
        for name, shape in shapes.items():
            stop = start + int(np.prod(shape))
            self._parts[name] = (slice(start, stop), shape)
            start = stop
        self.columns = start

    def part(self, rows: np.ndarray, name: str) -> np.ndarray:
        """One named part of rows or of their averages: ``(..., columns)`` to ``(..., *shape of the part)``."""
        where, shape = self._parts[name]
        return rows[..., where].reshape(*rows.shape[:-1], *shape)

    def edges(self, name: str, which: int = 0) -> np.ndarray:
        """Edges of the bins of one quantity, physical units; ``which`` counts axes times channels."""
        return self._low[name][which] + self._width[name][which] * np.arange(self.bins + 1)

    def width(self, name: str) -> np.ndarray:
        """Width of the bins of one quantity, per axis and channel, physical units."""
        return self._width[name]

    def low(self, name: str) -> np.ndarray:
        """Left edge of the first bin of one quantity, per axis and channel, physical units."""
        return self._low[name]

    def __call__(self, fields: Float[np.ndarray, "n *grid c"]) -> FieldFeatures:
        """Features of fields ``(n, *grid, channels)`` in physical units.

        Raises:
            ValueError: fields of another shape than the reference, or non-finite ones.

        """
        fields = parted(_checked(fields, (*self.shape, self.channels + self.parameters)), self.parameters)[0]
        flat = self._flat(fields)
        projections = np.ascontiguousarray((flat @ self._directions).T)
        return FieldFeatures(self._rows(fields, flat), projections)

    def energy(self, fields: Float[np.ndarray, "n *grid c"]) -> Float[np.ndarray, "n c shells"]:
        """Energy of each shell of integer ``|k| / k_min`` of each field, about the reference's mean.

        The shells sum to the variance, but for the corners of the grid beyond the last shell.
        """
        return self._power(fields).reshape(len(fields), self.channels, -1) @ self._shells

    def _power(self, fields: np.ndarray) -> np.ndarray:
        hat = np.fft.rfftn(np.asarray(fields, np.float32) - self.mean, axes=tuple(range(1, fields.ndim - 1)))
        return np.moveaxis(hat.real**2 + hat.imag**2, -1, 1)

    def _flat(self, fields: np.ndarray) -> np.ndarray:
        return ((fields - self.mean) / self.std).reshape(len(fields), -1)

    def _rows(self, fields: np.ndarray, flat: np.ndarray | None = None) -> np.ndarray:
        n = len(fields)
        rows = np.empty((n, self.columns), np.float32)
        if self.homogeneous:
            self._write_spectra(rows, self._power(fields))
        for name in self.histograms:
            counts = [
                self._histogram(x, self._low[name][i], self._width[name][i])
                for i, x in enumerate(self._quantity(fields, name))
            ]
            self._write(rows, name, np.stack(counts, axis=1))
        angles = (self._flat(fields) if flat is None else flat) @ self._frequencies
        self._write(rows, "kernel", np.concatenate([np.cos(angles), np.sin(angles)], axis=1))
        return rows

    def _write_spectra(self, rows: np.ndarray, power: np.ndarray) -> None:
        self._write(rows, "energy", power.reshape(len(rows), self.channels, -1) @ self._shells)
        spatial = tuple(range(2, 2 + len(self.shape)))
        covariance = np.fft.irfftn(power, s=self.shape, axes=spatial) / np.prod(self.shape)
        for axis, points in enumerate(self.shape):
            line = np.moveaxis(covariance, 2 + axis, -1)[..., : points // 2 + 1]
            while line.ndim > 3:
                line = line[:, :, 0]
            self._write(rows, f"covariance_{axis}", line)

    def _write(self, rows: np.ndarray, name: str, values: np.ndarray) -> None:
        rows[:, self._parts[name][0]] = values.reshape(len(rows), -1)

    def _quantity(self, fields: np.ndarray, name: str) -> list[np.ndarray]:
        """One array ``(n, points)`` per channel (values) or per axis and channel (increments)."""
        n = len(fields)
        if name == "marginals":
            return [fields[..., c].reshape(n, -1) for c in range(self.channels)]
        step = int(name.rsplit("_", 1)[1])
        return [
            (np.roll(fields[..., c], -step, axis=1 + axis) - fields[..., c]).reshape(n, -1)
            for axis in range(len(self.shape))
            for c in range(self.channels)
        ]

    def _histogram(self, x: np.ndarray, low: float, width: float) -> np.ndarray:
        """Shares of the points of each field in each bin, then the mean overshoot below and above, in bins."""
        n, points = x.shape
        place = (x - np.float32(low)) * np.float32(1.0 / width)
        index = np.clip(place, 0, self.bins - 1).astype(np.int64)
        index += (np.arange(n) * self.bins)[:, None]
        counts = np.bincount(index.ravel(), minlength=n * self.bins).reshape(n, self.bins)
        out = np.empty((n, self.bins + 2), np.float32)
        np.multiply(counts, np.float32(1.0 / points), out=out[:, : self.bins], casting="unsafe")
        out[:, -2] = np.maximum(-place, 0).mean(axis=1)
        out[:, -1] = np.maximum(place - self.bins, 0).mean(axis=1)
        return out


def resolved_shells(energy: Float[np.ndarray, "*sets shells"], share: float = RESOLVED) -> np.ndarray:
    """Highest shell up to which all of shells 1, 2, ... carry more than a share of the strongest one's energy."""
    strong = energy[..., 1:] > share * energy[..., 1:].max(axis=-1, keepdims=True)
    return np.cumprod(strong, axis=-1).sum(axis=-1)


def _checked(fields: np.ndarray, shape: tuple[int, ...] | None) -> np.ndarray:
    fields = np.asarray(fields, np.float32)
    if fields.ndim < 2 or len(fields) < 2:
        raise ValueError(
            f"fields of shape {fields.shape}: at least two fields (n, *grid, channels) are needed "
            "to compare distributions."
        )
    if shape is not None and fields.shape[1:] != shape:
        raise ValueError(
            f"fields of shape {fields.shape[1:]} cannot be held against reference fields of shape {shape}; "
            "use one grid."
        )
    if not np.isfinite(fields).all():
        bad = int((~np.isfinite(fields).reshape(len(fields), -1).all(axis=1)).sum())
        raise ValueError(f"{bad} of {len(fields)} fields are not finite; leave them out and report their share.")
    return fields
