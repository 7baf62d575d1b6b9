"""Task ``dirac``: every game optimizer on the smallest game that circles, with its eigenvalues and its orbits.

Nothing is trained: the two parameters of the Dirac game are the networks. Optimizers without memory of scales are
judged by the eigenvalues of their linearised update, adaptive ones by where their orbit goes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from experiments.config import ExperimentConfig, SystemConfig
from experiments.errors import UserError
from experiments.export import Fields
from experiments.options import setting
from experiments.tasks.task import NONE, Report, Task

REACHED, LEFT = 0.05, 1.5
"""Shares of the first distance from the equilibrium: below the one an orbit converges, above the other it leaves."""


@dataclass(frozen=True)
class DiracConfig(SystemConfig):
    """Where the orbits begin, how long they are, and the penalty they are drawn with."""

    start: tuple[float, float] = setting((1.0, 1.0), "first generator point and discriminator slope")
    updates: int = setting(500, "updates of each orbit", "updates", minimum=10)
    plays: tuple[str, ...] = setting((), "plays to compare, as optimizer.play names them (none: all)")
    gamma: float = setting(0.5, "weight of R1 in the rows that have one", above=0)


@dataclass(frozen=True)
class Study:
    """There are no data: the game is all."""

    path: str = "no data"
    description: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True)
class Dirac(Task):
    """The task; the plays are those that ``optimizer.play`` offers."""

    trains = False

    def told(self, config: ExperimentConfig) -> DiracConfig:
        """Return the section ``system``, which is this task's own."""
        assert isinstance(config.system, DiracConfig)
        return config.system

    def check(self, config: ExperimentConfig) -> None:
        """Refuse a play that there is not."""
        from gan.config import PLAYS

        for play in self.told(config).plays:
            if play not in PLAYS:
                raise UserError(f"--system.plays {play} is none of {', '.join(PLAYS)}.")

    def samples_per_trajectory(self, config: ExperimentConfig) -> int:
        """There are no trajectories of data."""
        return 0

    def spec(self, config: ExperimentConfig) -> Any:
        """There are no samples."""
        return None

    def data(self, config: ExperimentConfig, report: Report) -> Study:
        """There are none."""
        return Study()

    def problem(self, config: ExperimentConfig, dataset: Any) -> Any:
        """There is nothing to train."""
        return None

    def sampler(self, config: ExperimentConfig, dataset: Any, trained: Any) -> Callable[..., Fields]:
        """Refuse: the generator is a single point.

        Raises:
            UserError: always.
        """
        raise UserError("the Dirac game's generator is a single point; there is nothing to draw.")

    def compare(
        self,
        config: ExperimentConfig,
        dataset: Any,
        trained: Any,
        seconds: dict[str, float],
        report: Report,
        baselines: Mapping[str, Any] = NONE,
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Orbits of every play with plain and adaptive steps, without and with R1, and eigenvalues where there are."""
        import jax
        import jax.numpy as jnp

        from gan.config import PLAYS
        from gan.dirac import dirac_game, eigenvalues, orbit
        from gan.optimizers.selection import game_optimizer

        told = self.told(config)
        start = jnp.asarray(told.start, jnp.float32)
        rows: list[dict[str, Any]] = []
        figures: dict[str, Any] = {}
        kinds = [(transform, gamma) for transform in ("sgd", "adam") for gamma in (0.0, told.gamma)]
        plays = told.plays or PLAYS
        total = len(plays) * len(kinds)
        for play in plays:
            for transform, gamma in kinds:
                report(len(rows) + 1, total, f"{play} {transform}")
                row: dict[str, Any] = {"play": play, "transform": transform, "gamma": gamma}
                rows.append(row)
                game = dirac_game(config.game.objective, gamma)
                try:
                    moves = dataclasses.replace(config.optimizer, play=play, transform=transform)
                    optimizer = game_optimizer(moves, config.game, told.updates)
                    run = jax.jit(lambda at, game=game, optimizer=optimizer: orbit(game, optimizer, at, told.updates))
                    points = np.asarray(run(start))
                except ValueError as error:
                    row["refused"] = str(error)
                    continue
                row |= judged(points)
                if transform == "sgd":
                    found = eigenvalues(game, optimizer)
                    row["eigenvalue"] = [float(found[0].real), float(abs(found[0].imag))]
                    row["radius"] = float(abs(found[0]))
                figures[f"dirac/{name_of(row)}"] = points
        comparison = {
            "task": "dirac",
            "title": "Dirac-GAN, every game optimizer",
            "objective": config.game.objective,
            "rate": config.optimizer.generator_rate,
            "updates": told.updates,
            "orbits": rows,
        }
        return {**comparison, "verdict": verdict(rows)}, figures


def name_of(row: dict[str, Any]) -> str:
    """Return the name of an orbit: play, transform and penalty."""
    return f"{row['play']}/{row['transform']}/{'r1' if row['gamma'] else 'plain'}"


def judged(points: np.ndarray) -> dict[str, Any]:
    """Say where an orbit (updates + 1, 2) went, and by what factor an update of its last half moved it."""
    distance = np.linalg.norm(points, axis=1) / np.linalg.norm(points[0])
    half, last = distance[len(distance) // 2], distance[-1]
    # The largest distance within the last tenth: an orbit that circles as an ellipse passes near at times.
    tail = distance[-max(2, len(distance) // 10) :].max()
    where = "leaves" if not np.isfinite(tail) or tail > LEFT else "converges" if tail < REACHED else "circles"
    factor = (last / half) ** (1 / (len(distance) - 1 - len(distance) // 2)) if half > 0 and last > 0 else 0.0
    return {"outcome": where, "distance": float(tail), "factor": float(factor)}


def verdict(rows: list[dict[str, Any]]) -> str:
    """Name the plays by what becomes of them, adaptive steps without a penalty first."""
    sentences = []
    for transform, penalty, what in (
        ("adam", False, "With Adam's steps and no penalty"),
        ("sgd", False, "With plain steps and no penalty"),
        ("adam", True, "With Adam's steps and R1"),
        ("sgd", True, "With plain steps and R1"),
    ):
        chosen = [r for r in rows if r["transform"] == transform and bool(r["gamma"]) is penalty and "outcome" in r]
        parts = []
        for outcome in ("converges", "circles", "leaves"):
            plays = [r["play"].replace("_", " ") for r in chosen if r["outcome"] == outcome]
            if plays:
                parts.append(f"{', '.join(plays)} {outcome if len(plays) == 1 else outcome[:-1]}")
        if parts:
            sentences.append(f"{what}: {'; '.join(parts)}.")
    return " ".join(sentences)
