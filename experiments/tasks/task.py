"""The steps that every task has, as the pipeline calls them."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any

from experiments.config import ExperimentConfig
from experiments.export import Fields

Report = Callable[[int, int, Any], None]


class Task(abc.ABC):
    """Data -> problem -> comparison, for one experiment. Stateless: everything comes from the configuration."""

    @abc.abstractmethod
    def data(self, config: ExperimentConfig, report: Report) -> Any:
        """Make the certified data set, or find it in the cache: a ``physics.Dataset``."""

    @abc.abstractmethod
    def problem(self, config: ExperimentConfig, dataset: Any) -> Any:
        """Return the ``gan.Problem``: training samples, conditions, symmetries, carry and penalties."""

    @abc.abstractmethod
    def compare(
        self, config: ExperimentConfig, dataset: Any, trained: Any, seconds: dict[str, float], report: Report
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Hold a trained generator against the solver.

        Args:
            config: of the run.
            dataset: the certified data; its test trajectories are used here and nowhere else.
            trained: a ``gan.Trained``.
            seconds: wall seconds spent on ``"data"`` and ``"training"``.
            report: called with (done, total, what).

        Returns:
            ``comparison.json``'s content and the arrays behind the pictures.
        """

    @abc.abstractmethod
    def sampler(self, config: ExperimentConfig, dataset: Any, trained: Any) -> Callable[..., Fields]:
        """Return ``(count, *, key, refine, **condition) -> Fields`` for the users of a run."""
