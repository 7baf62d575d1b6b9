"""Which distances are taken between two sets, by name: said once, for those who count them before there are sets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def distance_names(
    *, homogeneous: bool, separations: Iterable[int], quantiles: Sequence[float | int]
) -> tuple[str, ...]:
    """Names of the distances, in order.

    Args:
        homogeneous: whether the distribution is the same everywhere on a periodic grid; else distances that average
            over places (spectrum, increments, correlation) are left out.
        separations: of the increments, in grid points.
        quantiles: levels of the quantiles that are compared; none for no such distance.

    Example:
        >>> distance_names(homogeneous=False, separations=(1, 4), quantiles=())
        ('marginals', 'sliced', 'kernel')
    """
    return (
        *(("spectrum",) if homogeneous else ()),
        "marginals",
        *(f"increments_{one}" for one in dict.fromkeys(separations) if homogeneous),
        *(("quantiles",) if quantiles else ()),
        *(("correlation",) if homogeneous else ()),
        "sliced",
        "kernel",
    )
