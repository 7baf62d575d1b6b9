"""Samples at parameters outside the range of training, beside solver fields at the same parameters."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from experiments.evaluation.entries import Score
from experiments.evaluation.results import Distances, Region, Scores
from experiments.evaluation.snapshot_inputs import Equation, SnapshotSizes
from experiments.evaluation.two_sample.classifiers import auc, boosted_scores
from experiments.evaluation.two_sample.relabelling import area_error


def region(
    samples: Float[np.ndarray, "n *grid more"],
    reference: Float[np.ndarray, "n *grid more"],
    equation: Equation,
    sizes: SnapshotSizes,
) -> Region:
    """Hold samples against as many solver fields at parameters of the same range.

    Args:
        samples: generated fields, joined with their parameters; two sets of one size, as ``reference``.
        reference: solver fields, each from its own trajectory.
        equation: of the system.
        sizes: of nulls, and the seed.
    """
    half = len(reference) // 2
    finite = np.isfinite(samples).reshape(len(samples), -1).all(axis=1)
    known = SnapshotSizes(
        fields=half,
        draws=sizes.draws,
        level=sizes.level,
        separations=sizes.separations,
        quantiles=sizes.quantiles,
        projections=sizes.projections,
        resolved=sizes.resolved,
        seed=sizes.seed,
    )
    reference_set = known.reference_set(
        reference, equation.extent, homogeneous=equation.homogeneous, parameters=len(equation.parameters)
    )
    # A field that is not finite is as far from the solver's as one can be: it must not vanish from the count.
    kept = np.where(finite.reshape(-1, *[1] * (samples.ndim - 1)), samples, 0.0)
    # Not of the fields that are tested: principal components of few fields know these fields.
    features = equation.features(reference[:half])
    rated = boosted_scores(
        (features(kept[:half]), features(reference[:half])),
        (features(kept[half:]), features(reference[half:])),
        seed=sizes.seed,
    )
    width = 1.96 * area_error(half, half)
    scores = {
        "auc": Score(
            "area under the ROC curve of gradient boosting on physical features, trained on other fields of this range",
            "",
            auc(rated),
            0.5,
            (0.5 - width, 0.5 + width),
        ),
        "invalid": Score(
            "share of samples that were not finite, or that the solver refused",
            "",
            float(1 - finite.mean()),
            0.0,
            (0, 0),
        ),
    }
    distances = Distances(
        between=f"sets of {half} fields from independent trajectories, a mean over 2 sets of samples",
        against=equation.reference.sets,
        reference=equation.reference.name,
        draws=reference_set.draws,
        level=reference_set.level,
        entries=reference_set.compare(kept),
    )
    return Region(distances, Scores(equation.reference.plain, scores))
