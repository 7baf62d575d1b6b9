"""A run opened from Python: draw from its generator, read its comparison."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from experiments.config import ExperimentConfig
from experiments.errors import UserError
from experiments.estimate import check_refinement
from experiments.export import Fields
from experiments.runs import RunFolder, open_folder

if TYPE_CHECKING:
    from jax import Array
    from numpy.typing import ArrayLike

    from experiments.evaluation.results import Comparison
    from experiments.progress import Progress


@dataclass(frozen=True)
class Run:
    """A finished or checkpointed run, from Python: ``run = experiments.load_run(path); run.sample(1000,
    refine=2.0)``."""

    folder: RunFolder
    progress: Progress | None = field(default=None, repr=False, hash=False, compare=False)
    _opened: list[Callable[..., Fields]] = field(default_factory=list, repr=False, hash=False, compare=False)

    @property
    def path(self) -> Path:
        """The run's folder."""
        return self.folder.path

    @property
    def config(self) -> ExperimentConfig:
        """The run's configuration."""
        return self.folder.config

    @property
    def comparison(self) -> Comparison:
        """The comparison with the solver, as in ``comparison.json``; ``run.comparison.get(Distances)`` is a section."""
        return self.folder.comparison()

    def sample(
        self, count: int, *, key: Array | None = None, refine: float | int = 0.0, **condition: ArrayLike
    ) -> Fields:
        """Draw ``count`` fields from the last checkpoint's averaged generator, in physical units.

        A sample is what was trained: the generator's output advanced by the solver over the training's solver layer
        time.

        Args:
            count: how many.
            key: a ``jax.random`` key; default, the key of seed 0.
            refine: solver time by which the samples are advanced.
            condition: for conditional tasks, what the experiment asks for (see its file); default, drawn from
                the test data.

        Returns:
            ``Fields`` with ``values`` of shape ``(count, [time,] *grid.shape, channels)``, coordinates, units
            and attributes.

        Raises:
            UserError: count below 1, refine below 0 or far too long, or a run without a whole checkpoint.
        """
        if count < 1:
            raise UserError(f"count must be at least 1, found {count}.")
        if not (np.isfinite(refine) and refine >= 0):
            raise UserError(f"refine must be a solver time of at least 0, found {refine}.")
        check_refinement("refine", refine, self.config)
        if key is None:
            import jax

            key = jax.random.key(0)
        if not self._opened:
            from experiments import pipeline

            self._opened.append(pipeline.open_sampler(self.folder, self.progress))
        return self._opened[0](count, key=key, refine=refine, **condition)


def load_run(path: str | Path, progress: Progress | None = None) -> Run:
    """Open a run from Python.

    Args:
        path: of its folder.
        progress: called about what takes long, as making training fields again that are no longer in the cache; silent
            by default.

    Example:
        >>> run = experiments.load_run("runs/kuramoto_sivashinsky/20260101-120000")
        >>> fields = run.sample(1000, key=jax.random.key(1), refine=2.0)

    Raises:
        UserError: as ``open_folder``.
    """
    return Run(open_folder(path), progress)
