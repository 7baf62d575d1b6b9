"""Every game optimizer on the Dirac game, the smallest game that circles: eigenvalues and orbits.

Nothing is trained: the two parameters of the game are the networks. Optimizers without memory of scales are judged by
the eigenvalues of their linearised update, adaptive ones by where their orbit goes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from jaxtyping import Float

from experiments.config import ExperimentConfig, SystemConfig
from experiments.reporting import Report
from gan.config import SCHEMES
from gan.settings import setting

if TYPE_CHECKING:
    from experiments.evaluation.entries import Orbit
    from experiments.evaluation.results import Comparison

REACHED, LEFT = 0.05, 1.5
"""Shares of the first distance from the equilibrium: below the one an orbit converges, above the other it leaves."""


@dataclass(frozen=True)
class DiracConfig(SystemConfig):
    """Where the orbits begin, how long they are, and the penalty they are drawn with."""

    start: tuple[float, float] = setting((1.0, 1.0), "first generator point and discriminator slope")
    updates: int = setting(500, "updates of each orbit", "updates", minimum=10)
    schemes: tuple[str, ...] = setting((), "update schemes to compare (none: all)", choices=SCHEMES)
    gamma: float = setting(0.5, "weight of R1 in the rows that have one", above=0)


@dataclass(frozen=True)
class Dirac:
    """The study; its update schemes are those that ``optimizer.scheme`` offers."""

    # Scheme and transform are what is compared; the penalty's weight is system.gamma.
    unread: ClassVar[tuple[str, ...]] = (
        "data",
        "network",
        "solver_layer",
        "training",
        "compare",
        "optimizer.scheme",
        "optimizer.transform",
        "optimizer.average_half_life",
        "game.r1",
        "game.r2",
    )

    def own_settings(self, config: ExperimentConfig) -> DiracConfig:
        """Return the section ``system``, which is this study's own."""
        assert isinstance(config.system, DiracConfig)
        return config.system

    def check(self, config: ExperimentConfig) -> None:
        """Every setting is checked where it is made."""

    def run(self, config: ExperimentConfig, report: Report) -> tuple[Comparison, dict[str, np.ndarray]]:
        """Follow every update scheme with plain and adaptive steps, without and with R1; eigenvalues where there are
        any.

        Args:
            config: of the run.
            report: called with (done, total, what).

        Returns:
            What was found, and the orbits under ``dirac/PLAY/TRANSFORM/PENALTY``, each (updates + 1, 2).
        """
        from experiments.evaluation.results import Comparison, Orbits
        from experiments.evaluation.verdict import verdict
        from gan.config import SCHEMES

        own = self.own_settings(config)
        rows: list[Orbit] = []
        figures: dict[str, np.ndarray] = {}
        kinds = [(transform, gamma) for transform in ("sgd", "adam") for gamma in (0.0, own.gamma)]
        schemes = own.schemes or SCHEMES
        for scheme in schemes:
            for transform, gamma in kinds:
                report(len(rows) + 1, len(schemes) * len(kinds), f"{scheme} {transform}")
                row, points = self._followed(config, scheme, transform, gamma)
                rows.append(row)
                if points is not None:
                    figures[f"dirac/{scheme}/{transform}/{'r1' if gamma else 'plain'}"] = points
        orbits = Orbits(config.game.objective, config.optimizer.generator_rate, own.updates, tuple(rows))
        return Comparison("Dirac-GAN, every game optimizer", verdict((orbits,)), 0, (orbits,)), figures

    def _followed(
        self, config: ExperimentConfig, scheme: str, transform: str, gamma: float
    ) -> tuple[Orbit, np.ndarray | None]:
        """Follow one update scheme; without points where the game does not allow it."""
        import jax
        import jax.numpy as jnp

        from experiments.evaluation.entries import Orbit
        from gan.dirac import dirac_game, eigenvalues, orbit
        from gan.optimizers.selection import game_optimizer

        own = self.own_settings(config)
        game = dirac_game(config.game.objective, gamma)
        row = Orbit(scheme, transform, gamma)
        try:
            moves = replace(config.optimizer, scheme=scheme, transform=transform)
            optimizer = game_optimizer(moves, config.game, own.updates)
            run = jax.jit(lambda at: orbit(game, optimizer, at, own.updates))
            points = np.asarray(run(jnp.asarray(own.start, jnp.float32)))
        except ValueError as error:
            return replace(row, refused=str(error)), None
        outcome, distance, factor = judged(points)
        row = replace(row, outcome=outcome, distance=distance, factor=factor)
        if transform == "sgd":
            found = eigenvalues(game, optimizer)[0]
            row = replace(row, eigenvalue=(float(found.real), float(abs(found.imag))), radius=float(abs(found)))
        return row, points


def judged(points: Float[np.ndarray, "times 2"]) -> tuple[str, float, float]:
    """Say where an orbit went.

    Args:
        points: of the orbit, the start first.

    Returns:
        "converges", "circles" or "leaves"; the largest distance from the equilibrium within the last tenth, as a share
        of the first; and the factor by which an update of the last half moved it.
    """
    distance = np.linalg.norm(points, axis=1) / np.linalg.norm(points[0])
    half, last = distance[len(distance) // 2], distance[-1]
    # The largest distance within the last tenth: an orbit that circles as an ellipse passes near at times.
    tail = distance[-max(2, len(distance) // 10) :].max()
    where = "leaves" if not np.isfinite(tail) or tail > LEFT else "converges" if tail < REACHED else "circles"
    factor = (last / half) ** (1 / (len(distance) - 1 - len(distance) // 2)) if half > 0 and last > 0 else 0.0
    return where, float(tail), float(factor)
