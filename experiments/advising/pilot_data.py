"""Fields of a pilot, which stand in for a data set where networks and solvers are set up."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from physics.grid import Grid


@dataclass(frozen=True, eq=False)
class PilotData:
    """Fields of the pilot in place of a data set: `experiments.tasks.solver_task.SolverData`.

    Attributes:
        fields: (trajectories, time, *grid, C).
        times: (time,) since the initial fields.
        dt: step of the solver.
        grid: of the fields.
        values: varying parameters (trajectories,) by name.
    """

    fields: np.ndarray
    times: np.ndarray
    dt: float
    grid: Grid
    values: dict[str, np.ndarray]
    path: Path = Path("pilot")
    description: dict[str, object] = field(default_factory=dict)
    initial: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def train(self) -> np.ndarray:
        """All fields."""
        return self.fields

    @property
    def validation(self) -> np.ndarray:
        """The same fields."""
        return self.fields

    @property
    def test(self) -> np.ndarray:
        """The same fields."""
        return self.fields

    @property
    def parameters(self) -> dict[str, dict[str, np.ndarray]]:
        """The parameters, the same for all splits."""
        return dict.fromkeys(("train", "validation", "test"), self.values)

    def repeated(self, least: int) -> PilotData:
        """Return at least so many trajectories, those of the pilot again and again."""
        rows = np.arange(max(least, len(self.fields))) % len(self.fields)
        return replace(self, fields=self.fields[rows], values={name: one[rows] for name, one in self.values.items()})
