"""All two-sample tests together: samples against held-out reference fields, and one joint test over all of them.

The reference side is prepared once (`Battery`); every set of samples is then tested by

- ``classifier_features``: area under the ROC curve of gradient boosting on physical features;
- ``classifier_extremes``: its most and least sample-like ratings, where few wrong samples among many right ones show;
- ``classifier_gaussian``: ratings by gradient boosting that was trained to distinguish training fields from Gaussian
  fields of their second moments. A few Gaussian fields among many right ones teach a classifier of samples too little;
- ``classifier_fields``: area under the ROC curve of a small convolutional network;
- ``features``: means, spreads and quantiles of every physical feature;
- ``spectrum``, ``marginals``, ``increments_S``, ``quantiles``, ``correlation``, ``kernel``: the distances of
  `experiments.evaluation.distances`;
- ``neighbours``: how often the nearest neighbours of a sample are samples (Schilling 1986; Henze 1988), modulo
  symmetries;
- ``duplicates``: the same among the closest pairs of all, where copies show;
- ``bank_near``, ``bank_far``: too many or too few samples near the training fields, as stored and on their paths when
  the solver advances them.

Classifiers are trained on other samples and on training fields, so that the held-out sets are exchangeable under the
null hypothesis, and random relabellings of them (`relabelling`) make every p-value exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.stats import rankdata

from experiments.evaluation.distances.features import Frame
from experiments.evaluation.distances.measures import QUANTILES, Measures
from experiments.evaluation.entries import Bound, Interval, Test
from experiments.evaluation.gaussian_fields import gaussian_fields
from experiments.evaluation.intervals import central
from experiments.evaluation.results import Tests
from experiments.evaluation.two_sample.classifiers import (
    ClassifierScores,
    auc,
    auc_interval,
    boosted_rating,
    boosted_scores,
    convolutional_scores,
)
from experiments.evaluation.two_sample.neighbours import Paths, distance_to, images, nearest_others, paths
from experiments.evaluation.two_sample.physical_features import PhysicalFeatures
from experiments.evaluation.two_sample.relabelling import (
    Relabelling,
    area_error,
    largest,
    p_value,
    scale_of,
    standardised,
)
from experiments.evaluation.varying import parted
from gan.augmentation import SymmetriesLike

Fields = Float[np.ndarray, "n *grid c"]
Statistic = Float[np.ndarray, " draws_and_one"]

DRAWS = 5000
LEVELS = (0.01, 0.05, 0.5, 0.95, 0.99)
"""Quantiles of every feature whose exceedance is tested."""
EXTREMES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1)
"""Shares of the most, and of the least, sample-like fields by the classifier."""
NEAR = (0.002, 0.01, 0.05, 0.2)
"""Shares of fields nearest to the training fields."""
BINS, FREQUENCIES = 128, 64
POWER = 0.8416212335729143
"""Standard deviations by which a test must be exceeded on average for a power of 80%."""


class PreparedSet(NamedTuple):
    """What the tests need to know of a set of fields.

    Attributes:
        features: physical features of every field.
        rows: of every field, see `experiments.evaluation.distances.features`.
        described: descriptors of the fields and of each of their mirror images.
    """

    features: np.ndarray
    rows: np.ndarray
    described: tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Outcome:
    """Statistics of one set of samples under all relabellings, and what is to be said of them.

    Attributes:
        statistics: by member; the true labels first.
        ratings: of the held-out sets by each classifier.
        bounds: quantity -> relative difference of the means, and its standard error.
    """

    statistics: Mapping[str, Statistic]
    ratings: Mapping[str, ClassifierScores]
    bounds: Mapping[str, tuple[float, float]]

    @cached_property
    def joint(self) -> Statistic:
        """The largest standardised statistic of every relabelling."""
        return largest(self.statistics)

    @property
    def p_value(self) -> float:
        """Of the joint test."""
        return p_value(self.joint)


class Battery:
    """Tests of samples against one reference.

    Args:
        training: training fields ``(b, *grid, c)``: the classifiers' other class, and the bank; physical units.
        reference: held-out fields ``(m, *grid, c)``, each from its own trajectory.
        features: physical features, fixed by training fields.
        extent: of the box.
        symmetries: ``shift_axes``, ``reflections`` and ``moves``; None for none.
        homogeneous: whether the distribution is the same everywhere on a periodic grid.
        periodic: whether the grid is periodic.
        separations, quantiles: of the distances.
        tested: samples that are tested, beside as many on which the classifiers are trained.
        draws: relabellings.
        level: of the joint test.
        seed: of relabellings and classifiers.

    Example:
        >>> battery = Battery(training, reference, features=PhysicalFeatures(training), extent=(22.0,), tested=2048)
        >>> battery.tests(samples).distinguished
    """

    def __init__(
        self,
        training: Float[np.ndarray, "b *grid c"],
        reference: Float[np.ndarray, "m *grid c"],
        *,
        features: PhysicalFeatures,
        tested: int,
        extent: tuple[float, ...] | None = None,
        symmetries: SymmetriesLike | None = None,
        homogeneous: bool = True,
        periodic: bool = True,
        separations: tuple[int, ...] | None = None,
        quantiles: tuple[float, ...] = QUANTILES,
        draws: int = DRAWS,
        level: float = 0.05,
        seed: int = 0,
    ) -> None:
        self.features, self.symmetries, self.periodic = features, symmetries, periodic
        self.level, self.seed = level, seed
        training = np.asarray(training, np.float32)
        frame = Frame(
            training[:8192],
            extent=extent,
            separations=separations,
            homogeneous=homogeneous,
            parameters=len(features.parameters),
            bins=BINS,
            directions=1,
            frequencies=FREQUENCIES,
            seed=seed,
        )
        self.measures = Measures(frame, quantiles, len(reference))
        self.labels = Relabelling(tested, len(reference), draws, seed)
        # The classifiers see as many training fields as samples, chosen once.
        chosen = np.random.default_rng((seed, 32)).permutation(len(training))[:tested]
        self._fit_fields = training[chosen]
        self._fit_features = features(self._fit_fields)
        gaussian = gaussian_fields(
            training,
            tested,
            seed=seed,
            homogeneous=homogeneous and periodic,
            asked=parted(self._fit_fields, len(features.parameters))[1],
        )
        self._rate_gaussian = boosted_rating((features(gaussian), self._fit_features), seed=seed)
        self._reference_fields = np.asarray(reference, np.float32)
        self.reference = self.prepare(self._reference_fields)

    def prepare(self, fields: Fields) -> PreparedSet:
        """Features, rows and descriptors of fields, for example of the reference advanced."""
        fields = np.asarray(fields, np.float32)
        described = tuple(images(fields, self.features.descriptors, self.symmetries))
        return PreparedSet(self.features(fields), self.measures.frame(fields).rows, described)

    def prepare_bank(self, moments: Sequence[Fields]) -> Paths:
        """Describe stored fields at successive solver times, the first as they are stored."""
        return paths([np.asarray(one, np.float32) for one in moments], self.features.descriptors, self.symmetries)

    def quick(self, draws: int) -> Battery:
        """The same tests with fewer relabellings, for searches through many sets."""
        few = copy(self)
        few.labels = self.labels.fewer(draws)
        return few

    def outcome(
        self,
        samples: Fields,
        *,
        reference: PreparedSet | None = None,
        bank: Sequence[Paths] = (),
        convolutional: bool = False,
    ) -> Outcome:
        """Every member's statistic under all relabellings.

        Args:
            samples: twice as many as are tested: the first half trains the classifiers, the second is tested.
            reference: as `prepare` returns it; the battery's own where it is left out.
            bank: stored fields to which samples must not be too near, as `prepare_bank` returns them.
            convolutional: whether the convolutional classifier is trained too.

        Raises:
            ValueError: another number of samples, or samples that are not finite.
        """
        labels, half = self.labels, self.labels.samples
        if len(samples) != 2 * half:
            raise ValueError(f"{len(samples)} samples for tests of {half}: give {2 * half}, half to train classifiers.")
        if convolutional and reference is not None:
            raise ValueError("the convolutional classifier needs the battery's own reference fields.")
        samples = np.asarray(samples, np.float32)
        if not np.isfinite(samples).all():
            raise ValueError(
                "samples that are not finite cannot be tested: leave them out, and say how many there are."
            )
        fit, held = samples[:half], samples[half:]
        against, own = reference or self.reference, self.prepare(held)
        ratings = {
            "classifier_features": boosted_scores(
                (self.features(fit), self._fit_features), (own.features, against.features), seed=self.seed
            )
        }
        if convolutional:
            ratings["classifier_fields"] = convolutional_scores(
                (fit, self._fit_fields),
                (held, self._reference_fields),
                symmetries=self.symmetries,
                periodic=self.periodic,
                seed=self.seed,
            )
        statistics = {
            name: labels.deviations(rankdata(np.concatenate(scores))[:, None])[:, 0] for name, scores in ratings.items()
        }
        statistics["classifier_extremes"] = self._extremes(np.concatenate(ratings["classifier_features"]))
        rated = self._rate_gaussian(np.concatenate([own.features, against.features]))
        middle = np.abs(labels.deviations(rankdata(rated)[:, None])[:, 0])
        statistics["classifier_gaussian"] = np.maximum(middle, self._extremes(rated))
        energies = [self._energies(one.rows) for one in (own, against)]
        pooled = np.concatenate([np.concatenate([own.features, against.features]), np.concatenate(energies)], axis=1)
        moved = [labels.deviations(rows) for rows in (pooled, *self._spreads(pooled))]
        statistics["features"] = np.max([np.abs(one).max(axis=1) for one in moved], axis=0)
        statistics |= self.measures.between(*labels.means(np.concatenate([own.rows, against.rows])))
        statistics |= self._mixing(own.described, against.described)
        if bank:
            statistics |= self._nearness(own.described, against.described, bank)
        return Outcome(statistics, ratings, self._differences(*energies))

    def _extremes(self, rated: np.ndarray) -> Statistic:
        """Largest excess or lack of samples among the highest and among the lowest ratings."""
        cuts = [*EXTREMES, *(1 - share for share in EXTREMES)]
        beyond = np.stack([rated <= c for c in np.quantile(rated, cuts)], axis=1)
        return np.abs(self.labels.deviations(beyond)).max(axis=1)

    def _energies(self, rows: np.ndarray) -> np.ndarray:
        """Energy of each field: in all, then of each resolved shell of each channel."""
        frame = self.measures.frame
        if not frame.homogeneous:
            return np.zeros((len(rows), 0), np.float32)
        energy = frame.part(rows, "energy")
        shells = [energy[:, c, 1 : top + 1] for c, top in enumerate(frame.resolved)]
        return np.concatenate([energy[:, :, 1:].sum(axis=(1, 2))[:, None], *shells], axis=1)

    def _differences(self, own: np.ndarray, other: np.ndarray) -> dict[str, tuple[float, float]]:
        """Relative difference of the mean energies, in all and shell by shell, and its standard error."""
        if not own.shape[1]:
            return {}
        found = {}
        names = ["energy"] + [
            f"energy of shell {k}" + (f", channel {c}" if self.measures.frame.channels > 1 else "")
            for c, top in enumerate(self.measures.frame.resolved)
            for k in range(1, top + 1)
        ]
        for name, a, b in zip(names, own.T, other.T):
            mean = float(b.mean())
            error = float(np.sqrt(b.var() * (1 / len(a) + 1 / len(b)))) / mean
            found[name] = (float(a.mean()) / mean - 1, error)
        return found

    def _spreads(self, pooled: np.ndarray) -> list[np.ndarray]:
        """Squares about the mean, and exceedance of quantiles, of every feature."""
        squares = (pooled - pooled.mean(axis=0)) ** 2
        bounded = np.minimum(squares, np.quantile(squares, 0.999, axis=0))
        return [bounded, *(pooled <= cut for cut in np.quantile(pooled, LEVELS, axis=0))]

    def _mixing(self, own: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> dict[str, Statistic]:
        """Nearest neighbours that are both samples: among all pairs, and among the closest."""
        found, apart = nearest_others([np.concatenate(parts) for parts in zip(own, other)])
        pairs = np.stack([np.arange(len(found)), found], axis=1)
        # A pair of mutual neighbours counts once among the closest.
        closest = np.argsort(apart, kind="stable")[: max(20, len(found) // 100)]
        near = np.unique(np.sort(pairs[closest], axis=1), axis=0)
        return {"neighbours": self.labels.pairs_within(pairs), "duplicates": self.labels.pairs_within(near)}

    def _nearness(
        self, own: Sequence[np.ndarray], other: Sequence[np.ndarray], bank: Sequence[Paths]
    ) -> dict[str, Statistic]:
        """How near samples lie to stored fields, beside how near held-out fields do: nearer, or further off."""
        queries = np.concatenate([own[0], other[0]])
        columns: list[np.ndarray] = []
        for stored in bank:
            apart = distance_to(queries, stored)
            columns += [-rankdata(apart), *(apart <= cut for cut in np.quantile(apart, NEAR))]
        nearer = self.labels.deviations(np.stack(columns, axis=1))
        return {"bank_near": nearer.max(axis=1), "bank_far": (-nearer).max(axis=1)}

    def tests(self, samples: Fields, *, bank: Sequence[Paths] = (), convolutional: bool = False) -> Tests:
        """Test samples and say what would have been missed; arguments as for `outcome`."""
        return self.described(self.outcome(samples, bank=bank, convolutional=convolutional))

    def described(self, outcome: Outcome, reference_name: str = "held-out solver fields") -> Tests:
        """Put an outcome into numbers with definitions, and say what would have been missed."""
        # The joint test rejects from this standardised statistic on.
        critical = float(np.quantile(outcome.joint, 1 - self.level))
        thresholds = {}
        for name, statistic in outcome.statistics.items():
            thresholds[name] = float(np.median(statistic) + critical * scale_of(statistic))
        entries = {
            name: self._entry(name, statistic, outcome.ratings.get(name), thresholds[name])
            for name, statistic in outcome.statistics.items()
        }
        return Tests(
            reference=reference_name,
            p_value=outcome.p_value,
            level=self.level,
            draws=self.labels.draws,
            samples=self.labels.samples,
            references=self.labels.references,
            strongest=max(outcome.statistics, key=lambda name: standardised(outcome.statistics[name])[0]),
            entries=entries,
            bounds=tuple(
                Bound(quantity, found, (thresholds["features"] + POWER) * error)
                for quantity, (found, error) in outcome.bounds.items()
            ),
        )

    def _entry(self, name: str, statistic: Statistic, scores: ClassifierScores | None, threshold: float) -> Test:
        low, high = (float(q) for q in central(statistic))
        definition, unit = _definition(name)
        if scores is None:
            return Test(definition, unit, float(statistic[0]), None, (low, high), p_value(statistic))
        error = self.area_error
        band: Interval = (0.5 + low * error, 0.5 + high * error)
        missed = 0.5 + (threshold + POWER) * error
        return Test(definition, unit, auc(scores), auc_interval(scores), band, p_value(statistic), missed)

    @property
    def area_error(self) -> float:
        """Standard deviation of the area under the ROC curve over relabellings (Mann and Whitney 1947)."""
        return area_error(self.labels.samples, self.labels.references)


def _definition(name: str) -> tuple[str, str]:
    """What a member tests, in one sentence, and the unit of its statistic."""
    known = {
        "classifier_features": (
            "area under the ROC curve of gradient boosting on physical features, trained on other samples",
            "area under the ROC curve",
        ),
        "classifier_extremes": (
            "largest excess or lack of samples among the fields that this classifier rates most or least sample-like",
            "standard errors",
        ),
        "classifier_gaussian": (
            "largest difference in the ratings by a classifier that distinguishes training fields from Gaussian fields",
            "standard errors",
        ),
        "classifier_fields": (
            "area under the ROC curve of a small convolutional network, trained on other samples",
            "area under the ROC curve",
        ),
        "features": (
            "largest difference in mean, spread or quantiles over all physical features",
            "standard errors",
        ),
        "neighbours": ("samples x whose nearest neighbour is a sample too, as 2 sqrt(x + 3/8)", "standard deviations"),
        "duplicates": (
            "pairs x of samples among the closest 1% of nearest neighbours, as 2 sqrt(x + 3/8)",
            "standard deviations",
        ),
        "bank_near": (
            "largest excess of samples near the training fields, as stored or on their further path: memorization",
            "standard errors",
        ),
        "bank_far": (
            "largest lack of samples near the training fields, as stored or on their further path",
            "standard errors",
        ),
    }
    return known.get(name, (f"distance of the {name.replace('_', ' ')} between the two sets", "as the distance"))
