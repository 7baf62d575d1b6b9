"""Physical features of a field: a row of named numbers on which classifiers and tests see what pixels hide.

A small convolutional classifier sees an area under the ROC curve of 0.52 where gradient boosting on such numbers sees
0.76 (Kuramoto-Sivashinsky snapshots). Every feature is a function of one field alone:

- energies: logarithm of the energy of each low wave vector and of each resolved shell; what is left of the energy of
  the high shells once the low ones are known (a linear fit on reference fields);
- triads: cosine and sine of the phase of u_a u_b conj(u_c) with c = a + b, the normalised bispectrum (Kim and Powers
  1979, IEEE Trans. Plasma Sci. 7, 120), and the same product over its root mean square;
- moments: logarithm of the standard deviation, skewness, kurtosis, smallest and largest value of the field, its
  gradient, its Laplacian, and its tendency by the system's own right-hand side;
- structure functions of third order, <(u(x + r) - u(x))^3>;
- budgets: correlation of the tendency with the field and with its Laplacian, and the system's own budget terms;
- growth: change of the logarithmic energies over a short solve;
- residual: logarithm of the mean squared residual of an equation that holds at one time, where there is one.

All but the last three need no equation. On a periodic grid the features are blind to shifts; where the distribution is
not the same everywhere, projections on the leading principal components of the reference are added. Where parameters of
the system vary from field to field (`experiments.evaluation.varying`), their logarithms are features, and so are the
products of these with the energies and spreads: a field that does not fit its parameters shows in both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise, product

import numpy as np
from jaxtyping import Float

from experiments.evaluation.distances.features import RESOLVED
from experiments.evaluation.varying import parted

Fields = Float[np.ndarray, "n *grid c"]
Map = Callable[[np.ndarray], np.ndarray]

MODES = 8
"""Low wave vectors whose energies and triads are features."""
TRIADS = 16
SHELLS = 12
COMPONENTS = 12
"""Principal components of a distribution that is not the same everywhere."""
_DIRECT = 2048
"""Points up to which principal components are taken from the covariance matrix itself."""
_CHUNK = 1024
_ROUND_OFF = 1e-5
_TINY = 1e-30


class PhysicalFeatures:
    """Turns fields into rows of named numbers; fixed by reference fields alone.

    Args:
        reference: solver fields ``(n, *grid, channels)``, physical units; 256 or more.
        extent: lengths of the box; grid points count as one unit where it is left out.
        homogeneous: whether the distribution is the same everywhere on a periodic grid.
        periodic: whether the grid is periodic; spectra, triads and derivatives are taken only there.
        tendency: ``fields -> du/dt``, or None.
        later: ``fields -> fields`` a short solver time later, or None.
        budgets: ``fields -> {name: (n,)}``: the system's budget terms, or None.
        residual: ``fields -> (n,)``: mean squared residual of an equation that holds at one time, or None.
        parameters: names of the parameters whose logarithms are the last channels. All that takes fields here takes
            them joined; ``tendency`` and ``budgets`` return the rest alone.

    Attributes:
        names: of the features, in order.

    Raises:
        ValueError: reference fields that are not finite, or constant in a channel.

    Example:
        >>> features = PhysicalFeatures(solver_fields, extent=(22.0,))
        >>> rows = features(samples)  # (n, len(features.names))
    """

    def __init__(
        self,
        reference: Fields,
        *,
        extent: tuple[float, ...] | None = None,
        homogeneous: bool = True,
        periodic: bool = True,
        tendency: Map | None = None,
        later: Map | None = None,
        budgets: Callable[[np.ndarray], Mapping[str, np.ndarray]] | None = None,
        residual: Map | None = None,
        parameters: Sequence[str] = (),
    ) -> None:
        joint = np.asarray(reference, np.float32)
        self.parameters = tuple(parameters)
        reference, logarithms = parted(joint, len(self.parameters))
        self._middle, self._spread = logarithms.mean(axis=0), np.maximum(logarithms.std(axis=0), _TINY)
        self.shape, self.channels = reference.shape[1:-1], reference.shape[-1]
        self.extent = tuple(map(float, extent)) if extent is not None else tuple(map(float, self.shape))
        self._tendency, self._later, self._budgets, self._residual = tendency, later, budgets, residual
        axes = tuple(range(reference.ndim - 1))
        if not np.isfinite(reference).all() or np.any(np.ptp(reference, axis=axes) == 0):
            raise ValueError("reference fields must be finite, and vary in every channel.")
        self._mean = reference.mean(axis=axes, dtype=np.float64).astype(np.float32)
        self._std = np.maximum(reference.std(axis=axes, dtype=np.float64), _TINY).astype(np.float32)
        self._spectral = bool(self.shape) and periodic
        if self._spectral:
            self._set_spectrum(reference)
        self._components: np.ndarray | None = None
        if not (homogeneous and self._spectral):
            flat = self._standard(reference).reshape(len(reference), -1)
            self._origin = flat.mean(axis=0)
            self._components = _components(flat - self._origin)
        self._slaving: np.ndarray | None = None
        self._columns: list[tuple[str, np.ndarray]] = []
        self.names: tuple[str, ...] = ()
        rows, names = self._raw(joint[:4096])
        if self._spectral:
            self._fit_slaving(rows, names)
            rows, names = self._raw(joint[:4096])
        # Round-off must not decide: a feature that does not vary on the reference is left out.
        self._kept = np.flatnonzero(rows.std(axis=0) > _ROUND_OFF)
        self.names = tuple(names[i] for i in self._kept)

    def __call__(self, fields: Fields) -> Float[np.ndarray, "n features"]:
        """The features of fields in physical units.

        Raises:
            ValueError: fields of another shape than the reference.
        """
        fields = np.asarray(fields, np.float32)
        wanted = (*self.shape, self.channels + len(self.parameters))
        if fields.shape[1:] != wanted:
            raise ValueError(
                f"fields of shape {fields.shape[1:]} have no features beside reference fields of shape {wanted}; use "
                "one grid."
            )
        parts = [self._raw(fields[i : i + _CHUNK])[0] for i in range(0, len(fields), _CHUNK)]
        return np.concatenate(parts)[:, self._kept]

    def descriptors(self, fields: Fields) -> Float[np.ndarray, "n d"]:
        """Coordinates in which near fields are near, blind to shifts on a periodic grid, in standard deviations.

        Amplitudes of the low waves and their triads scaled to the same unit; without a periodic grid the values
        themselves. Parameters that vary are coordinates too.
        """
        fields, logarithms = parted(np.asarray(fields, np.float32), len(self.parameters))
        known = (logarithms - self._middle) / self._spread
        if not self._spectral:
            return np.concatenate([self._standard(fields).reshape(len(fields), -1), known], axis=1)
        parts = []
        for i in range(0, len(fields), _CHUNK):
            hat = self._transform(self._standard(fields[i : i + _CHUNK]))
            modes = [self._mode(hat, k) for k in self._modes]
            amplitudes = np.concatenate([np.abs(m) for m in modes], axis=-1)
            triads = []
            for a, b, c in self._triads:
                value = self._mode(hat, a) * self._mode(hat, b) * np.conj(self._mode(hat, c))
                value = value / np.maximum(np.abs(value), _TINY) ** (2 / 3)
                triads += [value.real, value.imag]
            parts.append(np.concatenate([amplitudes, *triads], axis=-1))
        described = np.concatenate(parts).astype(np.float32) * np.float32(np.sqrt(2.0))
        return np.concatenate([described, known], axis=1) if self.parameters else described

    def _standard(self, fields: np.ndarray) -> np.ndarray:
        return (fields - self._mean) / self._std

    def _transform(self, fields: np.ndarray) -> np.ndarray:
        return np.fft.rfftn(fields, axes=tuple(range(1, fields.ndim - 1))) / np.float32(np.prod(self.shape))

    def _mode(self, hat: np.ndarray, k: tuple[int, ...]) -> np.ndarray:
        """The coefficient of one wave vector, (n, channels)."""
        if k[-1] < 0:
            return np.conj(self._mode(hat, tuple(-i for i in k)))
        return np.moveaxis(hat, 0, -2)[k]

    def _set_spectrum(self, reference: np.ndarray) -> None:
        fundamental = [2 * np.pi / length for length in self.extent]
        self._k = [
            (np.fft.fftfreq(n, 1 / n) if axis < len(self.shape) - 1 else np.arange(n // 2 + 1)) * f
            for axis, (n, f) in enumerate(zip(self.shape, fundamental))
        ]
        square = np.sum([k**2 for k in np.meshgrid(*self._k, indexing="ij")], axis=0)
        self._k_square = square.astype(np.float32)
        shell = np.rint(np.sqrt(square) / min(fundamental)).astype(int)
        power = (np.abs(self._transform(self._standard(reference[:2048]))) ** 2).mean(axis=0).sum(axis=-1)
        top = int(min(n // 2 * f for n, f in zip(self.shape, fundamental)) / min(fundamental) + 1e-6)
        energy = np.array([power[shell == s].sum() for s in range(top + 1)])
        strong = energy[1:] > RESOLVED * energy[1:].max()
        resolved = max(1, int(np.cumprod(strong).sum()))
        # Low shells one by one, the others in bands of equal ratio.
        edges = np.unique(np.rint(np.geomspace(1, resolved + 1, SHELLS + 1)).astype(int))
        low = np.arange(1, min(resolved, SHELLS) + 1)
        edges = np.unique(np.concatenate([low, edges[edges > low[-1]], [resolved + 1]]))
        self._bands = [np.flatnonzero(((shell >= a) & (shell < b)).ravel()) for a, b in pairwise(edges) if b > a]
        self._band_names = [f"{a}" if b == a + 1 else f"{a} to {b - 1}" for a, b in pairwise(edges)]
        reach = range(-3, 4) if len(self.shape) > 1 else range(-MODES, MODES + 1)
        limit = [min(n // 2 - 1, 2 * MODES) for n in self.shape]
        vectors = [
            k
            for k in product(*[reach] * len(self.shape))
            if any(k) and all(abs(i) <= top for i, top in zip(k, limit)) and next(i for i in reversed(k) if i) > 0
        ]
        size = {k: sum((i * f) ** 2 for i, f in zip(k, fundamental)) for k in vectors}
        within = [k for k in vectors if np.sqrt(size[k]) / min(fundamental) < resolved + 0.5]
        # In more dimensions the strongest of the longest waves; on a line simply the longest.
        longest = sorted(within, key=lambda k: (size[k], k))[: 3 * MODES if len(self.shape) > 1 else MODES]
        weight = {k: float(power[_place(k)]) for k in longest}
        self._modes = sorted(longest, key=lambda k: -weight[k])[:MODES] if len(self.shape) > 1 else longest
        self._modes.sort(key=lambda k: (size[k], k))
        known, triads = set(longest), []
        for i, a in enumerate(longest):
            for b in longest[i:]:
                for sign in (1, -1):
                    c = tuple(p + sign * q for p, q in zip(a, b))
                    if c in known or tuple(-p for p in c) in known:
                        if sign < 0 and len(self.shape) == 1:
                            continue  # on a line the difference is the sum of another pair
                        signed = b if sign > 0 else tuple(-q for q in b)
                        own = c if c in known else tuple(-p for p in c)
                        triads.append((weight[a] * weight[b] * weight[own], (a, signed, c)))
        self._triads = [t for _, t in sorted(triads, key=lambda one: -one[0])[:TRIADS]]
        hat = self._transform(self._standard(reference[:2048]))
        self._triad_scale = [
            np.sqrt(
                np.mean(
                    np.abs(self._mode(hat, a) * self._mode(hat, b) * self._mode(hat, c)) ** 2, axis=0, dtype=np.float64
                )
            )
            for a, b, c in self._triads
        ]

    def _fit_slaving(self, rows: np.ndarray, names: list[str]) -> None:
        """Fit the logarithmic energies of the high bands linearly to everything said of the low waves."""
        energies = [i for i, n in enumerate(names) if n.startswith("energy of shell")]
        half = len(energies) // 2
        low = energies[:half] + [i for i, n in enumerate(names) if n.startswith(("energy of mode", "phase"))]
        self._low, self._high = low, energies[half:]
        design = np.column_stack([rows[:, low], rows[:, low] ** 2, np.ones(len(rows))])
        gram = design.T @ design
        gram[np.diag_indices_from(gram)] *= 1 + 1e-6
        self._slaving = np.linalg.solve(gram + 1e-9 * np.eye(len(gram)), design.T @ rows[:, self._high])

    def _raw(self, fields: np.ndarray) -> tuple[np.ndarray, list[str]]:
        """All features of fields, joined with their parameters where these vary, in float64, with their names."""
        columns: list[tuple[str, np.ndarray]] = []
        joint = fields
        fields, logarithms = parted(joint, len(self.parameters))
        standard = self._standard(fields)

        def add(name: str, values: np.ndarray) -> None:
            values = np.asarray(values, np.float64).reshape(len(fields), -1)
            for i in range(values.shape[1]):
                columns.append((name if values.shape[1] == 1 else f"{name}, channel {i}", values[:, i]))

        if self._components is not None:
            flat = standard.reshape(len(fields), -1) - self._origin
            scores = flat @ self._components
            for i in range(scores.shape[1]):
                add(f"principal component {i + 1}", scores[:, i])
        tendency = None if self._tendency is None else np.asarray(self._tendency(joint), np.float32) / self._std
        derived: dict[str, np.ndarray] = {}
        if self._spectral:
            hat = self._transform(standard)
            derived = self._spectral_features(add, standard, hat)
        if self.shape:
            derived = {"field": standard, **derived}
            if tendency is not None:
                derived["tendency"] = tendency
            for name, values in derived.items():
                for statistic, value in _moments(values).items():
                    add(f"{statistic} of {name}", value)
            if tendency is not None:
                axes = tuple(range(1, fields.ndim - 1))
                add("tendency along field", _correlation(tendency, standard, axes))
                if "laplacian" in derived:
                    add("tendency along laplacian", _correlation(tendency, derived["laplacian"], axes))
                add("power", (tendency * standard).mean(axis=axes))
        elif tendency is not None:
            add("tendency", tendency)
        if self._spectral and self._later is not None:
            later = parted(np.asarray(self._later(joint), np.float32), len(self.parameters))[0]
            after = self._transform(self._standard(later))
            for k in self._modes:
                change = np.log(np.abs(self._mode(after, k)) + 1e-9) - np.log(np.abs(self._mode(hat, k)) + 1e-9)
                add(f"growth of mode {_label(k)}", np.clip(change, -3, 3))
        if self._budgets is not None:
            for name, value in self._budgets(joint).items():
                add(f"budget, {name}", value)
        if self._residual is not None:
            add("log residual", np.log(np.asarray(self._residual(joint), np.float64) + _TINY))
        for name, value, middle in zip(self.parameters, logarithms.T, self._middle):
            add(f"log {name}", value)
            together = [one for one in columns if one[0].startswith(("energy of", "log standard deviation"))]
            for feature, known in together:
                add(f"log {name} times {feature}", known * (value - middle))
        names = [name for name, _ in columns]
        rows = np.stack([value for _, value in columns], axis=1)
        if self._slaving is not None:
            design = np.column_stack([rows[:, self._low], rows[:, self._low] ** 2, np.ones(len(rows))])
            left = rows[:, self._high] - design @ self._slaving
            rows = np.concatenate([rows, left], axis=1)
            names += [f"{names[i]} given the low waves" for i in self._high]
        return np.nan_to_num(rows, posinf=1e6, neginf=-1e6), names

    def _spectral_features(
        self, add: Callable[[str, np.ndarray], None], standard: np.ndarray, hat: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Add energies, triads and structure functions; return gradient and Laplacian."""
        n, channels = len(standard), self.channels
        power = (np.abs(hat) ** 2).reshape(n, -1, channels)
        add("mean", self._mode(hat, (0,) * len(self.shape)).real)
        for name, band in zip(self._band_names, self._bands):
            add(f"energy of shell {name}", np.log(power[:, band].sum(axis=1) + 1e-12))
        if len(self.shape) > 1:
            for k in self._modes:
                add(f"energy of mode {_label(k)}", np.log(np.abs(self._mode(hat, k)) ** 2 + 1e-12))
        for (a, b, c), scale in zip(self._triads, self._triad_scale):
            value = self._mode(hat, a) * self._mode(hat, b) * np.conj(self._mode(hat, c))
            unit = value / np.maximum(np.abs(value), _TINY)
            label = f"{_label(a)} {_label(b)}"
            add(f"phase cos {label}", unit.real)
            add(f"phase sin {label}", unit.imag)
            add(f"bispectrum real {label}", value.real / scale)
            add(f"bispectrum imaginary {label}", value.imag / scale)
        axes = tuple(range(1, standard.ndim - 1))
        derived = {}

        def inverse(transformed: np.ndarray) -> np.ndarray:
            return np.fft.irfftn(transformed, s=self.shape, axes=axes) * np.prod(self.shape)

        for axis, frequencies in enumerate(self._k):
            wave = frequencies.reshape([-1 if a == axis else 1 for a in range(len(self._k))])[..., None]
            if self.shape[axis] % 2 == 0:
                wave = np.where(np.abs(wave) == np.abs(frequencies).max(), 0, wave)
            name = "gradient" if len(self.shape) == 1 else f"gradient along axis {axis}"
            derived[name] = inverse(1j * wave.astype(np.float32) * hat)
        derived["laplacian"] = -inverse(self._k_square[..., None] * hat)
        for axis, points in enumerate(self.shape):
            for step in dict.fromkeys(max(1, points // part) for part in (32, 16, 8, 4)):
                change = np.roll(standard, -step, axis=1 + axis) - standard
                where = f"{step} points" if len(self.shape) == 1 else f"{step} points of axis {axis}"
                add(f"third-order structure function over {where}", (change * change * change).mean(axis=axes))
        return {name: value.astype(np.float32) for name, value in derived.items()}


def _components(anomalies: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "d kept"]:
    """Leading principal components, each scaled so that scores have the variance 1."""
    n, d = anomalies.shape
    if d <= _DIRECT:
        variance, vectors = np.linalg.eigh(np.cov(anomalies[:8192].T).reshape(d, d))
    else:
        # Of many points, by the inner products of the fields: the same components, and no d x d matrix.
        few = anomalies[: min(n, _DIRECT)]
        variance, weights = np.linalg.eigh(few @ few.T / max(len(few) - 1, 1))
        vectors = few.T @ (weights / np.sqrt(np.maximum(variance * max(len(few) - 1, 1), _TINY)))
    kept = np.argsort(-variance)[: min(COMPONENTS, d, n)]
    return vectors[:, kept] / np.sqrt(np.maximum(variance[kept], _TINY))


def _place(k: tuple[int, ...]) -> tuple[int, ...]:
    return k if k[-1] >= 0 else tuple(-i for i in k)


def _label(k: tuple[int, ...]) -> str:
    return str(k[0]) if len(k) == 1 else f"({', '.join(map(str, k))})"


def _moments(values: np.ndarray) -> dict[str, np.ndarray]:
    """Spread and shape of the values of each field and channel."""
    axes = tuple(range(1, values.ndim - 1))
    centred = values - values.mean(axis=axes, keepdims=True)
    squares = centred * centred
    variance = np.maximum(squares.mean(axis=axes), 1e-12)
    return {
        "log standard deviation": 0.5 * np.log(variance),
        # Products: powers of float32 arrays are ten times slower.
        "skewness": (squares * centred).mean(axis=axes) / variance**1.5,
        "kurtosis": (squares * squares).mean(axis=axes) / variance**2,
        "minimum": values.min(axis=axes),
        "maximum": values.max(axis=axes),
    }


def _correlation(one: np.ndarray, two: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    size = np.sqrt((one**2).mean(axis=axes) * (two**2).mean(axis=axes))
    return (one * two).mean(axis=axes) / np.maximum(size, 1e-12)
