"""Conditional laws of measurements without networks: bootstraps, a Gaussian copula, a Gaussian process.

Each takes the settings (n, k) and responses (n, d) of real runs, and returns a function that takes settings (s, k)
and a number of runs and makes as many at each, (s, count, d). Settings are compared in units of the standard
deviation of each column over the design.

- Bootstrap of the replicates at the nearest setting (Efron 1979, Ann. Stat. 7, 1).
- The same with interpolation: the means of the settings are interpolated by a thin-plate spline (Duchon 1977; scipy),
  and the residuals of the nearest settings are drawn, more often where they are nearer.
- Gaussian copula of settings and responses (Sklar 1959; Nelsen 2006, section 2.9): normal scores, a linear conditional
  law among them, and the empirical quantiles of the responses.
- Gaussian process for the mean, and another one for the logarithm of the variance of the residuals (Rasmussen and
  Williams 2006, chapters 2 and 5; Goldberg et al. 1998, with the estimate of Kersting et al. 2007 for the second). The
  correlation of the responses is that of their standardised residuals.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from experiments.evaluation.virtual_runs import Sample

Fit = Callable[[Float[np.ndarray, "n k"], Float[np.ndarray, "n d"], int], Sample]
"""(settings, responses, seed) -> sampler of virtual runs."""
NEIGHBOURS = 4
"""Settings whose residuals the interpolated bootstrap draws."""
_EXPECTED_LOG = -1.2703628454614782
"""Expectation of the logarithm of a squared standard normal number, -gamma - log 2."""


def _scaled(settings: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    middle, scale = settings.mean(axis=0), settings.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    return (settings - middle) / scale, middle, scale


def _grouped(settings: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the different settings, and the runs of each."""
    different, which = np.unique(settings, axis=0, return_inverse=True)
    return different, [values[which.reshape(-1) == place] for place in range(len(different))]


def bootstrap(settings: Float[np.ndarray, "n k"], values: Float[np.ndarray, "n d"], seed: int) -> Sample:
    """Draw replicates of the nearest setting, with replacement.

    Example:
        >>> draw = bootstrap(np.array([[0.0], [0.0], [1.0]]), np.array([[1.0], [1.0], [5.0]]), 0)
        >>> draw(np.array([[0.8]]), 2).tolist()
        [[[5.0], [5.0]]]
    """
    scaled, middle, scale = _scaled(settings)
    places, runs = _grouped(scaled, values)
    rng = np.random.default_rng((seed, 71))

    def sample(asked: np.ndarray, count: int) -> np.ndarray:
        nearest = _distances((asked - middle) / scale, places).argmin(axis=1)
        return np.stack([runs[one][rng.integers(len(runs[one]), size=count)] for one in nearest])

    return sample


def interpolated_bootstrap(settings: Float[np.ndarray, "n k"], values: Float[np.ndarray, "n d"], seed: int) -> Sample:
    """Draw residuals of the nearest settings around a spline through the means of all.

    Raises:
        ValueError: a factor is a combination of others in all settings.
    """
    from scipy.interpolate import RBFInterpolator

    scaled, middle, scale = _scaled(settings)
    places, runs = _grouped(scaled, values)
    if np.linalg.matrix_rank(places, tol=1e-6) < places.shape[1]:
        raise ValueError("the factors do not vary independently, and a spline needs that")
    mean = RBFInterpolator(places, np.stack([one.mean(axis=0) for one in runs]), kernel="thin_plate_spline", degree=1)
    # n replicates lie nearer to their own mean than to the true one, by the factor (1 - 1/n)^1/2.
    residuals = [(one - one.mean(axis=0)) * np.sqrt(len(one) / max(len(one) - 1, 1)) for one in runs]
    rng = np.random.default_rng((seed, 72))

    def sample(asked: np.ndarray, count: int) -> np.ndarray:
        at = (asked - middle) / scale
        apart = _distances(at, places)
        made = []
        for place, centre in zip(apart, mean(at)):
            near = np.argsort(place, kind="stable")[:NEIGHBOURS]
            weights = 1 / np.maximum(place[near], 1e-9)
            chosen = near[rng.choice(len(near), size=count, p=weights / weights.sum())]
            picked = rng.random(count)
            made.append(np.stack([centre + residuals[c][int(u * len(residuals[c]))] for c, u in zip(chosen, picked)]))
        return np.stack(made)

    return sample


