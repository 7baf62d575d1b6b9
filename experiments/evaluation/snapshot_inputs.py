"""What a comparison of snapshots is given: the system as plain functions, what its fields are called, and the sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import jax
import numpy as np
from jaxtyping import Float

from experiments.evaluation.distances import ReferenceSet
from experiments.evaluation.distances.distribution import SETS
from experiments.evaluation.refinement import Refine
from experiments.evaluation.two_sample.battery import Battery
from experiments.evaluation.two_sample.physical_features import Map, PhysicalFeatures
from experiments.evaluation.varying import parted
from experiments.reporting import Report
from gan.augmentation import ArraySymmetries, SymmetriesLike, transform_batch

PATH_STEPS = 16
"""Short solves of which a path consists."""


@dataclass(frozen=True)
class Reference:
    """What the fields are called that samples are held against.

    Attributes:
        name: what they cannot be distinguished from, for example "the solver".
        fields: of them, held out, for example "held-out solver fields".
        plain: any of them, for example "solver fields".
        sets: two sets of them, for example "solver sets against solver sets".
    """

    name: str
    fields: str
    plain: str
    sets: str


SOLVER = Reference("the solver", "held-out solver fields", "solver fields", "solver sets against solver sets")
DATA = Reference("the data", "held-out fields", "fields of the data", "sets of held-out fields against one another")


@dataclass(frozen=True)
class Equation:
    """What a comparison of snapshots needs to know of a system, as plain values and functions.

    Attributes:
        channels: names.
        extent: lengths of the box.
        refine: ``(fields, duration) -> fields``: the solver that made the data; None where there is none.
        symmetries: ``shift_axes``, ``reflections`` and ``moves``.
        homogeneous: whether the distribution is the same everywhere on a periodic grid.
        periodic: whether the grid is periodic.
        tendency: ``fields -> du/dt``, or None.
        later: ``fields -> fields`` a short solver time later, or None.
        budgets: ``fields -> {name: (n,)}``: terms of the system's budgets, or None.
        residual: ``fields -> (n,)``: mean squared residual of an equation that holds at one time, or None.
        parameters: names of the parameters that vary from field to field. Where there are any, all fields of the
            comparison are joined with their logarithms (`experiments.evaluation.varying`), and the functions above
            take them so; ``refine`` and ``later`` return them so too.
        reference: what made the fields that samples are held against, as "the solver" is said in results.
    """

    channels: tuple[str, ...]
    extent: tuple[float, ...]
    refine: Refine | None = None
    symmetries: SymmetriesLike = field(default_factory=ArraySymmetries)
    homogeneous: bool = True
    periodic: bool = True
    tendency: Map | None = None
    later: Map | None = None
    budgets: Callable[[np.ndarray], Mapping[str, np.ndarray]] | None = None
    residual: Map | None = None
    parameters: tuple[str, ...] = ()
    reference: Reference = SOLVER

    def features(self, fields: Float[np.ndarray, "n *grid c"]) -> PhysicalFeatures:
        """The physical features of the system, fixed by some of its fields."""
        return PhysicalFeatures(
            fields,
            extent=self.extent,
            homogeneous=self.homogeneous,
            periodic=self.periodic,
            tendency=self.tendency,
            later=self.later,
            budgets=self.budgets,
            residual=self.residual,
            parameters=self.parameters,
        )

    @property
    def joint_symmetries(self) -> ArraySymmetries:
        """The symmetries of fields that are joined with their parameters, which no symmetry changes."""
        return ArraySymmetries.of(self.symmetries, len(self.parameters))

    def fields_alone(self, joint: Float[np.ndarray, "n *grid more"]) -> Float[np.ndarray, "n *grid c"]:
        """The fields without their parameters."""
        return parted(joint, len(self.parameters))[0]


@dataclass(frozen=True)
class SnapshotSizes:
    """Sizes of a snapshot comparison, under the names of the section ``compare`` where it has them.

    Attributes:
        fields: in each set of a distance.
        draws: of the distances' null; at least the number of distances over ``level``.
        tested: samples that the tests look at, beside as many that train their classifiers.
        refined: the same along the refinement curves.
        relabellings: of the tests.
        level: of every test.
        separations, quantiles, projections, resolved: see `experiments.evaluation.distances`.
        seed: of all draws.
        shown: fields shown side by side.
    """

    fields: int = 2048
    draws: int = 200
    tested: int = 4096
    refined: int = 2048
    relabellings: int = 5000
    level: float = 0.05
    separations: tuple[int, ...] | None = None
    quantiles: tuple[float, ...] = (0.001, 0.01, 0.99, 0.999)
    projections: int = 128
    resolved: float = 1e-6
    seed: int = 0
    shown: int = 8

    @property
    def drawn(self) -> int:
        """Samples that a comparison takes."""
        return max(SETS * self.fields, 2 * self.tested, 2 * self.refined)

    def reference_set(
        self,
        pool: np.ndarray,
        extent: tuple[float, ...],
        progress: Report | None = None,
        *,
        homogeneous: bool = True,
        parameters: int = 0,
    ) -> ReferenceSet:
        """The reference set of these sizes for a pool of solver fields."""
        return ReferenceSet(
            pool,
            n=self.fields,
            draws=self.draws,
            level=self.level,
            extent=extent,
            separations=self.separations,
            quantiles=self.quantiles,
            directions=self.projections,
            resolved=self.resolved,
            homogeneous=homogeneous,
            parameters=parameters,
            seed=self.seed,
            progress=progress,
        )

    def battery(
        self, training: np.ndarray, reference: np.ndarray, equation: Equation, tested: int, features: PhysicalFeatures
    ) -> Battery:
        """The tests of these sizes."""
        return Battery(
            training,
            reference,
            features=features,
            tested=tested,
            extent=equation.extent,
            symmetries=equation.joint_symmetries,
            homogeneous=equation.homogeneous,
            periodic=equation.periodic,
            separations=self.separations,
            quantiles=self.quantiles,
            draws=self.relabellings,
            level=self.level,
            seed=self.seed,
        )


def moved(
    fields: Float[np.ndarray, "n *grid c"], symmetries: SymmetriesLike, seed: int
) -> Float[np.ndarray, "n *grid c"]:
    """Move every field by a random symmetry of the system."""
    keys = jax.random.split(jax.random.key(seed), len(fields))
    # Programs are kept by these values, so that all symmetries that are alike share one.
    known = ArraySymmetries.of(symmetries)
    return np.asarray(_mover(known, fields.ndim - 2)(np.asarray(fields, np.float32), keys))


@lru_cache(maxsize=16)
def _mover(symmetries: ArraySymmetries, ndim: int) -> Callable[[np.ndarray, jax.Array], jax.Array]:
    """Keep the compiled program between calls, which are timed."""
    return jax.jit(lambda many, keys: transform_batch(many, keys, symmetries, ndim))


def path(
    stored: Float[np.ndarray, "n *grid c"], equation: Equation, layer_time: float
) -> list[Float[np.ndarray, "n *grid c"]]:
    """Stored fields at successive solver times: as they are, and after each of `PATH_STEPS` short solves.

    Where the equation has no short solve, as they are and advanced for ``layer_time``.
    """
    moments = [stored]
    if equation.later is None:
        if equation.refine is not None and layer_time > 0:
            moments.append(equation.refine(stored, layer_time))
        return moments
    while len(moments) <= PATH_STEPS:
        moments.append(np.asarray(equation.later(moments[-1])))
    return moments
