"""What the evaluation of snapshots needs to know of a system and of the settings, said in its own terms."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from experiments.config import CompareConfig
from experiments.tasks.advance import member

if TYPE_CHECKING:
    from jax import Array

    from experiments.evaluation.snapshot_inputs import Equation, SnapshotSizes
    from physics.system import System

_LATER = 5
"""Steps of the short solve over which the growth of the waves is a feature."""


def comparison_sizes(settings: CompareConfig) -> SnapshotSizes:
    """Return the sizes that the section ``compare`` asks for."""
    from experiments.evaluation.snapshot_inputs import SnapshotSizes

    return SnapshotSizes(
        fields=settings.fields,
        draws=settings.draws,
        tested=settings.tested,
        refined=settings.refined,
        relabellings=settings.relabellings,
        level=settings.level,
        separations=settings.separations,
        quantiles=settings.quantiles,
        projections=settings.projections,
        resolved=settings.resolved,
        seed=settings.seed,
    )


def equation(
    system: System, refine: Callable[[np.ndarray, float], np.ndarray], parameters: tuple[str, ...] = ()
) -> Equation:
    """Return what the evaluation needs to know of a system.

    Args:
        system: the system.
        refine: ``(fields, duration) -> fields``.
        parameters: of the system, that vary from field to field; all functions then take fields joined with them.
    """
    import jax

    from experiments.evaluation.snapshot_inputs import Equation
    from physics.system import StochasticSystem

    def rate(joint: Array) -> Array:
        own, u = member(system, joint, parameters)
        return own.vector_field(0.0, u)

    tendency = jax.jit(jax.vmap(rate))
    stochastic = isinstance(system, StochasticSystem)
    return Equation(
        channels=tuple(system.channels),
        extent=system.grid.extent,
        refine=refine,
        symmetries=system.symmetries,
        homogeneous=homogeneous(system),
        periodic=bool(system.grid.shape) and system.grid.periodic,
        tendency=lambda fields: np.asarray(tendency(fields)),
        # With noise, a short solve says more of the noise than of the field.
        later=None if stochastic else lambda fields: refine(fields, _LATER * system.recommended_dt),
        budgets=_budgets(system, parameters),
        parameters=parameters,
    )


def homogeneous(system: System) -> bool:
    """Whether the distribution is the same everywhere on a periodic grid."""
    every = set(range(system.grid.ndim))
    return bool(every) and system.grid.periodic and set(system.symmetries.shift_axes) == every


def _budgets(system: System, parameters: tuple[str, ...]) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """Return ``fields -> {name: (n,)}``: the value of every budgeted quantity and the terms of its rate of change."""
    import jax

    def budgets(joint: Array) -> dict[str, dict[str, Array]]:
        own, u = member(system, joint, parameters)
        return own.budgets(u)

    terms = jax.jit(jax.vmap(budgets))

    def run(fields: np.ndarray) -> dict[str, np.ndarray]:
        found = terms(fields)
        return {f"{name}, {term}": np.asarray(one) for name, parts in found.items() for term, one in parts.items()}

    return run