def _distances(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    return np.sqrt(((one[:, None] - two[None]) ** 2).sum(axis=-1))


def gaussian_copula(settings: Float[np.ndarray, "n k"], values: Float[np.ndarray, "n d"], seed: int) -> Sample:
    """Draw from the Gaussian copula of settings and responses, given the settings."""
    from scipy.stats import norm, rankdata

    count, width = len(values), settings.shape[1]
    columns = np.concatenate([settings, values], axis=1)
    levels = np.stack([(rankdata(one) - 0.5) / count for one in columns.T], axis=1)
    covariance = np.cov(norm.ppf(levels), rowvar=False) + 1e-9 * np.eye(columns.shape[1])
    slope = np.linalg.solve(covariance[:width, :width], covariance[:width, width:])
    left = covariance[width:, width:] - covariance[width:, :width] @ slope
    factor = np.linalg.cholesky(left)
    spread = np.sqrt(np.diag(covariance)[width:])
    ordered, own = np.sort(values, axis=0), (np.arange(count) + 0.5) / count
    rng = np.random.default_rng((seed, 73))

    def sample(asked: np.ndarray, many: int) -> np.ndarray:
        scores = []
        for c in range(width):
            order = np.argsort(settings[:, c], kind="stable")
            # A setting between two levels has a level between theirs; one beyond the design has the outermost.
            scores.append(norm.ppf(np.interp(asked[:, c], settings[order, c], levels[order, c])))
        centre = np.stack(scores, axis=1) @ slope
        normal = rng.standard_normal((len(asked), many, len(factor)))
        drawn = norm.cdf((centre[:, None] + normal @ factor.T) / spread)
        return np.stack([np.interp(drawn[..., c], own, ordered[:, c]) for c in range(ordered.shape[1])], axis=-1)

    return sample


class _Process:
    """Gaussian process of one response, constant mean, squared-exponential kernel with a length for each factor.

    The likelihood is that of all runs. Runs at one setting have one noise, so that it needs their mean and the sum of
    squares around it alone, and matrices as large as there are settings.

    Args:
        places: settings, in units of the design's spread, (s, k).
        runs: values at each setting.
        noise: variance of the runs at each setting, (s,), up to a factor that is fitted; None for one for all.
    """

    def __init__(self, places: np.ndarray, runs: list[np.ndarray], noise: np.ndarray | None = None) -> None:
        from scipy.linalg import cho_factor, cho_solve
        from scipy.optimize import minimize

        every = np.concatenate(runs)
        self._places, self._mean, self._unit = places, float(every.mean()), float(every.std()) or 1.0
        scaled = [(one - self._mean) / self._unit for one in runs]
        means, counts = np.array([one.mean() for one in scaled]), np.array([len(one) for one in scaled])
        inner = np.array([((one - one.mean()) ** 2).sum() for one in scaled])
        shape = np.ones(len(places)) if noise is None else noise / noise.mean()
        freedom = float((counts - 1).sum())

        def factored(logs: np.ndarray) -> tuple[np.ndarray, bool]:
            variance = np.exp(2 * logs[-1]) * shape / counts + 1e-8
            return cho_factor(self._kernel(places, places, logs) + np.diag(variance), lower=True)

        def loss(logs: np.ndarray) -> float:
            try:
                factor = factored(logs)
            except np.linalg.LinAlgError:
                return 1e10
            between = 0.5 * means @ cho_solve(factor, means) + np.log(np.diag(factor[0])).sum()
            return float(between + freedom * logs[-1] + 0.5 * np.exp(-2 * logs[-1]) * (inner / shape).sum())

        width = places.shape[1]
        start = np.array([*np.full(width, 0.5), 0.0, np.log(0.3)])
        bounds = [*[(-2.0, 5.0)] * width, (-4.0, 4.0), (-8.0, 1.0)]
        self._logs = minimize(loss, start, method="L-BFGS-B", bounds=bounds, options={"maxiter": 100}).x
        self._factor = factored(self._logs)
        self._weights = cho_solve(self._factor, means)

    def _kernel(self, one: np.ndarray, two: np.ndarray, logs: np.ndarray) -> np.ndarray:
        lengths = np.exp(logs[: one.shape[1]])
        squares = (((one[:, None] - two[None]) / lengths) ** 2).sum(axis=-1)
        return np.exp(2 * logs[-2]) * np.exp(-0.5 * squares)

    def __call__(self, asked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation of the function at settings, (s,) each."""
        from scipy.linalg import cho_solve

        cross = self._kernel(asked, self._places, self._logs)
        known = np.einsum("sn,ns->s", cross, cho_solve(self._factor, cross.T))
        variance = np.maximum(np.exp(2 * self._logs[-2]) - known, 0.0)
        return self._mean + self._unit * cross @ self._weights, self._unit * np.sqrt(variance)


def gaussian_process(settings: Float[np.ndarray, "n k"], values: Float[np.ndarray, "n d"], seed: int) -> Sample:
    """Draw from the predictive law of a Gaussian process whose noise depends on the setting."""
    scaled, middle, scale = _scaled(settings)
    places, runs = _grouped(scaled, values)
    means, noises, residuals = [], [], []
    for c in range(values.shape[1]):
        column = [one[:, c] for one in runs]
        least = 1e-12 * max(float(values[:, c].var()), 1e-300)
        first = _Process(places, column)(places)[0]
        logs = [np.log(np.maximum((one - at) ** 2, least)) - _EXPECTED_LOG for one, at in zip(column, first)]
        noise = _Process(places, logs)
        level = np.exp(0.5 * noise(places)[0])
        mean = _Process(places, column, level**2)
        residual = np.concatenate([(one - at) / of for one, at, of in zip(column, mean(places)[0], level)])
        # The mean of a logarithm is sensitive to small residuals; the second moment sets the level.
        means.append(mean)
        noises.append((noise, float(np.sqrt(np.mean(residual**2)))))
        residuals.append(residual)
    correlation = np.atleast_2d(np.corrcoef(np.stack(residuals)))
    factor = np.linalg.cholesky(correlation + 1e-9 * np.eye(len(correlation)))
    rng = np.random.default_rng((seed, 74))

    def sample(asked: np.ndarray, count: int) -> np.ndarray:
        at = (asked - middle) / scale
        normal = rng.standard_normal((len(at), count, len(factor))) @ factor.T
        made = []
        for c, (mean, (noise, level)) in enumerate(zip(means, noises)):
            centre, unsure = mean(at)
            spread = np.sqrt((level * np.exp(0.5 * noise(at)[0])) ** 2 + unsure**2)
            made.append(centre[:, None] + spread[:, None] * normal[..., c])
        return np.stack(made, axis=-1)

    return sample


RIVALS: dict[str, tuple[str, Fit]] = {
    "bootstrap": ("the replicates of the nearest setting, drawn with replacement", bootstrap),
    "interpolated_bootstrap": (
        "residuals of the four nearest settings around a spline through the means",
        interpolated_bootstrap,
    ),
    "gaussian_copula": ("a Gaussian copula of settings and responses, given the settings", gaussian_copula),
    "gaussian_process": (
        "a Gaussian process for the mean and another one for the logarithm of the variance",
        gaussian_process,
    ),
}
"""Meaning and fit of every rival by name."""
